/* AdamW (Loshchilov and Hutter, arXiv:1711.05101) with the arithmetic of torch.optim.AdamW, in two streaming
 * passes over one block of memory: both are bound by memory, so what matters is that each number is touched
 * once. */
#include "anemone/train.h"

#include "base/parallel.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK =
        4096, /* floats in one partial sum: fixed, so that the sum does not depend on the number of threads */
    LANES = 8,
};

ane_adamw *ane_adamw_new(const ane_model_config *c, const ane_adamw_options *options, ane_error *e) {
    ane_adamw *o = calloc(1, sizeof *o);
    if (!o) {
        ane_fail(e, ANE_ERROR_MEMORY, "optimizer", "Out of memory.");
        return NULL;
    }
    o->options = *options;
    if ((o->m = ane_weights_new(c, e)) && (o->v = ane_weights_new(c, e))) {
        o->partials = calloc((size_t)(o->m->count / CHUNK + 1), sizeof *o->partials);
        if (o->partials) return o;
        ane_fail(e, ANE_ERROR_MEMORY, "optimizer", "Out of memory for %lld weights.", (long long)o->m->count);
    }
    ane_adamw_free(o);
    return NULL;
}

void ane_adamw_free(ane_adamw *o) {
    if (!o) return;
    ane_weights_free(o->m);
    ane_weights_free(o->v);
    free(o->partials);
    free(o);
}

/* One call of ane_adamw_update. */
typedef struct update {
    ane_adamw *optimizer;
    float *w, *g;
    float clip;                  /* factor on the gradients: scale and clipping in one */
    float step_size, root_scale; /* lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t) */
    float lr;
} update;

static double sum_of_squares(const float *x, int64_t n) {
    double lane[LANES] = {0}, tail = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += (double)x[i + j] * x[i + j];
    for (; i < n; i++) tail += (double)x[i] * x[i];
    for (int j = 0; j < LANES; j++) tail += lane[j];
    return tail;
}

static void norm_part(void *context, int64_t begin, int64_t end) {
    const update *u = context;
    for (int64_t i = begin; i < end; i += CHUNK)
        u->optimizer->partials[i / CHUNK] = sum_of_squares(u->g + i, end - i < CHUNK ? end - i : CHUNK);
}

static double global_norm(update *u, int64_t count, int threads) {
    ane_parallel_for(count, CHUNK, threads, norm_part, u);
    double sum = 0;
    for (int64_t i = 0; i < count; i += CHUNK) sum += u->optimizer->partials[i / CHUNK];
    return sqrt(sum);
}

/* Processors take a hundred times longer over subnormal numbers, and a moment whose gradients stay zero (a
 * token that no longer occurs) would end as one for ever. */
static inline float flush(float x) {
    return fabsf(x) < FLT_MIN ? 0.0f : x;
}

/* m += (1 - beta1)(g - m); v = beta2 v + (1 - beta2) g^2; w = w(1 - lr decay) - step_size m / (sqrt(v) root +
 * eps) */
static void update_range(const update *u, int64_t begin, int64_t end, float decay) {
    const ane_adamw_options *a = &u->optimizer->options;
    float *restrict w = u->w, *restrict g = u->g;
    float *restrict m = u->optimizer->m->data, *restrict v = u->optimizer->v->data;
    const float toward = (float)(1 - a->beta1), beta2 = (float)a->beta2, fresh = (float)(1 - a->beta2);
    const float epsilon = (float)a->epsilon, keep = (float)(1 - (double)u->lr * decay);
    const float clip = u->clip, step_size = u->step_size, root_scale = u->root_scale;
    for (int64_t i = begin; i < end; i++) {
        float grad = g[i] * clip;
        float mean = flush(m[i] + toward * (grad - m[i]));
        float square = flush(v[i] * beta2 + fresh * grad * grad);
        w[i] = w[i] * keep - step_size * (mean / (sqrtf(square) * root_scale + epsilon));
        m[i] = mean;
        v[i] = square;
        g[i] = 0;
    }
}

/* The tensors' parts of [begin, end), each with its own decay; gaps between tensors hold zeros and stay so.
 */
static void update_part(void *context, int64_t begin, int64_t end) {
    const update *u = context;
    const ane_weights *layout = u->optimizer->m;
    const ane_adamw_options *a = &u->optimizer->options;
    for (int i = 0; i < layout->n_tensors; i++) {
        const ane_tensor_info *t = &layout->tensors[i];
        int64_t first = t->offset > begin ? t->offset : begin;
        int64_t last = t->offset + t->count < end ? t->offset + t->count : end;
        bool decays = t->decays || a->decay_all;
        if (first < last) update_range(u, first, last, decays ? (float)a->weight_decay : 0.0f);
    }
}

static void zero_part(void *context, int64_t begin, int64_t end) {
    const update *u = context;
    memset(u->g + begin, 0, (size_t)(end - begin) * sizeof *u->g);
}

double ane_adamw_update(ane_adamw *o, ane_weights *weights, ane_weights *gradients, double gradient_scale,
    double lr, int threads) {
    const ane_adamw_options *a = &o->options;
    update u = {.optimizer = o, .w = weights->data, .g = gradients->data, .lr = (float)lr};
    double norm = global_norm(&u, gradients->count, threads) * fabs(gradient_scale);
    if (!isfinite(norm)) {
        ane_parallel_for(gradients->count, CHUNK, threads, zero_part, &u);
        return norm;
    }
    o->t++;
    double clip = a->clip > 0 && norm + 1e-6 > a->clip ? a->clip / (norm + 1e-6) : 1;
    u.clip = (float)(clip * gradient_scale);
    u.step_size = (float)(lr / (1 - pow(a->beta1, (double)o->t)));
    u.root_scale = (float)(1 / sqrt(1 - pow(a->beta2, (double)o->t)));
    ane_parallel_for(weights->count, CHUNK, threads, update_part, &u);
    return norm;
}
