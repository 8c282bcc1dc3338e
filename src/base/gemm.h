/* gemm.h - matrix products, by the best library that was found: oneDNN, else a CBLAS, else plain C.
 *
 * C[m, n] = beta * C + alpha * op(A)[m, k] * op(B)[k, n], all row-major fp32. op is a transpose when the flag
 * is set; lda, ldb, ldc are the distances between rows as stored. beta 0 never reads C.
 */
#ifndef ANEMONE_BASE_GEMM_H
#define ANEMONE_BASE_GEMM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ane_gemm {
    bool transpose_a, transpose_b;
    int64_t m, n, k;
    float alpha;
    const float *a;
    int64_t lda;
    const float *b;
    int64_t ldb;
    float beta;
    float *c;
    int64_t ldc;
} ane_gemm;

/* Run with up to `threads` threads; called from inside ane_parallel_for it runs on the calling thread alone.
 */
void ane_gemm_run(const ane_gemm *g, int threads);
/* The plain C version: what the others are tested against. */
void ane_gemm_plain(const ane_gemm *g);
/* "oneDNN 2.6.3", "OpenBLAS 0.3.21", "plain C". */
const char *ane_gemm_library(void);

#endif
