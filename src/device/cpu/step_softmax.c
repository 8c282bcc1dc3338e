/* Softmax: row by row where the axis is contiguous, else a strip of columns at a time. */
#include "device/cpu/plan.h"

#include "base/parallel.h"

#include <math.h>
#include <stdio.h>

enum { STRIP = 256 };

void ane_cpu_softmax_make(cpu_softmax *s, const cpu_view *in, const cpu_view *out, int axis, bool round) {
    *s = (cpu_softmax){.storage = {in->storage, out->storage},
        .offset = {in->offset, out->offset},
        .n = in->dim[axis],
        .step = {in->stride[axis], out->stride[axis]},
        .round = round};
    s->by_rows = s->n == 1 || (s->step[0] == 1 && s->step[1] == 1);
    for (int i = 0; i < in->rank; i++) {
        if (i == axis) continue;
        s->dim[s->rank] = in->dim[i];
        s->stride[0][s->rank] = in->stride[i];
        s->stride[1][s->rank++] = out->stride[i];
    }
    s->rank = ane_cpu_collapse(s->rank, s->dim, 2, s->stride);
    for (int i = 0; !s->by_rows && i < s->rank; i++) /* the contiguous one last */
        if (s->stride[0][i] == 1 && s->stride[1][i] == 1) {
            int last = s->rank - 1;
            int64_t dim = s->dim[i], stride[2] = {s->stride[0][last], s->stride[1][last]};
            s->dim[i] = s->dim[last], s->dim[last] = dim;
            for (int v = 0; v < 2; v++) s->stride[v][i] = stride[v], s->stride[v][last] = 1;
            break;
        }
}

typedef struct job {
    const cpu_softmax *s;
    const cpu_run *r;
    int64_t strips;
} job;

/* The addresses of a line: number `i` over the first `rank` of the other dimensions. */
static void line(const job *j, int64_t i, int rank, const float **x, float **y) {
    const cpu_softmax *s = j->s;
    int64_t from = s->offset[0], to = s->offset[1];
    for (int d = rank - 1; d >= 0; d--) {
        from += i % s->dim[d] * s->stride[0][d];
        to += i % s->dim[d] * s->stride[1][d];
        i /= s->dim[d];
    }
    *x = (const float *)j->r->base[s->storage[0]] + from;
    *y = (float *)j->r->base[s->storage[1]] + to;
}

static void run_rows(void *context, int64_t begin, int64_t end) {
    const job *j = context;
    const cpu_vectors *v = j->r->v;
    int64_t n = j->s->n;
    for (int64_t i = begin; i < end; i++) {
        const float *x;
        float *y;
        line(j, i, j->s->rank, &x, &y);
        float sum = v->exp_sum(y, x, v->max(x, n), n);
        v->scale(y, 1 / sum, n);
        if (j->s->round) v->round_f16(y, n);
    }
}

static void run_strip(const job *j, const float *x, float *y, int64_t n) {
    const cpu_softmax *s = j->s;
    const cpu_vectors *v = j->r->v;
    float highest[STRIP], sum[STRIP];
    for (int64_t k = 0; k < n; k++) highest[k] = -INFINITY, sum[k] = 0;
    for (int64_t i = 0; i < s->n; i++) v->max_to(highest, x + i * s->step[0], n);
    for (int64_t i = 0; i < s->n; i++) v->exp_sum_to(y + i * s->step[1], x + i * s->step[0], highest, sum, n);
    for (int64_t k = 0; k < n; k++) sum[k] = 1 / sum[k];
    for (int64_t i = 0; i < s->n; i++) {
        float *row = y + i * s->step[1];
        for (int64_t k = 0; k < n; k++) row[k] *= sum[k];
        if (s->round) v->round_f16(row, n);
    }
}

static void run_columns(void *context, int64_t begin, int64_t end) {
    const job *j = context;
    int64_t width = j->s->dim[j->s->rank - 1];
    for (int64_t i = begin; i < end; i++) {
        const float *x;
        float *y;
        int64_t at = i % j->strips * STRIP, n = width - at < STRIP ? width - at : STRIP;
        line(j, i / j->strips, j->s->rank - 1, &x, &y);
        run_strip(j, x + at, y + at, n);
    }
}

static bool run_softmax(const void *data, const cpu_run *r, ane_error *e) {
    (void)e;
    const cpu_softmax *s = data;
    job j = {s, r, 1};
    int64_t lines = 1;
    for (int d = 0; d < s->rank - !s->by_rows; d++) lines *= s->dim[d];
    if (s->by_rows) {
        ane_parallel_pieces(lines, 1 + 8192 / s->n, r->threads, run_rows, &j);
        return true;
    }
    j.strips = (s->dim[s->rank - 1] + STRIP - 1) / STRIP;
    ane_parallel_pieces(lines * j.strips, 1 + 8192 / (s->n * STRIP), r->threads, run_columns, &j);
    return true;
}

static double elements(const cpu_softmax *s) {
    double count = (double)s->n;
    for (int d = 0; d < s->rank; d++) count *= (double)s->dim[d];
    return count;
}

static void describe_softmax(const void *data, char *text, size_t size) {
    const cpu_softmax *s = data;
    snprintf(text, size, "%.0f lines of %lld%s", elements(s) / (double)s->n, (long long)s->n,
        s->by_rows ? "" : ", side by side");
}

static cpu_work work_of_softmax(const void *data) {
    return (cpu_work){.bytes = 2 * sizeof(float) * elements(data)};
}

const cpu_step_type ane_cpu_softmax_step = {"softmax", run_softmax, describe_softmax, work_of_softmax};
