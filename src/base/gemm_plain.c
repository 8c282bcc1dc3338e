/* Products in plain C: blocks of both operands are packed so that the inner loop runs over contiguous memory
 * whatever the transposes, and stays in the caches. */
#include "base/gemm.h"

enum { BLOCK_M = 32, BLOCK_N = 128, BLOCK_K = 128 };

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* out[rows, columns] = alpha * x, whose element (i, j) stands at x[i * row + j * column]. */
static void pack(float *restrict out, const float *restrict x, int64_t row, int64_t column, int64_t rows,
    int64_t columns, float alpha) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) out[i * columns + j] = alpha * x[i * row + j * column];
}

/* C[m, n] += A[m, k] * B[k, n], A and B packed. */
static void block(float *restrict c, int64_t ldc, const float *restrict a, const float *restrict b, int64_t m,
    int64_t n, int64_t k) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t l = 0; l < k; l++) {
            float x = a[i * k + l];
            for (int64_t j = 0; j < n; j++) c[i * ldc + j] += x * b[l * n + j];
        }
}

static void prepare(const ane_gemm *g) {
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            float *c = &g->c[i * g->ldc + j];
            *c = g->beta == 0 ? 0 : g->beta * *c; /* beta 0 must not read C: it may hold NaN */
        }
}

void ane_gemm_plain(const ane_gemm *g) {
    float a[BLOCK_M * BLOCK_K], b[BLOCK_K * BLOCK_N];
    int64_t a_row = g->transpose_a ? 1 : g->lda, a_column = g->transpose_a ? g->lda : 1;
    int64_t b_row = g->transpose_b ? 1 : g->ldb, b_column = g->transpose_b ? g->ldb : 1;
    prepare(g);
    for (int64_t j = 0; j < g->n; j += BLOCK_N)
        for (int64_t l = 0; l < g->k; l += BLOCK_K) {
            int64_t n = least(BLOCK_N, g->n - j), k = least(BLOCK_K, g->k - l);
            pack(b, g->b + l * b_row + j * b_column, b_row, b_column, k, n, 1);
            for (int64_t i = 0; i < g->m; i += BLOCK_M) {
                int64_t m = least(BLOCK_M, g->m - i);
                pack(a, g->a + i * a_row + l * a_column, a_row, a_column, m, k, g->alpha);
                block(g->c + i * g->ldc + j, g->ldc, a, b, m, n, k);
            }
        }
}
