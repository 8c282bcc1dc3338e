/* Passes keep what a program computes, keep its inputs' and outputs' names, and change nothing when run
 * again. */
#include "mil/pass_cases.h"

#include "mil/expand.h"

#include <string.h>

static mil_type shape(mil_dtype dtype, int rank, int64_t a, int64_t b, int64_t c, int64_t d) {
    return mil_tensor(dtype, rank, (int64_t[]){a, b, c, d});
}

static int count_ops(const mil_function *f, mil_opcode opcode) {
    int n = 0;
    for (int i = 0; i < f->n_ops; i++) n += f->ops[i].opcode == opcode;
    return n;
}

/* ---- dead code ----------------------------------------------------------------------------------------- */

static void test_dead_code(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = new_function(&p);
    mil_value x = mil_input(f, "x", shape(MIL_FP32, 2, 3, 4, 0, 0));
    mil_input(f, "unused", shape(MIL_FP32, 1, 3, 0, 0, 0));
    mil_param(f, "dead", shape(MIL_FP32, 2, 3, 4, 0, 0));
    mil_exp(f, mil_sin(f, x));
    mil_value parts[2];
    mil_split(f, x, 2, 1, parts);
    mil_output(f, "y", mil_mul_scalar(f, parts[1], 2));
    apply(p, MIL_PASS_DEAD_CODE);
    assert_int_equal(f->n_inputs, 2);
    assert_int_equal(count_ops(f, MIL_OP_SIN) + count_ops(f, MIL_OP_EXP) + count_ops(f, MIL_OP_PARAMETER), 0);
    assert_int_equal(count_ops(f, MIL_OP_SPLIT), 1);
    mil_program_free(p);
}

/* ---- common subexpressions ----------------------------------------------------------------------------- */

static void test_cse(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = new_function(&p);
    mil_value x = mil_input(f, "x", shape(MIL_FP32, 2, 3, 4, 0, 0));
    mil_value w = mil_param(f, "w", shape(MIL_FP32, 2, 3, 4, 0, 0));
    mil_value v = mil_param(f, "v", shape(MIL_FP32, 2, 3, 4, 0, 0));
    mil_value a = mil_add(f, x, w), b = mil_add(f, w, x), c = mil_add(f, x, v), d = mil_sub(f, x, w),
              g = mil_sub(f, w, x);
    mil_value parts[2], again[2];
    mil_split(f, x, 2, 1, parts);
    mil_split(f, x, 2, 1, again);
    mil_output(f, "y", mil_mul_scalar(f, a, 3));
    mil_output(f, "z", mil_mul_scalar(f, b, 3)); /* the same as y: both names stay */
    mil_output(f, "u", mil_mul_scalar(f, c, 4));
    mil_output(f, "t", mil_add(f, d, g));
    mil_output(f, "s", mil_add(f, parts[0], again[1]));
    apply(p, MIL_PASS_CSE);
    assert_int_equal(count_ops(f, MIL_OP_SUB), 2); /* does not commute */
    assert_int_equal(count_ops(f, MIL_OP_SPLIT), 1);
    assert_int_equal(count_ops(f, MIL_OP_ADD), 4); /* x+w, x+v, d+g, parts */
    assert_int_equal(count_ops(f, MIL_OP_MUL), 2);
    assert_int_equal(count_ops(f, MIL_OP_PARAMETER), 2);
    assert_int_equal(count_ops(f, MIL_OP_IDENTITY), 1);
    mil_program_free(p);
}

static void test_cse_constants(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = new_function(&p);
    mil_value x = mil_input(f, "x", mil_scalar(MIL_FP32));
    mil_type pair = shape(MIL_FP32, 1, 2, 0, 0, 0), row = shape(MIL_FP32, 2, 1, 2, 0, 0);
    const float numbers[] = {1, 2}, others[] = {1, -2};
    mil_value a = mil_const_floats(f, pair, numbers), b = mil_const_floats(f, pair, numbers);
    mil_value c = mil_const_floats(f, pair, others), d = mil_const_floats(f, row, numbers);
    mil_output(f, "y", mil_add(f, mil_add(f, mil_mul(f, x, a), mil_mul(f, x, b)), mil_mul(f, c, x)));
    mil_output(f, "z", mil_mul(f, x, d));
    apply(p, MIL_PASS_CSE);
    assert_int_equal(count_ops(f, MIL_OP_CONST), 3);
    assert_int_equal(count_ops(f, MIL_OP_MUL), 3);
    mil_program_free(p);
}

static void test_cse_blobs(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = new_function(&p);
    mil_value x = mil_input(f, "x", mil_scalar(MIL_FP32)), sum = x;
    mil_type pair = shape(MIL_FP32, 1, 2, 0, 0, 0);
    sum = mil_add(f, sum, mil_const_blob(f, pair, "@model_path/a.bin", 64));
    sum = mil_add(f, sum, mil_const_blob(f, pair, "@model_path/a.bin", 64));
    sum = mil_add(f, sum, mil_const_blob(f, pair, "@model_path/a.bin", 128));
    sum = mil_add(f, sum, mil_const_blob(f, pair, "@model_path/b.bin", 64));
    mil_output(f, "y", sum);
    ane_error e = {0};
    assert_ok(mil_run_pass(p, MIL_PASS_CSE, &e), &e);
    assert_int_equal(count_ops(f, MIL_OP_CONST), 3);
    mil_program_free(p);
}

/* ---- constant folding ---------------------------------------------------------------------------------- */

static void test_fold_evaluates(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = new_function(&p);
    mil_value x = mil_input(f, "x", shape(MIL_FP32, 1, 2, 0, 0, 0));
    const float numbers[] = {1, 2, 3, 4, 5, 6};
    mil_value k = mil_const_floats(f, shape(MIL_FP32, 2, 2, 3, 0, 0), numbers);
    const int32_t axes[] = {1};
    mil_value sum = mil_reduce_sum(f, mil_exp(f, k), 1, axes, false);
    mil_value parts[2];
    mil_split(f, sum, 2, 0, parts);
    mil_output(f, "y", mil_mul(f, x, mil_concat(f, 2, parts, 0)));
    mil_output(
        f, "z", mil_cast(f, mil_reduce_sum(f, k, 1, axes, false), MIL_FP16)); /* small integers: exact */
    apply(p, MIL_PASS_FOLD_CONSTANTS);
    assert_int_equal(count_ops(f, MIL_OP_EXP) + count_ops(f, MIL_OP_SPLIT) + count_ops(f, MIL_OP_CONCAT), 0);
    assert_int_equal(count_ops(f, MIL_OP_MUL), 1);
    assert_non_null(f->values[mil_find(f, "z")].constant);
    mil_program_free(p);
}

static void test_fold_keeps_large_and_failing(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = new_function(&p);
    mil_value one = mil_const_float(f, MIL_FP32, 2);
    mil_value pair = mil_const_floats(f, shape(MIL_FP32, 1, 2, 0, 0, 0), (float[]){1, 2});
    mil_output(f, "large", mil_tile(f, mil_exp(f, pair), (int32_t[]){4096}));
    mil_output(f, "outside", mil_gather(f, pair, mil_const_ints(f, 1, (int32_t[]){7}), 0));
    mil_output(f, "y", mil_exp(f, one));
    ane_error e = {0};
    assert_ok(mil_run_pass(p, MIL_PASS_FOLD_CONSTANTS, &e), &e);
    assert_int_equal(count_ops(f, MIL_OP_TILE), 1);
    assert_int_equal(count_ops(f, MIL_OP_GATHER), 1);
    assert_int_equal(count_ops(f, MIL_OP_EXP), 0);
    mil_program_free(p);
}

static void test_fold_neutral(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = new_function(&p);
    mil_type t = shape(MIL_FP32, 2, 2, 3, 0, 0);
    mil_value x = mil_input(f, "x", t), h = mil_sin(f, x);
    mil_value ones = mil_const_floats(f, t, (float[]){1, 1, 1, 1, 1, 1});
    mil_value zero = mil_const_float(f, MIL_FP32, 0);
    h = mil_mul(f, ones, h);
    h = mil_add_scalar(f, h, 0);
    h = mil_add(f, zero, h);
    h = mil_sub(f, h, zero);
    h = mil_real_div(f, h, ones);
    h = mil_pow_scalar(f, h, 1);
    h = mil_identity(f, h);
    h = mil_cast(f, h, MIL_FP32);
    h = mil_slice_by_size(f, h, (int32_t[]){0, 0}, (int32_t[]){-1, 3});
    h = mil_reshape(f, h, 2, t.dim);
    h = mil_tile(f, h, (int32_t[]){1, 1});
    h = mil_pad(f, h, (int32_t[]){0, 0, 0, 0}, 9);
    h = mil_concat(f, 1, &h, 0);
    mil_split(f, h, 1, 0, &h);
    mil_output(f, "y", h);
    mil_output(f, "same", mil_identity(f, x));
    apply(p, MIL_PASS_FOLD_CONSTANTS);
    apply(p, MIL_PASS_DEAD_CODE);
    assert_int_equal(f->n_ops, 2); /* sin, and an identity for the output that is an input */
    mil_program_free(p);
}

static void test_fold_keeps_what_counts(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = new_function(&p);
    mil_value x = mil_input(f, "x", mil_scalar(MIL_FP32)),
              r = mil_input(f, "r", shape(MIL_FP32, 1, 3, 0, 0, 0));
    mil_value ones = mil_const_floats(f, shape(MIL_FP32, 1, 2, 0, 0, 0), (float[]){1, 1});
    mil_value zero = mil_const_float(f, MIL_FP32, 0), one = mil_const_float(f, MIL_FP32, 1);
    mil_output(f, "broadcast", mil_mul(f, x, ones));
    mil_output(f, "negative", mil_sub(f, zero, x));
    mil_output(f, "inverse", mil_real_div(f, one, x));
    mil_output(f, "flip", mil_slice_by_index(f, r, (int32_t[]){-1}, (int32_t[]){-9}, (int32_t[]){-1}));
    int before = f->n_ops;
    apply(p, MIL_PASS_FOLD_CONSTANTS);
    assert_int_equal(f->n_ops, before);
    mil_program_free(p);
}

static void test_fold_views(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = new_function(&p);
    mil_value x = mil_input(f, "x", shape(MIL_FP32, 3, 2, 3, 4, 0));
    mil_value round_trip = mil_transpose(f, mil_transpose(f, x, (int32_t[]){2, 0, 1}), (int32_t[]){1, 2, 0});
    mil_output(f, "a", mil_sin(f, round_trip));
    mil_value twice = mil_transpose(f, mil_transpose(f, x, (int32_t[]){0, 2, 1}), (int32_t[]){2, 0, -2});
    mil_output(f, "b", mil_cos(f, twice));
    mil_value flat = mil_reshape(f, x, 2, (int64_t[]){6, 4});
    mil_value long_way = mil_squeeze(f, mil_expand_dims(f, flat, 1, (int32_t[]){0}), 0, NULL);
    mil_output(f, "c", mil_exp(f, mil_reshape(f, long_way, 1, (int64_t[]){-1})));
    mil_output(f, "d", mil_abs(f, mil_reshape(f, flat, 3, (int64_t[]){2, 3, 4})));
    apply(p, MIL_PASS_FOLD_CONSTANTS);
    apply(p, MIL_PASS_DEAD_CODE);
    assert_int_equal(count_ops(f, MIL_OP_TRANSPOSE), 1);
    assert_int_equal(count_ops(f, MIL_OP_RESHAPE), 1);
    assert_int_equal(count_ops(f, MIL_OP_EXPAND_DIMS) + count_ops(f, MIL_OP_SQUEEZE), 0);
    mil_program_free(p);
}

/* ---- expansion ----------------------------------------------------------------------------------------- */

static void test_expand_attention(void **state) {
    (void)state;
    for (int mask = 0; mask < 3; mask++) {
        mil_program *p;
        mil_function *f = new_function(&p);
        mil_value q = mil_input(f, "q", shape(MIL_FP32, 4, 2, 2, 3, 4));
        mil_value k = mil_input(f, "k", shape(MIL_FP32, 4, 2, 2, 5, 4));
        mil_value v = mil_input(f, "v", shape(MIL_FP32, 4, 2, 2, 5, 6));
        mil_value m =
            mask ? mil_input(f, "m", shape(mask == 1 ? MIL_FP32 : MIL_BOOL, 2, 3, 5, 0, 0)) : MIL_NONE;
        mil_output(f, "y", mil_scaled_dot_product_attention(f, q, k, v, m));
        apply(p, MIL_PASS_EXPAND);
        assert_int_equal(count_ops(f, MIL_OP_SCALED_DOT_PRODUCT_ATTENTION), 0);
        assert_int_equal(count_ops(f, MIL_OP_MATMUL), 2);
        mil_program_free(p);
    }
}

/* Against the operation itself: nothing kept, a part, all of it; caches of other types, more than one new position. */
static void test_expand_cached_attention(void **state) {
    (void)state;
    enum { K = 2, R = 3, E = 4, T = 6 };
    static const struct {
        mil_dtype cache;
        int64_t positions;
        int32_t length;
    } cases[] = {{MIL_FP32, 1, 0}, {MIL_FP32, 1, 4}, {MIL_FP32, 1, T}, {MIL_FP16, 3, 0}, {MIL_FP16, 3, 5},
        {MIL_BF16, 2, T}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mil_program *p;
        mil_function *f = new_function(&p);
        int64_t s = cases[i].positions;
        mil_type kept = mil_tensor(cases[i].cache, 4, (int64_t[]){1, K, T, E}),
                 new = mil_tensor(MIL_FP32, 5, (int64_t[]){1, K, 1, E, s});
        mil_value q = mil_input(f, "q", mil_tensor(MIL_FP32, 5, (int64_t[]){1, K, R, E, s}));
        const mil_value own[] = {mil_input(f, "k", new), mil_input(f, "v", new)},
                        caches[] = {mil_input(f, "k_cache", kept), mil_input(f, "v_cache", kept)};
        mil_value length = mil_const_ints(f, 1, &cases[i].length);
        mil_output(f, "y", mil_cached_attention(f, q, own, caches, length, 0.5));
        apply(p, MIL_PASS_EXPAND);
        assert_int_equal(count_ops(f, MIL_OP_CACHED_ATTENTION), 0);
        assert_int_equal(count_ops(f, MIL_OP_MATMUL), 4);
        assert_int_equal(count_ops(f, MIL_OP_SOFTMAX), 1);
        mil_program_free(p);
    }
}

static void test_expand_gelu(void **state) {
    (void)state;
    static const char *const modes[] = {"EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"};
    for (int i = 0; i < 3; i++) {
        mil_program *p;
        mil_function *f = new_function(&p);
        mil_output(f, "y", mil_gelu(f, mil_input(f, "x", shape(MIL_FP32, 2, 3, 4, 0, 0)), modes[i]));
        apply(p, MIL_PASS_EXPAND);
        assert_int_equal(count_ops(f, MIL_OP_GELU), 0);
        mil_program_free(p);
    }
}

static void test_expand_layer_norm(void **state) {
    (void)state;
    static const int32_t axes[3][2] = {{-1, 0}, {1, 0}, {2, 1}};
    static const int n_axes[] = {1, 1, 2};
    for (int i = 0; i < 3; i++) {
        mil_program *p;
        mil_function *f = new_function(&p);
        mil_value x = mil_input(f, "x", shape(MIL_FP32, 3, 2, 3, 4, 0));
        mil_type t = i == 0   ? shape(MIL_FP32, 1, 4, 0, 0, 0)
                     : i == 1 ? shape(MIL_FP32, 1, 3, 0, 0, 0)
                              : shape(MIL_FP32, 2, 3, 4, 0, 0);
        mil_value gamma = mil_param(f, "gamma", t), beta = i == 1 ? MIL_NONE : mil_param(f, "beta", t);
        mil_output(f, "y", mil_layer_norm(f, x, n_axes[i], axes[i], gamma, beta, 1e-3));
        apply(p, MIL_PASS_EXPAND);
        assert_int_equal(count_ops(f, MIL_OP_LAYER_NORM), 0);
        mil_program_free(p);
    }
}

static void test_expand_linear(void **state) {
    (void)state;
    for (int rank = 1; rank <= 3; rank++) {
        mil_program *p;
        mil_function *f = new_function(&p);
        mil_value x = mil_input(f, "x",
            rank == 1 ? shape(MIL_FP32, 1, 4, 0, 0, 0) : shape(MIL_FP32, rank, 2, rank == 2 ? 4 : 3, 4, 0));
        mil_value w = mil_param(f, "w", shape(MIL_FP32, 2, 5, 4, 0, 0));
        mil_value b = rank == 2 ? MIL_NONE : mil_param(f, "b", shape(MIL_FP32, 1, 5, 0, 0, 0));
        mil_output(f, "y", mil_linear(f, x, w, b));
        apply(p, MIL_PASS_EXPAND);
        assert_int_equal(count_ops(f, MIL_OP_LINEAR), 0);
        mil_program_free(p);
    }
}

static void test_expand_refuses(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = new_function(&p);
    mil_value y = mil_sin(f, mil_input(f, "x", mil_scalar(MIL_FP32))), result;
    ane_error e = {0};
    const mil_operation *op = &f->ops[f->values[y].op];
    assert_false(mil_can_expand(op));
    assert_false(mil_expand_op(f, op, &result, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "no composite");
    mil_program_free(p);
}

/* Attention over 2^31 keys is a valid program, but its scores are too large a tensor: the pass says so and leaves the
 * program as it was. */
static void test_expand_fails_cleanly(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = new_function(&p);
    mil_value x = mil_input(f, "x", shape(MIL_FP32, 3, 1, 1LL << 31, 1, 0));
    mil_value y = mil_scaled_dot_product_attention(f, x, x, x, MIL_NONE), result;
    mil_output(f, "y", y);
    ane_error e = {0};
    assert_false(mil_run_pass(p, MIL_PASS_EXPAND, &e));
    assert_error(&e, ANE_ERROR_SHAPE, "too large");
    assert_ok(mil_program_ok(p, &e), &e);
    assert_int_equal(f->n_ops, 1);
    assert_false(mil_expand_op(f, &f->ops[0], &result, &e)); /* here the report is the builder's, too */
    assert_error(&e, ANE_ERROR_SHAPE, "too large");
    mil_program_free(p);
}

/* ---- the table ----------------------------------------------------------------------------------------- */

static void test_table(void **state) {
    (void)state;
    assert_string_equal(mil_pass_name(MIL_PASS_CSE), "cse");
    assert_string_equal(mil_pass_name(MIL_PASS_FOLD_CONSTANTS), "fold_constants");
    assert_null(mil_pass_name(MIL_PASS_COUNT));
    mil_program *p;
    mil_function *f = new_function(&p);
    ane_error e = {0};
    assert_false(mil_run_pass(p, MIL_PASS_COUNT, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "unknown");
    mil_input(f, "x", mil_scalar(MIL_FP32));
    assert_false(mil_run_pass(p, MIL_PASS_DEAD_CODE, &e)); /* a pass wants a right program */
    assert_error(&e, ANE_ERROR_ARGUMENT, "no outputs");
    mil_program_free(p);
}

/* Names given by the user, labels and places survive; generated names never take an output's. */
static void test_names_survive(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = new_function(&p);
    mil_value x = mil_input(f, "x", shape(MIL_FP32, 2, 3, 4, 0, 0));
    mil_value h = mil_name(f, mil_gelu(f, x, "EXACT"), "hidden");
    f->ops[f->n_ops - 1].label = "first";
    mil_value s = mil_name(f, mil_sin(f, h), "wave");
    f->ops[f->n_ops - 1].label = "second";
    f->ops[f->n_ops - 1].line = 7;
    mil_output(f, "mul_0", mil_add(f, s, x)); /* the expansion's own multiplications want this name too */
    apply(p, MIL_PASS_EXPAND);
    assert_true(mil_find(f, "hidden") != MIL_NONE);
    mil_value wave = mil_find(f, "wave");
    assert_true(wave != MIL_NONE && f->values[wave].used_name);
    assert_string_equal(f->ops[f->values[wave].op].label, "second");
    assert_int_equal(f->ops[f->values[wave].op].line, 7);
    assert_int_equal(mil_find(f, "mul_0"), f->outputs[0]);
    mil_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_code),
        cmocka_unit_test(test_cse),
        cmocka_unit_test(test_cse_constants),
        cmocka_unit_test(test_cse_blobs),
        cmocka_unit_test(test_fold_evaluates),
        cmocka_unit_test(test_fold_keeps_large_and_failing),
        cmocka_unit_test(test_fold_neutral),
        cmocka_unit_test(test_fold_keeps_what_counts),
        cmocka_unit_test(test_fold_views),
        cmocka_unit_test(test_expand_attention),
        cmocka_unit_test(test_expand_cached_attention),
        cmocka_unit_test(test_expand_gelu),
        cmocka_unit_test(test_expand_layer_norm),
        cmocka_unit_test(test_expand_linear),
        cmocka_unit_test(test_expand_refuses),
        cmocka_unit_test(test_expand_fails_cleanly),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_names_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
