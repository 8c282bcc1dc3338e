/* What element-wise operations do to one element, in double precision. */
#include "mil/op_functions.h"

#include <math.h>

double mil_scalar_identity(double x, double a) {
    (void)a;
    return x;
}

double mil_scalar_exp(double x, double a) {
    (void)a;
    return exp(x);
}

double mil_scalar_log(double x, double a) {
    return log(x + a);
}

double mil_scalar_sqrt(double x, double a) {
    (void)a;
    return sqrt(x);
}

double mil_scalar_rsqrt(double x, double a) {
    return 1 / sqrt(x + a);
}

double mil_scalar_inverse(double x, double a) {
    return 1 / (x + a);
}

double mil_scalar_abs(double x, double a) {
    (void)a;
    return fabs(x);
}

double mil_scalar_sin(double x, double a) {
    (void)a;
    return sin(x);
}

double mil_scalar_cos(double x, double a) {
    (void)a;
    return cos(x);
}

/* 1 / (1 + exp(-x)) without overflow, and accurate for large negative x. */
double mil_scalar_sigmoid(double x, double a) {
    (void)a;
    if (x >= 0) return 1 / (1 + exp(-x));
    double z = exp(x);
    return z / (1 + z);
}

double mil_scalar_silu(double x, double a) {
    return x * mil_scalar_sigmoid(x, a);
}

double mil_scalar_tanh(double x, double a) {
    (void)a;
    return tanh(x);
}

/* Written so that NaN stays NaN. */
double mil_scalar_relu(double x, double a) {
    (void)a;
    return x < 0 ? 0 : x;
}

double mil_scalar_erf(double x, double a) {
    (void)a;
    return erf(x);
}

double mil_scalar_logical_not(double x, double a) {
    (void)a;
    return x == 0;
}

double mil_scalar_add(double x, double y) {
    return x + y;
}

double mil_scalar_sub(double x, double y) {
    return x - y;
}

double mil_scalar_mul(double x, double y) {
    return x * y;
}

double mil_scalar_real_div(double x, double y) {
    return x / y;
}

/* NaN in either operand gives NaN, as in NumPy. */
double mil_scalar_maximum(double x, double y) {
    if (isnan(x) || isnan(y)) return x + y;
    return x > y ? x : y;
}

double mil_scalar_minimum(double x, double y) {
    if (isnan(x) || isnan(y)) return x + y;
    return x < y ? x : y;
}

double mil_scalar_pow(double x, double y) {
    return pow(x, y);
}

double mil_scalar_equal(double x, double y) {
    return x == y;
}

double mil_scalar_not_equal(double x, double y) {
    return x != y;
}

double mil_scalar_greater(double x, double y) {
    return x > y;
}

double mil_scalar_greater_equal(double x, double y) {
    return x >= y;
}

double mil_scalar_less(double x, double y) {
    return x < y;
}

double mil_scalar_less_equal(double x, double y) {
    return x <= y;
}
