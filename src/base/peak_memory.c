/* How fast this machine's memory is: an update in place, as an optimizer does it; reading alone, as a product of a
 * matrix and a vector does it. */
#include "base/peak.h"

#include "base/ask.h"
#include "base/clock.h"
#include "base/parallel.h"

#include <stdint.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

/* Far more than any cache holds; the best pass counts. */
enum { FLOATS = 16 << 20, PASSES = 8, SUMS = 4, MOST_TURN = 8, LINE = 64 /* bytes */ };

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

typedef uint64_t line __attribute__((vector_size(LINE)));

typedef struct sum {
    const line *x;
    uint64_t total; /* used, so that the work is done */
} sum;

/* Several streams: more of memory is under way at once than with one. Where `ahead` is not 0, a turn of each of them is asked for, so many
 * lines before it is read, then all of them are read, in that order: memory is slower when a compiler mixes the two. */
static inline __attribute__((always_inline)) void sum_streams(
    sum *s, int64_t begin, int64_t end, int streams, int64_t turn, int64_t ahead, bool second) {
    line lanes[SUMS] = {{0}};
    uint64_t total = 0;
    int64_t each = (end - begin) / streams / turn * turn;
    for (int64_t i = 0; i < each; i += turn) {
        const line *x = s->x + begin + i;
        for (int64_t k = 0; ahead && k < streams; k++)
            for (int64_t j = 0; j < turn; j++) ane_ask_for((const char *)(x + k * each + ahead + j), second);
        if (ahead) __asm__ volatile("" ::: "memory");
        for (int64_t k = 0; k < streams; k++)
            for (int64_t j = 0; j < turn; j += SUMS)
                for (int l = 0; l < SUMS; l++) lanes[l] += x[k * each + j + l];
    }
    for (int l = 0; l < SUMS; l++)
        for (int j = 0; j < LINE / 8; j++) total += lanes[l][j];
    __atomic_fetch_add(&s->total, total, __ATOMIC_RELAXED);
}

static void sum_part(void *context, int64_t begin, int64_t end) {
    sum_streams(context, begin, end, 4, 4, 0, false);
}

static void sum_part_asking(void *context, int64_t begin, int64_t end) {
    if (ane_asks_second_cache())
        sum_streams(context, begin, end, 2, 8, 16, true);
    else
        sum_streams(context, begin, end, 2, 8, 12, false);
}

static ane_range_fn *const ways[ANE_READER_WAYS] = {
    [ANE_READ_PLAINLY] = sum_part, [ANE_READ_ASKED] = sum_part_asking};

struct ane_reader {
    int threads;
    int64_t lines;
    sum sum;
};

ane_reader *ane_reader_new(int threads, int64_t bytes) {
    int64_t lines = bytes / LINE, least = (int64_t)threads * 4 * MOST_TURN;
    if (lines < least) lines = least;
    ane_reader *r = malloc(sizeof *r);
    void *x = NULL;
    if (!r || posix_memalign(&x, 2 << 20, (size_t)(lines * LINE)) != 0) {
        free(r);
        return NULL;
    }
#if defined(__linux__)
    madvise(x, (size_t)(lines * LINE), MADV_HUGEPAGE);
#endif
    update fill = {.y = x};
    ane_parallel_for(lines * LINE / (int64_t)sizeof *fill.y, 1024, threads, touch_part, &fill);
    *r = (ane_reader){threads, lines, {.x = x}};
    return r;
}

void ane_reader_free(ane_reader *r) {
    if (r) free((void *)(uintptr_t)r->sum.x);
    free(r);
}

double ane_reader_pass(ane_reader *r, ane_reader_way way) {
    double start = ane_clock_ms();
    ane_parallel_for(r->lines, 128, r->threads, ways[way], &r->sum);
    return 1e3 * LINE * (double)r->lines / (ane_clock_ms() - start);
}

double ane_peak_read(int threads) {
    ane_reader *r = ane_reader_new(threads, (int64_t)sizeof(float) * FLOATS);
    double best = 0;
    for (int i = 0; r && i < ANE_READER_WAYS * PASSES; i++) {
        double rate = ane_reader_pass(r, (ane_reader_way)(i % ANE_READER_WAYS));
        if (rate > best) best = rate;
    }
    ane_reader_free(r);
    return best;
}
