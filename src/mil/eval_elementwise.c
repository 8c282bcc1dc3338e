/* Element by element: unary, binary, select, cast, gelu. */
#include "mil/eval.h"
#include "mil/op_functions.h"

#include <math.h>
#include <string.h>

/* epsilon when it is not given, as in Apple's MIL. */
static double default_epsilon(mil_opcode opcode) {
    return opcode == MIL_OP_LOG       ? 1e-45
           : opcode == MIL_OP_RSQRT   ? 1e-12
           : opcode == MIL_OP_INVERSE ? 1e-4
                                      : 0;
}

double mil_unary_epsilon(const mil_function *f, const mil_operation *op) {
    double otherwise = default_epsilon(op->opcode);
    return mil_param_index(op->info, "epsilon") < 0 ? otherwise : mil_arg_float(f, op, "epsilon", otherwise);
}

bool mil_eval_unary(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x");
    if (!mil_eval_result(c, 0, out, e)) return false;
    double a = mil_unary_epsilon(c->f, c->op);
    int64_t n = mil_type_count(&out->type);
    for (int64_t i = 0; i < n; i++) out->data[i] = c->op->info->scalar1(x->data[i], a);
    mil_eval_keep_all(c, out);
    return true;
}

bool mil_eval_binary(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x"), *y = mil_eval_arg(c, "y");
    if (!mil_eval_result(c, 0, out, e)) return false;
    int64_t n = mil_type_count(&out->type), index[MIL_MAX_RANK];
    int rank = out->type.rank;
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&out->type, i, index);
        out->data[i] = c->op->info->scalar2(
            x->data[mil_ravel(&x->type, index, rank)], y->data[mil_ravel(&y->type, index, rank)]);
    }
    mil_eval_keep_all(c, out);
    return true;
}

bool mil_eval_select(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *cond = mil_eval_arg(c, "cond"), *a = mil_eval_arg(c, "a"), *b = mil_eval_arg(c, "b");
    if (!mil_eval_result(c, 0, out, e)) return false;
    int64_t n = mil_type_count(&out->type), index[MIL_MAX_RANK];
    int rank = out->type.rank;
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&out->type, i, index);
        const mil_array *from = cond->data[mil_ravel(&cond->type, index, rank)] != 0 ? a : b;
        out->data[i] = from->data[mil_ravel(&from->type, index, rank)];
    }
    return true;
}

/* Towards zero and saturating for integers, x != 0 for bool. */
bool mil_eval_cast(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x");
    if (!mil_eval_result(c, 0, out, e)) return false;
    memcpy(out->data, x->data, sizeof(double) * (size_t)mil_type_count(&x->type));
    mil_eval_keep_all(c, out);
    return true;
}

static double gelu_exact(double x) {
    return 0.5 * x * erfc(-x / sqrt(2));
}

/* Hendrycks and Gimpel, "Gaussian error linear units": the two approximations. */
static double gelu_tanh(double x) {
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

static double gelu_sigmoid(double x) {
    return x * mil_scalar_sigmoid(1.702 * x, 0);
}

bool mil_eval_gelu(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const char *mode = mil_arg_string(c->f, c->op, "mode", "EXACT");
    double (*gelu)(double) = strcmp(mode, "EXACT") == 0                   ? gelu_exact
                             : strcmp(mode, "TANH_APPROXIMATION") == 0    ? gelu_tanh
                             : strcmp(mode, "SIGMOID_APPROXIMATION") == 0 ? gelu_sigmoid
                                                                          : NULL;
    if (!gelu)
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL,
            "mode must be EXACT, TANH_APPROXIMATION or SIGMOID_APPROXIMATION, found %s", mode);
    const mil_array *x = mil_eval_arg(c, "x");
    if (!mil_eval_result(c, 0, out, e)) return false;
    int64_t n = mil_type_count(&x->type);
    for (int64_t i = 0; i < n; i++) out->data[i] = gelu(x->data[i]);
    mil_eval_keep_all(c, out);
    return true;
}
