/* Which machine a device runs on, and what is recorded of it. */
#include "device/emulated.h"

#include "device/ane/chips.h"
#include "device/ane/device.h"

static void test_chips(void **state) {
    (void)state;
    ane_chip chip;
    assert_true(ane_chip_find(&chip, "m4 max"));
    assert_string_equal(chip.name, "M4 Max");
    assert_string_equal(chip.sub_type, "h16");
    assert_true(chip.gflops > 1000 && chip.dispatch_ms > 0 && chip.bandwidth_gbs > 0);
    assert_true(ane_chip_find(&chip, "M1"));
    assert_string_equal(chip.name, "M1");
    assert_false(ane_chip_find(&chip, "M4 Mini"));
    assert_false(ane_chip_find(&chip, ""));
    assert_string_equal(chip.name, "");
}

static void test_cpu(void **state) {
    (void)state;
    ane_error e = {0};
    ane_device *d = ane_device_open("cpu:threads=1", &e);
    assert_ok(d, &e);
    const ane_capabilities *c = ane_device_capabilities(d);
    assert_true(*c->chip && *c->os_build && *c->framework);
    assert_true(c->device_gflops == 0 && c->device_dispatch_ms == 0 && c->device_bandwidth_gbs == 0);
    ane_device_close(d);
}

static void test_emulated(void **state) {
    (void)state;
    static const char *const names[] = {"M1", "M3 Ultra", "M5 Max"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char option[64];
        ane_chip chip;
        snprintf(option, sizeof option, "chip=%s", names[i]);
        ane_device *d = open_emulated(option);
        const ane_capabilities *c = ane_device_capabilities(d);
        assert_true(ane_chip_find(&chip, names[i]));
        assert_string_equal(c->chip, names[i]);
        assert_true(c->device_gflops == chip.gflops && c->device_dispatch_ms == chip.dispatch_ms);
        assert_true(c->device_bandwidth_gbs == chip.bandwidth_gbs);
        assert_true(*c->os_build && strstr(c->framework, "emulator"));
        assert_non_null(strstr(c->description, names[i]));
        ane_device_close(d);
    }
}

/* Every quirk is part of the machine's settings, so that facts of one are not taken for another's. */
static void test_settings(void **state) {
    (void)state;
    ane_device *d = open_emulated("quirk=order:declared,quirk=min-surface:2048,fault=eval:100000");
    const ane_machine *m = &((const engine_device *)d)->machine;
    assert_true(m->emulated && m->faults == 1);
    assert_non_null(strstr(m->settings, "order:declared"));
    assert_non_null(strstr(m->settings, "min-surface:2048"));
    assert_non_null(strstr(m->settings, "rules:certain"));
    ane_device_close(d);
}

/* Where the framework is, but no engine. */
static void test_without_engine(void **state) {
    (void)state;
    ane_error e = {0};
    ane_machine m = {.chip = "Intel"};
    assert_true(ane_machine_check(&m, &e));
    m.without_engine = true;
    assert_false(ane_machine_check(&m, &e));
    assert_error(&e, ANE_ERROR_UNSUPPORTED, "no Neural Engine here");
    ane_device *d = open_emulated("");
    assert_false(((const engine_device *)d)->machine.without_engine);
    ane_device_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chips), cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_emulated), cmocka_unit_test(test_settings),
        cmocka_unit_test(test_without_engine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
