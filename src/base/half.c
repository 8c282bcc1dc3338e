#include "base/half.h"

/* Drop the bits of the significand that fp16 has no room for, rounding to nearest even. */
uint16_t ane_f16_from_f64(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    uint16_t sign = (uint16_t)(u >> 48 & 0x8000u);
    u &= 0x7fffffffffffffffu;
    if (u > 0x7ff0000000000000u) return sign | 0x7e00u; /* NaN */
    int exponent = (int)(u >> 52) - 1023;
    if (exponent >= 16) return sign | 0x7c00u;
    if (exponent < -25) return sign; /* below half the smallest subnormal, 2^-25 itself ties to zero */
    /* Units in the last place of the result: 2^(exponent - 10), but never finer than 2^-24. */
    int lowest = exponent < -14 ? -24 : exponent - 10;
    uint64_t significand =
        (u & 0xfffffffffffffu) | 0x10000000000000u; /* value = significand * 2^(exponent - 52) */
    int drop = lowest - (exponent - 52);            /* 42 .. 53 */
    uint64_t kept = significand >> drop, rest = significand & (((uint64_t)1 << drop) - 1);
    uint64_t half = (uint64_t)1 << (drop - 1);
    kept += rest > half || (rest == half && (kept & 1));
    /* `kept` carries into the exponent by itself: fp16's encodings are consecutive. */
    if (exponent < -14) return sign | (uint16_t)kept;
    return sign | (uint16_t)(((uint64_t)(exponent + 14) << 10) + kept);
}

uint16_t ane_f16_from_f32(float x) {
    return ane_f16_from_f64(x);
}

float ane_f32_from_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, magnitude = h & 0x7fffu;
    if (magnitude >= 0x7c00u) return ane_f32_from_bits(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    /* Shifted into place, the number is 2^-112 times too small; the product is exact, subnormals included. */
    float scaled = ane_f32_from_bits(magnitude << 13) * 0x1p+112f;
    return ane_f32_from_bits(sign | ane_bits_from_f32(scaled));
}

/* ---- arrays ------------------------------------------------------------------------------------------------------ */

/* narrow, widen, round: as many of the first elements as the machine's instructions take at once; they say how many. */
#if defined(__aarch64__)
#include <arm_neon.h>

/* GCC 12 makes loops of single conversions of what C says. */
static inline uint16x8_t narrow_8(const float *in) {
    float16x4_t low = vcvt_f16_f32(vld1q_f32(in));
    return vreinterpretq_u16_f16(vcvt_high_f16_f32(low, vld1q_f32(in + 4)));
}

static inline void widen_8(float *out, uint16x8_t h) {
    float16x8_t x = vreinterpretq_f16_u16(h);
    vst1q_f32(out, vcvt_f32_f16(vget_low_f16(x)));
    vst1q_f32(out + 4, vcvt_high_f32_f16(x));
}

static size_t narrow(uint16_t *out, const float *in, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) vst1q_u16(out + i, narrow_8(in + i));
    return i;
}

static size_t widen(float *out, const uint16_t *in, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) widen_8(out + i, vld1q_u16(in + i));
    return i;
}

static size_t round_some(float *out, const float *in, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) widen_8(out + i, narrow_8(in + i));
    return i;
}

#elif defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

/* The conversion instructions came with F16C, 2012. "avx2" stands for it: every processor with AVX2 has it, and clang 14
 * does not know its name. Asked for once a call, which costs nothing beside the loop. */
#define F16C __attribute__((target("avx,f16c")))

F16C static size_t narrow_f16c(uint16_t *out, const float *in, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128(
            (__m128i *)(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
    return i;
}

F16C static size_t widen_f16c(float *out, const uint16_t *in, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(in + i))));
    return i;
}

F16C static size_t round_f16c(float *out, const float *in, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i h = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT);
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(h));
    }
    return i;
}

static size_t narrow(uint16_t *out, const float *in, size_t n) {
    return __builtin_cpu_supports("avx2") ? narrow_f16c(out, in, n) : 0;
}

static size_t widen(float *out, const uint16_t *in, size_t n) {
    return __builtin_cpu_supports("avx2") ? widen_f16c(out, in, n) : 0;
}

static size_t round_some(float *out, const float *in, size_t n) {
    return __builtin_cpu_supports("avx2") ? round_f16c(out, in, n) : 0;
}

#else

static size_t narrow(uint16_t *out, const float *in, size_t n) {
    (void)out, (void)in, (void)n;
    return 0;
}

static size_t widen(float *out, const uint16_t *in, size_t n) {
    (void)out, (void)in, (void)n;
    return 0;
}

static size_t round_some(float *out, const float *in, size_t n) {
    (void)out, (void)in, (void)n;
    return 0;
}

#endif

void ane_f16_array_from_f32(uint16_t *out, const float *in, size_t n) {
    for (size_t i = narrow(out, in, n); i < n; i++) out[i] = ane_f16_from_f32(in[i]);
}

void ane_f32_array_from_f16(float *out, const uint16_t *in, size_t n) {
    for (size_t i = widen(out, in, n); i < n; i++) out[i] = ane_f32_from_f16(in[i]);
}

void ane_round_to_f16(float *out, const float *in, size_t n) {
    for (size_t i = round_some(out, in, n); i < n; i++) out[i] = ane_f32_from_f16(ane_f16_from_f32(in[i]));
}

void ane_bf16_array_from_f32(uint16_t *out, const float *in, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = ane_bf16_from_f32(in[i]);
}

void ane_f32_array_from_bf16(float *out, const uint16_t *in, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = ane_f32_from_bf16(in[i]);
}
