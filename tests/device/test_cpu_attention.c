/* Causal attention and its gradient in blocks, against the reference interpreter: sizes that fill no block, groups of
 * heads, every instruction set, fp32 and bf16, any layout; memory that grows with the sequence, not its square. */
#include "device/compare.h"
#include "device/cpu/device.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct shape {
    int64_t batch, groups, group, size, length; /* B, K, R, E, S */
} shape;

/* Attention of q, k and v, and the derivatives by them, all in one function. */
static mil_program *attention_program(const shape *s) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    assert_ok(p, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_type many = mil_tensor(MIL_FP32, 5, (int64_t[]){s->batch, s->groups, s->group, s->size, s->length});
    mil_type few = mil_tensor(MIL_FP32, 5, (int64_t[]){s->batch, s->groups, 1, s->size, s->length});
    mil_value in[3] = {mil_input(f, "q", many), mil_input(f, "k", few), mil_input(f, "v", few)}, out[2], d[3];
    mil_value d_y = mil_input(f, "d_y", many);
    double scale = 1 / sqrt((double)s->size);
    mil_causal_attention(f, in[0], in[1], in[2], scale, out);
    mil_causal_attention_gradient(f, in, out[0], out[1], d_y, scale, d);
    mil_output(f, "y", out[0]);
    mil_output(f, "statistics", out[1]);
    mil_output(f, "d_q", d[0]);
    mil_output(f, "d_k", d[1]);
    mil_output(f, "d_v", d[2]);
    return p;
}

static int count_steps(const ane_kernel *k, const char *type) {
    const cpu_plan *plan = &((const cpu_kernel *)k)->plan;
    int n = 0;
    for (int32_t i = 0; i < plan->n_steps; i++) n += strcmp(plan->steps[i].type->name, type) == 0;
    return n;
}

static const shape shapes[] = {{1, 1, 1, 1, 1}, {1, 2, 1, 8, 7}, {2, 1, 3, 16, 64}, {1, 2, 2, 20, 65},
    {1, 1, 1, 64, 300}, {2, 3, 1, 48, 129}, {1, 1, 2, 80, 70}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static void check_precision(const char *precision, double tolerance) {
    const char *names[4];
    for (int v = 0, n = ane_cpu_vector_names(names); v < n; v++)
        for (int i = 0; i < N_SHAPES; i++) {
            char spec[96];
            snprintf(spec, sizeof spec, "cpu:threads=2,precision=%s,vectors=%s", precision, names[v]);
            compare_program(attention_program(&shapes[i]), spec, 7 + (uint64_t)i, (compare_range){-2, 2},
                MIL_EXACT, tolerance);
        }
}

static void test_fp32(void **state) {
    (void)state;
    check_precision("fp32", 2e-5);
}

/* Operands have 8 bits: 2^-9 of each, over sums in which errors partly cancel. */
static void test_bf16(void **state) {
    (void)state;
    check_precision("bf16", 4e-2);
}

/* By tiles and by dot products, where the processor has them. Both read the same roundings of operands; their sums are
 * ordered in another way, which is as nothing beside them. */
static void test_bf16_by_pairs(void **state) {
    (void)state;
    static const char *const products[] = {"amx", "avx512bf16"};
    ane_error e = {0};
    for (int p = 0; p < 2; p++) {
        char spec[96];
        snprintf(spec, sizeof spec, "cpu:threads=2,precision=bf16,products=%s", products[p]);
        ane_device *d = ane_device_open(spec, &e);
        if (!d) continue;
        const cpu_pairs *pairs = ((cpu_device *)d)->pairs;
        assert_true(pairs && strcmp(pairs->name, products[p]) == 0);
        ane_device_close(d);
        for (int i = 0; i < N_SHAPES; i++)
            compare_program(attention_program(&shapes[i]), spec, 17 + (uint64_t)i, (compare_range){-2, 2},
                MIL_EXACT, 4e-2);
    }
}

/* Rounded after every operation, as the reference does it. */
static void test_fp16(void **state) {
    (void)state;
    compare_program(
        attention_program(&shapes[1]), "cpu:precision=fp16", 3, (compare_range){-2, 2}, MIL_ROUND_FP16, 2e-3);
}

static void test_one_step_each(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = attention_program(&shapes[2]);
    ane_device *d = ane_device_open("cpu", &e);
    assert_true(ane_device_capabilities(d)->fuses_attention);
    ane_kernel *k = ane_device_compile(d, p, NULL, &e);
    assert_ok(k, &e);
    assert_int_equal(count_steps(k, "attend"), 1);
    assert_int_equal(count_steps(k, "attend'"), 1);
    assert_int_equal(((cpu_kernel *)k)->plan.n_steps, 2);
    ane_kernel_free(k);
    ane_device_close(d);
    d = ane_device_open("cpu:precision=fp16", &e);
    assert_false(ane_device_capabilities(d)->fuses_attention);
    ane_device_close(d);
    mil_program_free(p);
}

/* What a program is expanded to computes the same. */
static void test_expanded(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = attention_program(&shapes[3]);
    assert_ok(mil_run_pass(p, MIL_PASS_EXPAND, &e), &e);
    const mil_function *f = mil_program_function(p, NULL);
    for (int32_t i = 0; i < f->n_ops; i++) assert_int_not_equal(f->ops[i].opcode, MIL_OP_CAUSAL_ATTENTION);
    compare_program(p, "cpu", 5, (compare_range){-2, 2}, MIL_EXACT, 2e-5);
}

/* q stands as [B, S, K R E]: its positions are far apart, and so are those of the result. */
static void test_other_layouts(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    assert_ok(p, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 5, (int64_t[]){1, 70, 2, 1, 8})), out[2];
    mil_value q = mil_transpose(f, x, (int32_t[]){0, 2, 3, 4, 1}); /* [1, 2, 1, 8, 70] */
    mil_causal_attention(f, q, q, q, 0.5, out);
    mil_output(f, "y", mil_transpose(f, out[0], (int32_t[]){0, 4, 1, 2, 3}));
    compare_program(p, "cpu", 9, (compare_range){-1, 1}, MIL_EXACT, 1e-5);
}

static float *run_once(const char *spec, const shape *s, int64_t *count) {
    ane_error e = {0};
    compare_run r;
    mil_program *p = attention_program(s);
    compare_prepare(&r, p, spec, 11, (compare_range){-1, 1});
    assert_ok(ane_run(r.binding, NULL, &e), &e);
    *count = s->batch * s->groups * s->size * s->length;
    float *d_k = malloc((size_t)*count * sizeof *d_k);
    assert_ok(ane_buffer_read_f32(r.buffers[COMPARE_PORTS + 3], d_k, *count, &e), &e);
    compare_free(&r);
    mil_program_free(p);
    return d_k;
}

static void test_threads_change_no_bits(void **state) {
    (void)state;
    static const char *const specs[] = {"cpu:threads=1", "cpu:threads=3", "cpu:threads=8"};
    int64_t n;
    float *first = run_once(specs[0], &shapes[5], &n);
    for (int i = 1; i < 3; i++) {
        float *other = run_once(specs[i], &shapes[5], &n);
        assert_memory_equal(first, other, (size_t)n * sizeof *first);
        free(other);
    }
    free(first);
}

static int64_t scratch_of(int64_t length) {
    ane_error e = {0};
    const shape s = {1, 4, 2, 32, length};
    mil_program *p = attention_program(&s);
    ane_device *d = ane_device_open("cpu:threads=2", &e);
    ane_kernel *k = ane_device_compile(d, p, NULL, &e);
    assert_ok(k, &e);
    int64_t bytes = ((cpu_kernel *)k)->plan.scratch_bytes;
    ane_kernel_free(k);
    ane_device_close(d);
    mil_program_free(p);
    return bytes;
}

static void test_memory_is_linear(void **state) {
    (void)state;
    int64_t once = scratch_of(512), twice = scratch_of(1024);
    assert_in_range(twice, once, 2 * once);
}

static void test_wrong_shapes(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value q = mil_input(f, "q", mil_tensor(MIL_FP32, 5, (int64_t[]){1, 2, 2, 8, 4})), out[2];
    mil_causal_attention(f, q, q, q, 1, out);
    assert_false(mil_program_ok(p, &e));
    assert_error(&e, ANE_ERROR_SHAPE, "expected [B, K, R, E, S] and twice [B, K, 1, E, S]");
    mil_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fp32),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_bf16_by_pairs),
        cmocka_unit_test(test_fp16),
        cmocka_unit_test(test_one_step_each),
        cmocka_unit_test(test_expanded),
        cmocka_unit_test(test_other_layouts),
        cmocka_unit_test(test_threads_change_no_bits),
        cmocka_unit_test(test_memory_is_linear),
        cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
