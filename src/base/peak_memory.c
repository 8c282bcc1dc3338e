/* How fast this machine's memory is: an update in place, as an optimizer does it. */
#include "base/peak.h"

#include "base/clock.h"
#include "base/parallel.h"

#include <stdint.h>
#include <stdlib.h>

enum { FLOATS = 16 << 20, PASSES = 8 }; /* far more than any cache holds; the best pass counts */

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
