/* int8 matrices times vectors, for AVX-512. */
#define KERNELS ane_gemv_int8_avx512
#include "base/gemv_int8.inc"
