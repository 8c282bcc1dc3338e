/* Programs: types, names, building a small one, cloning, dialects. */
#include "support/support.h"

#include "anemone/mil.h"

#include <stdlib.h>
#include <string.h>

/* y = silu(conv(x, w)) with one output more, for tests that need any program. */
static mil_program *small(mil_function **main_function) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    assert_ok(p, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 4, (int64_t[]){1, 8, 1, 16}));
    mil_value w = mil_param(f, "w", mil_tensor(MIL_FP32, 4, (int64_t[]){4, 8, 1, 1}));
    mil_value h = mil_conv(f, x, w);
    mil_output(f, "y", mil_silu(f, h));
    mil_output(f, "z", mil_add_scalar(f, h, 0.5));
    assert_ok(mil_program_ok(p, &e), &e);
    *main_function = f;
    return p;
}

static void test_small(void **state) {
    (void)state;
    mil_function *f;
    mil_program *p = small(&f);
    assert_int_equal(f->n_inputs, 1);
    assert_int_equal(f->n_outputs, 2);
    mil_value y = mil_find(f, "y");
    assert_int_equal(y, f->outputs[0]);
    mil_type expected = mil_tensor(MIL_FP32, 4, (int64_t[]){1, 4, 1, 16});
    assert_true(mil_type_equal(mil_type_of(f, y), &expected));
    assert_true(mil_flops(f) == 2.0 * 4 * 8 * 16);
    mil_program_free(p);
}

/* ---- types --------------------------------------------------------------------------------------------- */

static void test_types(void **state) {
    (void)state;
    char text[64];
    mil_type t = mil_tensor(MIL_FP16, 4, (int64_t[]){1, 768, 1, 256}), s = mil_scalar(MIL_BOOL);
    assert_string_equal(mil_type_print(&t, text, sizeof text), "tensor<fp16, [1, 768, 1, 256]>");
    assert_string_equal(mil_type_print(&s, text, sizeof text), "bool");
    assert_string_equal(mil_type_print(&t, text, 12), "tensor<fp16"); /* cut, never over the end */
    assert_int_equal(mil_type_count(&t), 768 * 256);
    assert_int_equal(mil_type_bytes(&t), 2 * 768 * 256);
    assert_int_equal(mil_type_count(&s), 1);
    mil_type other = t;
    assert_true(mil_type_equal(&t, &other));
    other.dim[3] = 255;
    assert_false(mil_type_equal(&t, &other));
    other = mil_tensor(MIL_FP16, 3, t.dim);
    assert_false(mil_type_equal(&t, &other));
    other = mil_tensor(MIL_FP32, 4, t.dim);
    assert_false(mil_type_equal(&t, &other));
}

static void test_sizes(void **state) {
    (void)state;
    static const struct {
        mil_dtype dtype;
        int64_t bytes; /* of 11 elements, packed */
    } rows[] = {{MIL_FP64, 88}, {MIL_FP32, 44}, {MIL_BF16, 22}, {MIL_INT4, 6}, {MIL_UINT1, 2}, {MIL_UINT2, 3},
        {MIL_UINT3, 5}, {MIL_UINT6, 9}, {MIL_BOOL, 11}, {MIL_UINT64, 88}, {MIL_STRING, -1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mil_type t = mil_tensor(rows[i].dtype, 1, (int64_t[]){11});
        assert_int_equal(mil_type_bytes(&t), rows[i].bytes);
    }
    mil_type huge = mil_tensor(MIL_FP32, 2, (int64_t[]){1LL << 40, 1LL << 40});
    assert_int_equal(mil_type_count(&huge), -1);
    assert_int_equal(mil_type_bytes(&huge), -1);
    mil_type large = mil_tensor(MIL_FP64, 1, (int64_t[]){1LL << 60}); /* the count fits, the bytes do not */
    assert_int_equal(mil_type_bytes(&large), -1);
}

static void test_dtypes(void **state) {
    (void)state;
    for (int d = 1; d < MIL_DTYPE_COUNT; d++)
        assert_int_equal(mil_dtype_from_name(mil_dtype_name((mil_dtype)d)), d);
    assert_int_equal(mil_dtype_from_name("float32"), MIL_VOID);
    assert_int_equal(mil_dtype_from_name("void"), MIL_VOID);
    assert_string_equal(mil_dtype_name((mil_dtype)99), "unknown");
    assert_int_equal(mil_dtype_bits(MIL_UINT6), 6);
    assert_int_equal(mil_dtype_bits((mil_dtype)99), 0);
    assert_true(mil_dtype_is_float(MIL_BF16));
    assert_false(mil_dtype_is_float(MIL_INT32));
    assert_false(mil_dtype_is_float((mil_dtype)99));
}

/* ---- programs and functions ---------------------------------------------------------------------------- */

static void test_functions(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    assert_null(mil_program_function(p, NULL));
    mil_function *one = mil_function_new(p, "one");
    assert_ptr_equal(mil_program_function(p, NULL), one); /* the only one */
    mil_function *main_function = mil_function_new(p, "main");
    assert_ptr_equal(mil_program_function(p, NULL), main_function);
    assert_ptr_equal(mil_program_function(p, "one"), one);
    assert_null(mil_program_function(p, "two"));
    assert_null(mil_function_new(p, "main"));
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "has a function of this name already");
    assert_null(mil_function_new(p, ""));
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "needs a name");
    mil_program_free(p);
    mil_program_free(NULL);
    assert_null(mil_program_new((mil_dialect)9, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "dialect 9 is unknown");
}

static void test_dialects(void **state) {
    (void)state;
    static const struct {
        mil_dialect dialect;
        const char *version, *opset;
        bool scalars_as_tensors;
    } rows[] = {{MIL_IOS16, "1.0", "ios16", true}, {MIL_IOS17, "1.3", "ios17", false},
        {MIL_IOS18, "1.3", "ios18", false}, {MIL_IOS18_15, "1.5", "ios18", false}};
    mil_function *g;
    mil_program *changed = small(&g);
    for (int i = 0; i < 4; i++) {
        ane_error e = {0};
        mil_program *p = mil_program_new(rows[i].dialect, &e);
        mil_function *f = mil_function_new(p, "main");
        mil_program_set_dialect(changed, rows[i].dialect);
        assert_string_equal(p->version, rows[i].version);
        assert_string_equal(f->opset, rows[i].opset);
        assert_int_equal(p->scalars_as_tensors, rows[i].scalars_as_tensors);
        assert_string_equal(changed->version, rows[i].version);
        assert_string_equal(g->opset, rows[i].opset);
        assert_int_equal(changed->scalars_as_tensors, rows[i].scalars_as_tensors);
        mil_program_free(p);
    }
    mil_program_set_dialect(changed, (mil_dialect)9); /* ignored */
    assert_string_equal(changed->version, "1.5");
    mil_program_free(changed);
}

/* ---- copying ------------------------------------------------------------------------------------------- */

static void test_clone(void **state) {
    (void)state;
    ane_error e = {0};
    mil_function *f;
    mil_program *p = small(&f);
    f->ops[f->n_ops - 1].label = "the last";
    mil_output(f, "text",
        mil_add(f, mil_const_blob(f, mil_scalar(MIL_FP32), "@model_path/w.bin", 64), f->outputs[0]));
    char *before = mil_print(p, &e);
    assert_ok(before, &e);
    mil_program *copy = mil_program_clone(p, &e);
    assert_ok(copy, &e);
    mil_program_free(p); /* nothing of it may be shared */
    assert_ok(mil_program_ok(copy, &e), &e);
    char *after = mil_print(copy, &e);
    assert_ok(after, &e);
    assert_string_equal(before, after);
    mil_function *g = copy->functions[0];
    mil_output(g, "more", mil_exp(g, mil_find(g, "y"))); /* a copy can be built on */
    assert_non_null(mil_function_new(copy, "other"));
    assert_int_equal(copy->error.code, ANE_OK);
    free(before);
    free(after);
    mil_program_free(copy);
}

static void test_clone_keeps_the_error(void **state) {
    (void)state;
    ane_error e = {0};
    mil_function *f;
    mil_program *p = small(&f);
    mil_exp(f, 1000);
    mil_program *copy = mil_program_clone(p, &e);
    assert_ok(copy, &e);
    assert_false(mil_program_ok(copy, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "value 1000");
    mil_program_free(p);
    mil_program_free(copy);
}

/* ---- counting ------------------------------------------------------------------------------------------ */

static void test_flops(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 3, (int64_t[]){2, 4, 6}));
    mil_value w = mil_input(f, "w", mil_tensor(MIL_FP32, 2, (int64_t[]){5, 6}));
    mil_matmul(f, x, w, false, true); /* 2 x [4, 6] [6, 5] */
    assert_true(mil_flops(f) == 2 * 2 * 4 * 6 * 5);
    mil_linear(f, x, w, MIL_NONE);
    assert_true(mil_flops(f) == 2 * (2 * 2 * 4 * 6 * 5));
    mil_matmul(f, x, x, true, false); /* 2 x [6, 4] [4, 6] */
    assert_true(mil_flops(f) == 2 * (2 * 2 * 4 * 6 * 5) + 2 * 2 * 6 * 4 * 6);
    mil_function *g = mil_function_new(p, "attention");
    mil_value q = mil_input(g, "q", mil_tensor(MIL_FP32, 3, (int64_t[]){2, 3, 4}));
    mil_value k = mil_input(g, "k", mil_tensor(MIL_FP32, 3, (int64_t[]){2, 5, 4}));
    mil_value v = mil_input(g, "v", mil_tensor(MIL_FP32, 3, (int64_t[]){2, 5, 7}));
    mil_scaled_dot_product_attention(g, q, k, v, MIL_NONE);
    assert_true(mil_flops(g) == 2 * 2 * (3 * 4 * 5 + 3 * 5 * 7));
    mil_function *h = mil_function_new(p, "conv");
    mil_value image = mil_input(h, "image", mil_tensor(MIL_FP32, 4, (int64_t[]){1, 4, 8, 8}));
    mil_value kernel = mil_input(h, "kernel", mil_tensor(MIL_FP32, 4, (int64_t[]){6, 2, 3, 3}));
    mil_conv_with(h, image, kernel, &(mil_conv_options){.groups = 2, .bias = MIL_NONE});
    assert_true(mil_flops(h) == 2.0 * 6 * 6 * 6 * (2 * 3 * 3));
    assert_int_equal(p->error.code, ANE_OK);
    mil_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_dialects),
        cmocka_unit_test(test_clone),
        cmocka_unit_test(test_clone_keeps_the_error),
        cmocka_unit_test(test_flops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
