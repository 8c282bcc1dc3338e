/* Small programs that several gradients need. */
#include "mil/grad.h"

#include <string.h>

static bool same_dims(const mil_type *a, const mil_type *b) {
    return a->rank == b->rank && memcmp(a->dim, b->dim, sizeof *a->dim * (size_t)a->rank) == 0;
}

mil_value mil_back_reshape(mil_grad_state *g, mil_value x, const mil_type *t) {
    if (x == MIL_NONE || same_dims(mil_type_of(g->b, x), t)) return x;
    if (t->rank == 0) return mil_reduce_sum(g->b, x, 0, NULL, false); /* of one element */
    return mil_reshape(g->b, x, t->rank, t->dim);
}

mil_value mil_back_slice(mil_grad_state *g, mil_value x, int axis, int64_t begin, int64_t size) {
    const mil_type *t = mil_type_of(g->b, x);
    if (x == MIL_NONE || (begin == 0 && size == t->dim[axis])) return x;
    int32_t from[MIL_MAX_RANK] = {0}, count[MIL_MAX_RANK];
    for (int a = 0; a < t->rank; a++) count[a] = (int32_t)t->dim[a];
    from[axis] = (int32_t)begin;
    count[axis] = (int32_t)size;
    return mil_slice_by_size(g->b, x, from, count);
}

mil_value mil_back_pad(mil_grad_state *g, mil_value x, int axis, int64_t before, int64_t after) {
    if (x == MIL_NONE || (before == 0 && after == 0)) return x;
    int32_t amounts[2 * MIL_MAX_RANK] = {0};
    size_t pair = 2 * (size_t)axis;
    amounts[pair] = (int32_t)before;
    amounts[pair + 1] = (int32_t)after;
    return mil_pad(g->b, x, amounts, 0);
}

mil_value mil_back_spread(mil_grad_state *g, mil_value x, int axis, int64_t stride) {
    mil_type t = *mil_type_of(g->b, x);
    if (x == MIL_NONE || stride == 1) return x;
    int64_t n = t.dim[axis], outer = 1, inner = 1;
    for (int a = 0; a < axis; a++) outer *= t.dim[a];
    for (int a = axis + 1; a < t.rank; a++) inner *= t.dim[a];
    x = mil_reshape(g->b, x, 4, (int64_t[]){outer, n, 1, inner});
    x = mil_back_pad(g, x, 2, 0, stride - 1); /* [outer, n, stride, inner] */
    x = mil_reshape(g->b, x, 3, (int64_t[]){outer, n * stride, inner});
    x = mil_back_slice(g, x, 1, 0, (n - 1) * stride + 1);
    t.dim[axis] = (n - 1) * stride + 1;
    return mil_back_reshape(g, x, &t);
}

mil_value mil_back_zeros(mil_grad_state *g, const mil_type *t) {
    mil_value zero = mil_const_float(g->b, t->dtype, 0);
    if (!mil_dtype_is_float(t->dtype))
        zero = mil_const_data(g->b, mil_scalar(t->dtype), (const int64_t[]){0});
    if (t->rank == 0) return zero;
    int64_t ones[MIL_MAX_RANK];
    int32_t reps[MIL_MAX_RANK];
    for (int a = 0; a < t->rank; a++) {
        ones[a] = 1;
        reps[a] = (int32_t)t->dim[a];
    }
    return mil_tile(g->b, mil_reshape(g->b, zero, t->rank, ones), reps);
}
