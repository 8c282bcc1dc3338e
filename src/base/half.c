#include "base/half.h"

#if defined(__aarch64__)
#define HAVE_FP16_TYPE 1
#endif

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

#if defined(HAVE_FP16_TYPE)

/* Simple loops over __fp16: compilers turn them into fcvtn and fcvtl. */
/* "avx2" stands for F16C, which every processor with AVX2 has and whose name clang 14 does not know. */
void ane_f16_array_from_f32(uint16_t *out, const float *in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        __fp16 h = (__fp16)in[i];
        memcpy(&out[i], &h, 2);
    }
}

void ane_f32_array_from_f16(float *out, const uint16_t *in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        __fp16 h;
        memcpy(&h, &in[i], 2);
        out[i] = (float)h;
    }
}

void ane_round_to_f16(float *out, const float *in, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (float)(__fp16)in[i];
}

#elif defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

/* The conversion instructions came with F16C, 2012: asked for once a call, which costs nothing beside the
 * loop. */
__attribute__((target("avx,f16c"))) static size_t narrow_f16c(uint16_t *out, const float *in, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128(
            (__m128i *)(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
    return i;
}

__attribute__((target("avx,f16c"))) static size_t widen_f16c(float *out, const uint16_t *in, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(in + i))));
    return i;
}

__attribute__((target("avx,f16c"))) static size_t round_f16c(float *out, const float *in, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i h = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT);
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(h));
    }
    return i;
}

/* "avx2" stands for F16C, which every processor with AVX2 has and whose name clang 14 does not know. */
void ane_f16_array_from_f32(uint16_t *out, const float *in, size_t n) {
    size_t i = __builtin_cpu_supports("avx2") ? narrow_f16c(out, in, n) : 0;
    for (; i < n; i++) out[i] = ane_f16_from_f32(in[i]);
}

void ane_f32_array_from_f16(float *out, const uint16_t *in, size_t n) {
    size_t i = __builtin_cpu_supports("avx2") ? widen_f16c(out, in, n) : 0;
    for (; i < n; i++) out[i] = ane_f32_from_f16(in[i]);
}

void ane_round_to_f16(float *out, const float *in, size_t n) {
    size_t i = __builtin_cpu_supports("avx2") ? round_f16c(out, in, n) : 0;
    for (; i < n; i++) out[i] = ane_f32_from_f16(ane_f16_from_f32(in[i]));
}

#else

/* "avx2" stands for F16C, which every processor with AVX2 has and whose name clang 14 does not know. */
void ane_f16_array_from_f32(uint16_t *out, const float *in, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = ane_f16_from_f32(in[i]);
}

void ane_f32_array_from_f16(float *out, const uint16_t *in, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = ane_f32_from_f16(in[i]);
}

void ane_round_to_f16(float *out, const float *in, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = ane_f32_from_f16(ane_f16_from_f32(in[i]));
}

#endif

void ane_bf16_array_from_f32(uint16_t *out, const float *in, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = ane_bf16_from_f32(in[i]);
}

void ane_f32_array_from_bf16(float *out, const uint16_t *in, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = ane_f32_from_bf16(in[i]);
}
