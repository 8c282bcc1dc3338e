/* bench_quant.c - int8: chains with int8 weights and activations against fp16 (ane_int8_bench); quant: how weights are stored
 * (quant_probe). Both with what it costs in accuracy, which the originals do not look at. */
#include "measure/harness.h"
#include "measure/programs.h"
#include "measure/results.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is(const char *a, const char *b) {
    return strcmp(a, b) == 0;
}

/* The time of this benchmark's fp16 row over that of `row`: how much faster it is. NaN when that row is not there. */
static double faster_than_fp16(ane_bench *b, const json_t *row, const char *fp16) {
    const json_t *other =
        ane_results_find(b->results, json_string_value(json_object_get(row, "benchmark")), fp16);
    const json_t *theirs = json_object_get(json_object_get(other, "device_ms"), "median");
    const json_t *ours = json_object_get(json_object_get(row, "device_ms"), "median");
    return theirs && ours ? json_number_value(theirs) / json_number_value(ours) : NAN;
}

/* ---- int8 -------------------------------------------------------------------------------------------------------- */

/* Positions on which accuracy is looked at: it does not depend on their number, and deep chains take long. */
enum { ACCURACY_POSITIONS = 32 };
/* A rounding that falls the other way moves an activation by a whole step of 1 / 32: implementations differ by that. */
static const double INT8_TOLERANCE = 0.1, INT8_SPEEDUP = 2;

typedef struct chain_shape {
    int channels, side, depth;
    bool quick;
} chain_shape;
static const chain_shape chains[] = {{512, 64, 128, false}, {512, 64, 64, false}, {256, 64, 256, false},
    {256, 64, 128, false}, {384, 64, 128, false}, {128, 16, 8, true}};

static void int8_cases(ane_bench *b, json_t *list) {
    static const char *const modes[] = {"fp16", "w8a8"};
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++)
        for (int k = 0; k < 2; k++) {
            const chain_shape *c = &chains[i];
            if (c->quick != b->options.quick) continue;
            ane_case_add(list,
                json_pack("{s:i, s:i, s:i, s:s}", "channels", c->channels, "side", c->side, "depth", c->depth,
                    "mode", modes[k]),
                "%dx%dx%d-%s", c->channels, c->side, c->depth, modes[k]);
        }
}

static ane_chain chain_of(ane_bench *b, const json_t *row) {
    bool quantized = is(ane_row_text(row, "mode"), "w8a8");
    return (ane_chain){.channels = ane_row_int(row, "channels"),
        .height = ane_row_int(row, "side"),
        .width = ane_row_int(row, "side"),
        .depth = ane_row_int(row, "depth"),
        .dtype = b->capabilities->activation_dtype,
        .weights = quantized ? "int8" : "fp16",
        .quantized = quantized};
}

/* The same chain on few positions, here in int8 and as the reference without. */
static bool accuracy(ane_bench *b, ane_chain c, json_t *row, ane_error *e) {
    const ane_trial_options o = {.tolerance = INT8_TOLERANCE, .speedup = INT8_SPEEDUP};
    c.height = 1;
    c.width = ACCURACY_POSITIONS;
    mil_program *quantized = ane_program_chain(&c, e);
    c.quantized = false;
    c.weights = "fp16";
    mil_program *exact = quantized ? ane_program_chain(&c, e) : NULL;
    ane_trial *t = exact ? ane_trial_new(b, quantized, &o, e) : NULL;
    double error = NAN;
    bool ok = t && ane_trial_refresh(t, 1, e) && ane_trial_error_against(t, exact, &error, e);
    if (ok) ane_row_metric(row, "accuracy_error", error);
    ane_trial_free(t);
    mil_program_free(exact);
    mil_program_free(quantized);
    return ok;
}

static bool int8_run(ane_bench *b, json_t *row, ane_error *e) {
    const ane_chain c = chain_of(b, row);
    const ane_trial_options o = {
        .tolerance = c.quantized ? INT8_TOLERANCE : 0, .speedup = c.quantized ? INT8_SPEEDUP : 0};
    mil_program *p = ane_program_chain(&c, e);
    bool ok = p && ane_bench_program(b, p, &o, row, e);
    mil_program_free(p);
    if (!ok || !c.quantized) return ok;
    char fp16[96];
    snprintf(fp16, sizeof fp16, "%dx%dx%d-fp16", (int)c.channels, (int)c.height, (int)c.depth);
    ane_row_metric(row, "speedup", faster_than_fp16(b, row, fp16));
    return accuracy(b, c, row, e);
}

const ane_benchmark ane_bench_int8 = {
    .info = {"int8", "chains with int8 weights and activations against fp16, with what it costs in accuracy",
        "ane_int8_bench"},
    .cases = int8_cases,
    .run = int8_run,
};

/* ---- quant ------------------------------------------------------------------------------------------------------- */

enum { POSITIONS = 64 };
typedef struct shape {
    int in, out;
    bool quick;
} shape;
static const shape shapes[] = {{768, 768, false}, {768, 2048, false}, {2048, 768, false}, {1024, 1024, false},
    {2048, 2048, false}, {256, 256, true}};
static const struct {
    const char *name;
    double bits; /* an element takes, without scales */
} modes[] = {{"fp16", 16}, {"int8", 8}, {"int4", 4}, {"int4-block", 4}, {"lut4", 4}};
enum { N_MODES = sizeof modes / sizeof *modes };

static void quant_cases(ane_bench *b, json_t *list) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int k = 0; k < N_MODES; k++) {
            const shape *s = &shapes[i];
            if (s->quick != b->options.quick) continue;
            ane_case_add(list,
                json_pack("{s:i, s:i, s:i, s:s, s:f}", "in", s->in, "out", s->out, "positions", POSITIONS,
                    "mode", modes[k].name, "bits", modes[k].bits),
                "%dx%d-%s", s->in, s->out, modes[k].name);
        }
}

static bool measure_quant(ane_bench *b, const ane_conv1 *c, json_t *row, ane_error *e) {
    ane_conv1 exact = *c;
    exact.weights = "fp16";
    mil_program *p = ane_program_conv(c, e), *right = p ? ane_program_conv(&exact, e) : NULL;
    ane_trial *t = right ? ane_trial_new(b, p, NULL, e) : NULL;
    double error = NAN;
    bool ok = t && ane_trial_measure(t, row, e) && ane_trial_error_against(t, right, &error, e);
    if (ok) ane_row_metric(row, "accuracy_error", error);
    ane_trial_free(t);
    mil_program_free(right);
    mil_program_free(p);
    return ok;
}

static bool quant_run(ane_bench *b, json_t *row, ane_error *e) {
    const ane_conv1 c = {.in = ane_row_int(row, "in"),
        .out = ane_row_int(row, "out"),
        .positions = ane_row_int(row, "positions"),
        .dtype = b->capabilities->activation_dtype,
        .weights = ane_row_text(row, "mode")};
    if (!measure_quant(b, &c, row, e)) return false;
    char fp16[96];
    snprintf(fp16, sizeof fp16, "%dx%d-fp16", (int)c.in, (int)c.out);
    ane_row_metric(row, "weights_mb", (double)(c.in * c.out) * ane_row_number(row, "bits") / 8 / (1 << 20));
    if (!is(c.weights, "fp16")) ane_row_metric(row, "speedup", faster_than_fp16(b, row, fp16));
    return true;
}

const ane_benchmark ane_bench_quant = {
    .info = {"quant", "how weights are stored: fp16, int8, int4, int4 by blocks, a table of 16",
        "quant_probe"},
    .cases = quant_cases,
    .run = quant_run,
};
