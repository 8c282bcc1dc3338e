/* What the field has published: complete, sourced, and in agreement with itself. */
#include "support/support.h"

#include "measure/recorded.h"
#include "measure/results.h"
#include "measure/row.h"

#include <math.h>
#include <string.h>

static json_t *all(void) {
    ane_error e = {0};
    json_t *documents = ane_recorded_documents(&e);
    assert_ok(documents != NULL, &e);
    return documents;
}

static const json_t *document(const json_t *documents, const char *id) {
    size_t i;
    json_t *d;
    json_array_foreach(documents, i, d) {
        if (strcmp(json_string_value(json_object_get(d, "id")), id) == 0) return d;
    }
    fail_msg("no machine %s", id);
    return NULL;
}

static double number(const json_t *row, const char *part, const char *name) {
    const json_t *x = json_object_get(json_object_get(row, part), name);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

/* Half a unit of the last digit that was published: three digits behind the point for times, two for rates. */
static bool agrees(double told, double told_half, double from_low, double from_high) {
    return told + told_half >= from_low && told - told_half <= from_high;
}

static int checked;

static void check_row(const json_t *row) {
    const char *name = json_string_value(json_object_get(row, "case"));
    bool suspect = json_object_get(row, "suspect") != NULL;
    double ms = number(row, "host_ms", "median"), gflop = number(row, "metrics", "gflop"),
           tflops = number(row, "metrics", "tflops"), weights = number(row, "metrics", "weights_mb"),
           per_mb = number(row, "metrics", "gflops_per_mb"), channels = number(row, "config", "channels");
    double positions = number(row, "config", "positions"), depth = number(row, "config", "depth");
    double half = ms > 5 ? 0.05 : ms == 4 ? 0.05 : 0.0005; /* the int8 tables have one digit */
    if (ms > 0 && gflop > 0 && tflops > 0) {
        if (!agrees(tflops, 0.0051 + tflops * 0.003, (gflop - 0.005) / (ms + half),
                (gflop + 0.005) / (ms - half)))
            fail_msg("%s: %g TFLOPS, but %g GFLOP in %g ms", name, tflops, gflop, ms);
        checked++;
    }
    if (gflop > 0 && channels > 0 && positions > 0 && depth > 0 &&
        fabs(2 * channels * channels * positions * depth * 1e-9 / gflop - 1) > 0.012)
        fail_msg("%s: %g GFLOP are not those of its shape", name, gflop);
    if (weights > 0 && channels > 0 && depth > 0 &&
        fabs(2 * channels * channels * depth / (1 << 20) - weights) > 0.051)
        fail_msg("%s: %g MB are not those of its shape", name, weights);
    if (per_mb > 0 && !suspect &&
        fabs(gflop / ms * 1e3 / (2 * channels * channels / (1 << 20)) / per_mb - 1) > 0.05)
        fail_msg("%s: %g GFLOPS/MB", name, per_mb);
}

static void test_agrees_with_itself(void **state) {
    (void)state;
    json_t *documents = all(), *d, *row;
    size_t i, k;
    checked = 0;
    json_array_foreach(documents, i, d) {
        json_array_foreach(ane_results_rows(d), k, row) {
            check_row(row);
        }
    }
    assert_in_range(checked, 170, 1000);
    json_decref(documents);
}

static void test_documents_are_results(void **state) {
    (void)state;
    json_t *documents = all(), *d, *row;
    size_t i, k, rows = 0, suspect = 0;
    json_array_foreach(documents, i, d) {
        ane_error e = {0};
        const char *id = json_string_value(json_object_get(d, "id"));
        assert_ok(ane_results_check(d, id, &e), &e);
        assert_true(json_array_size(ane_results_rows(d)) > 0);
        json_array_foreach(ane_results_rows(d), k, row) {
            const char *benchmark = json_string_value(json_object_get(row, "benchmark")),
                       *name = json_string_value(json_object_get(row, "case"));
            if (ane_results_find(d, benchmark, name) != row) fail_msg("%s: %s %s twice", id, benchmark, name);
            assert_true(json_string_length(json_object_get(row, "source")) > 0);
            assert_true(json_string_length(json_object_get(row, "program")) > 0);
            rows++;
            suspect += json_object_get(row, "suspect") != NULL;
        }
    }
    assert_true(rows > 300);
    assert_true(suspect > 20);
    json_decref(documents);
}

/* One number of each table, as it was published. */
static void test_numbers(void **state) {
    static const struct {
        const char *machine, *benchmark, *name, *part, *member;
        double value;
    } told[] = {{"m4-max-000", "peak", "512x64x128", "host_ms", "median", 0.385},
        {"m4-max-000", "peak", "512x64x128", "metrics", "tflops", 11.14},
        {"m3-pro", "peak", "512x2048x128", "metrics", "tflops", 16.77},
        {"m4-h16g", "int8", "512x64x128-w8a8", "metrics", "speedup", 1.88},
        {"m4-mini", "dispatch", "512-package", "host_ms", "median", 0.084},
        {"m4-max-000", "sram", "8192", "host_ms", "median", 4.195},
        {"m4-max-3", "sram-fine", "4608", "metrics", "gflops_per_mb", 132.7},
        {"m4-probe-v2", "eval", "ping-pong", "metrics", "pair_ms", 0.415},
        {"m5-pr35", "dynamic", "4096-packed", "metrics", "update_ms", 1.272},
        {"m5-pr35", "pipeline", "training-768x24", "metrics", "tokens_per_s", 434550.44},
        {"m4-max-000", "train", "static-ane-stories110m", "host_ms", "median", 62.9},
        {"m4-author", "train", "static-stories110m", "parts", "elem", 14.4},
        {"m4-author", "single-layer", "deferred-wait", "host_ms", "median", 9.3},
        {"m5-probes", "qos", "qos-21", "metrics", "load_ms", 1.7},
        {"m4-max-pr40", "paths", "real-time-768x256", "host_ms", "median", 0.246},
        {"m4-max-pr40", "throughput", "queue-256x64", "metrics", "ms_per_kernel", 0.176}};
    (void)state;
    json_t *documents = all();
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        const json_t *row =
            ane_results_find(document(documents, told[i].machine), told[i].benchmark, told[i].name);
        if (!row) fail_msg("no %s of %s on %s", told[i].name, told[i].benchmark, told[i].machine);
        assert_true(fabs(number(row, told[i].part, told[i].member) - told[i].value) < 1e-9);
    }
    json_decref(documents);
}

static void test_suspects(void **state) {
    (void)state;
    json_t *documents = all(), *row;
    size_t k;
    json_array_foreach(ane_results_rows(document(documents, "m5-pr35")), k, row) {
        assert_non_null(json_object_get(row, "suspect"));
    } /* the constant 0.019 ms */
    row = ane_results_find(document(documents, "m4-max-000"), "peak", "512x64x128");
    assert_null(json_object_get(row, "suspect"));
    row = ane_results_find(document(documents, "m1-air"), "peak", "256x64x64");
    assert_string_equal(json_string_value(json_object_get(row, "status")), "failed");
    assert_null(json_object_get(row, "host_ms"));
    json_decref(documents);
}

/* A range [low, high] stands as its middle. */
static void test_ranges(void **state) {
    (void)state;
    json_t *documents = all();
    const json_t *row = ane_results_find(document(documents, "m1-pro"), "train", "static-stories110m");
    assert_true(number(row, "host_ms", "median") == 155.5);
    assert_true(number(row, "host_ms", "min") == 148);
    assert_true(number(row, "host_ms", "p95") == 163);
    json_decref(documents);
}

static void test_find(void **state) {
    (void)state;
    json_t *documents = all(),
           *text = json_pack("{s:s, s:s, s:{s:s, s:i, s:i}}", "benchmark", "dispatch", "case", "512-text",
               "config", "source", "text", "channels", 512, "positions", 64);
    const json_t *d = document(documents, "m4-mini"), *row = ane_recorded_find(d, text);
    assert_non_null(row); /* by its config */
    assert_string_equal(json_string_value(json_object_get(row, "case")), "512-package");
    json_object_set_new(json_object_get(text, "config"), "positions", json_integer(65));
    assert_null(ane_recorded_find(d, text));
    json_t *of = ane_recorded_of(documents, "qos");
    assert_int_equal(json_array_size(of), 1);
    json_decref(of);
    json_decref(text);
    json_decref(documents);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_agrees_with_itself),
        cmocka_unit_test(test_documents_are_results), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_suspects), cmocka_unit_test(test_ranges), cmocka_unit_test(test_find)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
