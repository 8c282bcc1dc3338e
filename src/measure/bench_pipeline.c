/* bench_pipeline.c - pipeline: the M5 pipeline suite. Many layers through one program, each with weights of its own; long
 * sequences; and a step as training would make it. */
#include "measure/update.h"

#include "base/clock.h"
#include "measure/programs.h"
#include "measure/results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LAYERS = 24,
    STRESS_DIM = 4096,
    MODEL_DIM = 768,
    TRAINING_POSITIONS = 1024,
    QUICK_DIM = 256,
    QUICK_POSITIONS = 64,
    SETS =
        4 /* of weights, taken in turns: 24 of 32 MB would be too much for small machines, and no cache holds four */
};
static const int sequences[] = {128, 512, 1024};

static void add_layers(json_t *list, const char *kind, int dim, int positions, bool packed) {
    ane_case_add(list,
        json_pack("{s:s, s:i, s:i, s:i, s:b}", "kind", kind, "dim", dim, "positions", positions, "layers",
            LAYERS, "packed", packed),
        "%s-%dx%d", kind, dim, LAYERS);
}

static void cases(ane_bench *b, json_t *list) {
    bool quick = b->options.quick;
    int dim = quick ? QUICK_DIM : MODEL_DIM;
    add_layers(list, "stress", quick ? QUICK_DIM : STRESS_DIM, 1, true);
    for (int i = 0; i < (quick ? 1 : 3); i++)
        ane_case_add(list,
            json_pack("{s:s, s:i, s:i}", "kind", "sequence", "dim", dim, "positions", sequences[i]),
            "sequence-%dx%d", dim, sequences[i]);
    add_layers(list, "training", dim, quick ? QUICK_POSITIONS : TRAINING_POSITIONS, false);
}

/* ---- layers ------------------------------------------------------------------------------------------------------ */

typedef struct step {
    ane_update u;
    int layers;
    ane_samples update, forward; /* ms of each step */
} step;

/* For each layer: its weights in, one evaluation. */
static bool run_step(void *context, ane_run_stats *stats, ane_error *e) {
    step *s = context;
    double update = 0, forward = 0, start = ane_clock_ms();
    for (int i = 0; i < s->layers; i++) {
        ane_run_stats one = {0};
        double begin = ane_clock_ms();
        if (!ane_update_put(&s->u, i % s->u.n_sets, e)) return false;
        update += ane_clock_ms() - begin;
        if (!ane_trial_run(s->u.trial, &one, e)) return false;
        forward += one.device_ms;
        stats->modelled |= one.modelled;
    }
    stats->host_ms = ane_clock_ms() - start;
    stats->device_ms = forward;
    return (ane_samples_add(&s->update, update) && ane_samples_add(&s->forward, forward)) ||
           ane_fail(e, ANE_ERROR_MEMORY, "bench", "out of memory");
}

static void put_metrics(step *s, double flops, json_t *row) {
    double update = ane_stats_of(s->update.x, s->update.n).median;
    double forward = ane_stats_of(s->forward.x, s->forward.n).median, total = update + forward;
    double bytes = ane_update_bytes(&s->u);
    ane_row_part(row, "update", update);
    ane_row_part(row, "forward", forward);
    ane_row_metric(row, "weights_mb", bytes / (1 << 20));
    ane_row_metric(row, "step_ms", total);
    ane_row_metric(row, "layer_ms", total / s->layers);
    ane_row_metric(row, "update_ms", update);
    ane_row_metric(row, "update_gb_s", bytes * s->layers / update * 1e-6);
    ane_row_metric(row, "step_gflops", flops / total * 1e-6);
    ane_row_metric(row, "tokens_per_s", 1e3 * (double)s->u.positions / total);
    ane_row_metric(row, "update_per_forward", update / forward);
}

static bool measure_layers(ane_bench *b, step *s, json_t *row, ane_error *e) {
    const ane_subject one = ane_trial_subject(s->u.trial);
    ane_subject all = one;
    all.run = run_step;
    all.context = s;
    all.evaluations = s->layers;
    all.flops *= s->layers;
    all.bytes *= s->layers;
    ane_times t;
    if (!ane_bench_warm(b, &one, e) || !ane_trial_refresh(s->u.trial, 1, e) ||
        !ane_bench_repeat(b, &all, &t, e) || !ane_update_verify(&s->u, false, row, e))
        return false;
    ane_bench_put_times(b, row, &t, all.flops);
    ane_row_metric(row, "compile_ms", ane_trial_compile_ms(s->u.trial));
    put_metrics(s, all.flops, row);
    return true;
}

static bool run_layers(ane_bench *b, json_t *row, ane_error *e) {
    step s = {.layers = (int)ane_row_int(row, "layers")};
    bool ok = ane_update_open(&s.u, b, ane_row_int(row, "dim"), ane_row_int(row, "positions"),
                  ane_row_flag(row, "packed"), SETS, e) &&
              measure_layers(b, &s, row, e);
    ane_update_close(&s.u);
    free(s.update.x);
    free(s.forward.x);
    return ok;
}

/* ---- sequences --------------------------------------------------------------------------------------------------- */

static double gflops_of(const json_t *row) {
    return 1e3 * ane_row_get_metric(row, "tflops");
}

static bool run_sequence(ane_bench *b, json_t *row, ane_error *e) {
    const int64_t dim = ane_row_int(row, "dim"), positions = ane_row_int(row, "positions");
    const mil_dtype dtype = b->capabilities->activation_dtype;
    mil_program *p = ane_program_dynamic(dim, positions, false, dtype, e);
    bool ok = p && ane_bench_program(b, p, NULL, row, e);
    mil_program_free(p);
    if (!ok) return false;
    double ms = json_number_value(json_object_get(json_object_get(row, "device_ms"), "median"));
    double bytes = (double)(2 * positions * dim + dim * dim) * mil_dtype_bits(dtype) / 8;
    char first[64];
    snprintf(first, sizeof first, "sequence-%dx%d", (int)dim, sequences[0]);
    const json_t *shortest = ane_results_find(b->results, "pipeline", first);
    ane_row_metric(row, "gb_s", bytes / ms * 1e-6);
    ane_row_metric(row, "scaling", shortest ? gflops_of(row) / gflops_of(shortest) : 1);
    return true;
}

static bool run(ane_bench *b, json_t *row, ane_error *e) {
    return strcmp(ane_row_text(row, "kind"), "sequence") == 0 ? run_sequence(b, row, e)
                                                              : run_layers(b, row, e);
}

const ane_benchmark ane_bench_pipeline = {
    .info = {"pipeline",
        "24 layers through one program, long sequences, a training step's updates and products",
        "M5 pipeline suite"},
    .cases = cases,
    .run = run,
};
