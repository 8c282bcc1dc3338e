/* Chips, quirks and faults by name; the time model beside the record. */
#include "emulator/drive.h"

#include <jansson.h>

static json_t *json_of(const char *function) {
    typedef char *text_function(void);
    char *text = FUNCTION(text_function *, function)();
    assert_non_null(text);
    json_t *json = json_loads(text, 0, NULL);
    free(text);
    assert_non_null(json);
    return json;
}

static void check_refused(const char *settings, const char *part, const char *also) {
    assert_false(em_configure(settings));
    assert_text(em_message(), part);
    assert_text(em_message(), also);
}

static void test_unknown_names_are_refused_with_the_list(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    check_refused(
        "chip=m9", "\"m9\" is no chip", "M1, M1 Max, M2, M3 Pro, M3 Ultra, M4, M4 Pro, M4 Max, M5, M5 Max");
    check_refused("quirk=ordre:declared", "\"ordre\" is no quirk", "did you mean order?");
    check_refused("quirk=order:sideways", "alphabetical|declared|size", "sideways");
    check_refused("quirk=order", "alphabetical|declared|size", "found \"\"");
    check_refused("quirk=min-surface:many", "a number of bytes or none", "many");
    check_refused("quirk=dialects:1.3/ios18+2.0", "joined by +", "2.0");
    check_refused("fault=evil:1", "\"evil\" is no fault", "eval-hang");
    check_refused("fault=eval:0", "fault=eval:N", "N from 1");
    check_refused("fault=eval", "fault=eval:N", "N+");
    check_refused("fault=eval:1:2", "fault=eval:N", "");
    check_refused("fault=eval-hang:1", "fault=eval-hang:N:SECONDS", "");
    check_refused("fault=random:1.5:1", "fault=random:P:SEED", "");
    check_refused("flavour=lemon", "\"flavour\" is no setting", "chip, quirk, fault");
    check_refused("chip=", "expected chip=...", "nothing behind it");
    assert_true(em_configure(""));
    assert_string_equal(em_message(), "");
}

static void test_refused_settings_stop_everything(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    unsigned char blob[EM_BLOB_BYTES];
    em_weight w = em_identity(blob, 2);
    oid model = em_make_model(EM_CONV, 1, &w), error;
    assert_false(em_configure("chip=m9"));
    assert_null(em_descriptor(EM_CONV, em_weight_table(1, &w)));
    assert_false(em_compile(model, &error));
    assert_text(em_error_text(error), "\"m9\" is no chip");
    assert_false(em_load(model, &error));
    assert_text(em_error_text(error), "\"m9\" is no chip");
}

/* The settings in force after `settings`. */
static void check_quirk(const char *settings, const char *chip, const char *quirk, const char *value) {
    assert_true(em_configure(settings));
    json_t *all = json_of("anemone_emulator_describe"), *now = json_object_get(all, "settings");
    assert_string_equal(json_string_value(json_object_get(now, "chip")), chip);
    assert_string_equal(json_string_value(json_object_get(json_object_get(now, "quirks"), quirk)), value);
    json_decref(all);
}

static void test_chips_bring_quirks_that_settings_replace(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    check_quirk(NULL, "M4", "order", "alphabetical");
    check_quirk("chip=m4max", "M4 Max", "min-surface", "49152");
    check_quirk("quirk=min-surface:none,chip=M4 Max", "M4 Max", "min-surface", "none");
    check_quirk("chip=M1", "M1", "dialects", "1.0/ios16");
    check_quirk("chip=M1", "M1", "equal-sizes", "free");
    check_quirk(
        "chip=m5-max,quirk=dialects:1.3/ios18+1.0/ios16", "M5 Max", "dialects", "1.0/ios16+1.3/ios18");
    check_quirk("quirk=order:size,quirk=order:declared", "M4", "order", "declared");
}

static void test_every_choice_can_be_set(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    json_t *all = json_of("anemone_emulator_describe"), *quirk, *value;
    size_t i, k;
    assert_int_equal(json_array_size(json_object_get(all, "chips")), 10);
    json_array_foreach(json_object_get(all, "quirks"), i, quirk) {
        const char *name = json_string_value(json_object_get(quirk, "name"));
        bool number = strcmp(json_string_value(json_object_get(quirk, "kind")), "number") == 0;
        assert_true(strlen(json_string_value(json_object_get(quirk, "source"))) > 0);
        json_array_foreach(json_object_get(quirk, "values"), k, value) {
            char text[256];
            const char *set = number ? "4096" : json_string_value(value);
            snprintf(text, sizeof text, "quirk=%s:%s", name, set);
            check_quirk(text, "M4", name, set);
        }
    }
    json_decref(all);
}

/* Every number of a chip stands beside its source. */
static void test_numbers_have_sources(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    json_t *all = json_of("anemone_emulator_describe"), *chip, *entry;
    size_t i;
    const char *key;
    json_array_foreach(json_object_get(all, "chips"), i, chip) {
        json_object_foreach(chip, key, entry) {
            if (strcmp(key, "name") == 0 || strcmp(key, "quirks") == 0) continue;
            assert_true(json_string_length(json_object_get(entry, "source")) > 0);
        }
    }
    json_decref(all);
}

static void test_model_meets_the_record(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    json_t *all = json_of("anemone_emulator_calibrate");
    assert_true(json_array_size(json_object_get(all, "single")) > 150);
    assert_true(json_number_value(json_object_get(all, "single_median_error")) < 0.15);
    assert_true(json_array_size(json_object_get(all, "steps")) > 5);
    json_t *row = json_array_get(json_object_get(all, "single"), 0);
    double modelled = json_number_value(json_object_get(row, "modelled_ms")),
           ms = json_number_value(json_object_get(row, "ms"));
    assert_true(modelled / ms - 1 - json_number_value(json_object_get(row, "error")) < 1e-4);
    json_decref(all);
}

/* A child reads its settings from the environment when it loads the library. */
static void test_environment(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    setenv("ANEMONE_EMULATOR", "chip=m9", 1);
    assert_int_equal(em_run_self("child"), 0);
    unsetenv("ANEMONE_EMULATOR");
}

static int child(void) {
    em_library = dlopen(ANEMONE_EMULATOR_LIBRARY, RTLD_NOW);
    return em_library && strstr(em_message(), "\"m9\" is no chip") ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "child") == 0) return child();
    const struct CMUnitTest tests[] = {
        EM_TEST(test_unknown_names_are_refused_with_the_list),
        EM_TEST(test_refused_settings_stop_everything),
        EM_TEST(test_chips_bring_quirks_that_settings_replace),
        EM_TEST(test_every_choice_can_be_set),
        EM_TEST(test_numbers_have_sources),
        EM_TEST(test_model_meets_the_record),
        EM_TEST(test_environment),
    };
    return cmocka_run_group_tests(tests, em_setup_group, NULL);
}
