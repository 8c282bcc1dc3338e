/* Accelerate.h - what anemone uses of Apple's Accelerate, for cross builds without Apple's SDK (scripts/macos). On a Mac
 * the SDK's own header is used. Source: the BLAS standard's C interface. */
#ifndef ANEMONE_ACCELERATE_STUB_H
#define ANEMONE_ACCELERATE_STUB_H

enum CBLAS_ORDER { CblasRowMajor = 101, CblasColMajor = 102 };
enum CBLAS_TRANSPOSE { CblasNoTrans = 111, CblasTrans = 112, CblasConjTrans = 113 };

void cblas_sgemm(const enum CBLAS_ORDER order, const enum CBLAS_TRANSPOSE transpose_a,
    const enum CBLAS_TRANSPOSE transpose_b, const int m, const int n, const int k, const float alpha,
    const float *a, const int lda, const float *b, const int ldb, const float beta, float *c, const int ldc);

#endif
