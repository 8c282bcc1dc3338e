/* Moving elements: reshape, transpose, slices, concat, split, tile, pad. Nothing is computed, so nothing is
 * rounded. */
#include "mil/eval.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

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
    int rank = x->type.rank;
    if (!mil_transpose_resolve(c->f, c->op, perm, e) || !mil_eval_result(c, 0, out, e)) return false;
    int64_t n = mil_type_count(&out->type), to[MIL_MAX_RANK], from[MIL_MAX_RANK];
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&out->type, i, to);
        for (int a = 0; a < rank; a++) from[perm[a]] = to[a];
        out->data[i] = x->data[mil_ravel(&x->type, from, rank)];
    }
    return true;
}

static bool eval_slice(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x");
    mil_slice_geometry s;
    if (!mil_slice_resolve(c->f, c->op, &s, e) || !mil_eval_result(c, 0, out, e)) return false;
    mil_type shape = mil_tensor(x->type.dtype, x->type.rank, s.count); /* of the result before squeezing */
    int64_t n = mil_type_count(&out->type), index[MIL_MAX_RANK];
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&shape, i, index);
        for (int a = 0; a < shape.rank; a++) index[a] = s.begin[a] + index[a] * s.stride[a];
        out->data[i] = x->data[mil_ravel(&x->type, index, shape.rank)];
    }
    return true;
}

bool mil_eval_slice_by_size(const mil_eval_context *c, mil_array *out, ane_error *e) {
    return eval_slice(c, out, e);
}

bool mil_eval_slice_by_index(const mil_eval_context *c, mil_array *out, ane_error *e) {
    return eval_slice(c, out, e);
}

/* ---- concat, split ------------------------------------------------------------------------------------- */

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
    int32_t axis;
    if (!mil_eval_result(c, 0, out, e) || !mil_arg_axis(c->f, c->op, 0, out->type.rank, &axis, e))
        return false;
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
    int32_t axis;
    if (!mil_arg_axis(c->f, c->op, 0, x.type.rank, &axis, e)) return false;
    int64_t begin = 0;
    for (int r = 0; r < c->op->n_results; r++) { /* inference has made parts of num_splits or split_sizes */
        if (!mil_eval_result(c, r, out, e)) return false;
        copy_part(&x, &out[r], axis, begin, 1, true);
        begin += out[r].type.dim[axis];
    }
    return true;
}

/* ---- tile, pad ----------------------------------------------------------------------------------------- */

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
    if (!mil_pad_resolve(c->f, c->op, before, after, e) || !mil_eval_result(c, 0, out, e)) return false;
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
