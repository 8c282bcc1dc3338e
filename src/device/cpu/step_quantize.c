/* step_quantize.c - in double precision, as the reference does, but on all threads and without a call per element. */
#include "device/cpu/plan.h"

#include "base/parallel.h"

#include <math.h>
#include <stdio.h>

typedef struct job {
    const cpu_quantize *q;
    const cpu_vectors *v;
    const void *in;
    void *out;
} job;

/* clip(round(x / scale) + zero_point), halves to even; what is no number is 0. */
static void quantize(const cpu_quantize *q, const float *x, double *y, int64_t n, double scale, double zero) {
    for (int64_t i = 0; i < n; i++) {
        double whole = nearbyint((double)x[i] / scale) + zero;
        whole = whole < q->low ? q->low : whole > q->high ? q->high : whole;
        y[i] = isnan(whole) ? 0 : whole;
    }
}

/* scale (x - zero_point) */
static void dequantize(const double *x, float *y, int64_t n, double scale, double zero) {
    for (int64_t i = 0; i < n; i++) y[i] = (float)(scale * (x[i] - zero));
}

/* Elements begin to end, in pieces that share scale and zero point. */
static void run_part(void *context, int64_t begin, int64_t end) {
    const job *j = context;
    const cpu_quantize *q = j->q;
    const bool whole = q->one_scale && q->one_zero;
    for (int64_t i = begin, stop; i < end; i = stop) {
        stop = whole || (i / q->inner + 1) * q->inner > end ? end : (i / q->inner + 1) * q->inner;
        const int64_t channel = i / q->inner % q->size, n = stop - i;
        const double scale = q->scale[q->one_scale ? 0 : channel],
                     zero = q->zero_point[q->one_zero ? 0 : channel];
        if (!q->to_float) {
            quantize(q, (const float *)j->in + i, (double *)j->out + i, n, scale, zero);
            continue;
        }
        float *y = (float *)j->out + i;
        dequantize((const double *)j->in + i, y, n, scale, zero);
        if (q->round) j->v->round_f16(y, n);
    }
}

static bool run_quantize(const void *data, const cpu_run *r, ane_error *e) {
    (void)e;
    const cpu_quantize *q = data;
    const size_t from = q->to_float ? sizeof(double) : sizeof(float),
                 to = q->to_float ? sizeof(float) : sizeof(double);
    job j = {q, r->v, (const char *)r->base[q->in.storage] + q->in.offset * (int64_t)from,
        (char *)r->base[q->out.storage] + q->out.offset * (int64_t)to};
    ane_parallel_for(ane_cpu_view_count(&q->in), 16384, r->threads, run_part, &j);
    return true;
}

static void describe_quantize(const void *data, char *text, size_t size) {
    const cpu_quantize *q = data;
    char shape[160];
    snprintf(text, size, "%s to %s", ane_cpu_view_print(&q->out, shape, sizeof shape),
        q->to_float ? "floats" : "whole numbers");
}

static cpu_work work_of_quantize(const void *data) {
    const cpu_quantize *q = data;
    return (cpu_work){.bytes = (double)(sizeof(float) + sizeof(double)) * (double)ane_cpu_view_count(&q->in)};
}

const cpu_step_type ane_cpu_quantize_step = {"quantize", run_quantize, describe_quantize, work_of_quantize};
