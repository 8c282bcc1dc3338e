/* Products. Many small ones run side by side, a thread each; large ones use all threads inside. */
#include "device/cpu/plan.h"

#include "base/parallel.h"

#include <stdio.h>

typedef struct job {
    const cpu_gemm *s;
    const cpu_run *r;
    int threads; /* inside one product */
    float beta;
} job;

static float *address(const job *j, int operand, int64_t batch) {
    const cpu_gemm *s = j->s;
    int64_t offset = s->offset[operand];
    for (int d = s->batch_rank - 1; d >= 0; d--) {
        offset += batch % s->batch_dim[d] * s->batch_stride[operand][d];
        batch /= s->batch_dim[d];
    }
    return (float *)j->r->base[s->storage[operand]] + offset;
}

static void round_rows(const job *j, float *c, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) j->r->v->round_f16(c + row * j->s->g.ldc, j->s->g.n);
}

static void run_products(void *context, int64_t begin, int64_t end) {
    const job *j = context;
    for (int64_t b = begin; b < end; b++) {
        ane_gemm g = j->s->g;
        g.a = address(j, 0, b);
        g.b = address(j, 1, b);
        g.c = address(j, 2, b);
        g.beta = j->beta;
        ane_gemm_run(&g, j->threads);
        if (j->s->round && j->threads == 1) round_rows(j, g.c, 0, g.m);
    }
}

static void round_part(void *context, int64_t begin, int64_t end) {
    const job *j = context;
    int64_t m = j->s->g.m;
    for (int64_t row = begin; row < end;) {
        int64_t batch = row / m, last = (batch + 1) * m < end ? (batch + 1) * m : end;
        round_rows(j, address(j, 2, batch), row - batch * m, last - batch * m);
        row = last;
    }
}

static const double large = 3e7; /* operations of a product that is worth all threads */

static void run_small(const cpu_gemm *s, const job *j, const cpu_run *r) {
    const ane_packed_small p = {.kernel = s->packed,
        .format = s->small,
        .matrix = r->base[s->small_storage],
        .m = s->g.m,
        .n = s->g.n,
        .k = s->g.k,
        .b = r->base[s->storage[1]],
        .c = address(j, 2, 0),
        .ldc = s->g.ldc,
        .add = j->beta != 0};
    ane_packed_run_small(&p, r->threads);
}

static void run_packed(const cpu_gemm *s, const job *j, const cpu_run *r) {
    const ane_gemm *g = &s->g;
    if (s->small_storage >= 0 && r->base[s->small_storage]) {
        run_small(s, j, r);
        return;
    }
    const ane_packed_product p = {.kernel = s->packed,
        .m = g->m,
        .n = g->n,
        .k = g->k,
        .a = {address(j, 0, 0), g->transpose_a ? 1 : g->lda, g->transpose_a ? g->lda : 1},
        .b = r->base[s->storage[1]],
        .c = address(j, 2, 0),
        .ldc = g->ldc,
        .store = j->beta != 0 ? ANE_ADD : ANE_PUT};
    if (!s->slabs) {
        ane_packed_run(&p, r->threads);
        return;
    }
    const ane_packed_source b = {
        (const float *)r->base[s->slabs->in] + s->slabs->offset, s->slabs->stride, s->slabs->k_stride};
    ane_packed_run_slabs(&p, &b, r->base[s->slabs->out], r->threads);
}

static bool run_gemm(const void *data, const cpu_run *r, ane_error *e) {
    (void)e;
    const cpu_gemm *s = data;
    double each = 2.0 * (double)s->g.m * (double)s->g.n * (double)s->g.k;
    job j = {s, r, r->threads, s->output >= 0 && r->accumulate[s->output] ? 1 : 0};
    bool side_by_side = s->batch >= r->threads && s->batch > 1 && each < large;
    if (side_by_side) {
        j.threads = 1;
        int64_t grain = each > 1e5 ? 1 : (int64_t)(1e5 / (each + 1)) + 1;
        ane_parallel_for(s->batch, grain, r->threads, run_products, &j);
        return true;
    }
    if (s->packed)
        run_packed(s, &j, r);
    else
        run_products(&j, 0, s->batch);
    if (s->round && (s->packed || j.threads > 1))
        ane_parallel_for(s->batch * s->g.m, 1 + 16384 / (s->g.n + 1), r->threads, round_part, &j);
    return true;
}

static void describe_gemm(const void *data, char *text, size_t size) {
    const cpu_gemm *s = data;
    snprintf(text, size, "%lld x [%lld, %lld]%s [%lld, %lld]%s%s", (long long)s->batch, (long long)s->g.m,
        (long long)s->g.k, s->g.transpose_a ? "T" : "", (long long)s->g.k, (long long)s->g.n,
        s->g.transpose_b ? "T" : "", s->slabs ? ", packed in slabs" : "");
}

static cpu_work work_of_gemm(const void *data) {
    const cpu_gemm *s = data;
    double m = (double)s->g.m, n = (double)s->g.n, k = (double)s->g.k, b = (double)s->batch;
    double right = s->packed ? (double)ane_packed_bytes(s->packed, s->g.n, s->g.k) : 4 * k * n;
    return (cpu_work){2 * m * n * k * b, b * (4 * m * k + right + 4 * m * n)};
}

const cpu_step_type ane_cpu_gemm_step = {"gemm", run_gemm, describe_gemm, work_of_gemm};

double ane_cpu_gemm_spared(const cpu_step *step, void *const *base) {
    const cpu_gemm *s = step->data;
    if (step->type != &ane_cpu_gemm_step || !s->packed || s->small_storage < 0 || !base[s->small_storage])
        return 0;
    return 4 * (double)s->g.m * (double)s->g.k - (double)ane_gemv_bytes(s->small, s->g.m, s->g.k);
}

/* ---- packing ------------------------------------------------------------------------------------------- */

static bool run_pack(const void *data, const cpu_run *r, ane_error *e) {
    (void)e;
    const cpu_pack *s = data;
    const ane_packed_source from = {(const float *)r->base[s->in] + s->offset, s->stride, s->k_stride};
    ane_packed_pack(s->kernel, r->base[s->out], &from, s->n, s->k, r->threads);
    return true;
}

static void describe_pack(const void *data, char *text, size_t size) {
    const cpu_pack *s = data;
    snprintf(text, size, "[%lld, %lld]%s for %s", (long long)s->k, (long long)s->n,
        s->k_stride == 1 ? "T" : "", s->kernel->name);
}

static cpu_work work_of_pack(const void *data) {
    const cpu_pack *s = data;
    return (cpu_work){0, 4.0 * (double)s->n * (double)s->k + (double)ane_packed_bytes(s->kernel, s->n, s->k)};
}

const cpu_step_type ane_cpu_pack_step = {"pack", run_pack, describe_pack, work_of_pack};
