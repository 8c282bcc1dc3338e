/* Probes: answers equal to the record on the emulated chips, none from a machine that is in trouble. */
#include "device/emulated.h"

#include "measure/probes/computed.h"
#include "measure/probes/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Those that take more than a moment: the program's test asks them once. */
static bool is_slow(const char *name) {
    static const char *const slow[] = {
        "classifier", "full-fused", "fused-qkv", "fused-backward", "dynamic-matmul", "compile-limit", "qos"};
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
        if (strcmp(name, slow[i]) == 0) return true;
    return false;
}

static ane_prober emulated(const char *options) {
    ane_prober p = {.device = open_emulated(options), .engine = true};
    return p;
}

static const ane_probe *probe_of(const char *name) {
    ane_error e = {0};
    const ane_probe *probe = ane_probe_find(name, &e);
    assert_ok(probe != NULL, &e);
    return probe;
}

/* ---- the table and the record ----------------------------------------------------------------------------------- */

static void test_table(void **state) {
    (void)state;
    ane_error e = {0};
    json_t *all = ane_probe_records(&e);
    assert_ok(all != NULL, &e);
    for (int i = 0; i < ane_n_probes; i++) {
        const ane_probe *p = &ane_probes[i];
        assert_ptr_equal(ane_probe_find(p->name, &e), p);
        assert_true(p->question[strlen(p->question) - 1] == '?');
        assert_non_null(ane_probe_recorded(all, p->name, "M5", true));
        if (p->engine) assert_null(ane_probe_recorded(all, p->name, "", false));
    }
    json_decref(all);
    assert_null(ane_probe_find("weight-relaod", &e));
    assert_string_equal(e.message, "there is no probe \"weight-relaod\"");
    assert_non_null(strstr(e.hint, "\"weight-reload\""));
    assert_error(&e, ANE_ERROR_ARGUMENT, "no probe");
    assert_null(ane_probe_find("xyzzyxyzzy", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "anemone probe list");
}

static void test_record(void **state) {
    (void)state;
    static const char *const keys[] = {"probe", "answer", "chip", "os", "source"};
    size_t i;
    json_t *all = ane_probe_records(NULL), *entry;
    assert_true(json_array_size(json_object_get(all, "probes")) >= (size_t)ane_n_probes);
    json_array_foreach(json_object_get(all, "probes"), i, entry) {
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) assert_true(*text_of(entry, keys[k]));
        probe_of(text_of(entry, "probe"));
    }
    const json_t *classes = ane_probe_recorded_classes(all);
    assert_int_equal(json_array_size(json_object_get(classes, "names")), 43);
    assert_int_equal(json_integer_value(json_object_get(classes, "counted")), 67);
    /* that of the chip before that of another; that of another where there is none; none of a CPU, but for arithmetic */
    assert_string_equal(text_of(ane_probe_recorded(all, "alignment", "M5", true), "chip"), "M5");
    assert_string_equal(text_of(ane_probe_recorded(all, "alignment", "m4 max", true), "chip"), "M4 Max");
    assert_string_equal(text_of(ane_probe_recorded(all, "chaining", "M2", true), "chip"), "M4 Max");
    assert_non_null(ane_probe_recorded(all, "classifier", "", false));
    assert_null(ane_probe_recorded(all, "sdpa-mask", "", false));
    assert_null(ane_probe_recorded(all, "nothing", "M5", true));
    json_decref(all);
}

/* ---- what answers are made of ------------------------------------------------------------------------------------- */

static void test_distance(void **state) {
    (void)state;
    static const double expected[] = {1, -4, 3, 0};
    ane_distance d = ane_distance_of((const float[]){1, -4, 3, 0}, expected, 4);
    assert_true(d.max == 0 && d.mean == 0);
    d = ane_distance_of((const float[]){1, -3, 3, 1}, expected, 4);
    assert_true(d.max == 0.25 && d.mean == 0.25);
    assert_true(ane_distance_is_small(&d, 0.25, 0.25) && !ane_distance_is_small(&d, 0.2, 1) &&
                !ane_distance_is_small(&d, 1, 0.2));
    d = ane_distance_of((const float[]){NAN, -4, 3, 0}, expected, 4);
    assert_false(ane_distance_is_small(&d, 1e9, 1e9));
    d = ane_distance_of((const float[]){INFINITY, -4, 3, 0}, expected, 4);
    assert_false(ane_distance_is_small(&d, 1e9, 1e9));
    d = ane_distance_of((const float[]){1, 0}, (const double[]){0, 0}, 2); /* of nothing */
    assert_false(ane_distance_is_small(&d, 1e9, 1e9));
}

static void test_possible(void **state) {
    (void)state;
    ane_error e = {0};
    const ane_capabilities c = {.device_gflops = 1000, .device_dispatch_ms = 0.1};
    assert_true(ane_probe_possible(&c, 1e9, 0.51, &e));
    assert_false(ane_probe_possible(&c, 1e9, 0.49, &e));
    assert_error(&e, ANE_ERROR_DEVICE, "at least 0.5 ms");
    assert_false(ane_probe_possible(&c, 0, 0.005, &e));
    assert_error(&e, ANE_ERROR_DEVICE, "at least 0.01 ms");
    assert_false(ane_probe_possible(&c, 0, NAN, &e));
    ane_error_clear(&e);
    const ane_capabilities unknown = {0};
    assert_true(ane_probe_possible(&unknown, 1e12, 0, &e));
}

/* ---- a CPU -------------------------------------------------------------------------------------------------------- */

static void test_cpu(void **state) {
    (void)state;
    ane_prober p;
    ane_error e = {0};
    assert_ok(ane_prober_open(&p, "cpu:threads=1", &e), &e);
    for (int i = 0; i < ane_n_probes; i++) {
        const ane_probe *probe = &ane_probes[i];
        if (is_slow(probe->name)) continue;
        json_t *entry = ane_prober_ask(&p, probe);
        assert_string_equal(text_of(entry, "probe"), probe->name);
        assert_string_equal(text_of(entry, "status"), probe->engine ? "skipped" : "ok");
        if (probe->engine) assert_non_null(strstr(text_of(entry, "error"), "needs the Neural Engine"));
        if (json_object_get(entry, "recorded")) assert_true(json_is_true(json_object_get(entry, "equal")));
        json_decref(entry);
    }
    json_t *entry = ane_prober_ask(&p, probe_of("sdpa-mask"));
    assert_string_equal(text_of(entry, "answer"), "inline: minded; BLOBFILE: not asked; run-time: minded");
    assert_true(json_is_null(json_object_get(entry, "equal")));
    json_decref(entry);
    entry = ane_prober_ask(&p, probe_of("numerics"));
    assert_string_equal(text_of(entry, "answer"),
        "NaN: NaN; infinity - infinity: NaN; log 0: -infinity; denormal operands: kept");
    json_decref(entry);
    ane_prober_close(&p);
    assert_false(ane_prober_open(&p, "gpu", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "gpu");
}

/* ---- the emulated chips ------------------------------------------------------------------------------------------- */

static void answers_as_recorded(const char *options) {
    ane_prober p = emulated(options);
    for (int i = 0; i < ane_n_probes; i++) {
        if (is_slow(ane_probes[i].name)) continue;
        json_t *entry = ane_prober_ask(&p, &ane_probes[i]);
        if (!json_is_true(json_object_get(entry, "equal")))
            fail_msg("%s of %s: \"%s\" (%s), recorded \"%s\"", ane_probes[i].name, options,
                text_of(entry, "answer"), text_of(entry, "error"), text_of(entry, "recorded"));
        assert_true(*text_of(entry, "did"));
        assert_true(*text_of(entry, "source"));
        assert_true(json_object_size(json_object_get(entry, "details")) > 0);
        json_decref(entry);
    }
    ane_prober_close(&p);
}

static void test_m4_max(void **state) {
    (void)state;
    answers_as_recorded("chip=m4-max");
}

static void test_m5(void **state) {
    (void)state;
    answers_as_recorded("chip=m5");
}

/* What an emulated machine that differs from the record answers. */
static void test_differences(void **state) {
    (void)state;
    static const struct {
        const char *quirk, *probe, *answer;
    } cases[] = {
        {"reload:new-weights", "weight-reload", "new weights"},
        {"attn-mask:works", "sdpa-mask", "inline: minded; BLOBFILE: minded; run-time: minded"},
        {"real-time:refused", "real-time", "evaluation: works; task: refused"},
        {"attributes:empty", "attributes", "ports with names and strides: no; symbols: no"},
        {"order:declared", "order", "declared; surfaces of one size"},
        {"equal-sizes:free", "order", "alphabetical; surfaces of any size"},
        {"innermost-one:works", "alignment", "rows: 128 bytes, packed; last axis of 1: works"},
        {"rows:strided", "alignment", "rows: 128 bytes, apart; last axis of 1: fails"},
        {"nan:kept", "numerics", "NaN: NaN; infinity - infinity: 0; log 0: -45440; denormal operands: kept"},
        {"denormals:flushed", "numerics",
            "NaN: infinity; infinity - infinity: 0; log 0: -45440; denormal operands: flushed"},
        {"max-loaded:20", "compile-limit", "at once: 20; in turn: more"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char options[128];
        snprintf(options, sizeof options, "chip=m5,quirk=%s", cases[i].quirk);
        ane_prober p = emulated(options);
        json_t *entry = ane_prober_ask(&p, probe_of(cases[i].probe));
        assert_string_equal(text_of(entry, "answer"), cases[i].answer);
        assert_true(json_is_false(json_object_get(entry, "equal")));
        json_decref(entry);
        ane_prober_close(&p);
    }
}

/* ---- trouble ------------------------------------------------------------------------------------------------------ */

static void has_no_answer(const json_t *entry, const char *fault) {
    if (strcmp(text_of(entry, "status"), "failed") != 0)
        fail_msg("%s with %s: \"%s\"", text_of(entry, "probe"), fault, text_of(entry, "answer"));
    assert_string_equal(text_of(entry, "answer"), "");
    assert_true(*text_of(entry, "error"));
    assert_null(json_object_get(entry, "details"));
    assert_true(json_is_null(json_object_get(entry, "equal")));
}

/* A fault from the first call on: no probe has an answer. */
static void test_faults(void **state) {
    (void)state;
    static const char *const faults[] = {"eval:1+", "descriptor:1+", "compile:1+", "load:1+", "surface:1+",
        "lock:1+", "request:1+", "eval-stale:1+", "eval-zero:1+", "eval-nan:1+", "eval-fast:1+"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        char options[128];
        snprintf(options, sizeof options, "chip=m5,selftest=off,fault=%s", faults[i]);
        ane_prober p = emulated(options);
        for (int k = 0; k < ane_n_probes; k += i == 0 ? 1 : 9) { /* every one with the first */
            json_t *entry = ane_prober_ask(&p, &ane_probes[k]);
            has_no_answer(entry, faults[i]);
            json_decref(entry);
        }
        ane_prober_close(&p);
    }
}

/* A call that does not come back. */
static void test_hanging(void **state) {
    (void)state;
    ane_prober p = emulated("chip=m5,selftest=off,timeout=0.05,fault=eval-hang:3+:0.2");
    json_t *entry = ane_prober_ask(&p, probe_of("weights-buffer"));
    has_no_answer(entry, "eval-hang");
    assert_non_null(strstr(text_of(entry, "error"), "come back"));
    json_decref(entry);
    ane_prober_close(&p);
}

/* A fault of one call, or of any by chance: what is answered is what a sound machine answers. */
static void test_passing_faults(void **state) {
    (void)state;
    static const char *const faults[] = {"eval:%d", "eval-stale:%d", "eval-zero:%d", "eval-nan:%d",
        "eval-fast:%d", "request:%d", "load:%d", "compile:%d", "random:0.05:%d"};
    static const char *const probes[] = {"weight-reload", "weights-buffer", "procedure-index", "real-time"};
    int failed = 0, answered = 0;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        for (int n = 2; n <= 5; n += 3) {
            char fault[64], options[128];
            snprintf(fault, sizeof fault, faults[i], n);
            snprintf(options, sizeof options, "chip=m5,selftest=off,fault=%s", fault);
            ane_prober p = emulated(options);
            for (size_t k = 0; k < sizeof probes / sizeof *probes; k++) {
                json_t *entry = ane_prober_ask(&p, probe_of(probes[k]));
                if (json_is_true(json_object_get(entry, "equal")))
                    answered++;
                else
                    has_no_answer(entry, fault), failed++;
                json_decref(entry);
            }
            ane_prober_close(&p);
        }
    assert_true(failed > 5 && answered > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_possible),
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_m4_max),
        cmocka_unit_test(test_m5),
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_hanging),
        cmocka_unit_test(test_passing_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
