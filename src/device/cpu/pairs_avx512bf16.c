/* Products of bf16 pairs by dot products in vectors, which round sums to the nearest and take denormal numbers for zeros. The
 * roundings here serve tiles, too. */
#include "device/cpu/pairs.h"

#include <immintrin.h>
#include <stddef.h>

#define REG __m512
#define REG_LANES 16
#define REG_PANEL 4
#define REG_LOAD(p) _mm512_loadu_ps(p)
#define REG_STORE(p, x) _mm512_storeu_ps(p, x)
#define REG_ALL(x) _mm512_set1_ps(x)
#define REG_ZERO _mm512_setzero_ps()
#define REG_FMA(a, b, c) _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))
#include "device/cpu/block_product.inc"

static void nothing(void) {}

/* 0, 16, 1, 17, ...: 16 bf16 of one row and 16 of the next, in pairs. */
static inline __m512i interleaved(__m512 low, __m512 high) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23,
        7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

void ane_cpu_pairs_down(float *d, const float *x, int64_t rows, int64_t n) {
    for (int64_t r = 0; r < rows / 2; r++)
        for (int64_t i = 0; i < n; i += REG_LANES)
            _mm512_storeu_si512(d + r * n + i,
                interleaved(_mm512_loadu_ps(x + 2 * r * n + i), _mm512_loadu_ps(x + (2 * r + 1) * n + i)));
}

void ane_cpu_pairs_across(float *d, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += REG_LANES)
        _mm512_storeu_si512(d + i,
            (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 2 * i + REG_LANES), _mm512_loadu_ps(x + 2 * i)));
}

const cpu_pairs ane_cpu_pairs_avx512bf16 = {.name = "avx512bf16",
    .multiple = 16,
    .part = 16,
    .begin = nothing,
    .end = nothing,
    .product = product,
    .down = ane_cpu_pairs_down,
    .across = ane_cpu_pairs_across};
