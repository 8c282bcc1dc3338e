/* The driver and the document: going on, stopping, refusing, and that a failure leaves no number. */
#include "support/support.h"

#include "anemone/measure.h"
#include "base/clock.h"
#include "base/file.h"
#include "measure/harness.h"
#include "measure/programs.h"
#include "measure/results.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct heard {
    int begun, ended, kept, stop_after; /* cases; 0: never */
} heard;

static bool listen(void *context, const ane_bench_event *event) {
    heard *h = context;
    assert_true(event->index < event->count);
    h->begun += !event->row;
    h->ended += event->row != NULL;
    h->kept += event->kept;
    return !h->stop_after || h->ended < h->stop_after;
}

static ane_bench *open_quick(heard *h, json_t *earlier, ane_error *e) {
    const ane_bench_options o = {.quick = true, .seconds = 0.01, .listener = listen, .context = h};
    return ane_bench_open("cpu:threads=1", &o, earlier, e);
}

static const json_t *row_of(ane_bench *b, const char *benchmark, const char *name) {
    const json_t *row = ane_results_find(ane_bench_results(b), benchmark, name);
    assert_non_null(row);
    return row;
}

/* What a whole, successful row has. */
static void test_row(void **state) {
    (void)state;
    ane_error e = {0};
    heard h = {0};
    ane_bench *b = open_quick(&h, NULL, &e);
    assert_ok(b != NULL, &e);
    assert_ok(ane_bench_run(b, "quant", &e), &e);
    assert_int_equal(h.begun, ane_bench_cases(b, "quant"));
    assert_int_equal(h.ended, h.begun);
    const json_t *row = row_of(b, "quant", "256x256-fp16"), *t = json_object_get(row, "device_ms");
    assert_true(ane_row_is_ok(row));
    assert_true(json_is_false(json_object_get(row, "modelled")));
    assert_true(json_number_value(json_object_get(t, "median")) > 0);
    assert_true(json_integer_value(json_object_get(t, "runs")) >= 3);
    assert_true(json_is_true(json_object_get(json_object_get(row, "verified"), "ok")));
    double gflop = ane_row_get_metric(row, "gflop"), tflops = ane_row_get_metric(row, "tflops");
    assert_true(fabs(gflop - 2.0 * 256 * 256 * 64 * 1e-9) < 1e-12);
    assert_true(fabs(tflops - gflop / json_number_value(json_object_get(t, "median"))) < 1e-6 * tflops);
    assert_ok(ane_results_check(ane_bench_results(b), "results", &e), &e);
    ane_bench_close(b);
}

/* Stopped after two cases, written, read, gone on: the two are kept as they were, the rest is measured. */
static void test_resume(void **state) {
    (void)state;
    ane_error e = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/results.json", test_folder());
    heard h = {.stop_after = 2};
    ane_bench *b = open_quick(&h, NULL, &e);
    assert_ok(b != NULL, &e);
    assert_false(ane_bench_run(b, "quant", &e));
    assert_error(&e, ANE_ERROR_INTERRUPTED, "kept");
    int cases = ane_bench_cases(b, "quant");
    assert_int_equal(json_array_size(ane_results_rows(ane_bench_results(b))), 2);
    assert_ok(ane_results_write(ane_bench_results(b), path, &e), &e);
    json_t *first = json_deep_copy(row_of(b, "quant", "256x256-fp16"));
    ane_bench_close(b);

    json_t *earlier = ane_results_read(path, &e);
    assert_ok(earlier != NULL, &e);
    h = (heard){0};
    b = open_quick(&h, earlier, &e);
    assert_ok(b != NULL, &e);
    assert_ok(ane_bench_run(b, "quant", &e), &e);
    assert_int_equal(h.kept, 2);
    assert_int_equal(h.ended, cases);
    assert_int_equal(json_array_size(ane_results_rows(ane_bench_results(b))), cases);
    const json_t *kept = json_object_get(row_of(b, "quant", "256x256-fp16"), "device_ms");
    assert_true(fabs(json_number_value(json_object_get(kept, "median")) /
                         json_number_value(json_object_get(json_object_get(first, "device_ms"), "median")) -
                     1) < 1e-6);
    json_decref(first);
    ane_bench_close(b);
}

/* A row that failed is measured again. */
static void test_failed_rows_are_not_kept(void **state) {
    (void)state;
    ane_error e = {0}, why = {0};
    heard h = {0};
    ane_bench *b = open_quick(&h, NULL, &e);
    assert_ok(b != NULL, &e);
    assert_ok(ane_bench_run(b, "quant", &e), &e);
    json_t *earlier = json_deep_copy(ane_bench_results(b));
    ane_bench_close(b);
    ane_fail(&why, ANE_ERROR_DEVICE, "bench", "it was tired");
    json_t *row = ane_results_find(earlier, "quant", "256x256-int8");
    ane_row_fail(row, &why);
    assert_null(json_object_get(row, "metrics"));
    assert_string_equal(json_string_value(json_object_get(row, "error")), "bench: it was tired");
    h = (heard){0};
    b = open_quick(&h, earlier, &e);
    assert_ok(b != NULL, &e);
    assert_ok(ane_bench_run(b, "quant", &e), &e);
    assert_int_equal(h.kept, h.ended - 1);
    assert_true(ane_row_is_ok(row_of(b, "quant", "256x256-int8")));
    ane_bench_close(b);
}

static void test_refusals(void **state) {
    (void)state;
    ane_error e = {0};
    heard h = {0};
    ane_bench *b = open_quick(&h, NULL, &e);
    assert_ok(b != NULL, &e);
    assert_false(ane_bench_run(b, "quantt", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "no benchmark \"quantt\"");
    assert_false(ane_bench_run(b, "quantt", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "\"quant\"");
    assert_int_equal(ane_bench_cases(b, "quantt"), 0);
    json_t *earlier = json_deep_copy(ane_bench_results(b));
    ane_bench_close(b);
    json_object_set_new(json_object_get(earlier, "device"), "spec", json_string("ane"));
    assert_null(open_quick(&h, earlier, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "the earlier results are of ane");
    const ane_bench_options none = {.filter = "no such case"};
    b = ane_bench_open("cpu:threads=1", &none, NULL, &e);
    assert_ok(b != NULL, &e);
    assert_false(ane_bench_run(b, "quant", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "no case");
    ane_bench_close(b);
    assert_null(ane_bench_open("gpu", NULL, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "no device");
}

/* ---- what is timed ----------------------------------------------------------------------------------------------- */

/* Says whatever time it is told; fails at one run. */
typedef struct liar {
    double ms;
    int runs, fails_at;
    bool modelled;
} liar;

static bool lie(void *context, ane_run_stats *stats, ane_error *e) {
    liar *l = context;
    if (++l->runs == l->fails_at) return ane_fail(e, ANE_ERROR_DEVICE, "liar", "failed as told");
    *stats = (ane_run_stats){.host_ms = l->ms, .device_ms = l->ms, .modelled = l->modelled};
    return true;
}

static void test_impossible_times(void **state) {
    (void)state;
    ane_error e = {0};
    heard h = {0};
    ane_bench *b = open_quick(&h, NULL, &e);
    assert_ok(b != NULL, &e);
    liar l = {.ms = 1};
    ane_subject s = {.run = lie, .context = &l, .flops = 1e6};
    ane_times t;
    assert_ok(ane_bench_time(b, &s, &t, &e), &e); /* 1 MFLOP in 1 ms: anything can */
    assert_true(t.device.median == 1 && t.device.ci == 0 && !t.modelled);
    s.flops = 1e15; /* 1000 PFLOPS */
    assert_false(ane_bench_time(b, &s, &t, &e));
    assert_error(&e, ANE_ERROR_DEVICE, "impossible");
    assert_true(ane_bench_bound_ms(b, &s) > 1);
    s.on_host = true; /* then it is no matter of the device's */
    assert_ok(ane_bench_time(b, &s, &t, &e), &e);
    l.ms = NAN;
    assert_false(ane_bench_time(b, &s, &t, &e));
    assert_error(&e, ANE_ERROR_DEVICE, "impossible");
    ane_bench_close(b);
}

static void test_every_status_counts(void **state) {
    (void)state;
    ane_error e = {0};
    heard h = {0};
    ane_bench *b = open_quick(&h, NULL, &e);
    assert_ok(b != NULL, &e);
    for (int at = 1; at < 12; at++) { /* in warm-up, and behind it */
        liar l = {.ms = 1, .fails_at = at};
        const ane_subject s = {.run = lie, .context = &l};
        ane_times t;
        assert_false(ane_bench_time(b, &s, &t, &e));
        assert_error(&e, ANE_ERROR_DEVICE, "failed as told");
    }
    liar model = {.ms = 0.25, .modelled = true};
    const ane_subject s = {.run = lie, .context = &model};
    ane_times t;
    assert_ok(ane_bench_time(b, &s, &t, &e), &e);
    assert_true(t.modelled && t.device.n == 3 && t.device.median == 0.25);
    ane_bench_close(b);
}

/* A wrong number in an output is found: the reference knows of weights that the device was not given. */
static void test_wrong_output(void **state) {
    (void)state;
    ane_error e = {0};
    heard h = {0};
    ane_bench *b = open_quick(&h, NULL, &e);
    assert_ok(b != NULL, &e);
    mil_program *p = ane_program_dynamic(32, 4, false, MIL_FP32, &e);
    ane_trial *t = ane_trial_new(b, p, NULL, &e);
    assert_ok(t != NULL, &e);
    json_t *row = json_object();
    assert_ok(ane_trial_refresh(t, 1, &e) && ane_trial_verify(t, true, row, &e), &e);
    assert_non_null(json_object_get(row, "verified"));
    ane_trial_numbers(t, "w")[5] += 10;
    assert_false(ane_trial_verify(t, true, row, &e));
    assert_error(&e, ANE_ERROR_NUMERIC, "differs from the reference");
    assert_ok(ane_trial_refresh(t, 2, &e), &e); /* outputs are NaN until it runs */
    assert_false(ane_trial_verify(t, false, row, &e));
    assert_error(&e, ANE_ERROR_NUMERIC, "differs from the reference");
    json_decref(row);
    ane_trial_free(t);
    mil_program_free(p);
    ane_bench_close(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_row), cmocka_unit_test(test_resume),
        cmocka_unit_test(test_failed_rows_are_not_kept), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_impossible_times), cmocka_unit_test(test_every_status_counts),
        cmocka_unit_test(test_wrong_output)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
