/* loss.c - softmax and cross-entropy over channel-first logits, and their gradient, in place.
 *
 *     loss = log(sum_v exp(z_v - max)) + max - z_target,   d(loss)/d(z_v) = softmax(z)_v - [v = target]
 *
 * A row of logits holds one word's logit for every column, so columns are worked on side by side, in vectors.
 */
#include "base/half.h"
#include "base/parallel.h"
#include "model/host.h"

#include <math.h>

enum {
    COLUMNS = 256, /* worked on together: far enough along a row for memory to stream */
    AHEAD = 8,     /* rows between asking for one and needing it */
    LINE = 16,     /* numbers in a cache line */
    ROWS = 16,     /* worked on together: they stay in the first cache between maximum and sum */
};

typedef struct loss_job {
    float *logits;
    int64_t vocab, columns;
    const int32_t *targets;
    float scale;
    bool gradient;
    double *column_loss;
} loss_job;

/* exp(x) for x <= 0, to 1e-7 relative, without a branch, so that the compiler makes vectors of it: 2^n * e^r
 * with n = round(x / ln 2), |r| <= ln(2) / 2, and e^r by the polynomial 1 + r + ... of degree six that is off least (4e-9,
 * found by reweighted least squares), its parts beside each other, so that none waits long. NaN stays NaN. */
static inline __attribute__((always_inline)) float exp_negative(float x) {
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves an integer in the low bits */
    float clamped = x < -87.0f ? -87.0f : x;
    float shifted = clamped * 1.44269504f + round;
    float n = shifted - round;
    float r = clamped - n * 0.693359375f + n * 2.12194440e-4f; /* ln 2 in two parts */
    float r2 = r * r, low = 1.0f + r, middle = 0.499999940f + 0.166665211f * r,
          high = 0.0416683890f + 0.00836874545f * r + 0.00138145406f * r2;
    float p = low + middle * r2 + high * (r2 * r2);
    float power = ane_f32_from_bits((ane_bits_from_f32(shifted) << 23) + 0x3f800000u);
    return x < -87.0f ? 0.0f : p * power;
}

/* Have n numbers fetched that are needed soon: a row is short, and rows lie far apart. */
static inline __attribute__((always_inline)) void ask_for(const float *row, int n) {
    for (int j = 0; j < n; j += LINE) __builtin_prefetch(row + j);
}

/* max[j] over v of z and sum[j] over v of exp(z - max), reading the logits once: when a new maximum turns up, the sum
 * so far is brought down to it. */
static inline __attribute__((always_inline)) void sum_exponentials(
    const loss_job *job, int64_t first, int n, float *max, double *sum) {
    for (int j = 0; j < n; j++) max[j] = -INFINITY, sum[j] = 0;
    for (int64_t tile = 0; tile < job->vocab; tile += ROWS) {
        const float *rows = job->logits + tile * job->columns + first;
        int64_t n_rows = job->vocab - tile < ROWS ? job->vocab - tile : ROWS;
        float higher[COLUMNS], part[COLUMNS] = {0};
        for (int j = 0; j < n; j++) higher[j] = max[j];
        for (int64_t v = 0; v < n_rows; v++)
            for (int j = 0; j < n; j++) {
                float z = rows[v * job->columns + j];
                higher[j] = z > higher[j] ? z : higher[j];
            }
        for (int64_t v = 0; v < n_rows; v++) {
            if (tile + ROWS + v < job->vocab) ask_for(rows + (ROWS + v) * job->columns, n);
            for (int j = 0; j < n; j++) part[j] += exp_negative(rows[v * job->columns + j] - higher[j]);
        }
        for (int j = 0; j < n; j++) {
            sum[j] = sum[j] * exp_negative(max[j] - higher[j]) + part[j];
            max[j] = higher[j];
        }
    }
}

/* z -> scale * (exp(z - max) / sum - [v = target]) */
static inline __attribute__((always_inline)) void write_gradient(
    const loss_job *job, int64_t first, int n, const float *max, const double *sum) {
    const int32_t *targets = job->targets + first;
    float factor[COLUMNS];
    for (int j = 0; j < n; j++) factor[j] = targets[j] < 0 ? 0 : (float)(job->scale / sum[j]);
    for (int64_t v = 0; v < job->vocab; v++) {
        float *row = job->logits + v * job->columns + first;
        if (v + AHEAD < job->vocab) ask_for(row + AHEAD * job->columns, n);
        for (int j = 0; j < n; j++) row[j] = exp_negative(row[j] - max[j]) * factor[j];
    }
    for (int j = 0; j < n; j++)
        if (targets[j] >= 0) job->logits[targets[j] * job->columns + first + j] -= job->scale;
}

static inline __attribute__((always_inline)) void work(const loss_job *job, int64_t begin, int64_t end) {
    float max[COLUMNS];
    double sum[COLUMNS];
    for (int64_t first = begin; first < end; first += COLUMNS) {
        int n = (int)(end - first < COLUMNS ? end - first : COLUMNS);
        sum_exponentials(job, first, n, max, sum);
        for (int j = 0; j < n; j++) {
            int32_t target = job->targets[first + j];
            const float *z = job->logits + first + j;
            job->column_loss[first + j] = target < 0 ? 0 : log(sum[j]) + max[j] - z[target * job->columns];
        }
        if (job->gradient) write_gradient(job, first, n, max, sum);
    }
}

/* The same code for wider vectors; without fused multiply-add, so that every width gives the same bits. */
#if defined(__x86_64__)
#if defined(__clang__)
#define WIDE __attribute__((target("avx512f")))
#else /* gcc would take halves */
#define WIDE __attribute__((target("avx512f,prefer-vector-width=512")))
#endif
WIDE static void work_avx512(const loss_job *job, int64_t begin, int64_t end) {
    work(job, begin, end);
}

__attribute__((target("avx2"))) static void work_avx2(const loss_job *job, int64_t begin, int64_t end) {
    work(job, begin, end);
}
#endif

static void loss_range(void *context, int64_t begin, int64_t end) {
    const loss_job *job = context;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        work_avx512(job, begin, end);
        return;
    }
    if (__builtin_cpu_supports("avx2")) {
        work_avx2(job, begin, end);
        return;
    }
#endif
    work(job, begin, end);
}

void ane_cross_entropy(float *logits, int64_t vocab, int64_t columns, const int32_t *targets, float scale,
    bool gradient, double *column_loss, int threads) {
    loss_job job = {logits, vocab, columns, targets, scale, gradient, column_loss};
    ane_parallel_for(columns, 16, threads, loss_range, &job);
}
