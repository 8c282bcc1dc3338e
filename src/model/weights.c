/* weights.c - the weight store: one block of fp32 and the list of tensors in it. */
#include "base/parallel.h"
#include "base/random.h"
#include "model/impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN_FLOATS = 16, ALIGN_BYTES = 64, HUGE_PAGE = 2 << 20 };
/* The least that gradients in turn have: rows of a table for which it pays to pack what they are multiplied with. */
enum { SHARED_BYTES = 4 << 20 };

/* ---- layout -------------------------------------------------------------------------------------------- */

static int64_t aligned(int64_t floats) {
    return (floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
}

static void add_tensor(ane_weights *w, const char *name, int32_t rank, int64_t rows, int64_t columns,
    int32_t layer, bool decays) {
    ane_tensor_info *t = &w->tensors[w->n_tensors++];
    snprintf(t->name, sizeof t->name, "%s", name);
    t->rank = rank;
    t->dim[0] = rows;
    t->dim[1] = rank == 2 ? columns : 0;
    t->offset = w->count;
    t->count = rows * columns;
    t->layer = layer;
    t->decays = decays;
    w->count += aligned(t->count);
}

static void add_tensors(ane_weights *w) {
    const ane_model_config *c = &w->config;
    ane_block_param params[ANE_BLOCK_PARAMS];
    ane_block_params(c, params);
    add_tensor(w, "model.embed_tokens.weight", 2, c->vocab_size, c->dim, -1, false);
    for (int layer = 0; layer < c->n_layers; layer++)
        for (int i = 0; i < ANE_BLOCK_PARAMS; i++) {
            const ane_block_param *p = &params[i];
            char name[96];
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer, p->name);
            add_tensor(w, name, p->rank, p->rows, p->columns, layer, p->rank == 2);
        }
    add_tensor(w, "model.norm.weight", 1, c->dim, 1, -1, false);
    if (!c->tied) add_tensor(w, "lm_head.weight", 2, c->vocab_size, c->dim, -1, true);
}

/* Zeroed memory aligned to 64. calloc gives large blocks as untouched pages: what is never written costs
 * nothing. */
static float *new_block(int64_t floats, void **owner) {
    size_t bytes = (size_t)floats * sizeof(float);
    *owner = calloc(1, bytes + ALIGN_BYTES);
    if (!*owner) return NULL;
    uintptr_t start = ((uintptr_t)*owner + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
#ifdef MADV_HUGEPAGE
    uintptr_t first = (start + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE,
              last = (start + bytes) / HUGE_PAGE * HUGE_PAGE;
    if (first < last) madvise((void *)first, last - first, MADV_HUGEPAGE); /* advice: refusal does no harm */
#endif
    return (float *)start;
}

static bool no_memory(const ane_model_config *c, ane_error *e) {
    return ane_fail(e, ANE_ERROR_MEMORY, "", "Not enough memory for %lld weights of 4 bytes.",
        (long long)ane_model_parameter_count(c));
}

ane_weights *ane_weights_layout(const ane_model_config *c, ane_error *e) {
    if (!ane_model_config_check(c, e)) return NULL;
    ane_weights *w = calloc(1, sizeof *w);
    if (w) {
        w->config = *c;
        w->tensors = calloc((size_t)c->n_layers * ANE_BLOCK_PARAMS + 3, sizeof *w->tensors);
        if (w->tensors) {
            add_tensors(w);
            return w;
        }
    }
    free(w);
    no_memory(c, e);
    return NULL;
}

bool ane_weights_allocate(ane_weights *w, ane_error *e) {
    w->data = new_block(w->count, &w->owner);
    return w->data ? true : no_memory(&w->config, e);
}

ane_weights *ane_weights_new(const ane_model_config *c, ane_error *e) {
    ane_weights *w = ane_weights_layout(c, e);
    if (w && ane_weights_allocate(w, e)) return w;
    ane_weights_free(w);
    return NULL;
}

ane_model_config ane_gradients_config(const ane_model_config *c, const ane_placement *placement) {
    ane_model_config shape = *c;
    if (placement && placement->recompute == ANE_RECOMPUTE_GRADIENTS) shape.n_layers = 1;
    return shape;
}

/* The one block's tensors in one place, which some rows of a table may use, too. */
static void share_place(ane_weights *g) {
    ane_tensor_info *block = &g->tensors[1], *behind = block + ANE_BLOCK_PARAMS;
    int64_t place = SHARED_BYTES / (int64_t)sizeof(float);
    for (int i = 0; i < ANE_BLOCK_PARAMS; i++) {
        if (block[i].count > place) place = block[i].count;
        block[i].offset = block->offset;
    }
    const int64_t shift = block->offset + aligned(place) - behind->offset;
    for (ane_tensor_info *t = behind; t < g->tensors + g->n_tensors; t++) t->offset += shift;
    g->count += shift;
}

float *ane_gradients_place(const ane_weights *g, int64_t *count) {
    const ane_tensor_info *block = &g->tensors[1];
    *count = block[ANE_BLOCK_PARAMS].offset - block->offset;
    return g->data + block->offset;
}

ane_weights *ane_gradients_new(const ane_model_config *c, const ane_placement *placement, ane_error *e) {
    const ane_model_config shape = ane_gradients_config(c, placement);
    ane_weights *g = ane_weights_layout(&shape, e);
    if (g && placement && placement->recompute == ANE_RECOMPUTE_GRADIENTS) share_place(g);
    if (g && ane_weights_allocate(g, e)) return g;
    ane_weights_free(g);
    return NULL;
}

void ane_weights_free(ane_weights *w) {
    if (!w) return;
    free(w->owner);
    ane_safetensors_close(w->file);
    free(w->tensors);
    free(w);
}

/* ---- finding ------------------------------------------------------------------------------------------- */

const ane_tensor_info *ane_weights_find(const ane_weights *w, const char *name) {
    for (int i = 0; i < w->n_tensors; i++)
        if (strcmp(w->tensors[i].name, name) == 0) return &w->tensors[i];
    return NULL;
}

float *ane_weights_layer(const ane_weights *w, int layer, const char *block_param, int64_t *count) {
    ane_block_param params[ANE_BLOCK_PARAMS];
    ane_block_params(&w->config, params);
    if (layer < 0 || layer >= w->config.n_layers) return NULL;
    for (int i = 0; i < ANE_BLOCK_PARAMS; i++)
        if (strcmp(params[i].name, block_param) == 0) {
            const ane_tensor_info *t =
                &w->tensors[1 + layer * ANE_BLOCK_PARAMS + i]; /* 1: behind the embedding */
            if (count) *count = t->count;
            return w->data + t->offset;
        }
    return NULL;
}

float *ane_weights_embedding(const ane_weights *w) {
    return w->data + w->tensors[0].offset;
}

float *ane_weights_head(const ane_weights *w) {
    return w->config.tied ? ane_weights_embedding(w) : w->data + w->tensors[w->n_tensors - 1].offset;
}

float *ane_weights_final_norm(const ane_weights *w) {
    return w->data + w->tensors[w->n_tensors - (w->config.tied ? 1 : 2)].offset;
}

/* Gradients that are not kept have one block for all, and one place for all of a block. */
float *ane_block_master(const void *store, int layer, const char *name, int64_t *count) {
    const ane_weights *w = store;
    return ane_weights_layer(w, layer % w->config.n_layers, name, count);
}

float *ane_head_master(const void *store, int layer, const char *name, int64_t *count) {
    (void)layer;
    const ane_weights *w = store;
    bool norm = strcmp(name, "norm") == 0;
    *count = norm ? w->config.dim : (int64_t)w->config.vocab_size * w->config.dim;
    return norm ? ane_weights_final_norm(w) : ane_weights_head(w);
}

/* ---- values -------------------------------------------------------------------------------------------- */

typedef struct init_job {
    ane_weights *w;
    uint64_t seed;
} init_job;

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Each tensor draws from a stream of its own, so that the numbers do not depend on the number of threads. */
static void init_tensors(void *context, int64_t begin, int64_t end) {
    const init_job *job = context;
    for (int64_t i = begin; i < end; i++) {
        const ane_tensor_info *t = &job->w->tensors[i];
        float *x = job->w->data + t->offset;
        bool residual = ends_with(t->name, "o_proj.weight") || ends_with(t->name, "down_proj.weight");
        double scale = residual ? 0.02 / sqrt(2.0 * job->w->config.n_layers) : 0.02;
        ane_rng rng = ane_rng_new(job->seed, (uint64_t)i);
        for (int64_t k = 0; k < t->count; k++)
            x[k] = t->rank == 1 ? 1 : (float)(scale * ane_rng_normal(&rng));
    }
}

void ane_weights_init(ane_weights *w, uint64_t seed) {
    init_job job = {w, seed};
    ane_parallel_for(w->n_tensors, 1, ane_cpu_count(), init_tensors, &job);
}

bool ane_weights_check_finite(const ane_weights *w, ane_error *e) {
    for (int i = 0; i < w->n_tensors; i++) {
        const ane_tensor_info *t = &w->tensors[i];
        const float *x = w->data + t->offset;
        for (int64_t k = 0; k < t->count; k++)
            if (!isfinite(x[k]))
                return ane_fail(e, ANE_ERROR_NUMERIC, t->name, "Element %lld is %s.", (long long)k,
                    isnan(x[k]) ? "not a number" : "infinite");
    }
    return true;
}
