/* The inner loops for AVX-512. */
#include <immintrin.h>

#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#define REG __m512
#define REG_LANES 16
#define REG_PANEL 4
#define REG_LOAD(p) _mm512_loadu_ps(p)
#define REG_STORE(p, x) _mm512_storeu_ps(p, x)
#define REG_ALL(x) _mm512_set1_ps(x)
#define REG_ZERO _mm512_setzero_ps()
#define REG_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define VECTORS ane_cpu_vectors_avx512
#define VECTORS_NAME "avx512"
#include "device/cpu/vector.inc"
