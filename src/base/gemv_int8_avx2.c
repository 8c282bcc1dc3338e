/* int8 matrices times vectors, for AVX2 with FMA. */
#define KERNELS ane_gemv_int8_avx2
#include "base/gemv_int8.inc"
