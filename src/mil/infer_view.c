/* infer_view.c - result types of the operations that move elements: reshape, transpose, slices. */
#include "mil/function.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

#include <string.h>

/* Exactly `rank` elements of a constant. */
static bool per_axis(
    const mil_function *f, const mil_operation *op, const char *param, int rank, int32_t *out, ane_error *e) {
    int n = 0;
    if (!mil_arg_ints(f, op, param, MIL_MAX_RANK, out, &n, e)) return false;
    return n == rank || ane_fail(e, ANE_ERROR_SHAPE, NULL,
                            "%s has %d elements; expected %d, one per axis of x", param, n, rank);
}

/* ---- the same elements in the same order --------------------------------------------------------------- */

/* Replace 0 (keep x's dimension) and -1 (whatever is left). */
static bool resolve_shape(const mil_type *x, const int32_t *shape, mil_type *to, ane_error *e) {
    int free_axis = -1;
    for (int i = 0; i < to->rank; i++) {
        to->dim[i] = shape[i] == 0 && to->rank == x->rank ? x->dim[i] : shape[i];
        if (shape[i] == -1 && free_axis < 0) {
            free_axis = i;
            to->dim[i] = 1;
        }
        if (to->dim[i] < 1)
            return ane_fail(e, ANE_ERROR_SHAPE, NULL, "shape[%d] is %d; expected at least 1, or -1 once", i,
                (int)shape[i]);
    }
    int64_t count = mil_type_count(x), rest = mil_type_count(to);
    if (free_axis >= 0 && rest > 0 && count % rest == 0) to->dim[free_axis] = count / rest;
    char from[256], into[256];
    if (mil_type_count(to) != count)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "x is %s with %lld elements; shape %s has %lld",
            mil_shape_print(x, from, sizeof from), (long long)count, mil_shape_print(to, into, sizeof into),
            (long long)mil_type_count(to));
    return true;
}

bool mil_infer_reshape(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    int32_t shape[MIL_MAX_RANK];
    mil_type to = {.dtype = x->dtype};
    if (!mil_arg_ints(f, op, "shape", MIL_MAX_RANK, shape, &to.rank, e) || !resolve_shape(x, shape, &to, e))
        return false;
    results[0] = to;
    return true;
}

bool mil_infer_expand_dims(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    int32_t raw[MIL_MAX_RANK], axes[MIL_MAX_RANK];
    int n = 0;
    if (!mil_arg_ints(f, op, "axes", MIL_MAX_RANK, raw, &n, e)) return false;
    if (x->rank + n > MIL_MAX_RANK)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "the result would have rank %d; expected at most %d",
            x->rank + n, MIL_MAX_RANK);
    mil_type to = {.dtype = x->dtype, .rank = x->rank + n};
    if (!mil_arg_axes(f, op, "axes", to.rank, axes, &n, e)) return false;
    for (int i = 0, next = 0; i < to.rank; i++) {
        bool fresh = next < n && axes[next] == i;
        to.dim[i] = fresh ? 1 : x->dim[i - next];
        next += fresh;
    }
    results[0] = to;
    return true;
}

bool mil_infer_squeeze(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    int32_t axes[MIL_MAX_RANK];
    int n;
    bool named = mil_arg_value(op, "axes") != MIL_NONE;
    mil_type to = {.dtype = x->dtype};
    if (!mil_arg_axes(f, op, "axes", x->rank, axes, &n, e)) return false;
    for (int i = 0, next = 0; i < x->rank; i++) {
        bool asked = next < n && axes[next] == i;
        next += asked;
        if (asked && named && x->dim[i] != 1)
            return ane_fail(e, ANE_ERROR_SHAPE, NULL,
                "axis %d of x is %lld; only axes of size 1 can be squeezed", i, (long long)x->dim[i]);
        if (!asked || x->dim[i] != 1) to.dim[to.rank++] = x->dim[i];
    }
    results[0] = to;
    return true;
}

/* ---- transpose ----------------------------------------------------------------------------------------- */

bool mil_transpose_resolve(const mil_function *f, const mil_operation *op, int32_t *perm, ane_error *e) {
    int rank = mil_arg_type(f, op, "x")->rank;
    bool seen[MIL_MAX_RANK] = {false};
    if (!per_axis(f, op, "perm", rank, perm, e)) return false;
    for (int i = 0; i < rank; i++) {
        if (!mil_resolve_axis(perm[i], rank, "perm", &perm[i], e)) return false;
        if (seen[perm[i]])
            return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "perm names axis %d twice", (int)perm[i]);
        seen[perm[i]] = true;
    }
    return true;
}

bool mil_infer_transpose(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    int32_t perm[MIL_MAX_RANK];
    if (!mil_transpose_resolve(f, op, perm, e)) return false;
    results[0] = *x;
    for (int i = 0; i < x->rank; i++) results[0].dim[i] = x->dim[perm[i]];
    return true;
}

/* ---- slices -------------------------------------------------------------------------------------------- */

static bool resolve_by_size(
    const mil_function *f, const mil_operation *op, mil_slice_geometry *g, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    int32_t begin[MIL_MAX_RANK], size[MIL_MAX_RANK];
    if (!per_axis(f, op, "begin", x->rank, begin, e) || !per_axis(f, op, "size", x->rank, size, e))
        return false;
    for (int i = 0; i < x->rank; i++) {
        int64_t from = begin[i] < 0 ? begin[i] + x->dim[i] : begin[i];
        int64_t count = size[i] == -1 ? x->dim[i] - from : size[i];
        if (from < 0 || count < 1 || count > x->dim[i] - from)
            return ane_fail(e, ANE_ERROR_SHAPE, NULL,
                "axis %d: begin %d with size %d does not lie inside the %lld elements of x", i, (int)begin[i],
                (int)size[i], (long long)x->dim[i]);
        g->begin[i] = from;
        g->stride[i] = 1;
        g->count[i] = count;
    }
    return true;
}

/* One axis of NumPy's x[begin:end:stride]; `open` says which ends are left out. */
static bool slice_axis(int i, int64_t dim, int64_t begin, int64_t end, int64_t stride, bool open_begin,
    bool open_end, mil_slice_geometry *g, ane_error *e) {
    if (stride == 0) return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "axis %d: stride is 0", i);
    int64_t least = stride > 0 ? 0 : -1, most = stride > 0 ? dim : dim - 1; /* where an end may lie */
    int64_t from = begin < 0 ? begin + dim : begin, to = end < 0 ? end + dim : end;
    from = open_begin ? (stride > 0 ? 0 : dim - 1) : from < least ? least : from > most ? most : from;
    to = open_end ? (stride > 0 ? dim : -1) : to < least ? least : to > most ? most : to;
    int64_t step = stride > 0 ? stride : -stride, span = stride > 0 ? to - from : from - to;
    if (span <= 0)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "axis %d: [%lld:%lld:%lld] takes nothing from %lld elements", i, (long long)begin, (long long)end,
            (long long)stride, (long long)dim);
    g->begin[i] = from;
    g->stride[i] = stride;
    g->count[i] = (span + step - 1) / step;
    return true;
}

/* A mask of bools, all false when absent. */
static bool axis_mask(
    const mil_function *f, const mil_operation *op, const char *param, int rank, int32_t *out, ane_error *e) {
    memset(out, 0, MIL_MAX_RANK * sizeof *out);
    return mil_arg_value(op, param) == MIL_NONE || per_axis(f, op, param, rank, out, e);
}

static bool resolve_by_index(
    const mil_function *f, const mil_operation *op, mil_slice_geometry *g, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    int r = x->rank;
    int32_t begin[MIL_MAX_RANK], end[MIL_MAX_RANK], stride[MIL_MAX_RANK];
    int32_t open_begin[MIL_MAX_RANK], open_end[MIL_MAX_RANK], squeeze[MIL_MAX_RANK];
    if (!per_axis(f, op, "begin", r, begin, e) || !per_axis(f, op, "end", r, end, e) ||
        !axis_mask(f, op, "stride", r, stride, e) || !axis_mask(f, op, "begin_mask", r, open_begin, e) ||
        !axis_mask(f, op, "end_mask", r, open_end, e) || !axis_mask(f, op, "squeeze_mask", r, squeeze, e))
        return false;
    bool strided = mil_arg_value(op, "stride") != MIL_NONE;
    for (int i = 0; i < r; i++) {
        g->squeeze[i] = squeeze[i];
        int64_t at = begin[i];
        if (squeeze[i]) { /* one element: x[begin] */
            if (at < -x->dim[i] || at >= x->dim[i])
                return ane_fail(e, ANE_ERROR_SHAPE, NULL,
                    "axis %d: begin %d does not lie inside %lld elements", i, (int)at, (long long)x->dim[i]);
            g->begin[i] = at < 0 ? at + x->dim[i] : at;
            g->stride[i] = g->count[i] = 1;
        } else if (!slice_axis(
                       i, x->dim[i], at, end[i], strided ? stride[i] : 1, open_begin[i], open_end[i], g, e)) {
            return false;
        }
    }
    return true;
}

bool mil_slice_resolve(const mil_function *f, const mil_operation *op, mil_slice_geometry *g, ane_error *e) {
    *g = (mil_slice_geometry){0};
    return op->opcode == MIL_OP_SLICE_BY_SIZE ? resolve_by_size(f, op, g, e) : resolve_by_index(f, op, g, e);
}

static bool infer_slice(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    mil_slice_geometry g;
    if (!mil_slice_resolve(f, op, &g, e)) return false;
    mil_type t = {.dtype = x->dtype};
    for (int i = 0; i < x->rank; i++)
        if (!g.squeeze[i]) t.dim[t.rank++] = g.count[i];
    results[0] = t;
    return true;
}

bool mil_infer_slice_by_size(
    const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    return infer_slice(f, op, results, e);
}

bool mil_infer_slice_by_index(
    const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    return infer_slice(f, op, results, e);
}
