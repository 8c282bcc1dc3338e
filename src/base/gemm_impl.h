/* gemm_impl.h - what stands behind gemm.h: one library for products, and matrix-vector products of our own.
 */
#ifndef ANEMONE_BASE_GEMM_IMPL_H
#define ANEMONE_BASE_GEMM_IMPL_H

#include "base/gemm.h"
#include "base/gemv.h"

/* The library's product (gemm_onednn.c or gemm_cblas.c) on at most `threads` threads. */
void ane_gemm_library_run(const ane_gemm *g, int threads);
const char *ane_gemm_library_name(void);

/* What matrix-vector products are made of, once per instruction set (gemv.inc). */
typedef struct ane_gemv_kernels {
    /* Per ane_gemv_format: out[i] = row i of the matrix times x[n]; rows are ld bytes apart. */
    void (*dots[ANE_GEMV_FORMATS])(
        const void *matrix, int64_t ld, const float *x, int64_t n, int64_t rows, float *out);
    /* The same for many short rows, of F32 and BF16 alone. */
    void (*many[ANE_GEMV_FORMATS])(
        const void *matrix, int64_t ld, const float *x, int64_t n, int64_t rows, float *out);
    /* Of F32 and BF16 alone: out[n] = sum of weights[i] times row i. */
    void (*sums[ANE_GEMV_FORMATS])(
        const void *matrix, int64_t ld, const float *weights, int64_t n, int64_t rows, float *out);
    void (*axpy)(float *y, float a, const float *x, int64_t n); /* y += a * x */
} ane_gemv_kernels;

extern const ane_gemv_kernels ane_gemv_baseline, ane_gemv_avx2, ane_gemv_avx512;

/* Products with m == 1 or n == 1, bound by reading the matrix once. */
void ane_gemv_run(const ane_gemm *g, int threads);

#endif
