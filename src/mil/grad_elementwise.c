/* Gradients of element-wise operations. d is the derivative by the result; shapes are brought back to the
 * operand's by undoing the broadcast. */
#include "mil/eval.h"
#include "mil/grad.h"
#include "mil/op_functions.h"

#include <math.h>

/* d, a derivative of the result's shape, as one of operand v's; MIL_NONE when v has no part in anything. */
static mil_value suited(mil_grad_state *g, const mil_operation *op, mil_value v, mil_value d) {
    if (d == MIL_NONE || v == MIL_NONE || !g->depends[v]) return MIL_NONE;
    return mil_grad_unbroadcast(g, d, mil_type_of(g->f, op->results[0]), mil_type_of(g->f, v));
}

static void give(mil_grad_state *g, const mil_operation *op, mil_value v, mil_value d) {
    mil_grad_add(g, v, suited(g, op, v, d));
}

static void take(mil_grad_state *g, const mil_operation *op, mil_value v, mil_value d) {
    mil_grad_subtract(g, v, suited(g, op, v, d));
}

/* What most functions below begin with. */
#define OPERANDS(g, op)                                                                                      \
    mil_value x = mil_arg_value(op, "x");                                                                    \
    mil_function *b = (g)->b;                                                                                \
    mil_value d = d_results[0];                                                                              \
    (void)e;

#define X mil_grad_forward(g, x)
#define Y mil_grad_forward(g, y)
#define RESULT mil_grad_forward(g, op->results[0])

/* ---- two operands -------------------------------------------------------------------------------------- */

bool mil_grad_add_op(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    (void)e;
    give(g, op, mil_arg_value(op, "x"), d_results[0]);
    give(g, op, mil_arg_value(op, "y"), d_results[0]);
    return true;
}

bool mil_grad_sub(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    (void)e;
    give(g, op, mil_arg_value(op, "x"), d_results[0]);
    take(g, op, mil_arg_value(op, "y"), d_results[0]);
    return true;
}

bool mil_grad_mul(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    OPERANDS(g, op)
    mil_value y = mil_arg_value(op, "y");
    if (x == y) { /* a square */
        if (mil_grad_wants(g, x)) give(g, op, x, mil_mul(b, mil_mul_scalar(b, d, 2), X));
        return true;
    }
    if (mil_grad_wants(g, x)) give(g, op, x, mil_mul(b, d, Y));
    if (mil_grad_wants(g, y)) give(g, op, y, mil_mul(b, d, X));
    return true;
}

/* z = x / y: dz/dx = 1 / y, dz/dy = -z / y */
bool mil_grad_real_div(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    OPERANDS(g, op)
    mil_value y = mil_arg_value(op, "y");
    if (!mil_grad_wants(g, x) && !mil_grad_wants(g, y)) return true;
    mil_value q = mil_real_div(b, d, Y);
    give(g, op, x, q);
    if (mil_grad_wants(g, y)) take(g, op, y, mil_mul(b, q, RESULT));
    return true;
}

/* The winner gets it all; equal operands get half each. `larger` is the operand that wins when it is the
 * larger. */
static void pick(
    mil_grad_state *g, const mil_operation *op, mil_value larger, mil_value smaller, mil_value d) {
    if (!mil_grad_wants(g, larger) && !mil_grad_wants(g, smaller)) return;
    mil_function *b = g->b;
    mil_dtype dtype = mil_type_of(g->f, op->results[0])->dtype;
    mil_value u = mil_grad_forward(g, larger), v = mil_grad_forward(g, smaller);
    mil_value wins = mil_cast(b, mil_greater(b, u, v), dtype), ties = mil_cast(b, mil_equal(b, u, v), dtype);
    mil_value share = mil_add(b, wins, mil_mul_scalar(b, ties, 0.5));
    mil_value taken = mil_mul(b, d, share);
    mil_value winner = op->opcode == MIL_OP_MAXIMUM ? larger : smaller;
    mil_value loser = op->opcode == MIL_OP_MAXIMUM ? smaller : larger;
    give(g, op, winner, taken);
    if (mil_grad_wants(g, loser)) give(g, op, loser, mil_sub(b, d, taken));
}

bool mil_grad_maximum(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    (void)e;
    pick(g, op, mil_arg_value(op, "x"), mil_arg_value(op, "y"), d_results[0]);
    return true;
}

bool mil_grad_minimum(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    return mil_grad_maximum(g, op, d_results, e);
}

/* d times z' for z = x^y with a constant scalar exponent. A negative one takes d y z / x: x^(y-1) alone leaves fp16's
 * range where the product does not (the norm of small activations: 0.0004^-1.5 is 125000). */
static mil_value pow_by_base(
    mil_grad_state *g, const mil_operation *op, mil_value x, double exponent, mil_value d) {
    mil_function *b = g->b;
    if (exponent == 1) return d;
    mil_value scaled = mil_mul_scalar(b, d, exponent);
    if (exponent < 0) return mil_real_div(b, mil_mul(b, scaled, RESULT), X);
    return mil_mul(b, scaled, exponent == 2 ? X : mil_pow_scalar(b, X, exponent - 1));
}

/* z = x^y: dz/dx = y x^(y-1), dz/dy = z log(x). Where x is 0, z log(x) is 0: log's epsilon keeps it finite.
 */
bool mil_grad_pow(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    OPERANDS(g, op)
    mil_value y = mil_arg_value(op, "y");
    const mil_value_info *exponent = &g->f->values[y];
    const mil_constant *k = exponent->constant;
    bool is_number = k && k->data && mil_type_count(&exponent->type) == 1;
    if (mil_grad_wants(g, x)) {
        double n = is_number ? mil_constant_at(&exponent->type, k->data, 0) : 0;
        if (is_number && n != 0) give(g, op, x, pow_by_base(g, op, x, n, d));
        if (!is_number) give(g, op, x, mil_mul(b, mil_mul(b, d, Y), mil_pow(b, X, mil_add_scalar(b, Y, -1))));
    }
    if (mil_grad_wants(g, y)) give(g, op, y, mil_mul(b, mil_mul(b, d, RESULT), mil_log(b, X, 1e-45)));
    return true;
}

/* cond is taken as it is: which side is chosen does not change smoothly. */
bool mil_grad_select(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    (void)e;
    mil_function *b = g->b;
    mil_value d = d_results[0], p = mil_arg_value(op, "a"), q = mil_arg_value(op, "b");
    if (!mil_grad_wants(g, p) && !mil_grad_wants(g, q)) return true;
    mil_value cond = mil_grad_forward(g, mil_arg_value(op, "cond"));
    mil_value zero = mil_const_float(b, mil_type_of(b, d)->dtype, 0);
    if (mil_grad_wants(g, p)) give(g, op, p, mil_select(b, cond, d, zero));
    if (mil_grad_wants(g, q)) give(g, op, q, mil_select(b, cond, zero, d));
    return true;
}

/* ---- one operand --------------------------------------------------------------------------------------- */

#define UNARY(name, derivative) UNARY_BY(add, name, derivative)
#define NEGATIVE_UNARY(name, derivative) UNARY_BY(subtract, name, derivative)
#define UNARY_BY(add, name, derivative)                                                                      \
    bool mil_grad_##name(                                                                                    \
        mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {              \
        OPERANDS(g, op)                                                                                      \
        if (mil_grad_wants(g, x)) mil_grad_##add(g, x, derivative);                                          \
        return true;                                                                                         \
    }

/* y (1 - y) of y = sigmoid */
static mil_value sigmoid_slope(mil_function *b, mil_value y) {
    return mil_sub(b, y, mil_mul(b, y, y));
}

/* y = x s, s = sigmoid(x): y' = s + y (1 - s) */
static mil_value silu_slope(mil_function *b, mil_value x) {
    mil_value s = mil_sigmoid(b, x), y = mil_mul(b, x, s);
    return mil_add(b, s, mil_sub(b, y, mil_mul(b, y, s)));
}

/* 1, 0 or -1 */
static mil_value sign(mil_function *b, mil_value x) {
    mil_dtype dtype = mil_type_of(b, x)->dtype;
    mil_value zero = mil_const_float(b, dtype, 0);
    return mil_sub(b, mil_cast(b, mil_greater(b, x, zero), dtype), mil_cast(b, mil_less(b, x, zero), dtype));
}

/* 1 where x > 0, else 0 */
static mil_value step(mil_function *b, mil_value x) {
    mil_dtype dtype = mil_type_of(b, x)->dtype;
    return mil_cast(b, mil_greater(b, x, mil_const_float(b, dtype, 0)), dtype);
}

/* 2 / sqrt(pi) exp(-x^2) */
static mil_value erf_slope(mil_function *b, mil_value x) {
    mil_value bell = mil_exp(b, mil_mul_scalar(b, mil_mul(b, x, x), -1));
    return mil_mul_scalar(b, bell, 2 / sqrt(acos(-1.0)));
}

/* d y^2, and for rsqrt (y' = -y^3 / 2) a factor y more: one after the other, since y^3 alone overflows fp16 from 41 on. */
static mil_value times_square(mil_function *b, mil_value d, mil_value y) {
    return mil_mul(b, mil_mul(b, d, y), y);
}

UNARY(exp, mil_mul(b, d, RESULT))
UNARY(log, mil_mul(b, d, mil_inverse(b, X, mil_unary_epsilon(g->f, op))))
UNARY(sqrt, mil_real_div(b, mil_mul_scalar(b, d, 0.5), RESULT))
UNARY(rsqrt, mil_mul(b, times_square(b, mil_mul_scalar(b, d, -0.5), RESULT), RESULT))
NEGATIVE_UNARY(inverse, times_square(b, d, RESULT)) /* -y^2 */
UNARY(abs, mil_mul(b, d, sign(b, X)))
UNARY(sin, mil_mul(b, d, mil_cos(b, X)))
NEGATIVE_UNARY(cos, mil_mul(b, d, mil_sin(b, X)))
UNARY(sigmoid, mil_mul(b, d, sigmoid_slope(b, RESULT)))
UNARY(silu, mil_mul(b, d, silu_slope(b, X)))
UNARY(tanh, mil_sub(b, d, mil_mul(b, d, mil_mul(b, RESULT, RESULT)))) /* 1 - y^2 */
UNARY(relu, mil_mul(b, d, step(b, RESULT)))
UNARY(erf, mil_mul(b, d, erf_slope(b, X)))

bool mil_grad_identity(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    (void)e;
    mil_grad_add(g, mil_arg_value(op, "x"), d_results[0]);
    return true;
}

/* To and from floats; from an integer there is a path only if something made it of floats, which is an error
 * there. */
bool mil_grad_cast(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    OPERANDS(g, op)
    mil_dtype dtype = mil_type_of(g->f, x)->dtype;
    mil_grad_add(g, x, mil_dtype_is_float(dtype) ? mil_cast(b, d, dtype) : d);
    return true;
}
