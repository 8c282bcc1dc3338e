/* The inner loops for AVX2 with FMA and F16C. */
#include <immintrin.h>

#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#define REG __m256
#define REG_LANES 8
#define REG_PANEL 2
#define REG_LOAD(p) _mm256_loadu_ps(p)
#define REG_STORE(p, x) _mm256_storeu_ps(p, x)
#define REG_STREAM(p, x) _mm256_stream_ps(p, x)
#define REG_ALL(x) _mm256_set1_ps(x)
#define REG_ZERO _mm256_setzero_ps()
#define REG_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define VECTORS ane_cpu_vectors_avx2
#define VECTORS_NAME "avx2"
#include "device/cpu/vector.inc"
