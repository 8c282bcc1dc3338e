/* The reference interpreter: golden values from NumPy and PyTorch for every operation (tests/golden/mil_ops.py), and by
 * hand what they cannot say: special numbers, rounding, refusals. */
#include "support/support.h"

#include "anemone/mil.h"
#include "base/file.h"
#include "mil/eval.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- golden values ------------------------------------------------------------------------------------- */

static double *numbers(const json_t *list, int64_t n) {
    assert_int_equal((int64_t)json_array_size(list), n);
    double *x = malloc(sizeof *x * (size_t)(n + 1));
    for (int64_t i = 0; i < n; i++) x[i] = json_number_value(json_array_get(list, (size_t)i));
    return x;
}

static void compare(const char *name, bool exactly, const mil_array *found, const double *expected) {
    for (int64_t i = 0; i < mil_type_count(&found->type); i++) {
        double d = fabs(found->data[i] - expected[i]),
               allowed = exactly ? 0 : 1e-12 * fmax(1, fabs(expected[i]));
        if (!(d <= allowed))
            fail_msg(
                "%s: element %lld is %.17g, expected %.17g", name, (long long)i, found->data[i], expected[i]);
    }
}

static void run_case(const json_t *c) {
    const char *name = json_string_value(json_object_get(c, "name")),
               *text = json_string_value(json_object_get(c, "mil"));
    bool fp16 = json_is_true(json_object_get(c, "fp16"));
    ane_error e = {0};
    mil_program *p = mil_parse(text, strlen(text), name, &e);
    assert_ok(p, &e);
    assert_ok(mil_verify(p, &e), &e);
    const mil_function *f = p->functions[0];
    mil_array inputs[8], outputs[8];
    for (int i = 0; i < f->n_inputs; i++) {
        const mil_value_info *v = &f->values[f->inputs[i]];
        inputs[i] = (mil_array){v->type,
            numbers(json_object_get(json_object_get(c, "inputs"), v->name), mil_type_count(&v->type))};
    }
    assert_ok(mil_evaluate(f, fp16 ? MIL_ROUND_FP16 : MIL_EXACT, inputs, 0, NULL, outputs, &e), &e);
    for (int i = 0; i < f->n_outputs; i++) {
        const mil_value_info *v = &f->values[f->outputs[i]];
        double *expected =
            numbers(json_object_get(json_object_get(c, "outputs"), v->name), mil_type_count(&v->type));
        compare(name, fp16, &outputs[i], expected);
        free(expected);
        free(outputs[i].data);
    }
    for (int i = 0; i < f->n_inputs; i++) free(inputs[i].data);
    mil_program_free(p);
}

/* Every row of the table must be in the golden file, apart from values. */
static void check_breadth(const json_t *cases) {
    for (int op = 0; op < MIL_OP_COUNT; op++) {
        if (!mil_op_table[op].eval) continue;
        char call[64];
        snprintf(call, sizeof call, " = %s(", mil_op_table[op].name);
        bool found = false;
        for (size_t i = 0; i < json_array_size(cases); i++)
            found =
                found || strstr(json_string_value(json_object_get(json_array_get(cases, i), "mil")), call);
        if (!found) fail_msg("no golden value for %s", mil_op_table[op].name);
    }
}

static void test_golden(void **state) {
    (void)state;
    json_error_t report;
    json_t *cases = json_load_file(ANEMONE_ROOT "/tests/golden/mil_ops.json", 0, &report);
    if (!cases) fail_msg("%s", report.text);
    assert_true(json_array_size(cases) > 100);
    check_breadth(cases);
    for (size_t i = 0; i < json_array_size(cases); i++) run_case(json_array_get(cases, i));
    json_decref(cases);
}

/* ---- by hand ------------------------------------------------------------------------------------------- */

#define T(...)                                                                                               \
    mil_tensor(MIL_FP32, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
#define N(...) ((double[]){__VA_ARGS__})

typedef mil_value make_fn(mil_function *f, mil_value x);

/* y = make(x) for the n numbers in x, in place. */
static void map(make_fn *make, mil_rounding rounding, double *x, int n) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_output(f, "y", make(f, mil_input(f, "x", T(n))));
    assert_ok(mil_program_ok(p, &e), &e);
    mil_array in = {T(n), x}, out;
    assert_ok(mil_evaluate(f, rounding, &in, 0, NULL, &out, &e), &e);
    memcpy(x, out.data, sizeof *x * (size_t)mil_type_count(&out.type));
    free(out.data);
    mil_program_free(p);
}

static mil_value make_relu(mil_function *f, mil_value x) {
    return mil_relu(f, x);
}
static mil_value make_maximum(mil_function *f, mil_value x) {
    return mil_maximum(f, x, mil_const_float(f, MIL_FP32, 1));
}
static mil_value make_minimum(mil_function *f, mil_value x) {
    return mil_minimum(f, x, mil_const_float(f, MIL_FP32, 1));
}
static mil_value make_log(mil_function *f, mil_value x) {
    return mil_log(f, x, 0);
}
static mil_value make_sigmoid(mil_function *f, mil_value x) {
    return mil_sigmoid(f, x);
}
static mil_value make_softmax(mil_function *f, mil_value x) {
    return mil_softmax(f, x, 0);
}
static mil_value make_integer(mil_function *f, mil_value x) {
    return mil_cast(f, x, MIL_INT32);
}

static void test_special_numbers(void **state) {
    (void)state;
    double r[] = {NAN, -INFINITY, -0.0}, a[] = {NAN, -INFINITY}, i[] = {NAN, INFINITY, 2}, l[] = {0, -1};
    map(make_relu, MIL_EXACT, r, 3);
    assert_true(isnan(r[0]) && r[1] == 0 && r[2] == 0);
    map(make_maximum, MIL_EXACT, a, 2);
    assert_true(isnan(a[0]) && a[1] == 1);
    map(make_minimum, MIL_EXACT, i, 3);
    assert_true(isnan(i[0]) && i[1] == 1 && i[2] == 1);
    map(make_log, MIL_EXACT, l, 2);
    assert_true(l[0] == -INFINITY && isnan(l[1]));
    double s[] = {-800, 800, 0}, p[] = {-1e30, 1e30, 1e30}, c[] = {NAN, 1e20, -1.9};
    map(make_sigmoid, MIL_EXACT, s, 3);
    assert_true(s[0] >= 0 && s[0] < 1e-300 && s[1] == 1 && s[2] == 0.5);
    map(make_softmax, MIL_EXACT, p, 3);
    assert_true(p[0] == 0 && p[1] == 0.5 && p[2] == 0.5);
    map(make_integer, MIL_EXACT, c, 3);
    assert_true(c[0] == 0 && c[1] == 2147483647 && c[2] == -1);
}

static mil_value make_double(mil_function *f, mil_value x) {
    return mil_add(f, x, x);
}
static mil_value make_sum(mil_function *f, mil_value x) {
    return mil_reduce_sum(f, x, 0, NULL, false);
}
static mil_value make_tenth(mil_function *f, mil_value x) {
    return mil_mul_scalar(f, x, 0.1);
}
static mil_value make_identity(mil_function *f, mil_value x) {
    return mil_identity(f, x);
}

static void test_fp16_rounding(void **state) {
    (void)state;
    /* Halves go to even; 65520 is the first number that overflows; 2^-25 is half of the smallest. */
    double x[] = {2049, 2051, 65519, 65520, ldexp(1, -25), ldexp(1.001, -25), 0.1};
    map(make_identity, MIL_ROUND_FP16, x, 7);
    assert_true(x[0] == 2048 && x[1] == 2052 && x[2] == 65504 && x[3] == INFINITY && x[4] == 0);
    assert_true(x[5] == ldexp(1, -24) && x[6] == 0.0999755859375);
    double d[] = {40000, 1}, t[] = {3};
    map(make_double, MIL_ROUND_FP16, d, 2);
    assert_true(d[0] == INFINITY && d[1] == 2);
    map(make_tenth, MIL_ROUND_FP16, t,
        1); /* the constant is rounded too: 3 * 0.09997.. is a tie, 0.3 is not */
    assert_true(t[0] == 0.2998046875);
    /* A sum is one operation: 2048 + 1 + 1 is 2050, though 2048 + 1 alone would be 2048. */
    double s[] = {2048, 1, 1};
    map(make_sum, MIL_ROUND_FP16, s, 3);
    assert_true(s[0] == 2050);
    /* Straight from double: through fp32 this would round twice, to 1 + 2^-10. */
    double twice[] = {1 + ldexp(1, -11) + ldexp(1, -40)};
    map(make_identity, MIL_ROUND_FP16, twice, 1);
    assert_true(twice[0] == 1 + ldexp(1, -10));
    double below[] = {1 + ldexp(1, -11) - ldexp(1, -40)};
    map(make_identity, MIL_ROUND_FP16, below, 1);
    assert_true(below[0] == 1);
}

/* Inputs, parameters by name, an input that is an output, a value used late. */
static void test_function(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", T(2)), w = mil_param(f, "w", T(2)), b = mil_param(f, "b", T(2));
    mil_value h = mil_mul(f, x, w);
    mil_output(f, "y", mil_add(f, mil_add(f, mil_exp(f, h), b), h));
    mil_output(f, "same", x);
    assert_ok(mil_program_ok(p, &e), &e);
    mil_array in = {T(2), N(1, 2)}, out[2];
    mil_named_array params[] = {{"b", {T(2), N(10, 20)}}, {"idle", {T(2), N(0, 0)}}, {"w", {T(2), N(0, 1)}}};
    assert_ok(mil_evaluate(f, MIL_EXACT, &in, 3, params, out, &e), &e);
    assert_true(out[0].data[0] == 11 && fabs(out[0].data[1] - (exp(2) + 22)) < 1e-12);
    assert_true(out[1].data[0] == 1 && out[1].data[1] == 2);
    free(out[0].data);
    free(out[1].data);

    assert_false(mil_evaluate(f, MIL_EXACT, &in, 1, params, out, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "parameter w has no value");
    assert_null(out[0].data);
    mil_array wrong = {T(3), N(1, 2, 3)};
    assert_false(mil_evaluate(f, MIL_EXACT, &wrong, 3, params, out, &e));
    assert_error(&e, ANE_ERROR_SHAPE, "input x must be tensor<fp32, [2]>, but tensor<fp32, [3]> was given");
    wrong = (mil_array){mil_tensor(MIL_FP16, 1, (int64_t[]){2}), N(1, 2)};
    assert_false(mil_evaluate(f, MIL_EXACT, &wrong, 3, params, out, &e));
    assert_error(&e, ANE_ERROR_TYPE, "input x must be tensor<fp32, [2]>");
    wrong = (mil_array){T(2), NULL};
    assert_false(mil_evaluate(f, MIL_EXACT, &wrong, 3, params, out, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "no data");
    params[2].array.type = T(1);
    assert_false(mil_evaluate(f, MIL_EXACT, &in, 3, params, out, &e));
    assert_error(&e, ANE_ERROR_SHAPE, "parameter w");
    mil_program_free(p);
}

/* An index that does not exist is named, with its place; a negative one counts from the end in iOS 16 only. */
static void test_bad_index(void **state) {
    (void)state;
    const struct {
        mil_dialect dialect;
        double index;
        const char *part;
    } cases[] = {{MIL_IOS18, 3, "indices[1] is 3, but the axis has 3 elements"},
        {MIL_IOS18, -1, "indices[1] is -1"}, {MIL_IOS16, -4, "indices[1] is -4"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int scatter = 0; scatter < 2; scatter++) {
            ane_error e = {0};
            mil_program *p = mil_program_new(cases[i].dialect, &e);
            mil_function *f = mil_function_new(p, "main");
            mil_value x = mil_input(f, "x", T(3)),
                      at = mil_input(f, "at", mil_tensor(MIL_INT32, 1, (int64_t[]){2}));
            mil_value u = mil_const_floats(f, T(2), (float[]){1, 2});
            mil_output(f, "y", scatter ? mil_scatter(f, x, at, u, 0, "add") : mil_gather(f, x, at, 0));
            mil_array in[] = {{T(3), N(1, 2, 3)},
                {mil_tensor(MIL_INT32, 1, (int64_t[]){2}), N(0, cases[i].index)}},
                      out;
            assert_ok(mil_program_ok(p, &e), &e);
            assert_false(mil_evaluate(f, MIL_EXACT, in, 0, NULL, &out, &e));
            assert_non_null(strstr(e.where, scatter ? "scatter (y)" : "gather (y)"));
            assert_error(&e, ANE_ERROR_ARGUMENT, cases[i].part);
            mil_program_free(p);
        }
}

static void test_blob_not_loaded(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", T(3));
    mil_output(f, "y", mil_add(f, x, mil_const_blob(f, T(3), "@model_path/weights/w.bin", 64)));
    mil_array in = {T(3), N(1, 2, 3)}, out;
    assert_false(mil_evaluate(f, MIL_EXACT, &in, 0, NULL, &out, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "weights/w.bin");
    mil_program_free(p);
}

/* mil_eval_op treats constants and operations alike, and says that a parameter has no value of its own. */
static void test_one_operation(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value k = mil_const_float(f, MIL_FP32, 1.0 / 3), w = mil_param(f, "w", T(1));
    mil_value y = mil_add(f, k, k);
    mil_array *values = calloc((size_t)f->n_values, sizeof *values), out;
    mil_eval_context c = {f, &f->ops[f->values[k].op], values, MIL_ROUND_FP16};
    assert_ok(mil_eval_op(&c, &values[k], &e), &e);
    assert_true(values[k].data[0] == 0.333251953125);
    c.op = &f->ops[f->values[y].op];
    assert_ok(mil_eval_op(&c, &out, &e), &e);
    assert_true(out.data[0] == 0.66650390625 && out.type.rank == 0);
    c.op = &f->ops[f->values[w].op];
    mil_array none;
    assert_false(mil_eval_op(&c, &none, &e));
    assert_error(&e, ANE_ERROR_UNSUPPORTED, "parameter");
    free(out.data);
    free(values[k].data);
    free(values);
    mil_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden), cmocka_unit_test(test_special_numbers),
        cmocka_unit_test(test_fp16_rounding), cmocka_unit_test(test_function),
        cmocka_unit_test(test_bad_index), cmocka_unit_test(test_blob_not_loaded),
        cmocka_unit_test(test_one_operation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
