/* A model's loss and gradients through the emulated Neural Engine: the CPU's fp16 numbers, in every weight mode. */
#include "device/emulated.h"

#include "model/learn.h"

static void compare(ane_device *d) {
    ane_error e = {0};
    ane_device *cpu = ane_device_open("cpu:precision=fp16,threads=1", &e);
    assert_ok(cpu != NULL, &e);
    outcome expected = learn(cpu, NULL), found = learn(d, NULL);
    assert_true(expected.loss[1] < expected.loss[0] - 0.01);
    expect_outcome(&found, &expected, 5e-4, 0.9999);
    ane_weights_free(expected.gradients);
    ane_device_close(cpu);
    ane_device_close(d);
}

static void test_packed(void **state) {
    (void)state;
    compare(open_emulated("weights=packed"));
}

static void test_input(void **state) {
    (void)state;
    compare(open_emulated("weights=input"));
}

static void test_baked(void **state) {
    (void)state;
    compare(open_emulated("weights=baked"));
}

static void test_reload(void **state) {
    (void)state;
    compare(open_emulated("weights=reload,quirk=reload:new-weights"));
}

/* More bindings with programs of their own than may be loaded at once: they take turns. */
static void test_few_loaded(void **state) {
    (void)state;
    compare(open_emulated("weights=baked,quirk=max-loaded:3"));
}

/* Reports that contradict each other, several at a time: right numbers under all of them. */
static void test_quirks(void **state) {
    (void)state;
    static const char *const quirks[] = {
        "quirk=matmul-inner:zeros,quirk=order:size,quirk=conv-weights:refused",
        "quirk=rows:strided,quirk=row-alignment:128,quirk=dialects:1.0/ios16",
        "quirk=min-surface:49152,quirk=shared-blobs:refused,quirk=concat:named-constants",
        "quirk=fp32-ports:refused,quirk=dialects:1.3/ios17,weights=input,quirk=order:declared",
        "quirk=rules:all,weights=packed",
        "quirk=rules:all,weights=baked",
        "quirk=equal-sizes:free,quirk=min-surface:none,quirk=innermost-one:works,weights=baked",
        "quirk=equal-sizes:free,quirk=order:size,weights=input",
        "quirk=equal-sizes:free,quirk=order:declared,weights=packed",
        "chip=m1,weights=baked",
        "chip=m1,weights=packed",
        "chip=m5 max,weights=packed",
        "quirk=width-slice:4094,quirk=matmul-overflow:32752,quirk=denormals:flushed",
    };
    for (size_t i = 0; i < sizeof quirks / sizeof *quirks; i++) {
        print_message("%s\n", quirks[i]);
        compare(open_emulated(quirks[i]));
    }
}

/* What is computed by the host changes nothing but the rounding. */
static void placements(const char *options) {
    ane_error e = {0};
    ane_placement p;
    ane_device *cpu = ane_device_open("cpu:precision=fp16,threads=1", &e), *d = open_emulated(options);
    assert_ok(cpu != NULL, &e);
    outcome expected = learn(cpu, NULL);
    for (int i = 0; next_placement(&p, &i);) {
        print_message("%s: head %s, norms %s, dw %s\n", options, ane_place_name(p.head),
            ane_place_name(p.norms_backward), ane_place_name(p.dw));
        outcome found = learn(d, &p);
        expect_outcome(&found, &expected, 5e-4, 0.9999);
    }
    ane_weights_free(expected.gradients);
    ane_device_close(cpu);
    ane_device_close(d);
}

static void test_placements(void **state) {
    (void)state;
    placements("weights=packed");
    placements("weights=baked");
    placements("weights=input,quirk=equal-sizes:free");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_baked),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_few_loaded),
        cmocka_unit_test(test_quirks),
        cmocka_unit_test(test_placements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
