/* Products of bf16 pairs by AMX: tiles of 16 rows of 16 floats or pairs. Compiled for AVX-512; whether the processor has
 * AMX, and the system lets a process use it, is found out when a device is opened (pairs.c). */
#include "device/cpu/pairs.h"

#include <immintrin.h>

#define FOR_TILES __attribute__((target("amx-tile,amx-bf16")))
#define FOR_PAIRS __attribute__((target("avx512bf16")))

#define TILE INT64_C(16)
enum { ROW_BYTES = 64 };

/* What the LDTILECFG instruction takes. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

/* Constant, for compilers take the instruction to read its first bytes only. */
static const tile_config whole_tiles = {
    .palette = 1,
    .row_bytes = {ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES},
    .rows = {TILE, TILE, TILE, TILE, TILE, TILE, TILE, TILE},
};

FOR_TILES static void begin(void) {
    _tile_loadconfig(&whole_tiles);
}

FOR_TILES static void end(void) {
    _tile_release();
}

/* c [32, 32] (+)= a b: four tiles of sums, two of a, two of b. `n` and `k` are the rows of c and b, and of a. */
FOR_TILES static void square(int64_t n, int64_t k, const float *a, const float *b, float *c, bool add) {
    int64_t wide = n * 4, deep = k * 4; /* bytes of a row */
    if (add) {
        _tile_loadd(0, c, wide);
        _tile_loadd(1, c + TILE, wide);
        _tile_loadd(2, c + TILE * n, wide);
        _tile_loadd(3, c + TILE * n + TILE, wide);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t p = 0; p < k; p += TILE) {
        _tile_loadd(4, a + p, deep);
        _tile_loadd(6, b + p * n, wide);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + p * n + TILE, wide);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + TILE * k + p, deep);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, wide);
    _tile_stored(1, c + TILE, wide);
    _tile_stored(2, c + TILE * n, wide);
    _tile_stored(3, c + TILE * n + TILE, wide);
}

static void product(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c, bool add) {
    for (int64_t j = 0; j < n; j += 2 * TILE)
        for (int64_t i = 0; i < m; i += 2 * TILE) square(n, k, a + i * k, b + j, c + i * n + j, add);
}

/* 0, 16, 1, 17, ...: 16 bf16 of one row and 16 of the next, in pairs. */
FOR_PAIRS static inline __m512i interleaved(__m512 low, __m512 high) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23,
        7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

FOR_PAIRS static void down(float *d, const float *x, int64_t rows, int64_t n) {
    for (int64_t r = 0; r < rows / 2; r++)
        for (int64_t i = 0; i < n; i += TILE)
            _mm512_storeu_si512(d + r * n + i,
                interleaved(_mm512_loadu_ps(x + 2 * r * n + i), _mm512_loadu_ps(x + (2 * r + 1) * n + i)));
}

FOR_PAIRS static void across(float *d, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += TILE)
        _mm512_storeu_si512(d + i,
            (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 2 * i + TILE), _mm512_loadu_ps(x + 2 * i)));
}

const cpu_pairs ane_cpu_pairs_amx = {begin, end, product, down, across};
