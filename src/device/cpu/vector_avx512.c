/* The inner loops for AVX-512. */
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#define VECTORS ane_cpu_vectors_avx512
#define VECTORS_NAME "avx512"
#include "device/cpu/vector.inc"
