/* gemm_impl.h - what stands behind gemm.h: one library for products, and matrix-vector products of our own.
 */
#ifndef ANEMONE_BASE_GEMM_IMPL_H
#define ANEMONE_BASE_GEMM_IMPL_H

#include "base/gemm.h"
#include "base/gemv.h"

/* The library's product (gemm_onednn.c or gemm_cblas.c) on at most `threads` threads. */
void ane_gemm_library_run(const ane_gemm *g, int threads);
const char *ane_gemm_library_name(void);

/* Groups of 64 numbers of an int8 matrix from some column on: of its first row, the next one is ld bytes behind it. */
typedef struct ane_gemv_int8 {
    const int8_t *numbers;
    const char *scales; /* floats, at any address */
    int64_t ld;
} ane_gemv_int8;

/* A vector in groups of 64 as int16 with a scale each, the last group filled up with zeros. */
enum { ANE_NARROW = 8192 }; /* numbers at a time */
typedef struct ane_gemv_narrow {
    int16_t numbers[ANE_NARROW];
    float scales[ANE_NARROW / ANE_GEMV_GROUP];
} ane_gemv_narrow;

/* What matrix-vector products are made of, once per instruction set (gemv.inc). */
typedef void ane_gemv_rows(
    const void *matrix, int64_t ld, const float *x, int64_t n, int64_t rows, float *out);
enum { ANE_GEMV_FLOATS = ANE_GEMV_INT8 }; /* formats of numbers on their own */
typedef struct ane_gemv_kernels {
    ane_gemv_rows
        *dots[ANE_GEMV_FLOATS]; /* out[i] = row i of the matrix times x[n]; rows are ld bytes apart */
    void (*dots_int8)(          /* of one row or two */
        const ane_gemv_int8 *m, const ane_gemv_narrow *x, int64_t groups, int64_t rows, float *out);
    void (*narrow)(ane_gemv_narrow *to, const float *x, int64_t n);
    void (*store[ANE_GEMV_FORMATS])(char *row, const float *x, int64_t n); /* but not of F32 */
    ane_gemv_rows *many[ANE_GEMV_FLOATS];                                  /* dots of many short rows */
    ane_gemv_rows *sums[ANE_GEMV_FLOATS];                       /* out[n] = sum of x[i] times row i */
    void (*axpy)(float *y, float a, const float *x, int64_t n); /* y += a * x */
} ane_gemv_kernels;

extern const ane_gemv_kernels ane_gemv_baseline, ane_gemv_avx2, ane_gemv_avx512;

/* Products with m == 1 or n == 1, bound by reading the matrix once. */
void ane_gemv_run(const ane_gemm *g, int threads);

#endif
