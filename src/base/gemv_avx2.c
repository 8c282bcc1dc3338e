/* Matrix-vector loops for AVX2 with FMA. */
#define KERNELS ane_gemv_avx2
#include "base/gemv.inc"
