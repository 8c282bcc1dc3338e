/* half.h - conversions between fp32, fp16 (IEEE binary16) and bf16, rounding to nearest even, on any processor.
 *
 * Scalars are inline. The array versions use the machine's conversion instructions where it has them; both give the
 * same bits, NaN payloads apart.
 */
#ifndef ANEMONE_BASE_HALF_H
#define ANEMONE_BASE_HALF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t ane_bits_from_f32(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float ane_f32_from_bits(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

uint16_t ane_f16_from_f32(float x);
float ane_f32_from_f16(uint16_t h);
/* Rounds once, from double straight to fp16: going through fp32 could round twice. */
uint16_t ane_f16_from_f64(double x);

static inline uint16_t ane_bf16_from_f32(float x) {
    uint32_t u = ane_bits_from_f32(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40u); /* keep a NaN a NaN */
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

static inline float ane_f32_from_bf16(uint16_t h) {
    return ane_f32_from_bits((uint32_t)h << 16);
}

void ane_f16_array_from_f32(uint16_t *out, const float *in, size_t n);
void ane_f32_array_from_f16(float *out, const uint16_t *in, size_t n);
void ane_bf16_array_from_f32(uint16_t *out, const float *in, size_t n);
void ane_f32_array_from_bf16(float *out, const uint16_t *in, size_t n);
/* Round every element to the nearest fp16 value, kept as fp32. In place is allowed. */
void ane_round_to_f16(float *out, const float *in, size_t n);

#endif
