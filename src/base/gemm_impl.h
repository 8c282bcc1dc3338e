/* gemm_impl.h - what stands behind gemm.h: one library for products, and matrix-vector products of our own.
 */
#ifndef ANEMONE_BASE_GEMM_IMPL_H
#define ANEMONE_BASE_GEMM_IMPL_H

#include "base/gemm.h"
#include "base/gemv.h"

/* The library's product (gemm_onednn.c or gemm_cblas.c) on at most `threads` threads. */
void ane_gemm_library_run(const ane_gemm *g, int threads);
const char *ane_gemm_library_name(void);

/* Matrices that are kept small are interleaved, 16 rows in a panel, so that a product adds nothing up across a register. */
enum { ANE_GEMV_PANEL = 16 };

/* Two numbers along k of 16 rows of a bf16 matrix. The pairs of a panel lie behind each other, and the panels; numbers and rows
 * that are not there are 0. */
typedef struct ane_gemv_pair {
    uint16_t numbers[ANE_GEMV_PANEL][2];
} ane_gemv_pair;

/* 64 numbers of 16 rows of an int8 matrix: four of a row beside four of the next, as w + 128. Those of rows that are not
 * there are 128, their scales 0. The groups of a panel of rows lie behind each other, and the panels. */
typedef struct ane_gemv_panel {
    uint8_t numbers[ANE_GEMV_GROUP / 4][ANE_GEMV_PANEL][4];
    float scales[ANE_GEMV_PANEL];
} ane_gemv_panel;

/* A vector in groups of 64 as int16 with a scale each, the last group filled up with zeros. */
enum { ANE_NARROW = 8192 }; /* numbers at a time */
typedef struct ane_gemv_narrow {
    union {
        int16_t numbers[ANE_NARROW];
        int8_t bytes[2 * ANE_NARROW]; /* the same for VNNI: the lower bytes of a group, then the upper ones */
    };
    float scales[ANE_NARROW / ANE_GEMV_GROUP];
    int32_t begin[ANE_NARROW / ANE_GEMV_GROUP]; /* of a group's sums: -128 times the sum of its numbers */
} ane_gemv_narrow;

/* What matrix-vector products are made of, once per instruction set (gemv.inc). */
typedef void ane_gemv_rows(
    const void *matrix, int64_t ld, const float *x, int64_t n, int64_t rows, float *out);
enum { ANE_GEMV_FLOATS = ANE_GEMV_INT8 }; /* formats of numbers on their own */
enum { ANE_GEMV_STREAMS = 2 };            /* rows (or panels) gone through side by side */
/* So many rows behind each other, from one place, or from two that are so many bytes apart. */
enum { ANE_GEMV_STEPS = 64 };
typedef struct ane_gemv_steps {
    const char *matrix;
    int64_t row_bytes, apart, steps;
    int streams;
} ane_gemv_steps;
typedef float ane_gemv_dots_out[ANE_GEMV_STEPS];
typedef struct ane_gemv_kernels {
    /* fp32: out[s][i] = row i of stream s times x[n] */
    void (*dots)(const ane_gemv_steps *p, const float *x, int64_t n, ane_gemv_dots_out *out);
    /* bf16: n panels of rows, one or two, `apart` pairs from each other, times x[k]: out[n][16]. */
    void (*panels)(const ane_gemv_pair *p, int64_t apart, const float *x, int64_t k, int n, float *out);
    void (*store_panel)(ane_gemv_pair *to, const float *x, int64_t rows, int64_t k); /* up to 16 rows of k */
    void (*round_bf16)(uint16_t *to, const float *x, int64_t n);
    ane_gemv_rows *many[ANE_GEMV_FLOATS];                       /* dots of many short rows */
    ane_gemv_rows *sums[ANE_GEMV_FLOATS];                       /* out[n] = sum of x[i] times row i */
    void (*axpy)(float *y, float a, const float *x, int64_t n); /* y += a * x */
} ane_gemv_kernels;

extern const ane_gemv_kernels ane_gemv_baseline, ane_gemv_avx2, ane_gemv_avx512;

/* The same of int8 matrices (gemv_int8.inc). */
typedef struct ane_gemv_int8_kernels {
    /* n panels of rows, one or two, `apart` groups from each other, times x: out[n][16]. */
    void (*panels)(
        const ane_gemv_panel *p, int64_t apart, const ane_gemv_narrow *x, int64_t groups, int n, float *out);
    void (*narrow)(ane_gemv_narrow *to, const float *x, int64_t n);
    void (*store)(ane_gemv_panel *to, const float *x, int64_t rows, int64_t k); /* up to 16 rows of k */
} ane_gemv_int8_kernels;

extern const ane_gemv_int8_kernels ane_gemv_int8_baseline, ane_gemv_int8_avx2, ane_gemv_int8_avx512,
    ane_gemv_int8_avx512vnni;

/* Products with m == 1 or n == 1, bound by reading the matrix once. */
void ane_gemv_run(const ane_gemm *g, int threads);

#endif
