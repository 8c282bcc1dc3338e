/* bench_peak.c - peak: chains of convolutions (inmem_peak), and larger spatial sizes for the rate that a chip really has. */
#include "measure/harness.h"
#include "measure/programs.h"

#include <math.h>

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
    if (ok) ane_row_metric(row, "weights_mb", bytes / (1 << 20));
    return ok;
}

const ane_benchmark ane_bench_peak = {
    .info = {"peak", "chains of convolutions, from small to the chip's real rate", "inmem_peak"},
    .cases = cases,
    .run = run,
};
