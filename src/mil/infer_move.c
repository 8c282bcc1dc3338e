/* infer_move.c - result types of concat, split, tile, pad, gather and scatter. */
#include "mil/function.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

#include <string.h>

enum { MOST_PARTS = 256 }; /* of one split */

/* ---- concat, split ------------------------------------------------------------------------------------- */

bool mil_infer_concat(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_arg *values = &op->args[0];
    mil_type t = f->values[values->values[0]].type;
    bool interleave = mil_arg_bool(f, op, "interleave", false);
    int32_t axis;
    if (!mil_arg_axis(f, op, 0, t.rank, &axis, e)) return false;
    int64_t total = t.dim[axis];
    for (int i = 1; i < values->n; i++) {
        const mil_type *next = &f->values[values->values[i]].type;
        mil_type fit = *next;
        if (!mil_same_dtype("values[0]", &t, "another of values", next, e)) return false;
        if (fit.rank == t.rank && !interleave) fit.dim[axis] = t.dim[axis];
        char first[256], other[256];
        if (!mil_type_equal(&fit, &t))
            return ane_fail(e, ANE_ERROR_SHAPE, NULL,
                "values[%d] is %s, values[0] is %s; expected equal shapes%s", i,
                mil_shape_print(next, other, sizeof other), mil_shape_print(&t, first, sizeof first),
                interleave ? " to interleave" : " but for the axis");
        if (__builtin_add_overflow(total, next->dim[axis], &total))
            return ane_fail(
                e, ANE_ERROR_SHAPE, NULL, "the sum along axis %d does not fit in 63 bits", (int)axis);
    }
    t.dim[axis] = total;
    results[0] = t;
    return true;
}

static bool equal_parts(
    const mil_function *f, const mil_operation *op, int64_t dim, int64_t *sizes, ane_error *e) {
    int32_t n = mil_arg_int(f, op, "num_splits", 0);
    if (n < 1 || dim % n)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "num_splits is %d; expected what divides the %lld elements of the axis", (int)n, (long long)dim);
    if (n != op->n_results)
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "num_splits is %d, but there are %d results", (int)n,
            (int)op->n_results);
    for (int i = 0; i < n; i++) sizes[i] = dim / n;
    return true;
}

/* The length of each part along the axis: op->n_results of them. */
static bool split_sizes(
    const mil_function *f, const mil_operation *op, int32_t *axis, int64_t *sizes, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x"), *given = mil_arg_type(f, op, "split_sizes");
    if (!mil_arg_axis(f, op, 0, x->rank, axis, e)) return false;
    int64_t dim = x->dim[*axis], total = 0;
    if (!given) return equal_parts(f, op, dim, sizes, e);
    const void *data = f->values[mil_arg_value(op, "split_sizes")].constant->data;
    if (!data || given->rank != 1 || given->dim[0] != op->n_results)
        return ane_fail(
            e, ANE_ERROR_SHAPE, NULL, "split_sizes must hold %d sizes, one per result", (int)op->n_results);
    for (int i = 0; i < op->n_results; i++) {
        sizes[i] = (int64_t)mil_constant_at(given, data, i);
        total += sizes[i] > 0 ? sizes[i] : INT64_MIN / 2; /* below zero for good */
        if (total < 0 || total > dim) break;
    }
    if (total != dim)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "split_sizes must be positive and add up to %lld, the axis of x", (long long)dim);
    return true;
}

bool mil_infer_split(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    int32_t axis;
    int64_t sizes[MOST_PARTS] = {0};
    if (op->n_results > MOST_PARTS)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL, "%d parts; at most %d are supported",
            (int)op->n_results, MOST_PARTS);
    if (!split_sizes(f, op, &axis, sizes, e)) return false;
    for (int i = 0; i < op->n_results; i++) {
        results[i] = *x;
        results[i].dim[axis] = sizes[i];
    }
    return true;
}

/* ---- tile, pad ----------------------------------------------------------------------------------------- */

bool mil_infer_tile(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    int32_t reps[MIL_MAX_RANK];
    int n = 0;
    if (!mil_arg_ints(f, op, "reps", MIL_MAX_RANK, reps, &n, e)) return false;
    if (n != x->rank)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "reps has %d elements; expected %d, one per axis of x", n,
            (int)x->rank);
    results[0] = *x;
    for (int i = 0; i < n; i++)
        if (reps[i] < 1 || __builtin_mul_overflow(x->dim[i], (int64_t)reps[i], &results[0].dim[i]))
            return ane_fail(e, ANE_ERROR_SHAPE, NULL,
                "reps[%d] is %d; expected at least 1 and a size that fits", i, (int)reps[i]);
    return true;
}

bool mil_pad_resolve(
    const mil_function *f, const mil_operation *op, int64_t *before, int64_t *after, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    int32_t raw[2 * MIL_MAX_RANK];
    int n = 0;
    if (!mil_arg_ints(f, op, "pad", 2 * MIL_MAX_RANK, raw, &n, e)) return false;
    if (n % 2 || n / 2 > x->rank)
        return ane_fail(
            e, ANE_ERROR_SHAPE, NULL, "pad has %d elements; expected two for each of the last axes of x", n);
    int skipped = x->rank - n / 2; /* fewer amounts than axes: they are the last axes' */
    memset(before, 0, MIL_MAX_RANK * sizeof *before);
    memset(after, 0, MIL_MAX_RANK * sizeof *after);
    for (int i = 0; i < n; i++) {
        if (raw[i] < 0)
            return ane_fail(
                e, ANE_ERROR_ARGUMENT, NULL, "pad[%d] is %d; expected at least 0", i, (int)raw[i]);
        (i % 2 ? after : before)[skipped + i / 2] = raw[i];
    }
    return true;
}

bool mil_infer_pad(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    const char *mode = mil_arg_string(f, op, "mode", "constant");
    int64_t before[MIL_MAX_RANK], after[MIL_MAX_RANK];
    bool reflect = strcmp(mode, "reflect") == 0;
    if (!reflect && strcmp(mode, "constant") != 0 && strcmp(mode, "replicate") != 0)
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL,
            "mode \"%s\" is unknown; expected constant, reflect or replicate", mode);
    if (!mil_same_dtype("x", x, "constant_val", mil_arg_type(f, op, "constant_val"), e) ||
        !mil_pad_resolve(f, op, before, after, e))
        return false;
    results[0] = *x;
    for (int i = 0; i < x->rank; i++) {
        if (reflect && (before[i] >= x->dim[i] || after[i] >= x->dim[i]))
            return ane_fail(e, ANE_ERROR_SHAPE, NULL,
                "axis %d: a reflection must be shorter than the %lld elements", i, (long long)x->dim[i]);
        if (__builtin_add_overflow(x->dim[i], before[i] + after[i], &results[0].dim[i]))
            return ane_fail(e, ANE_ERROR_SHAPE, NULL, "axis %d: the padded size does not fit in 63 bits", i);
    }
    return true;
}

/* ---- gather, scatter ----------------------------------------------------------------------------------- */

bool mil_gather_resolve(
    const mil_function *f, const mil_operation *op, mil_gather_geometry *g, ane_error *e) {
    const mil_type *x = &f->values[op->args[0].values[0]].type, *indices = mil_arg_type(f, op, "indices");
    *g = (mil_gather_geometry){.batch = 1, .outer = 1, .n = 1, .inner = 1, .picks = 1};
    if (!mil_arg_axis(f, op, 0, x->rank, &g->axis, e)) return false;
    g->batch_dims = mil_arg_int(f, op, "batch_dims", 0);
    if (g->batch_dims < 0 || g->batch_dims > g->axis || g->batch_dims > indices->rank)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "batch_dims is %d; expected at most the axis, %d, and the indices' rank", (int)g->batch_dims,
            (int)g->axis);
    for (int i = 0; i < x->rank; i++) {
        if (i < g->batch_dims && x->dim[i] != indices->dim[i])
            return ane_fail(e, ANE_ERROR_SHAPE, NULL, "batch axis %d is %lld in x, %lld in indices", i,
                (long long)x->dim[i], (long long)indices->dim[i]);
        *(i < g->batch_dims ? &g->batch
            : i < g->axis   ? &g->outer
            : i == g->axis  ? &g->n
                            : &g->inner) *= x->dim[i];
    }
    for (int i = g->batch_dims; i < indices->rank; i++) g->picks *= indices->dim[i];
    return true;
}

/* x's shape with the axis replaced by the indices' axes behind the batch. */
static bool gathered(
    const mil_type *x, const mil_type *indices, const mil_gather_geometry *g, mil_type *out, ane_error *e) {
    int rank = x->rank - 1 + indices->rank - g->batch_dims;
    if (rank > MIL_MAX_RANK)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "the result would have rank %d; expected at most %d", rank,
            MIL_MAX_RANK);
    mil_type t = {.dtype = x->dtype};
    for (int i = 0; i < g->axis; i++) t.dim[t.rank++] = x->dim[i];
    for (int i = g->batch_dims; i < indices->rank; i++) t.dim[t.rank++] = indices->dim[i];
    for (int i = g->axis + 1; i < x->rank; i++) t.dim[t.rank++] = x->dim[i];
    *out = t;
    return true;
}

bool mil_infer_gather(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    mil_gather_geometry g;
    return mil_gather_resolve(f, op, &g, e) &&
           gathered(mil_arg_type(f, op, "x"), mil_arg_type(f, op, "indices"), &g, &results[0], e);
}

bool mil_infer_scatter(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    static const char *const modes[] = {"add", "update", "sub", "mul", "div", "max", "min"};
    const mil_type *data = mil_arg_type(f, op, "data"), *updates = mil_arg_type(f, op, "updates");
    const char *mode = mil_arg_string(f, op, "mode", "add");
    bool known = false;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) known = known || strcmp(mode, modes[i]) == 0;
    if (!known)
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL,
            "mode \"%s\" is unknown; expected add, update, sub, mul, div, max or min", mode);
    mil_gather_geometry g;
    mil_type expected;
    if (!mil_same_dtype("data", data, "updates", updates, e) || !mil_gather_resolve(f, op, &g, e) ||
        !gathered(data, mil_arg_type(f, op, "indices"), &g, &expected, e))
        return false;
    char found[256], wanted[256];
    if (!mil_type_equal(updates, &expected))
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "updates is %s; expected %s",
            mil_shape_print(updates, found, sizeof found), mil_shape_print(&expected, wanted, sizeof wanted));
    results[0] = *data;
    return true;
}
