/* packed_small_avx512bf16.c - weights that are kept small as tiles of 16 rows of 32 numbers along k, two above each other. */
#define BF16 1
#include "base/gemm_impl.h"
#include "base/packed_impl.h"

#include "base/packed_layout.inc"

#include <stddef.h>

enum {
    TALL = 32,
    LINE = 64 /* bytes of a row of a tile */,
    NUMBERS = LINE / 2,
    STEP = TALL * LINE,
    AHEAD = SIDE
};

static void zeros(char *tile) {
    for (int64_t row = 0; row < SIDE; row++) _mm512_store_si512(tile + row * LINE, _mm512_setzero_si512());
}

/* A tile of so many pairs, which lie as lines of 16 rows; the next ones are asked for meanwhile. */
static inline __attribute__((always_inline)) void square_of_bf16(
    char *tile, const ane_gemv_pair *p, int64_t pairs) {
    __m512i v[SIDE];
#pragma GCC unroll 16
    for (int64_t i = 0; i < SIDE; i++) {
        _mm_prefetch((const char *)(p + AHEAD + i), _MM_HINT_T0);
        v[i] = i < pairs ? _mm512_loadu_si512(p + i) : _mm512_setzero_si512();
    }
    transpose_square(v);
#pragma GCC unroll 16
    for (int64_t i = 0; i < SIDE; i++) _mm512_store_si512(tile + i * LINE, v[i]);
}

void ane_packed_tiles_of_bf16(char *to, const ane_gemv_pair *const p[2], int64_t k) {
    for (int64_t l = 0; l < k; l += NUMBERS, to += STEP)
        for (int i = 0; i < 2; i++) {
            char *tile = to + (ptrdiff_t)i * SIDE * LINE;
            if (!p[i])
                zeros(tile);
            else if (k - l >= NUMBERS)
                square_of_bf16(tile, p[i] + l / 2, SIDE);
            else
                square_of_bf16(tile, p[i] + l / 2, (k - l + 1) / 2);
        }
}

/* 16 of a row's numbers, which are held as w + 128, times the row's scale. */
static inline __m512 sixteen(__m512i row, int part, __m512 scale, __m512 middle) {
    __m128i bytes = part == 0   ? _mm512_castsi512_si128(row)
                    : part == 1 ? _mm512_extracti32x4_epi32(row, 1)
                    : part == 2 ? _mm512_extracti32x4_epi32(row, 2)
                                : _mm512_extracti32x4_epi32(row, 3);
    return _mm512_fmsub_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)), scale, middle);
}

static void group_of_int8(char *to, const ane_gemv_panel *p) {
    __m512i v[SIDE];
#pragma GCC unroll 16
    for (int q = 0; q < SIDE; q++) v[q] = _mm512_loadu_si512(p->numbers[q]);
    transpose_square(v);
#pragma GCC unroll 16
    for (int r = 0; r < SIDE; r++) {
        __m512 scale = _mm512_set1_ps(p->scales[r]), middle = _mm512_mul_ps(scale, _mm512_set1_ps(128));
        for (int half = 0; half < 2; half++)
            _mm512_store_si512(to + (int64_t)half * STEP + (int64_t)r * LINE,
                (__m512i)_mm512_cvtne2ps_pbh(
                    sixteen(v[r], 2 * half + 1, scale, middle), sixteen(v[r], 2 * half, scale, middle)));
    }
}

/* One panel behind the other: with what a number takes here, one stream is faster. */
void ane_packed_tiles_of_int8(char *to, const ane_gemv_panel *const p[2], int64_t k) {
    for (int i = 0; i < 2; i++, to += (ptrdiff_t)SIDE * LINE)
        for (int64_t l = 0; l < k; l += ANE_GEMV_GROUP) {
            char *tile = to + l / NUMBERS * STEP;
            if (p[i])
                group_of_int8(tile, p[i] + l / ANE_GEMV_GROUP);
            else
                zeros(tile), zeros(tile + STEP);
        }
}
