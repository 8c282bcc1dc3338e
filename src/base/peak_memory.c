/* How fast this machine's memory is: an update in place, as an optimizer does it; reading alone, as a product of a
 * matrix and a vector does it. */
#include "base/peak.h"

#include "base/clock.h"
#include "base/parallel.h"

#include <stdint.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

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

/* Four streams: more of memory is under way at once than with one. */
enum { STREAMS = 4 };

static void sum_part(void *context, int64_t begin, int64_t end) {
    sum *s = context;
    uint64_t lane[LANES] = {0}, total = 0;
    int64_t each = (end - begin) / STREAMS / LANES * LANES;
    for (int64_t i = 0; i < each; i += LANES)
        for (int k = 0; k < STREAMS; k++)
            for (int j = 0; j < LANES; j++) lane[j] += s->x[begin + k * each + i + j];
    for (int j = 0; j < LANES; j++) total += lane[j];
    __atomic_fetch_add(&s->total, total, __ATOMIC_RELAXED);
}

double ane_peak_read_of(int threads, int64_t bytes) {
    int64_t words = bytes / (int64_t)sizeof(uint64_t), least = (int64_t)threads * STREAMS * LANES;
    if (words < least) words = least;
    void *x = NULL;
    if (posix_memalign(&x, 2 << 20, (size_t)words * sizeof(uint64_t)) != 0) return 0;
#if defined(__linux__)
    madvise(x, (size_t)words * sizeof(uint64_t), MADV_HUGEPAGE); /* as weights lie */
#endif
    update fill = {.y = x};
    sum s = {.x = x};
    double best = 0;
    ane_parallel_for(words * 2, 1024, threads, touch_part, &fill);
    for (int i = 0; i < PASSES; i++) {
        double start = ane_clock_ms();
        ane_parallel_for(words, 1024, threads, sum_part, &s);
        double rate = 1e3 * sizeof(uint64_t) * (double)words / (ane_clock_ms() - start);
        if (rate > best) best = rate;
    }
    free(x);
    return best;
}

double ane_peak_read(int threads) {
    return ane_peak_read_of(threads, (int64_t)sizeof(float) * FLOATS);
}
