/* Differentiation against central differences of the reference interpreter, in double precision. */
#include "support/support.h"

#include "anemone/mil.h"
#include "base/random.h"
#include "mil/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- building ------------------------------------------------------------------------------------------ */

#define T(...)                                                                                               \
    mil_tensor(MIL_FP64, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
#define I(...) ((const int32_t[]){__VA_ARGS__})
#define D(...) ((const int64_t[]){__VA_ARGS__})

static mil_value in(mil_function *f, const char *name, mil_type t) {
    return mil_input(f, name, t);
}

static mil_value param(mil_function *f, const char *name, mil_type t) {
    return mil_param(f, name, t);
}

/* An operation with constant knobs that the typed functions do not offer. */
static mil_value call(mil_function *f, const char *op, int n, const mil_named_arg *args) {
    mil_value v = MIL_NONE;
    mil_call(f, op, n, args, 1, &v);
    return v;
}

/* ---- one gradient, assembled --------------------------------------------------------------------------- */

typedef struct setup {
    const mil_function *f;
    mil_array *inputs; /* f->n_inputs */
    int n_params;
    mil_named_array *params;
    mil_array *cotangents; /* per output of f; data NULL for integers */
} setup;

static mil_array random_array(const mil_type *t, ane_rng *rng, double low, double high) {
    int64_t n = mil_type_count(t);
    mil_array a = {*t, malloc(sizeof(double) * (size_t)n)};
    for (int64_t i = 0; i < n; i++) {
        double u = ane_rng_uniform(rng);
        a.data[i] =
            mil_dtype_is_float(t->dtype) ? low + (high - low) * u : floor(u * 3); /* indices below 3 */
    }
    return a;
}

static void setup_new(setup *s, const mil_function *f, double low, double high, uint64_t seed) {
    ane_rng rng = ane_rng_new(seed, 0);
    *s = (setup){.f = f};
    s->inputs = calloc((size_t)f->n_inputs + 1, sizeof *s->inputs);
    s->cotangents = calloc((size_t)f->n_outputs + 1, sizeof *s->cotangents);
    s->params = calloc((size_t)f->n_ops + 1, sizeof *s->params);
    for (int i = 0; i < f->n_inputs; i++)
        s->inputs[i] = random_array(mil_type_of(f, f->inputs[i]), &rng, low, high);
    for (int i = 0; i < f->n_ops; i++) {
        if (f->ops[i].opcode != MIL_OP_PARAMETER) continue;
        mil_value v = f->ops[i].results[0];
        s->params[s->n_params++] =
            (mil_named_array){f->values[v].name, random_array(mil_type_of(f, v), &rng, low, high)};
    }
    for (int i = 0; i < f->n_outputs; i++)
        s->cotangents[i] = random_array(mil_type_of(f, f->outputs[i]), &rng, -1, 1);
}

static void free_arrays(mil_array *a, int n) {
    for (int i = 0; i < n; i++) free(a[i].data);
    free(a);
}

static void setup_free(setup *s) {
    free_arrays(s->inputs, s->f->n_inputs);
    free_arrays(s->cotangents, s->f->n_outputs);
    for (int i = 0; i < s->n_params; i++) free(s->params[i].array.data);
    free(s->params);
}

static mil_array *run(
    const mil_function *f, const mil_array *inputs, int n_params, const mil_named_array *params) {
    ane_error e = {0};
    mil_array *outputs = calloc((size_t)f->n_outputs + 1, sizeof *outputs);
    assert_ok(mil_evaluate(f, MIL_EXACT, inputs, n_params, params, outputs, &e), &e);
    return outputs;
}

/* The scalar that is differentiated: sum of outputs times cotangents. */
static double loss(const setup *s) {
    mil_array *y = run(s->f, s->inputs, s->n_params, s->params);
    double sum = 0;
    for (int i = 0; i < s->f->n_outputs; i++)
        if (mil_dtype_is_float(y[i].type.dtype))
            for (int64_t k = 0; k < mil_type_count(&y[i].type); k++)
                sum += y[i].data[k] * s->cotangents[i].data[k];
    free_arrays(y, s->f->n_outputs);
    return sum;
}

/* d(loss)/d(*x): central differences at h, h/2, h/4, extrapolated twice (Richardson): error of order h^6. */
static double slope(const setup *s, double *x) {
    double kept = *x, h = 1.0 / 256, d[3];
    for (int i = 0; i < 3; i++, h /= 2) {
        *x = kept + h;
        double up = loss(s);
        *x = kept - h;
        d[i] = (up - loss(s)) / (2 * h);
    }
    *x = kept;
    double a = (4 * d[1] - d[0]) / 3, b = (4 * d[2] - d[1]) / 3;
    return (16 * b - a) / 15;
}

static void assert_gradient(const setup *s, const char *name, double *x, const double *found, int64_t n) {
    double *expected = malloc(sizeof(double) * (size_t)n), scale = 1e-3;
    for (int64_t i = 0; i < n; i++) {
        expected[i] = slope(s, &x[i]);
        scale = fmax(scale, fabs(expected[i]));
    }
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(found[i] - expected[i]) <= 1e-7 * scale))
            fail_msg("d(%s)[%lld] is %.12g, central differences say %.12g", name, (long long)i, found[i],
                expected[i]);
    free(expected);
}

/* A named buffer of a gradient's run. */
typedef struct buffers {
    const mil_function *forward, *backward;
    const mil_array *inputs, *outputs, *backward_inputs, *backward_outputs;
} buffers;

static const mil_array *find_in(
    const mil_function *f, const mil_value *ports, int n, const mil_array *a, const char *name) {
    for (int i = 0; i < n; i++)
        if (strcmp(f->values[ports[i]].name, name) == 0) return &a[i];
    return NULL;
}

static const mil_array *find(const buffers *b, const char *name) {
    const mil_function *f = b->forward, *g = b->backward;
    const mil_array *a = find_in(g, g->outputs, g->n_outputs, b->backward_outputs, name);
    if (!a) a = find_in(f, f->outputs, f->n_outputs, b->outputs, name);
    if (!a) a = find_in(f, f->inputs, f->n_inputs, b->inputs, name);
    if (!a) a = find_in(g, g->inputs, g->n_inputs, b->backward_inputs, name);
    if (!a) fail_msg("no buffer is called %s", name);
    return a;
}

/* What backward takes: cotangents by "d_" + output, the rest from forward. */
static mil_array *backward_inputs(const setup *s, const buffers *b) {
    mil_array *a = calloc((size_t)b->backward->n_inputs + 1, sizeof *a);
    for (int i = 0; i < b->backward->n_inputs; i++) {
        const char *name = b->backward->values[b->backward->inputs[i]].name;
        const mil_array *from = NULL;
        for (int o = 0; strncmp(name, "d_", 2) == 0 && o < s->f->n_outputs; o++)
            if (strcmp(name + 2, s->f->values[s->f->outputs[o]].name) == 0) from = &s->cotangents[o];
        a[i] =
            from ? *from
                 : *find(&(buffers){b->forward, &(mil_function){0}, b->inputs, b->outputs, NULL, NULL}, name);
    }
    return a;
}

static void add_product(const buffers *b, const mil_param_grad *row, double *d) {
    const mil_array *l = find(b, row->left), *r = find(b, row->right);
    assert_int_equal(mil_type_count(&l->type), row->m * row->n);
    assert_int_equal(mil_type_count(&r->type), row->k * row->n);
    for (int64_t i = 0; i < row->m; i++)
        for (int64_t j = 0; j < row->k; j++)
            for (int64_t n = 0; n < row->n; n++)
                d[i * row->k + j] += l->data[row->left_transposed ? n * row->m + i : i * row->n + n] *
                                     r->data[row->right_transposed ? n * row->k + j : j * row->n + n];
}

static void check_params(const setup *s, const mil_gradient *g, const buffers *b) {
    for (int i = 0; i < s->n_params; i++) {
        int64_t n = mil_type_count(&s->params[i].array.type);
        double *d = calloc((size_t)n, sizeof *d);
        for (int k = 0; k < g->n_param_grads; k++) {
            const mil_param_grad *row = &g->param_grads[k];
            if (strcmp(row->param, s->params[i].name) != 0) continue;
            const mil_array *value = row->is_product ? NULL : find(b, row->value);
            if (value) assert_true(mil_type_equal(&value->type, &s->params[i].array.type));
            for (int64_t j = 0; value && j < n; j++) d[j] += value->data[j];
            if (row->is_product) add_product(b, row, d);
        }
        assert_gradient(s, s->params[i].name, s->params[i].array.data, d, n);
        free(d);
    }
}

static void check_inputs(const setup *s, const buffers *b) {
    for (int i = 0; i < s->f->n_inputs; i++) {
        if (!mil_dtype_is_float(s->inputs[i].type.dtype)) continue;
        char name[80];
        snprintf(name, sizeof name, "d_%s", s->f->values[s->f->inputs[i]].name);
        const mil_array *d = find(b, name);
        assert_true(mil_type_equal(&d->type, &s->inputs[i].type));
        assert_gradient(s, name + 2, s->inputs[i].data, d->data, mil_type_count(&d->type));
    }
}

/* Forward must give what the original gives, then its taps. */
static void check_forward(const setup *s, const mil_gradient *g, const mil_array *outputs) {
    const mil_function *f = g->forward->functions[0];
    mil_array *y = run(s->f, s->inputs, s->n_params, s->params);
    assert_int_equal(f->n_outputs, s->f->n_outputs + g->n_taps);
    for (int i = 0; i < s->f->n_outputs; i++) {
        assert_string_equal(f->values[f->outputs[i]].name, s->f->values[s->f->outputs[i]].name);
        for (int64_t k = 0; k < mil_type_count(&y[i].type); k++)
            assert_true(fabs(outputs[i].data[k] - y[i].data[k]) <= 1e-12 * fmax(1, fabs(y[i].data[k])));
    }
    for (int i = 0; i < g->n_taps; i++)
        assert_string_equal(f->values[f->outputs[s->f->n_outputs + i]].name, g->taps[i]);
    free_arrays(y, s->f->n_outputs);
}

/* Every input of backward that is no cotangent must be used by something. */
static void check_all_used(const mil_gradient *g) {
    const mil_function *b = g->backward->functions[0];
    for (int i = 0; i < b->n_inputs; i++) {
        bool used = strncmp(b->values[b->inputs[i]].name, "d_", 2) == 0;
        for (int k = 0; k < b->n_ops; k++)
            for (int a = 0; a < b->ops[k].info->n_params; a++)
                for (int j = 0; j < b->ops[k].args[a].n; j++)
                    used = used || b->ops[k].args[a].values[j] == b->inputs[i];
        if (!used) fail_msg("backward does not use its input %s", b->values[b->inputs[i]].name);
    }
}

static void check_gradient(const setup *s, const mil_grad_options *o) {
    ane_error e = {0};
    mil_gradient *g = mil_differentiate(s->f, o, &e);
    assert_ok(g, &e);
    assert_ok(mil_verify(g->forward, &e) && mil_verify(g->backward, &e), &e);
    check_all_used(g);
    buffers b = {g->forward->functions[0], g->backward->functions[0], s->inputs, NULL, NULL, NULL};
    b.outputs = run(b.forward, s->inputs, s->n_params, s->params);
    check_forward(s, g, b.outputs);
    b.backward_inputs = backward_inputs(s, &b);
    b.backward_outputs = run(b.backward, b.backward_inputs, s->n_params, s->params);
    check_inputs(s, &b);
    check_params(s, g, &b);
    for (int k = 0; o->products_in_program && k < g->n_param_grads; k++)
        assert_false(g->param_grads[k].is_product);
    free((void *)b.backward_inputs);
    free_arrays((mil_array *)b.outputs, b.forward->n_outputs);
    free_arrays((mil_array *)b.backward_outputs, b.backward->n_outputs);
    mil_gradient_free(g);
}

typedef void build_fn(mil_function *f);

/* Build, then check with all four combinations of options. */
static void check(build_fn *build, double low, double high) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    build(f);
    assert_ok(mil_program_ok(p, &e), &e);
    setup s;
    setup_new(&s, f, low, high, 7);
    for (int i = 0; i < 4; i++)
        check_gradient(&s, &(mil_grad_options){.products_in_program = i & 1, .recompute_cheap = i & 2});
    setup_free(&s);
    mil_program_free(p);
}

/* ---- element-wise -------------------------------------------------------------------------------------- */

/* One case: what to build and the interval that inputs are drawn from. */
#define CASE(name, low, high, ...)                                                                           \
    static void build_##name(mil_function *f) __VA_ARGS__ static void test_##name(void **state) {            \
        (void)state;                                                                                         \
        check(build_##name, low, high);                                                                      \
    }

#define OUT(v) mil_output(f, "y", v)
#define UNARY_CASE(name, low, high, expression)                                                              \
    CASE(name, low, high, {                                                                                  \
        mil_value x = in(f, "x", T(2, 3));                                                                   \
        OUT(expression);                                                                                     \
    })
#define BINARY_CASE(name, low, high, expression)                                                             \
    CASE(name, low, high, {                                                                                  \
        mil_value x = in(f, "x", T(2, 1, 3)), y = param(f, "w", T(4, 1));                                    \
        mil_value z = in(f, "z", mil_scalar(MIL_FP64)), same = in(f, "same", T(2, 4, 3));                    \
        mil_value r = expression;                                                                            \
        mil_output(f, "y", r);                                                                               \
        y = z;                                                                                               \
        mil_output(f, "scalar", expression);                                                                 \
        x = same;                                                                                            \
        mil_output(f, "both", mil_mul(f, expression, r));                                                    \
    })

BINARY_CASE(add, -1, 1, mil_add(f, x, y))
BINARY_CASE(sub, -1, 1, mil_sub(f, x, y))
BINARY_CASE(mul, -1, 1, mil_mul(f, x, y))
BINARY_CASE(real_div, 0.5, 2, mil_real_div(f, x, y))
BINARY_CASE(maximum, -8, 8, mil_maximum(f, x, y))
BINARY_CASE(minimum, -8, 8, mil_minimum(f, x, y))
BINARY_CASE(pow, 0.5, 2, mil_pow(f, x, y))

UNARY_CASE(square, -1, 1, mil_mul(f, x, x))
UNARY_CASE(pow_numbers, 0.5, 2,
    mil_add(f, mil_add(f, mil_pow_scalar(f, x, 2), mil_pow_scalar(f, x, -0.5)),
        mil_add(f, mil_pow_scalar(f, x, 1), mil_add(f, mil_pow_scalar(f, x, 0), mil_pow_scalar(f, x, 3)))))
UNARY_CASE(exp, -1, 1, mil_exp(f, x))
UNARY_CASE(log, 0.5, 2, mil_log(f, x, 0.25))
UNARY_CASE(sqrt, 0.5, 2, mil_sqrt(f, x))
UNARY_CASE(rsqrt, 0.5, 2, mil_rsqrt(f, x, 0.125))
UNARY_CASE(inverse, 0.5, 2, mil_inverse(f, x, 0.125))
UNARY_CASE(abs, -9, 9, mil_abs(f, x))
UNARY_CASE(sin, -3, 3, mil_sin(f, x))
UNARY_CASE(cos, -3, 3, mil_cos(f, x))
UNARY_CASE(sigmoid, -3, 3, mil_sigmoid(f, x))
UNARY_CASE(silu, -3, 3, mil_silu(f, x))
UNARY_CASE(tanh, -2, 2, mil_tanh(f, x))
UNARY_CASE(relu, -9, 9, mil_relu(f, x))
UNARY_CASE(erf, -2, 2, mil_erf(f, x))
UNARY_CASE(gelu_exact, -2, 2, mil_gelu(f, x, "EXACT"))
UNARY_CASE(gelu_tanh, -2, 2, mil_gelu(f, x, "TANH_APPROXIMATION"))
UNARY_CASE(gelu_sigmoid, -2, 2, mil_gelu(f, x, "SIGMOID_APPROXIMATION"))
UNARY_CASE(identity, -2, 2, mil_identity(f, x))
UNARY_CASE(cast, -2, 2, mil_cast(f, mil_mul_scalar(f, mil_cast(f, x, MIL_FP32), 3), MIL_FP64))
UNARY_CASE(several_uses, 0.5, 2, mil_mul(f, mil_add(f, x, mil_exp(f, x)), mil_sub(f, mil_sqrt(f, x), x)))

CASE(select, -9, 9, {
    mil_value x = in(f, "x", T(2, 1, 3)), w = param(f, "w", T(4, 1)), limit = in(f, "limit", T(3));
    mil_value cond = mil_greater(f, limit, mil_const_float(f, MIL_FP64, 0));
    OUT(mil_select(f, cond, mil_mul(f, x, x), mil_mul_scalar(f, w, 3)));
})

/* ---- over axes ----------------------------------------------------------------------------------------- */

CASE(reduce_sum, -1, 1, {
    mil_value x = in(f, "x", T(2, 3, 4));
    mil_value some = mil_reduce_sum(f, x, 2, I(-1, 0), false), kept = mil_reduce_sum(f, x, 1, I(1), true);
    mil_output(f, "some", mil_mul(f, some, some));
    mil_output(f, "kept", mil_mul(f, kept, x));
    mil_output(f, "all", mil_reduce_sum(f, mil_mul(f, x, x), 0, NULL, false));
})
CASE(reduce_mean, -1, 1, {
    mil_value x = in(f, "x", T(2, 3, 4));
    mil_value some = mil_reduce_mean(f, x, 2, I(-1, 0), false), kept = mil_reduce_mean(f, x, 1, I(-2), true);
    mil_output(f, "some", mil_mul(f, some, some));
    mil_output(f, "kept", mil_transpose(f, mil_mul(f, kept, mil_exp(f, kept)), I(2, 0, 1)));
    mil_output(f, "centred", mil_sub(f, x, kept));
    mil_output(f, "all", mil_reduce_mean(f, mil_mul(f, x, x), 0, NULL, false));
})
CASE(reduce_max, -9, 9, {
    mil_value x = in(f, "x", T(2, 3, 4));
    mil_output(f, "some", mil_reduce_max(f, x, 2, I(-1, 0), false));
    mil_output(f, "kept", mil_mul(f, mil_reduce_max(f, x, 1, I(1), true), x));
})
CASE(softmax, -1, 1, {
    mil_value x = in(f, "x", T(2, 3, 4));
    mil_output(f, "last", mil_softmax(f, x, -1));
    mil_output(f, "first", mil_softmax(f, x, 0));
})
CASE(layer_norm, -1, 1, {
    mil_value x = in(f, "x", T(2, 3, 4)), gamma = param(f, "gamma", T(3, 4)),
              beta = param(f, "beta", T(3, 4));
    mil_value g1 = param(f, "g1", T(3));
    mil_output(f, "last", mil_layer_norm(f, x, 2, I(1, -1), gamma, beta, 1e-2));
    mil_output(f, "middle", mil_layer_norm(f, x, 1, I(1), g1, MIL_NONE, 1e-2));
})

/* ---- products ------------------------------------------------------------------------------------------ */

/* All four transpositions of [.., 2, 3] x [.., 3, 4]; `lead` of each operand. */
static void build_matmuls(mil_function *f, bool x_is_param, bool y_is_param, int64_t x_lead, int64_t y_lead) {
    for (int i = 0; i < 4; i++) {
        bool tx = i & 1, ty = i & 2;
        char xn[8], yn[8], zn[8];
        snprintf(xn, sizeof xn, "x%d", i);
        snprintf(yn, sizeof yn, "y%d", i);
        snprintf(zn, sizeof zn, "z%d", i);
        mil_type xt = tx ? T(x_lead, 3, 2) : T(x_lead, 2, 3), yt = ty ? T(y_lead, 4, 3) : T(y_lead, 3, 4);
        mil_value x = x_is_param ? param(f, xn, xt) : in(f, xn, xt),
                  y = y_is_param ? param(f, yn, yt) : in(f, yn, yt);
        mil_output(f, zn, mil_matmul(f, x, y, tx, ty));
    }
}

static void build_matmul_inputs(mil_function *f) {
    build_matmuls(f, false, false, 2, 2);
}

static void build_matmul_broadcast(mil_function *f) {
    build_matmuls(f, false, false, 2, 1);
}

static void build_matmul_x_param(mil_function *f) {
    build_matmuls(f, true, false, 1, 2);
}

static void build_matmul_y_param(mil_function *f) {
    build_matmuls(f, false, true, 2, 1);
}

static void build_matmul_params(mil_function *f) {
    build_matmuls(f, true, true, 1, 1);
}

static void build_matmul_batched_param(mil_function *f) {
    build_matmuls(f, true, false, 2, 1);
}

static void test_matmul(void **state) {
    (void)state;
    check(build_matmul_inputs, -1, 1);
    check(build_matmul_broadcast, -1, 1);
    check(build_matmul_x_param, -1, 1);
    check(build_matmul_y_param, -1, 1);
    check(build_matmul_params, -1, 1);
    check(build_matmul_batched_param, -1, 1);
}

/* A parameter that arrives transposed, reshaped and cast is still a product's. */
CASE(matmul_view_of_param, -1, 1, {
    mil_value w = param(f, "w", T(4, 3, 1, 1)), x = in(f, "x", T(1, 2, 3));
    mil_value wt = mil_transpose(f, mil_reshape(f, w, 2, D(4, 3)), I(1, 0));
    wt = mil_cast(f, mil_cast(f, wt, MIL_FP32), MIL_FP64);
    OUT(mil_matmul(f, mil_reshape(f, mil_mul(f, x, x), 2, D(2, 3)), wt, false, false));
})
CASE(matmul_rank_mix, -1, 1, {
    mil_value x = in(f, "x", T(2, 1, 2, 3)), y = in(f, "z", T(3, 3, 2));
    OUT(mil_matmul(f, x, y, false, false));
})
CASE(linear, -1, 1, {
    mil_value x = in(f, "x", T(2, 2, 3)), w = param(f, "w", T(4, 3)), bias = param(f, "bias", T(4));
    mil_value h = mil_linear(f, x, w, bias), u = param(f, "u", T(2, 4));
    OUT(mil_linear(f, mil_silu(f, h), u, MIL_NONE));
    mil_output(f, "vector", mil_linear(f, in(f, "v", T(3)), w, MIL_NONE));
})

static void conv_case(mil_function *f, mil_type xt, mil_type wt, const mil_conv_options *o) {
    mil_value x = in(f, "x", xt), w = param(f, "w", wt), bias = param(f, "bias", T(wt.dim[0]));
    mil_conv_options with = *o;
    with.bias = bias;
    OUT(mil_conv_with(f, mil_mul(f, x, x), w, &with));
}

#define CONV(name, xt, wt, ...) CASE(name, -1, 1, { conv_case(f, xt, wt, &(mil_conv_options){__VA_ARGS__}); })
CONV(conv_pointwise, T(1, 3, 1, 4), T(2, 3, 1, 1), .groups = 1)
CONV(conv_pointwise_batch, T(2, 3, 2, 2), T(2, 3, 1, 1), .groups = 1)
CONV(conv_pointwise_strided, T(1, 2, 3, 4), T(2, 2, 1, 1), .stride = {2, 3})
CONV(conv_3x2, T(2, 2, 4, 3), T(2, 2, 3, 2), .groups = 1)
CONV(conv_strides, T(1, 2, 5, 6), T(2, 2, 2, 3), .stride = {2, 2})
CONV(conv_custom_pad, T(1, 2, 3, 3), T(2, 2, 3, 2), .pad = {1, 2, 0, 1}, .pad_type = "custom")
CONV(conv_same, T(1, 1, 4, 5), T(2, 1, 3, 2), .stride = {2, 1}, .pad_type = "same")
CONV(conv_same_lower, T(1, 1, 4, 5), T(2, 1, 2, 2), .pad_type = "same_lower")
CONV(conv_dilation, T(1, 2, 5, 6), T(1, 2, 2, 3), .dilation = {3, 2}, .stride = {1, 2})
CONV(conv_groups, T(2, 4, 3, 3), T(6, 2, 2, 2), .groups = 2, .pad = {1, 0, 0, 1}, .pad_type = "custom")
CONV(conv_depthwise, T(1, 3, 1, 5), T(3, 1, 1, 3), .groups = 3)
CONV(conv_1d, T(2, 2, 6), T(3, 2, 3), .stride = {2}, .pad = {1, 1}, .pad_type = "custom")
CASE(conv_input_weight, -1, 1, {
    mil_value x = in(f, "x", T(1, 3, 1, 4)), w = in(f, "w", T(2, 3, 1, 1));
    OUT(mil_conv(f, x, w));
})
CASE(attention, -1, 1, {
    mil_value q = in(f, "q", T(1, 2, 3, 4)), k = in(f, "k", T(1, 2, 5, 4)), v = in(f, "v", T(1, 2, 5, 3));
    OUT(mil_scaled_dot_product_attention(f, q, k, v, in(f, "mask", T(3, 5))));
})

/* ---- moving elements ----------------------------------------------------------------------------------- */

CASE(reshapes, -1, 1, {
    mil_value x = in(f, "x", T(2, 1, 3)), s = in(f, "s", mil_scalar(MIL_FP64));
    mil_value a = mil_reshape(f, mil_mul(f, x, x), 2, D(3, -1));
    mil_value b = mil_squeeze(f, mil_expand_dims(f, mil_mul(f, a, a), 2, I(0, -1)), 1, I(0));
    OUT(mil_transpose(f, mil_exp(f, b), I(1, 2, 0)));
    mil_output(f, "scalar", mil_mul(f, mil_reshape(f, s, 1, D(1)), mil_reshape(f, x, 1, D(6))));
})
CASE(slices, -1, 1, {
    mil_value x = in(f, "x", T(4, 5));
    mil_value left = mil_slice_by_size(f, x, I(0, 0), I(4, 2)),
              right = mil_slice_by_size(f, x, I(0, 3), I(-1, -1));
    mil_output(f, "joined", mil_mul(f, left, right)); /* side by side, a gap between */
    mil_output(f, "overlap", mil_exp(f, mil_slice_by_size(f, x, I(0, 1), I(4, 2))));
    mil_output(f, "corner", mil_exp(f, mil_slice_by_size(f, x, I(1, 2), I(2, 2))));
    mil_output(f, "strided", mil_exp(f, mil_slice_by_index(f, x, I(0, 4), I(4, -6), I(2, -2))));
    mil_output(f, "all", mil_exp(f, mil_slice_by_index(f, x, I(0, 0), I(4, 5), NULL)));
})
CASE(slice_masks, -1, 1, {
    mil_value x = in(f, "x", T(4, 5, 2));
    const uint8_t no_begin[] = {1, 0, 0}, no_end[] = {1, 1, 0}, squeeze[] = {0, 0, 1};
    mil_type mask = mil_tensor(MIL_BOOL, 1, D(3));
    mil_value begin = mil_const_ints(f, 3, I(2, 1, -1)), end = mil_const_ints(f, 3, I(3, 2, 0)),
              stride = mil_const_ints(f, 3, I(-1, 2, 1)), a = mil_const_data(f, mask, no_begin),
              b = mil_const_data(f, mask, no_end), c = mil_const_data(f, mask, squeeze);
    OUT(mil_exp(
        f, call(f, "slice_by_index", 7,
               (mil_named_arg[]){{"x", 1, &x}, {"begin", 1, &begin}, {"end", 1, &end}, {"stride", 1, &stride},
                   {"begin_mask", 1, &a}, {"end_mask", 1, &b}, {"squeeze_mask", 1, &c}})));
})
CASE(concat, -1, 1, {
    mil_value x = in(f, "x", T(2, 3)), y = param(f, "w", T(2, 1));
    OUT(mil_exp(f, mil_concat(f, 3, (mil_value[]){x, y, x}, -1)));
    mil_value values[] = {x, mil_mul(f, x, x)}, axis = mil_const_int(f, 1), yes = mil_const_bool(f, true);
    mil_output(f, "interleaved",
        mil_exp(
            f, call(f, "concat", 3,
                   (mil_named_arg[]){{"values", 2, values}, {"axis", 1, &axis}, {"interleave", 1, &yes}})));
})
CASE(split, -1, 1, {
    mil_value x = in(f, "x", T(2, 6)), parts[3], sized[3];
    mil_split(f, mil_mul(f, x, x), 3, -1, parts);
    mil_output(f, "a", mil_mul(f, parts[0], parts[2])); /* nobody uses the second */
    mil_value sizes = mil_const_ints(f, 3, I(1, 3, 2)), axis = mil_const_int(f, 1);
    mil_call(f, "split", 3, (mil_named_arg[]){{"x", 1, &x}, {"split_sizes", 1, &sizes}, {"axis", 1, &axis}},
        3, sized);
    mil_output(f, "b", mil_exp(f, sized[0]));
    mil_output(f, "c", mil_exp(f, sized[1]));
    mil_output(f, "d", mil_exp(f, sized[2]));
})
CASE(tile, -1, 1, {
    mil_value x = in(f, "x", T(2, 1, 3));
    OUT(mil_exp(f, mil_mul(f, mil_tile(f, x, I(2, 3, 2)), param(f, "w", T(4, 3, 6)))));
})
static mil_value pad_with(mil_function *f, mil_value x, const char *mode) {
    mil_value pad = mil_const_ints(f, 4, I(2, 1, 0, 2)), how = mil_const_string(f, mode);
    return call(f, "pad", 3, (mil_named_arg[]){{"x", 1, &x}, {"pad", 1, &pad}, {"mode", 1, &how}});
}
CASE(pad, -1, 1, {
    mil_value x = in(f, "x", T(2, 3, 4));
    mil_output(f, "constant", mil_exp(f, mil_pad(f, x, I(0, 1, 2, 0, 1, 1), 0.5)));
    mil_output(f, "reflect", mil_exp(f, pad_with(f, x, "reflect")));
    mil_output(f, "replicate", mil_exp(f, pad_with(f, x, "replicate")));
})

/* ---- by index ------------------------------------------------------------------------------------------ */

CASE(gather, -1, 1, {
    mil_value x = in(f, "x", T(2, 3, 2)), table = param(f, "table", T(3, 2));
    mil_value i = in(f, "i", mil_tensor(MIL_INT32, 2, D(2, 3)));
    mil_output(f, "rows", mil_exp(f, mil_gather(f, table, i, 0)));
    mil_output(f, "middle", mil_exp(f, mil_gather(f, x, i, -2)));
})
static mil_value scatter_with(mil_function *f, const char *mode) {
    mil_value i = mil_find(f, "i"), x = mil_find(f, "x"), u = mil_find(f, "u");
    return mil_exp(f, mil_scatter(f, x, i, u, 1, mode));
}
CASE(scatter, -1, 1, {
    in(f, "x", T(2, 3, 2));
    in(f, "u", T(2, 5, 2));
    in(f, "i", mil_tensor(MIL_INT32, 1, D(5))); /* five places of three: some are hit twice */
    mil_output(f, "add", scatter_with(f, "add"));
    mil_output(f, "sub", scatter_with(f, "sub"));
    mil_output(f, "update", scatter_with(f, "update"));
})

/* ---- networks ------------------------------------------------------------------------------------------ */

CASE(mlp, -1, 1, {
    mil_value x = in(f, "x", T(3, 4)), w1 = param(f, "w1", T(5, 4)), b1 = param(f, "b1", T(5)),
              w2 = param(f, "w2", T(2, 5));
    mil_value h = mil_linear(f, x, w1, b1);
    mil_output(f, "hidden", h);
    OUT(mil_softmax(f, mil_linear(f, mil_tanh(f, h), w2, MIL_NONE), -1));
})
/* Parameters used twice, once as a table and once as a product: rows add up. */
CASE(tied, -1, 1, {
    mil_value w = param(f, "w", T(3, 2)), i = in(f, "i", mil_tensor(MIL_INT32, 1, D(4)));
    OUT(mil_linear(f, mil_silu(f, mil_gather(f, w, i, 0)), w, MIL_NONE));
})
CASE(unused, -1, 1, {
    mil_value x = in(f, "x", T(2, 3));
    in(f, "idle", T(2));
    in(f, "idle_scalar", mil_scalar(MIL_FP64));
    param(f, "idle_param", T(3));
    OUT(mil_exp(f, x));
})

/* A sum's derivative is one number for many elements; what was broadcast must count each of them. */
CASE(sum_of_broadcast, -1, 1, {
    mil_value x = in(f, "x", T(2, 1, 3)), w = param(f, "w", T(4, 1));
    mil_value h = mil_add(f, mil_mul(f, x, x), mil_silu(f, w));
    mil_output(f, "all", mil_reduce_mean(f, h, 0, NULL, false));
    mil_output(f, "some", mil_exp(f, mil_reduce_sum(f, h, 2, I(0, 1), true)));
})
/* Forward names that look like backward's own. */
CASE(names, -1, 1, {
    mil_value x = in(f, "x", T(2, 3)), w = param(f, "d_w", T(3, 3)), v = param(f, "v", T(3, 3));
    mil_value h = mil_name(f, mil_softmax(f, mil_matmul(f, x, w, false, false), -1), "d_y");
    mil_value k = mil_name(f, mil_softmax(f, mil_matmul(f, h, w, false, false), -1), "d_x");
    mil_value m = mil_matmul(f, mil_silu(f, mil_mul(f, h, k)), v, false, false);
    OUT(m);
})

/* Llama's block on [1, C, 1, S]: RMSNorm, rotary embedding, grouped queries, SwiGLU. */
enum { DIM = 8, HEADS = 2, KV = 1, SIZE = 4, HIDDEN = 12, SEQ = 5 };

static mil_value rms_norm(mil_function *f, mil_value x, const char *name) {
    mil_value ms = mil_reduce_mean(f, mil_mul(f, x, x), 1, I(1), true); /* [1, 1, 1, S] */
    mil_value r = mil_name(f, mil_rsqrt(f, ms, 1e-5), strcmp(name, "norm1") == 0 ? "r1" : "r2");
    return mil_mul(f, mil_mul(f, x, r), param(f, name, T(1, DIM, 1, 1)));
}

static mil_value rotate(mil_function *f, mil_value x, int heads, mil_value cos, mil_value sin) {
    x = mil_reshape(f, x, 4, D(1, heads, SIZE, SEQ));
    mil_value a = mil_slice_by_size(f, x, I(0, 0, 0, 0), I(1, heads, SIZE / 2, SEQ)),
              b = mil_slice_by_size(f, x, I(0, 0, SIZE / 2, 0), I(1, heads, SIZE / 2, SEQ));
    mil_value parts[] = {mil_sub(f, mil_mul(f, a, cos), mil_mul(f, b, sin)),
        mil_add(f, mil_mul(f, b, cos), mil_mul(f, a, sin))};
    return mil_concat(f, 2, parts, 2); /* [1, heads, SIZE, S] */
}

static mil_value project(mil_function *f, mil_value x, const char *name, int64_t out, int64_t in_channels) {
    return mil_conv(f, x, param(f, name, T(out, in_channels, 1, 1)));
}

static void build_llama(mil_function *f) {
    mil_value x = in(f, "x", T(1, DIM, 1, SEQ));
    mil_value cos = in(f, "rope_cos", T(SIZE / 2, SEQ)), sin = in(f, "rope_sin", T(SIZE / 2, SEQ)),
              mask = in(f, "mask", T(SEQ, SEQ));
    mil_value n1 = rms_norm(f, x, "norm1");
    mil_value q = mil_name(f, rotate(f, project(f, n1, "wq", HEADS * SIZE, DIM), HEADS, cos, sin), "q");
    mil_value k = mil_name(f, rotate(f, project(f, n1, "wk", KV * SIZE, DIM), KV, cos, sin), "k");
    mil_value v = mil_name(f, project(f, n1, "wv", KV * SIZE, DIM), "v");
    mil_value keys = mil_tile(f, k, I(1, HEADS / KV, 1, 1));
    mil_value values = mil_tile(f, mil_reshape(f, v, 4, D(1, KV, SIZE, SEQ)), I(1, HEADS / KV, 1, 1));
    mil_value scores = mil_mul_scalar(f, mil_matmul(f, q, keys, true, false), 0.5); /* [1, HEADS, S, S] */
    mil_value p = mil_name(f, mil_softmax(f, mil_add(f, scores, mask), -1), "p");
    mil_value o = mil_name(f, mil_matmul(f, values, p, false, true), "o"); /* [1, HEADS, SIZE, S] */
    o = mil_reshape(f, o, 4, D(1, HEADS * SIZE, 1, SEQ));
    mil_value x2 = mil_name(f, mil_add(f, x, project(f, o, "wo", DIM, HEADS * SIZE)), "x2");
    mil_value n2 = rms_norm(f, x2, "norm2");
    mil_value h1 = mil_name(f, project(f, n2, "w1", HIDDEN, DIM), "h1"),
              h3 = mil_name(f, project(f, n2, "w3", HIDDEN, DIM), "h3");
    mil_value gate = mil_mul(f, mil_silu(f, h1), h3);
    OUT(mil_add(f, x2, project(f, gate, "w2", DIM, HIDDEN)));
}

static void test_llama(void **state) {
    (void)state;
    check(build_llama, -1, 1);
}

static bool has_tap(const mil_gradient *g, const char *name) {
    for (int i = 0; i < g->n_taps; i++)
        if (strcmp(g->taps[i], name) == 0) return true;
    return false;
}

/* The taps decide how much memory training takes. */
static void test_llama_taps(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    build_llama(f);
    const char *wrt[] = {"x"};
    mil_gradient *g =
        mil_differentiate(f, &(mil_grad_options){.n_wrt = 1, .wrt = wrt, .recompute_cheap = true}, &e);
    assert_ok(g, &e);
    const char *expected[] = {"r1", "q", "k", "v", "p", "o", "x2", "r2", "h1", "h3"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!has_tap(g, expected[i])) fail_msg("%s is no tap", expected[i]);
    assert_int_equal(g->n_taps, sizeof expected / sizeof *expected);
    int products = 0;
    for (int i = 0; i < g->n_param_grads; i++) products += g->param_grads[i].is_product;
    assert_int_equal(products, 7);
    assert_int_equal(g->n_param_grads, 9); /* and two norms */
    assert_int_equal(mil_find(g->backward->functions[0], "d_rope_cos"), MIL_NONE);
    mil_gradient_free(g);
    mil_program_free(p);
}

/* What forward gives out anyway is no tap, even if it could be smaller than what is. */
static void test_output_is_no_tap(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value k = mil_const_float(f, MIL_FP64, 0.5);
    mil_value h = mil_matmul(f, in(f, "x", T(2, 1)), mil_reshape(f, k, 2, D(1, 1)), false, false);
    mil_value large = mil_tile(f, h, I(4, 3)); /* could be made again of h */
    mil_output(f, "large", large);
    mil_output(f, "y", mil_mul(f, large, large));
    for (int cheap = 0; cheap < 2; cheap++) {
        mil_gradient *g = mil_differentiate(f, &(mil_grad_options){.recompute_cheap = cheap}, &e);
        assert_ok(g, &e);
        assert_int_equal(g->n_taps, 0);
        mil_gradient_free(g);
    }
    mil_program_free(p);
}

/* A constant that only a blob file holds stays one in backward; a loaded one has its value there too. */
static void test_blob_constant(void **state) {
    (void)state;
    ane_error e = {0};
    for (int loaded = 0; loaded < 2; loaded++) {
        mil_program *p = mil_program_new(MIL_IOS18, &e);
        mil_function *f = mil_function_new(p, "main");
        mil_value x = in(f, "x", T(2)), k = mil_const_blob(f, T(2), "@model_path/weights/k.bin", 64);
        const double value[] = {3, 5};
        if (loaded) f->values[k].constant->data = value;
        OUT(mil_mul(f, x, k));
        mil_gradient *g = mil_differentiate(f, &(mil_grad_options){.n_wrt = 0}, &e);
        assert_ok(g, &e);
        const mil_function *b = g->backward->functions[0];
        const mil_constant *found = NULL;
        for (int v = 0; v < b->n_values; v++)
            if (b->values[v].constant && b->values[v].constant->blob_path) found = b->values[v].constant;
        assert_non_null(found);
        assert_string_equal(found->blob_path, "@model_path/weights/k.bin");
        assert_int_equal(found->blob_offset, 64);
        assert_true(loaded ? memcmp(found->data, value, sizeof value) == 0 : found->data == NULL);
        mil_gradient_free(g);
        mil_program_free(p);
    }
}

/* ---- random programs ----------------------------------------------------------------------------------- */

/* Twelve operations over what there is so far, every value of shape [2, 3, 4] or one that broadcasts to it: values are
 * used many times, sums of derivatives come in every order, signs and broadcasts meet. */
static ane_rng dice;

static mil_value any(const mil_value *pool, int n) {
    return pool[ane_rng_below(&dice, (uint64_t)n)];
}

static mil_value random_step(mil_function *f, const mil_value *pool, int n) {
    mil_value x = any(pool, n), y = any(pool, n), whole = pool[2]; /* of full shape */
    switch (ane_rng_below(&dice, 10)) {
    case 0: return mil_add(f, x, y);
    case 1: return mil_sub(f, x, y);
    case 2: return mil_mul(f, mil_tanh(f, x), y);
    case 3: return mil_sigmoid(f, mil_sub(f, y, x));
    case 4: return mil_cos(f, x);
    case 5: return mil_reduce_mean(f, mil_add(f, x, whole), 1, I(1), true);
    case 6: return mil_mul(f, mil_reduce_sum(f, mil_sub(f, whole, x), 2, I(0, 2), true), y);
    case 7: return mil_softmax(f, mil_sub(f, whole, x), 2);
    case 8: {
        mil_value full = mil_sub(f, whole, x), half[2];
        mil_split(f, full, 2, 2, half);
        return mil_concat(f, 2, (mil_value[]){mil_sub(f, half[1], half[0]), half[0]}, 2);
    }
    default: return mil_matmul(f, mil_add(f, x, whole), mil_find(f, "w"), false, ane_rng_below(&dice, 2));
    }
}

static void build_random(mil_function *f) {
    mil_value pool[16] = {in(f, "a", T(2, 1, 4)), in(f, "b", T(3, 1)), in(f, "c", T(2, 3, 4))};
    param(f, "w", T(4, 4));
    for (int n = 3; n < 15; n++) pool[n] = random_step(f, pool, n);
    OUT(pool[14]);
    mil_output(f, "z", mil_sub(f, pool[13], pool[12]));
}

static void test_random(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        dice = ane_rng_new(seed, 1);
        check(build_random, -1, 1);
    }
}

/* Weights that are unpacked when compiling are unpacked in backward too, not handed over. */
static void test_constexpr_weight(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    const int8_t packed[] = {1, -2, 3, 4, 5, -6};
    mil_value data = mil_const_data(f, mil_tensor(MIL_INT8, 4, D(2, 3, 1, 1)), packed),
              zero = mil_const_data(f, mil_scalar(MIL_INT8), packed),
              scale = mil_const_float(f, MIL_FP64, 0.5), axis = mil_const_int(f, 0);
    mil_value w = call(f, "constexpr_affine_dequantize", 4,
        (mil_named_arg[]){{"quantized_data", 1, &data}, {"zero_point", 1, &zero}, {"scale", 1, &scale},
            {"axis", 1, &axis}});
    OUT(mil_conv(f, in(f, "x", T(1, 3, 1, 2)), w));
    setup s;
    setup_new(&s, f, -1, 1, 3);
    check_gradient(&s, &(mil_grad_options){.n_wrt = 0});
    setup_free(&s);
    mil_gradient *g = mil_differentiate(f, NULL, &e);
    assert_ok(g, &e);
    assert_int_equal(g->n_taps, 0);
    mil_gradient_free(g);
    mil_program_free(p);
}

/* ---- ties, refusals ------------------------------------------------------------------------------------ */

/* Equal operands share: half each for maximum and minimum, evenly for reduce_max. */
static void test_ties(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = in(f, "x", T(2)), z = in(f, "z", T(2));
    mil_output(f, "a", mil_maximum(f, x, z));
    mil_output(f, "b", mil_reduce_max(f, x, 0, NULL, false));
    mil_output(f, "c", mil_minimum(f, x, z));
    mil_gradient *g = mil_differentiate(f, &(mil_grad_options){.recompute_cheap = true}, &e);
    assert_ok(g, &e);
    const mil_function *b = g->backward->functions[0];
    double same[] = {3, 3}, other[] = {3, 1}, da[] = {1, 1}, db[] = {10}, dc[] = {100, 100};
    mil_array inputs[8];
    for (int i = 0; i < b->n_inputs; i++) {
        const char *name = b->values[b->inputs[i]].name;
        inputs[i] = (mil_array){b->values[b->inputs[i]].type, strcmp(name, "d_a") == 0   ? da
                                                              : strcmp(name, "d_b") == 0 ? db
                                                              : strcmp(name, "d_c") == 0 ? dc
                                                              : strcmp(name, "x") == 0   ? same
                                                              : strcmp(name, "z") == 0   ? other
                                                                                         : same};
    }
    mil_array *d = run(b, inputs, 0, NULL);
    assert_true(d[0].data[0] == 0.5 + 5 + 50 && d[0].data[1] == 1 + 5);
    assert_true(d[1].data[0] == 0.5 + 50 && d[1].data[1] == 100);
    free_arrays(d, b->n_outputs);
    mil_gradient_free(g);
    mil_program_free(p);
}

static void refuse(build_fn *build, const mil_grad_options *o, ane_code code, const char *part) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    build(f);
    assert_ok(mil_program_ok(p, &e), &e);
    assert_null(mil_differentiate(f, o, &e));
    assert_error(&e, code, part);
    mil_program_free(p);
}

static void build_comparison(mil_function *f) {
    mil_value x = in(f, "x", T(2, 3));
    OUT(mil_mul(f, x, mil_cast(f, mil_greater(f, x, mil_const_float(f, MIL_FP64, 0)), MIL_FP64)));
}

static void build_quantized(mil_function *f) {
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 1, D(4)));
    mil_value scale = mil_const_float(f, MIL_FP32, 0.5);
    OUT(mil_dequantize(f, mil_quantize(f, x, MIL_INT8, scale, MIL_NONE), scale, MIL_NONE));
}

static void build_scatter_mul(mil_function *f) {
    mil_value i = mil_const_ints(f, 2, I(0, 1));
    OUT(mil_scatter(f, in(f, "x", T(3)), i, in(f, "u", T(2)), 0, "mul"));
}

static void build_truncated(mil_function *f) {
    OUT(mil_cast(f, mil_cast(f, in(f, "x", T(3)), MIL_INT32), MIL_FP64));
}

static void build_batched_gather(mil_function *f) {
    mil_value x = in(f, "x", T(2, 3)), i = in(f, "i", mil_tensor(MIL_INT32, 2, D(2, 2)));
    mil_value axis = mil_const_int(f, 1), one = mil_const_int(f, 1);
    OUT(call(f, "gather", 4,
        (mil_named_arg[]){{"x", 1, &x}, {"indices", 1, &i}, {"axis", 1, &axis}, {"batch_dims", 1, &one}}));
}

static void test_refusals(void **state) {
    (void)state;
    mil_grad_options all = {0};
    refuse(build_comparison, &all, ANE_ERROR_UNSUPPORTED, "greater has no gradient");
    refuse(build_quantized, &all, ANE_ERROR_UNSUPPORTED, "dequantize has no gradient");
    refuse(build_scatter_mul, &all, ANE_ERROR_UNSUPPORTED, "scatter has no gradient");
    refuse(build_truncated, &all, ANE_ERROR_UNSUPPORTED, "cast has no gradient");
    refuse(build_batched_gather, &all, ANE_ERROR_UNSUPPORTED, "batch_dims");
    const char *nobody[] = {"nobody"}, *i[] = {"i"};
    refuse(build_mlp, &(mil_grad_options){.n_wrt = 1, .wrt = nobody}, ANE_ERROR_ARGUMENT, "nobody");
    refuse(build_gather, &(mil_grad_options){.n_wrt = 1, .wrt = i}, ANE_ERROR_TYPE, "int32");
}

/* What does not depend on the chosen inputs may be anything. */
static void test_wrt(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = in(f, "x", T(3)), gate = in(f, "gate", T(3));
    mil_value open = mil_cast(f, mil_greater(f, gate, mil_const_float(f, MIL_FP64, 0)), MIL_FP64);
    OUT(mil_mul(f, mil_mul(f, x, x), open));
    const char *wrt[] = {"x"};
    mil_gradient *g =
        mil_differentiate(f, &(mil_grad_options){.n_wrt = 1, .wrt = wrt, .recompute_cheap = true}, &e);
    assert_ok(g, &e);
    assert_int_equal(g->n_taps, 0);
    assert_int_equal(g->backward->functions[0]->n_outputs, 1);
    mil_gradient_free(g);
    mil_program_free(p);
}

#define TEST(name) cmocka_unit_test(test_##name)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(add), TEST(sub), TEST(mul), TEST(real_div), TEST(maximum),
        TEST(minimum), TEST(pow), TEST(square), TEST(pow_numbers), TEST(exp), TEST(log), TEST(sqrt),
        TEST(rsqrt), TEST(inverse), TEST(abs), TEST(sin), TEST(cos), TEST(sigmoid), TEST(silu), TEST(tanh),
        TEST(relu), TEST(erf), TEST(gelu_exact), TEST(gelu_tanh), TEST(gelu_sigmoid), TEST(identity),
        TEST(cast), TEST(several_uses), TEST(select), TEST(reduce_sum), TEST(reduce_mean), TEST(reduce_max),
        TEST(softmax), TEST(layer_norm), TEST(matmul), TEST(matmul_view_of_param), TEST(matmul_rank_mix),
        TEST(linear), TEST(conv_pointwise), TEST(conv_pointwise_batch), TEST(conv_pointwise_strided),
        TEST(conv_3x2), TEST(conv_strides), TEST(conv_custom_pad), TEST(conv_same), TEST(conv_same_lower),
        TEST(conv_dilation), TEST(conv_groups), TEST(conv_depthwise), TEST(conv_1d), TEST(conv_input_weight),
        TEST(attention), TEST(reshapes), TEST(slices), TEST(slice_masks), TEST(concat), TEST(split),
        TEST(tile), TEST(pad), TEST(gather), TEST(scatter), TEST(mlp), TEST(tied), TEST(unused),
        TEST(sum_of_broadcast), TEST(names), TEST(output_is_no_tap), TEST(constexpr_weight), TEST(random),
        TEST(blob_constant), TEST(llama), TEST(llama_taps), TEST(ties), TEST(refusals), TEST(wrt)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
