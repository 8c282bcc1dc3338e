/* AdamW (Loshchilov and Hutter, arXiv:1711.05101) with the arithmetic of torch.optim.AdamW, in two streaming
 * passes over one block of memory: both are bound by memory, so what matters is that each number is touched
 * once. */
#include "anemone/train.h"

#include "base/parallel.h"
#include "train/adamw_loops.h"

#include <math.h>
#include <stdlib.h>

enum {
    /* floats in one partial sum: fixed, so that the sum does not depend on the number of threads */
    CHUNK = 4096,
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
    float *w;
    const float *g;
    const double *squares; /* per tensor; NULL: none is known */
    const ane_adamw_loops *loops;
    ane_adamw_factors decaying, plain; /* of tensors with and without weight decay */
} update;

static bool is_known(const update *u, int tensor) {
    return u->squares && isfinite(u->squares[tensor]);
}

/* The sums of squares of [begin, end), whole chunks, where a tensor's own is not known. */
static void norm_part(void *context, int64_t begin, int64_t end) {
    const update *u = context;
    const ane_weights *layout = u->optimizer->m;
    double *partials = u->optimizer->partials;
    for (int64_t i = begin; i < end; i += CHUNK) partials[i / CHUNK] = 0;
    for (int t = 0; t < layout->n_tensors; t++) {
        if (is_known(u, t)) continue;
        int64_t first = layout->tensors[t].offset, last = first + layout->tensors[t].count;
        if (first < begin) first = begin;
        if (last > end) last = end;
        for (int64_t i = first; i < last;) {
            int64_t next = (i / CHUNK + 1) * CHUNK < last ? (i / CHUNK + 1) * CHUNK : last;
            partials[i / CHUNK] += u->loops->sum_of_squares(u->g + i, next - i);
            i = next;
        }
    }
}

static double global_norm(update *u, int64_t count, int threads) {
    ane_parallel_pieces(count, CHUNK, threads, norm_part, u);
    double sum = 0;
    for (int64_t i = 0; i < count; i += CHUNK) sum += u->optimizer->partials[i / CHUNK];
    for (int t = 0; t < u->optimizer->m->n_tensors; t++)
        if (is_known(u, t)) sum += u->squares[t];
    return sqrt(sum);
}

/* The tensors' parts of [begin, end), each with its own decay; gaps between tensors hold zeros and stay so.
 */
static void update_part(void *context, int64_t begin, int64_t end) {
    const update *u = context;
    const ane_weights *layout = u->optimizer->m;
    const ane_adamw_options *a = &u->optimizer->options;
    float *m = u->optimizer->m->data, *v = u->optimizer->v->data;
    for (int i = 0; i < layout->n_tensors; i++) {
        const ane_tensor_info *t = &layout->tensors[i];
        int64_t first = t->offset > begin ? t->offset : begin;
        int64_t last = t->offset + t->count < end ? t->offset + t->count : end;
        const ane_adamw_factors *f = t->decays || a->decay_all ? &u->decaying : &u->plain;
        if (first < last) u->loops->update(f, u->w + first, u->g + first, m + first, v + first, last - first);
    }
}

double ane_adamw_update(ane_adamw *o, ane_weights *weights, const ane_weights *gradients,
    const double *squares, double gradient_scale, double lr, int threads) {
    const ane_adamw_options *a = &o->options;
    const ane_adamw_loops *loops[4];
    ane_adamw_loops_here(loops);
    update u = {
        .optimizer = o, .w = weights->data, .g = gradients->data, .squares = squares, .loops = loops[0]};
    double norm = global_norm(&u, gradients->count, threads) * fabs(gradient_scale);
    if (!isfinite(norm)) return norm;
    o->t++;
    double clip = a->clip > 0 && norm + 1e-6 > a->clip ? a->clip / (norm + 1e-6) : 1;
    u.plain = (ane_adamw_factors){.clip = (float)(clip * gradient_scale),
        .toward = (float)(1 - a->beta1),
        .beta2 = (float)a->beta2,
        .fresh = (float)(1 - a->beta2),
        .keep = 1,
        .step = (float)(lr / (1 - pow(a->beta1, (double)o->t))),
        .root = (float)(1 / sqrt(1 - pow(a->beta2, (double)o->t))),
        .epsilon = (float)a->epsilon};
    u.decaying = u.plain;
    u.decaying.keep = (float)(1 - (double)(float)lr * (float)a->weight_decay);
    ane_parallel_pieces(weights->count, CHUNK, threads, update_part, &u);
    return norm;
}
