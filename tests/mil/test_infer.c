/* Computing operations: the type of the result, and each way to get it wrong with its message. */
#include "mil/infer_cases.h"

#include "mil/shape.h"

/* ---- what holds for every operation -------------------------------------------------------------------- */

static void test_row_checks(void **state) {
    (void)state;
    mil_value two[2];
    REFUSED("exp", ARGUMENT, "x is missing", call("exp", NULL));
    REFUSED("exp", TYPE, "x (\"in0\") is int32; expected one of fp16, fp32, fp64, bf16",
        call("exp", "x", SCALAR(MIL_INT32), NULL));
    REFUSED("exp", ARGUMENT, "exp has no parameter \"z\"", call("exp", "z", F(2), NULL));
    REFUSED("exp", ARGUMENT, "\"x\" is given twice", call("exp", "x", F(2), "x", F(2), NULL));
    REFUSED("exq", UNSUPPORTED, "operation \"exq\" is unknown", call("exq", NULL));
    REFUSED("exp", ARGUMENT, "value 99, which does not exist", mil_exp(f, 99));
    REFUSED("exp", ARGUMENT, "x is missing", mil_exp(f, MIL_NONE));
    REFUSED("reshape", ARGUMENT, "must be a constant; it is computed at run time",
        call("reshape", "x", F(2), "shape", T(MIL_INT32, 1), NULL));
    REFUSED("const", ARGUMENT, "not made from arguments; use mil_const_*", call("const", NULL));
    REFUSED("parameter", ARGUMENT, "use mil_param", call("parameter", NULL));
    REFUSED("mil_emit", ARGUMENT, "opcode 1000 is unknown", mil_emit(f, 1000, NULL, 1, NULL));
    begin();
    mil_value x = F(2);
    mil_named_arg pair = {"x", 2, (mil_value[]){x, x}}, one = {"x", 1, &x};
    assert_false(mil_call(f, "exp", 1, &pair, 1, two));
    end_refused(two[0], "exp \"exp_0\"", ANE_ERROR_ARGUMENT, "x takes one value; found 2");
    begin();
    x = F(2);
    assert_false(mil_call(f, "exp", 1, &one, 2, two));
    end_refused(two[0], "exp", ANE_ERROR_ARGUMENT, "exp has one result; found 2");
}

static void test_result_must_be_a_type(void **state) {
    (void)state;
    const int64_t big = 1LL << 40;
    begin(); /* each dimension fits, their product does not */
    mil_value a = T(MIL_FP32, big, 1), b = T(MIL_FP32, 1, big);
    end_refused(mil_add(f, a, b), "add", ANE_ERROR_SHAPE, "too large");
}

/* ---- element by element -------------------------------------------------------------------------------- */

static void test_elementwise(void **state) {
    (void)state;
    GIVES("tensor<fp32, [2, 3]>", mil_silu(f, F(2, 3)));
    GIVES("fp16", mil_tanh(f, SCALAR(MIL_FP16)));
    GIVES("tensor<fp32, [2, 3]>", mil_log(f, F(2, 3), 1e-6));
    GIVES("tensor<int32, [3]>", mil_abs(f, T(MIL_INT32, 3)));
    GIVES("tensor<bool, [3]>", call("logical_not", "x", T(MIL_BOOL, 3), NULL));
    REFUSED("logical_not", TYPE, "is fp32; expected one of bool", call("logical_not", "x", F(3), NULL));
    GIVES("tensor<int8, [3]>", mil_identity(f, T(MIL_INT8, 3)));
}

static void test_cast(void **state) {
    (void)state;
    GIVES("tensor<fp16, [2]>", mil_cast(f, F(2), MIL_FP16));
    GIVES("tensor<int32, [2]>", call("cast", "x", F(2), "dtype", TEXT("int32"), NULL));
    REFUSED("cast", ARGUMENT, "dtype \"float\"", call("cast", "x", F(2), "dtype", TEXT("float"), NULL));
    REFUSED("cast", ARGUMENT, "dtype \"string\"", mil_cast(f, F(2), MIL_STRING));
}

static void test_binary(void **state) {
    (void)state;
    GIVES("tensor<fp32, [2, 3, 4]>", mil_add(f, F(2, 1, 4), F(3, 1)));
    GIVES("tensor<fp32, [2, 3]>", mil_mul(f, SCALAR(MIL_FP32), F(2, 3)));
    GIVES("tensor<fp32, [2, 3]>", mil_pow_scalar(f, F(2, 3), 2));
    GIVES("tensor<bool, [2, 3]>", mil_less(f, F(2, 3), F(3)));
    GIVES("tensor<bool, [2]>", call("not_equal", "x", T(MIL_INT32, 2), "y", T(MIL_INT32, 2), NULL));
    REFUSED("add \"add_0\"", SHAPE,
        "[2, 3] and [2, 4] do not broadcast: axis 1 from the end is 3 in one, 4 in the other",
        mil_add(f, F(2, 3), F(2, 4)));
    REFUSED("mul", TYPE, "x is fp32, y is fp16", mil_mul(f, F(2), T(MIL_FP16, 2)));
    REFUSED("mul", TYPE, "Insert a cast.", mil_mul(f, F(2), T(MIL_FP16, 2)));
    REFUSED("sub", TYPE, "is bool", mil_sub(f, T(MIL_BOOL, 2), T(MIL_BOOL, 2)));
}

static void test_select(void **state) {
    (void)state;
    GIVES("tensor<fp32, [2, 3]>", mil_select(f, T(MIL_BOOL, 2, 1), F(3), SCALAR(MIL_FP32)));
    REFUSED("select", TYPE, "a is fp32, b is fp16", mil_select(f, T(MIL_BOOL, 2), F(2), T(MIL_FP16, 2)));
    REFUSED("select", TYPE, "expected one of bool", mil_select(f, F(2), F(2), F(2)));
    REFUSED("select", SHAPE, "do not broadcast", mil_select(f, T(MIL_BOOL, 3), F(2), F(2)));
}

static void test_gelu(void **state) {
    (void)state;
    GIVES("tensor<fp32, [2]>", mil_gelu(f, F(2), "EXACT"));
    GIVES("tensor<fp32, [2]>", call("gelu", "x", F(2), NULL));
    REFUSED("gelu", ARGUMENT, "mode \"FAST\" is unknown; expected EXACT, TANH_APPROXIMATION",
        mil_gelu(f, F(2), "FAST"));
}

/* ---- over axes ----------------------------------------------------------------------------------------- */

static void test_reduce(void **state) {
    (void)state;
    GIVES("tensor<fp32, [2, 4]>", mil_reduce_sum(f, F(2, 3, 4), 1, (int32_t[]){1}, false));
    GIVES("tensor<fp32, [2, 1, 1]>", mil_reduce_mean(f, F(2, 3, 4), 2, (int32_t[]){-1, 1}, true));
    GIVES("fp32", mil_reduce_max(f, F(2, 3), 0, NULL, false));
    GIVES("tensor<fp32, [2]>", call("reduce_sum", "x", F(2, 3), "axes", INTS(1), NULL));
    REFUSED("reduce_sum", SHAPE, "axes is 2; expected between -2 and 1",
        mil_reduce_sum(f, F(2, 3), 1, (int32_t[]){2}, true));
    REFUSED("reduce_sum", ARGUMENT, "axes names axis 1 twice",
        mil_reduce_sum(f, F(2, 3), 2, (int32_t[]){1, -1}, true));
    REFUSED("reduce_mean", TYPE, "is int32", mil_reduce_mean(f, T(MIL_INT32, 2), 0, NULL, true));
    REFUSED("reduce_sum", SHAPE, "axes has 9 elements; expected at most 8",
        call("reduce_sum", "x", F(2), "axes", INTS(0, 1, 2, 3, 4, 5, 6, 7, 8), NULL));
}

static void test_softmax(void **state) {
    (void)state;
    GIVES("tensor<fp32, [2, 3]>", mil_softmax(f, F(2, 3), -1));
    GIVES("tensor<fp32, [2, 3]>", call("softmax", "x", F(2, 3), NULL));
    REFUSED("softmax", SHAPE, "axis is 2; expected between -2 and 1", mil_softmax(f, F(2, 3), 2));
}

static void test_layer_norm(void **state) {
    (void)state;
    const int32_t last[] = {-1};
    GIVES("tensor<fp32, [2, 3]>", mil_layer_norm(f, F(2, 3), 1, last, F(3), MIL_NONE, 1e-5));
    GIVES("tensor<fp32, [2, 3]>", mil_layer_norm(f, F(2, 3), 0, NULL, F(2, 3), F(2, 3), 1e-5));
    REFUSED("layer_norm", SHAPE, "gamma is [2]; expected [3]",
        mil_layer_norm(f, F(2, 3), 1, last, F(2), MIL_NONE, 1e-5));
    REFUSED("layer_norm", SHAPE, "beta is [3, 1]; expected [3]",
        mil_layer_norm(f, F(2, 3), 1, last, MIL_NONE, F(3, 1), 1e-5));
    REFUSED("layer_norm", TYPE, "gamma is fp16",
        mil_layer_norm(f, F(2, 3), 1, last, T(MIL_FP16, 3), MIL_NONE, 1e-5));
}

/* ---- products ------------------------------------------------------------------------------------------ */

static mil_value conv(mil_value x, mil_value w, mil_conv_options options) {
    return mil_conv_with(f, x, w, &options);
}

static void test_conv(void **state) {
    (void)state;
    GIVES("tensor<fp32, [2, 5, 6, 5]>", mil_conv(f, F(2, 3, 8, 8), F(5, 3, 3, 4)));
    GIVES("tensor<fp32, [2, 5, 4]>",
        conv(F(2, 3, 8), F(5, 3, 2), (mil_conv_options){.stride = {2}, .bias = MIL_NONE}));
    GIVES("tensor<fp32, [1, 4, 4, 4]>",
        conv(F(1, 2, 8, 8), F(4, 1, 3, 3),
            (mil_conv_options){.stride = {2, 2}, .pad_type = "same", .groups = 2, .bias = MIL_NONE}));
    GIVES("tensor<fp32, [1, 4, 8, 5]>",
        conv(F(1, 2, 8, 8), F(4, 2, 3, 3),
            (mil_conv_options){.pad = {1, 1, 0, 1}, .dilation = {1, 2}, .pad_type = "custom", .bias = F(4)}));
    GIVES("tensor<fp32, [1, 4, 3, 4, 5]>",
        call("conv", "x", F(1, 2, 3, 4, 5), "weight", F(4, 2, 1, 1, 1), NULL));
    mil_conv_options plain = {.bias = MIL_NONE};
    REFUSED("conv", SHAPE,
        "input channels differ: x is [1, 3, 8, 8], weight is [5, 4, 1, 1], groups 1; expected 3",
        mil_conv(f, F(1, 3, 8, 8), F(5, 4, 1, 1)));
    REFUSED("conv", SHAPE, "expected equal ranks", mil_conv(f, F(1, 3, 8, 8), F(5, 3)));
    REFUSED("conv", SHAPE, "expected equal ranks", mil_conv(f, F(3, 8), F(5, 3)));
    REFUSED("conv", SHAPE, "larger than 2^31 - 1", mil_conv(f, F(1, 1, 1LL << 32), F(1, 1, 1)));
    REFUSED("conv", SHAPE, "kernel spans 9 along spatial axis 1, but the padded input has 8",
        mil_conv(f, F(1, 3, 8, 8), F(5, 3, 1, 9)));
    REFUSED("conv", TYPE, "weight is fp16", mil_conv(f, F(1, 3, 8, 8), T(MIL_FP16, 5, 3, 1, 1)));
    plain.groups = 2;
    REFUSED("conv", SHAPE, "groups is 2; it must divide 3 input and 4 output",
        conv(F(1, 3, 8, 8), F(4, 3, 1, 1), plain));
    plain = (mil_conv_options){.pad_type = "full", .bias = MIL_NONE};
    REFUSED("conv", ARGUMENT, "pad_type \"full\" is unknown", conv(F(1, 3, 8, 8), F(4, 3, 1, 1), plain));
    plain = (mil_conv_options){.stride = {-1, 1}, .bias = MIL_NONE};
    REFUSED(
        "conv", ARGUMENT, "strides[0] is -1; expected at least 1", conv(F(1, 3, 8, 8), F(4, 3, 1, 1), plain));
    plain = (mil_conv_options){.pad = {0, -1, 0, 0}, .pad_type = "custom", .bias = MIL_NONE};
    REFUSED("conv", ARGUMENT, "pad[1] is -1; expected at least 0", conv(F(1, 3, 8, 8), F(4, 3, 1, 1), plain));
    REFUSED("conv", SHAPE, "bias is [3]; expected [4]",
        call("conv", "x", F(1, 2, 8, 8), "weight", F(4, 2, 1, 1), "bias", F(3), NULL));
    REFUSED("conv", SHAPE, "strides has 1 elements; expected 2",
        call("conv", "x", F(1, 2, 8, 8), "weight", F(4, 2, 1, 1), "strides", INTS(1), NULL));
    REFUSED("conv", SHAPE, "pad has 2 elements; expected 4",
        call("conv", "x", F(1, 2, 8, 8), "weight", F(4, 2, 1, 1), "pad", INTS(1, 1), "pad_type",
            TEXT("custom"), NULL));
    REFUSED("conv", ARGUMENT, "pad must be a constant",
        call("conv", "x", F(1, 2, 8, 8), "weight", F(4, 2, 1, 1), "pad_type", TEXT("custom"), NULL));
}

static void test_conv_geometry(void **state) {
    (void)state;
    begin(); /* 7 elements, kernel 4, stride 2: 4 results need 3 more elements; the odd one goes behind, or
                before */
    mil_value x = F(1, 1, 7), w = F(1, 1, 4);
    static const char *const types[] = {"same", "same_lower"};
    for (int i = 0; i < 2; i++) {
        mil_value y = call("conv", "x", x, "weight", w, "strides", INTS(2), "pad_type", TEXT(types[i]), NULL);
        mil_conv_geometry g;
        ane_error e = {0};
        assert_ok(mil_conv_resolve(f, &f->ops[f->values[y].op], &g, &e), &e);
        assert_int_equal(g.n_spatial, 1);
        assert_int_equal(g.out[0], 4);
        assert_int_equal(g.pad_before[0], 1 + i);
        assert_int_equal(g.pad_after[0], 2 - i);
    }
    mil_program_free(p);
}

static void test_matmul(void **state) {
    (void)state;
    GIVES("tensor<fp32, [2, 3, 5]>", mil_matmul(f, F(2, 3, 4), F(4, 5), false, false));
    GIVES("tensor<fp32, [2, 7, 3, 5]>", mil_matmul(f, F(2, 1, 4, 3), F(7, 5, 4), true, true));
    GIVES("tensor<int32, [3, 5]>", call("matmul", "x", T(MIL_INT32, 3, 4), "y", T(MIL_INT32, 4, 5), NULL));
    REFUSED("matmul \"matmul_0\"", SHAPE,
        "inner dimensions differ: x is [.., 4, 64], y is [.., 32, 8]; expected 64 rows in y",
        mil_matmul(f, F(4, 64), F(32, 8), false, false));
    REFUSED("matmul", SHAPE, "y is [.., 8, 32] (transposed)", mil_matmul(f, F(4, 64), F(32, 8), false, true));
    REFUSED("matmul", SHAPE, "expected rank 2 or more", mil_matmul(f, F(4), F(4, 5), false, false));
    REFUSED("matmul", SHAPE, "do not broadcast", mil_matmul(f, F(2, 3, 4), F(3, 4, 5), false, false));
    REFUSED("matmul", TYPE, "x is fp32, y is fp16", mil_matmul(f, F(3, 4), T(MIL_FP16, 4, 5), false, false));
}

static void test_linear(void **state) {
    (void)state;
    GIVES("tensor<fp32, [2, 3, 5]>", mil_linear(f, F(2, 3, 4), F(5, 4), F(5)));
    GIVES("tensor<fp32, [5]>", mil_linear(f, F(4), F(5, 4), MIL_NONE));
    REFUSED("linear", SHAPE, "x is [2, 3], weight is [5, 4]; expected x [.., I] and weight [O, I]",
        mil_linear(f, F(2, 3), F(5, 4), MIL_NONE));
    REFUSED("linear", SHAPE, "bias is [4]; expected [5]", mil_linear(f, F(2, 4), F(5, 4), F(4)));
    REFUSED("linear", TYPE, "bias is fp16", mil_linear(f, F(2, 4), F(5, 4), T(MIL_FP16, 5)));
}

static void test_attention(void **state) {
    (void)state;
    mil_value (*sdpa)(mil_function *, mil_value, mil_value, mil_value, mil_value) =
        mil_scaled_dot_product_attention;
    GIVES("tensor<fp32, [2, 3, 4, 7]>", sdpa(f, F(2, 3, 4, 5), F(2, 3, 6, 5), F(2, 3, 6, 7), MIL_NONE));
    GIVES("tensor<fp32, [2, 4, 7]>", sdpa(f, F(2, 4, 5), F(2, 6, 5), F(2, 6, 7), F(4, 6)));
    GIVES("tensor<fp32, [2, 4, 7]>", sdpa(f, F(2, 4, 5), F(2, 6, 5), F(2, 6, 7), T(MIL_BOOL, 2, 1, 6)));
    REFUSED("scaled_dot_product_attention", SHAPE, "expected [B, .., L, E], [B, .., S, E] and [B, .., S, EV]",
        sdpa(f, F(2, 4, 5), F(2, 6, 4), F(2, 6, 7), MIL_NONE));
    REFUSED("scaled_dot_product_attention", SHAPE, "expected [B",
        sdpa(f, F(2, 4, 5), F(1, 6, 5), F(1, 6, 7), MIL_NONE));
    REFUSED("scaled_dot_product_attention", SHAPE,
        "attn_mask is [4, 5]; expected what broadcasts to the scores, [2, 4, 6]",
        sdpa(f, F(2, 4, 5), F(2, 6, 5), F(2, 6, 7), F(4, 5)));
    REFUSED("scaled_dot_product_attention", SHAPE, "attn_mask is [3, 2, 4, 6]",
        sdpa(f, F(2, 4, 5), F(2, 6, 5), F(2, 6, 7), F(3, 2, 4, 6)));
    REFUSED("scaled_dot_product_attention", TYPE, "attn_mask is fp16",
        sdpa(f, F(2, 4, 5), F(2, 6, 5), F(2, 6, 7), T(MIL_FP16, 4, 6)));
    REFUSED("scaled_dot_product_attention", TYPE, "key is fp16",
        sdpa(f, F(2, 4, 5), T(MIL_FP16, 2, 6, 5), F(2, 6, 7), MIL_NONE));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_checks),
        cmocka_unit_test(test_result_must_be_a_type),
        cmocka_unit_test(test_elementwise),
        cmocka_unit_test(test_cast),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_reduce),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_conv_geometry),
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
