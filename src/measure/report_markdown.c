/* report_markdown.c - the report's tables as Markdown. */
#include "measure/report_data.h"
#include "measure/results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_METRICS = 8 };

/* A cell: no line ends, | and what Markdown or HTML would take for markup escaped. */
static void put_text(ane_page *p, const char *text) {
    for (; *text; text++) {
        if (strchr("|\\`*_<>[]#", *text))
            ane_page_printf(p, "\\%c", *text);
        else if ((unsigned char)*text < 32)
            ane_page_put(p, " ");
        else
            ane_page_printf(p, "%c", *text);
    }
}

static void put_number(ane_page *p, double x) {
    char text[ANE_NUMBER_TEXT];
    ane_page_printf(p, " %s |", isfinite(x) ? ane_number_text(x, text) : "");
}

static double time_of(const json_t *row, const char *which, const char *name) {
    const json_t *x = json_object_get(json_object_get(row, which), name);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

static void put_standing(ane_page *p, const json_t *row) {
    const json_t *verified = json_object_get(row, "verified");
    const char *status = ane_text_of(row, "status"), *suspect = ane_text_of(row, "suspect");
    ane_page_put(p, ane_row_is_modelled(row) ? " **modelled** " : " ");
    if (strcmp(status, "ok") != 0) put_text(p, status), ane_page_put(p, ": ");
    if (*suspect) ane_page_put(p, "**suspect:** "), put_text(p, suspect);
    if (verified) ane_page_put(p, json_is_true(json_object_get(verified, "ok")) ? "verified " : "**wrong** ");
    put_text(p, ane_text_of(row, "error"));
    ane_page_put(p, " |\n");
}

static void put_row(ane_page *p, const char *machine, const json_t *row, const char **metrics, int n) {
    ane_page_put(p, "| ");
    put_text(p, machine);
    ane_page_put(p, " | ");
    put_text(p, ane_text_of(row, "case"));
    ane_page_put(p, " |");
    put_number(p, time_of(row, "device_ms", "median"));
    put_number(p, 100 * time_of(row, "device_ms", "ci"));
    put_number(p, time_of(row, "host_ms", "median"));
    for (int i = 0; i < n; i++) put_number(p, ane_metric_of(row, metrics[i]));
    put_standing(p, row);
}

typedef struct context {
    ane_page *p;
    const ane_report *r;
} context;

/* What rows say together, a sentence each, behind their table. */
static void put_conclusions(context *c, const char *benchmark) {
    json_t *document, *row;
    size_t i, k;
    json_array_foreach(c->r->own, i, document) {
        char label[ANE_CHART_NAME];
        ane_document_label(c->r, document, label);
        json_array_foreach(ane_results_rows(document), k, row) {
            if (!ane_row_is_of(row, benchmark) || !ane_row_is_conclusion(row)) continue;
            ane_page_put(c->p, "\n");
            put_text(c->p, label);
            ane_page_put(c->p, ", ");
            put_text(c->p, ane_text_of(row, "case"));
            ane_page_put(c->p, ": ");
            put_text(c->p, ane_text_of(row, "note"));
            ane_page_put(c->p, "\n");
        }
    }
}

static void put_section(void *data, const ane_report_section *s) {
    context *c = data;
    const char *metrics[MOST_METRICS];
    int n = ane_report_metrics(c->r, s->benchmark, json_array_size(c->r->own) > 0, metrics, MOST_METRICS);
    const json_t *document;
    bool faint;
    json_t *row;
    size_t k;
    ane_page_put(c->p, "\n## ");
    put_text(c->p, s->title);
    ane_page_put(c->p, "\n\n");
    put_text(c->p, s->text);
    ane_page_put(c->p, "\n\n| machine | case | device ms | +- % | call ms |");
    for (int i = 0; i < n; i++) {
        ane_page_put(c->p, " ");
        put_text(c->p, metrics[i]);
        ane_page_put(c->p, " |");
    }
    ane_page_put(c->p, " standing |\n|---|---|---:|---:|---:|");
    for (int i = 0; i < n; i++) ane_page_put(c->p, "---:|");
    ane_page_put(c->p, "---|\n");
    for (size_t i = 0; (document = ane_report_document(c->r, i, &faint)); i++) {
        char label[ANE_CHART_NAME];
        ane_document_label(c->r, document, label);
        json_array_foreach(ane_results_rows(document), k, row) {
            if (ane_row_is_of(row, s->benchmark) && !ane_row_is_conclusion(row))
                put_row(c->p, label, row, metrics, n);
        }
    }
    put_conclusions(c, s->benchmark);
}

static void put_probes(ane_page *p, const ane_report *r) {
    size_t i, k;
    json_t *document, *probe;
    bool any = false;
    json_array_foreach(r->own, i, document) {
        json_array_foreach(json_object_get(document, "probes"), k, probe) {
            const json_t *equal = json_object_get(probe, "equal");
            const char *texts[] = {ane_text_of(probe, "probe"), ane_text_of(probe, "question"),
                strcmp(ane_text_of(probe, "status"), "ok") == 0 ? ane_text_of(probe, "answer")
                                                                : ane_text_of(probe, "error"),
                ane_text_of(probe, "recorded"),
                json_is_true(equal)    ? "equal"
                : json_is_false(equal) ? "differs"
                                       : "not recorded"};
            if (!any)
                ane_page_put(
                    p, "\n## Probes\n\n| probe | question | answer | recorded | |\n|---|---|---|---|---|\n");
            any = true;
            ane_page_put(p, "|");
            for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
                ane_page_put(p, " ");
                put_text(p, texts[t]);
                ane_page_put(p, " |");
            }
            ane_page_put(p, "\n");
        }
    }
}

bool ane_report_markdown(ane_page *p, const ane_report *r, ane_error *e) {
    size_t i;
    json_t *document;
    context c = {p, r};
    ane_page_put(p, "# ");
    put_text(p, r->title ? r->title : "Measured with anemone");
    ane_page_put(p, "\n\n");
    json_array_foreach(r->own, i, document) {
        char label[ANE_CHART_NAME];
        ane_document_label(r, document, label);
        ane_page_put(p, "- **");
        put_text(p, label);
        ane_page_put(p, "**: ");
        put_text(p, ane_text_of(json_object_get(document, "machine"), "os"));
        ane_page_put(p, ", ");
        put_text(p, ane_text_of(json_object_get(document, "device"), "spec"));
        if (json_is_true(json_object_get(json_object_get(document, "device"), "emulated")))
            ane_page_put(p, "; device times are **modelled**, not measured");
        ane_page_put(p, "\n");
    }
    ane_report_each(r, put_section, &c);
    put_probes(p, r);
    return !p->failed || ane_fail(e, ANE_ERROR_MEMORY, "report", "out of memory");
}
