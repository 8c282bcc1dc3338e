/* Over axes: reduce_sum, reduce_mean, reduce_max, softmax, layer_norm. Each is one operation: one rounding.
 */
#include "mil/eval.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

#include <math.h>
#include <stdlib.h>

/* The shape with `axes` made 1: what a reduction with keep_dims gives. */
static mil_type kept_shape(const mil_type *x, const int32_t *axes, int n_axes) {
    mil_type t = *x;
    for (int i = 0; i < n_axes; i++) t.dim[axes[i]] = 1;
    return t;
}

bool mil_eval_reduce(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x");
    int32_t axes[MIL_MAX_RANK];
    int n_axes = 0;
    if (!mil_arg_axes(c->f, c->op, "axes", x->type.rank, axes, &n_axes, e) || !mil_eval_result(c, 0, out, e))
        return false;
    bool is_max = c->op->opcode == MIL_OP_REDUCE_MAX;
    mil_type kept = kept_shape(&x->type, axes, n_axes);
    int64_t n = mil_type_count(&x->type), n_out = mil_type_count(&kept), index[MIL_MAX_RANK];
    for (int64_t i = 0; i < n_out; i++) out->data[i] = is_max ? -INFINITY : 0;
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&x->type, i, index);
        double *to = &out->data[mil_ravel(&kept, index, kept.rank)];
        *to = is_max ? mil_scalar_maximum(*to, x->data[i]) : *to + x->data[i];
    }
    int64_t size = n / n_out; /* elements that become one */
    if (c->op->opcode == MIL_OP_REDUCE_MEAN)
        for (int64_t i = 0; i < n_out; i++) out->data[i] /= (double)size;
    mil_eval_keep_all(c, out);
    return true;
}

/* exp(x - max) / sum over one line of n elements, `stride` apart. */
static void softmax_line(const double *x, double *y, int64_t n, int64_t stride) {
    double highest = -INFINITY, total = 0;
    for (int64_t i = 0; i < n; i++) highest = mil_scalar_maximum(highest, x[i * stride]);
    for (int64_t i = 0; i < n; i++) total += y[i * stride] = exp(x[i * stride] - highest);
    for (int64_t i = 0; i < n; i++) y[i * stride] /= total;
}

bool mil_eval_softmax(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x");
    int32_t axis;
    if (!mil_arg_axis(c->f, c->op, -1, x->type.rank, &axis, e) || !mil_eval_result(c, 0, out, e))
        return false;
    int64_t inner = 1, n = x->type.dim[axis], total = mil_type_count(&x->type);
    for (int a = axis + 1; a < x->type.rank; a++) inner *= x->type.dim[a];
    for (int64_t outer = 0; outer < total / (n * inner); outer++)
        for (int64_t i = 0; i < inner; i++)
            softmax_line(x->data + outer * n * inner + i, out->data + outer * n * inner + i, n, inner);
    mil_eval_keep_all(c, out);
    return true;
}

/* Index of the element of gamma (shaped as the normalised axes) that belongs to an index of x. */
static int64_t gamma_at(const mil_type *x, const int64_t *index, const int32_t *axes, int n_axes) {
    int64_t i = 0;
    for (int a = 0; a < n_axes; a++) i = i * x->dim[axes[a]] + index[axes[a]];
    return i;
}

/* mean and 1 / sqrt(variance + epsilon) of every group into mean[] and factor[]. */
static void moments(const mil_array *x, const mil_type *kept, double epsilon, double *mean, double *factor) {
    int64_t n = mil_type_count(&x->type), groups = mil_type_count(kept), index[MIL_MAX_RANK];
    int64_t members = n / groups;
    double size = (double)members;
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&x->type, i, index);
        mean[mil_ravel(kept, index, kept->rank)] += x->data[i] / size;
    }
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&x->type, i, index);
        int64_t g = mil_ravel(kept, index, kept->rank);
        factor[g] += (x->data[i] - mean[g]) * (x->data[i] - mean[g]) / size;
    }
    for (int64_t g = 0; g < groups; g++) factor[g] = 1 / sqrt(factor[g] + epsilon);
}

bool mil_eval_layer_norm(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x"), *gamma = mil_eval_arg(c, "gamma"),
                    *beta = mil_eval_arg(c, "beta");
    int32_t axes[MIL_MAX_RANK];
    int n_axes = 0;
    if (!mil_arg_axes(c->f, c->op, "axes", x->type.rank, axes, &n_axes, e)) return false;
    mil_type kept = kept_shape(&x->type, axes, n_axes);
    int64_t n = mil_type_count(&x->type), groups = mil_type_count(&kept), index[MIL_MAX_RANK];
    double *mean = calloc(2 * (size_t)groups, sizeof *mean);
    if (!mean) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "no memory for %lld means", (long long)groups);
    double *factor = mean + groups;
    moments(x, &kept, mil_arg_float(c->f, c->op, "epsilon", 1e-5), mean, factor);
    bool ok = mil_eval_result(c, 0, out, e);
    for (int64_t i = 0; ok && i < n; i++) {
        mil_unravel(&x->type, i, index);
        int64_t g = mil_ravel(&kept, index, kept.rank), j = gamma_at(&x->type, index, axes, n_axes);
        out->data[i] =
            (x->data[i] - mean[g]) * factor[g] * (gamma ? gamma->data[j] : 1) + (beta ? beta->data[j] : 0);
    }
    free(mean);
    if (ok) mil_eval_keep_all(c, out);
    return ok;
}
