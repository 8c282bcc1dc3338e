/* By index: gather and scatter. */
#include "mil/eval.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

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

/* x [batch, outer, n, inner], indices [batch, picks] -> [batch, outer, picks, inner] */
bool mil_eval_gather(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x"), *indices = mil_eval_arg(c, "indices");
    mil_gather_geometry g;
    if (!mil_gather_resolve(c->f, c->op, &g, e) || !mil_eval_result(c, 0, out, e)) return false;
    double *to = out->data;
    for (int64_t b = 0; b < g.batch; b++)
        for (int64_t o = 0; o < g.outer; o++)
            for (int64_t p = 0; p < g.picks; p++) {
                int64_t index;
                if (!check_index(c, indices, b * g.picks + p, g.n, &index, e)) return false;
                const double *from = x->data + ((b * g.outer + o) * g.n + index) * g.inner;
                for (int64_t i = 0; i < g.inner; i++) *to++ = from[i];
            }
    return true;
}

static double update(double x, double y) {
    (void)x;
    return y;
}

/* scatter's modes by name; inference admits no other. */
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

/* data [outer, n, inner], indices [picks], updates [outer, picks, inner]. Of several updates of one place the
 * later comes after the earlier. */
bool mil_eval_scatter(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *data = mil_eval_arg(c, "data"), *indices = mil_eval_arg(c, "indices"),
                    *updates = mil_eval_arg(c, "updates");
    double (*apply)(double, double) = scatter_mode(mil_arg_string(c->f, c->op, "mode", "add"));
    mil_gather_geometry g;
    if (!mil_gather_resolve(c->f, c->op, &g, e) || !mil_eval_result(c, 0, out, e)) return false;
    memcpy(out->data, data->data, sizeof(double) * (size_t)mil_type_count(&data->type));
    const double *from = updates->data;
    for (int64_t o = 0; o < g.outer; o++)
        for (int64_t p = 0; p < g.picks; p++) {
            int64_t index;
            if (!check_index(c, indices, p, g.n, &index, e)) return false;
            double *to = out->data + (o * g.n + index) * g.inner;
            for (int64_t i = 0; i < g.inner; i++) to[i] = apply(to[i], *from++);
        }
    mil_eval_keep_all(c, out);
    return true;
}
