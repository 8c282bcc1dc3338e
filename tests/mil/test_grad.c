/* The gradient of every operation against central differences of the reference interpreter. */
#include "support/gradcheck.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- element-wise -------------------------------------------------------------------------------------- */

#define UNARY_CASE(name, low, high, expression)                                                              \
    CASE(name, low, high, {                                                                                  \
        mil_value x = mil_input(f, "x", T(2, 3));                                                            \
        OUT(expression);                                                                                     \
    })
#define BINARY_CASE(name, low, high, expression)                                                             \
    CASE(name, low, high, {                                                                                  \
        mil_value x = mil_input(f, "x", T(2, 1, 3)), y = mil_param(f, "w", T(4, 1));                         \
        mil_value z = mil_input(f, "z", mil_scalar(MIL_FP64)), same = mil_input(f, "same", T(2, 4, 3));      \
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
    mil_value x = mil_input(f, "x", T(2, 1, 3)), w = mil_param(f, "w", T(4, 1)),
              limit = mil_input(f, "limit", T(3));
    mil_value cond = mil_greater(f, limit, mil_const_float(f, MIL_FP64, 0));
    OUT(mil_select(f, cond, mil_mul(f, x, x), mil_mul_scalar(f, w, 3)));
})

/* ---- over axes ----------------------------------------------------------------------------------------- */

CASE(reduce_sum, -1, 1, {
    mil_value x = mil_input(f, "x", T(2, 3, 4));
    mil_value some = mil_reduce_sum(f, x, 2, I(-1, 0), false), kept = mil_reduce_sum(f, x, 1, I(1), true);
    mil_output(f, "some", mil_mul(f, some, some));
    mil_output(f, "kept", mil_mul(f, kept, x));
    mil_output(f, "all", mil_reduce_sum(f, mil_mul(f, x, x), 0, NULL, false));
})
CASE(reduce_mean, -1, 1, {
    mil_value x = mil_input(f, "x", T(2, 3, 4));
    mil_value some = mil_reduce_mean(f, x, 2, I(-1, 0), false), kept = mil_reduce_mean(f, x, 1, I(-2), true);
    mil_output(f, "some", mil_mul(f, some, some));
    mil_output(f, "kept", mil_transpose(f, mil_mul(f, kept, mil_exp(f, kept)), I(2, 0, 1)));
    mil_output(f, "centred", mil_sub(f, x, kept));
    mil_output(f, "all", mil_reduce_mean(f, mil_mul(f, x, x), 0, NULL, false));
})
CASE(reduce_max, -9, 9, {
    mil_value x = mil_input(f, "x", T(2, 3, 4));
    mil_output(f, "some", mil_reduce_max(f, x, 2, I(-1, 0), false));
    mil_output(f, "kept", mil_mul(f, mil_reduce_max(f, x, 1, I(1), true), x));
})
CASE(softmax, -1, 1, {
    mil_value x = mil_input(f, "x", T(2, 3, 4));
    mil_output(f, "last", mil_softmax(f, x, -1));
    mil_output(f, "first", mil_softmax(f, x, 0));
})
CASE(layer_norm, -1, 1, {
    mil_value x = mil_input(f, "x", T(2, 3, 4)), gamma = mil_param(f, "gamma", T(3, 4)),
              beta = mil_param(f, "beta", T(3, 4));
    mil_value g1 = mil_param(f, "g1", T(3));
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
        mil_value x = x_is_param ? mil_param(f, xn, xt) : mil_input(f, xn, xt),
                  y = y_is_param ? mil_param(f, yn, yt) : mil_input(f, yn, yt);
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
    mil_value w = mil_param(f, "w", T(4, 3, 1, 1)), x = mil_input(f, "x", T(1, 2, 3));
    mil_value wt = mil_transpose(f, mil_reshape(f, w, 2, D(4, 3)), I(1, 0));
    wt = mil_cast(f, mil_cast(f, wt, MIL_FP32), MIL_FP64);
    OUT(mil_matmul(f, mil_reshape(f, mil_mul(f, x, x), 2, D(2, 3)), wt, false, false));
})
CASE(matmul_rank_mix, -1, 1, {
    mil_value x = mil_input(f, "x", T(2, 1, 2, 3)), y = mil_input(f, "z", T(3, 3, 2));
    OUT(mil_matmul(f, x, y, false, false));
})
CASE(linear, -1, 1, {
    mil_value x = mil_input(f, "x", T(2, 2, 3)), w = mil_param(f, "w", T(4, 3)),
              bias = mil_param(f, "bias", T(4));
    mil_value h = mil_linear(f, x, w, bias), u = mil_param(f, "u", T(2, 4));
    OUT(mil_linear(f, mil_silu(f, h), u, MIL_NONE));
    mil_output(f, "vector", mil_linear(f, mil_input(f, "v", T(3)), w, MIL_NONE));
})

static void conv_case(mil_function *f, mil_type xt, mil_type wt, const mil_conv_options *o) {
    mil_value x = mil_input(f, "x", xt), w = mil_param(f, "w", wt), bias = mil_param(f, "bias", T(wt.dim[0]));
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
    mil_value x = mil_input(f, "x", T(1, 3, 1, 4)), w = mil_input(f, "w", T(2, 3, 1, 1));
    OUT(mil_conv(f, x, w));
})
CASE(attention, -1, 1, {
    mil_value q = mil_input(f, "q", T(1, 2, 3, 4)), k = mil_input(f, "k", T(1, 2, 5, 4)),
              v = mil_input(f, "v", T(1, 2, 5, 3));
    OUT(mil_scaled_dot_product_attention(f, q, k, v, mil_input(f, "mask", T(3, 5))));
})

CASE(causal_attention, -1, 1, {
    mil_value q = mil_input(f, "q", T(2, 2, 2, 3, 4)), k = mil_input(f, "k", T(2, 2, 1, 3, 4)),
              v = mil_input(f, "v", T(2, 2, 1, 3, 4)), results[2];
    mil_causal_attention(f, q, k, v, 0.7, results);
    OUT(results[0]);
})

/* ---- moving elements ----------------------------------------------------------------------------------- */

CASE(reshapes, -1, 1, {
    mil_value x = mil_input(f, "x", T(2, 1, 3)), s = mil_input(f, "s", mil_scalar(MIL_FP64));
    mil_value a = mil_reshape(f, mil_mul(f, x, x), 2, D(3, -1));
    mil_value b = mil_squeeze(f, mil_expand_dims(f, mil_mul(f, a, a), 2, I(0, -1)), 1, I(0));
    OUT(mil_transpose(f, mil_exp(f, b), I(1, 2, 0)));
    mil_output(f, "scalar", mil_mul(f, mil_reshape(f, s, 1, D(1)), mil_reshape(f, x, 1, D(6))));
})
CASE(slices, -1, 1, {
    mil_value x = mil_input(f, "x", T(4, 5));
    mil_value left = mil_slice_by_size(f, x, I(0, 0), I(4, 2)),
              right = mil_slice_by_size(f, x, I(0, 3), I(-1, -1));
    mil_output(f, "joined", mil_mul(f, left, right)); /* side by side, a gap between */
    mil_output(f, "overlap", mil_exp(f, mil_slice_by_size(f, x, I(0, 1), I(4, 2))));
    mil_output(f, "corner", mil_exp(f, mil_slice_by_size(f, x, I(1, 2), I(2, 2))));
    mil_output(f, "strided", mil_exp(f, mil_slice_by_index(f, x, I(0, 4), I(4, -6), I(2, -2))));
    mil_output(f, "all", mil_exp(f, mil_slice_by_index(f, x, I(0, 0), I(4, 5), NULL)));
})
CASE(slice_masks, -1, 1, {
    mil_value x = mil_input(f, "x", T(4, 5, 2));
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
    mil_value x = mil_input(f, "x", T(2, 3)), y = mil_param(f, "w", T(2, 1));
    OUT(mil_exp(f, mil_concat(f, 3, (mil_value[]){x, y, x}, -1)));
    mil_value values[] = {x, mil_mul(f, x, x)}, axis = mil_const_int(f, 1), yes = mil_const_bool(f, true);
    mil_output(f, "interleaved",
        mil_exp(
            f, call(f, "concat", 3,
                   (mil_named_arg[]){{"values", 2, values}, {"axis", 1, &axis}, {"interleave", 1, &yes}})));
})
CASE(split, -1, 1, {
    mil_value x = mil_input(f, "x", T(2, 6)), parts[3], sized[3];
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
    mil_value x = mil_input(f, "x", T(2, 1, 3));
    OUT(mil_exp(f, mil_mul(f, mil_tile(f, x, I(2, 3, 2)), mil_param(f, "w", T(4, 3, 6)))));
})
static mil_value pad_with(mil_function *f, mil_value x, const char *mode) {
    mil_value pad = mil_const_ints(f, 4, I(2, 1, 0, 2)), how = mil_const_string(f, mode);
    return call(f, "pad", 3, (mil_named_arg[]){{"x", 1, &x}, {"pad", 1, &pad}, {"mode", 1, &how}});
}
CASE(pad, -1, 1, {
    mil_value x = mil_input(f, "x", T(2, 3, 4));
    mil_output(f, "constant", mil_exp(f, mil_pad(f, x, I(0, 1, 2, 0, 1, 1), 0.5)));
    mil_output(f, "reflect", mil_exp(f, pad_with(f, x, "reflect")));
    mil_output(f, "replicate", mil_exp(f, pad_with(f, x, "replicate")));
})

/* ---- by index ------------------------------------------------------------------------------------------ */

CASE(gather, -1, 1, {
    mil_value x = mil_input(f, "x", T(2, 3, 2)), table = mil_param(f, "table", T(3, 2));
    mil_value i = mil_input(f, "i", mil_tensor(MIL_INT32, 2, D(2, 3)));
    mil_output(f, "rows", mil_exp(f, mil_gather(f, table, i, 0)));
    mil_output(f, "middle", mil_exp(f, mil_gather(f, x, i, -2)));
})
static mil_value scatter_with(mil_function *f, const char *mode) {
    mil_value i = mil_find(f, "i"), x = mil_find(f, "x"), u = mil_find(f, "u");
    return mil_exp(f, mil_scatter(f, x, i, u, 1, mode));
}
CASE(scatter, -1, 1, {
    mil_input(f, "x", T(2, 3, 2));
    mil_input(f, "u", T(2, 5, 2));
    mil_input(f, "i", mil_tensor(MIL_INT32, 1, D(5))); /* five places of three: some are hit twice */
    mil_output(f, "add", scatter_with(f, "add"));
    mil_output(f, "sub", scatter_with(f, "sub"));
    mil_output(f, "update", scatter_with(f, "update"));
})

/* x = 1e-4: y = 100, y^3 = 1e6, which fp16 does not have; d y^3 / -2 = -500, which it has. */
static void test_rsqrt_fp16(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    const mil_type type = mil_tensor(MIL_FP16, 1, (int64_t[]){1});
    mil_output(f, "y", mil_rsqrt(f, mil_input(f, "x", type), 0));
    assert_ok(mil_program_ok(p, &e), &e);
    mil_gradient *g =
        mil_differentiate(f, &(mil_grad_options){.n_wrt = 1, .wrt = (const char *const[]){"x"}}, &e);
    assert_ok(g, &e);
    const mil_function *back = mil_program_function(g->backward, NULL);
    double known[] = {1e-3, 100}; /* d_y, and the tap y */
    mil_array in[2], out[4] = {{.data = NULL}};
    assert_in_range(back->n_inputs, 1, 2);
    for (int i = 0; i < back->n_inputs; i++)
        in[i] = (mil_array){type, &known[strcmp(back->values[back->inputs[i]].name, "d_y") != 0]};
    assert_ok(mil_evaluate(back, MIL_ROUND_FP16, in, 0, NULL, out, &e), &e);
    if (!(fabs(out[0].data[0] / -500 - 1) < 0.01)) fail_msg("%g, expected -500", out[0].data[0]);
    free(out[0].data);
    mil_gradient_free(g);
    mil_program_free(p);
}

static void test_breadth(void **state) {
    (void)state;
    check_breadth();
}

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
        TEST(attention), TEST(causal_attention), TEST(reshapes), TEST(slices), TEST(slice_masks),
        TEST(concat), TEST(split), TEST(tile), TEST(pad), TEST(gather), TEST(scatter), TEST(rsqrt_fp16),
        TEST(breadth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
