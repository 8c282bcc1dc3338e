/* Every benchmark of the table on an engine that fails, says it succeeded and wrote nothing, zeros or NaN, or was faster than
 * any chip: every row has failed, says why, and holds no number. Benchmarks that are added are covered by being in the table. */
#include "device/emulated.h"

#include "anemone/measure.h"
#include "measure/harness.h"
#include "measure/results.h"

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

static json_t *quick_cases(int benchmark) {
    const ane_bench_options options = {.quick = true};
    ane_error e = {0};
    ane_device_close(open_emulated("selftest=off")); /* skips where there is none */
    ane_bench *b = ane_bench_open("ane:emulator,chip=m4-max,threads=1,selftest=off", &options, NULL, &e);
    assert_ok(b != NULL, &e);
    json_t *cases = json_array();
    ane_benchmarks[benchmark]->cases(b, cases);
    ane_bench_close(b);
    return cases;
}

static const char *name_of(const json_t *cases, int index) {
    return json_string_value(json_object_get(json_array_get(cases, (size_t)index), "case"));
}

/* One case, or what else has its name in theirs; `fault` NULL: none. */
static ane_bench *run(const char *benchmark, const char *name, const char *fault) {
    const ane_bench_options options = {.quick = true, .seconds = 0.01, .filter = name};
    char spec[256];
    ane_error e = {0};
    snprintf(spec, sizeof spec, "ane:emulator,chip=m4-max,threads=1,selftest=off%s%s", fault ? ",fault=" : "",
        fault ? fault : "");
    ane_bench *b = ane_bench_open(spec, &options, NULL, &e);
    assert_ok(b != NULL, &e);
    assert_ok(ane_bench_run(b, benchmark, &e), &e);
    return b;
}

/* How many rows failed; the others were skipped. */
static int fool(const char *benchmark, const char *name, const char *fault) {
    ane_bench *b = run(benchmark, name, fault);
    size_t i;
    json_t *row;
    int failed = 0;
    json_array_foreach(ane_results_rows(ane_bench_results(b)), i, row) {
        expect_failed(row, fault);
        failed += strcmp(json_string_value(json_object_get(row, "status")), "failed") == 0;
    }
    assert_true(i > 0);
    ane_bench_close(b);
    return failed;
}

/* Every case of every benchmark with one fault, in turns, and every fault in every benchmark. */
static void test_faults(void **state) {
    (void)state;
    int turn = 0;
    for (int i = 0; i < ane_benchmark_count(); i++) {
        json_t *cases = quick_cases(i);
        int n = (int)json_array_size(cases), failed = 0;
        assert_true(n > 0);
        for (int k = 0; k < n || k < N_FAULTS; k++)
            failed += fool(ane_benchmark_at(i)->name, name_of(cases, k % n), faults[turn++ % N_FAULTS]);
        if (!failed) fail_msg("%s: nothing failed", ane_benchmark_at(i)->name);
        json_decref(cases);
    }
}

/* What the faults are to take away is there without them. */
static void test_honest(void **state) {
    (void)state;
    for (int i = 0; i < ane_benchmark_count(); i++) {
        json_t *cases = quick_cases(i);
        ane_bench *b = run(ane_benchmark_at(i)->name, name_of(cases, 0), NULL);
        size_t k;
        json_t *row;
        json_array_foreach(ane_results_rows(ane_bench_results(b)), k, row) {
            char *text = json_dumps(row, JSON_COMPACT);
            bool modelled = json_is_true(json_object_get(row, "modelled"));
            if (!ane_row_is_ok(row) || !modelled || !has_number(row)) fail_msg("%s", text);
            free(text);
        }
        ane_bench_close(b);
        json_decref(cases);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_honest), cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
