/* report_tables.c - the numbers under the plots. */
#include "measure/report_data.h"
#include "measure/results.h"

#include <math.h>
#include <string.h>

enum { MOST_METRICS = 10, FEW = 12 /* rows that are shown without asking */ };

static void put_number(ane_page *p, double x) {
    char text[ANE_NUMBER_TEXT];
    ane_page_put(p, "<td class=\"n\">");
    if (isfinite(x)) ane_page_put(p, ane_number_text(x, text));
    ane_page_put(p, "</td>");
}

static double time_of(const json_t *row, const char *which, const char *name) {
    const json_t *x = json_object_get(json_object_get(row, which), name);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

static void put_cell(ane_page *p, const char *text) {
    ane_page_put(p, "<td>");
    ane_page_escaped(p, text);
    ane_page_put(p, "</td>");
}

static void put_machine(ane_page *p, const char *name) {
    ane_page_put(p, "<td class=\"machine-name\">");
    ane_page_escaped(p, name);
    ane_page_put(p, "</td>");
}

/* Whether its number can be believed, and why not. */
static void put_standing(ane_page *p, const json_t *row) {
    const json_t *verified = json_object_get(row, "verified");
    const char *status = ane_text_of(row, "status"), *error = ane_text_of(row, "error"),
               *suspect = ane_text_of(row, "suspect"), *note = ane_text_of(row, "note");
    const char *texts[] = {error, suspect, note, ane_text_of(row, "answer")};
    bool says = false;
    for (int i = 0; i < 4; i++) says = says || *texts[i];
    ane_page_put(p, says ? "<td class=\"said\">" : "<td>");
    if (strcmp(status, "ok") != 0) {
        ane_page_put(p, "<span class=\"tag bad\">");
        ane_page_escaped(p, status);
        ane_page_put(p, "</span> ");
    }
    if (*suspect) ane_page_put(p, "<span class=\"tag bad\">suspect</span> ");
    if (verified)
        ane_page_put(p, json_is_true(json_object_get(verified, "ok"))
                            ? "<span class=\"tag good\">verified</span> "
                            : "<span class=\"tag bad\">wrong</span> ");
    for (int i = 0; i < 4; i++) {
        ane_page_escaped(p, texts[i]);
        if (*texts[i]) ane_page_put(p, " ");
    }
    ane_page_put(p, "</td>");
}

static void put_row(
    ane_page *p, const char *machine, const json_t *row, const char **metrics, int n, bool faint) {
    ane_page_put(p, "<tr>");
    if (machine) put_machine(p, machine);
    ane_page_put(p, "<th scope=\"row\">");
    ane_page_escaped(p, ane_text_of(row, "case"));
    if (ane_row_is_modelled(row)) ane_page_put(p, " <span class=\"tag modelled\">modelled</span>");
    ane_page_put(p, "</th>");
    put_number(p, time_of(row, "device_ms", "median"));
    if (!faint) put_number(p, 100 * time_of(row, "device_ms", "ci"));
    put_number(p, time_of(row, "host_ms", "median"));
    for (int i = 0; i < n; i++) put_number(p, ane_metric_of(row, metrics[i]));
    if (faint) {
        ane_page_put(p, "<td class=\"source\">");
        ane_page_escaped(p, ane_text_of(row, "source"));
        ane_page_put(p, "</td>");
    }
    put_standing(p, row);
    ane_page_put(p, "</tr>\n");
}

/* "weights_mb" as two words: a narrow column may break between them. */
static void put_words(ane_page *p, const char *name) {
    char words[64];
    size_t i = 0;
    for (; name[i] && i + 1 < sizeof words; i++) words[i] = name[i] == '_' ? ' ' : name[i];
    words[i] = 0;
    ane_page_escaped(p, words);
}

static void put_head(ane_page *p, const char *title, bool machine, const char **metrics, int n, bool faint) {
    ane_page_put(p, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"");
    ane_page_escapedf(p, "Table: %s%s", title, faint ? ", recorded" : "");
    ane_page_put(p, "\"><table><thead><tr>");
    if (machine) ane_page_put(p, "<th scope=\"col\">machine</th>");
    ane_page_put(p, "<th scope=\"col\">case</th><th scope=\"col\" class=\"n\">device ms</th>");
    if (!faint) ane_page_put(p, "<th scope=\"col\" class=\"n\">&#177; %</th>");
    ane_page_put(p, "<th scope=\"col\" class=\"n\">call ms</th>");
    for (int i = 0; i < n; i++) {
        ane_page_put(p, "<th scope=\"col\" class=\"n\">");
        put_words(p, metrics[i]);
        ane_page_put(p, "</th>");
    }
    if (faint) ane_page_put(p, "<th scope=\"col\">source</th>");
    ane_page_put(p, "<th scope=\"col\">standing</th></tr></thead><tbody>\n");
}

static int own_rows(const ane_report *r, const char *benchmark) {
    size_t i;
    json_t *document;
    int n = 0;
    json_array_foreach(r->own, i, document) {
        n += ane_rows_of(document, benchmark);
    }
    return n;
}

static int recorded_rows(const ane_report *r, const char *benchmark) {
    size_t i;
    json_t *document;
    int n = 0;
    json_array_foreach(r->recorded, i, document) {
        n += ane_rows_of(document, benchmark);
    }
    return n;
}

/* The rows of one's own documents, or of the recorded ones. */
static void put_rows(ane_page *p, const ane_report *r, const char *benchmark, bool recorded) {
    const char *metrics[MOST_METRICS];
    bool faint, machine = recorded || json_array_size(r->own) > 1;
    const json_t *document;
    const ane_report only = {.own = recorded ? r->recorded : r->own};
    int n = ane_report_metrics(&only, benchmark, true, metrics, MOST_METRICS);
    json_t *row;
    size_t k;
    put_head(p, ane_report_title(benchmark), machine, metrics, n, recorded);
    for (size_t i = 0; (document = ane_report_document(r, i, &faint)); i++) {
        char label[ANE_CHART_NAME];
        if (faint != recorded) continue;
        ane_document_label(r, document, label);
        json_array_foreach(ane_results_rows(document), k, row) {
            if (ane_row_is_of(row, benchmark) && !ane_row_is_conclusion(row))
                put_row(p, machine ? label : NULL, row, metrics, n, recorded);
        }
    }
    ane_page_put(p, "</tbody></table></div>\n");
}

/* What one's own rows say together. */
static void put_conclusions(ane_page *p, const ane_report *r, const char *benchmark) {
    const bool several = json_array_size(r->own) > 1;
    json_t *document, *row;
    size_t i, k;
    json_array_foreach(r->own, i, document) {
        char label[ANE_CHART_NAME];
        ane_document_label(r, document, label);
        json_array_foreach(ane_results_rows(document), k, row) {
            if (!ane_row_is_of(row, benchmark) || !ane_row_is_conclusion(row)) continue;
            ane_page_put(p, "<p class=\"conclusion\"><b>");
            ane_page_escapedf(
                p, "%s%s%s: ", several ? label : "", several ? ", " : "", ane_text_of(row, "case"));
            ane_page_put(p, "</b>");
            ane_page_escaped(p, ane_text_of(row, "note"));
            ane_page_put(p, "</p>\n");
        }
    }
}

void ane_put_table(ane_page *p, const ane_report *r, const char *benchmark) {
    int own = own_rows(r, benchmark), recorded = recorded_rows(r, benchmark);
    put_conclusions(p, r, benchmark);
    if (own) put_rows(p, r, benchmark, false);
    if (!recorded) return;
    ane_page_printf(p, "<details%s><summary>Recorded by others: %d %s</summary>\n",
        own || recorded > FEW ? "" : " open=\"open\"", recorded, recorded == 1 ? "row" : "rows");
    put_rows(p, r, benchmark, true);
    ane_page_put(p, "</details>\n");
}

/* ---- probes ------------------------------------------------------------------------------------------------------ */

static void put_probe(ane_page *p, const json_t *probe, const char *machine) {
    const json_t *equal = json_object_get(probe, "equal");
    ane_page_put(p, "<tr>");
    if (machine) put_cell(p, machine);
    ane_page_put(p, "<th scope=\"row\">");
    ane_page_escaped(p, ane_text_of(probe, "probe"));
    ane_page_put(p, "</th>");
    put_cell(p, ane_text_of(probe, "question"));
    put_cell(p, strcmp(ane_text_of(probe, "status"), "ok") == 0 ? ane_text_of(probe, "answer")
                                                                : ane_text_of(probe, "error"));
    put_cell(p, ane_text_of(probe, "recorded"));
    ane_page_put(p, json_is_true(equal)    ? "<td><span class=\"tag good\">equal</span></td>"
                    : json_is_false(equal) ? "<td><span class=\"tag bad\">differs</span></td>"
                                           : "<td><span class=\"tag\">not recorded</span></td>");
    ane_page_put(p, "</tr>\n");
}

void ane_put_probes(ane_page *p, const ane_report *r) {
    size_t i, k;
    json_t *document, *probe;
    bool many = json_array_size(r->own) > 1;
    ane_page_printf(p,
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Table: "
        "probes\"><table><thead><tr>%s<th "
        "scope=\"col\">probe</th><th scope=\"col\">question</th><th scope=\"col\">answer</th><th "
        "scope=\"col\">recorded</th><th scope=\"col\"></th></tr></thead><tbody>\n",
        many ? "<th scope=\"col\">machine</th>" : "");
    json_array_foreach(r->own, i, document) {
        char label[ANE_CHART_NAME];
        ane_document_label(r, document, label);
        json_array_foreach(json_object_get(document, "probes"), k, probe) {
            put_probe(p, probe, many ? label : NULL);
        }
    }
    ane_page_put(p, "</tbody></table></div>\n");
}
