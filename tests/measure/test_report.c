/* The report: whole, self-contained, and nothing from a file is markup in it. */
#include "support/support.h"

#include "base/file.h"
#include "measure/documents.h"
#include "measure/recorded.h"
#include "measure/report.h"
#include "measure/results.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names that want to be markup, formulas and table cells. */
#define EVIL "<script>alert(1)</script>&\"'|=1+1"

static json_t *times(double ms) {
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:i}", "median", ms, "min", ms, "p95", ms, "p99", ms, "ci",
        0.01, "runs", 9);
}

static json_t *row(
    const char *benchmark, const char *name, json_t *config, double ms, bool modelled, json_t *metrics) {
    return json_pack("{s:s, s:s, s:o, s:s, s:s, s:b, s:o, s:o, s:o, s:{s:s, s:f, s:f, s:b}, s:{s:f, s:f}}",
        "benchmark", benchmark, "case", name, "config", config, "status", "ok", "error", "", "modelled",
        modelled, "device_ms", times(ms), "host_ms", times(2 * ms), "metrics", metrics, "verified", "against",
        "cpu fp16", "error", 0.001, "tolerance", 0.01, "ok", 1, "parts", "device", ms / 2, EVIL, ms / 4);
}

static json_t *document(const char *chip, bool modelled) {
    json_t *d = json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:f}, s:{s:s, s:s, s:s, s:b, s:s, s:i}, "
        "s:[], s:[{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}]}",
        "schema", ANE_RESULTS_SCHEMA, "anemone", "0", "created", "2026", "machine", "chip", chip, "processor",
        "", "model", "", "os", "Linux", "os_build", "", "framework", "", "cores", 2, "memory_gb", 8.0,
        "device", "spec", "ane:emulator", "name", "ane", "description", "", "emulated", modelled, "precision",
        "fp16", "threads", 2, "rows", "probes", "probe", "weight-reload", "question", "New weights?", "did",
        "it", "status", "ok", "error", "", "answer", "unchanged", "recorded", "unchanged", "equal", 1);
    json_t *rows = ane_results_rows(d);
    for (int i = 1; i <= 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "512x64x%d", 32 * i);
        json_array_append_new(rows,
            row("peak", name, json_pack("{s:i, s:i, s:i}", "channels", 512, "positions", 64, "depth", 32 * i),
                0.2 * i, modelled, json_pack("{s:f, s:f}", "gflop", 1.07 * i, "tflops", 5.0 + i)));
        json_array_append_new(
            rows, row("sram-fine", name, json_pack("{s:i, s:i}", "channels", 256 * i, "positions", 64),
                      0.1 * i, modelled, json_pack("{s:f, s:f}", "weights_mb", 8.0 * i, "tflops", 1.0 * i)));
        json_array_append_new(
            rows, row("dynamic", name, json_pack("{s:i, s:s}", "dim", 128 * i, "mode", "packed"), 0.1,
                      modelled, json_pack("{s:f}", "update_ms", 0.01 * i)));
    }
    json_array_append_new(
        rows, row("train", "static-stories110m", json_object(), 60, modelled, json_object()));
    json_array_append_new(rows, row("sram-fine", "edge", json_object(), 0, modelled,
                                    json_pack("{s:f, s:f}", "edge_mb", 20.0, "uncertainty_mb", 4.0)));
    json_array_append_new(rows, row(EVIL, EVIL, json_object(), 1, modelled, json_pack("{s:f}", EVIL, 3.0)));
    json_array_append_new(rows, json_pack("{s:s, s:s, s:{}, s:s, s:s}", "benchmark", "peak", "case", "bad",
                                    "config", "status", "failed", "error", "evaluation failed " EVIL));
    return d;
}

typedef bool writer(ane_page *p, const ane_report *r, ane_error *e);

static char *written(writer *write, json_t *own, bool recorded) {
    ane_error e = {0};
    ane_page page = {0};
    json_t *others = recorded ? ane_recorded_documents(&e) : json_array();
    const ane_report r = {.own = own, .recorded = others};
    assert_ok(write(&page, &r, &e), &e);
    json_decref(others);
    return page.text;
}

/* ---- well formed ------------------------------------------------------------------------------------------------- */

enum { DEEPEST = 64 };

/* Every tag is closed by its own, attributes are quoted. */
static void assert_well_formed(const char *html) {
    char open[DEEPEST][32];
    int depth = 0;
    const char *at = strchr(html + 2, '<'); /* behind the doctype */
    for (; at; at = strchr(at, '<')) {
        const char *end = at + 1;
        char quote = 0;
        for (; *end && (quote || *end != '>'); end++)
            if (quote ? *end == quote : *end == '"') quote = quote ? 0 : *end;
        if (!*end) fail_msg("a tag that does not end: %.60s", at);
        bool closing = at[1] == '/', alone = end[-1] == '/';
        char name[32];
        size_t n = strcspn(at + 1 + closing, " />");
        snprintf(name, sizeof name, "%.*s", (int)(n < 31 ? n : 31), at + 1 + closing);
        if (closing && (depth == 0 || strcmp(open[depth - 1], name) != 0))
            fail_msg("</%s> closes %s", name, depth ? open[depth - 1] : "nothing");
        if (closing)
            depth--;
        else if (!alone) {
            assert_true(depth < DEEPEST);
            strcpy(open[depth++], name);
        }
        at = end;
    }
    assert_int_equal(depth, 0);
}

static void assert_self_contained(const char *html) {
    static const char *const forbidden[] = {"http:", "https:", "//", "<script", "src=", "@import", "url(",
        "<iframe", "onload", "<link rel=\"stylesheet"};
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (strstr(html, forbidden[i])) fail_msg("the page has %s", forbidden[i]);
}

static int count(const char *text, const char *part) {
    int n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part)) n++;
    return n;
}

static void test_html(void **state) {
    (void)state;
    json_t *own = json_pack("[o, o]", document("A chip " EVIL, false), document("M4 Max", true));
    char *html = written(ane_report_html, own, true);
    assert_well_formed(html);
    assert_self_contained(html);
    assert_non_null(strstr(html, "prefers-color-scheme:dark"));
    assert_non_null(strstr(html, "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;"));
    assert_non_null(strstr(html, "edge: 16 to 24 MB"));
    assert_non_null(strstr(html, "M4 Max #2"));     /* recorded */
    assert_non_null(strstr(html, "weight-reload")); /* probes */
    assert_non_null(strstr(html, "evaluation failed"));
    assert_int_equal(count(html, "<svg class=\"wide\""), count(html, "<svg class=\"narrow\""));
    assert_int_equal(count(html, "role=\"img\" aria-label=\""), 2 * count(html, "<figure>"));
    free(html);
    json_decref(own);
}

/* In every plot with a modelled line or bar, and in every row. */
static void test_modelled_is_marked(void **state) {
    (void)state;
    json_t *own = json_pack("[o]", document("M4 Max", true));
    char *html = written(ane_report_html, own, false);
    assert_int_equal(count(html, "MODELLED"), 2 * count(html, "<figure>"));
    assert_int_equal(
        count(html, "<span class=\"tag modelled\">modelled</span>"), 1 + 15); /* the machine, 15 rows */
    free(html);
    json_array_clear(own);
    json_array_append_new(own, document("M4 Max", false));
    html = written(ane_report_html, own, false);
    assert_int_equal(count(html, "MODELLED"), 0);
    free(html);
    json_decref(own);
}

static void test_recorded_alone(void **state) {
    (void)state;
    json_t *own = json_array();
    char *html = written(ane_report_html, own, true);
    assert_well_formed(html);
    assert_self_contained(html);
    assert_non_null(strstr(html, "What the field has recorded"));
    assert_non_null(strstr(html, "suspect"));
    free(html);
    json_decref(own);
}

static void test_markdown(void **state) {
    (void)state;
    json_t *own = json_pack("[o]", document("M4 Max", true));
    char *text = written(ane_report_markdown, own, false);
    assert_non_null(strstr(text, "## Throughput"));
    assert_non_null(
        strstr(text, "| M4 Max (modelled) | 512x64x32 | 0.2 | 1 | 0.4 | 1.07 | 6 | **modelled** verified"));
    assert_int_equal(count(text, "<script"), count(text, "\\<script")); /* escaped */
    assert_non_null(strstr(text, "\\|=1+1"));
    assert_non_null(strstr(text, "| weight-reload | New weights? | unchanged | unchanged | equal |"));
    free(text);
    json_decref(own);
}

static void test_csv(void **state) {
    (void)state;
    json_t *own = json_pack("[o]", document("=SUM(A1)", true));
    char *text = written(ane_report_csv, own, false);
    assert_int_equal(count(text, "\r\n"), 17);
    assert_non_null(strstr(text, ",peak,512x64x32,ok,modelled,,,,0.2,0.2,"));
    assert_non_null(strstr(text, "'=SUM(A1)")); /* no formula */
    assert_non_null(strstr(text, "\"<script>alert(1)</script>&\"\"'|=1+1\""));
    free(text);
    json_decref(own);
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

static const char log_lines[] =
    "{\"type\":\"start\",\"step\":0,\"time\":1,\"text\":\"x\"}\n"
    "{\"type\":\"step\",\"step\":1,\"loss\":9.1,\"ms\":100,\"timers\":{\"forward\":60,\"backward\":40},"
    "\"device\":{\"device_ms\":7,\"modelled\":true}}\n"
    "{\"type\":\"step\",\"step\":2,\"loss\":null,\"ms\":110,\"timers\":{\"forward\":62,\"backward\":40}}\n"
    "{\"type\":\"eval\",\"step\":2,\"loss\":8.7}\n"
    "{\"type\":\"step\",\"st";

static const char *log_file(const char *text) {
    static char path[512];
    char folder[400];
    snprintf(folder, sizeof folder, "%s/first", test_folder());
    ane_error e = {0};
    assert_ok(ane_make_folders(folder, &e), &e);
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    assert_ok(ane_write_file(path, text, strlen(text), &e), &e);
    return path;
}

static void test_run_log(void **state) {
    (void)state;
    ane_error e = {0};
    char folder[512];
    snprintf(folder, sizeof folder, "%s", log_file(log_lines));
    *strrchr(folder, '/') = 0; /* a run's folder will do */
    json_t *documents = json_array();
    assert_ok(ane_documents_read(documents, folder, &e), &e);
    const json_t *found = ane_results_find(json_array_get(documents, 0), "run", "first");
    assert_non_null(found);
    assert_true(json_is_true(json_object_get(found, "modelled")));
    assert_int_equal(json_array_size(json_object_get(json_object_get(found, "series"), "loss")), 2);
    assert_true(json_number_value(json_object_get(json_object_get(found, "host_ms"), "median")) == 105);
    assert_true(json_number_value(json_object_get(json_object_get(found, "parts"), "forward")) == 61);
    assert_ok(ane_results_check(json_array_get(documents, 0), "it", &e), &e);
    char *html = written(ane_report_html, documents, false);
    assert_well_formed(html);
    assert_non_null(strstr(html, "first, held out"));
    free(html);
    json_decref(documents);
}

/* Probes alone join the document of the same machine and device. */
static void test_probes_join(void **state) {
    (void)state;
    ane_error e = {0};
    char path[2][512];
    json_t *parts[2] = {document("M5", true), document("M5", true)}, *documents = json_array();
    json_array_clear(json_object_get(parts[0], "probes"));
    json_array_clear(ane_results_rows(parts[1]));
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/part%d.json", test_folder(), i);
        assert_ok(ane_results_write(parts[i], path[i], &e), &e);
        assert_ok(ane_documents_read(documents, path[i], &e), &e);
        json_decref(parts[i]);
    }
    assert_int_equal(json_array_size(documents), 1);
    assert_int_equal(json_array_size(json_object_get(json_array_get(documents, 0), "probes")), 1);
    assert_ok(ane_documents_read(documents, path[1], &e), &e); /* one that has probes keeps them */
    assert_int_equal(json_array_size(documents), 2);
    json_decref(documents);
}

static void test_bad_runs(void **state) {
    static const struct {
        const char *text, *where;
    } wrong[] = {{"", "lines of type step"},
        {"{\"type\":\"step\",\"step\":1,\"loss\":1}\nnonsense\n{}\n", "line 2"},
        {"{\"type\":\"step\",\"step\":1}\n", "line 1.loss"},
        {"{\"type\":\"step\",\"loss\":1}\n", "line 1.step"}, {"[]\n", "an object with a type"}};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ane_error e = {0};
        json_t *documents = json_array();
        assert_false(ane_documents_read(documents, log_file(wrong[i].text), &e));
        assert_error(&e, ANE_ERROR_FORMAT, wrong[i].where);
        json_decref(documents);
    }
}

/* Numbers that cannot be drawn are left out; nothing breaks. */
static void test_absurd_numbers(void **state) {
    static const double absurd[] = {0, -1, 1e308, 1e-308, 5e-324, -1e308};
    (void)state;
    json_t *d = document("M4", false), *own = json_pack("[o]", d);
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++)
        json_array_append_new(ane_results_rows(d),
            row("peak", "absurd",
                json_pack(
                    "{s:f, s:f, s:f}", "channels", absurd[i], "positions", absurd[i], "depth", absurd[i]),
                absurd[i], false, json_pack("{s:f, s:f}", "gflop", absurd[i], "tflops", absurd[5 - i])));
    char *html = written(ane_report_html, own, true);
    assert_well_formed(html);
    assert_null(strstr(html, "nan"));
    assert_null(strstr(html, "inf "));
    assert_null(strstr(html, "\"inf"));
    free(html);
    json_decref(own);
}

static void test_points_in_every_locale(void **state) {
    (void)state;
    static writer *const writers[] = {ane_report_html, ane_report_markdown, ane_report_csv};
    json_t *own = json_pack("[o]", document("Apple M4", false));
    for (int i = 0; i < 3; i++) {
        char *plain = written(writers[i], own, true);
        if (!comma_locale()) skip();
        char *text = written(writers[i], own, true);
        plain_locale();
        assert_string_equal(text, plain);
        free(text), free(plain);
    }
    json_decref(own);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_html), cmocka_unit_test(test_modelled_is_marked),
        cmocka_unit_test(test_recorded_alone), cmocka_unit_test(test_markdown), cmocka_unit_test(test_csv),
        cmocka_unit_test(test_run_log), cmocka_unit_test(test_probes_join), cmocka_unit_test(test_bad_runs),
        cmocka_unit_test(test_absurd_numbers), cmocka_unit_test(test_points_in_every_locale)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
