/* Where the parts of a step are computed: the same loss and gradients everywhere, and defaults by the chip's record. */
#include "model/learn.h"

#include "device/device_impl.h"
#include "model/beside.h"

/* On the CPU device the host's part is a second CPU device in fp32: with fp32 on both sides only sums are ordered
 * otherwise; with fp16 the host's part is more exact, by an fp16 rounding of each value (2^-11) at most. */
static void everywhere(const char *device, double tolerance, double cosine) {
    ane_error e = {0};
    ane_placement p;
    ane_device *d = ane_device_open(device, &e);
    assert_ok(d != NULL, &e);
    outcome expected = learn(d, NULL);
    for (int i = 0; next_placement(&p, &i);) {
        outcome found = learn(d, &p);
        expect_outcome(&found, &expected, tolerance, cosine);
    }
    ane_weights_free(expected.gradients);
    ane_device_close(d);
}

static void test_fp32(void **state) {
    (void)state;
    everywhere("cpu:threads=2", 1e-6, 1 - 1e-9);
}

static void test_fp16(void **state) {
    (void)state;
    everywhere("cpu:precision=fp16,threads=2", 5e-4, 0.9999);
}

/* The products beside another kernel: the CPU device never asks for them, so a device that does stands in for it. */
static void test_beside(void **state) {
    (void)state;
    ane_error e = {0};
    ane_device *d = ane_device_open("cpu:threads=2", &e);
    assert_ok(d != NULL, &e);
    outcome expected = learn(d, NULL);
    d->capabilities.runs_beside_host = true;
    for (int norms = ANE_PLACE_HOST; norms <= ANE_PLACE_DEVICE; norms++) {
        const ane_placement p = {ANE_PLACE_DEVICE, (ane_place)norms, ANE_PLACE_HOST, ANE_RECOMPUTE_NONE};
        outcome found = learn(d, &p);
        if (norms == ANE_PLACE_DEVICE) /* the same sums in the same order */
            assert_memory_equal(found.gradients->data, expected.gradients->data,
                (size_t)expected.gradients->count * sizeof(float));
        expect_outcome(&found, &expected, 1e-6, 1 - 1e-9);
    }
    ane_weights_free(expected.gradients);
    ane_device_close(d);
}

static void expect_places(ane_placement p, ane_place head, ane_place norms, ane_place dw) {
    assert_int_equal(p.head, head);
    assert_int_equal(p.norms_backward, norms);
    assert_int_equal(p.dw, dw);
}

static void test_defaults(void **state) {
    (void)state;
    const ane_capabilities cpu = {.device = "cpu"}, unknown = {.device = "ane"};
    ane_capabilities chip = {.device = "ane",
        .runs_beside_host = true,
        .device_gflops = 10000,
        .device_dispatch_ms = 0.1,
        .device_bandwidth_gbs = 60,
        .device_matmul_factor = 3,
        .host_gflops = 1300};
    ane_model_config c;
    ane_error e = {0};
    assert_ok(ane_model_preset(&c, "stories110m", &e), &e);
    expect_places(
        ane_placement_decide(NULL, &cpu, &c, 256), ANE_PLACE_DEVICE, ANE_PLACE_DEVICE, ANE_PLACE_HOST);
    expect_places(
        ane_placement_decide(NULL, &unknown, &c, 256), ANE_PLACE_HOST, ANE_PLACE_DEVICE, ANE_PLACE_HOST);
    expect_places(
        ane_placement_decide(NULL, &chip, &c, 256), ANE_PLACE_DEVICE, ANE_PLACE_DEVICE, ANE_PLACE_HOST);
    chip.host_gflops = 10000; /* as fast as the engine: then nothing need cross over */
    expect_places(
        ane_placement_decide(NULL, &chip, &c, 256), ANE_PLACE_HOST, ANE_PLACE_DEVICE, ANE_PLACE_HOST);
    chip.host_gflops = 100;
    expect_places(
        ane_placement_decide(NULL, &chip, &c, 256), ANE_PLACE_DEVICE, ANE_PLACE_DEVICE, ANE_PLACE_DEVICE);
    const ane_placement asked = {ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_PLACE_BEST, ANE_RECOMPUTE_NONE};
    expect_places(
        ane_placement_decide(&asked, &chip, &c, 256), ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_PLACE_DEVICE);
}

static void test_names(void **state) {
    (void)state;
    ane_error e = {0};
    for (int i = ANE_PLACE_BEST; i <= ANE_PLACE_DEVICE; i++) {
        ane_place place;
        assert_ok(ane_place_from_name(&place, ane_place_name((ane_place)i), &e), &e);
        assert_int_equal(place, i);
    }
    ane_place place;
    assert_false(ane_place_from_name(&place, "gpu", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "\"gpu\"");
    assert_string_equal(ane_place_name((ane_place)9), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fp32),
        cmocka_unit_test(test_fp16),
        cmocka_unit_test(test_beside),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
