/* The field's community benchmark, read and written. */
#include "support/support.h"

#include "base/file.h"
#include "measure/community.h"
#include "measure/documents.h"
#include "measure/results.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char submission[] =
    "{\"schema_version\": 1, \"username\": \"someone\", \"timestamp\": \"2026-03-05T10:00:00Z\","
    " \"system\": {\"chip\": \"Apple M4 Max\", \"machine\": \"Mac16,5\", \"macos_version\": \"26.2\","
    "  \"macos_build\": \"25C1\", \"cpu_cores\": 16, \"memory_gb\": 128, \"neural_engine_cores\": \"16\"},"
    " \"benchmarks\": {"
    "  \"sram_probe\": [{\"channels\": 256, \"weight_mb\": 0.1, \"ms_per_eval\": 0.378, \"tflops\": 0.02,"
    "   \"gflops_per_mb\": 177.7}, {\"channels\": 4096, \"weight_mb\": 32, \"ms_per_eval\": 1.134, "
    "\"tflops\": 1.89,"
    "   \"gflops_per_mb\": 59.2}],"
    "  \"inmem_peak\": [{\"depth\": 128, \"channels\": 512, \"spatial\": 64, \"weight_mb\": 64, \"gflops\": "
    "4.29,"
    "   \"ms_per_eval\": 0.385, \"tflops\": 11.14}],"
    "  \"training_cpu_classifier\": {\"ms_per_step\": 72.4, \"ane_tflops_sustained\": 1.29, "
    "\"total_tflops\": 2.41,"
    "   \"ane_util_pct\": 8.1, \"compile_pct\": 79.7, \"train_pct\": 16.4},"
    "  \"training_ane_classifier\": {}},"
    " \"summary\": {\"peak_tflops\": 11.14}}";

static json_t *documents_in(const char *text, ane_error *e) {
    char path[512];
    snprintf(path, sizeof path, "%s/c.json", test_folder());
    assert_ok(ane_write_file(path, text, strlen(text), e), e);
    json_t *documents = json_array();
    if (ane_documents_read(documents, path, e)) return documents;
    json_decref(documents);
    return NULL;
}

static double number(const json_t *row, const char *part, const char *name) {
    const json_t *x = json_object_get(json_object_get(row, part), name);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

static void test_read(void **state) {
    (void)state;
    ane_error e = {0};
    json_t *documents = documents_in(submission, &e);
    assert_ok(documents != NULL, &e);
    const json_t *d = json_array_get(documents, 0), *row = ane_results_find(d, "peak", "512x64x128");
    assert_ok(ane_results_check(d, "it", &e), &e);
    assert_string_equal(json_string_value(json_object_get(json_object_get(d, "machine"), "chip")), "M4 Max");
    assert_true(number(row, "device_ms", "median") == 0.385);
    assert_true(number(row, "metrics", "tflops") == 11.14);
    assert_true(number(ane_results_find(d, "sram-fine", "4096"), "metrics", "gflops_per_mb") == 59.2);
    assert_true(
        number(ane_results_find(d, "train", "static-stories110m"), "metrics", "device_tflops") == 1.29);
    assert_null(ane_results_find(d, "train", "static-ane-stories110m")); /* {} is: skipped */
    json_decref(documents);
}

/* Written and read again: the same numbers; and the summary is theirs. */
static void test_round_trip(void **state) {
    (void)state;
    ane_error e = {0};
    json_t *documents = documents_in(submission, &e);
    json_t *first = json_array_get(documents, 0), *written = ane_community_submission(first, &e);
    assert_ok(written != NULL, &e);
    json_t *again = ane_community_document(written, "it", &e);
    assert_ok(again != NULL, &e);
    assert_true(json_equal(json_object_get(first, "rows"), json_object_get(again, "rows")));
    const json_t *summary = json_object_get(written, "summary");
    assert_true(json_number_value(json_object_get(summary, "peak_tflops")) == 11.14);
    assert_true(json_number_value(json_object_get(summary, "sram_peak_efficiency_gflops_per_mb")) == 177.7);
    assert_true(json_number_value(json_object_get(summary, "training_ms_per_step_cpu")) == 72.4);
    assert_true(
        json_number_value(json_object_get(summary, "training_ane_tflops")) == 1.29); /* else the CPU's */
    assert_null(json_object_get(summary, "training_ms_per_step_ane"));
    assert_null(json_object_get(written, "modelled"));
    json_decref(again);
    json_decref(written);
    json_decref(documents);
}

/* sram_spill_start_channels: the first with less than 0.6 of the best so far, by ascending channels. */
static void test_spill(void **state) {
    (void)state;
    ane_error e = {0};
    static const struct {
        int channels;
        double tflops;
    } points[] = {{512, 1}, {256, 0.5}, {1024, 4}, {2048, 2.5}, {4096, 2.3}, {8192, 5}};
    json_t *rows = json_array(), *d = json_pack("{s:o}", "rows", rows);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        json_array_append_new(rows,
            json_pack("{s:s, s:s, s:{s:i}, s:s, s:{s:f}}", "benchmark", "sram-fine", "case", "x", "config",
                "channels", points[i].channels, "status", "ok", "metrics", "tflops", points[i].tflops));
    json_t *written = ane_community_submission(d, &e);
    const json_t *summary = json_object_get(written, "summary");
    assert_int_equal(json_integer_value(json_object_get(summary, "sram_spill_start_channels")), 4096);
    json_decref(written);
    json_decref(d);
}

static void test_modelled_says_so(void **state) {
    (void)state;
    ane_error e = {0};
    json_t *d = json_pack("{s:s, s:{s:s}, s:{s:b}, s:[{s:s, s:s, s:{s:i, s:i, s:i}, s:s, s:b, s:{s:f}}]}",
        "created", "now", "machine", "chip", "M5", "device", "emulated", 1, "rows", "benchmark", "peak",
        "case", "512x64x8", "config", "channels", 512, "positions", 64, "depth", 8, "status", "ok",
        "modelled", 1, "metrics", "tflops", 3.5);
    json_t *written = ane_community_submission(d, &e);
    assert_true(json_is_true(json_object_get(written, "modelled")));
    const char *chip = json_string_value(json_object_get(json_object_get(written, "system"), "chip"));
    assert_string_equal(chip, "Apple M5 (modelled by anemone's emulator)");
    const json_t *entry =
        json_array_get(json_object_get(json_object_get(written, "benchmarks"), "inmem_peak"), 0);
    assert_true(json_is_true(json_object_get(entry, "modelled")));
    json_decref(written);
    json_decref(d);
}

static void test_machines(void **state) {
    (void)state;
    ane_error e = {0};
    json_t *documents = documents_in(
        "{\"report_date\": \"2026-03-05\", \"training_results\": [{\"chip\": \"M1 Pro\", \"ram_gb\": 32,"
        " \"macos\": \"15.0\", \"ms_per_step\": [148, 163], \"ane_ms\": [32, 35], \"ane_util_pct\": [3.6, "
        "4.0]},"
        " {\"chip\": \"M5\", \"peak_tflops\": 12.44}]}",
        &e);
    assert_ok(documents != NULL, &e);
    assert_int_equal(json_array_size(documents), 2);
    const json_t *row = ane_results_find(json_array_get(documents, 0), "train", "static-stories110m");
    assert_true(number(row, "device_ms", "median") == 155.5);
    assert_true(number(row, "device_ms", "min") == 148);
    assert_true(number(row, "metrics", "ane_ms") == 33.5);
    row = ane_results_find(json_array_get(documents, 1), "peak", "best");
    assert_true(number(row, "metrics", "tflops") == 12.44);
    json_decref(documents);
}

static void test_refused(void **state) {
    static const struct {
        const char *text, *where;
    } wrong[] = {
        {"{\"schema_version\": 2, \"system\": {\"chip\": \"M4\"}, \"benchmarks\": {}}", "schema_version"},
        {"{\"schema_version\": 1, \"system\": {}, \"benchmarks\": {}}", "system.chip"},
        {"{\"schema_version\": 1, \"system\": {\"chip\": \"M4\"}}", "benchmarks"},
        {"{\"schema_version\": 1, \"system\": {\"chip\": \"M4\"}, \"benchmarks\": {\"inmem_peak\": 3}}",
            "benchmarks.inmem_peak"},
        {"{\"schema_version\": 1, \"system\": {\"chip\": \"M4\"}, \"benchmarks\": {\"sram_probe\": "
         "[{\"channels\": 256,"
         " \"tflops\": \"fast\"}]}}",
            "benchmarks.sram_probe[0].tflops"},
        {"{\"schema_version\": 1, \"system\": {\"chip\": \"M4\"}, \"benchmarks\": {\"sram_probe\": "
         "[{\"channels\": -1}]}}",
            "benchmarks.sram_probe[0].channels"},
        {"{\"training_results\": {}}", "training_results"},
        {"{\"training_results\": [{\"chip\": \"M1\", \"ane_ms\": [1, 2, 3]}]}", "training_results[0].ane_ms"},
        {"{\"training_results\": [7]}", "training_results[0]"},
        {"{}", "expected a results file"},
        {"[1, 2", "c.json:1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ane_error e = {0};
        assert_null(documents_in(wrong[i].text, &e));
        assert_error(&e, ANE_ERROR_FORMAT, wrong[i].where);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_read), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_spill), cmocka_unit_test(test_modelled_says_so),
        cmocka_unit_test(test_machines), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
