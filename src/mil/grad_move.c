/* Gradients of operations that move elements: what was taken from a place is added to it. */
#include "mil/grad.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

#include <string.h>

/* expand_dims and squeeze too. */
bool mil_grad_reshape(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    (void)e;
    mil_value x = mil_arg_value(op, "x");
    if (mil_grad_wants(g, x)) mil_grad_add(g, x, mil_back_reshape(g, d_results[0], mil_type_of(g->f, x)));
    return true;
}

bool mil_grad_transpose(
    mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    mil_value x = mil_arg_value(op, "x");
    int32_t perm[MIL_MAX_RANK], back[MIL_MAX_RANK];
    if (!mil_transpose_resolve(g->f, op, perm, e)) return false;
    for (int a = 0; a < mil_type_of(g->f, x)->rank; a++) back[perm[a]] = a;
    if (mil_grad_wants(g, x)) mil_grad_add(g, x, mil_transpose(g->b, d_results[0], back));
    return true;
}

/* ---- slices -------------------------------------------------------------------------------------------- */

/* x reversed along one axis. */
static mil_value reverse(mil_grad_state *g, mil_value x, int axis) {
    const mil_type *t = mil_type_of(g->b, x);
    int32_t begin[MIL_MAX_RANK] = {0}, end[MIL_MAX_RANK], stride[MIL_MAX_RANK];
    for (int a = 0; a < t->rank; a++) {
        end[a] = (int32_t)t->dim[a];
        stride[a] = 1;
    }
    begin[axis] = -1;
    end[axis] = -(int32_t)t->dim[axis] - 1; /* before the first */
    stride[axis] = -1;
    return mil_slice_by_index(g->b, x, begin, end, stride);
}

static bool grad_slice(mil_grad_state *g, const mil_operation *op, mil_value d, ane_error *e) {
    mil_value x = mil_arg_value(op, "x");
    mil_slice_geometry s;
    if (!mil_slice_resolve(g->f, op, &s, e)) return false;
    if (!mil_grad_wants(g, x)) return true;
    const mil_type *t = mil_type_of(g->f, x);
    mil_type sliced = mil_tensor(t->dtype, t->rank, s.count); /* before squeezing */
    d = mil_back_reshape(g, d, &sliced);
    int last =
        -1; /* the last axis that was cut becomes a part, so that slices side by side are joined again */
    for (int a = 0; a < t->rank; a++) {
        if (s.stride[a] < 0 && s.count[a] > 1) d = reverse(g, d, a);
        if (s.stride[a] < 0) s.begin[a] += (s.count[a] - 1) * s.stride[a];
        int64_t step = s.stride[a] < 0 ? -s.stride[a] : s.stride[a];
        if (s.count[a] > 1) d = mil_back_spread(g, d, a, step);
        s.count[a] = (s.count[a] - 1) * step + 1;
        if (s.count[a] == t->dim[a]) continue;
        if (last >= 0)
            d = mil_back_pad(g, d, last, s.begin[last], t->dim[last] - s.begin[last] - s.count[last]);
        last = a;
    }
    if (last < 0)
        mil_grad_add(g, x, d);
    else
        mil_grad_add_part(g, x, last, s.begin[last], d);
    return true;
}

bool mil_grad_slice_by_size(
    mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    return grad_slice(g, op, d_results[0], e);
}

bool mil_grad_slice_by_index(
    mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    return grad_slice(g, op, d_results[0], e);
}

/* ---- concat, split ------------------------------------------------------------------------------------- */

/* Every n-th element of an axis, from `first`. */
static mil_value every(mil_grad_state *g, mil_value x, int axis, int32_t first, int32_t n) {
    const mil_type *t = mil_type_of(g->b, x);
    int32_t begin[MIL_MAX_RANK] = {0}, end[MIL_MAX_RANK], stride[MIL_MAX_RANK];
    for (int a = 0; a < t->rank; a++) {
        end[a] = (int32_t)t->dim[a];
        stride[a] = 1;
    }
    begin[axis] = first;
    stride[axis] = n;
    return mil_slice_by_index(g->b, x, begin, end, stride);
}

bool mil_grad_concat(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    const mil_arg *values = &op->args[mil_param_index(op->info, "values")];
    bool interleave = mil_arg_bool(g->f, op, "interleave", false);
    int64_t begin = 0;
    int32_t axis;
    if (!mil_arg_axis(g->f, op, 0, mil_type_of(g->f, op->results[0])->rank, &axis, e)) return false;
    for (int32_t i = 0; i < values->n; i++) {
        mil_value v = values->values[i];
        int64_t size = mil_type_of(g->f, v)->dim[axis];
        if (mil_grad_wants(g, v))
            mil_grad_add(g, v,
                interleave ? every(g, d_results[0], axis, i, values->n)
                           : mil_back_slice(g, d_results[0], axis, begin, size));
        begin += size;
    }
    return true;
}

bool mil_grad_split(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    mil_value x = mil_arg_value(op, "x");
    int64_t begin = 0;
    int32_t axis;
    if (!mil_arg_axis(g->f, op, 0, mil_type_of(g->f, x)->rank, &axis, e)) return false;
    for (int r = 0; r < op->n_results; r++) {
        if (mil_grad_wants(g, x)) mil_grad_add_part(g, x, axis, begin, d_results[r]);
        begin += mil_type_of(g->f, op->results[r])->dim[axis];
    }
    return true;
}

/* ---- tile, pad ----------------------------------------------------------------------------------------- */

/* The sum over the copies, axis by axis. */
bool mil_grad_tile(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    (void)e;
    mil_value x = mil_arg_value(op, "x"), d = d_results[0];
    if (!mil_grad_wants(g, x)) return true;
    const mil_type *t = mil_type_of(g->f, x);
    mil_type now = *mil_type_of(g->f, op->results[0]);
    for (int a = 0; a < t->rank; a++) {
        int64_t copies = now.dim[a] / t->dim[a], outer = 1, inner = t->dim[a];
        if (copies == 1) continue;
        for (int i = 0; i < a; i++) outer *= now.dim[i];
        for (int i = a + 1; i < now.rank; i++) inner *= now.dim[i];
        d = mil_reshape(g->b, d, 3, (int64_t[]){outer, copies, inner});
        d = mil_reduce_sum(g->b, d, 1, (const int32_t[]){1}, true);
        now.dim[a] = t->dim[a];
    }
    mil_grad_add(g, x, mil_back_reshape(g, d, t));
    return true;
}

/* What padding `size` elements at one end of an axis copied, added to where it came from. d: the core, edge:
 * the derivative by the padding. */
static mil_value fold(
    mil_grad_state *g, mil_value d, mil_value edge, int axis, int64_t size, bool reflect, bool front) {
    if (edge == MIL_NONE) return d;
    const mil_type *t = mil_type_of(g->b, d);
    int64_t n = t->dim[axis];
    const int32_t axes[] = {axis};
    if (!reflect) {
        edge = mil_reduce_sum(g->b, edge, 1, axes, true);
        size = 1;
    } else {
        edge = reverse(g, edge, axis);
    }
    int64_t skipped = reflect ? 1 : 0; /* a reflection leaves the edge itself out */
    int64_t before = front ? skipped : n - size - skipped;
    return mil_add(g->b, d, mil_back_pad(g, edge, axis, before, n - size - before));
}

bool mil_grad_pad(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    mil_value x = mil_arg_value(op, "x"), d = d_results[0];
    const char *mode = mil_arg_string(g->f, op, "mode", "constant");
    bool constant = strcmp(mode, "constant") == 0, reflect = strcmp(mode, "reflect") == 0;
    int64_t before[MIL_MAX_RANK], after[MIL_MAX_RANK];
    if (!mil_pad_resolve(g->f, op, before, after, e)) return false;
    if (!mil_grad_wants(g, x)) return true;
    const mil_type *t = mil_type_of(g->f, x);
    for (int a = 0; a < t->rank; a++) {
        int64_t n = t->dim[a];
        bool has_front = !constant && before[a] > 0, has_back = !constant && after[a] > 0;
        mil_value front = has_front ? mil_back_slice(g, d, a, 0, before[a]) : MIL_NONE;
        mil_value back = has_back ? mil_back_slice(g, d, a, before[a] + n, after[a]) : MIL_NONE;
        d = mil_back_slice(g, d, a, before[a], n);
        d = fold(g, d, front, a, before[a], reflect, true);
        d = fold(g, d, back, a, after[a], reflect, false);
    }
    mil_grad_add(g, x, d);
    return true;
}
