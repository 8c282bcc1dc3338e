/* gemm_impl.h - what stands behind gemm.h: one library for products, and matrix-vector products of our own.
 */
#ifndef ANEMONE_BASE_GEMM_IMPL_H
#define ANEMONE_BASE_GEMM_IMPL_H

#include "base/gemm.h"

/* The library's product (gemm_onednn.c or gemm_cblas.c) on at most `threads` threads. */
void ane_gemm_library_run(const ane_gemm *g, int threads);
const char *ane_gemm_library_name(void);

/* What matrix-vector products are made of, once per instruction set (gemv.inc). */
typedef struct ane_gemv_kernels {
    float (*dot)(const float *x, const float *y, int64_t n);
    void (*axpy)(float *y, float a, const float *x, int64_t n); /* y += a * x */
} ane_gemv_kernels;

extern const ane_gemv_kernels ane_gemv_baseline, ane_gemv_avx2, ane_gemv_avx512;

/* Products with m == 1 or n == 1, bound by reading the matrix once. */
void ane_gemv_run(const ane_gemm *g, int threads);

#endif
