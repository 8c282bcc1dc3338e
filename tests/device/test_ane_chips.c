/* Under every chip profile the self-test finds what that profile says. */
#include "device/expected_facts.h"

static void test_chips(void **state) {
    (void)state;
    json_t *all = describe_emulator();
    const json_t *chip;
    size_t i;
    json_array_foreach(json_object_get(all, "chips"), i, chip) {
        char options[96];
        const char *name = json_string_value(json_object_get(chip, "name"));
        engine_examination x;
        ane_error e = {0};
        snprintf(options, sizeof options, "emulator,threads=1,chip=%s", name);
        assert_ok(engine_examine(options, NULL, &x, &e), &e);
        json_t *now = describe_emulator();
        const config c = {json_object_get(json_object_get(now, "settings"), "quirks")};
        assert_facts(&c, &x.facts, name);
        assert_string_equal(x.machine.chip, name);
        json_decref(now);
    }
    assert_int_equal(json_array_size(json_object_get(all, "chips")), 10);
    json_decref(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chips)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
