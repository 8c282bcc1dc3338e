/* Products with a vector. Decoding is made of them, and they are bound by reading the matrix once, so every
 * row is read in order and the rows are shared among the threads. */
#include "base/gemm_impl.h"
#include "base/parallel.h"

enum { CHUNK = 1024 };

static const ane_gemv_kernels *kernels(void) {
#if defined(ANEMONE_X86_VECTORS)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) return &ane_gemv_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &ane_gemv_avx2;
#endif
    return &ane_gemv_baseline;
}

/* y[rows] = beta * y + alpha * M x, or the same with M transposed. */
typedef struct gemv {
    const ane_gemv_kernels *kernels;
    bool by_rows; /* M's rows are contiguous along the sum; else along the result */
    int64_t rows, k;
    const float *matrix, *x;
    int64_t ld, x_stride, y_stride;
    float alpha, beta, *y;
} gemv;

static void finish(const gemv *v, int64_t row, float sum, bool first) {
    float *y = &v->y[row * v->y_stride];
    float before = !first ? *y : v->beta == 0 ? 0 : v->beta * *y;
    *y = before + v->alpha * sum;
}

static const float *chunk_of_x(const gemv *v, int64_t begin, int64_t n, float *chunk) {
    if (v->x_stride == 1) return v->x + begin;
    for (int64_t i = 0; i < n; i++) chunk[i] = v->x[(begin + i) * v->x_stride];
    return chunk;
}

static void rows_by_dots(void *context, int64_t begin, int64_t end) {
    const gemv *v = context;
    float chunk[CHUNK];
    int64_t step = v->x_stride == 1 ? v->k : CHUNK;
    for (int64_t l = 0; l < v->k; l += step) {
        int64_t n = v->k - l < step ? v->k - l : step;
        const float *x = chunk_of_x(v, l, n, chunk);
        for (int64_t row = begin; row < end; row++)
            finish(v, row, v->kernels->dot(v->matrix + row * v->ld + l, x, n), l == 0);
    }
}

static void columns_by_axpy(void *context, int64_t begin, int64_t end) {
    const gemv *v = context;
    float sum[CHUNK];
    for (int64_t row = begin; row < end; row += CHUNK) {
        int64_t n = end - row < CHUNK ? end - row : CHUNK;
        for (int64_t i = 0; i < n; i++) sum[i] = 0;
        for (int64_t l = 0; l < v->k; l++)
            v->kernels->axpy(sum, v->x[l * v->x_stride], v->matrix + l * v->ld + row, n);
        for (int64_t i = 0; i < n; i++) finish(v, row + i, sum[i], true);
    }
}

void ane_gemv_run(const ane_gemm *g, int threads) {
    gemv v = {.kernels = kernels(), .k = g->k, .alpha = g->alpha, .beta = g->beta, .y = g->c};
    if (g->n == 1) { /* C[m, 1] = op(A) b */
        v.by_rows = !g->transpose_a;
        v.rows = g->m, v.matrix = g->a, v.ld = g->lda, v.y_stride = g->ldc;
        v.x = g->b, v.x_stride = g->transpose_b ? 1 : g->ldb;
    } else { /* C[1, n] = a op(B) */
        v.by_rows = g->transpose_b;
        v.rows = g->n, v.matrix = g->b, v.ld = g->ldb, v.y_stride = 1;
        v.x = g->a, v.x_stride = g->transpose_a ? g->lda : 1;
    }
    if ((double)v.rows * (double)v.k < 32768) threads = 1;
    ane_parallel_for(v.rows, 16, threads, v.by_rows ? rows_by_dots : columns_by_axpy, &v);
}
