/* Attention of one new position behind a cache: a head at a time, its keys and values read once, as they lie. */
#include "device/cpu/attention.h"

#include "base/ask.h"
#include "base/parallel.h"

#include <stdio.h>

typedef struct job {
    const cpu_cached *c;
    const cpu_run *r;
    int64_t past;
} job;

static float *element(const job *j, const cpu_view *v, int64_t group, int64_t head) {
    return (float *)j->r->base[v->storage] + v->offset + group * v->stride[1] + head * v->stride[2];
}

static const char *cache(const job *j, int which, int64_t group) {
    const cpu_cached *c = j->c;
    int64_t element = c->format == ANE_GEMV_BF16 ? 2 : 4;
    return (const char *)j->r->base[c->cache[which]] + group * c->room * c->size * element;
}

static void ask_for(const char *from, int64_t bytes) {
    enum { LINE = 64 };
    const bool second = ane_asks_second_cache();
    for (int64_t at = 0; at < bytes; at += LINE) ane_ask_for(from + at, second);
}

/* Scores of past keys. The next keys are asked for meanwhile, and as many values. */
static void score(const job *j, int64_t group, const float *q, float *p) {
    enum { AT_ONCE = 16 };
    const cpu_cached *c = j->c;
    const char *keys = cache(j, 0, group), *values = cache(j, 1, group);
    int64_t row_bytes = ane_gemv_row_bytes(c->format, c->size);
    for (int64_t i = 0; i < j->past; i += AT_ONCE) {
        int64_t n = j->past - i < AT_ONCE ? j->past - i : AT_ONCE;
        bool more = i + n < j->past;
        if (more || group + 1 < c->groups)
            ask_for(more ? keys + (i + n) * row_bytes : cache(j, 0, group + 1), n * row_bytes);
        ask_for(values + i * row_bytes, n * row_bytes);
        ane_gemv_dots(c->format, keys + i * row_bytes, row_bytes, n, c->size, q, p + i, j->r->v->name);
    }
}

/* softmax(scale q . keys) times values: the past ones', and the new one's. */
static void run_head(const job *j, int64_t unit) {
    const cpu_cached *c = j->c;
    const cpu_vectors *v = j->r->v;
    int64_t group = unit / c->group, head = unit % c->group, n = j->past,
            row_bytes = ane_gemv_row_bytes(c->format, c->size);
    const float *q = element(j, &c->query, group, head), *k = element(j, &c->key, group, 0),
                *value = element(j, &c->value, group, 0);
    float *out = element(j, &c->result, group, head),
          *p = (float *)j->r->base[c->scratch] + unit * (c->room + 1);
    score(j, group, q, p);
    ane_gemv_dots(ANE_GEMV_F32, k, 0, 1, c->size, q, p + n, v->name);
    v->scale(p, c->scale, n + 1);
    float sum = v->exp_sum(p, p, v->max(p, n + 1), n + 1);
    ane_gemv_sums(c->format, cache(j, 1, group), row_bytes, n, c->size, p, out, v->name);
    for (int64_t i = 0; i < c->size; i++) out[i] = (out[i] + p[n] * value[i]) / sum;
}

static void run_heads(void *context, int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; unit++) run_head(context, unit);
}

static bool run_cached(const void *data, const cpu_run *r, ane_error *e) {
    const cpu_cached *c = data;
    double past = *(const double *)r->base[c->length];
    if (!(past >= 0 && past <= (double)c->room))
        return ane_fail(e, ANE_ERROR_ARGUMENT, "operation cached_attention",
            "length is %.0f; the cache has %lld positions", past, (long long)c->room);
    job j = {c, r, (int64_t)past};
    int64_t heads = c->groups * c->group, each = 2 * (j.past + 1) * c->size;
    ane_parallel_pieces(heads, 1 + 16384 / each, r->threads, run_heads, &j);
    return true;
}

static void describe_cached(const void *data, char *text, size_t size) {
    const cpu_cached *c = data;
    snprintf(text, size, "%lld heads (%lld of keys) of %lld, up to %lld%s positions before",
        (long long)c->groups * c->group, (long long)c->groups, (long long)c->size, (long long)c->room,
        c->format == ANE_GEMV_BF16 ? " bf16" : "");
}

/* As if the cache were full. */
static cpu_work work_of_cached(const void *data) {
    const cpu_cached *c = data;
    double keys = (double)(c->room + 1) * (double)c->size;
    return (cpu_work){4 * keys * (double)(c->groups * c->group),
        2 * (double)c->groups * (double)(c->room * ane_gemv_row_bytes(c->format, c->size))};
}

const cpu_step_type ane_cpu_cached_step = {"attend 1", run_cached, describe_cached, work_of_cached};
