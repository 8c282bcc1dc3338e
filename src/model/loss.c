/* loss.c - softmax and cross-entropy over channel-first logits, and their gradient, in place.
 *
 *     loss = log(sum_v exp(z_v - max)) + max - z_target,   d(loss)/d(z_v) = softmax(z)_v - [v = target]
 *
 * A row of logits holds one word's logit for every column, so columns are worked on side by side, in vectors. Threads share
 * the words: as in the product that made the logits, each reads long runs of memory, its own. Blocks of words do not depend on
 * the number of threads, nor do results.
 */
#include "base/half.h"
#include "base/parallel.h"
#include "model/host.h"

#include <math.h>

enum {
    BLOCKS = 32,   /* of words: what a thread gets at least */
    COLUMNS = 512, /* worked on together */
    ROWS = 16,     /* worked on together: they stay in the first cache between maximum and sum */
    AHEAD = 8,     /* rows between asking for one and needing it */
    LINE = 16,     /* numbers in a cache line */
};

typedef struct loss_job {
    float *logits; /* the first column's */
    int64_t vocab, columns;
    const int32_t *targets;
    float scale;
    int n;                       /* columns that are worked on */
    float max[BLOCKS][COLUMNS];  /* of a block's logits; then, in the first row, of all */
    double sum[BLOCKS][COLUMNS]; /* of exp(z - max) */
    float factor[COLUMNS];       /* scale / sum of all, or 0 */
} loss_job;

static int64_t first_row(const loss_job *job, int64_t block) {
    return job->vocab * block / BLOCKS;
}

/* a b + c, rounded once where the processor has an instruction for it. */
#define FMA(a, b, c) (fused ? __builtin_fmaf(a, b, c) : (a) * (b) + (c))

/* exp(x) for x <= 0 without a branch, so that the compiler makes vectors of it: 2^n * 2^r with n = round(x / ln 2), |r| <= 1/2,
 * and 2^r by the polynomial 1 + ... of degree five that is off least (9e-8, found by reweighted least squares). Near zero it
 * is good to 2e-7, further down to x / 1e8. Below -69 it is 0, so that nothing it is multiplied with makes a subnormal number
 * of it. NaN stays NaN. */
static inline __attribute__((always_inline)) float exp_negative(const bool fused, float x) {
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves an integer in the low bits */
    const float per_ln2 = 1.44269504f;
    float shifted = FMA(x, per_ln2, round), n = shifted - round;
    float r = FMA(x, per_ln2, -n), p = 0.00132647273f;
    p = FMA(p, r, 0.00967151299f);
    p = FMA(p, r, 0.0555073359f);
    p = FMA(p, r, 0.240222424f);
    p = FMA(p, r, 0.693147004f);
    p = FMA(p, r, 1.0f);
    float power = ane_f32_from_bits((ane_bits_from_f32(shifted) << 23) + 0x3f800000u);
    return x < -69.0f ? 0.0f : p * power;
}

/* Have n numbers fetched that are needed soon: into the second cache, for which more lines can be on their way. */
static inline __attribute__((always_inline)) void ask_for(const float *row, int n) {
    for (int j = 0; j < n; j += LINE) __builtin_prefetch(row + j, 0, 2);
}

/* max[j] over the block's v of z and sum[j] of exp(z - max), reading the logits once: when a new maximum turns up, the sum so
 * far is brought down to it. */
static inline __attribute__((always_inline)) void sum_exponentials(
    const bool fused, loss_job *job, int64_t block) {
    const int n = job->n;
    float *max = job->max[block];
    double *sum = job->sum[block];
    for (int j = 0; j < n; j++) max[j] = -INFINITY, sum[j] = 0;
    for (int64_t tile = first_row(job, block), end = first_row(job, block + 1); tile < end; tile += ROWS) {
        const float *rows = job->logits + tile * job->columns;
        int64_t n_rows = end - tile < ROWS ? end - tile : ROWS;
        float higher[COLUMNS], part[COLUMNS] = {0};
        for (int j = 0; j < n; j++) higher[j] = max[j];
        for (int64_t v = 0; v < n_rows; v++)
            for (int j = 0; j < n; j++) {
                float z = rows[v * job->columns + j];
                higher[j] = z > higher[j] ? z : higher[j];
            }
        for (int64_t v = 0; v < n_rows; v++) {
            if (tile + ROWS + v < end) ask_for(rows + (ROWS + v) * job->columns, n);
            for (int j = 0; j < n; j++)
                part[j] += exp_negative(fused, rows[v * job->columns + j] - higher[j]);
        }
        for (int j = 0; j < n; j++) {
            sum[j] = sum[j] * exp_negative(fused, max[j] - higher[j]) + part[j];
            max[j] = higher[j];
        }
    }
}

/* z -> scale * (exp(z - max) / sum - [v = target]) */
static inline __attribute__((always_inline)) void write_gradient(
    const bool fused, loss_job *job, int64_t block) {
    const float *max = job->max[0];
    int64_t begin = first_row(job, block), end = first_row(job, block + 1);
    for (int64_t v = begin; v < end; v++) {
        float *row = job->logits + v * job->columns;
        if (v + AHEAD < end) ask_for(row + AHEAD * job->columns, job->n);
        for (int j = 0; j < job->n; j++) row[j] = exp_negative(fused, row[j] - max[j]) * job->factor[j];
    }
    for (int j = 0; j < job->n; j++)
        if (job->targets[j] >= begin && job->targets[j] < end)
            job->logits[job->targets[j] * job->columns + j] -= job->scale;
}

/* The same code for wider vectors. */
#define LOOPS(set, TARGET, FUSED)                                                                            \
    TARGET static void sums_##set(void *job, int64_t begin, int64_t end) {                                   \
        for (int64_t block = begin; block < end; block++) sum_exponentials(FUSED, job, block);               \
    }                                                                                                        \
    TARGET static void gradient_##set(void *job, int64_t begin, int64_t end) {                               \
        for (int64_t block = begin; block < end; block++) write_gradient(FUSED, job, block);                 \
    }                                                                                                        \
    static const loss_loops loops_##set = {sums_##set, gradient_##set};

typedef struct loss_loops {
    ane_range_fn *sums, *gradient;
} loss_loops;

#define ANY_PROCESSOR
LOOPS(baseline, ANY_PROCESSOR, false)
#if defined(__x86_64__)
#if defined(__clang__)
#define WIDE __attribute__((target("avx512f")))
#else /* gcc would take halves */
#define WIDE __attribute__((target("avx512f,prefer-vector-width=512")))
#endif
LOOPS(avx512, WIDE, true)
LOOPS(avx2, __attribute__((target("avx2,fma"))), true)
#endif

static const loss_loops *loops_here(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return &loops_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &loops_avx2;
#endif
    return &loops_baseline;
}

/* Blocks become one; each column's loss. */
static void gather(loss_job *job, double *column_loss) {
    for (int j = 0; j < job->n; j++) {
        int32_t target = job->targets[j];
        float max = -INFINITY;
        double sum = 0;
        for (int b = 0; b < BLOCKS; b++) max = job->max[b][j] > max ? job->max[b][j] : max;
        for (int b = 0; b < BLOCKS; b++) sum += job->sum[b][j] * exp_negative(false, job->max[b][j] - max);
        job->max[0][j] = max;
        job->factor[j] = target < 0 ? 0 : (float)(job->scale / sum);
        column_loss[j] = target < 0 ? 0 : log(sum) + max - job->logits[target * job->columns + j];
    }
}

void ane_cross_entropy(float *logits, int64_t vocab, int64_t columns, const int32_t *targets, float scale,
    bool gradient, double *column_loss, int threads) {
    const loss_loops *loops = loops_here();
    loss_job job = {.vocab = vocab, .columns = columns, .scale = scale};
    for (int64_t first = 0; first < columns; first += COLUMNS) {
        job.logits = logits + first;
        job.targets = targets + first;
        job.n = (int)(columns - first < COLUMNS ? columns - first : COLUMNS);
        ane_parallel_pieces(BLOCKS, 1, threads, loops->sums, &job);
        gather(&job, column_loss + first);
        if (gradient) ane_parallel_pieces(BLOCKS, 1, threads, loops->gradient, &job);
    }
}
