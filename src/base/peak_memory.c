/* How fast this machine's memory is: an update in place, as an optimizer does it; reading alone, as a product of a
 * matrix and a vector does it. */
#include "base/peak.h"

#include "base/clock.h"
#include "base/parallel.h"

#include <stdint.h>
#include <stdlib.h>

enum { FLOATS = 16 << 20, PASSES = 8, LANES = 32 }; /* far more than any cache holds; the best pass counts */

typedef struct update {
    float *restrict y;
    const float *restrict x;
} update;

static void touch_part(void *context, int64_t begin, int64_t end) {
    const update *u = context;
    for (int64_t i = begin; i < end; i++) u->y[i] = 1;
}

static void update_part(void *context, int64_t begin, int64_t end) {
    const update *u = context;
    float *restrict y = u->y;
    const float *restrict x = u->x;
    for (int64_t i = begin; i < end; i++) y[i] = 0.5f * y[i] + x[i];
}

double ane_peak_bandwidth(int threads) {
    float *x = malloc(FLOATS * sizeof *x), *y = malloc(FLOATS * sizeof *y);
    update fill = {.y = x}, u = {y, x};
    double best = 0;
    if (x && y) {
        ane_parallel_for(FLOATS, 1024, threads, touch_part, &fill);
        ane_parallel_for(FLOATS, 1024, threads, touch_part, &u);
        for (int i = 0; i < PASSES; i++) {
            double start = ane_clock_ms();
            ane_parallel_for(FLOATS, 1024, threads, update_part, &u);
            double rate = 3.0 * sizeof(float) * FLOATS / (ane_clock_ms() - start) * 1e3;
            if (rate > best) best = rate;
        }
    }
    free(x);
    free(y);
    return best;
}

typedef struct sum {
    const uint64_t *x;
    uint64_t total; /* used, so that the work is done */
} sum;

static void sum_part(void *context, int64_t begin, int64_t end) {
    sum *s = context;
    uint64_t lane[LANES] = {0}, total = 0;
    for (int64_t i = begin; i + LANES <= end; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += s->x[i + j];
    for (int j = 0; j < LANES; j++) total += lane[j];
    __atomic_fetch_add(&s->total, total, __ATOMIC_RELAXED);
}

double ane_peak_read(int threads) {
    enum { WORDS = FLOATS / 2 };
    float *x = malloc(FLOATS * sizeof *x);
    if (!x) return 0;
    update fill = {.y = x};
    sum s = {.x = (const uint64_t *)(const void *)x};
    double best = 0;
    ane_parallel_for(FLOATS, 1024, threads, touch_part, &fill);
    for (int i = 0; i < PASSES; i++) {
        double start = ane_clock_ms();
        ane_parallel_for(WORDS, 1024, threads, sum_part, &s);
        double rate = 1e3 * sizeof(float) * FLOATS / (ane_clock_ms() - start);
        if (rate > best) best = rate;
    }
    free(x);
    return best;
}
