/* The self-test: what it decides, what it refuses, and what faults may not make of it. */
#include "device/emulated.h"

#include "base/cachedir.h"
#include "base/file.h"
#include "device/ane/selftest.h"

#include <stdlib.h>
#include <unistd.h>

static ane_facts facts_of(const char *options) {
    ane_device *d = open_emulated(options);
    ane_facts facts = ((const engine_device *)d)->facts;
    ane_device_close(d);
    return facts;
}

static void same(const ane_facts *a, const ane_facts *b) {
    json_t *x = ane_facts_to_json(a), *y = ane_facts_to_json(b);
    if (!json_equal(x, y)) {
        char *left = json_dumps(x, 0), *right = json_dumps(y, 0);
        print_message("%s\n%s\n", left, right);
        free(left);
        free(right);
        fail_msg("the facts differ");
    }
    json_decref(x);
    json_decref(y);
}

/* ---- decisions --------------------------------------------------------------------------------------------------- */

static void test_modes(void **state) {
    (void)state;
    static const struct {
        const char *options, *part;
    } cases[] = {
        {"quirk=equal-sizes:required", "weights packed"},
        {"quirk=equal-sizes:free", "weights input"},
        {"weights=reload,quirk=reload:new-weights", "weights reload"},
        {"quirk=matmul-weights:refused", "weights baked"},
        {"quirk=dialects:1.5/ios18", "weights baked"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ane_device *d = open_emulated(cases[i].options);
        assert_non_null(strstr(ane_device_capabilities(d)->description, cases[i].part));
        ane_device_close(d);
    }
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *spec;
        ane_code code;
        const char *part;
    } cases[] = {
        {"ane:emulator,weights=reload,quirk=reload:ignored", ANE_ERROR_UNSUPPORTED,
            "ignores new weight files"},
        {"ane:emulator,weights=packed,quirk=matmul-weights:refused", ANE_ERROR_UNSUPPORTED, "matmul-weights"},
        {"ane:emulator,weights=input,quirk=dialects:1.5/ios18", ANE_ERROR_UNSUPPORTED, "ANE-30"},
        {"ane:emulator,fault=compile:1+", ANE_ERROR_DEVICE, "compile"},
        {"ane:emulator,fault=eval-zero:1+", ANE_ERROR_DEVICE, "expected 3"},
        {"ane:emulator,selftest=maybe", ANE_ERROR_ARGUMENT, "cached, fresh or off"},
    };
    ane_device_close(open_emulated("")); /* skips where there is no emulator */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ane_error e = {0};
        assert_null(ane_device_open(cases[i].spec, &e));
        assert_error(&e, cases[i].code, cases[i].part);
    }
}

static void test_off(void **state) {
    (void)state;
    ane_facts off = facts_of("selftest=off,quirk=min-surface:none");
    same(&off, &ane_careful_facts);
}

/* ---- faults ------------------------------------------------------------------------------------------------------- */

/* Every capability that is granted under faults is there without them; every size is at least as large. */
static bool is_as_careful(const ane_facts *f, const ane_facts *truth) {
#define GRANTED(field) (!f->field || truth->field)
    return (f->order == ANE_ORDER_UNKNOWN || f->order == truth->order) &&
           (f->equal_sizes || !truth->equal_sizes) && GRANTED(fp32_ports) && GRANTED(chained) &&
           GRANTED(attributes) && GRANTED(innermost_one) && GRANTED(baked_weights) &&
           GRANTED(matmul_weights) && GRANTED(conv_weights) && GRANTED(shared_blobs) && GRANTED(reload) &&
           GRANTED(inline_concat) && GRANTED(attention_mask) && GRANTED(concurrent) &&
           GRANTED(hardware_time) && GRANTED(nan_results) && GRANTED(inf_minus_inf) && GRANTED(log_zero) &&
           GRANTED(denormals) && f->min_surface >= truth->min_surface &&
           f->row_alignment >= truth->row_alignment && f->matmul_inner >= truth->matmul_inner &&
           f->max_width <= truth->max_width && f->max_channels <= truth->max_channels &&
           f->loaded_programs <= truth->loaded_programs && f->matmul_finite <= truth->matmul_finite &&
           f->width_slice_finite <= truth->width_slice_finite;
#undef GRANTED
}

/* One that passes is not seen in the facts at all: everything is tried twice. */
static void test_passing_faults(void **state) {
    (void)state;
    static const char *const stages[] = {"descriptor", "compile", "load", "request", "surface", "lock",
        "eval", "eval-zero", "eval-nan", "eval-stale"};
    ane_facts truth = facts_of("selftest=fresh");
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        for (int n = 1; n < 60; n += 31 + (int)i) {
            char options[64];
            snprintf(options, sizeof options, "fault=%s:%d", stages[i], n);
            ane_facts found = facts_of(options);
            if (!is_as_careful(&found, &truth)) fail_msg("%s: a fact that is none", options);
            same(&found, &truth);
        }
}

/* Many at once: refused, or careful. */
static void test_random_faults(void **state) {
    (void)state;
    static const char *const rates[] = {"0.02", "0.1", "0.3"};
    ane_facts truth = facts_of("selftest=fresh");
    int opened = 0;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        for (int seed = 1; seed <= 2; seed++) {
            char spec[96];
            ane_error e = {0};
            snprintf(spec, sizeof spec, "ane:emulator,threads=1,fault=random:%s:%d", rates[i], seed);
            ane_device *d = ane_device_open(spec, &e);
            if (!d) {
                assert_true(e.code != ANE_OK && *e.message);
                continue;
            }
            if (!is_as_careful(&((const engine_device *)d)->facts, &truth))
                fail_msg("%s: a fact that is none", spec);
            ane_device_close(d);
            opened++;
        }
    assert_true(opened > 1);
}

/* ---- the cache ---------------------------------------------------------------------------------------------------- */

static int told;

static void count_answers(void *context, int question, const engine_finding *found) {
    (void)context, (void)question;
    told += found != NULL;
}

/* A machine of its own, so that nothing else has written its facts. */
static char *cached_facts(const char *options, ane_machine *m) {
    ane_error e = {0};
    ane_device *d = open_emulated(options);
    *m = ((const engine_device *)d)->machine;
    ane_device_close(d);
    char *path = ane_facts_path(m, &e);
    assert_ok(path, &e);
    return path;
}

/* Whoever finds facts in the cache believes them. */
static void test_cached(void **state) {
    (void)state;
    ane_machine m;
    ane_error e = {0};
    setenv("ANEMONE_CACHE", test_folder(), 1);
    char *path = cached_facts("quirk=max-weights:12345", &m);
    assert_true(ane_path_exists(path));
    ane_facts kept, other;
    assert_true(ane_facts_load(&kept, &m));
    other = kept;
    other.max_width = 4321;
    assert_ok(ane_facts_save(&other, &m, &e), &e);
    assert_int_equal(facts_of("quirk=max-weights:12345").max_width, 4321);
    assert_int_equal(facts_of("quirk=max-weights:12345,selftest=cached").max_width, 4321);
    assert_int_equal(facts_of("quirk=max-weights:12346").max_width, kept.max_width); /* another machine */
    assert_int_equal(facts_of("quirk=max-weights:12345,selftest=fresh").max_width, kept.max_width);
    assert_int_equal(facts_of("quirk=max-weights:12345").max_width, kept.max_width); /* written anew */
    free(path);
}

/* Faults are neither kept nor answered from what was kept. */
static void test_faults_are_not_kept(void **state) {
    (void)state;
    ane_machine m;
    setenv("ANEMONE_CACHE", test_folder(), 1);
    char *path = cached_facts("quirk=max-weights:777,fault=eval:100000", &m);
    assert_false(ane_path_exists(path));
    free(path);
}

/* Nor is what a process found that could compile no more half way. */
static void test_exhaustion_is_not_kept(void **state) {
    (void)state;
    ane_machine m;
    setenv("ANEMONE_CACHE", test_folder(), 1);
    char *path = cached_facts("quirk=max-compiles:20", &m);
    assert_false(ane_path_exists(path));
    free(path);
    path = cached_facts("quirk=max-compiles:119", &m);
    assert_true(ane_path_exists(path));
    free(path);
}

static void test_damage(void **state) {
    (void)state;
    static const char *const texts[] = {
        "", "{", "[]", "{\"schema\": 1}", "{\"schema\": 0, \"machine\": {}, \"facts\": {}}", NULL};
    ane_machine m;
    ane_error e = {0};
    ane_facts facts;
    setenv("ANEMONE_CACHE", test_folder(), 1);
    char *path = cached_facts("quirk=max-weights:54321", &m);
    for (int i = 0; texts[i]; i++) {
        assert_ok(ane_write_file(path, texts[i], strlen(texts[i]), &e), &e);
        assert_false(ane_facts_load(&facts, &m));
    }
    ane_device_close(open_emulated("quirk=max-weights:54321"));
    assert_true(ane_facts_load(&facts, &m)); /* rewritten */
    json_t *json = json_load_file(path, 0, NULL);
    static const struct {
        const char *key, *value;
    } wrong[] = {{"dialect", "\"program(2.0)\""}, {"min_surface", "-1"}, {"row_alignment", "0"},
        {"max_width", "99999999999"}, {"equal_sizes", "\"yes\""}, {"worst_ulp", "null"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json_t *copy = json_deep_copy(json), *object = json_object_get(copy, "facts");
        json_object_set_new(object, wrong[i].key, json_loads(wrong[i].value, JSON_DECODE_ANY, NULL));
        assert_int_equal(json_dump_file(copy, path, 0), 0);
        assert_false(ane_facts_load(&facts, &m));
        json_decref(copy);
    }
    json_object_set_new(json_object_get(json, "machine"), "os_build", json_string("another"));
    assert_int_equal(json_dump_file(json, path, 0), 0);
    assert_false(ane_facts_load(&facts, &m));
    json_decref(json);
    free(path);
}

/* A cache that cannot be written costs time only. */
static void test_no_cache(void **state) {
    (void)state;
    setenv("ANEMONE_CACHE", "/dev/null/no", 1);
    ane_device_close(open_emulated("quirk=max-weights:222"));
    setenv("ANEMONE_CACHE", test_folder(), 1);
}

static void test_examine(void **state) {
    (void)state;
    engine_examination x;
    ane_error e = {0};
    const engine_watcher watcher = {count_answers, NULL};
    ane_device_close(open_emulated(""));
    told = 0;
    assert_ok(engine_examine("emulator,chip=m1", &watcher, &x, &e), &e);
    assert_int_equal(told, engine_n_questions);
    assert_string_equal(x.machine.chip, "M1");
    assert_string_equal(x.weights, "input"); /* surfaces of different sizes */
    assert_false(engine_examine("emulator,fault=eval:1+", &watcher, &x, &e));
    assert_error(&e, ANE_ERROR_DEVICE, "0x1d");
    assert_int_equal(told, engine_n_questions + 1); /* without a header nothing else is asked */
    assert_false(engine_examine("emulator,colour=red", NULL, &x, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "has no option");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_modes), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_off), cmocka_unit_test(test_passing_faults),
        cmocka_unit_test(test_random_faults), cmocka_unit_test(test_cached),
        cmocka_unit_test(test_faults_are_not_kept), cmocka_unit_test(test_exhaustion_is_not_kept),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_no_cache), cmocka_unit_test(test_examine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
