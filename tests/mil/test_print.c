/* Printing: every operation in every dialect comes back the same through the parser; nothing is lost. */
#include "support/support.h"

#include "anemone/mil.h"
#include "anemone/model.h"
#include "mil/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mil_type tensor2(mil_dtype dtype, int64_t a, int64_t b) {
    return mil_tensor(dtype, 2, (int64_t[]){a, b});
}

static mil_type tensor4(mil_dtype dtype, int64_t a, int64_t b, int64_t c, int64_t d) {
    return mil_tensor(dtype, 4, (int64_t[]){a, b, c, d});
}

static void call(mil_function *f, const char *op, int n, const mil_named_arg *args) {
    mil_value v;
    mil_call(f, op, n, args, 1, &v);
}

static void add_unary(mil_function *f, mil_value x) {
    mil_identity(f, x), mil_cast(f, x, MIL_FP16), mil_exp(f, x), mil_log(f, x, 1e-3), mil_sqrt(f, x);
    mil_rsqrt(f, x, 1e-5), mil_inverse(f, x, 0), mil_abs(f, x), mil_sin(f, x), mil_cos(f, x),
        mil_sigmoid(f, x);
    mil_silu(f, x), mil_tanh(f, x), mil_relu(f, x), mil_erf(f, x), mil_gelu(f, x, "TANH_APPROXIMATION");
}

static void add_binary(mil_function *f, mil_value x) {
    mil_value y = mil_param(f, "y_param", tensor2(MIL_FP32, 1, 6));
    mil_add(f, x, y), mil_sub(f, x, y), mil_mul(f, x, y), mil_real_div(f, x, y), mil_maximum(f, x, y);
    mil_minimum(f, x, y), mil_pow(f, x, y), mil_greater(f, x, y), mil_greater_equal(f, x, y),
        mil_less(f, x, y);
    mil_value same = mil_equal(f, x, y);
    mil_named_arg both[] = {{"x", 1, &x}, {"y", 1, &y}}, one[] = {{"x", 1, &same}};
    call(f, "not_equal", 2, both);
    call(f, "less_equal", 2, both);
    call(f, "logical_not", 1, one);
    mil_select(f, same, x, y);
}

static void add_reductions(mil_function *f, mil_value x) {
    mil_reduce_sum(f, x, 1, (int32_t[]){1}, true), mil_reduce_mean(f, x, 1, (int32_t[]){-1}, false);
    mil_reduce_max(f, x, 2, (int32_t[]){0, 1}, false), mil_softmax(f, x, -1);
    mil_value gamma =
        mil_const_floats(f, mil_tensor(MIL_FP32, 1, (int64_t[]){6}), (float[]){1, 2, 3, 4, 5, 6});
    mil_layer_norm(f, x, 1, (int32_t[]){-1}, gamma, MIL_NONE, 1e-5);
}

static void add_moves(mil_function *f, mil_value x) { /* x [4, 6] */
    mil_value parts[3], index = mil_const_ints(f, 2, (int32_t[]){0, 2});
    mil_reshape(f, x, 3, (int64_t[]){2, -1, 3}), mil_transpose(f, x, (int32_t[]){1, 0});
    mil_squeeze(f, mil_expand_dims(f, x, 1, (int32_t[]){1}), 1, (int32_t[]){1});
    mil_slice_by_size(f, x, (int32_t[]){1, 0}, (int32_t[]){2, -1});
    mil_slice_by_index(f, x, (int32_t[]){0, 1}, (int32_t[]){4, 6}, (int32_t[]){1, 2});
    mil_concat(f, 2, (mil_value[]){x, x}, 0), mil_split(f, x, 3, 1, parts), mil_tile(f, x, (int32_t[]){2, 1});
    mil_pad(f, x, (int32_t[]){0, 1, 2, 3}, -0.0), mil_gather(f, x, index, 1);
    mil_value updates = mil_slice_by_size(f, x, (int32_t[]){0, 0}, (int32_t[]){2, 6});
    mil_scatter(f, x, index, updates, 0, "add");
}

static void add_products(mil_function *f, mil_value x) { /* x [4, 6] */
    mil_value image = mil_input(f, "image", tensor4(MIL_FP32, 1, 4, 8, 8));
    mil_value kernel = mil_param(f, "self_attn.q_proj", tensor4(MIL_FP32, 2, 2, 3, 3));
    mil_conv_options options = {{2, 1}, {1, 0, 2, 1}, {1, 2}, 2, "custom", MIL_NONE};
    mil_conv_with(f, image, kernel, &options);
    mil_matmul(f, x, x, false, true);
    mil_linear(f, x, mil_param(f, "linear.weight", tensor2(MIL_FP32, 3, 6)), MIL_NONE);
    mil_value q = mil_input(f, "q", tensor4(MIL_FP32, 1, 2, 4, 8));
    mil_scaled_dot_product_attention(f, q, q, q, MIL_NONE);
    mil_type heads = mil_tensor(MIL_FP32, 5, (int64_t[]){1, 2, 1, 4, 8});
    mil_value h = mil_input(f, "heads", heads), results[2], derivatives[3];
    mil_causal_attention(f, h, h, h, 0.5, results);
    mil_causal_attention_gradient(f, (mil_value[]){h, h, h}, results[0], results[1], h, 0.5, derivatives);
    mil_value cache = mil_input(f, "cache", tensor4(MIL_BF16, 1, 2, 16, 4));
    mil_value length = mil_input(f, "length", mil_tensor(MIL_INT32, 1, (int64_t[]){1}));
    mil_cached_attention(f, h, (mil_value[]){h, h}, (mil_value[]){cache, cache}, length, 0.5);
}

static void add_low_precision(mil_function *f, mil_value x) {
    mil_value scale = mil_const_float(f, MIL_FP32, 0.1),
              zero = mil_const_data(f, mil_scalar(MIL_INT8), "\x03");
    mil_dequantize(f, mil_quantize(f, x, MIL_INT8, scale, zero), scale, zero);
    mil_value q = mil_const_blob(f, tensor2(MIL_INT8, 4, 6), "@model_path/weights/q.bin", 64);
    mil_value axis = mil_const_int(f, 0);
    mil_named_arg affine[] = {
        {"quantized_data", 1, &q}, {"zero_point", 1, &zero}, {"scale", 1, &scale}, {"axis", 1, &axis}};
    call(f, "constexpr_affine_dequantize", 4, affine);
    mil_value indices = mil_const_data(f, tensor2(MIL_UINT4, 2, 3), "\x10\x32\x54");
    float table[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    mil_value lut = mil_const_floats(f, tensor4(MIL_FP32, 1, 1, 16, 1), table);
    mil_named_arg palette[] = {{"indices", 1, &indices}, {"lut", 1, &lut}};
    call(f, "constexpr_lut_to_dense", 2, palette);
    mil_value data = mil_const_data(f, tensor2(MIL_INT4, 2, 4), "\x1f\x2e\x3d\x4c");
    mil_value scales = mil_const_floats(f, tensor2(MIL_FP32, 2, 2), (float[]){1, 2, 3, 4});
    mil_named_arg blocks[] = {{"data", 1, &data}, {"scale", 1, &scales}};
    call(f, "constexpr_blockwise_shift_scale", 2, blocks);
}

/* Every operation at least once. */
static mil_program *everything(mil_dialect dialect) {
    ane_error e = {0};
    mil_program *p = mil_program_new(dialect, &e);
    assert_ok(p, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", tensor2(MIL_FP32, 4, 6));
    add_unary(f, x), add_binary(f, x), add_reductions(f, x), add_moves(f, x), add_products(f, x);
    add_low_precision(f, x);
    mil_output(f, "result", mil_exp(f, x));
    mil_output(f, "other", x);
    assert_ok(mil_program_ok(p, &e), &e);
    return p;
}

static char *print(const mil_program *p) {
    ane_error e = {0};
    char *text = mil_print(p, &e);
    assert_ok(text, &e);
    return text;
}

static mil_program *reparse(const char *text) {
    ane_error e = {0};
    mil_program *p = mil_parse(text, strlen(text), "printed", &e);
    assert_ok(p, &e);
    return p;
}

/* Operations that are no constants: one that is written inside two attributes comes back as two. */
static int computed(const mil_function *f) {
    int n = 0;
    for (int i = 0; i < f->n_ops; i++) n += f->ops[i].opcode != MIL_OP_CONST;
    return n;
}

/* Name by name: the same values, types, constants, operations and arguments. */
static void assert_same_functions(const mil_function *a, const mil_function *b) {
    assert_int_equal(a->n_inputs, b->n_inputs);
    assert_int_equal(a->n_outputs, b->n_outputs);
    assert_int_equal(computed(a), computed(b));
    for (int i = 0; i < a->n_values; i++) {
        const mil_value_info *v = &a->values[i];
        if (v->constant && !v->used_name) continue; /* may have been written inside an attribute, nameless */
        mil_value found = mil_find(b, v->name);
        if (found == MIL_NONE) fail_msg("%s is lost", v->name);
        assert_true(mil_type_equal(&v->type, &b->values[found].type));
    }
    for (int i = 0; i < a->n_inputs; i++)
        assert_string_equal(a->values[a->inputs[i]].name, b->values[b->inputs[i]].name);
    for (int i = 0; i < a->n_outputs; i++)
        assert_string_equal(a->values[a->outputs[i]].name, b->values[b->outputs[i]].name);
}

static void test_every_operation_in_every_dialect(void **state) {
    (void)state;
    for (mil_dialect dialect = MIL_IOS16; dialect <= MIL_IOS18_15; dialect++) {
        mil_program *p = everything(dialect);
        bool met[MIL_OP_COUNT] = {0};
        for (int i = 0; i < p->functions[0]->n_ops; i++) met[p->functions[0]->ops[i].opcode] = true;
        for (int i = 0; i < MIL_OP_COUNT; i++)
            if (!met[i]) fail_msg("%s is not in the program", mil_op_table[i].name);
        char *once = print(p);
        mil_program *again = reparse(once);
        char *twice = print(again);
        assert_string_equal(once, twice);
        assert_string_equal(again->version, p->version);
        assert_string_equal(again->functions[0]->opset, p->functions[0]->opset);
        assert_int_equal(again->scalars_as_tensors, p->scalars_as_tensors);
        assert_same_functions(p->functions[0], again->functions[0]);
        free(once);
        free(twice);
        mil_program_free(p);
        mil_program_free(again);
    }
}

static void test_exact_text(void **state) {
    (void)state;
    static const char *const want[] = {
        [MIL_IOS16] =
            "program(1.0)\n[buildInfo = dict<tensor<string, []>, tensor<string, []>>({{\"k\", "
            "\"a\\\"b\"}})]\n{\n"
            "    func main<ios16>(tensor<fp16, [2, 3]> x) {\n"
            "        tensor<fp32, [4]> w = parameter()[name = tensor<string, []>(\"w\")];\n"
            "        tensor<fp16, []> half = const()[name = tensor<string, []>(\"half\"), val = tensor<fp16, "
            "[]>(0x1p-1)];\n"
            "        tensor<fp16, [2, 3]> y = mul(x = x, y = half)[name = tensor<string, []>(\"y\")];\n"
            "    } -> (y, w);\n}\n",
        [MIL_IOS18] = "program(1.3)\n[buildInfo = dict<string, string>({{\"k\", \"a\\\"b\"}})]\n{\n"
                      "    func main<ios18>(tensor<fp16, [2, 3]> x) {\n"
                      "        tensor<fp32, [4]> w = parameter()[name = string(\"w\")];\n"
                      "        fp16 half = const()[name = string(\"half\"), val = fp16(0x1p-1)];\n"
                      "        tensor<fp16, [2, 3]> y = mul(x = x, y = half)[name = string(\"y\")];\n"
                      "    } -> (y, w);\n}\n",
    };
    for (int dialect = MIL_IOS16; dialect <= MIL_IOS18; dialect += MIL_IOS18 - MIL_IOS16) {
        mil_program *p = reparse(want[dialect]);
        char *text = print(p);
        assert_string_equal(text, want[dialect]);
        mil_program_set_dialect(p, dialect == MIL_IOS16 ? MIL_IOS18 : MIL_IOS16);
        char *other = print(p);
        assert_string_equal(other, want[dialect == MIL_IOS16 ? MIL_IOS18 : MIL_IOS16]);
        free(text);
        free(other);
        mil_program_free(p);
    }
}

/* The bits of every constant survive, whatever they are. */
static void constant_round_trip(mil_type type, const void *data, const char *spelling) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_name(f, mil_const_data(f, type, data), "c");
    mil_output(f, "y", mil_input(f, "x", mil_scalar(MIL_FP32)));
    assert_ok(mil_program_ok(p, &e), &e);
    char *text = print(p);
    if (spelling && !strstr(text, spelling)) fail_msg("%s is not in %s", spelling, text);
    mil_program *again = reparse(text);
    const mil_function *g = again->functions[0];
    const mil_value_info *c = &g->values[mil_find(g, "c")];
    assert_true(mil_type_equal(&c->type, &type));
    if (type.dtype == MIL_STRING)
        assert_string_equal(c->constant->data, data);
    else
        assert_memory_equal(c->constant->data, data, (size_t)mil_type_bytes(&type));
    free(text);
    mil_program_free(p);
    mil_program_free(again);
}

static mil_type vector(mil_dtype dtype, int64_t n) {
    return mil_tensor(dtype, 1, &n);
}

static void test_constants_keep_their_bits(void **state) {
    (void)state;
    float f32[] = {0, -0.0f, 1, -1.5f, 3.4028235e38f, 1.17549435e-38f, 1e-45f, INFINITY, -INFINITY, 0.1f};
    constant_round_trip(vector(MIL_FP32, 10), f32,
        "([0x0p+0, -0x0p+0, 0x1p+0, -0x1.8p+0, 0x1.fffffep+127, 0x1p-126, 0x1p-149, inf, -inf, "
        "0x1.99999ap-4])");
    double f64[] = {0.1, 5e-324, 1.7976931348623157e308, -2};
    constant_round_trip(
        vector(MIL_FP64, 4), f64, "0x1.999999999999ap-4, 0x0.0000000000001p-1022, 0x1.fffffffffffffp+1023");
    uint16_t all[4096];
    for (int part = 0; part < 16; part++) { /* every fp16 and bf16, NaNs apart: their payload is not kept */
        for (int i = 0; i < 4096; i++) {
            unsigned h = (unsigned)(part * 4096 + i);
            all[i] = (uint16_t)((h & 0x7c00) == 0x7c00 && (h & 0x3ff) ? 0x7e00 : h);
        }
        constant_round_trip(vector(MIL_FP16, 4096), all, NULL);
        for (int i = 0; i < 4096; i++) {
            unsigned h = (unsigned)(part * 4096 + i);
            all[i] = (uint16_t)((h & 0x7f80) == 0x7f80 && (h & 0x7f) ? 0x7fc0 : h);
        }
        constant_round_trip(vector(MIL_BF16, 4096), all, NULL);
    }
    constant_round_trip(vector(MIL_INT4, 3), "\x8f\x07", "([-1, -8, 7])");
    constant_round_trip(vector(MIL_UINT1, 9), "\xa5\x01", "([1, 0, 1, 0, 0, 1, 0, 1, 1])");
    constant_round_trip(vector(MIL_UINT6, 2), "\x7f\x0f", "([63, 61])");
    constant_round_trip(mil_scalar(MIL_INT64), &(int64_t){INT64_MIN}, "int64(-9223372036854775808)");
    constant_round_trip(mil_scalar(MIL_UINT64), &(uint64_t){UINT64_MAX}, "uint64(18446744073709551615)");
    constant_round_trip(mil_scalar(MIL_BOOL), "\x01", "bool(true)");
    constant_round_trip(mil_scalar(MIL_STRING), "a\"b\\c\n\t\r\x01\x7f\xc3\xa9",
        "\"a\\\"b\\\\c\\n\\t\\r\\x01\\x7f\xc3\xa9\"");
    constant_round_trip(mil_tensor(MIL_INT8, 3, (int64_t[]){2, 1, 2}), "\1\2\3\4", "([[[1, 2]], [[3, 4]]])");
}

static void assert_identity(const mil_program *p) {
    char *once = print(p);
    mil_program *again = reparse(once);
    char *twice = print(again);
    assert_string_equal(once, twice);
    assert_same_functions(p->functions[0], again->functions[0]);
    free(once);
    free(twice);
    mil_program_free(again);
}

/* The model's programs, what the passes make of them, and their derivatives. */
static void test_programs_of_the_project(void **state) {
    (void)state;
    ane_error e = {0};
    ane_model_config config = {0};
    assert_ok(ane_model_preset(&config, "stories260k", &e), &e);
    for (int cached = 0; cached <= 8; cached += 8) {
        ane_block_shape shape = {.batch = 1, .seq = 4, .cached = cached, .dtype = MIL_FP32};
        mil_program *p = mil_program_new(MIL_IOS18, &e);
        assert_ok(p && ane_llama_block(p, &config, &shape) && mil_program_ok(p, &e), &e);
        assert_identity(p);
        mil_gradient *g =
            mil_differentiate(p->functions[0], &(mil_grad_options){.recompute_cheap = true}, &e);
        assert_ok(g, &e);
        assert_identity(g->forward);
        assert_identity(g->backward);
        mil_gradient_free(g);
        for (int pass = 0; pass < MIL_PASS_COUNT; pass++) {
            assert_ok(mil_run_pass(p, (mil_pass)pass, &e), &e);
            assert_identity(p);
        }
        mil_program_free(p);
    }
    mil_program *head = mil_program_new(MIL_IOS16, &e);
    assert_ok(head && ane_llama_head(head, &config, 8, MIL_FP16) && mil_program_ok(head, &e), &e);
    assert_identity(head);
    mil_program_free(head);
}

static void test_refusals(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_output(f, "a name", mil_exp(f, mil_input(f, "x", mil_scalar(MIL_FP32))));
    assert_null(mil_print(p, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "\"a name\" cannot be written");
    assert_null(mil_print(p, NULL));
    mil_program_free(p);
    p = mil_program_new(MIL_IOS18, &e);
    f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", tensor2(MIL_FP32, 2, 3));
    mil_matmul(f, x, x, false, false);
    assert_null(mil_print(p, &e)); /* what failed to build has no text */
    assert_error(&e, ANE_ERROR_SHAPE, "");
    mil_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operation_in_every_dialect),
        cmocka_unit_test(test_exact_text),
        cmocka_unit_test(test_constants_keep_their_bits),
        cmocka_unit_test(test_programs_of_the_project),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
