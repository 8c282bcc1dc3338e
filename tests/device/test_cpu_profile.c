/* Profiles: every step is counted with its work, in whatever kernel, until its kernel goes. */
#include "device/compare.h"

#include "base/packed_small.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 16 };

/* y = exp(x w) */
static mil_program *product_program(void) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    assert_ok(p, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 2, (int64_t[]){4, 8}));
    mil_value w = mil_param(f, "w", mil_tensor(MIL_FP32, 2, (int64_t[]){8, 16}));
    mil_output(f, "y", mil_exp(f, mil_matmul(f, x, w, false, false)));
    return p;
}

static void test_steps_are_counted(void **state) {
    (void)state;
    mil_program *p = product_program();
    compare_run r;
    ane_error e = {0};
    ane_step_profile steps[MOST];
    compare_prepare(&r, p, "cpu:threads=1,profile=on", 1, (compare_range){-1, 1});
    for (int i = 0; i < 3; i++) assert_ok(ane_run(r.binding, NULL, &e), &e);
    assert_int_equal(ane_device_profile(r.device, steps, MOST), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(steps[i].step, i);
        assert_int_equal(steps[i].runs, 3);
        assert_string_equal(steps[i].kernel, "y");
        assert_true(steps[i].ms > 0);
    }
    assert_string_equal(steps[0].kind, "gemm");
    assert_string_equal(steps[0].what, "1 x [4, 8] [8, 16]");
    assert_true(steps[0].flops == 2 * 4 * 8 * 16 && steps[0].bytes == 4 * (4 * 8 + 8 * 16 + 4 * 16));
    assert_string_equal(steps[1].kind, "chain");
    assert_true(steps[1].flops == 0 && steps[1].bytes == 4 * 2 * 4 * 16);
    assert_int_equal(ane_device_profile(r.device, steps, 1), 2);
    ane_device_profile_reset(r.device);
    ane_device_profile(r.device, steps, MOST);
    assert_true(steps[0].runs == 0 && steps[0].ms == 0);
    compare_free(&r);
    mil_program_free(p);
}

static void test_kernels_come_and_go(void **state) {
    (void)state;
    mil_program *p = product_program();
    ane_error e = {0};
    ane_step_profile steps[MOST];
    ane_device *d = ane_device_open("cpu:profile=on", &e);
    assert_ok(d, &e);
    ane_kernel *first = ane_device_compile(d, p, NULL, &e), *second = ane_device_compile(d, p, NULL, &e);
    assert_ok(first && second, &e);
    assert_int_equal(ane_device_profile(d, steps, MOST), 4);
    assert_int_equal(steps[2].kernel_index, 1);
    ane_kernel_free(first);
    assert_int_equal(ane_device_profile(d, steps, MOST), 2);
    ane_kernel_free(second);
    assert_int_equal(ane_device_profile(d, steps, MOST), 0);
    ane_device_close(d);
    mil_program_free(p);
}

/* y[out, n] = W x[in, n], with a small copy of W or without: what is read is one byte a number of it, or two, or four. */
static void test_small_copies_count_as_read(void **state) {
    (void)state;
    enum { IN = 128, OUT = 64, N = 32 };
    static const struct {
        const char *precision;
        ane_gemv_format format;
    } cases[] = {{"bf16", ANE_GEMV_BF16}, {"int8", ANE_GEMV_INT8}};
    if (!ane_packed_kernel_find(true, "amx")) {
        print_message("no matrix tiles here\n");
        skip();
    }
    for (int i = 0; i < 2; i++) {
        ane_error e = {0};
        mil_program *p = mil_program_new(MIL_IOS18, &e);
        mil_function *f = mil_function_new(p, "main");
        mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 4, (int64_t[]){1, IN, 1, N}));
        mil_value w = mil_param(f, "w", mil_tensor(MIL_FP32, 4, (int64_t[]){OUT, IN, 1, 1}));
        mil_output(f, "y", mil_conv(f, x, w));
        compare_run r;
        ane_step_profile steps[MOST];
        char spec[96];
        snprintf(spec, sizeof spec, "cpu:threads=1,profile=on,products=amx,precision=%s", cases[i].precision);
        compare_prepare(&r, p, spec, 1, (compare_range){-1, 1});
        double bytes[2] = {0};
        for (int small = 0; small < 2; small++) {
            if (small) ane_binding_keep_weights(r.binding);
            assert_ok(ane_bind_weight(r.binding, "w", r.weights[0], (int64_t)IN * OUT, &e), &e);
            assert_ok(ane_run(r.binding, NULL, &e), &e);
            int n = ane_device_profile(r.device, steps, MOST);
            for (int k = 0; k < n; k++)
                if (!strcmp(steps[k].kind, "gemm")) bytes[small] += steps[k].bytes;
        }
        double saved = 4.0 * IN * OUT - (double)ane_gemv_bytes(cases[i].format, OUT, IN);
        assert_true(bytes[0] > 4.0 * IN * OUT && bytes[0] - bytes[1] == saved);
        compare_free(&r);
        mil_program_free(p);
    }
}

static void test_only_when_asked(void **state) {
    (void)state;
    mil_program *p = product_program();
    ane_error e = {0};
    ane_device *d = ane_device_open("cpu:profile=off", &e);
    assert_ok(d, &e);
    ane_kernel *k = ane_device_compile(d, p, NULL, &e);
    assert_ok(k, &e);
    assert_int_equal(ane_device_profile(d, NULL, 0), 0);
    ane_device_profile_reset(d);
    ane_kernel_free(k);
    ane_device_close(d);
    mil_program_free(p);
    assert_null(ane_device_open("cpu:profile=maybe", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "profile must be on or off, found \"maybe\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_are_counted),
        cmocka_unit_test(test_kernels_come_and_go),
        cmocka_unit_test(test_small_copies_count_as_read),
        cmocka_unit_test(test_only_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
