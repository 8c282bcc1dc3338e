/* packed_small.h - products of a weight that is kept small (gemv.h) with a right operand that is packed (packed.h): what is
 * read of the weight is two bytes a number, or one, where its master has four. */
#ifndef ANEMONE_BASE_PACKED_SMALL_H
#define ANEMONE_BASE_PACKED_SMALL_H

#include "base/gemv.h"
#include "base/packed.h"

/* Whether there are such products for this kernel (those of matrix tiles) and format. */
bool ane_packed_takes_small(const ane_packed_kernel *kernel, ane_gemv_format format);

/* C[m, n] (+)= W[m, k] B[k, n]; an int8 number times its scale is rounded to bf16. */
typedef struct ane_packed_small {
    const ane_packed_kernel *kernel;
    ane_gemv_format format;
    const void *matrix; /* of ane_gemv_store */
    int64_t m, n, k;
    const void *b; /* packed */
    float *c;
    int64_t ldc;
    bool add;
} ane_packed_small;

void ane_packed_run_small(const ane_packed_small *p, int threads);

#endif
