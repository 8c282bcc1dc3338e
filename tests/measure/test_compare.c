/* What changed between two results files, and whether that is noise. */
#include "support/support.h"

#include "measure/compare.h"
#include "measure/results.h"

#include <math.h>
#include <string.h>

static json_t *row(const char *name, double ms, double ci, bool modelled) {
    return json_pack("{s:s, s:s, s:{}, s:s, s:s, s:b, s:{s:f, s:f, s:f, s:f, s:f, s:i}}", "benchmark", "peak",
        "case", name, "config", "status", "ok", "error", "", "modelled", modelled, "device_ms", "median", ms,
        "min", ms, "p95", ms, "p99", ms, "ci", ci, "runs", 20);
}

static json_t *failed(const char *name) {
    return json_pack("{s:s, s:s, s:{}, s:s, s:s}", "benchmark", "peak", "case", name, "config", "status",
        "failed", "error", "no");
}

static json_t *document(const char *chip, json_t *rows) {
    return json_pack("{s:{s:s}, s:{s:s, s:s}, s:o}", "machine", "chip", chip, "device", "spec", "cpu",
        "precision", "fp32", "rows", rows);
}

static void test_changes(void **state) {
    (void)state;
    ane_error e = {0};
    json_t *before = document(
               "A", json_pack("[o, o, o, o]", row("same", 10, 0.02, false), row("slow", 10, 0.02, false),
                        row("fast", 10, 0.001, true), row("gone", 10, 0.02, false))),
           *now = document(
               "A", json_pack("[o, o, o, o, o]", row("same", 10.3, 0.02, false), row("slow", 12, 0.02, false),
                        row("fast", 5, 0.001, true), failed("gone"), row("new", 1, 0, false)));
    json_t *list = ane_compare(now, before, &e);
    assert_ok(list != NULL, &e);
    assert_int_equal(json_array_size(list), 4); /* not the new one */
    const json_t *same = json_array_get(list, 0), *slow = json_array_get(list, 1),
                 *fast = json_array_get(list, 2), *gone = json_array_get(list, 3);
    assert_true(fabs(json_number_value(json_object_get(same, "change_percent")) - 3) < 1e-9);
    assert_true(json_is_true(json_object_get(same, "noise")));
    assert_true(fabs(json_number_value(json_object_get(slow, "change_percent")) - 20) < 1e-9);
    assert_true(json_is_false(json_object_get(slow, "noise")));
    assert_true(json_is_false(json_object_get(slow, "modelled")));
    assert_true(fabs(json_number_value(json_object_get(fast, "change_percent")) + 50) < 1e-9);
    assert_true(json_is_true(json_object_get(fast, "modelled")));
    assert_true(json_is_null(json_object_get(gone, "change_percent")));
    assert_true(json_is_null(json_object_get(gone, "noise")));
    assert_string_equal(json_string_value(json_object_get(gone, "note")), "now failed");
    json_decref(list);
    json_decref(before);
    json_decref(now);
}

static void test_warning(void **state) {
    (void)state;
    char text[400];
    json_t *a = document("M4", json_array()), *b = document("M5", json_array());
    assert_string_equal(ane_compare_warning(a, a, text, sizeof text), "");
    assert_string_equal(ane_compare_warning(b, a, text, sizeof text), "chip was \"M4\", is \"M5\"");
    json_decref(a);
    json_decref(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_changes), cmocka_unit_test(test_warning)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
