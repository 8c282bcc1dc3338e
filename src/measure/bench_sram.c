/* bench_sram.c - sram and sram-fine: one convolution of growing weights; where they stop to fit (sram_bench, sram_probe). */
#include "base/decimal.h"
#include "measure/cliff.h"
#include "measure/harness.h"
#include "measure/programs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POSITIONS = 64, POSITIONS_LARGEST = 32, LARGEST = 8192, LARGEST_QUICK = 512, MOST_POINTS = 64 };
static const int coarse[] = {256, 512, 1024, 2048, 3072, 4096, 5120, 6144, 8192, 0};
static const int fine[] = {256, 512, 1024, 1536, 2048, 2560, 3072, 3584, 4096, 4608, 5120, 6144, 8192, 0};

static void add_cases(ane_bench *b, json_t *list, const int *channels) {
    for (; *channels; channels++) {
        if (b->options.quick && *channels > LARGEST_QUICK) continue;
        ane_case_add(list,
            json_pack("{s:i, s:i}", "channels", *channels, "positions",
                *channels == LARGEST ? POSITIONS_LARGEST : POSITIONS),
            "%d", *channels);
    }
}

static void cases_coarse(ane_bench *b, json_t *list) {
    add_cases(b, list, coarse);
}

static void cases_fine(ane_bench *b, json_t *list) {
    add_cases(b, list, fine);
}

static bool run(ane_bench *b, json_t *row, ane_error *e) {
    const int64_t n = ane_row_int(row, "channels"), positions = ane_row_int(row, "positions");
    const mil_dtype dtype = b->capabilities->activation_dtype;
    const ane_conv1 conv = {.in = n, .out = n, .positions = positions, .dtype = dtype};
    mil_program *p = ane_program_conv(&conv, e);
    bool ok = p && ane_bench_program(b, p, NULL, row, e);
    mil_program_free(p);
    if (!ok) return false;
    double element = mil_dtype_bits(dtype) / 8.0 / (1 << 20), weights = (double)(n * n) * element;
    ane_row_metric(row, "weights_mb", weights);
    ane_row_metric(row, "total_mb", weights + 2 * (double)(n * positions) * element);
    ane_row_metric(row, "gflops_per_mb", 1e3 * ane_row_get_metric(row, "tflops") / weights);
    return true;
}

/* ---- the edge ---------------------------------------------------------------------------------------------------- */

static int points_of(const json_t *rows, ane_cliff_point *points) {
    int n = 0;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        const json_t *times = json_object_get(row, "device_ms");
        if (!times || n == MOST_POINTS) continue;
        points[n++] = (ane_cliff_point){.mb = ane_row_get_metric(row, "weights_mb"),
            .ms = json_number_value(json_object_get(times, "median")),
            .channels = (int)ane_row_int(row, "channels")};
    }
    return n;
}

static void say_dips(char *text, size_t size, const ane_cliff_point *points, int n) {
    for (int i = 0; i < n; i++) {
        size_t used = strlen(text);
        if (points[i].kind == ANE_CLIFF_DIP)
            snprintf(text + used, size - used,
                "; %d channels dip: larger weights take less time, so not capacity", points[i].channels);
    }
}

static json_t *conclude(ane_bench *b, const json_t *rows) {
    (void)b;
    ane_cliff_point points[MOST_POINTS];
    int n = points_of(rows, points);
    const ane_cliff c = ane_cliff_find(points, n);
    if (!c.enough) return NULL;
    char note[400];
    if (c.edge)
        ane_print(note, sizeof note, "weights stop to fit between %.4g and %.4g MB", c.low, c.high);
    else
        ane_print(note, sizeof note, "no edge of a memory up to %.4g MB", c.largest);
    say_dips(note, sizeof note, points, n);
    json_t *row = json_pack("{s:s, s:{}, s:s, s:s, s:s}", "case", "edge", "config", "status", "ok", "error",
        "not comparable: derived from the other rows", "note", note);
    if (!row) return NULL;
    ane_row_metric(row, "edge", c.edge);
    ane_row_metric(row, "largest_mb", c.largest);
    ane_row_metric(row, "dips", c.dips);
    if (!c.edge) return row;
    ane_row_metric(row, "edge_mb", 0.5 * (c.low + c.high));
    ane_row_metric(row, "uncertainty_mb", 0.5 * (c.high - c.low));
    return row;
}

const ane_benchmark ane_bench_sram = {
    .info = {"sram", "one convolution of growing weights: where they stop to fit", "sram_bench"},
    .cases = cases_coarse,
    .run = run,
    .conclude = conclude,
};

const ane_benchmark ane_bench_sram_fine = {
    .info = {"sram-fine", "the same in 13 steps, with GFLOPS per MB", "sram_probe"},
    .cases = cases_fine,
    .run = run,
    .conclude = conclude,
};
