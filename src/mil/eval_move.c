/* Moving elements: reshape, transpose, slices, concat, split, tile, pad. Nothing is computed, so nothing is
 * rounded. */
#include "mil/eval.h"
#include "mil/op_functions.h"

#include <stdlib.h>
#include <string.h>

/* expand_dims and squeeze too. */
bool mil_eval_reshape(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x");
    if (!mil_eval_result(c, 0, out, e)) return false;
    memcpy(out->data, x->data, sizeof(double) * (size_t)mil_type_count(&x->type));
    return true;
}

bool mil_eval_transpose(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x");
    int32_t perm[MIL_MAX_RANK];
    int rank = 0;
    if (!mil_arg_ints(c->f, c->op, "perm", MIL_MAX_RANK, perm, &rank, e) || !mil_eval_result(c, 0, out, e))
        return false;
    int64_t n = mil_type_count(&out->type), to[MIL_MAX_RANK], from[MIL_MAX_RANK];
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&out->type, i, to);
        for (int a = 0; a < rank; a++) from[perm[a] < 0 ? perm[a] + rank : perm[a]] = to[a];
        out->data[i] = x->data[mil_ravel(&x->type, from, rank)];
    }
    return true;
}

bool mil_eval_slice_by_size(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x");
    int32_t begin[MIL_MAX_RANK];
    int rank = 0;
    if (!mil_arg_ints(c->f, c->op, "begin", MIL_MAX_RANK, begin, &rank, e) || !mil_eval_result(c, 0, out, e))
        return false;
    int64_t n = mil_type_count(&out->type), index[MIL_MAX_RANK];
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&out->type, i, index);
        for (int a = 0; a < rank; a++) index[a] += begin[a] < 0 ? begin[a] + x->type.dim[a] : begin[a];
        out->data[i] = x->data[mil_ravel(&x->type, index, rank)];
    }
    return true;
}

/* ---- slice_by_index
 * ----------------------------------------------------------------------------------------------- */

/* A list of bools, all false when absent. */
static void read_mask(
    const mil_function *f, const mil_operation *op, const char *param, int rank, bool *mask) {
    mil_value v = mil_arg_value(op, param);
    const mil_constant *k = v == MIL_NONE ? NULL : f->values[v].constant;
    int64_t n = k ? mil_type_count(&f->values[v].type) : 0;
    for (int a = 0; a < rank; a++)
        mask[a] = k && k->data && a < n && mil_constant_at(&f->values[v].type, k->data, a) != 0;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

/* NumPy's x[begin:end:stride] on an axis of `size`: first element and count. */
static void resolve_axis(int64_t size, bool has_begin, int64_t begin, bool has_end, int64_t end,
    int64_t stride, int64_t *first, int64_t *count) {
    int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? size : size - 1;
    begin = !has_begin ? (stride > 0 ? low : high) : clamp(begin < 0 ? begin + size : begin, low, high);
    end = !has_end ? (stride > 0 ? high : low) : clamp(end < 0 ? end + size : end, low, high);
    int64_t span = stride > 0 ? end - begin : begin - end, step = stride > 0 ? stride : -stride;
    *first = begin;
    *count = span > 0 ? (span + step - 1) / step : 0;
}

bool mil_slice_of(const mil_function *f, const mil_operation *op, mil_slice *s, ane_error *e) {
    const mil_type *x = mil_type_of(f, mil_arg_value(op, "x"));
    int32_t begin[MIL_MAX_RANK], end[MIL_MAX_RANK], stride[MIL_MAX_RANK];
    bool no_begin[MIL_MAX_RANK], no_end[MIL_MAX_RANK], squeeze[MIL_MAX_RANK];
    int nb = 0, ne = 0, ns = x->rank;
    for (int a = 0; a < MIL_MAX_RANK; a++) stride[a] = 1;
    if (!mil_arg_ints(f, op, "begin", MIL_MAX_RANK, begin, &nb, e) ||
        !mil_arg_ints(f, op, "end", MIL_MAX_RANK, end, &ne, e) ||
        (mil_arg_value(op, "stride") != MIL_NONE &&
            !mil_arg_ints(f, op, "stride", MIL_MAX_RANK, stride, &ns, e)))
        return false;
    if (nb != x->rank || ne != x->rank || ns != x->rank)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "begin, end and stride need one number for each of the %d axes, found %d, %d and %d",
            (int)x->rank, nb, ne, ns);
    read_mask(f, op, "begin_mask", x->rank, no_begin);
    read_mask(f, op, "end_mask", x->rank, no_end);
    read_mask(f, op, "squeeze_mask", x->rank, squeeze);
    for (int a = 0; a < x->rank; a++) {
        if (stride[a] == 0) return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "stride of axis %d is 0", a);
        s->stride[a] = stride[a];
        resolve_axis(
            x->dim[a], !no_begin[a], begin[a], !no_end[a], end[a], stride[a], &s->begin[a], &s->count[a]);
        if (squeeze[a]) { /* the one element at begin */
            s->begin[a] = clamp(begin[a] < 0 ? begin[a] + x->dim[a] : begin[a], 0, x->dim[a] - 1);
            s->count[a] = 1;
        }
    }
    return true;
}

bool mil_eval_slice_by_index(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x");
    mil_slice s;
    if (!mil_slice_of(c->f, c->op, &s, e) || !mil_eval_result(c, 0, out, e)) return false;
    mil_type shape = x->type; /* of the result before squeezing */
    memcpy(shape.dim, s.count, sizeof *s.count * (size_t)shape.rank);
    int64_t n = mil_type_count(&out->type), index[MIL_MAX_RANK];
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&shape, i, index);
        for (int a = 0; a < shape.rank; a++) index[a] = s.begin[a] + index[a] * s.stride[a];
        out->data[i] = x->data[mil_ravel(&x->type, index, shape.rank)];
    }
    return true;
}

/* ---- concat, split
 * --------------------------------------------------------------------------------------------------- */

/* Copy `part` into (or, when `back`, from) the places begin + i * stride of `whole` along axis. */
static void copy_part(mil_array *whole, mil_array *part, int axis, int64_t begin, int64_t stride, bool back) {
    int64_t n = mil_type_count(&part->type), index[MIL_MAX_RANK];
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&part->type, i, index);
        index[axis] = begin + index[axis] * stride;
        double *at = &whole->data[mil_ravel(&whole->type, index, whole->type.rank)];
        if (back)
            part->data[i] = *at;
        else
            *at = part->data[i];
    }
}

bool mil_eval_concat(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_arg *values = &c->op->args[mil_param_index(c->op->info, "values")];
    bool interleave = mil_arg_bool(c->f, c->op, "interleave", false);
    if (!mil_eval_result(c, 0, out, e)) return false;
    int axis = mil_eval_axis(c->f, c->op, "axis", out->type.rank, 0);
    int64_t begin = 0;
    for (int32_t i = 0; i < values->n; i++) {
        mil_array part = c->values[values->values[i]];
        copy_part(out, &part, axis, interleave ? i : begin, interleave ? values->n : 1, false);
        begin += part.type.dim[axis];
    }
    return true;
}

bool mil_eval_split(const mil_eval_context *c, mil_array *out, ane_error *e) {
    mil_array x = *mil_eval_arg(c, "x");
    int axis = mil_eval_axis(c->f, c->op, "axis", x.type.rank, 0);
    int64_t begin = 0;
    for (int r = 0; r < c->op->n_results; r++) { /* inference has made parts of num_splits or split_sizes */
        if (!mil_eval_result(c, r, out, e)) return false;
        copy_part(&x, &out[r], axis, begin, 1, true);
        begin += out[r].type.dim[axis];
    }
    return true;
}

/* ---- tile, pad
 * ----------------------------------------------------------------------------------------------------------
 */

bool mil_eval_tile(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x");
    if (!mil_eval_result(c, 0, out, e)) return false;
    int64_t n = mil_type_count(&out->type), index[MIL_MAX_RANK];
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&out->type, i, index);
        for (int a = 0; a < x->type.rank; a++) index[a] %= x->type.dim[a];
        out->data[i] = x->data[mil_ravel(&x->type, index, x->type.rank)];
    }
    return true;
}

bool mil_pad_of(
    const mil_function *f, const mil_operation *op, int rank, int64_t *before, int64_t *after, ane_error *e) {
    int32_t pad[2 * MIL_MAX_RANK];
    int n = 0;
    if (!mil_arg_ints(f, op, "pad", 2 * MIL_MAX_RANK, pad, &n, e)) return false;
    if (n % 2 != 0 || n > 2 * rank)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "pad needs before and after for at most %d axes, found %d numbers", rank, n);
    for (int a = 0; a < rank; a++) {
        int i = 2 * a - (2 * rank - n); /* the last n/2 axes are padded */
        before[a] = i < 0 ? 0 : pad[i];
        after[a] = i < 0 ? 0 : pad[i + 1];
    }
    return true;
}

/* Where a place of the padded axis comes from; -1 for the constant. */
static int64_t pad_source(const char *mode, int64_t at, int64_t size) {
    if (at >= 0 && at < size) return at;
    if (strcmp(mode, "reflect") == 0)
        return at < 0 ? -at : 2 * (size - 1) - at; /* without repeating the edge */
    if (strcmp(mode, "replicate") == 0) return at < 0 ? 0 : size - 1;
    return -1;
}

bool mil_eval_pad(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x");
    const char *mode = mil_arg_string(c->f, c->op, "mode", "constant");
    double fill = mil_arg_float(c->f, c->op, "constant_val", 0);
    int rank = x->type.rank;
    int64_t before[MIL_MAX_RANK], after[MIL_MAX_RANK], index[MIL_MAX_RANK];
    if (!mil_pad_of(c->f, c->op, rank, before, after, e)) return false;
    if (strcmp(mode, "reflect") == 0)
        for (int a = 0; a < rank; a++)
            if (before[a] >= x->type.dim[a] || after[a] >= x->type.dim[a])
                return ane_fail(e, ANE_ERROR_SHAPE, NULL, "reflect can pad axis %d by at most %lld", a,
                    (long long)x->type.dim[a] - 1);
    if (!mil_eval_result(c, 0, out, e)) return false;
    int64_t n = mil_type_count(&out->type);
    for (int64_t i = 0; i < n; i++) {
        bool inside = true;
        mil_unravel(&out->type, i, index);
        for (int a = 0; a < rank; a++) {
            index[a] = pad_source(mode, index[a] - before[a], x->type.dim[a]);
            inside = inside && index[a] >= 0;
        }
        out->data[i] = inside ? x->data[mil_ravel(&x->type, index, rank)] : fill;
    }
    mil_eval_keep_all(c, out);
    return true;
}
