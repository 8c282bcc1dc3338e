/* report_roofline.c - every convolution that was measured, against the work for each byte that it moves. */
#include "device/ane/chips.h"
#include "measure/report_data.h"
#include "measure/results.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const used[] = {"peak", "dispatch", "sram", "sram-fine"};
enum { N_USED = sizeof used / sizeof *used };

/* FLOP for each byte, and FLOP/s: a chain of `depth` convolutions reads its weights, its input and writes its output once. */
static bool place_row(const json_t *document, const json_t *row, double *intensity, double *rate) {
    double channels = ane_config_of(row, "channels"), positions = ane_config_of(row, "positions"),
           depth = ane_config_of(row, "depth"), ms = ane_row_median(row);
    const char *precision = ane_text_of(json_object_get(document, "device"), "precision");
    double bytes = strcmp(precision, "fp32") == 0 ? 4 : 2;
    if (!isfinite(depth)) depth = 1;
    if (!(channels > 0) || !(positions > 0) || !(ms > 0) || !ane_row_is_good(row)) return false;
    double flop = 2 * channels * channels * positions * depth;
    *intensity = flop / (bytes * (channels * channels * depth + 2 * channels * positions));
    *rate = flop / ms * 1e-9; /* TFLOPS */
    return true;
}

static int kind_of(const json_t *row) {
    for (int k = 0; k < N_USED; k++)
        if (ane_row_is_of(row, used[k])) return k;
    return -1;
}

typedef struct range {
    double low, high, best; /* intensity, and TFLOPS */
} range;

static range add_dots(ane_chart *c, const ane_report *r, size_t i, const char *label) {
    bool faint;
    const json_t *document = ane_report_document(r, i, &faint);
    range found = {INFINITY, 0, 0};
    ane_chart_curve *curve = ane_chart_add(c, label, ane_report_colour(r, i));
    json_t *row;
    size_t k;
    if (!curve) return found;
    curve->faint = faint;
    curve->line = false;
    json_array_foreach(ane_results_rows(document), k, row) {
        double x, y;
        char tip[ANE_CHART_NAME], number[ANE_NUMBER_TEXT];
        int kind = kind_of(row);
        if (kind < 0 || !place_row(document, row, &x, &y)) continue;
        snprintf(tip, sizeof tip, "%.40s, %s %.24s: %s TFLOPS", label, used[kind], ane_text_of(row, "case"),
            ane_number_text(y, number));
        ane_chart_point_add(c, curve, x, y, tip);
        if (ane_row_is_modelled(row)) curve->modelled = true;
        found.low = fmin(found.low, x);
        found.high = fmax(found.high, x);
        found.best = fmax(found.best, y);
    }
    return found;
}

/* The chip's roof where its bandwidth and peak are known: min(peak, bandwidth * intensity). */
static void add_roof(ane_chart *c, const ane_report *r, size_t i, const char *label, range dots) {
    bool faint;
    const json_t *document = ane_report_document(r, i, &faint);
    char name[ANE_CHART_NAME];
    ane_chip chip;
    if (faint || !(dots.high > dots.low) ||
        !ane_chip_find(&chip, ane_text_of(json_object_get(document, "machine"), "chip")))
        return;
    double peak = chip.gflops * 1e-3, slope = chip.bandwidth_gbs * 1e-3; /* TFLOPS; TFLOPS for FLOP/byte */
    if (!(peak > 0) || !(slope > 0)) return;
    snprintf(name, sizeof name, "roof of %.60s", label);
    ane_chart_curve *curve = ane_chart_add(c, name, ane_report_colour(r, i));
    if (!curve) return;
    curve->dots = false;
    curve->modelled = json_is_true(json_object_get(json_object_get(document, "device"), "emulated"));
    double knee = peak / slope;
    ane_chart_point_add(c, curve, fmin(dots.low, knee), fmin(dots.low, knee) * slope, name);
    ane_chart_point_add(c, curve, knee, peak, name);
    ane_chart_point_add(c, curve, fmax(dots.high, knee), peak, name);
}

void ane_draw_roofline(ane_page *p, const ane_report *r) {
    bool faint;
    const json_t *document;
    ane_chart c = {
        .summary = "Roofline: TFLOPS against the FLOP done for each byte of weights and activations moved",
        .x = {"FLOP for each byte", true},
        .y = {"TFLOPS", true}};
    for (size_t i = 0; (document = ane_report_document(r, i, &faint)); i++) {
        char label[ANE_CHART_NAME];
        ane_document_label(r, document, label);
        const range dots = add_dots(&c, r, i, label);
        add_roof(&c, r, i, label, dots);
    }
    if (ane_chart_tidy(&c) > 0) ane_chart_draw(p, &c);
    ane_chart_free(&c);
}
