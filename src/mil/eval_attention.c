/* Causal attention, also behind a cache, and its gradient, in double precision: query [B, K, R, E, S], key and value [B, K, 1, E, S];
 * position i sees positions 0 .. i. */
#include "mil/eval.h"
#include "mil/op_functions.h"

#include <math.h>
#include <stdlib.h>

typedef struct heads {
    int64_t units, group, size, length; /* B * K, R, E, S */
    double scale;
} heads;

static heads heads_of(const mil_eval_context *c) {
    const mil_type *q = &mil_eval_arg(c, "query")->type;
    return (heads){
        q->dim[0] * q->dim[1], q->dim[2], q->dim[3], q->dim[4], mil_arg_float(c->f, c->op, "scale", 1)};
}

/* x[:, i] . y[:, j] of two [E, S] matrices */
static double dot(const heads *h, const double *x, int64_t i, const double *y, int64_t j) {
    double sum = 0;
    for (int64_t e = 0; e < h->size; e++) sum += x[e * h->length + i] * y[e * h->length + j];
    return sum;
}

/* p[0 .. i] = softmax(scale q_i . k_j); returns the logarithm of the sum of the scores' exponentials. */
static double probabilities(const heads *h, const double *q, const double *k, int64_t i, double *p) {
    double highest = -INFINITY, sum = 0;
    for (int64_t j = 0; j <= i; j++) highest = fmax(highest, p[j] = h->scale * dot(h, q, i, k, j));
    for (int64_t j = 0; j <= i; j++) sum += p[j] = exp(p[j] - highest);
    for (int64_t j = 0; j <= i; j++) p[j] /= sum;
    // cppcheck-suppress invalidFunctionArg ; a position sees itself, so the sum is at least 1
    return highest + log(sum);
}

static double *scratch(int64_t n, ane_error *e) {
    double *p = calloc((size_t)n, sizeof *p);
    if (!p) ane_fail(e, ANE_ERROR_MEMORY, NULL, "no memory for %lld scores", (long long)n);
    return p;
}

static void head_forward(const heads *h, const double *q, const double *k, const double *v, double *out,
    double *statistics, double *p) {
    for (int64_t i = 0; i < h->length; i++) {
        statistics[i] = probabilities(h, q, k, i, p);
        for (int64_t e = 0; e < h->size; e++) {
            double sum = 0;
            for (int64_t j = 0; j <= i; j++) sum += p[j] * v[e * h->length + j];
            out[e * h->length + i] = sum;
        }
    }
}

bool mil_eval_causal_attention(const mil_eval_context *c, mil_array *out, ane_error *e) {
    heads h = heads_of(c);
    const double *q = mil_eval_arg(c, "query")->data, *k = mil_eval_arg(c, "key")->data,
                 *v = mil_eval_arg(c, "value")->data;
    int64_t matrix = h.size * h.length;
    double *p = scratch(h.length, e);
    bool ok = p && mil_eval_result(c, 0, out, e) && mil_eval_result(c, 1, out, e);
    for (int64_t n = 0; ok && n < h.units * h.group; n++)
        head_forward(&h, q + n * matrix, k + n / h.group * matrix, v + n / h.group * matrix,
            out[0].data + n * matrix, out[1].data + n * h.length, p);
    free(p);
    for (int r = 0; ok && r < 2; r++) mil_eval_keep_all(c, &out[r]);
    return ok;
}

/* ---- behind a cache ------------------------------------------------------------------------------------ */

/* Of one head: its new elements [E, S], the cache's [T, E]. */
typedef struct cached_head {
    const double *q, *k, *v, *k_cache, *v_cache;
    double *out;
} cached_head;

static void head_cached(const heads *h, const cached_head *x, int64_t past, double *p) {
    for (int64_t i = 0; i < h->length; i++) {
        double highest = -INFINITY, sum = 0;
        for (int64_t j = 0; j < past; j++) {
            p[j] = 0;
            for (int64_t e = 0; e < h->size; e++)
                p[j] += h->scale * x->q[e * h->length + i] * x->k_cache[j * h->size + e];
        }
        for (int64_t j = 0; j <= i; j++) p[past + j] = h->scale * dot(h, x->q, i, x->k, j);
        for (int64_t j = 0; j <= past + i; j++) highest = fmax(highest, p[j]);
        for (int64_t j = 0; j <= past + i; j++) sum += p[j] = exp(p[j] - highest);
        for (int64_t e = 0; e < h->size; e++) {
            double *y = &x->out[e * h->length + i];
            *y = 0;
            for (int64_t j = 0; j < past; j++) *y += p[j] / sum * x->v_cache[j * h->size + e];
            for (int64_t j = 0; j <= i; j++) *y += p[past + j] / sum * x->v[e * h->length + j];
        }
    }
}

bool mil_eval_cached_attention(const mil_eval_context *c, mil_array *out, ane_error *e) {
    heads h = heads_of(c);
    int64_t room = mil_eval_arg(c, "key_cache")->type.dim[2];
    double past = mil_eval_arg(c, "length")->data[0];
    if (!(past >= 0 && past <= (double)room))
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "length is %.0f; the cache has %lld positions", past,
            (long long)room);
    double *p = scratch(room + h.length, e);
    bool ok = p && mil_eval_result(c, 0, out, e);
    for (int64_t n = 0; ok && n < h.units * h.group; n++) {
        int64_t own = n * h.size * h.length, shared = n / h.group * h.size * h.length,
                kept = n / h.group * room * h.size;
        const cached_head x = {mil_eval_arg(c, "query")->data + own, mil_eval_arg(c, "key")->data + shared,
            mil_eval_arg(c, "value")->data + shared, mil_eval_arg(c, "key_cache")->data + kept,
            mil_eval_arg(c, "value_cache")->data + kept, out[0].data + own};
        head_cached(&h, &x, (int64_t)past, p);
    }
    free(p);
    if (ok) mil_eval_keep_all(c, &out[0]);
    return ok;
}

/* ---- the gradient -------------------------------------------------------------------------------------- */

/* With p the probabilities of row i and dp = d_i . v_j: ds = p (dp - sum p dp), dq = scale ds k, dk += scale ds q,
 * dv += p d. */
static void head_backward(
    const heads *h, const double *const in[4], double *const out[3], double *p, double *ds) {
    const double *q = in[0], *k = in[1], *v = in[2], *d = in[3];
    int64_t n = h->length;
    for (int64_t i = 0; i < n; i++) {
        double mean = 0;
        probabilities(h, q, k, i, p);
        for (int64_t j = 0; j <= i; j++) mean += p[j] * (ds[j] = dot(h, d, i, v, j));
        for (int64_t j = 0; j <= i; j++) ds[j] = h->scale * p[j] * (ds[j] - mean);
        for (int64_t e = 0; e < h->size; e++) {
            double sum = 0;
            for (int64_t j = 0; j <= i; j++) {
                sum += ds[j] * k[e * n + j];
                out[1][e * n + j] += ds[j] * q[e * n + i];
                out[2][e * n + j] += p[j] * d[e * n + i];
            }
            out[0][e * n + i] = sum;
        }
    }
}

bool mil_eval_causal_attention_gradient(const mil_eval_context *c, mil_array *out, ane_error *e) {
    heads h = heads_of(c);
    const double *q = mil_eval_arg(c, "query")->data, *k = mil_eval_arg(c, "key")->data,
                 *v = mil_eval_arg(c, "value")->data, *d = mil_eval_arg(c, "d_result")->data;
    int64_t matrix = h.size * h.length;
    double *p = scratch(2 * h.length, e);
    bool ok = p != NULL;
    for (int r = 0; ok && r < 3; r++) ok = mil_eval_result(c, r, out, e);
    for (int64_t i = 0; ok && i < h.units * matrix; i++) out[1].data[i] = out[2].data[i] = 0;
    for (int64_t n = 0; ok && n < h.units * h.group; n++) {
        int64_t own = n * matrix, shared = n / h.group * matrix;
        const double *in[4] = {q + own, k + shared, v + shared, d + own};
        double *const to[3] = {out[0].data + own, out[1].data + shared, out[2].data + shared};
        head_backward(&h, in, to, p, p + h.length);
    }
    free(p);
    for (int r = 0; ok && r < 3; r++) mil_eval_keep_all(c, &out[r]);
    return ok;
}
