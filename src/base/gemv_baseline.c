/* Matrix-vector loops for any processor. */
#define KERNELS ane_gemv_baseline
#include "base/gemv.inc"
