/* report_csv.c - every row of the report as a line of CSV (RFC 4180). */
#include "measure/report_data.h"
#include "measure/results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The union of all rows' metrics, in the order in which they come: an object of nulls. */
static json_t *all_metrics(const ane_report *r) {
    json_t *names = json_object(), *row, *x;
    const json_t *document;
    const char *key;
    bool faint;
    size_t k;
    for (size_t i = 0; (document = ane_report_document(r, i, &faint)); i++)
        json_array_foreach(ane_results_rows(document), k, row) {
            json_object_foreach(json_object_get(row, "metrics"), key, x) {
                if (!json_object_get(names, key)) json_object_set_new(names, key, json_null());
            }
        }
    return names;
}

/* Quoted where it must be. A spreadsheet takes text that begins with = + - @ for a formula: an apostrophe prevents it. */
static void put_text(ane_page *p, const char *text) {
    bool quote = strpbrk(text, ",\"\r\n") != NULL;
    if (quote) ane_page_put(p, "\"");
    if (*text && strchr("=+-@\t\r", *text)) ane_page_put(p, "'");
    for (; *text; text++) ane_page_printf(p, *text == '"' ? "\"%c" : "%c", *text);
    if (quote) ane_page_put(p, "\"");
}

static void put_number(ane_page *p, const json_t *x) {
    ane_page_put(p, ",");
    if (json_is_number(x) && isfinite(json_number_value(x))) ane_page_printf(p, "%.9g", json_number_value(x));
}

static void put_times(ane_page *p, const json_t *row, const char *which) {
    static const char *const names[] = {"median", "min", "p95", "p99", "ci", "runs"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put_number(p, json_object_get(json_object_get(row, which), names[i]));
}

static void put_row(ane_page *p, const char *machine, bool faint, const json_t *document, const json_t *row,
    json_t *metrics) {
    const char *texts[] = {machine, ane_text_of(json_object_get(document, "machine"), "chip"),
        ane_text_of(json_object_get(document, "machine"), "os"),
        ane_text_of(json_object_get(document, "device"), "spec"), faint ? "recorded" : "own",
        ane_text_of(row, "benchmark"), ane_text_of(row, "case"), ane_text_of(row, "status"),
        ane_row_is_modelled(row) ? "modelled" : "measured", ane_text_of(row, "error"),
        ane_text_of(row, "suspect"), ane_text_of(row, "source")};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (i) ane_page_put(p, ",");
        put_text(p, texts[i]);
    }
    put_times(p, row, "device_ms");
    put_times(p, row, "host_ms");
    const char *key;
    json_t *x;
    json_object_foreach(metrics, key, x) {
        put_number(p, json_object_get(json_object_get(row, "metrics"), key));
    }
    ane_page_put(p, "\r\n");
}

bool ane_report_csv(ane_page *p, const ane_report *r, ane_error *e) {
    json_t *metrics = all_metrics(r), *row, *x;
    const json_t *document;
    const char *key;
    bool faint;
    size_t k;
    ane_page_put(p,
        "machine,chip,os,device,whose,benchmark,case,status,times,error,suspect,source,device_ms,device_ms_"
        "min,"
        "device_ms_p95,device_ms_p99,device_ms_ci,device_runs,host_ms,host_ms_min,host_ms_p95,host_ms_p99,"
        "host_ms_ci,host_runs");
    json_object_foreach(metrics, key, x) {
        ane_page_put(p, ",");
        put_text(p, key);
    }
    ane_page_put(p, "\r\n");
    for (size_t i = 0; (document = ane_report_document(r, i, &faint)); i++) {
        char label[ANE_CHART_NAME];
        ane_document_label(r, document, label);
        json_array_foreach(ane_results_rows(document), k, row) {
            put_row(p, label, faint, document, row, metrics);
        }
    }
    json_decref(metrics);
    return !p->failed || ane_fail(e, ANE_ERROR_MEMORY, "report", "out of memory");
}
