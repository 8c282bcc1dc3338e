/* Every benchmark of the table on an engine that fails, says it succeeded and wrote nothing, zeros or NaN, or was faster than
 * any chip: every row has failed, says why, and holds no number. Benchmarks that are added are covered by being in the table. */
#include "device/emulated.h"

#include "anemone/measure.h"
#include "measure/results.h"
#include "measure/row.h"

#include <math.h>

static const char *const faults[] = {
    "eval:1+", "eval-stale:1+", "eval-zero:1+", "eval-nan:1+", "eval-fast:1+"};
enum { N_FAULTS = sizeof faults / sizeof *faults };

static bool has_number(const json_t *row) {
    static const char *const numbers[] = {"device_ms", "host_ms", "metrics", "parts", "series", "verified"};
    bool any = false;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        any |= json_object_get(row, numbers[i]) != NULL;
    return any;
}

/* Skipped is what the machine cannot do, with faults or without. */
static void expect_failed(const json_t *row, const char *fault) {
    char *text = json_dumps(row, JSON_COMPACT);
    const char *status = json_string_value(json_object_get(row, "status"));
    const char *why = json_string_value(json_object_get(row, "error"));
    bool refused = (strcmp(status, "failed") == 0 || strcmp(status, "skipped") == 0) && strlen(why) > 10;
    if (!refused || has_number(row)) fail_msg("%s: %s", fault, text);
    free(text);
}

/* The quick cases of one benchmark; `fault` NULL: none. */
static ane_bench *run(int benchmark, const char *fault) {
    const ane_bench_options options = {.quick = true, .seconds = 0.01};
    char spec[256];
    ane_error e = {0};
    snprintf(spec, sizeof spec, "ane:emulator,chip=m4-max,selftest=off%s%s", fault ? ",fault=" : "",
        fault ? fault : "");
    ane_bench *b = ane_bench_open(spec, &options, NULL, &e);
    assert_ok(b != NULL, &e);
    assert_ok(ane_bench_run(b, ane_benchmark_at(benchmark)->name, &e), &e);
    return b;
}

static void fool(int benchmark, const char *fault) {
    ane_bench *b = run(benchmark, fault);
    const json_t *rows = ane_results_rows(ane_bench_results(b));
    size_t i;
    json_t *row;
    int failed = 0;
    json_array_foreach(rows, i, row) {
        expect_failed(row, fault);
        failed += strcmp(json_string_value(json_object_get(row, "status")), "failed") == 0;
    }
    if (!failed) fail_msg("%s with %s: nothing failed", ane_benchmark_at(benchmark)->name, fault);
    ane_bench_close(b);
}

static void test_faults(void **state) {
    (void)state;
    ane_device_close(open_emulated("selftest=off")); /* skips where there is none */
    for (int i = 0; i < ane_benchmark_count(); i++)
        for (int k = 0; k < N_FAULTS; k++) fool(i, faults[k]);
}

/* What the faults are to take away is there without them. */
static void test_honest(void **state) {
    (void)state;
    ane_device_close(open_emulated("selftest=off"));
    for (int i = 0; i < ane_benchmark_count(); i++) {
        ane_bench *b = run(i, NULL);
        size_t k;
        json_t *row;
        json_array_foreach(ane_results_rows(ane_bench_results(b)), k, row) {
            char *text = json_dumps(row, JSON_COMPACT);
            bool modelled = json_is_true(json_object_get(row, "modelled"));
            if (!ane_row_is_ok(row) || !modelled || !has_number(row)) fail_msg("%s", text);
            free(text);
        }
        ane_bench_close(b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_honest), cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
