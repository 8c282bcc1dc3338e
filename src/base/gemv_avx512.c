/* Matrix-vector loops for AVX-512. */
#define KERNELS ane_gemv_avx512
#include "base/gemv.inc"
