/* bench_peak.c - peak: chains of convolutions (inmem_peak), and larger spatial sizes for the rate that a chip really has. On
 * the CPU also the same products by the library alone: what the device's plan costs beside them. */
#include "measure/harness.h"
#include "measure/programs.h"

#include "base/clock.h"
#include "base/gemm.h"

#include <stdlib.h>
#include <string.h>

typedef struct shape {
    int channels, positions, depth;
    bool quick;
} shape;

/* The first ten are inmem_peak's. 64 positions are too few: the time is the weights' and the dispatch's (ane-spec 5.7). */
static const shape shapes[] = {{512, 64, 32, true}, {512, 64, 48, false}, {512, 64, 64, false},
    {512, 64, 96, false}, {512, 64, 128, false}, {256, 64, 64, true}, {256, 64, 128, false},
    {256, 64, 256, false}, {384, 64, 64, false}, {384, 64, 128, false}, {512, 256, 32, false},
    {512, 512, 32, false}, {512, 1024, 32, false}, {512, 2048, 32, false}, {512, 512, 8, true}};

static void cases(ane_bench *b, json_t *list) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const shape *s = &shapes[i];
        if (b->options.quick && !s->quick) continue;
        ane_case_add(list,
            json_pack(
                "{s:i, s:i, s:i}", "channels", s->channels, "positions", s->positions, "depth", s->depth),
            "%dx%dx%d", s->channels, s->positions, s->depth);
    }
}

/* ---- the library alone ------------------------------------------------------------------------------------------- */

/* depth products [C, C] x [C, S], each of weights of its own. */
typedef struct library {
    int64_t channels, positions, depth;
    int threads;
    float *weights, *x[2];
} library;

static bool library_run(void *context, ane_run_stats *stats, ane_error *e) {
    (void)e;
    const library *l = context;
    double start = ane_clock_ms();
    for (int64_t i = 0; i < l->depth; i++) {
        const ane_gemm g = {.m = l->channels,
            .n = l->positions,
            .k = l->channels,
            .alpha = 1,
            .a = l->weights + i * l->channels * l->channels,
            .lda = l->channels,
            .b = l->x[i % 2],
            .ldb = l->positions,
            .c = l->x[1 - i % 2],
            .ldc = l->positions};
        ane_gemm_run(&g, l->threads);
    }
    stats->host_ms = stats->device_ms = ane_clock_ms() - start;
    return true;
}

static bool library_open(library *l, ane_error *e) {
    size_t n_weights = (size_t)(l->channels * l->channels * l->depth),
           n = (size_t)(l->channels * l->positions);
    l->weights = malloc(n_weights * sizeof(float));
    for (int i = 0; i < 2; i++) l->x[i] = malloc(n * sizeof(float));
    if (!l->weights || !l->x[0] || !l->x[1]) return ane_fail(e, ANE_ERROR_MEMORY, "bench", "out of memory");
    for (size_t i = 0; i < n_weights; i++) l->weights[i] = i % 3 ? 0.03f : -0.06f;
    for (size_t i = 0; i < n; i++) l->x[0][i] = l->x[1][i] = 1;
    return true;
}

/* The same shape by the library: its rate, and how much of it the device reaches, by the shortest times of each, which others
 * on the machine disturb least. */
static bool beside_library(ane_bench *b, json_t *row, ane_error *e) {
    library l = {.channels = ane_row_int(row, "channels"),
        .positions = ane_row_int(row, "positions"),
        .depth = ane_row_int(row, "depth"),
        .threads = b->capabilities->threads};
    const ane_subject s = {.run = library_run, .context = &l, .on_host = true};
    ane_times t;
    bool ok = library_open(&l, e) && ane_bench_time(b, &s, &t, e);
    free(l.weights);
    free(l.x[0]);
    free(l.x[1]);
    if (!ok) return false;
    double ours = json_number_value(json_object_get(json_object_get(row, "device_ms"), "min"));
    ane_row_metric(row, "library_tflops", ane_row_get_metric(row, "gflop") / t.device.min);
    ane_row_metric(row, "of_library_percent", 100 * t.device.min / ours);
    return true;
}

/* ---- the chain --------------------------------------------------------------------------------------------------- */

static bool run(ane_bench *b, json_t *row, ane_error *e) {
    const ane_chain chain = {.channels = ane_row_int(row, "channels"),
        .height = 1,
        .width = ane_row_int(row, "positions"),
        .depth = ane_row_int(row, "depth"),
        .dtype = b->capabilities->activation_dtype};
    mil_program *p = ane_program_chain(&chain, e);
    bool ok = p && ane_bench_program(b, p, NULL, row, e);
    mil_program_free(p);
    double bytes = (double)(chain.channels * chain.channels * chain.depth) * mil_dtype_bits(chain.dtype) / 8;
    if (!ok) return false;
    ane_row_metric(row, "weights_mb", bytes / (1 << 20));
    bool library = strcmp(b->capabilities->device, "cpu") == 0 && b->capabilities->precision == ANE_FP32;
    return !library || beside_library(b, row, e);
}

const ane_benchmark ane_bench_peak = {
    .info = {"peak", "chains of convolutions, from small to the chip's real rate", "inmem_peak"},
    .cases = cases,
    .run = run,
};
