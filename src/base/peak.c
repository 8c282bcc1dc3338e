#include "base/peak.h"

#include "base/clock.h"
#include "base/parallel.h"

#include <stdint.h>
#include <stdlib.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* Enough independent chains to hide the latency of a multiply-add (4 to 5 cycles) on two units. */
enum { CHAINS = 12, BURSTS = 6, ROUNDS = 1000000 };

/* A sanitizer would watch every number in its array, and the peak would be its own. */
#define UNWATCHED __attribute__((no_sanitize("address", "undefined", "thread")))

/* Run `rounds` times CHAINS vector multiply-adds; the result must be used, so that no compiler drops them. */
typedef float burn_fn(int64_t rounds);

typedef struct unit {
    const char *name;
    int lanes;
    burn_fn *burn;
} unit;

#if defined(__x86_64__)
UNWATCHED __attribute__((target("avx512f"))) static float burn_avx512(int64_t rounds) {
    __m512 sum[CHAINS], a = _mm512_set1_ps(0.999999f), b = _mm512_set1_ps(1e-6f);
    for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_set1_ps((float)i);
    for (int64_t r = 0; r < rounds; r++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
    __m512 all = sum[0];
    for (int i = 1; i < CHAINS; i++) all = _mm512_add_ps(all, sum[i]);
    return _mm512_reduce_add_ps(all);
}

UNWATCHED __attribute__((target("avx2,fma"))) static float burn_avx2(int64_t rounds) {
    __m256 sum[CHAINS], a = _mm256_set1_ps(0.999999f), b = _mm256_set1_ps(1e-6f);
    for (int i = 0; i < CHAINS; i++) sum[i] = _mm256_set1_ps((float)i);
    for (int64_t r = 0; r < rounds; r++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
    __m256 all = sum[0];
    for (int i = 1; i < CHAINS; i++) all = _mm256_add_ps(all, sum[i]);
    float lanes[8], total = 0;
    _mm256_storeu_ps(lanes, all);
    for (int i = 0; i < 8; i++) total += lanes[i];
    return total;
}
#elif defined(__aarch64__)
UNWATCHED static float burn_neon(int64_t rounds) {
    float32x4_t sum[CHAINS], a = vdupq_n_f32(0.999999f), b = vdupq_n_f32(1e-6f);
    for (int i = 0; i < CHAINS; i++) sum[i] = vdupq_n_f32((float)i);
    for (int64_t r = 0; r < rounds; r++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) sum[i] = vfmaq_f32(b, sum[i], a);
    float32x4_t all = sum[0];
    for (int i = 1; i < CHAINS; i++) all = vaddq_f32(all, sum[i]);
    return vaddvq_f32(all);
}
#endif

UNWATCHED static float burn_plain(int64_t rounds) {
    float sum[CHAINS], total = 0;
    for (int i = 0; i < CHAINS; i++) sum[i] = (float)i;
    for (int64_t r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++) sum[i] = sum[i] * 0.999999f + 1e-6f;
    for (int i = 0; i < CHAINS; i++) total += sum[i];
    return total;
}

static unit best_unit(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return (unit){"AVX-512", 16, burn_avx512};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return (unit){"AVX2", 8, burn_avx2};
#elif defined(__aarch64__)
    return (unit){"NEON", 4, burn_neon};
#endif
    return (unit){"plain C", 1, burn_plain};
}

const char *ane_peak_vectors(void) {
    return best_unit().name;
}

typedef struct burst {
    burn_fn *burn;
    volatile float *results; /* one per thread, used so that the work is done */
} burst;

static void run_part(void *context, int64_t begin, int64_t end) {
    const burst *b = context;
    for (int64_t i = begin; i < end; i++) b->results[i] = b->burn(ROUNDS);
}

double ane_peak_flops(int threads) {
    if (threads < 1) threads = 1;
    unit u = best_unit();
    burst b = {.burn = u.burn, .results = calloc((size_t)threads, sizeof(float))};
    if (!b.results) return 0;
    double best = 0, flops = 2.0 * ROUNDS * CHAINS * u.lanes * threads;
    for (int i = 0; i < BURSTS; i++) {
        double start = ane_clock_ms();
        ane_parallel_for(threads, 1, threads, run_part, &b);
        double rate = 1e3 * flops / (ane_clock_ms() - start);
        if (rate > best) best = rate;
    }
    free((void *)b.results);
    return best;
}

double ane_peak_undisturbed_flops(void) {
    const unit u = best_unit();
    volatile float result;
    double best = 0;
    for (int i = 0; i < BURSTS; i++) {
        double start = ane_thread_clock_ms();
        result = u.burn(ROUNDS);
        double rate = 1e3 * 2.0 * ROUNDS * CHAINS * u.lanes / (ane_thread_clock_ms() - start);
        if (rate > best) best = rate;
    }
    (void)result;
    return best;
}
