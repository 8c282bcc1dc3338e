/* The builder: names, inputs and outputs, constants, calls by name, errors that stick. */
#include "support/support.h"

#include "mil/ops.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static mil_function *begin(mil_program **p) {
    ane_error e = {0};
    *p = mil_program_new(MIL_IOS18, &e);
    assert_ok(*p, &e);
    mil_function *f = mil_function_new(*p, "main");
    assert_non_null(f);
    return f;
}

static mil_type vector(int64_t n) {
    return mil_tensor(MIL_FP32, 1, &n);
}

static const char *name_of(const mil_function *f, mil_value v) {
    return f->values[v].name;
}

/* ---- names --------------------------------------------------------------------------------------------- */

static void test_generated_names(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = begin(&p);
    mil_value x = mil_input(f, "x", vector(3));
    mil_value a = mil_exp(f, x), b = mil_exp(f, a), c = mil_sin(f, b);
    assert_string_equal(name_of(f, a), "exp_0");
    assert_string_equal(name_of(f, b), "exp_1");
    assert_string_equal(name_of(f, c), "sin_0");
    assert_false(f->values[a].used_name);
    assert_int_equal(mil_find(f, "exp_1"), b);
    assert_int_equal(mil_find(f, "exp_2"), MIL_NONE);
    mil_program_free(p);
}

static void test_given_names(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = begin(&p);
    mil_value x = mil_input(f, "x", vector(3));
    mil_value a = mil_name(f, mil_exp(f, x), "h"), b = mil_name(f, mil_exp(f, a), "h");
    assert_string_equal(name_of(f, a), "h");
    assert_string_equal(name_of(f, b), "h_0"); /* taken: a suffix */
    assert_true(f->values[b].used_name);
    mil_value c = mil_name(f, mil_exp(f, b), "h_0");
    assert_string_equal(name_of(f, c), "h_0_0");
    mil_name(f, c, "k"); /* a second name frees the first */
    assert_int_equal(mil_find(f, "h_0_0"), MIL_NONE);
    mil_value auto_named = mil_sin(f, x); /* sin_0 */
    mil_value given = mil_name(f, mil_cos(f, x), "sin_0");
    assert_string_equal(name_of(f, given), "sin_0"); /* a given name is stronger than a generated one */
    assert_int_equal(mil_find(f, name_of(f, auto_named)), auto_named);
    assert_int_equal(mil_name(f, given, "sin_0"), given); /* its own name again: nothing changes */
    assert_string_equal(name_of(f, given), "sin_0");
    assert_int_equal(mil_name(f, MIL_NONE, "n"), MIL_NONE);
    assert_int_equal(p->error.code, ANE_OK);
    assert_int_equal(mil_name(f, 99, "n"), MIL_NONE);
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "99 does not exist");
    assert_int_equal(mil_name(f, given, ""), MIL_NONE);
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "needs a name");
    mil_program_free(p);
}

static void test_many_names(void **state) {
    (void)state;
    enum { N = 5000 };
    mil_program *p;
    mil_function *f = begin(&p);
    mil_value v = mil_input(f, "x", vector(1));
    for (int i = 0; i < N; i++) {
        v = mil_exp(f, v);
        if (i % 2) mil_name(f, v, "same");
    }
    assert_int_equal(f->n_values, N + 1);
    for (int i = 0; i < f->n_values; i++) assert_int_equal(mil_find(f, name_of(f, i)), i);
    mil_program_free(p);
}

/* ---- inputs, outputs, parameters ----------------------------------------------------------------------- */

static void test_outputs(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = begin(&p);
    mil_value x = mil_input(f, "x", vector(3)), w = mil_param(f, "w", vector(3));
    mil_value h = mil_add(f, x, w);
    mil_output(f, "y", h);
    mil_output(f, "again", h); /* an output already */
    mil_output(f, "copy", x);  /* an input */
    mil_output(f, "weight", w);
    static const char *const names[] = {"y", "again", "copy", "weight"};
    for (int i = 0; i < 4; i++) {
        assert_string_equal(name_of(f, f->outputs[i]), names[i]);
        assert_int_equal(mil_find(f, names[i]), f->outputs[i]);
    }
    assert_int_equal(f->outputs[0], h);
    for (int i = 1; i < 4; i++) assert_int_equal(f->ops[f->values[f->outputs[i]].op].opcode, MIL_OP_IDENTITY);
    ane_error e = {0};
    assert_ok(mil_program_ok(p, &e), &e);
    mil_program_free(p);
}

static void test_outputs_take_names(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = begin(&p);
    mil_value x = mil_input(f, "x", vector(3));
    mil_value inner = mil_name(f, mil_exp(f, x), "y");
    mil_output(f, "y", mil_sin(f, inner)); /* what a device binds is called exactly so */
    assert_int_equal(mil_find(f, "y"), f->outputs[0]);
    assert_string_equal(name_of(f, inner), "y_0");
    mil_output(f, "x", mil_cos(f, x));
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "the name is taken: an input is called so");
    mil_output(f, "y", mil_cos(f, x));
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "an output is called so");
    mil_param(f, "w", vector(3));
    mil_param(f, "w", vector(3));
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "a parameter is called so");
    assert_int_equal(mil_input(f, "x", vector(3)), MIL_NONE);
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "an input is called so");
    mil_output(f, "z", 77);
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "77 does not exist");
    mil_program_free(p);
}

static void test_bad_inputs(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = begin(&p);
    mil_input(f, "x", mil_tensor(MIL_FP32, 2, (int64_t[]){3, 0}));
    assert_error(&p->error, ANE_ERROR_SHAPE, "dimension 1 of tensor<fp32, [3, 0]> is 0; expected at least 1");
    mil_input(f, "x", (mil_type){.dtype = MIL_FP32, .rank = 9});
    assert_error(&p->error, ANE_ERROR_SHAPE, "rank 9 is not between 0 and 8");
    mil_input(f, "x", (mil_type){.dtype = MIL_FP32, .rank = -1});
    assert_error(&p->error, ANE_ERROR_SHAPE, "rank -1");
    mil_input(f, "x", (mil_type){.dtype = MIL_VOID});
    assert_error(&p->error, ANE_ERROR_TYPE, "element type 0 is unknown");
    mil_input(f, "x", (mil_type){.dtype = (mil_dtype)99});
    assert_error(&p->error, ANE_ERROR_TYPE, "element type 99 is unknown");
    mil_input(f, "x", mil_tensor(MIL_STRING, 1, (int64_t[]){2}));
    assert_error(&p->error, ANE_ERROR_TYPE, "a string has rank 0");
    mil_input(f, "x", mil_tensor(MIL_FP32, 2, (int64_t[]){INT64_MAX, INT64_MAX}));
    assert_error(&p->error, ANE_ERROR_SHAPE, "too large");
    mil_input(f, NULL, vector(3));
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "needs a name");
    mil_param(f, "w", mil_tensor(MIL_FP32, 1, (int64_t[]){-3}));
    assert_error(&p->error, ANE_ERROR_SHAPE, "is -3");
    mil_program_free(p);
}

/* ---- errors stick -------------------------------------------------------------------------------------- */

static void test_sticky_errors(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = begin(&p);
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 2, (int64_t[]){4, 64}));
    mil_value y = mil_input(f, "y", mil_tensor(MIL_FP32, 2, (int64_t[]){32, 8}));
    mil_value bad = mil_matmul(f, x, y, false, false);
    assert_int_equal(bad, MIL_NONE);
    int n_ops = f->n_ops, n_values = f->n_values;
    mil_value parts[3] = {7, 7, 7};
    mil_split(f, bad, 3, 0, parts);
    for (int i = 0; i < 3; i++) assert_int_equal(parts[i], MIL_NONE);
    assert_int_equal(mil_type_of(f, bad)->rank, 0); /* reading a shape of nothing is safe */
    assert_int_equal(mil_conv(f, bad, bad), MIL_NONE);
    assert_int_equal(mil_add_scalar(f, x, 1), MIL_NONE);
    assert_int_equal(mil_input(f, "z", vector(3)), MIL_NONE);
    assert_int_equal(mil_param(f, "w", vector(3)), MIL_NONE);
    assert_int_equal(mil_const_string(f, "s"), MIL_NONE);
    assert_int_equal(mil_const_floats(f, vector(1), (float[]){1}), MIL_NONE);
    assert_int_equal(mil_const_blob(f, vector(1), "@model_path/w.bin", 64), MIL_NONE);
    assert_int_equal(mil_name(f, x, "n"), MIL_NONE);
    assert_false(mil_call(f, "exp", 0, NULL, 1, parts));
    assert_null(mil_function_new(p, "other"));
    mil_output(f, "out", x);
    assert_int_equal(f->n_ops, n_ops);
    assert_int_equal(f->n_values, n_values);
    assert_int_equal(f->n_outputs, 0);
    ane_error e = {0};
    assert_false(mil_program_ok(p, &e));
    assert_error(&e, ANE_ERROR_SHAPE,
        "inner dimensions differ: x is [.., 4, 64], y is [.., 32, 8]; expected 64 rows in y");
    mil_program_free(p);
}

static void test_no_function(void **state) {
    (void)state; /* a function that could not be made takes calls as an error that stuck does */
    assert_int_equal(mil_input(NULL, "x", vector(3)), MIL_NONE);
    assert_int_equal(mil_const_int(NULL, 1), MIL_NONE);
    assert_int_equal(mil_matmul(NULL, 0, 0, false, false), MIL_NONE);
    mil_output(NULL, "y", 0);
}

/* ---- constants ----------------------------------------------------------------------------------------- */

static double element(const mil_function *f, mil_value v, int64_t i) {
    return mil_constant_at(&f->values[v].type, f->values[v].constant->data, i);
}

static void test_constants(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = begin(&p);
    static const float numbers[] = {0.1f, -2, 65504, 1e6f};
    const mil_type half = mil_tensor(MIL_FP16, 1, (int64_t[]){4});
    mil_value v = mil_const_floats(f, half, numbers);
    assert_true(element(f, v, 0) == 0.0999755859375);
    assert_true(element(f, v, 2) == 65504);
    assert_true(isinf(element(f, v, 3)));
    v = mil_const_float(f, MIL_INT8, 300);
    assert_true(element(f, v, 0) == 127);
    v = mil_const_ints(f, 3, (int32_t[]){1, -2, 3});
    assert_true(element(f, v, 1) == -2);
    assert_true(element(f, mil_const_bool(f, true), 0) == 1);
    v = mil_const_string(f, "valid");
    assert_string_equal(f->values[v].constant->data, "valid");
    char copy[] = "copied";
    v = mil_const_data(f, mil_scalar(MIL_STRING), copy);
    copy[0] = 'X';
    assert_string_equal(f->values[v].constant->data, "copied");
    v = mil_const_blob(f, half, "@model_path/w.bin", 64);
    assert_null(f->values[v].constant->data);
    assert_string_equal(f->values[v].constant->blob_path, "@model_path/w.bin");
    assert_int_equal(f->values[v].constant->blob_offset, 64);
    mil_program_free(p);
}

static void test_bad_constants(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = begin(&p);
    assert_int_equal(mil_const_data(f, vector(3), NULL), MIL_NONE);
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "needs data");
    assert_int_equal(mil_const_ints(f, 0, NULL), MIL_NONE);
    assert_error(&p->error, ANE_ERROR_SHAPE, "is 0; expected at least 1");
    assert_int_equal(mil_const_blob(f, vector(3), NULL, 64), MIL_NONE);
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "needs a path");
    assert_int_equal(mil_const_float(f, MIL_VOID, 1), MIL_NONE);
    assert_error(&p->error, ANE_ERROR_TYPE, "element type 0");
    mil_program_free(p);
}

/* Every element type keeps what it can hold, saturates what it cannot, and leaves its neighbours alone. */
static void test_elements(void **state) {
    (void)state;
    static const struct {
        mil_dtype dtype;
        double least, most;
    } rows[] = {{MIL_INT4, -8, 7}, {MIL_INT8, -128, 127}, {MIL_INT16, -32768, 32767},
        {MIL_INT32, INT32_MIN, INT32_MAX}, {MIL_UINT1, 0, 1}, {MIL_UINT2, 0, 3}, {MIL_UINT3, 0, 7},
        {MIL_UINT4, 0, 15}, {MIL_UINT6, 0, 63}, {MIL_UINT8, 0, 255}, {MIL_UINT16, 0, 65535},
        {MIL_UINT32, 0, UINT32_MAX}, {MIL_BOOL, 0, 1}, {MIL_INT64, -9007199254740992.0, 9007199254740992.0},
        {MIL_UINT64, 0, 9007199254740992.0}, {MIL_FP16, -65504, 65504}, {MIL_BF16, -256, 256},
        {MIL_FP32, -16777216, 16777216}, {MIL_FP64, -1e300, 1e300}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        enum { N = 11 };
        mil_type type = mil_tensor(rows[r].dtype, 1, (int64_t[]){N});
        unsigned char data[8 * N] = {0};
        for (int i = 0; i < N; i++) mil_constant_set(&type, data, i, i % 2 ? rows[r].most : rows[r].least);
        for (int i = 0; i < N; i += 3) mil_constant_set(&type, data, i, 1);
        for (int i = 0; i < N; i++) {
            double expected = i % 3 == 0 ? 1 : i % 2 ? rows[r].most : rows[r].least;
            if (mil_constant_at(&type, data, i) != expected)
                fail_msg("%s[%d] is %g, not %g", mil_dtype_name(rows[r].dtype), i,
                    mil_constant_at(&type, data, i), expected);
        }
        if (mil_dtype_is_float(rows[r].dtype) || rows[r].dtype == MIL_BOOL) continue;
        mil_constant_set(&type, data, 4, 1e30);
        assert_true(mil_constant_at(&type, data, 4) >= rows[r].most);
        mil_constant_set(&type, data, 4, -1e30);
        assert_true(mil_constant_at(&type, data, 4) <= rows[r].least);
        mil_constant_set(&type, data, 4, NAN);
        assert_true(mil_constant_at(&type, data, 4) == 0);
    }
}

/* ---- reading arguments --------------------------------------------------------------------------------- */

static void test_arguments(void **state) {
    (void)state;
    mil_program *p;
    mil_function *f = begin(&p);
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 3, (int64_t[]){2, 3, 4}));
    mil_value y = mil_reduce_sum(f, x, 2, (int32_t[]){-1, 0}, true);
    const mil_operation *op = &f->ops[f->values[y].op];
    int32_t axes[MIL_MAX_RANK];
    int n;
    ane_error e = {0};
    assert_ok(mil_arg_axes(f, op, "axes", 3, axes, &n, &e), &e);
    assert_int_equal(n, 2);
    assert_int_equal(axes[0], 0);
    assert_int_equal(axes[1], 2);
    assert_true(mil_arg_bool(f, op, "keep_dims", false));
    assert_int_equal(mil_arg_value(op, "x"), x);
    assert_int_equal(mil_arg_value(op, "no such"), MIL_NONE);
    assert_int_equal(mil_arg_int(f, op, "no such", 5), 5);
    assert_string_equal(mil_arg_string(f, op, "axes", "default"), "default"); /* not a string */
    assert_true(mil_arg_float(f, op, "x", 2.5) == 2.5);                       /* not a constant */
    assert_false(mil_arg_ints(f, op, "x", 8, axes, &n, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "x must be a constant");
    mil_program_free(p);
}

/* ---- every typed function makes its operation ---------------------------------------------------------- */

static mil_value all_unary(mil_function *f, mil_value x) {
    x = mil_exp(f, x), x = mil_log(f, x, 1), x = mil_sqrt(f, x), x = mil_rsqrt(f, x, 1),
    x = mil_inverse(f, x, 1);
    x = mil_abs(f, x), x = mil_sin(f, x), x = mil_cos(f, x), x = mil_sigmoid(f, x), x = mil_silu(f, x);
    x = mil_tanh(f, x), x = mil_relu(f, x), x = mil_erf(f, x), x = mil_gelu(f, x, NULL),
    x = mil_identity(f, x);
    return mil_cast(f, x, MIL_FP32);
}

static mil_value all_binary(mil_function *f, mil_value x, mil_value y) {
    mil_value z = mil_add(f, x, y);
    z = mil_sub(f, z, y), z = mil_mul(f, z, y), z = mil_real_div(f, z, y), z = mil_maximum(f, z, y);
    z = mil_minimum(f, z, y), z = mil_pow(f, z, y), z = mil_add_scalar(f, z, 1), z = mil_mul_scalar(f, z, 2);
    z = mil_pow_scalar(f, z, 3);
    mil_value which[] = {
        mil_equal(f, z, y), mil_greater(f, z, y), mil_greater_equal(f, z, y), mil_less(f, z, y)};
    for (int i = 0; i < 4; i++) z = mil_select(f, which[i], z, y);
    return z;
}

static void test_opcodes(void **state) {
    (void)state;
    static const mil_opcode expected[] = {MIL_OP_EXP, MIL_OP_LOG, MIL_OP_SQRT, MIL_OP_RSQRT, MIL_OP_INVERSE,
        MIL_OP_ABS, MIL_OP_SIN, MIL_OP_COS, MIL_OP_SIGMOID, MIL_OP_SILU, MIL_OP_TANH, MIL_OP_RELU, MIL_OP_ERF,
        MIL_OP_GELU, MIL_OP_IDENTITY, MIL_OP_CAST, MIL_OP_ADD, MIL_OP_SUB, MIL_OP_MUL, MIL_OP_REAL_DIV,
        MIL_OP_MAXIMUM, MIL_OP_MINIMUM, MIL_OP_POW, MIL_OP_ADD, MIL_OP_MUL, MIL_OP_POW, MIL_OP_EQUAL,
        MIL_OP_GREATER, MIL_OP_GREATER_EQUAL, MIL_OP_LESS, MIL_OP_SELECT, MIL_OP_SELECT, MIL_OP_SELECT,
        MIL_OP_SELECT};
    mil_program *p;
    mil_function *f = begin(&p);
    mil_value x = mil_input(f, "x", vector(3)), y = mil_input(f, "y", vector(3));
    mil_output(f, "z", all_binary(f, all_unary(f, x), y));
    ane_error e = {0};
    assert_ok(mil_program_ok(p, &e), &e);
    size_t at = 0;
    for (int i = 0; i < f->n_ops; i++) {
        if (f->ops[i].opcode == MIL_OP_CONST) continue;
        assert_string_equal(f->ops[i].info->name, mil_op_table[expected[at++]].name);
    }
    assert_int_equal(at, sizeof expected / sizeof *expected);
    mil_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generated_names),
        cmocka_unit_test(test_given_names),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_outputs_take_names),
        cmocka_unit_test(test_bad_inputs),
        cmocka_unit_test(test_sticky_errors),
        cmocka_unit_test(test_no_function),
        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_bad_constants),
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_opcodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
