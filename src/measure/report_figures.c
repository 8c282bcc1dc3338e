/* report_figures.c - the curves of the report, out of rows. */
#include "measure/report_data.h"
#include "measure/results.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a row stands in a plot; false when it does not. `group` tells lines of one document apart. */
typedef bool place(const json_t *row, double *x, double *y, double *group);

static int by_x(const void *a, const void *b) {
    double x = ((const ane_chart_point *)a)->x, y = ((const ane_chart_point *)b)->x;
    return (x > y) - (x < y);
}

static void add_row(
    ane_chart *c, ane_chart_curve *curve, const json_t *row, double x, double y, const char *name) {
    char tip[ANE_CHART_NAME], number[ANE_NUMBER_TEXT];
    snprintf(tip, sizeof tip, "%.40s, %.30s: %s%s", name, ane_text_of(row, "case"),
        ane_number_text(y, number), json_object_get(row, "suspect") ? " (suspect)" : "");
    ane_chart_point_add(c, curve, x, y, tip);
}

/* A curve with suspect points says so in its name. */
static void question(ane_chart_curve *curve) {
    size_t n = strlen(curve->name);
    if (n + 3 < sizeof curve->name && (n < 2 || strcmp(curve->name + n - 2, " ?") != 0))
        strcat(curve->name, " ?");
}

enum { MOST_GROUPS = 12 };
static const double LOW = 0.1; /* of the highest */

/* One curve for each group of a document's rows. */
static void add_document(ane_chart *c, const ane_report *r, size_t i, const char *benchmark, place *at) {
    bool faint;
    const json_t *document = ane_report_document(r, i, &faint);
    double groups[MOST_GROUPS] = {0};
    int n = 0, first = c->n;
    char label[ANE_CHART_NAME];
    size_t k;
    json_t *row;
    ane_document_label(r, document, label);
    json_array_foreach(ane_results_rows(document), k, row) {
        double x, y, group = 0;
        if (!ane_row_is_of(row, benchmark) || !ane_row_is_good(row) || !at(row, &x, &y, &group)) continue;
        int g = 0;
        while (g < n && groups[g] != group) g++;
        if (g == MOST_GROUPS) continue;
        if (g == n) {
            ane_chart_curve *curve = ane_chart_add(c, label, ane_report_colour(r, i));
            if (!curve) return;
            curve->faint = faint;
            groups[n++] = group;
        }
        if (ane_row_is_modelled(row)) c->curves[first + g].modelled = true;
        add_row(c, &c->curves[first + g], row, x, y, label);
        if (json_object_get(row, "suspect")) question(&c->curves[first + g]);
    }
    for (int g = first; g < c->n; g++)
        if (c->curves[g].n > 0)
            qsort(c->curves[g].points, (size_t)c->curves[g].n, sizeof *c->curves[g].points, by_x);
}

static void add_all(ane_chart *c, const ane_report *r, const char *benchmark, place *at) {
    bool faint;
    for (size_t i = 0; ane_report_document(r, i, &faint); i++) add_document(c, r, i, benchmark, at);
}

/* Where one's own curves lie at the bottom of all others, the axis of y is logarithmic. */
static void choose_axis(ane_chart *c) {
    double own = 0, all = 0, least = INFINITY;
    for (int i = 0; i < c->n; i++)
        for (int k = 0; k < c->curves[i].n; k++) {
            double y = c->curves[i].points[k].y;
            all = fmax(all, y);
            least = fmin(least, y);
            if (!c->curves[i].faint) own = fmax(own, y);
        }
    c->y.logarithmic = own > 0 && own < LOW * all && ane_can_draw(least, true);
}

static void finish(ane_page *p, ane_chart *c) {
    if (ane_chart_tidy(c) > 0) ane_chart_draw(p, c);
    ane_chart_free(c);
}

/* ---- throughput -------------------------------------------------------------------------------------------------- */

static bool by_work(const json_t *row, double *x, double *y, double *group) {
    double channels = ane_config_of(row, "channels"), positions = ane_config_of(row, "positions");
    *x = ane_metric_of(row, "gflop");
    *y = ane_metric_of(row, "tflops");
    *group = isfinite(channels) ? channels + (positions > 64 ? 1e6 : 0) : 0;
    return isfinite(*x) && isfinite(*y);
}

void ane_draw_throughput(ane_page *p, const ane_report *r, const char *benchmark) {
    ane_chart c = {
        .summary =
            "Throughput in TFLOPS against the work of one call in GFLOP; a line for each number of channels",
        .x = {"GFLOP in one call", true},
        .y = {"TFLOPS", false}};
    add_all(&c, r, benchmark, by_work);
    choose_axis(&c);
    finish(p, &c);
}

/* ---- SRAM -------------------------------------------------------------------------------------------------------- */

static bool by_weights(const json_t *row, double *x, double *y, double *group) {
    (void)group;
    *x = ane_metric_of(row, "weights_mb");
    *y = ane_metric_of(row, "tflops");
    return isfinite(*x) && isfinite(*y);
}

/* The estimate that one's own first document ends with, else the first recorded one. */
static void put_band(ane_chart *c, const ane_report *r, const char *benchmark) {
    bool faint;
    const json_t *document;
    for (size_t i = 0; (document = ane_report_document(r, i, &faint)); i++) {
        const json_t *row = ane_results_find(document, benchmark, "edge");
        double middle = ane_metric_of(row, "edge_mb"), half = ane_metric_of(row, "uncertainty_mb");
        char number[2][ANE_NUMBER_TEXT];
        if (!row || (faint && json_array_size(r->own) > 0) || !isfinite(middle) || !isfinite(half)) continue;
        c->band_low = middle - half;
        c->band_high = middle + half;
        snprintf(c->band_name, sizeof c->band_name, "%s%s to %s MB",
            faint ? "published reading (suspect): " : "edge: ", ane_number_text(c->band_low, number[0]),
            ane_number_text(c->band_high, number[1]));
        return;
    }
}

void ane_draw_sram(ane_page *p, const ane_report *r, const char *benchmark) {
    ane_chart c = {.summary = "Throughput in TFLOPS against the size of the weights in MB",
        .x = {"weights, MB", true},
        .y = {"TFLOPS", false}};
    put_band(&c, r, benchmark);
    add_all(&c, r, benchmark, by_weights);
    choose_axis(&c);
    finish(p, &c);
}

/* ---- dispatch, updates ------------------------------------------------------------------------------------------- */

static bool by_channels(const json_t *row, double *x, double *y, double *group) {
    *x = ane_config_of(row, "channels");
    *y = ane_row_median(row);
    *group = strcmp(ane_text_of(json_object_get(row, "config"), "source"), "text") == 0;
    return isfinite(*x) && isfinite(*y);
}

void ane_draw_dispatch(ane_page *p, const ane_report *r, const char *benchmark) {
    ane_chart c = {.summary = "Milliseconds of one call against the number of channels of its convolution",
        .x = {"channels", true},
        .y = {"ms a call", true}};
    add_all(&c, r, benchmark, by_channels);
    finish(p, &c);
}

static bool by_dim(const json_t *row, double *x, double *y, double *group) {
    const char *mode = ane_text_of(json_object_get(row, "config"), "mode"), *name = ane_text_of(row, "case");
    *x = ane_config_of(row, "dim");
    *y = ane_metric_of(row, "update_ms");
    *group = strstr(mode, "input") != NULL || strstr(name, "input") != NULL;
    return isfinite(*x) && isfinite(*y);
}

void ane_draw_updates(ane_page *p, const ane_report *r, const char *benchmark) {
    ane_chart c = {
        .summary =
            "Milliseconds until new weights are with the device, against the dimension of a square matrix",
        .x = {"dimension", true},
        .y = {"update, ms", true}};
    add_all(&c, r, benchmark, by_dim);
    if (ane_chart_tidy(&c) > 0)
        ane_chart_draw(p, &c);
    else
        ane_draw_times(p, r, benchmark);
    ane_chart_free(&c);
}

/* ---- loss -------------------------------------------------------------------------------------------------------- */

enum { MOST_POINTS = 400 };

/* At most MOST_POINTS, each the mean of its neighbours. */
static void add_series(
    ane_chart *c, ane_chart_curve *curve, const json_t *x, const json_t *y, const char *name) {
    size_t n = json_array_size(y), step = n / MOST_POINTS + 1;
    for (size_t i = 0; i < n; i += step) {
        double sum = 0, last = 0;
        int used = 0;
        for (size_t k = i; k < i + step && k < n; k++) {
            const json_t *value = json_array_get(y, k), *at = json_array_get(x, k);
            if (!json_is_number(value)) continue;
            sum += json_number_value(value);
            last = at ? json_number_value(at) : (double)k + 1;
            used++;
        }
        char tip[ANE_CHART_NAME], number[ANE_NUMBER_TEXT];
        if (!used) continue;
        snprintf(tip, sizeof tip, "%.50s, step %.0f: %s", name, last, ane_number_text(sum / used, number));
        ane_chart_point_add(c, curve, last, sum / used, tip);
    }
}

static void add_losses(ane_chart *c, const ane_report *r, size_t i) {
    bool faint;
    const json_t *document = ane_report_document(r, i, &faint);
    json_t *row;
    size_t k;
    json_array_foreach(ane_results_rows(document), k, row) {
        const json_t *series = json_object_get(row, "series");
        if (!ane_row_is_of(row, "run") || !json_object_get(series, "loss")) continue;
        const char *name = ane_text_of(row, "case");
        char held_out[ANE_CHART_NAME];
        int colour = ane_report_colour(r, i) + (int)k;
        ane_chart_curve *curve = ane_chart_add(c, name, colour);
        if (!curve) return;
        curve->dots = false;
        add_series(c, curve, json_object_get(series, "step"), json_object_get(series, "loss"), name);
        snprintf(held_out, sizeof held_out, "%.70s, held out", name);
        curve = ane_chart_add(c, held_out, colour);
        if (!curve) return;
        curve->line = false;
        add_series(c, curve, json_object_get(series, "validation_step"),
            json_object_get(series, "validation_loss"), held_out);
    }
}

void ane_draw_loss(ane_page *p, const ane_report *r, const char *benchmark) {
    (void)benchmark;
    bool faint;
    ane_chart c = {.summary = "Loss in nats per token against the training step",
        .x = {"step", false},
        .y = {"loss, nats a token", false}};
    for (size_t i = 0; ane_report_document(r, i, &faint); i++) add_losses(&c, r, i);
    finish(p, &c);
    ane_draw_training(p, r, "run");
}
