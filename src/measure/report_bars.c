/* report_bars.c - the bars of the report: times of cases, training steps and their parts. */
#include "measure/recorded.h"
#include "measure/report_data.h"
#include "measure/results.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_BARS = 60 };

/* ---- times of cases ---------------------------------------------------------------------------------------------- */

static void add_time(ane_bars *b, const ane_report *r, size_t i, const json_t *row, bool alone) {
    bool faint;
    char label[ANE_CHART_NAME], machine[ANE_CHART_NAME];
    const json_t *document = ane_report_document(r, i, &faint);
    double ms = ane_row_median(row);
    if (b->n >= MOST_BARS || !ane_row_is_good(row) || !ane_can_draw(ms, true)) return;
    ane_document_label(r, document, machine);
    if (alone)
        snprintf(label, sizeof label, "%.90s", ane_text_of(row, "case"));
    else
        snprintf(label, sizeof label, "%.40s, %.50s", faint ? machine : ane_text_of(row, "case"),
            faint ? ane_text_of(row, "case") : machine);
    ane_bar *bar = ane_bars_add(b, label);
    if (!bar) return;
    bar->faint = faint;
    bar->modelled = ane_row_is_modelled(row);
    bar->suspect = json_object_get(row, "suspect") != NULL;
    bar->colour = ane_report_colour(r, i);
    ane_bar_part_add(bar, "", ms);
}

/* Recorded rows of the same case, behind one's own. */
static void add_recorded(ane_bars *b, const ane_report *r, const json_t *row) {
    size_t own = json_array_size(r->own), k;
    json_t *document;
    json_array_foreach(r->recorded, k, document) {
        const json_t *other = ane_recorded_find(document, row);
        if (other) add_time(b, r, own + k, other, false);
    }
}

static int documents_with(const ane_report *r, const char *benchmark) {
    bool faint;
    const json_t *document;
    int n = 0;
    for (size_t i = 0; (document = ane_report_document(r, i, &faint)); i++)
        n += ane_rows_of(document, benchmark) > 0;
    return n;
}

static bool own_has(const ane_report *r, const char *benchmark) {
    size_t i;
    json_t *document;
    json_array_foreach(r->own, i, document) {
        if (ane_rows_of(document, benchmark) > 0) return true;
    }
    return false;
}

void ane_draw_times(ane_page *p, const ane_report *r, const char *benchmark) {
    bool faint, mine = own_has(r, benchmark), alone = documents_with(r, benchmark) < 2;
    const json_t *document;
    json_t *row;
    size_t k;
    ane_bars b = {.summary = "Milliseconds of each case as bars", .unit = "ms"};
    for (size_t i = 0; (document = ane_report_document(r, i, &faint)); i++) {
        if (faint && mine) break;
        json_array_foreach(ane_results_rows(document), k, row) {
            if (!ane_row_is_of(row, benchmark)) continue;
            add_time(&b, r, i, row, alone);
            if (!faint) add_recorded(&b, r, row);
        }
    }
    if (b.n > 0) ane_bars_draw(p, &b);
    ane_bars_free(&b);
}

/* ---- training steps ---------------------------------------------------------------------------------------------- */

/* What the field's training steps are of: only steps of one model can be compared. */
static const char MODEL[] = "stories110m";

static bool is_of_model(const json_t *row) {
    return strcmp(ane_text_of(json_object_get(row, "config"), "model"), MODEL) == 0;
}

/* The whole step where the row tells it: device_ms of an emulated one is the device's part alone. */
static double step_ms(const json_t *row, bool faint) {
    double told = ane_metric_of(row, "step_ms");
    if (told > 0) return told;
    double host = json_number_value(json_object_get(json_object_get(row, "host_ms"), "median"));
    return faint || !ane_row_is_modelled(row) ? (host > 0 ? host : NAN) : ane_row_median(row);
}

/* The case without the model that the section is about: "static-ane-stories110m" -> "static-ane". */
static void step_name(const json_t *row, char name[ANE_CHART_NAME]) {
    const char *all = ane_text_of(row, "case"), *at = strstr(all, "-stories110m");
    snprintf(name, ANE_CHART_NAME, "%.*s%s", at ? (int)(at - all) : 80, all,
        at ? at + strlen("-stories110m") : "");
}

static ane_bar *add_step(ane_bars *b, const ane_report *r, size_t i, const json_t *row) {
    bool faint;
    char label[ANE_CHART_NAME], machine[ANE_CHART_NAME], name[ANE_CHART_NAME];
    ane_document_label(r, ane_report_document(r, i, &faint), machine);
    step_name(row, name);
    bool same = strcmp(machine, name) == 0;
    snprintf(label, sizeof label, "%.45s%s%.45s", faint ? machine : name, same ? "" : ", ",
        same    ? ""
        : faint ? name
                : machine);
    ane_bar *bar = b->n < MOST_BARS ? ane_bars_add(b, label) : NULL;
    if (!bar) return NULL;
    bar->faint = faint;
    bar->modelled = ane_row_is_modelled(row);
    bar->suspect = json_object_get(row, "suspect") != NULL;
    bar->colour = ane_report_colour(r, i);
    return bar;
}

/* What the field calls the parts of a step, in our words; others keep their names. */
static const char *part_name(const char *theirs) {
    static const char *const names[][2] = {{"ane", ANE_MODELLED_PART}, {"io", "copying"}, {"cls", "head"},
        {"rms", "norms"}, {"cblas_wait", "waiting"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], theirs) == 0) return names[i][1];
    return theirs;
}

static void add_parts(ane_bar *bar, const json_t *row) {
    json_t *parts = json_object_get(row, "parts"), *x;
    const char *name;
    json_object_foreach(parts, name, x) {
        ane_bar_part_add(bar, part_name(name), json_number_value(x));
    }
}

/* Of steps of the field's model, recorded ones too, or of all others that are one's own. */
static void gather_steps(
    ane_bars *whole, ane_bars *parts, const ane_report *r, const char *benchmark, bool of_model) {
    bool faint;
    const json_t *document;
    json_t *row;
    size_t k;
    for (size_t i = 0; (document = ane_report_document(r, i, &faint)); i++)
        json_array_foreach(ane_results_rows(document), k, row) {
            if (!ane_row_is_of(row, benchmark) || !ane_row_is_good(row) || is_of_model(row) != of_model ||
                (faint && !of_model))
                continue;
            double ms = step_ms(row, faint);
            ane_bar *bar = ane_can_draw(ms, true) ? add_step(whole, r, i, row) : NULL;
            if (bar) ane_bar_part_add(bar, "", ms);
            if (json_object_size(json_object_get(row, "parts")) == 0) continue;
            bar = add_step(parts, r, i, row);
            if (!bar) continue;
            bar->faint = false; /* parts are told apart by colour */
            add_parts(bar, row);
        }
}

static bool any_own(const ane_bars *b) {
    for (int i = 0; i < b->n; i++)
        if (!b->bars[i].faint) return true;
    return false;
}

static void draw_steps(ane_page *p, const ane_report *r, const char *benchmark, bool of_model) {
    ane_bars whole = {.summary = "Milliseconds of one training step as bars",
                 .unit = of_model ? "ms a step of Stories110M" : "ms a step"},
             parts = {.summary = "The parts of a training step as stacked bars, in milliseconds",
                 .unit = "ms a step, by part",
                 .stacked = true};
    gather_steps(&whole, &parts, r, benchmark, of_model);
    if (any_own(&whole) || json_array_size(r->own) == 0) {
        if (whole.n > 0 && strcmp(benchmark, "run") != 0) ane_bars_draw(p, &whole);
        if (parts.n > 0) ane_bars_draw(p, &parts);
    }
    ane_bars_free(&whole);
    ane_bars_free(&parts);
}

void ane_draw_training(ane_page *p, const ane_report *r, const char *benchmark) {
    draw_steps(p, r, benchmark, true);
    draw_steps(p, r, benchmark, false);
}

void ane_draw_times_and_parts(ane_page *p, const ane_report *r, const char *benchmark) {
    ane_bars whole = {.summary = ""},
             parts = {.summary = "Where the time goes, as stacked bars, in milliseconds",
                 .unit = "ms, by part",
                 .stacked = true};
    ane_draw_times(p, r, benchmark);
    gather_steps(&whole, &parts, r, benchmark, false);
    if (parts.n > 0) ane_bars_draw(p, &parts);
    ane_bars_free(&whole);
    ane_bars_free(&parts);
}
