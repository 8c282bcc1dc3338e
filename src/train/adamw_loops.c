#include "train/adamw_loops.h"

#include <float.h>
#include <math.h>

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 32 }; /* sums side by side: enough to hide how long an addition takes */

INLINE double squares(const float *x, int64_t n) {
    double lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += (double)x[i + j] * x[i + j];
    for (; i < n; i++) sum += (double)x[i] * x[i];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++) lane[j] += lane[j + half];
    return lane[0] + sum;
}

/* Processors take a hundred times longer over subnormal numbers, and a moment whose gradients stay zero (a
 * token that no longer occurs) would end as one for ever. */
INLINE float flush(float x) {
    return fabsf(x) < FLT_MIN ? 0.0f : x;
}

INLINE void update(const ane_adamw_factors *factors, float *restrict w, const float *restrict g,
    float *restrict m, float *restrict v, int64_t n) {
    const ane_adamw_factors f = *factors;
    for (int64_t i = 0; i < n; i++) {
        float grad = g[i] * f.clip;
        float mean = flush(m[i] + f.toward * (grad - m[i]));
        float square = flush(v[i] * f.beta2 + f.fresh * grad * grad);
        w[i] = w[i] * f.keep - f.step * (mean / (sqrtf(square) * f.root + f.epsilon));
        m[i] = mean;
        v[i] = square;
    }
}

/* The same loops for each instruction set that TARGET names. */
#define LOOPS(set, TARGET)                                                                                   \
    TARGET static double squares_##set(const float *x, int64_t n) {                                          \
        return squares(x, n);                                                                                \
    }                                                                                                        \
    TARGET static void update_##set(                                                                         \
        const ane_adamw_factors *f, float *w, const float *g, float *m, float *v, int64_t n) {               \
        update(f, w, g, m, v, n);                                                                            \
    }                                                                                                        \
    static const ane_adamw_loops loops_##set = {#set, squares_##set, update_##set};

#define ANY_PROCESSOR
LOOPS(baseline, ANY_PROCESSOR)
#if defined(__x86_64__)
#if defined(__clang__)
#define WIDE __attribute__((target("avx512f,avx512vl")))
#else /* gcc would take halves */
#define WIDE __attribute__((target("avx512f,avx512vl,prefer-vector-width=512")))
#endif
LOOPS(avx2, __attribute__((target("avx2"))))
LOOPS(avx512, WIDE)
#endif

int ane_adamw_loops_here(const ane_adamw_loops *loops[4]) {
    int n = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) loops[n++] = &loops_avx512;
    if (__builtin_cpu_supports("avx2")) loops[n++] = &loops_avx2;
#endif
    loops[n++] = &loops_baseline;
    return n;
}
