/* int8 matrices times vectors, for AVX-512 with products of bytes. */
#define KERNELS ane_gemv_int8_avx512vnni
#include "base/gemv_int8.inc"
