/* gemv.h - a matrix of weights kept small for products with a vector, which are bound by reading it. */
#ifndef ANEMONE_BASE_GEMV_H
#define ANEMONE_BASE_GEMV_H

#include <stdbool.h>
#include <stdint.h>

typedef enum ane_gemv_format {
    ANE_GEMV_F32,
    ANE_GEMV_BF16, /* rounded to nearest even */
    ANE_GEMV_INT8, /* 64 of a row share a scale, their largest magnitude / 127; rounded to nearest */
    ANE_GEMV_FORMATS
} ane_gemv_format;

enum { ANE_GEMV_GROUP = 64 };

/* Bytes of a row of k numbers on its own. */
int64_t ane_gemv_row_bytes(ane_gemv_format format, int64_t k);
/* Bytes of a matrix: rows behind each other in fp32, else interleaved, 16 of them at a time. */
int64_t ane_gemv_bytes(ane_gemv_format format, int64_t rows, int64_t k);
/* matrix[rows, k], packed, into the format. */
void ane_gemv_store(
    ane_gemv_format format, void *to, const float *matrix, int64_t rows, int64_t k, int threads);

/* to[n] = x[n] as bf16. */
void ane_gemv_round(uint16_t *to, const float *x, int64_t n);

/* y[rows] (+)= M x[k]. */
typedef struct ane_gemv {
    ane_gemv_format format;
    bool add; /* to what is in y; else y is not read */
    const void *matrix;
    int64_t rows, k;
    const float *x;
    float *y;
    int64_t y_stride;
} ane_gemv;
/* n of them, side by side. `vectors`: "avx512", "avx2", "baseline", NULL for the best that this processor has. */
void ane_gemv_multiply(const ane_gemv *products, int n, const char *vectors, int threads);

/* Many short rows of fp32 or bf16 numbers and one vector, in the calling thread: out[i] = row i . x[n], and out[n] = sum of
 * weights[i] times row i. Rows are `row_bytes` apart. */
void ane_gemv_dots(ane_gemv_format format, const void *matrix, int64_t row_bytes, int64_t rows, int64_t n,
    const float *x, float *out, const char *vectors);
void ane_gemv_sums(ane_gemv_format format, const void *matrix, int64_t row_bytes, int64_t rows, int64_t n,
    const float *weights, float *out, const char *vectors);

#endif
