/* int8 matrices times vectors, for any processor. */
#define KERNELS ane_gemv_int8_baseline
#include "base/gemv_int8.inc"
