/* The Neural Engine device on the emulated framework: the CPU's fp16 numbers in every weight mode, and every failure
 * reported. */
#include "device/emulated.h"

#include "anemone/mil.h"
#include "base/clock.h"
#include "device/ane/device.h"

#include <math.h>
#include <stdlib.h>

enum { I = 24, O = 40, N = 16 };

/* y = silu(w x) + b, z = x^2 summed over channels; fp16 or fp32 ports. */
static mil_program *small_program(mil_dtype dtype) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(dtype, 4, (int64_t[]){1, I, 1, N}));
    mil_value w = mil_param(f, "a.w", mil_tensor(dtype, 4, (int64_t[]){O, I, 1, 1}));
    mil_value b = mil_param(f, "a.b", mil_tensor(dtype, 4, (int64_t[]){1, O, 1, 1}));
    mil_output(f, "y", mil_add(f, mil_silu(f, mil_conv(f, x, w)), b));
    mil_output(f, "z", mil_reduce_sum(f, mil_mul(f, x, x), 1, (int32_t[]){1}, true));
    assert_ok(mil_program_ok(p, &e), &e);
    return p;
}

typedef struct bench {
    ane_device *d;
    ane_kernel *k;
    ane_binding *b;
    ane_buffer *x, *y, *z;
    float w[O * I], bias[O];
} bench;

static void fill(float *x, int n, int seed) {
    for (int i = 0; i < n; i++) x[i] = (float)((i * 37 + seed * 11) % 64 - 32) / 64;
}

static bool set_up(bench *t, ane_device *d, mil_dtype dtype, ane_error *e) {
    memset(t, 0, sizeof *t);
    mil_program *p = small_program(dtype);
    t->d = d;
    fill(t->w, O * I, 1);
    fill(t->bias, O, 2);
    t->k = ane_device_compile(d, p, NULL, e);
    mil_program_free(p);
    bool ok = t->k && (t->b = ane_binding_new(t->k, e)) &&
              (t->x = ane_buffer_new(d, mil_tensor(dtype, 4, (int64_t[]){1, I, 1, N}), e)) &&
              (t->y = ane_buffer_new(d, mil_tensor(dtype, 4, (int64_t[]){1, O, 1, N}), e)) &&
              (t->z = ane_buffer_new(d, mil_tensor(dtype, 4, (int64_t[]){1, 1, 1, N}), e));
    float x[I * N];
    fill(x, I * N, 3);
    return ok && ane_buffer_write_f32(t->x, x, I * N, e) && ane_bind(t->b, "x", t->x, 0, e) &&
           ane_bind(t->b, "y", t->y, 0, e) && ane_bind(t->b, "z", t->z, 0, e) &&
           ane_bind_weight(t->b, "a.w", t->w, O * I, e) && ane_bind_weight(t->b, "a.b", t->bias, O, e);
}

static void tear_down(bench *t) {
    ane_binding_free(t->b);
    ane_buffer_free(t->x);
    ane_buffer_free(t->y);
    ane_buffer_free(t->z);
    ane_kernel_free(t->k);
    ane_device_close(t->d);
}

static bool results(bench *t, float *y, float *z, ane_error *e) {
    return ane_run(t->b, NULL, e) && ane_buffer_read_f32(t->y, y, O * N, e) &&
           ane_buffer_read_f32(t->z, z, N, e);
}

/* The same on the CPU, with the weights changed when `changed`. */
static void reference(mil_dtype dtype, bool changed, float *y, float *z) {
    ane_error e = {0};
    bench t;
    ane_device *d = ane_device_open("cpu:precision=fp16,threads=1", &e);
    assert_ok(d && set_up(&t, d, dtype, &e), &e);
    if (changed) fill(t.w, O * I, 5);
    assert_ok(ane_weights_changed(t.b, &e) && results(&t, y, z, &e), &e);
    tear_down(&t);
}

static void as_on_cpu(const char *options, mil_dtype dtype) {
    static float y[O * N], z[N], expected_y[O * N], expected_z[N];
    ane_error e = {0};
    bench t;
    ane_device *d = open_emulated(options);
    assert_ok(set_up(&t, d, dtype, &e), &e);
    for (int changed = 0; changed < 2; changed++) {
        reference(dtype, changed, expected_y, expected_z);
        if (changed) fill(t.w, O * I, 5);
        assert_ok(ane_weights_changed(t.b, &e) && results(&t, y, z, &e), &e);
        assert_close(y, expected_y, O * N, 2e-3);
        assert_close(z, expected_z, N, 2e-3);
    }
    ane_run_stats stats;
    assert_ok(ane_run(t.b, &stats, &e), &e);
    assert_true(stats.modelled && stats.device_ms > 0);
    char *text = ane_kernel_describe(t.k);
    assert_non_null(strstr(text, "a.w"));
    free(text);
    tear_down(&t);
}

static void test_packed(void **state) {
    (void)state;
    as_on_cpu("weights=packed", MIL_FP16);
    as_on_cpu("weights=packed", MIL_FP32);
}

static void test_input(void **state) {
    (void)state;
    as_on_cpu("weights=input", MIL_FP16);
}

static void test_baked(void **state) {
    (void)state;
    as_on_cpu("weights=baked", MIL_FP16);
}

/* The reports that contradict each other: right numbers under each. */
static void test_quirks(void **state) {
    (void)state;
    static const char *const quirks[] = {
        "quirk=order:declared",
        "quirk=order:size",
        "quirk=equal-sizes:free,quirk=min-surface:none",
        "quirk=min-surface:49152",
        "quirk=row-alignment:128,quirk=rows:strided",
        "quirk=dialects:1.0/ios16",
        "quirk=dialects:1.3/ios17",
        "quirk=shared-blobs:refused",
        "quirk=conv-weights:refused",
        "quirk=reload:new-weights",
        "quirk=concat:named-constants",
        "quirk=matmul-inner:zeros",
        "quirk=hardware-time:reported,quirk=attributes:empty",
    };
    for (size_t i = 0; i < sizeof quirks / sizeof *quirks; i++) as_on_cpu(quirks[i], MIL_FP16);
    as_on_cpu("quirk=order:declared,weights=input", MIL_FP16);
    as_on_cpu("quirk=order:size,weights=input", MIL_FP16);
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

/* Opening, setting up and running meet the fault; the report names the stage. */
/* A device that works, and the settings that trouble it from now on; calls count from here. */
static void trouble(bench *t, const char *options, const char *fault) {
    static float y[O * N], z[N];
    ane_error e = {0};
    ane_device *d = open_emulated(options);
    assert_ok(set_up(t, d, MIL_FP16, &e) && results(t, y, z, &e), &e);
    assert_true(((engine_device *)d)->fw.configure(fault));
}

/* Once: got over, right numbers, and said. */
static void recovers(const char *options, const char *fault, const char *part) {
    static float y[O * N], z[N], expected[O * N], expected_z[N];
    ane_error e = {0};
    bench t;
    char notice[512];
    print_message("%s %s\n", options, fault);
    reference(MIL_FP16, true, expected, expected_z);
    trouble(&t, options, fault);
    fill(t.w, O * I, 5);
    assert_ok(ane_weights_changed(t.b, &e) && results(&t, y, z, &e), &e);
    assert_close(y, expected, O * N, 2e-3);
    assert_true(ane_device_take_notice(t.d, notice, sizeof notice));
    if (!strstr(notice, part)) fail_msg("\"%s\" is not in \"%s\"", part, notice);
    assert_false(ane_device_take_notice(t.d, notice, sizeof notice));
    assert_true(ane_device_counts_get(t.d).retries >= 1);
    tear_down(&t);
}

/* Always: an error that says which stage, and nothing was computed. */
static void fails(const char *options, const char *fault, const char *part) {
    static float y[O * N], z[N];
    ane_error e = {0};
    bench t;
    print_message("%s %s\n", options, fault);
    trouble(&t, options, fault);
    bool ok = ane_weights_changed(t.b, &e) && results(&t, y, z, &e);
    assert_false(ok);
    bool limit = strstr(fault, "compile:1+") || strstr(fault, "load:1+"); /* nothing compiles any more */
    assert_error(&e, limit ? ANE_ERROR_EXHAUSTED : ANE_ERROR_DEVICE, part);
    assert_true(((engine_device *)t.d)->fw.configure(NULL)); /* the trouble has passed */
    assert_ok(ane_weights_changed(t.b, &e) && results(&t, y, z, &e), &e);
    tear_down(&t);
}

static void test_faults(void **state) {
    (void)state;
    fails("weights=baked", "fault=descriptor:1+", "descriptor");
    fails("weights=baked", "fault=compile:1+", "compile");
    fails("weights=baked", "fault=load:1+", "load");
    fails("", "fault=lock:1+", "locked");
    fails("", "fault=request:1+", "request");
    fails("", "fault=eval:1+", "0x1d");
    fails("", "fault=eval-zero:1+", "holds zeros");
    fails("", "fault=eval-nan:1+", "NaN or infinity");
    fails("", "fault=eval-stale:1+", "did not compute");
    fails("", "fault=random:1:7", "lock");
}

static void test_recoveries(void **state) {
    (void)state;
    recovers("weights=baked", "fault=descriptor:1", "descriptor");
    recovers("weights=baked", "fault=compile:1", "compile failed once");
    recovers("weights=baked", "fault=load:1", "load failed once");
    recovers("", "fault=request:1", "request");
    recovers("", "fault=eval:1", "0x1d");
    recovers("", "fault=eval-zero:1", "zeros");
    recovers("", "fault=eval-nan:1", "NaN");
    recovers("", "fault=eval-stale:1", "did not compute");
    recovers("", "fault=lock:1", "locked");
}

/* Two bindings of one kernel share its output surface: what the other one left there is not taken for an answer. */
static void test_stale_answer_of_another(void **state) {
    (void)state;
    static float y[O * N], z[N];
    ane_error e = {0};
    bench t;
    ane_device *d = open_emulated("weights=packed");
    assert_ok(set_up(&t, d, MIL_FP16, &e), &e);
    ane_binding *other = ane_binding_new(t.k, &e);
    assert_ok(other && ane_bind(other, "x", t.x, 0, &e) && ane_bind(other, "y", t.y, 0, &e) &&
                  ane_bind(other, "z", t.z, 0, &e) && ane_bind_weight(other, "a.w", t.w, O * I, &e) &&
                  ane_bind_weight(other, "a.b", t.bias, O, &e),
        &e);
    for (int i = 0; i < 3; i++) assert_ok(results(&t, y, z, &e) && ane_run(other, NULL, &e), &e);
    assert_true(((engine_device *)d)->fw.configure("fault=eval-stale:1+"));
    assert_false(ane_run(t.b, NULL, &e));
    assert_error(&e, ANE_ERROR_DEVICE, "did not compute");
    ane_binding_free(other);
    tear_down(&t);
}

/* An evaluation that does not come back: an error in time, at once for what comes after, and everything can be freed. */
static void test_hang(void **state) {
    (void)state;
    static float y[O * N], z[N];
    ane_error e = {0};
    bench t;
    trouble(&t, "timeout=0.2", "fault=eval-hang:1:2");
    double start = ane_clock_ms();
    assert_false(results(&t, y, z, &e));
    assert_error(&e, ANE_ERROR_DEVICE, "did not come back within 0.2 seconds");
    assert_false(results(&t, y, z, &e));
    assert_error(&e, ANE_ERROR_DEVICE, "did not come back");
    assert_true(ane_clock_ms() - start < 1500);
    tear_down(&t);
    trouble(&t, "timeout=20", "fault=eval-hang:1:0.1"); /* late, but not too late */
    assert_ok(results(&t, y, z, &e), &e);
    tear_down(&t);
}

static void test_hang_in_another_locale(void **state) {
    if (!comma_locale()) skip();
    test_hang(state);
    plain_locale();
}

/* A program large enough that its time says something. */
static void test_impossible_time(void **state) {
    (void)state;
    ane_error e = {0};
    bench t;
    trouble(&t, "chip=m1", "chip=m1,fault=eval-fast:1+"); /* 31 kFLOP in a nanosecond */
    assert_false(ane_run(t.b, NULL, &e));
    assert_error(&e, ANE_ERROR_DEVICE, "TFLOPS");
    tear_down(&t);
}

/* Compiled beside the work: between two changes, runs use the weights of the change before. The masters are changed at
 * once, as an optimizer does: what is being compiled has a copy. */
static void test_baked_async(void **state) {
    (void)state;
    static float y[O * N], z[N], expected[2][O * N], expected_z[N];
    ane_error e = {0};
    bench t;
    reference(MIL_FP16, false, expected[0], expected_z);
    reference(MIL_FP16, true, expected[1], expected_z);
    ane_device *d = open_emulated("weights=baked-async");
    assert_ok(set_up(&t, d, MIL_FP16, &e) && results(&t, y, z, &e), &e);
    assert_close(y, expected[0], O * N, 2e-3);
    for (int change = 1; change < 6; change++) {
        fill(t.w, O * I, change % 2 ? 5 : 1);
        assert_ok(ane_weights_changed(t.b, &e), &e);
        fill(t.w, O * I, 7);
        for (int run = 0; run < 2; run++) {
            assert_ok(results(&t, y, z, &e), &e);
            assert_close(y, expected[(change - 1) % 2], O * N, 2e-3);
        }
    }
    tear_down(&t); /* with a compilation going on */
}

/* The failure of a compilation beside the work comes with the next change; the device lives on. */
static void test_baked_async_fault(void **state) {
    (void)state;
    static float y[O * N], z[N];
    ane_error e = {0};
    bench t;
    ane_device *d = open_emulated("weights=baked-async");
    assert_ok(set_up(&t, d, MIL_FP16, &e) && results(&t, y, z, &e), &e);
    assert_true(
        ((engine_device *)d)->fw.configure("fault=compile:1,fault=compile:2")); /* at first, and again */
    assert_ok(ane_weights_changed(t.b, &e), &e);
    assert_ok(results(&t, y, z, &e), &e); /* with the old weights */
    assert_false(ane_weights_changed(t.b, &e));
    assert_error(&e, ANE_ERROR_DEVICE, "compile");
    assert_ok(ane_weights_changed(t.b, &e) && ane_weights_changed(t.b, &e) && results(&t, y, z, &e), &e);
    tear_down(&t);
}

/* Three runs, the second and third with new weights: what was dispatched, moved, compiled. */
static void counts_of(const char *options, int64_t compiles, bool weights_in_surfaces) {
    ane_error e = {0};
    bench t;
    ane_device *d = open_emulated(options);
    assert_ok(set_up(&t, d, MIL_FP16, &e), &e);
    ane_device_counts opened = ane_device_counts_get(d);
    for (int i = 0; i < 3; i++) assert_ok(ane_weights_changed(t.b, &e) && ane_run(t.b, NULL, &e), &e);
    ane_device_counts now = ane_device_counts_get(d), since = ane_device_counts_since(&now, &opened);
    int64_t weights = weights_in_surfaces ? (int64_t)O * I * 2 : 0, ports = (I + O + 1) * (int64_t)N * 2;
    assert_int_equal(since.runs, 3);
    assert_int_equal(since.compiles, compiles);
    assert_int_equal(since.retries, 0);
    assert_true(since.surface_bytes >= 3 * (weights + ports));
    assert_true(since.copied_bytes >= 3 * (int64_t)O * I * 2); /* the weights, in whatever way */
    assert_true(since.modelled && since.device_ms > 0);
    assert_true(since.evaluating_ms > 0 && since.staging_ms > 0 && since.copying_ms >= 0);
    assert_true(compiles ? since.compiling_ms > 0 : since.compiling_ms == 0);
    tear_down(&t);
}

static void test_counts(void **state) {
    (void)state;
    counts_of("weights=packed", 0, true);
    counts_of("weights=input", 0, true);
    counts_of("weights=baked", 3, false);
    counts_of("weights=reload,quirk=reload:new-weights", 1, false);
}

static void test_options(void **state) {
    (void)state;
    static const struct {
        const char *spec, *part;
    } wrong[] = {
        {"ane:emulator,weights=no", "there is no weight mode"},
        {"ane:emulator,threads=0", "threads must be"},
        {"ane:emulator,colour=red", "has no option"},
        {"ane:chip=m4", "for the emulator only"},
#ifndef __APPLE__
        {"ane", "no Neural Engine here"},
#endif
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ane_error e = {0};
        assert_null(ane_device_open(wrong[i].spec, &e));
        assert_error(&e, i == 4 ? ANE_ERROR_UNSUPPORTED : ANE_ERROR_ARGUMENT, wrong[i].part);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_baked_async),
        cmocka_unit_test(test_baked_async_fault),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_baked),
        cmocka_unit_test(test_quirks),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_recoveries),
        cmocka_unit_test(test_stale_answer_of_another),
        cmocka_unit_test(test_hang),
        cmocka_unit_test(test_hang_in_another_locale),
        cmocka_unit_test(test_impossible_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
