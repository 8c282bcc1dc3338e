/* convert.c - floats as files hold them. */
#include "base/half.h"
#include "model/impl.h"

#include <string.h>

enum { CHUNK = 4096 };

void ane_widen(float *out, const void *in, mil_dtype dtype, int64_t count) {
    if (dtype == MIL_FP32) {
        memcpy(out, in, (size_t)count * sizeof *out);
        return;
    }
    uint16_t aligned[CHUNK]; /* a file's data may lie at an odd address */
    for (int64_t at = 0; at < count; at += CHUNK) {
        size_t n = (size_t)(count - at < CHUNK ? count - at : CHUNK);
        memcpy(aligned, (const char *)in + at * 2, n * sizeof *aligned);
        if (dtype == MIL_FP16)
            ane_f32_array_from_f16(out + at, aligned, n);
        else
            ane_f32_array_from_bf16(out + at, aligned, n);
    }
}

void ane_narrow(void *out, const float *in, mil_dtype dtype, int64_t count) {
    if (dtype == MIL_FP32)
        memcpy(out, in, (size_t)count * sizeof *in);
    else if (dtype == MIL_FP16)
        ane_f16_array_from_f32(out, in, (size_t)count);
    else
        ane_bf16_array_from_f32(out, in, (size_t)count);
}
