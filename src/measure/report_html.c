/* report_html.c - the page: head, machines, a section for each benchmark. */
#include "measure/report_data.h"
#include "measure/results.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A section's id: letters, digits and - of the benchmark's name. */
static void put_id(ane_page *p, const char *benchmark) {
    for (; *benchmark; benchmark++)
        ane_page_printf(p, "%c", isalnum((unsigned char)*benchmark) ? *benchmark : '-');
}

static bool any_modelled(const ane_report *r) {
    size_t i, k;
    json_t *document, *row;
    json_array_foreach(r->own, i, document) {
        json_array_foreach(ane_results_rows(document), k, row) {
            if (ane_row_is_modelled(row)) return true;
        }
    }
    return false;
}

static bool any_probes(const ane_report *r) {
    size_t i;
    json_t *document;
    json_array_foreach(r->own, i, document) {
        if (json_array_size(json_object_get(document, "probes")) > 0) return true;
    }
    return false;
}

static void title_of(const ane_report *r, char *title, size_t size) {
    size_t i, used;
    json_t *document;
    char label[ANE_CHART_NAME];
    snprintf(title, size, "%s",
        r->title                  ? r->title
        : json_array_size(r->own) ? ""
                                  : "What the field has recorded");
    if (title[0]) return;
    json_array_foreach(r->own, i, document) {
        used = strlen(title);
        if (i == 3) {
            snprintf(title + used, size - used, " and %zu more", json_array_size(r->own) - i);
            return;
        }
        ane_document_label(r, document, label);
        snprintf(title + used, size - used, "%s%s", i ? ", " : "", label);
    }
}

/* ---- machines ---------------------------------------------------------------------------------------------------- */

static void put_fact(ane_page *p, const char *name, double x, const char *unit) {
    char text[ANE_NUMBER_TEXT];
    if (!isfinite(x) || x <= 0) return;
    ane_page_printf(
        p, "<div><dt>%s</dt><dd>%s <small>%s</small></dd></div>", name, ane_number_text(x, text), unit);
}

static double best_metric(const json_t *document, const char *benchmark, const char *metric) {
    size_t i;
    json_t *row;
    double best = 0;
    json_array_foreach(ane_results_rows(document), i, row) {
        double x = ane_metric_of(row, metric);
        if (ane_row_is_of(row, benchmark) && ane_row_is_good(row) && x > best) best = x;
    }
    return best;
}

static double least_ms(const json_t *document, const char *benchmark) {
    size_t i;
    json_t *row;
    double least = INFINITY;
    json_array_foreach(ane_results_rows(document), i, row) {
        double told = ane_metric_of(row, "step_ms"), ms = told > 0 ? told : ane_row_median(row);
        if (ane_row_is_of(row, benchmark) && ane_row_is_good(row) && ms > 0 && ms < least) least = ms;
    }
    return least;
}

/* The last loss of a run; NaN when there is no run. */
static double last_loss(const json_t *document) {
    size_t i;
    json_t *row;
    json_array_foreach(ane_results_rows(document), i, row) {
        const json_t *loss = json_object_get(json_object_get(row, "series"), "loss");
        for (size_t n = json_array_size(loss); ane_row_is_of(row, "run") && n > 0; n--)
            if (json_is_number(json_array_get(loss, n - 1)))
                return json_number_value(json_array_get(loss, n - 1));
    }
    return NAN;
}

static void put_probe_count(ane_page *p, const json_t *document) {
    size_t i, n = 0, equal = 0;
    json_t *probe;
    json_array_foreach(json_object_get(document, "probes"), i, probe) {
        const json_t *x = json_object_get(probe, "equal");
        n += json_is_boolean(x);
        equal += json_is_true(x);
    }
    if (n)
        ane_page_printf(
            p, "<div><dt>probes as recorded</dt><dd>%zu <small>of %zu</small></dd></div>", equal, n);
}

static void put_counts(ane_page *p, const json_t *document) {
    static const char *const statuses[] = {"ok", "failed", "skipped"};
    int count[3] = {0};
    size_t i;
    json_t *row;
    json_array_foreach(ane_results_rows(document), i, row) {
        for (int k = 0; k < 3; k++) count[k] += strcmp(ane_text_of(row, "status"), statuses[k]) == 0;
    }
    ane_page_printf(p, "<div><dt>cases measured</dt><dd>%d</dd></div>", count[0]);
    for (int k = 1; k < 3; k++)
        if (count[k]) ane_page_printf(p, "<div><dt>%s</dt><dd>%d</dd></div>", statuses[k], count[k]);
}

static void put_machine(ane_page *p, const ane_report *r, const json_t *document) {
    const json_t *machine = json_object_get(document, "machine"),
                 *device = json_object_get(document, "device");
    const char *facts[] = {ane_text_of(machine, "model"), ane_text_of(machine, "os"),
        ane_text_of(device, "spec"), ane_text_of(device, "precision"), ane_text_of(document, "created")};
    char label[ANE_CHART_NAME];
    ane_document_label(r, document, label);
    ane_page_put(p, "<div class=\"machine\"><h2>");
    ane_page_escaped(p, label);
    if (json_is_true(json_object_get(device, "emulated")))
        ane_page_put(p, " <span class=\"tag modelled\">modelled</span>");
    ane_page_put(p, "</h2><p>");
    for (size_t i = 0, n = 0; i < sizeof facts / sizeof *facts; i++) {
        if (!*facts[i]) continue;
        ane_page_put(p, n++ ? " &#183; " : "");
        ane_page_escaped(p, facts[i]);
    }
    ane_page_put(p, "</p><dl>");
    double rate = best_metric(document, "peak", "tflops"), call = least_ms(document, "dispatch");
    put_fact(p, "best rate", rate < 1 ? 1e3 * rate : rate, rate < 1 ? "GFLOPS" : "TFLOPS");
    put_fact(p, "shortest call", call < 0.1 ? 1e3 * call : call, call < 0.1 ? "&#181;s" : "ms");
    put_fact(p, "training step", least_ms(document, "train"), "ms");
    put_fact(p, "decoding", best_metric(document, "generate", "decode_tokens_per_second"), "tokens/s");
    put_fact(p, "last loss", last_loss(document), "nats");
    put_fact(p, "step of the run", least_ms(document, "run"), "ms");
    put_probe_count(p, document);
    put_counts(p, document);
    ane_page_put(p, "</dl></div>\n");
}

/* ---- sections ---------------------------------------------------------------------------------------------------- */

typedef struct context {
    ane_page *p;
    const ane_report *r;
} context;

static void put_link(void *data, const ane_report_section *s) {
    context *c = data;
    ane_page_put(c->p, "<a href=\"#");
    put_id(c->p, s->benchmark);
    ane_page_put(c->p, "\">");
    ane_page_escaped(c->p, s->title);
    ane_page_put(c->p, "</a>");
    if (strcmp(s->benchmark, "peak") == 0) ane_page_put(c->p, "<a href=\"#roofline\">Roofline</a>");
}

static void put_heading(ane_page *p, const char *id, const char *title, const char *text) {
    ane_page_put(p, "<section id=\"");
    put_id(p, id);
    ane_page_put(p, "\"><h2>");
    ane_page_escaped(p, title);
    ane_page_put(p, "</h2>\n<p>");
    ane_page_escaped(p, text);
    ane_page_put(p, "</p>\n");
}

static void put_section(void *data, const ane_report_section *s) {
    context *c = data;
    put_heading(c->p, s->benchmark, s->title, s->text);
    (s->draw ? s->draw : ane_draw_times)(c->p, c->r, s->benchmark);
    ane_put_table(c->p, c->r, s->benchmark);
    ane_page_put(c->p, "</section>\n");
    if (strcmp(s->benchmark, "peak") != 0) return;
    put_heading(c->p, "roofline", "Roofline",
        "Every convolution that was measured, by the work it does for each byte it moves: left of the knee, "
        "memory "
        "bounds it; right of it, arithmetic.");
    ane_draw_roofline(c->p, c->r);
    ane_page_put(c->p, "</section>\n");
}

static void put_head(ane_page *p, const char *title, bool alone) {
    ane_page_put(p,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
        "content=\"width=device-width, initial-scale=1\"/>\n<title>");
    ane_page_escaped(p, title);
    ane_page_put(p, " - anemone</title>\n<link rel=\"icon\" href=\"data:,\"/>\n<style>\n");
    ane_page_put(p, ane_report_style);
    ane_page_printf(p, "</style>\n</head>\n<body%s>\n<header><h1>", alone ? " class=\"alone\"" : "");
    ane_page_escaped(p, title);
    ane_page_put(p, "</h1>\n<p>Medians; &#177; is half the 95 % confidence interval of the "
                    "median. Thin lines and pale bars are what others have recorded; a question mark is "
                    "behind what is suspect.</p></header>\n");
}

bool ane_report_html(ane_page *p, const ane_report *r, ane_error *e) {
    char title[400];
    size_t i;
    json_t *document;
    context c = {p, r};
    title_of(r, title, sizeof title);
    put_head(p, title, json_array_size(r->own) == 0);
    ane_page_put(p, "<nav aria-label=\"Sections\">");
    ane_report_each(r, put_link, &c);
    if (any_probes(r)) ane_page_put(p, "<a href=\"#probes\">Probes</a>");
    ane_page_put(p, "</nav>\n<main>\n");
    if (any_modelled(r))
        ane_page_put(p,
            "<p class=\"notice\"><strong>Modelled, not measured:</strong> device times of an emulated "
            "Neural Engine come from a time model fitted to recorded ones. They are dashed or hatched, and "
            "their rows say modelled.</p>\n");
    ane_page_put(p, "<div class=\"machines\">\n");
    json_array_foreach(r->own, i, document) {
        put_machine(p, r, document);
    }
    ane_page_put(p, "</div>\n");
    ane_report_each(r, put_section, &c);
    if (any_probes(r)) {
        put_heading(
            p, "probes", "Probes", "What the device was asked, what it answered, and what others recorded.");
        ane_put_probes(p, r);
        ane_page_put(p, "</section>\n");
    }
    ane_page_put(p,
        "</main>\n<footer>Made by <code>anemone report</code>. Recorded numbers and their sources: "
        "data/ane_recorded.json.</footer>\n</body>\n</html>\n");
    return !p->failed || ane_fail(e, ANE_ERROR_MEMORY, "report", "out of memory");
}
