/* Products of bf16 pairs by AMX: tiles of 16 rows of 16 floats or pairs. Compiled for AVX-512; whether the processor has
 * AMX, and the system lets a process use it, is found out when a device is opened (pairs.c). */
#include "device/cpu/attention.h"

#include <immintrin.h>

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

static void begin(void) {
    _tile_loadconfig(&whole_tiles);
}

static void end(void) {
    _tile_release();
}

/* c [32, 32] (+)= a b: four tiles of sums, two of a, two of b. Rows of a are `lda` apart, those of b and c `ld`. */
static void square(int64_t k, const float *a, int64_t lda, const float *b, float *c, int64_t ld, bool add) {
    int64_t wide = ld * 4, deep = lda * 4; /* bytes of a row */
    if (add) {
        _tile_loadd(0, c, wide);
        _tile_loadd(1, c + TILE, wide);
        _tile_loadd(2, c + TILE * ld, wide);
        _tile_loadd(3, c + TILE * ld + TILE, wide);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t p = 0; p < k; p += TILE) {
        _tile_loadd(4, a + p, deep);
        _tile_loadd(6, b + p * ld, wide);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + p * ld + TILE, wide);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + TILE * lda + p, deep);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, wide);
    _tile_stored(1, c + TILE, wide);
    _tile_stored(2, c + TILE * ld, wide);
    _tile_stored(3, c + TILE * ld + TILE, wide);
}

static void product(int64_t m, int64_t n, int64_t k, const float *a, int64_t am, int64_t ak, const float *b,
    float *c, int64_t ld, bool add) {
    (void)ak;
    for (int64_t j = 0; j < n; j += 2 * TILE)
        for (int64_t i = 0; i < m; i += 2 * TILE) square(k, a + i * am, am, b + j, c + i * ld + j, ld, add);
}

const cpu_pairs ane_cpu_pairs_amx = {.name = "amx",
    .multiple = 2 * TILE,
    .part = CPU_BLOCK,
    .begin = begin,
    .end = end,
    .product = product,
    .down = ane_cpu_pairs_down,
    .across = ane_cpu_pairs_across};
