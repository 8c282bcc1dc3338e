/* How fast products of bf16 numbers can be: by dot products in vectors, and by tiles (AMX) where there are any. */
#include "base/peak.h"

#include "base/clock.h"
#include "base/parallel.h"
#include "base/processor.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* Compilers that know both instruction sets; the processor is asked when running. */
#if defined(__x86_64__) &&                                                                                   \
    ((defined(__GNUC__) && __GNUC__ >= 11) || (defined(__clang__) && __clang_major__ >= 11))
#define HAS_BF16 1
#include <immintrin.h>
#else
#define HAS_BF16 0
#endif

enum { BURSTS = 6 };

/* Works `rounds` rounds in registers; the result must be used, so that no compiler drops the work. */
typedef float burn_fn(int64_t rounds);

typedef struct unit {
    burn_fn *burn; /* NULL: there is none */
    int64_t rounds;
    double flops; /* a round */
} unit;

#if HAS_BF16
enum { CHAINS = 12, DOT_ROUNDS = 600000, TILE_ROUNDS = 60000, TILES = 4 };

__attribute__((target("avx512f,avx512bf16"))) static float burn_dots(int64_t rounds) {
    __m512 sum[CHAINS];
    __m512bh a = (__m512bh)_mm512_set1_epi32(0x3f803f80), b = (__m512bh)_mm512_set1_epi32(0x37803780);
    for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_set1_ps((float)i);
    for (int64_t r = 0; r < rounds; r++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_dpbf16_ps(sum[i], a, b);
    __m512 all = sum[0];
    for (int i = 1; i < CHAINS; i++) all = _mm512_add_ps(all, sum[i]);
    return _mm512_reduce_add_ps(all);
}

/* Four sums of 16 x 16, products of 16 x 32 and 32 x 16. */
__attribute__((target("amx-tile,amx-bf16"))) static float burn_tiles(int64_t rounds) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    float sum[16 * 16];
    for (int i = 0; i < 8; i++) shape.row_bytes[i] = 64, shape.rows[i] = 16;
    __asm__ volatile("ldtilecfg %0" : : "m"(shape));
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    for (int64_t r = 0; r < rounds; r++) {
        _tile_dpbf16ps(0, 4, 5);
        _tile_dpbf16ps(1, 4, 5);
        _tile_dpbf16ps(2, 4, 5);
        _tile_dpbf16ps(3, 4, 5);
    }
    _tile_stored(0, sum, 64);
    _tile_release();
    return sum[0];
}

static unit dots(void) {
    bool can = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bf16");
    return can ? (unit){burn_dots, DOT_ROUNDS, 2.0 * CHAINS * 32} : (unit){0};
}

static unit tiles(void) {
    return ane_processor_grants_tiles() ? (unit){burn_tiles, TILE_ROUNDS, 2.0 * TILES * 16 * 16 * 32}
                                        : (unit){0};
}
#else
static unit dots(void) {
    return (unit){0};
}

static unit tiles(void) {
    return (unit){0};
}
#endif

typedef struct burst {
    const unit *unit;
    volatile float *results; /* one per thread */
} burst;

static void run_part(void *context, int64_t begin, int64_t end) {
    const burst *b = context;
    for (int64_t i = begin; i < end; i++) b->results[i] = b->unit->burn(b->unit->rounds);
}

static double rate_of(unit u, int threads) {
    if (threads < 1) threads = 1;
    burst b = {.unit = &u, .results = u.burn ? calloc((size_t)threads, sizeof(float)) : NULL};
    if (!b.results) return 0;
    double best = 0;
    for (int i = 0; i < BURSTS; i++) {
        double start = ane_clock_ms();
        ane_parallel_for(threads, 1, threads, run_part, &b);
        double rate = 1e3 * u.flops * (double)u.rounds * threads / (ane_clock_ms() - start);
        best = rate > best ? rate : best;
    }
    free((void *)b.results);
    return best;
}

double ane_peak_bf16_flops(int threads) {
    double rate = rate_of(dots(), threads);
    return rate > 0 ? rate : ane_peak_flops(threads);
}

double ane_peak_tile_flops(int threads) {
    return rate_of(tiles(), threads);
}

double ane_peak_product_flops(bool bf16, int threads) {
    enum { PRODUCTS_OF_PARTS = 6 }; /* see packed_tiles.inc */
    double vectors = bf16 ? ane_peak_bf16_flops(threads) : ane_peak_flops(threads),
           tiles = ane_peak_tile_flops(threads) / (bf16 ? 1 : PRODUCTS_OF_PARTS);
    return tiles > vectors ? tiles : vectors;
}
