/* decoder.c - a sequence that grows: the block with a key/value cache, one token or a part of a prompt at a
 * time.
 *
 * Blocks are compiled for one token and for several (decoder_pass.h). A prompt goes through in as few parts as there can be;
 * the last one is padded, which costs less than so many single tokens: what stands behind the last token can
 * change nothing before it, and its keys and values are not kept.
 *
 * Where compiling takes a moment (a device that fuses attention: the CPU), the cache grows in steps with the sequence, so
 * that attention reads little that is not there yet; parts are as long as the prompt needs, and its first part knows no
 * cache at all. Elsewhere two passes are compiled once for all positions. */
#include "base/parallel.h"
#include "model/decoder_pass.h"
#include "model/host.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIXED_PART = 32,
    LONGEST_PART = 256,
    LONGEST_FIRST = 2048, /* nothing is behind a cache in it, where attention is slower */
    PART_STEP = 32,
    CACHE_STEP = 128,
    FEWEST = 4, /* fewer tokens than this go one by one: a part costs about as much as three */
};

enum { SINGLE, PART, FIRST, N_PASSES };

struct ane_decoder {
    ane_device *device;
    ane_weights *weights;
    int32_t positions, position; /* room, and tokens so far */
    int threads;
    bool grows;
    ane_kv_cache cache;
    float *mask; /* what is in the cache's: 0 for tokens so far, else ANE_HIDDEN */
    ane_pass passes[N_PASSES];
    ane_stage *head;
    ane_buffer *last, *logits; /* [1, dim, 1, 1], [1, vocab, 1, 1] */
    float *staging;            /* as large as the largest thing that the host reads or writes */
};

/* ---- making -------------------------------------------------------------------------------------------- */

static bool make_head(ane_decoder *d, ane_error *e) {
    const ane_model_config *c = &d->weights->config;
    mil_dtype dtype = ane_device_capabilities(d->device)->activation_dtype;
    mil_program *program = mil_program_new(MIL_IOS18, e);
    if (!program) return false;
    ane_llama_head(program, c, 1, dtype);
    d->head = ane_stage_new(d->device, program, &(ane_stage_options){.copies = 1, .keeps_weights = true}, e);
    return d->head &&
           (d->last = ane_buffer_new(d->device, mil_tensor(dtype, 4, (int64_t[]){1, c->dim, 1, 1}), e)) &&
           (d->logits =
                   ane_buffer_new(d->device, mil_tensor(dtype, 4, (int64_t[]){1, c->vocab_size, 1, 1}), e)) &&
           ane_stage_give(d->head, 0, "x", d->last, e) &&
           ane_stage_give(d->head, 0, "logits", d->logits, e) &&
           ane_stage_bind(d->head, ane_head_master, d->weights, NULL, e);
}

static bool make_memory(ane_decoder *d, ane_error *e) {
    const ane_model_config *c = &d->weights->config;
    size_t wide = (size_t)(c->dim > c->head_dim ? c->dim : c->head_dim) * LONGEST_FIRST,
           vocab = (size_t)c->vocab_size;
    d->staging = malloc((wide > vocab ? wide : vocab) * sizeof *d->staging);
    d->mask = malloc((size_t)d->positions * sizeof *d->mask);
    return d->staging && d->mask ? true : ane_fail(e, ANE_ERROR_MEMORY, "", "Not enough memory.");
}

/* What is compiled once for all positions. */
static bool make_fixed(ane_decoder *d, ane_error *e) {
    return ane_kv_cache_new(&d->cache, d->device, &d->weights->config, d->positions, e) &&
           ane_pass_new(&d->passes[SINGLE], d->device, d->weights, 1, &d->cache, e) &&
           ane_pass_new(&d->passes[PART], d->device, d->weights, FIXED_PART, &d->cache, e);
}

ane_decoder *ane_decoder_new(ane_device *device, ane_weights *weights, int32_t positions, ane_error *e) {
    if (positions < 1) {
        ane_fail(
            e, ANE_ERROR_ARGUMENT, "", "A decoder needs room for at least 1 position, found %d.", positions);
        return NULL;
    }
    ane_decoder *d = calloc(1, sizeof *d);
    if (!d) {
        ane_fail(e, ANE_ERROR_MEMORY, "", "Not enough memory.");
        return NULL;
    }
    d->device = device;
    d->weights = weights;
    d->positions = positions;
    d->threads = ane_device_capabilities(device)->threads;
    d->grows = ane_device_capabilities(device)->fuses_attention;
    if (make_memory(d, e) && make_head(d, e) && (d->grows || make_fixed(d, e))) {
        ane_decoder_reset(d);
        return d;
    }
    ane_decoder_free(d);
    return NULL;
}

void ane_decoder_free(ane_decoder *d) {
    if (!d) return;
    for (int i = 0; i < N_PASSES; i++) ane_pass_free(&d->passes[i]);
    ane_kv_cache_free(&d->cache, &d->weights->config);
    ane_stage_free(d->head);
    ane_buffer_free(d->last);
    ane_buffer_free(d->logits);
    free(d->mask);
    free(d->staging);
    free(d);
}

void ane_decoder_reset(ane_decoder *d) {
    d->position = 0;
    for (int32_t i = 0; i < d->positions; i++) d->mask[i] = ANE_HIDDEN;
}

/* ---- growing ------------------------------------------------------------------------------------------- */

static int32_t at_most(int32_t x, int32_t most) {
    return x < most ? x : most;
}

static int32_t in_steps(int32_t n, int32_t step) {
    return (n + step - 1) / step * step;
}

/* A cache for so many positions; passes that read the old one go. */
static bool grow(ane_decoder *d, int32_t needed, ane_error *e) {
    if (needed <= d->cache.length) return true;
    const ane_model_config *c = &d->weights->config;
    ane_kv_cache larger;
    bool ok =
        ane_kv_cache_new(&larger, d->device, c, at_most(in_steps(needed, CACHE_STEP), d->positions), e) &&
        (!d->cache.length || ane_kv_cache_copy(&larger, &d->cache, c, d->position, e));
    if (!ok) {
        ane_kv_cache_free(&larger, c);
        return false;
    }
    ane_pass_free(&d->passes[SINGLE]);
    ane_pass_free(&d->passes[PART]);
    ane_kv_cache_free(&d->cache, c);
    d->cache = larger;
    return true;
}

/* The pass for the next of n tokens, how many of which it takes. */
static const ane_pass *pass_for(ane_decoder *d, int32_t n, int32_t *take, ane_error *e) {
    int which = n < FEWEST ? SINGLE : d->grows && d->position == 0 ? FIRST : PART;
    ane_pass *p = &d->passes[which];
    int32_t width = which == SINGLE ? 1
                    : d->grows
                        ? at_most(in_steps(n, PART_STEP), which == FIRST ? LONGEST_FIRST : LONGEST_PART)
                        : FIXED_PART;
    *take = at_most(n, width);
    if (!grow(d, d->position + *take, e)) return NULL;
    if (p->tokens == width) return p;
    ane_pass_free(p);
    if (ane_pass_new(p, d->device, d->weights, width, which == FIRST ? NULL : &d->cache, e)) return p;
    ane_pass_free(p);
    return NULL;
}

/* ---- running ------------------------------------------------------------------------------------------- */

/* The inputs of a pass whose first `n` tokens are real. */
static bool fill(ane_decoder *d, const ane_pass *p, int32_t n, const int32_t *tokens, ane_error *e) {
    const ane_model_config *c = &d->weights->config;
    int32_t padded[LONGEST_FIRST];
    for (int32_t i = 0; i < p->tokens; i++) padded[i] = tokens[i < n ? i : n - 1];
    float *x = ane_floats_open(p->x[0], ANE_WRITE, d->staging, e);
    if (!x) return false;
    ane_embedding_gather(x, ane_weights_embedding(d->weights), padded, c->dim, p->tokens, d->threads);
    if (!ane_floats_close(p->x[0], ANE_WRITE, d->staging, e)) return false;
    int64_t half = (int64_t)c->head_dim / 2 * p->tokens;
    const float count = (float)d->position;
    ane_rope_table(c, d->position, p->tokens, d->staging, d->staging + half);
    return ane_buffer_write_f32(p->rope_cos, d->staging, half, e) &&
           ane_buffer_write_f32(p->rope_sin, d->staging + half, half, e) &&
           (p->cached == 0 || (ane_buffer_write_f32(d->cache.mask, d->mask, d->cache.length, e) &&
                                  ane_buffer_write_f32(d->cache.count, &count, 1, e)));
}

/* Append n tokens, at most the pass's. */
static bool append(ane_decoder *d, const ane_pass *p, int32_t n, const int32_t *tokens, ane_error *e) {
    if (!fill(d, p, n, tokens, e)) return false;
    for (int l = 0; l < d->weights->config.n_layers; l++)
        if (!ane_stage_forward(p->blocks, l, e) ||
            !ane_kv_keep(&d->cache, d->cache.k[l], p->k_new, d->position, n, e) ||
            !ane_kv_keep(&d->cache, d->cache.v[l], p->v_new, d->position, n, e))
            return false;
    for (int32_t i = 0; i < n; i++) d->mask[d->position + i] = 0;
    d->position += n;
    return true;
}

typedef struct copy_job {
    float *to;
    const float *from;
} copy_job;

static void copy_part(void *context, int64_t begin, int64_t end) {
    const copy_job *j = context;
    memcpy(j->to + begin, j->from + begin, (size_t)(end - begin) * sizeof *j->to);
}

/* By all threads: each has made a part of them. */
static bool read_logits(ane_decoder *d, float *logits, ane_error *e) {
    copy_job j = {logits, ane_floats_open(d->logits, ANE_READ, d->staging, e)};
    if (!j.from) return false;
    ane_parallel_for(d->weights->config.vocab_size, 4096, d->threads, copy_part, &j);
    return ane_floats_close(d->logits, ANE_READ, d->staging, e);
}

/* Logits after column `column` of a pass's result. */
static bool finish(ane_decoder *d, const ane_pass *p, int32_t column, float *logits, ane_error *e) {
    const ane_model_config *c = &d->weights->config;
    ane_buffer *y = p->x[c->n_layers % 2];
    size_t size = (size_t)mil_dtype_bits(ane_buffer_type(y)->dtype) / 8;
    const char *from = ane_buffer_map(y, ANE_READ, e);
    if (!from) return false;
    char *to = ane_buffer_map(d->last, ANE_WRITE, e);
    for (int64_t i = 0; to && i < c->dim; i++)
        memcpy(to + (size_t)i * size, from + (size_t)(i * p->tokens + column) * size, size);
    bool ok = to && ane_buffer_unmap(d->last, e);
    return ane_buffer_unmap(y, e) && ok && ane_stage_forward(d->head, 0, e) && read_logits(d, logits, e);
}

static bool check_feed(const ane_decoder *d, int32_t n, const int32_t *tokens, ane_error *e) {
    int32_t vocab = d->weights->config.vocab_size;
    if (n < 1) return ane_fail(e, ANE_ERROR_ARGUMENT, "", "At least 1 token must be fed, found %d.", n);
    if (n > d->positions - d->position)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "",
            "%d tokens behind %d are more than the %d positions of the decoder.", n, d->position,
            d->positions);
    for (int32_t i = 0; i < n; i++)
        if (tokens[i] < 0 || tokens[i] >= vocab)
            return ane_fail(e, ANE_ERROR_ARGUMENT, "",
                "Token %d is %d, but the model's vocabulary ends at %d.", i, tokens[i], vocab - 1);
    return true;
}

/* A part of what is fed through its pass; logits behind it, or NULL. */
typedef struct part {
    ane_decoder *decoder;
    const ane_pass *pass;
    int32_t n;
    const int32_t *tokens;
    float *logits;
    ane_error *e;
    bool ok;
} part;

static void run_part(void *context) {
    part *p = context;
    p->ok = append(p->decoder, p->pass, p->n, p->tokens, p->e) &&
            (!p->logits || finish(p->decoder, p->pass, p->n - 1, p->logits, p->e));
}

bool ane_decoder_feed(ane_decoder *d, int32_t n, const int32_t *tokens, float *logits, ane_error *e) {
    if (!check_feed(d, n, tokens, e)) return false;
    for (int32_t at = 0, take; at < n; at += take) {
        const ane_pass *pass = pass_for(d, n - at, &take, e);
        if (!pass) return false;
        part p = {d, pass, take, tokens + at, at + take == n ? logits : NULL, e, false};
        if (d->grows && pass->tokens == 1) /* some hundred short steps, none of them a library's */
            ane_parallel_hold(d->threads, run_part, &p);
        else
            run_part(&p);
        if (!p.ok) return false;
    }
    return true;
}

int32_t ane_decoder_position(const ane_decoder *d) {
    return d->position;
}

int32_t ane_decoder_positions(const ane_decoder *d) {
    return d->positions;
}

int32_t ane_decoder_vocab_size(const ane_decoder *d) {
    return d->weights->config.vocab_size;
}
