/* decoder_pass.c - see decoder_pass.h. */
#include "model/decoder_pass.h"

#include "base/parallel.h"

#include <stdlib.h>
#include <string.h>

static int64_t kv_dim(const ane_model_config *c) {
    return (int64_t)c->n_kv_heads * c->head_dim;
}

static mil_dtype activations(ane_device *d) {
    return ane_device_capabilities(d)->activation_dtype;
}

static ane_buffer *new_buffer(ane_device *d, int64_t channels, int64_t columns, ane_error *e) {
    return ane_buffer_new(d, mil_tensor(activations(d), 4, (int64_t[]){1, channels, 1, columns}), e);
}

static bool fuses(ane_device *d) {
    return ane_device_capabilities(d)->fuses_attention;
}

static mil_dtype cache_dtype(ane_device *d) {
    ane_precision p = ane_device_capabilities(d)->precision;
    return fuses(d) && (p == ANE_BF16 || p == ANE_INT8) ? MIL_BF16 : activations(d);
}

/* For keys or values of `length` positions. */
static ane_buffer *new_cache(ane_device *d, const ane_model_config *m, int64_t length, ane_error *e) {
    if (!fuses(d)) return new_buffer(d, kv_dim(m), length, e);
    return ane_buffer_new(
        d, mil_tensor(cache_dtype(d), 4, (int64_t[]){1, m->n_kv_heads, length, m->head_dim}), e);
}

/* ---- the cache ------------------------------------------------------------------------------------------- */

bool ane_kv_cache_new(
    ane_kv_cache *c, ane_device *d, const ane_model_config *m, int32_t length, ane_error *e) {
    *c =
        (ane_kv_cache){.length = length, .threads = ane_device_capabilities(d)->threads, .in_runs = fuses(d)};
    c->k = calloc((size_t)m->n_layers, sizeof(ane_buffer *));
    c->v = calloc((size_t)m->n_layers, sizeof(ane_buffer *));
    if (!c->k || !c->v) return ane_fail(e, ANE_ERROR_MEMORY, "", "Not enough memory.");
    for (int l = 0; l < m->n_layers; l++)
        if (!(c->k[l] = new_cache(d, m, length, e)) || !(c->v[l] = new_cache(d, m, length, e))) return false;
    return (c->mask = new_buffer(d, 1, length, e)) != NULL &&
           (c->count = ane_buffer_new(d, mil_tensor(MIL_INT32, 1, (int64_t[]){1}), e)) != NULL;
}

void ane_kv_cache_free(ane_kv_cache *c, const ane_model_config *m) {
    for (int l = 0; l < m->n_layers; l++) {
        if (c->k) ane_buffer_free(c->k[l]);
        if (c->v) ane_buffer_free(c->v[l]);
    }
    ane_buffer_free(c->mask);
    ane_buffer_free(c->count);
    free(c->k);
    free(c->v);
    *c = (ane_kv_cache){0};
}

/* Runs of a new part, `from_pitch` bytes apart, into the cache. */
typedef struct keep_job {
    char *to;
    const char *from;
    int64_t to_pitch, from_pitch, bytes;
} keep_job;

static void keep_runs(void *context, int64_t begin, int64_t end) {
    const keep_job *j = context;
    for (int64_t i = begin; i < end; i++)
        memcpy(j->to + i * j->to_pitch, j->from + i * j->from_pitch, (size_t)j->bytes);
}

bool ane_kv_keep(
    const ane_kv_cache *c, ane_buffer *cache, ane_buffer *new, int32_t position, int32_t n, ane_error *e) {
    const mil_type *t = ane_buffer_type(cache);
    int where = c->in_runs ? 2 : 3; /* the dimension of positions */
    int64_t size = mil_dtype_bits(t->dtype) / 8 * (c->in_runs ? t->dim[3] : 1);
    int64_t room = t->dim[where], tokens = ane_buffer_type(new)->dim[where];
    const char *from = ane_buffer_map(new, ANE_READ, e);
    if (!from) return false;
    char *to = ane_buffer_map(cache, ANE_READ_WRITE, e);
    keep_job j = {to, from, room * size, tokens * size, n * size};
    if (to) {
        j.to += position * size;
        ane_parallel_for(t->dim[1], 1 + 32768 / j.bytes, c->threads, keep_runs, &j);
    }
    bool ok = to && ane_buffer_unmap(cache, e);
    return ane_buffer_unmap(new, e) && ok;
}

bool ane_kv_cache_copy(
    ane_kv_cache *to, const ane_kv_cache *from, const ane_model_config *m, int32_t n, ane_error *e) {
    for (int l = 0; l < m->n_layers; l++)
        if (!ane_kv_keep(to, to->k[l], from->k[l], 0, n, e) ||
            !ane_kv_keep(to, to->v[l], from->v[l], 0, n, e))
            return false;
    return true;
}

/* ---- passes ---------------------------------------------------------------------------------------------- */

static bool make_buffers(ane_pass *p, ane_device *d, const ane_model_config *c, ane_error *e) {
    return (p->x[0] = new_buffer(d, c->dim, p->tokens, e)) &&
           (p->x[1] = new_buffer(d, c->dim, p->tokens, e)) &&
           (p->rope_cos = new_buffer(d, c->head_dim / 2, p->tokens, e)) &&
           (p->rope_sin = new_buffer(d, c->head_dim / 2, p->tokens, e)) &&
           (p->k_new = new_cache(d, c, p->tokens, e)) && (p->v_new = new_cache(d, c, p->tokens, e));
}

static bool make_blocks(ane_pass *p, ane_device *d, const ane_model_config *c, ane_error *e) {
    const ane_block_shape shape = {.batch = 1,
        .seq = p->tokens,
        .cached = p->cached,
        .dtype = activations(d),
        .fused = fuses(d),
        .keeps = true,
        .cache_dtype = cache_dtype(d)};
    mil_program *program = mil_program_new(MIL_IOS18, e);
    if (!program) return false;
    ane_llama_block(program, c, &shape); /* the stage asks whether it went well */
    p->blocks =
        ane_stage_new(d, program, &(ane_stage_options){.copies = c->n_layers, .keeps_weights = true}, e);
    return p->blocks != NULL;
}

static bool give_all(const ane_pass *p, const ane_model_config *c, const ane_kv_cache *cache, ane_error *e) {
    ane_stage *s = p->blocks;
    if (!ane_stage_give(s, -1, "rope_cos", p->rope_cos, e) ||
        !ane_stage_give(s, -1, "rope_sin", p->rope_sin, e) || !ane_stage_give(s, -1, "k_new", p->k_new, e) ||
        !ane_stage_give(s, -1, "v_new", p->v_new, e) ||
        (cache && (!ane_stage_give(s, -1, "cache_mask", cache->mask, e) ||
                      !ane_stage_give(s, -1, "cache_length", cache->count, e))))
        return false;
    for (int l = 0; l < c->n_layers; l++)
        if (!ane_stage_give(s, l, "x", p->x[l % 2], e) || !ane_stage_give(s, l, "y", p->x[(l + 1) % 2], e) ||
            (cache && (!ane_stage_give(s, l, "k_cache", cache->k[l], e) ||
                          !ane_stage_give(s, l, "v_cache", cache->v[l], e))))
            return false;
    return true;
}

bool ane_pass_new(ane_pass *p, ane_device *d, const ane_weights *w, int32_t tokens, const ane_kv_cache *cache,
    ane_error *e) {
    *p = (ane_pass){.tokens = tokens, .cached = cache ? cache->length : 0};
    return make_buffers(p, d, &w->config, e) && make_blocks(p, d, &w->config, e) &&
           give_all(p, &w->config, cache, e) && ane_stage_bind(p->blocks, ane_block_master, w, NULL, e);
}

void ane_pass_free(ane_pass *p) {
    ane_stage_free(p->blocks);
    ane_buffer *buffers[] = {p->x[0], p->x[1], p->rope_cos, p->rope_sin, p->k_new, p->v_new};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) ane_buffer_free(buffers[i]);
    *p = (ane_pass){0};
}
