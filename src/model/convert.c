/* convert.c - floats as files hold them. */
#include "base/half.h"
#include "base/parallel.h"
#include "model/impl.h"

#include <string.h>

enum { CHUNK = 4096 };

typedef struct widen_job {
    float *out;
    const char *in;
    mil_dtype dtype;
} widen_job;

static void widen_part(void *context, int64_t begin, int64_t end) {
    const widen_job *j = context;
    if (j->dtype == MIL_FP32) {
        memcpy(j->out + begin, j->in + begin * 4, (size_t)(end - begin) * sizeof *j->out);
        return;
    }
    uint16_t aligned[CHUNK]; /* a file's data may lie at an odd address */
    for (int64_t at = begin; at < end; at += CHUNK) {
        size_t n = (size_t)(end - at < CHUNK ? end - at : CHUNK);
        memcpy(aligned, j->in + at * 2, n * sizeof *aligned);
        if (j->dtype == MIL_FP16)
            ane_f32_array_from_f16(j->out + at, aligned, n);
        else
            ane_f32_array_from_bf16(j->out + at, aligned, n);
    }
}

void ane_widen(float *out, const void *in, mil_dtype dtype, int64_t count) {
    const int64_t grain = 1 << 16;
    widen_job j = {out, in, dtype};
    /* Most of the time goes to pages touched for the first time, of a mapped file and of memory. */
    ane_parallel_for(count, grain, count < 2 * grain ? 1 : ane_cpu_count(), widen_part, &j);
}

void ane_narrow(void *out, const float *in, mil_dtype dtype, int64_t count) {
    if (dtype == MIL_FP32)
        memcpy(out, in, (size_t)count * sizeof *in);
    else if (dtype == MIL_FP16)
        ane_f16_array_from_f32(out, in, (size_t)count);
    else
        ane_bf16_array_from_f32(out, in, (size_t)count);
}
