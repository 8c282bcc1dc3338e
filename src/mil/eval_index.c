/* By index: gather and scatter. */
#include "mil/eval.h"
#include "mil/op_functions.h"

#include <math.h>
#include <string.h>

/* Negative indices count from the end up to iOS 16 and are errors from iOS 17 on. */
static bool negative_counts_from_end(const mil_function *f) {
    return f->opset && (strcmp(f->opset, "ios15") == 0 || strcmp(f->opset, "ios16") == 0);
}

static bool check_index(const mil_eval_context *c, const mil_array *indices, int64_t at, int64_t size,
    int64_t *index, ane_error *e) {
    double given = indices->data[at];
    double i = given < 0 && negative_counts_from_end(c->f) ? given + (double)size : given;
    if (i < 0 || i >= (double)size || i != floor(i))
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "indices[%lld] is %.17g, but the axis has %lld elements",
            (long long)at, given, (long long)size);
    *index = (int64_t)i;
    return true;
}

/* result[x[:axis], indices[batch_dims:], x[axis+1:]] = x[.., index, ..]; the first batch_dims axes are
 * shared. */
bool mil_eval_gather(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x"), *indices = mil_eval_arg(c, "indices");
    int axis = mil_eval_axis(c->f, c->op, "axis", x->type.rank, 0);
    int shared = mil_arg_int(c->f, c->op, "batch_dims", 0), n_index = indices->type.rank - shared;
    if (!mil_eval_result(c, 0, out, e)) return false;
    int64_t n = mil_type_count(&out->type), to[MIL_MAX_RANK], from[MIL_MAX_RANK], at[MIL_MAX_RANK];
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&out->type, i, to);
        for (int a = 0; a < indices->type.rank; a++) at[a] = a < shared ? to[a] : to[axis + a - shared];
        for (int a = 0; a < x->type.rank; a++) from[a] = a < axis ? to[a] : to[a + n_index - 1 + (a == axis)];
        int64_t where = mil_ravel(&indices->type, at, indices->type.rank);
        if (!check_index(c, indices, where, x->type.dim[axis], &from[axis], e)) return false;
        out->data[i] = x->data[mil_ravel(&x->type, from, x->type.rank)];
    }
    return true;
}

static double update(double x, double y) {
    (void)x;
    return y;
}

/* scatter's modes by name; NULL for an unknown one. */
static double (*scatter_mode(const char *mode))(double, double) {
    static const struct {
        const char *name;
        double (*apply)(double, double);
    } modes[] = {{"update", update}, {"add", mil_scalar_add}, {"sub", mil_scalar_sub},
        {"mul", mil_scalar_mul}, {"div", mil_scalar_real_div}, {"max", mil_scalar_maximum},
        {"min", mil_scalar_minimum}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, mode) == 0) return modes[i].apply;
    return NULL;
}

/* indices has one axis; updates has its length along `axis`. Later updates of one place come after earlier
 * ones. */
bool mil_eval_scatter(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *data = mil_eval_arg(c, "data"), *indices = mil_eval_arg(c, "indices"),
                    *updates = mil_eval_arg(c, "updates");
    int axis = mil_eval_axis(c->f, c->op, "axis", data->type.rank, 0);
    const char *mode = mil_arg_string(c->f, c->op, "mode", "add");
    double (*apply)(double, double) = scatter_mode(mode);
    if (!apply)
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL,
            "mode must be update, add, sub, mul, div, max or min, found %s", mode);
    if (!mil_eval_result(c, 0, out, e)) return false;
    memcpy(out->data, data->data, sizeof(double) * (size_t)mil_type_count(&data->type));
    int64_t n = mil_type_count(&updates->type), index[MIL_MAX_RANK];
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&updates->type, i, index);
        if (!check_index(c, indices, index[axis], data->type.dim[axis], &index[axis], e)) return false;
        double *to = &out->data[mil_ravel(&data->type, index, data->type.rank)];
        *to = apply(*to, updates->data[i]);
    }
    mil_eval_keep_all(c, out);
    return true;
}
