/* Products of matrices with one vector: bound by reading the matrices, all of them in one go of the threads. */
#include "device/cpu/plan.h"

#include <stdio.h>

static ane_gemv product_of(const cpu_gemm *s, const cpu_run *r) {
    const float *base[3];
    for (int i = 0; i < 3; i++) base[i] = (const float *)r->base[s->storage[i]] + s->offset[i];
    return (ane_gemv){.format = s->small,
        .matrix = base[0],
        .rows = s->g.m,
        .k = s->g.k,
        .x = base[1],
        .y = (float *)(uintptr_t)base[2],
        .y_stride = s->g.ldc,
        .add = s->output >= 0 && r->accumulate[s->output]};
}

static bool run_gemvs(const void *data, const cpu_run *r, ane_error *e) {
    (void)e;
    const cpu_gemvs *s = data;
    ane_gemv products[CPU_GEMVS];
    for (int i = 0; i < s->n; i++) products[i] = product_of(s->product[i], r);
    ane_gemv_multiply(products, s->n, r->v->name, r->threads);
    return true;
}

static void describe_gemvs(const void *data, char *text, size_t size) {
    const cpu_gemvs *s = data;
    size_t n = 0;
    for (int i = 0; i < s->n && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s[%lld, %lld]", i ? " and " : "",
            (long long)s->product[i]->g.m, (long long)s->product[i]->g.k);
}

static cpu_work work_of_gemvs(const void *data) {
    const cpu_gemvs *s = data;
    cpu_work w = {0};
    for (int i = 0; i < s->n; i++) {
        const cpu_gemm *p = s->product[i];
        w.flops += 2 * (double)p->g.m * (double)p->g.k;
        w.bytes += (double)ane_gemv_bytes(p->small, p->g.m, p->g.k) + 4 * (double)(p->g.m + p->g.k);
    }
    return w;
}

const cpu_step_type ane_cpu_gemv_step = {"gemv", run_gemvs, describe_gemvs, work_of_gemvs};
