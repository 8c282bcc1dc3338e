/* The inner loops for 64-bit ARM, whose NEON instructions include fused multiply-add. */
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#define VECTORS ane_cpu_vectors_neon
#define VECTORS_NAME "neon"
#include "device/cpu/vector.inc"
