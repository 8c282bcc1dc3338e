/* Copies between layouts, gathers, and conversions at the boundary. */
#include "device/cpu/plan.h"

#include "base/half.h"
#include "base/parallel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- copies -------------------------------------------------------------------------------------------- */

void ane_cpu_move_make(cpu_move *m, const cpu_view *in, const cpu_view *out, cpu_kind kind) {
    int64_t strides[2][MIL_MAX_RANK];
    *m = (cpu_move){
        .in = *in, .out = *out, .elem = kind == CPU_F32 ? (int)sizeof(float) : (int)sizeof(double)};
    memcpy(strides[0], in->stride, sizeof strides[0]);
    memcpy(strides[1], out->stride, sizeof strides[1]);
    int rank = ane_cpu_collapse(in->rank, m->out.dim, 2, strides);
    m->in.rank = m->out.rank = rank;
    for (int i = 1; i < rank; i++) /* larger steps of the output outside */
        for (int k = i; k > 0 && strides[1][k - 1] < strides[1][k]; k--) {
            int64_t dim = m->out.dim[k], a = strides[0][k], b = strides[1][k];
            m->out.dim[k] = m->out.dim[k - 1], strides[0][k] = strides[0][k - 1],
            strides[1][k] = strides[1][k - 1];
            m->out.dim[k - 1] = dim, strides[0][k - 1] = a, strides[1][k - 1] = b;
        }
    rank = ane_cpu_collapse(rank, m->out.dim, 2, strides);
    m->in.rank = m->out.rank = rank;
    memcpy(m->in.dim, m->out.dim, sizeof m->in.dim);
    memcpy(m->in.stride, strides[0], sizeof strides[0]);
    memcpy(m->out.stride, strides[1], sizeof strides[1]);
}

typedef struct move_job {
    const cpu_move *m;
    const cpu_run *r;
    int inner; /* dimensions that one unit covers: the last, or the last two for a transpose */
} move_job;

static void copy_line(const cpu_move *m, const char *x, char *y) {
    int last = m->out.rank - 1;
    int64_t n = m->out.dim[last], from = m->in.stride[last], to = m->out.stride[last];
    if (from == 1 && to == 1) {
        memcpy(y, x, (size_t)(n * m->elem));
    } else if (m->elem == sizeof(float)) {
        const float *a = (const float *)(const void *)x;
        float *b = (float *)(void *)y;
        for (int64_t i = 0; i < n; i++) b[i * to] = a[i * from];
    } else {
        const double *a = (const double *)(const void *)x;
        double *b = (double *)(void *)y;
        for (int64_t i = 0; i < n; i++) b[i * to] = a[i * from];
    }
}

/* out [n, m] = in [m, n] transposed: both are walked along cache lines. */
static bool is_transpose(const cpu_move *m) {
    int r = m->out.rank;
    return r >= 2 && m->elem == sizeof(float) && m->out.stride[r - 1] == 1 && m->in.stride[r - 2] == 1 &&
           m->in.stride[r - 1] > 1;
}

static void run_units(void *context, int64_t begin, int64_t end) {
    const move_job *j = context;
    const cpu_move *m = j->m;
    int outer = m->out.rank - j->inner;
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t from = m->in.offset, to = m->out.offset, i = unit;
        for (int d = outer - 1; d >= 0; d--) {
            from += i % m->out.dim[d] * m->in.stride[d];
            to += i % m->out.dim[d] * m->out.stride[d];
            i /= m->out.dim[d];
        }
        const char *x = (const char *)j->r->base[m->in.storage] + from * m->elem;
        char *y = (char *)j->r->base[m->out.storage] + to * m->elem;
        if (j->inner == 2)
            j->r->v->transpose((float *)(void *)y, m->out.stride[outer], (const float *)(const void *)x,
                m->in.stride[outer + 1], m->out.dim[outer + 1], m->out.dim[outer]);
        else
            copy_line(m, x, y);
    }
}

static bool run_move(const void *data, const cpu_run *r, ane_error *e) {
    (void)e;
    const cpu_move *m = data;
    move_job j = {m, r, is_transpose(m) ? 2 : 1};
    int64_t units = 1, each = 1;
    for (int d = 0; d < m->out.rank; d++) *(d < m->out.rank - j.inner ? &units : &each) *= m->out.dim[d];
    ane_parallel_pieces(units, 1 + 32768 / each, r->threads, run_units, &j);
    return true;
}

static void describe_move(const void *data, char *text, size_t size) {
    const cpu_move *m = data;
    char shape[160];
    snprintf(text, size, "%s%s", ane_cpu_view_print(&m->out, shape, sizeof shape),
        is_transpose(m) ? " transposed" : "");
}

static cpu_work work_of_move(const void *data) {
    const cpu_move *m = data;
    return (cpu_work){.bytes = 2.0 * m->elem * (double)ane_cpu_view_count(&m->out)};
}

const cpu_step_type ane_cpu_move_step = {"copy", run_move, describe_move, work_of_move};

/* ---- gather -------------------------------------------------------------------------------------------- */

static bool run_gather(const void *data, const cpu_run *r, ane_error *e) {
    const cpu_gather *g = data;
    const double *indices = (const double *)r->base[g->indices.storage] + g->indices.offset;
    const char *x = (const char *)r->base[g->in.storage] + g->in.offset * g->elem;
    char *y = (char *)r->base[g->out.storage] + g->out.offset * g->elem;
    size_t bytes = (size_t)(g->inner * g->elem);
    for (int64_t i = 0; i < g->n_indices; i++) {
        double at = indices[i] < 0 && g->negative_wraps ? indices[i] + (double)g->size : indices[i];
        if (!(at >= 0 && at < (double)g->size))
            return ane_fail(e, ANE_ERROR_ARGUMENT, "operation gather",
                "indices[%lld] is %.17g, but the axis has %lld elements", (long long)i, indices[i],
                (long long)g->size);
        for (int64_t o = 0; o < g->outer; o++)
            memcpy(y + (size_t)(o * g->n_indices + i) * bytes,
                x + (size_t)(o * g->size + (int64_t)at) * bytes, bytes);
    }
    return true;
}

static void describe_gather(const void *data, char *text, size_t size) {
    const cpu_gather *g = data;
    snprintf(text, size, "%lld of %lld rows of %lld", (long long)g->n_indices, (long long)g->size,
        (long long)g->inner);
}

static cpu_work work_of_gather(const void *data) {
    const cpu_gather *g = data;
    return (cpu_work){.bytes = 2.0 * g->elem * (double)(g->outer * g->n_indices * g->inner)};
}

const cpu_step_type ane_cpu_gather_step = {"gather", run_gather, describe_gather, work_of_gather};

/* ---- conversions --------------------------------------------------------------------------------------- */

typedef struct convert_job {
    const cpu_convert *c;
    const cpu_run *r;
    bool is_float; /* held as fp32 */
} convert_job;

static void from_raw(const convert_job *j, const char *raw, char *ours, int64_t begin, int64_t n) {
    const cpu_convert *c = j->c;
    float *f = (float *)(void *)ours + begin;
    mil_type type = mil_scalar(c->dtype);
    if (c->dtype == MIL_FP16) {
        ane_f32_array_from_f16(f, (const uint16_t *)(const void *)raw + begin, (size_t)n);
        return; /* rounded already */
    }
    if (c->dtype == MIL_FP32)
        memcpy(f, raw + begin * 4, (size_t)n * 4);
    else if (c->dtype == MIL_BF16)
        ane_f32_array_from_bf16(f, (const uint16_t *)(const void *)raw + begin, (size_t)n);
    else if (j->is_float)
        for (int64_t i = 0; i < n; i++) f[i] = (float)mil_constant_at(&type, raw, begin + i);
    else
        for (int64_t i = begin; i < begin + n; i++)
            ((double *)(void *)ours)[i] = mil_constant_at(&type, raw, i);
    if (c->round && j->is_float) j->r->v->round_f16(f, n);
}

static void to_raw(const convert_job *j, char *raw, const char *ours, int64_t begin, int64_t n) {
    const cpu_convert *c = j->c;
    const float *f = (const float *)(const void *)ours;
    mil_type type = mil_scalar(c->dtype);
    if (c->dtype == MIL_FP16)
        ane_f16_array_from_f32((uint16_t *)(void *)raw + begin, f + begin, (size_t)n);
    else if (c->dtype == MIL_FP32)
        memcpy(raw + begin * 4, f + begin, (size_t)n * 4);
    else if (c->dtype == MIL_BF16)
        ane_gemv_round((uint16_t *)(void *)raw + begin, f + begin, n);
    else
        for (int64_t i = begin; i < begin + n; i++)
            mil_constant_set(
                &type, raw, i, j->is_float ? (double)f[i] : ((const double *)(const void *)ours)[i]);
}

static void convert_part(void *context, int64_t begin, int64_t end) {
    const convert_job *j = context;
    char *raw = j->r->base[j->c->raw], *ours = j->r->base[j->c->view.storage];
    ours += j->c->view.offset * (j->is_float ? 4 : 8);
    if (j->c->to_raw)
        to_raw(j, raw, ours, begin, end - begin);
    else
        from_raw(j, raw, ours, begin, end - begin);
}

static bool run_convert(const void *data, const cpu_run *r, ane_error *e) {
    (void)e;
    const cpu_convert *c = data;
    convert_job j = {c, r, ane_cpu_kind_of(c->dtype) == CPU_F32};
    ane_parallel_for(
        c->count, 16384, r->threads, convert_part, &j); /* whole bytes of sub-byte types in a part */
    return true;
}

static void describe_convert(const void *data, char *text, size_t size) {
    const cpu_convert *c = data;
    snprintf(text, size, "%s %s, %lld elements", c->to_raw ? "to" : "from", mil_dtype_name(c->dtype),
        (long long)c->count);
}

static cpu_work work_of_convert(const void *data) {
    const cpu_convert *c = data;
    mil_type type = mil_tensor(c->dtype, 1, &c->count);
    return (cpu_work){.bytes = 4.0 * (double)c->count + (double)mil_type_bytes(&type)};
}

const cpu_step_type ane_cpu_convert_step = {"convert", run_convert, describe_convert, work_of_convert};
