/* report_data.c - see report_data.h. */
#include "measure/report_data.h"

#include "measure/results.h"
#include "measure/row.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *ane_text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

bool ane_row_is_conclusion(const json_t *row) {
    return *ane_text_of(row, "note") && !json_object_get(row, "device_ms") &&
           !json_object_get(row, "host_ms");
}

bool ane_row_is_of(const json_t *row, const char *benchmark) {
    return strcmp(ane_text_of(row, "benchmark"), benchmark) == 0;
}

bool ane_row_is_modelled(const json_t *row) {
    return json_is_true(json_object_get(row, "modelled"));
}

bool ane_row_is_good(const json_t *row) {
    return ane_row_is_ok(row);
}

static double number_in(const json_t *row, const char *part, const char *name) {
    const json_t *x = json_object_get(json_object_get(row, part), name);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

double ane_row_median(const json_t *row) {
    double device = number_in(row, "device_ms", "median");
    return isfinite(device) ? device : number_in(row, "host_ms", "median");
}

double ane_metric_of(const json_t *row, const char *name) {
    return number_in(row, "metrics", name);
}

double ane_config_of(const json_t *row, const char *name) {
    return number_in(row, "config", name);
}

/* ---- documents --------------------------------------------------------------------------------------------------- */

static void plain_label(const json_t *document, char label[ANE_CHART_NAME]) {
    const json_t *machine = json_object_get(document, "machine"),
                 *device = json_object_get(document, "device"),
                 *row = json_array_get(ane_results_rows(document), 0);
    const char *name = ane_text_of(machine, "label");
    if (!*name) name = ane_text_of(machine, "chip");
    if (!*name) name = ane_text_of(machine, "processor");
    if (!*name && ane_row_is_of(row, "run")) name = ane_text_of(row, "case");
    if (!*name) name = ane_text_of(device, "name");
    snprintf(label, ANE_CHART_NAME, "%.60s%s", *name ? name : "a machine without a name",
        json_is_true(json_object_get(device, "emulated")) ? " (modelled)" : "");
}

void ane_document_label(const ane_report *r, const json_t *document, char label[ANE_CHART_NAME]) {
    size_t i;
    json_t *other;
    char theirs[ANE_CHART_NAME];
    plain_label(document, label);
    json_array_foreach(r->own, i, other) {
        if (other == document) continue;
        plain_label(other, theirs);
        if (strcmp(label, theirs) != 0) continue;
        const char *file = ane_text_of(document, "file"), *slash = strrchr(file, '/');
        size_t used = strlen(label);
        snprintf(label + used, ANE_CHART_NAME - used, ", %.30s", slash ? slash + 1 : file);
        return;
    }
}

const json_t *ane_report_document(const ane_report *r, size_t i, bool *faint) {
    size_t own = json_array_size(r->own);
    *faint = i >= own;
    return *faint ? json_array_get(r->recorded, i - own) : json_array_get(r->own, i);
}

/* Machines with the same chip share a colour. */
static int chip_colour(const json_t *documents, size_t i) {
    const char *seen[64] = {NULL};
    int n = 0;
    for (size_t k = 0; k <= i; k++) {
        const char *chip = ane_text_of(json_object_get(json_array_get(documents, k), "machine"), "chip");
        int at = 0;
        while (at < n && strcmp(seen[at], chip) != 0) at++;
        if (k == i) return at;
        if (at == n && n < (int)(sizeof seen / sizeof *seen)) seen[n++] = chip;
    }
    return n;
}

int ane_report_colour(const ane_report *r, size_t i) {
    size_t own = json_array_size(r->own);
    return i < own ? (int)(i % ANE_CHART_COLOURS) : chip_colour(r->recorded, i - own) % ANE_CHART_COLOURS;
}

int ane_rows_of(const json_t *document, const char *benchmark) {
    size_t i;
    json_t *row;
    int n = 0;
    json_array_foreach(ane_results_rows(document), i, row) {
        n += ane_row_is_of(row, benchmark);
    }
    return n;
}

/* One's own documents; where there are none, the recorded ones. */
static const json_t *main_documents(const ane_report *r) {
    return json_array_size(r->own) > 0 ? r->own : r->recorded;
}

static bool is_shown(const ane_report *r, const char *benchmark) {
    size_t i;
    json_t *document;
    json_array_foreach(main_documents(r), i, document) {
        if (ane_rows_of(document, benchmark) > 0) return true;
    }
    return false;
}

/* ---- sections ---------------------------------------------------------------------------------------------------- */

const ane_report_section ane_report_sections[] = {
    {"peak", "Throughput",
        "Chains of 1x1 convolutions: the more work in one call, the nearer to the chip's rate.",
        ane_draw_throughput},
    {"sram-fine", "SRAM",
        "One convolution whose weights grow. Where they stop to fit in the chip's memory, the rate falls for "
        "good; "
        "a dip that larger weights climb out of again is no edge of capacity.",
        ane_draw_sram},
    {"sram", "SRAM, coarse", "The same in nine steps.", ane_draw_sram},
    {"dispatch", "Dispatch", "One convolution in one call: what a call costs, and what weights add.",
        ane_draw_dispatch},
    {"train", "Training step",
        "A whole step: forward, backward and optimizer. Of an emulated Neural Engine's step the device's "
        "part is modelled; the host's is measured, on the computer that it ran on.",
        ane_draw_training},
    {"run", "Loss", "Training runs, step by step.", ane_draw_loss},
    {"dynamic", "Weight updates", "Weights as inputs: how long new ones take to reach the device.",
        ane_draw_updates},
    {"pipeline", "Pipeline", "24 layers, long sequences, and a training step's traffic.",
        ane_draw_times_and_parts},
    {"single-layer", "One layer", "What each optimization of a single layer's step bought.",
        ane_draw_times_and_parts},
    {"int8", "int8 against fp16", "Quantized weights and activations.", NULL},
    {"quant", "Quantized weights", "fp16, int8, int4 and lookup tables.", NULL},
    {"attention", "Attention", "Fused and in pieces.", NULL},
    {"eval", "Evaluation", "One program, two in turn, many loaded, compiling beside.", NULL},
    {"paths", "Paths", "The framework's ways to an evaluation.", NULL},
    {"throughput", "Kernels in sequence", "Twelve kernels, with and without copies between them.", NULL},
    {"qos", "Quality of service", "Does it change how long a call takes?", NULL},
    {"generate", "Generation", "Prefill and decoding.", NULL},
    {"known-tests", "Known tests", "What the field's own tests said.", NULL},
    {"weight-reload", "Weight reload", "Weights overwritten on disk, and loaded again.", NULL},
    {"weights-buffer", "Weights buffer", "Other weights handed over with the request.", NULL},
    {"procedure-index", "Procedure index", "Which are accepted.", NULL},
    {"classes", "Classes", "Of the framework.", NULL},
    {"perf-stats", "Performance counters", "What they tell.", NULL},
    {NULL, NULL, NULL, NULL},
};

static const ane_report_section *section_of(const char *benchmark) {
    const ane_report_section *s = ane_report_sections;
    while (s->benchmark && strcmp(s->benchmark, benchmark) != 0) s++;
    return s->benchmark ? s : NULL;
}

const char *ane_report_title(const char *benchmark) {
    const ane_report_section *s = section_of(benchmark);
    return s ? s->title : benchmark;
}

void ane_report_each(
    const ane_report *r, void (*visit)(void *context, const ane_report_section *section), void *context) {
    json_t *seen = json_object(), *document, *row;
    size_t i, k;
    for (const ane_report_section *s = ane_report_sections; s->benchmark; s++)
        if (is_shown(r, s->benchmark)) visit(context, s);
    json_array_foreach(main_documents(r), i, document) {
        json_array_foreach(ane_results_rows(document), k, row) {
            const char *name = ane_text_of(row, "benchmark");
            if (section_of(name) || json_object_get(seen, name)) continue;
            json_object_set_new(seen, name, json_true());
            visit(context, &(ane_report_section){.benchmark = name, .title = name, .text = ""});
        }
    }
    json_decref(seen);
}

int ane_report_metrics(
    const ane_report *r, const char *benchmark, bool own_only, const char **names, int most) {
    bool faint;
    const json_t *document;
    json_t *row, *x;
    const char *key;
    size_t k;
    int n = 0;
    for (size_t i = 0; (document = ane_report_document(r, i, &faint)) && !(faint && own_only); i++)
        json_array_foreach(ane_results_rows(document), k, row) {
            if (!ane_row_is_of(row, benchmark) || ane_row_is_conclusion(row)) continue;
            json_object_foreach(json_object_get(row, "metrics"), key, x) {
                int at = 0;
                while (at < n && strcmp(names[at], key) != 0) at++;
                if (at == n && n < most) names[n++] = key;
            }
        }
    return n;
}
