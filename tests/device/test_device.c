/* The device interface: specs, buffers, bindings, and what is said when they are wrong. */
#include "device/compare.h"

#include <math.h>

static mil_type vector(mil_dtype t, int64_t n) {
    return mil_tensor(t, 1, &n);
}

static ane_device *open_cpu(const char *spec) {
    ane_error e = {0};
    ane_device *d = ane_device_open(spec, &e);
    assert_ok(d, &e);
    return d;
}

/* y = x * w + b */
static mil_program *affine(mil_dtype t) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", vector(t, 4)), w = mil_param(f, "w", vector(t, 4));
    mil_output(f, "y", mil_add_scalar(f, mil_mul(f, x, w), 1));
    return p;
}

static void test_specs(void **state) {
    (void)state;
    ane_device *d = open_cpu("cpu:threads=2,precision=fp16,vectors=baseline");
    const ane_capabilities *c = ane_device_capabilities(d);
    assert_string_equal(c->device, "cpu");
    assert_int_equal(c->precision, ANE_FP16);
    assert_int_equal(c->activation_dtype, MIL_FP16);
    assert_int_equal(c->threads, 2);
    assert_true(c->accumulates);
    assert_non_null(strstr(c->description, "baseline"));
    assert_non_null(strstr(c->description, "2 threads"));
    ane_device_close(d);
    d = open_cpu("cpu");
    assert_int_equal(ane_device_capabilities(d)->precision, ANE_FP32);
    assert_int_equal(ane_device_capabilities(d)->activation_dtype, MIL_FP32);
    assert_true(ane_device_capabilities(d)->threads >= 1);
    ane_device_close(d);
    ane_device_close(NULL);
}

static void test_wrong_specs(void **state) {
    (void)state;
    static const struct {
        const char *spec, *part;
    } wrong[] = {{"gpu", "there is no device \"gpu\"; known: cpu"}, {"", "known: cpu"}, {"cp", "known: cpu"},
        {"cpux", "known: cpu"}, {NULL, "known: cpu"},
        {"cpu:thread=2", "no option \"thread\"; its options: threads=N"},
        {"cpu:threads=0", "from 1 to 1024, found \"0\""}, {"cpu:threads=two", "found \"two\""},
        {"cpu:threads", "found \"\""},
        {"cpu:precision=fp8", "there is no precision \"fp8\"; known: fp32, bf16, int8, fp16"},
        {"cpu:vectors=mmx", "vectors=mmx cannot run on this processor; what can:"},
        {"cpu:threads=2,x", "no option \"x\""}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ane_error e = {0};
        assert_null(ane_device_open(wrong[i].spec, &e));
        assert_error(&e, ANE_ERROR_ARGUMENT, wrong[i].part);
    }
    char endless[400] = "cpu:";
    memset(endless + 4, 'x', 300);
    ane_error e = {0};
    assert_null(ane_device_open(endless, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "longer than");
}

static void test_forced_vectors(void **state) {
    (void)state;
    ane_error e = {0};
    setenv("ANEMONE_VECTOR", "baseline", 1);
    ane_device *d = open_cpu("cpu");
    assert_non_null(strstr(ane_device_capabilities(d)->description, "baseline"));
    ane_device_close(d);
    setenv("ANEMONE_VECTOR", "vax", 1);
    assert_null(ane_device_open("cpu", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "Unset ANEMONE_VECTOR");
    unsetenv("ANEMONE_VECTOR");
}

static void test_precision_names(void **state) {
    (void)state;
    ane_error e = {0};
    for (int i = ANE_FP32; i <= ANE_FP16; i++) {
        ane_precision p = ANE_FP32;
        assert_true(ane_precision_from_name(&p, ane_precision_name((ane_precision)i), &e));
        assert_int_equal(p, i);
    }
    assert_string_equal(ane_precision_name((ane_precision)17), "unknown");
}

static void test_buffers_convert(void **state) {
    (void)state;
    ane_device *d = open_cpu("cpu");
    ane_error e = {0};
    const float x[4] = {1.5f, -2, 3e9f, 1.0f / 3};
    static const struct {
        mil_dtype dtype;
        float back[4];
    } cases[] = {{MIL_FP32, {1.5f, -2, 3e9f, 1.0f / 3}}, {MIL_FP16, {1.5f, -2, INFINITY, 0.33325195f}},
        {MIL_BF16, {1.5f, -2, 3003121664.0f, 0.333984375f}}, {MIL_INT32, {1, -2, 2147483647.0f, 0}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ane_buffer *b = ane_buffer_new(d, vector(cases[i].dtype, 4), &e);
        assert_ok(b, &e);
        float y[4] = {9, 9, 9, 9};
        assert_true(ane_buffer_read_f32(b, y, 4, &e)); /* zeroed */
        for (int k = 0; k < 4; k++) assert_true(y[k] == 0);
        assert_ok(ane_buffer_write_f32(b, x, 4, &e), &e);
        assert_ok(ane_buffer_read_f32(b, y, 4, &e), &e);
        for (int k = 0; k < 4; k++) assert_true(y[k] == cases[i].back[k]);
        assert_false(ane_buffer_write_f32(b, x, 3, &e));
        assert_error(&e, ANE_ERROR_SHAPE, "holds 4 elements, found 3");
        assert_int_equal((uintptr_t)ane_buffer_map(b, ANE_READ_WRITE, &e) % 64, 0);
        assert_true(ane_buffer_unmap(b, &e));
        ane_buffer_free(b);
    }
    ane_buffer *b = ane_buffer_new(d, vector(MIL_INT8, 4), &e);
    float y[4];
    assert_false(ane_buffer_read_f32(b, y, 4, &e));
    assert_error(&e, ANE_ERROR_UNSUPPORTED, "buffers of int8 are not converted");
    ane_buffer_free(b);
    ane_buffer_free(NULL);
    ane_device_close(d);
}

static void test_wrong_buffers(void **state) {
    (void)state;
    ane_device *d = open_cpu("cpu");
    ane_error e = {0};
    static const struct {
        mil_dtype dtype;
        int64_t n;
    } wrong[] = {{MIL_STRING, 1}, {MIL_VOID, 1}, {MIL_FP32, 0}, {MIL_FP32, -4}, {MIL_FP64, INT64_MAX}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_null(ane_buffer_new(d, vector(wrong[i].dtype, wrong[i].n), &e));
        assert_error(&e, ANE_ERROR_ARGUMENT, "positive dimensions");
    }
#if !defined(__SANITIZE_ADDRESS__) /* which ends the program instead */
    assert_null(ane_buffer_new(d, vector(MIL_FP32, (int64_t)1 << 50), &e));
    assert_error(&e, ANE_ERROR_MEMORY, "no memory for a buffer of tensor<fp32");
#endif
    ane_device_close(d);
}

typedef struct bound {
    ane_device *d;
    ane_kernel *k;
    ane_binding *b;
    ane_buffer *x, *y;
} bound;

static bound bind_affine(void) {
    ane_error e = {0};
    bound s = {.d = open_cpu("cpu:threads=1")};
    mil_program *p = affine(MIL_FP32);
    s.k = ane_device_compile(s.d, p, NULL, &e);
    assert_ok(s.k, &e);
    mil_program_free(p); /* the kernel has its own copy */
    s.b = ane_binding_new(s.k, &e);
    s.x = ane_buffer_new(s.d, vector(MIL_FP32, 4), &e);
    s.y = ane_buffer_new(s.d, vector(MIL_FP32, 4), &e);
    return s;
}

static void release(bound *s) {
    ane_binding_free(s->b);
    ane_buffer_free(s->x);
    ane_buffer_free(s->y);
    ane_kernel_free(s->k);
    ane_device_close(s->d);
}

static void test_kernel_ports(void **state) {
    (void)state;
    bound s = bind_affine();
    mil_type t;
    assert_int_equal(ane_kernel_inputs(s.k), 1);
    assert_int_equal(ane_kernel_outputs(s.k), 1);
    assert_int_equal(ane_kernel_weights(s.k), 1);
    assert_string_equal(ane_kernel_input(s.k, 0, &t), "x");
    assert_int_equal(t.dim[0], 4);
    assert_string_equal(ane_kernel_output(s.k, 0, NULL), "y");
    assert_string_equal(ane_kernel_weight(s.k, 0, NULL), "w");
    assert_null(ane_kernel_input(s.k, 1, NULL));
    assert_null(ane_kernel_output(s.k, -1, NULL));
    assert_true(ane_kernel_flops(s.k) == 0);
    char *text = ane_kernel_describe(s.k);
    assert_non_null(strstr(text, "chain"));
    assert_non_null(strstr(text, "mul"));
    free(text);
    release(&s);
    ane_kernel_free(NULL);
    ane_binding_free(NULL);
}

static void test_wrong_bindings(void **state) {
    (void)state;
    ane_error e = {0};
    bound s = bind_affine();
    const float w[4] = {1, 2, 3, 4};
    ane_device *other = open_cpu("cpu");
    ane_buffer *foreign = ane_buffer_new(other, vector(MIL_FP32, 4), &e),
               *half = ane_buffer_new(s.d, vector(MIL_FP16, 4), &e),
               *longer = ane_buffer_new(s.d, vector(MIL_FP32, 5), &e);
    assert_false(ane_bind(s.b, "z", s.x, 0, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "no input or output \"z\"; it has: x, y");
    assert_false(ane_bind(s.b, "x", half, 0, &e));
    assert_error(&e, ANE_ERROR_TYPE, "x is tensor<fp32, [4]>, but the buffer is tensor<fp16, [4]>");
    assert_false(ane_bind(s.b, "x", longer, 0, &e));
    assert_error(&e, ANE_ERROR_SHAPE, "but the buffer is tensor<fp32, [5]>");
    assert_false(ane_bind(s.b, "x", foreign, 0, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "another device");
    assert_false(ane_bind(s.b, "x", s.x, ANE_ACCUMULATE, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "only outputs accumulate");
    assert_false(ane_bind(s.b, "y", s.y, 6, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "unknown flags");
    assert_false(ane_bind_weight(s.b, "v", w, 4, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "no weight \"v\"; it has: w");
    assert_false(ane_bind_weight(s.b, "w", w, 3, &e));
    assert_error(&e, ANE_ERROR_SHAPE, "has 4 elements, found 3");
    assert_false(ane_bind_weight(s.b, "w", NULL, 4, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "given no data");
    assert_false(ane_run(s.b, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "x was not bound");
    assert_true(ane_bind(s.b, "x", s.x, 0, &e) && ane_bind(s.b, "y", s.y, 0, &e));
    assert_false(ane_run(s.b, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "w was not bound");
    ane_buffer_free(foreign);
    ane_buffer_free(half);
    ane_buffer_free(longer);
    ane_device_close(other);
    release(&s);
}

static void test_run(void **state) {
    (void)state;
    ane_error e = {0};
    bound s = bind_affine();
    float w[4] = {1, 2, 3, 4}, y[4];
    const float x[4] = {1, 1, 2, 2};
    ane_run_stats stats = {.host_ms = -1};
    assert_ok(ane_bind(s.b, "x", s.x, 0, &e) && ane_bind(s.b, "y", s.y, 0, &e) &&
                  ane_bind_weight(s.b, "w", w, 4, &e),
        &e);
    ane_buffer_write_f32(s.x, x, 4, &e);
    assert_ok(ane_run(s.b, &stats, &e), &e);
    ane_buffer_read_f32(s.y, y, 4, &e);
    assert_memory_equal(y, ((const float[4]){2, 3, 7, 9}), sizeof y);
    assert_true(stats.host_ms >= 0 && stats.device_ms == stats.host_ms && !stats.modelled);
    w[0] = 10; /* masters are read where they lie */
    assert_ok(ane_weights_changed(s.b, &e) && ane_run(s.b, NULL, &e), &e);
    ane_buffer_read_f32(s.y, y, 4, &e);
    assert_true(y[0] == 11);
    const ane_device_counts counts = ane_device_counts_get(s.d),
                            none = ane_device_counts_since(&counts, &counts);
    assert_int_equal(counts.runs, 2);
    assert_int_equal(counts.compiles, 1);
    assert_true(
        counts.device_ms >= stats.device_ms && counts.device_ms == counts.evaluating_ms && !counts.modelled);
    assert_true(none.runs == 0 && none.device_ms == 0);
    release(&s);
}

/* What a program does wrong is said when it is compiled or run, with the operation's name. */
static void test_wrong_programs(void **state) {
    (void)state;
    ane_error e = {0};
    ane_device *d = open_cpu("cpu");
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_output(
        f, "y", mil_add(f, mil_input(f, "a", vector(MIL_FP32, 3)), mil_input(f, "b", vector(MIL_FP32, 4))));
    assert_null(ane_device_compile(d, p, NULL, &e));
    assert_int_equal(e.code, ANE_ERROR_SHAPE);
    ane_error_clear(&e);
    mil_program_free(p);

    p = affine(MIL_FP32);
    assert_null(ane_device_compile(d, p, "forward", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "no function \"forward\"");
    mil_program_free(p);

    p = mil_program_new(MIL_IOS18, &e); /* a constant that nobody loaded */
    f = mil_function_new(p, "main");
    mil_value c = mil_const_blob(f, vector(MIL_FP32, 4), "@model_path/w.bin", 64);
    mil_output(f, "y", mil_add(f, mil_input(f, "x", vector(MIL_FP32, 4)), c));
    assert_null(ane_device_compile(d, p, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "mil_program_load_blobs");
    mil_program_free(p);

    p = mil_program_new(MIL_IOS18, &e); /* an index past the end */
    f = mil_function_new(p, "main");
    mil_output(f, "y",
        mil_gather(f, mil_input(f, "x", vector(MIL_FP32, 4)), mil_input(f, "i", vector(MIL_INT32, 2)), 0));
    compare_run r;
    compare_prepare(&r, p, "cpu", 1, (compare_range){5, 9});
    assert_false(ane_run(r.binding, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "but the axis has 4 elements");
    compare_free(&r);
    mil_program_free(p);
    ane_device_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_specs),
        cmocka_unit_test(test_wrong_specs),
        cmocka_unit_test(test_forced_vectors),
        cmocka_unit_test(test_precision_names),
        cmocka_unit_test(test_buffers_convert),
        cmocka_unit_test(test_wrong_buffers),
        cmocka_unit_test(test_kernel_ports),
        cmocka_unit_test(test_wrong_bindings),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_wrong_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
