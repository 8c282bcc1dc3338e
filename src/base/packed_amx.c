/* packed_amx.c - blocks of 32 x 32 in four of AMX's tiles of 16 x 16, from two tiles of A and two of B. A tile of A is
 * 16 rows of 32 numbers along k; one of B 16 pairs along k of 16 columns. */
#define BF16 1
#include "base/packed_impl.h"

#include "base/packed_layout.inc"

#include <string.h>

enum { BLOCK = 32, TILE_UNITS = SIDE * SIDE, K_CHUNK = 384, N_CHUNK = 1024 };

static void begin(void) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } tiles;
    memset(&tiles, 0, sizeof tiles);
    tiles.palette = 1;
    for (int i = 0; i < 8; i++) tiles.row_bytes[i] = 64, tiles.rows[i] = 16;
    __asm__ volatile("ldtilecfg %0" : : "m"(tiles));
}

static void end(void) {
    _tile_release();
    _mm_sfence(); /* what went past the caches is there for everybody */
}

/* C is asked for before the products and needed after them. */
static void ask_for(const float *c, int64_t ldc) {
    for (int i = 0; i < BLOCK; i++) {
        __builtin_prefetch(c + i * ldc, 1);
        __builtin_prefetch(c + i * ldc + 16, 1);
    }
}

static void add_block(float *c, int64_t ldc, const float *sum) {
    for (int64_t i = 0; i < BLOCK; i++)
        for (int j = 0; j < BLOCK; j += 16)
            _mm512_storeu_ps(c + i * ldc + j,
                _mm512_add_ps(_mm512_loadu_ps(c + i * ldc + j), _mm512_load_ps(sum + i * BLOCK + j)));
}

static void stream_block(float *c, int64_t ldc, const float *sum) {
    for (int64_t i = 0; i < BLOCK; i++)
        for (int j = 0; j < BLOCK; j += 16)
            _mm512_stream_ps(c + i * ldc + j, _mm512_load_ps(sum + i * BLOCK + j));
}

static void store_tiles(float *c, int64_t ldc) {
    size_t row = (size_t)ldc * sizeof *c;
    _tile_stored(0, c, row);
    _tile_stored(1, c + 16, row);
    _tile_stored(2, c + 16 * ldc, row);
    _tile_stored(3, c + 16 * ldc + 16, row);
}

static void block(const void *a, const void *b, int64_t k, float *c, int64_t ldc, ane_packed_store store) {
    const char *left = a, *right = b;
    if (store != ANE_STREAM) ask_for(c, ldc);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t l = 0; l < k; l += 32, left += 2048, right += 2048) {
        _tile_loadd(4, left, 64);
        _tile_loadd(6, right, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, right + 1024, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, left + 1024, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    if (store == ANE_PUT) {
        store_tiles(c, ldc);
        return;
    }
    _Alignas(64) float sum[BLOCK * BLOCK];
    store_tiles(sum, BLOCK);
    (store == ANE_ADD ? add_block : stream_block)(c, ldc, sum);
}

static void pack_a(void *to, const float *x, int64_t stride, int64_t k_stride, int64_t n, int64_t k) {
    const layout w = {(int64_t)2 * TILE_UNITS, TILE_UNITS, SIDE, true, true};
    pack_panel(to, &w, BLOCK, x, stride, k_stride, n, k);
}

static void pack_b(void *to, const float *x, int64_t stride, int64_t k_stride, int64_t n, int64_t k) {
    const layout w = {(int64_t)2 * TILE_UNITS, TILE_UNITS, SIDE, false, true};
    pack_panel(to, &w, BLOCK, x, stride, k_stride, n, k);
}

const ane_packed_kernel ane_packed_amx = {
    .name = "amx",
    .rows = BLOCK,
    .columns = BLOCK,
    .bytes = 2,
    .k_step = 32,
    .k_chunk = K_CHUNK,
    .k_across = K_CHUNK,
    .k_square = SIDE * K_PER_UNIT,
    .n_chunk = N_CHUNK,
    .pack_a = pack_a,
    .pack_b = pack_b,
    .block = block,
    .block_of_rows = block,
    .begin = begin,
    .end = end,
};
