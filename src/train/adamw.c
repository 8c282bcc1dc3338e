/* AdamW (Loshchilov and Hutter, arXiv:1711.05101) with the arithmetic of torch.optim.AdamW, in two streaming
 * passes over gradients and one over the rest: all are bound by memory, so what matters is that each number is
 * touched once. */
#include "anemone/train.h"

#include "base/parallel.h"
#include "train/adamw_loops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* floats in one partial sum: fixed, so that the sum does not depend on the number of threads */
    CHUNK = 4096,
};

/* An update under way, and the part of the gradients at hand: of weights from `begin` on, at g. */
typedef struct ane_adamw_pass {
    ane_adamw *optimizer;
    ane_weights *weights;
    ane_network *network; /* whose gradients they are, or NULL */
    int threads;
    int64_t begin;
    const float *g;
    const double *squares; /* per tensor; NULL: none is known */
    const ane_adamw_loops *loops;
    ane_adamw_factors decaying, plain; /* of tensors with and without weight decay */
    double partials[]; /* sums of squares of every CHUNK gradients, but for tensors whose own is known */
} pass;

static int64_t chunks_of(const ane_weights *w) {
    return w->count / CHUNK + 1;
}

ane_adamw *ane_adamw_new(const ane_model_config *c, const ane_adamw_options *options, ane_error *e) {
    ane_adamw *o = calloc(1, sizeof *o);
    if (!o) {
        ane_fail(e, ANE_ERROR_MEMORY, "optimizer", "Out of memory.");
        return NULL;
    }
    o->options = *options;
    if ((o->m = ane_weights_new(c, e)) && (o->v = ane_weights_new(c, e))) {
        o->pass = calloc(1, sizeof *o->pass + (size_t)chunks_of(o->m) * sizeof *o->pass->partials);
        if (o->pass) return o;
        ane_fail(e, ANE_ERROR_MEMORY, "optimizer", "Out of memory for %lld weights.", (long long)o->m->count);
    }
    ane_adamw_free(o);
    return NULL;
}

void ane_adamw_free(ane_adamw *o) {
    if (!o) return;
    ane_weights_free(o->m);
    ane_weights_free(o->v);
    free(o->pass);
    free(o);
}

/* A tensor's part of [begin, end). */
static void part_of(const ane_tensor_info *t, int64_t *begin, int64_t *end) {
    if (*begin < t->offset) *begin = t->offset;
    if (*end > t->offset + t->count) *end = t->offset + t->count;
}

/* ---- the norm --------------------------------------------------------------------------------------------- */

static bool is_known(const pass *p, int tensor) {
    return p->squares && isfinite(p->squares[tensor]);
}

/* The sums of squares of [begin, end), counted from the part's first chunk, where a tensor's own is not known. */
static void norm_part(void *context, int64_t begin, int64_t end) {
    pass *p = context;
    const ane_weights *layout = p->optimizer->m;
    const int64_t chunk = p->begin / CHUNK * CHUNK;
    for (int t = 0; t < layout->n_tensors; t++) {
        if (is_known(p, t)) continue;
        int64_t first = chunk + begin > p->begin ? chunk + begin : p->begin, last = chunk + end;
        part_of(&layout->tensors[t], &first, &last);
        for (int64_t i = first; i < last;) {
            int64_t next = (i / CHUNK + 1) * CHUNK < last ? (i / CHUNK + 1) * CHUNK : last;
            p->partials[i / CHUNK] += p->loops->sum_of_squares(p->g + (i - p->begin), next - i);
            i = next;
        }
    }
}

static void add_to_norm(void *context, int64_t begin, int64_t end, const float *g) {
    pass *p = context;
    p->begin = begin;
    p->g = g;
    if (p->network) p->squares = ane_network_squares(p->network);
    ane_parallel_pieces(end - begin / CHUNK * CHUNK, CHUNK, p->threads, norm_part, p);
}

static double norm_of(const pass *p) {
    const ane_weights *layout = p->optimizer->m;
    double sum = 0;
    for (int64_t i = 0; i < chunks_of(layout); i++) sum += p->partials[i];
    for (int t = 0; t < layout->n_tensors; t++)
        if (is_known(p, t)) sum += p->squares[t];
    return sqrt(sum);
}

/* ---- the update --------------------------------------------------------------------------------------------- */

/* The tensors' parts of [begin, end), counted from the part's own, each with its own decay; gaps between tensors hold
 * zeros and stay so. */
static void update_part(void *context, int64_t begin, int64_t end) {
    const pass *p = context;
    const ane_weights *layout = p->optimizer->m;
    const ane_adamw_options *a = &p->optimizer->options;
    float *m = p->optimizer->m->data, *v = p->optimizer->v->data, *w = p->weights->data;
    for (int i = 0; i < layout->n_tensors; i++) {
        const ane_tensor_info *t = &layout->tensors[i];
        int64_t first = p->begin + begin, last = p->begin + end;
        part_of(t, &first, &last);
        const ane_adamw_factors *f = t->decays || a->decay_all ? &p->decaying : &p->plain;
        if (first < last)
            p->loops->update(f, w + first, p->g + (first - p->begin), m + first, v + first, last - first);
    }
}

static void update_weights(void *context, int64_t begin, int64_t end, const float *g) {
    pass *p = context;
    p->begin = begin;
    p->g = g;
    ane_parallel_pieces(end - begin, CHUNK, p->threads, update_part, p);
}

/* ---- both ----------------------------------------------------------------------------------------------------- */

static pass *begin_pass(ane_adamw *o, ane_weights *weights, ane_network *network, int threads) {
    const ane_adamw_loops *loops[4];
    ane_adamw_loops_here(loops);
    *o->pass =
        (pass){.optimizer = o, .weights = weights, .network = network, .threads = threads, .loops = loops[0]};
    memset(o->pass->partials, 0, (size_t)chunks_of(o->m) * sizeof *o->pass->partials);
    return o->pass;
}

/* From the norm to the factors of the update; false when there must be none. */
static bool choose_factors(pass *p, double norm, double gradient_scale, double lr) {
    ane_adamw *o = p->optimizer;
    const ane_adamw_options *a = &o->options;
    if (!isfinite(norm)) return false;
    o->t++;
    double clip = a->clip > 0 && norm + 1e-6 > a->clip ? a->clip / (norm + 1e-6) : 1;
    p->plain = (ane_adamw_factors){.clip = (float)(clip * gradient_scale),
        .toward = (float)(1 - a->beta1),
        .beta2 = (float)a->beta2,
        .fresh = (float)(1 - a->beta2),
        .keep = 1,
        .step = (float)(lr / (1 - pow(a->beta1, (double)o->t))),
        .root = (float)(1 / sqrt(1 - pow(a->beta2, (double)o->t))),
        .epsilon = (float)a->epsilon};
    p->decaying = p->plain;
    p->decaying.keep = (float)(1 - (double)(float)lr * (float)a->weight_decay);
    return true;
}

/* What was begun cannot be taken back, nor ended by another try. */
static bool half_updated(ane_error *e) {
    if (!e) return false;
    if (e->code == ANE_ERROR_EXHAUSTED) e->code = ANE_ERROR_DEVICE;
    e->hint[0] = 0;
    return ane_hint(e, "Weights were being updated: go on from the newest checkpoint.");
}

bool ane_adamw_step(ane_adamw *o, ane_network *n, ane_weights *weights, const int32_t *tokens,
    double gradient_scale, double lr, int threads, double *norm, ane_error *e) {
    pass *p = begin_pass(o, weights, n, threads);
    if (!ane_network_gradients(n, tokens, add_to_norm, p, e)) return false;
    *norm = norm_of(p) * fabs(gradient_scale);
    if (!choose_factors(p, *norm, gradient_scale, lr)) return true;
    return ane_network_gradients(n, tokens, update_weights, p, e) || half_updated(e);
}

double ane_adamw_update(ane_adamw *o, ane_weights *weights, const ane_weights *gradients,
    const double *squares, double gradient_scale, double lr, int threads) {
    pass *p = begin_pass(o, weights, NULL, threads);
    p->squares = squares;
    add_to_norm(p, 0, gradients->count, gradients->data);
    double norm = norm_of(p) * fabs(gradient_scale);
    if (choose_factors(p, norm, gradient_scale, lr)) update_weights(p, 0, gradients->count, gradients->data);
    return norm;
}
