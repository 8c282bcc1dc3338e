/* The inner loops for AVX2 with FMA and F16C. */
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#define VECTORS ane_cpu_vectors_avx2
#define VECTORS_NAME "avx2"
#include "device/cpu/vector.inc"
