/* decoder.c - a sequence that grows: the block with a key/value cache, one token or a chunk of a prompt at a
 * time.
 *
 * Two widths of the same block are compiled, for one token and for CHUNK. A prompt goes through in chunks;
 * the last one is padded, which costs less than so many single tokens: what stands behind the last token can
 * change nothing before it, and its keys and values are not kept. */
#include "model/host.h"
#include "model/impl.h"
#include "model/stage.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 32,
    FEWEST = 4
}; /* fewer tokens than this go one by one: a chunk costs about as much as three */

/* The blocks for `tokens` new tokens. */
typedef struct pass {
    int32_t tokens;
    ane_stage *blocks;
    ane_buffer *x[2]; /* [1, dim, 1, tokens]: layers read one and write the other */
    ane_buffer *rope_cos, *rope_sin;
    ane_buffer *k_new, *v_new; /* [1, kv_dim, 1, tokens] */
} pass;

struct ane_decoder {
    ane_device *device;
    ane_weights *weights;
    int32_t positions, position; /* room, and tokens so far */
    int threads;
    ane_buffer **k_cache, **v_cache; /* [n_layers]: [1, kv_dim, 1, positions] */
    ane_buffer *cache_mask;          /* [1, 1, 1, positions] */
    float *mask;                     /* what is in it: 0 for tokens so far, else ANE_HIDDEN */
    pass passes[2];
    ane_stage *head;
    ane_buffer *last, *logits; /* [1, dim, 1, 1], [1, vocab, 1, 1] */
    float *staging;            /* as large as the largest thing that the host reads or writes */
};

/* ---- making -------------------------------------------------------------------------------------------- */

static mil_dtype activations(const ane_decoder *d) {
    return ane_device_capabilities(d->device)->activation_dtype;
}

static ane_buffer *new_buffer(const ane_decoder *d, int64_t channels, int64_t columns, ane_error *e) {
    return ane_buffer_new(d->device, mil_tensor(activations(d), 4, (int64_t[]){1, channels, 1, columns}), e);
}

static int64_t kv_dim(const ane_decoder *d) {
    return (int64_t)d->weights->config.n_kv_heads * d->weights->config.head_dim;
}

static bool make_pass_buffers(const ane_decoder *d, pass *p, ane_error *e) {
    const ane_model_config *c = &d->weights->config;
    return (p->x[0] = new_buffer(d, c->dim, p->tokens, e)) &&
           (p->x[1] = new_buffer(d, c->dim, p->tokens, e)) &&
           (p->rope_cos = new_buffer(d, c->head_dim / 2, p->tokens, e)) &&
           (p->rope_sin = new_buffer(d, c->head_dim / 2, p->tokens, e)) &&
           (p->k_new = new_buffer(d, kv_dim(d), p->tokens, e)) &&
           (p->v_new = new_buffer(d, kv_dim(d), p->tokens, e));
}

static bool make_pass(const ane_decoder *d, pass *p, int32_t tokens, ane_error *e) {
    const ane_model_config *c = &d->weights->config;
    const ane_block_shape shape = {1, tokens, d->positions, activations(d), false};
    p->tokens = tokens;
    mil_program *program = make_pass_buffers(d, p, e) ? mil_program_new(MIL_IOS18, e) : NULL;
    if (!program) return false;
    ane_llama_block(program, c, &shape); /* the stage asks whether it went well */
    ane_stage *s = p->blocks =
        ane_stage_new(d->device, program, &(ane_stage_options){.copies = c->n_layers}, e);
    if (!s) return false;
    const struct {
        const char *name;
        ane_buffer *buffer;
    } shared[] = {{"rope_cos", p->rope_cos}, {"rope_sin", p->rope_sin}, {"cache_mask", d->cache_mask},
        {"k_new", p->k_new}, {"v_new", p->v_new}};
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        if (!ane_stage_give(s, -1, shared[i].name, shared[i].buffer, e)) return false;
    for (int l = 0; l < c->n_layers; l++)
        if (!ane_stage_give(s, l, "x", p->x[l % 2], e) || !ane_stage_give(s, l, "y", p->x[(l + 1) % 2], e) ||
            !ane_stage_give(s, l, "k_cache", d->k_cache[l], e) ||
            !ane_stage_give(s, l, "v_cache", d->v_cache[l], e))
            return false;
    return ane_stage_bind(s, ane_block_master, d->weights, NULL, e);
}

static bool make_caches(ane_decoder *d, ane_error *e) {
    int n = d->weights->config.n_layers;
    d->k_cache = calloc((size_t)n, sizeof *d->k_cache);
    d->v_cache = calloc((size_t)n, sizeof *d->v_cache);
    d->mask = calloc((size_t)d->positions, sizeof *d->mask);
    if (!d->k_cache || !d->v_cache || !d->mask)
        return ane_fail(e, ANE_ERROR_MEMORY, "", "Not enough memory.");
    for (int l = 0; l < n; l++)
        if (!(d->k_cache[l] = new_buffer(d, kv_dim(d), d->positions, e)) ||
            !(d->v_cache[l] = new_buffer(d, kv_dim(d), d->positions, e)))
            return false;
    d->cache_mask = new_buffer(d, 1, d->positions, e);
    return d->cache_mask != NULL;
}

static bool make_head(ane_decoder *d, ane_error *e) {
    const ane_model_config *c = &d->weights->config;
    mil_program *program = mil_program_new(MIL_IOS18, e);
    if (!program) return false;
    ane_llama_head(program, c, 1, activations(d));
    d->head = ane_stage_new(d->device, program, &(ane_stage_options){.copies = 1}, e);
    return d->head && (d->last = new_buffer(d, c->dim, 1, e)) &&
           (d->logits = new_buffer(d, c->vocab_size, 1, e)) && ane_stage_give(d->head, 0, "x", d->last, e) &&
           ane_stage_give(d->head, 0, "logits", d->logits, e) &&
           ane_stage_bind(d->head, ane_head_master, d->weights, NULL, e);
}

static bool make_staging(ane_decoder *d, ane_error *e) {
    const ane_model_config *c = &d->weights->config;
    size_t wide = (size_t)(c->dim > c->head_dim ? c->dim : c->head_dim) * CHUNK,
           vocab = (size_t)c->vocab_size;
    d->staging = malloc((wide > vocab ? wide : vocab) * sizeof *d->staging);
    return d->staging ? true : ane_fail(e, ANE_ERROR_MEMORY, "", "Not enough memory.");
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
    if (make_staging(d, e) && make_caches(d, e) && make_pass(d, &d->passes[0], 1, e) &&
        make_pass(d, &d->passes[1], CHUNK, e) && make_head(d, e)) {
        ane_decoder_reset(d);
        return d;
    }
    ane_decoder_free(d);
    return NULL;
}

static void free_pass(pass *p) {
    ane_stage_free(p->blocks);
    ane_buffer *buffers[] = {p->x[0], p->x[1], p->rope_cos, p->rope_sin, p->k_new, p->v_new};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) ane_buffer_free(buffers[i]);
}

void ane_decoder_free(ane_decoder *d) {
    if (!d) return;
    free_pass(&d->passes[0]);
    free_pass(&d->passes[1]);
    ane_stage_free(d->head);
    for (int l = 0; l < d->weights->config.n_layers; l++) {
        if (d->k_cache) ane_buffer_free(d->k_cache[l]);
        if (d->v_cache) ane_buffer_free(d->v_cache[l]);
    }
    ane_buffer_free(d->cache_mask);
    ane_buffer_free(d->last);
    ane_buffer_free(d->logits);
    free(d->k_cache);
    free(d->v_cache);
    free(d->mask);
    free(d->staging);
    free(d);
}

void ane_decoder_reset(ane_decoder *d) {
    d->position = 0;
    for (int32_t i = 0; i < d->positions; i++) d->mask[i] = ANE_HIDDEN;
}

/* ---- running ------------------------------------------------------------------------------------------- */

/* The inputs of a pass whose first `n` tokens are real. */
static bool fill(ane_decoder *d, const pass *p, int32_t n, const int32_t *tokens, ane_error *e) {
    const ane_model_config *c = &d->weights->config;
    int32_t padded[CHUNK];
    for (int32_t i = 0; i < p->tokens; i++) padded[i] = tokens[i < n ? i : n - 1];
    float *x = ane_floats_open(p->x[0], ANE_WRITE, d->staging, e);
    if (!x) return false;
    ane_embedding_gather(x, ane_weights_embedding(d->weights), padded, c->dim, p->tokens, d->threads);
    if (!ane_floats_close(p->x[0], ANE_WRITE, d->staging, e)) return false;
    int64_t half = (int64_t)c->head_dim / 2 * p->tokens;
    ane_rope_table(c, d->position, p->tokens, d->staging, d->staging + half);
    return ane_buffer_write_f32(p->rope_cos, d->staging, half, e) &&
           ane_buffer_write_f32(p->rope_sin, d->staging + half, half, e) &&
           ane_buffer_write_f32(d->cache_mask, d->mask, d->positions, e);
}

/* Columns 0 to n of new [channels, tokens] -> columns position to position + n of cache [channels,
 * positions]. */
static bool keep(
    const ane_decoder *d, ane_buffer *cache, ane_buffer *new, int32_t tokens, int32_t n, ane_error *e) {
    size_t size = (size_t)mil_dtype_bits(activations(d)) / 8;
    const char *from = ane_buffer_map(new, ANE_READ, e);
    if (!from) return false;
    char *to = ane_buffer_map(cache, ANE_READ_WRITE, e);
    for (int64_t c = 0; to && c < kv_dim(d); c++)
        memcpy(to + (size_t)(c * d->positions + d->position) * size, from + (size_t)(c * tokens) * size,
            (size_t)n * size);
    bool ok = to && ane_buffer_unmap(cache, e);
    return ane_buffer_unmap(new, e) && ok;
}

/* Append n tokens, at most the pass's. */
static bool append(ane_decoder *d, const pass *p, int32_t n, const int32_t *tokens, ane_error *e) {
    if (!fill(d, p, n, tokens, e)) return false;
    for (int l = 0; l < d->weights->config.n_layers; l++)
        if (!ane_stage_forward(p->blocks, l, e) || !keep(d, d->k_cache[l], p->k_new, p->tokens, n, e) ||
            !keep(d, d->v_cache[l], p->v_new, p->tokens, n, e))
            return false;
    for (int32_t i = 0; i < n; i++) d->mask[d->position + i] = 0;
    d->position += n;
    return true;
}

/* Logits after column `column` of a pass's result. */
static bool finish(ane_decoder *d, const pass *p, int32_t column, float *logits, ane_error *e) {
    const ane_model_config *c = &d->weights->config;
    ane_buffer *y = p->x[c->n_layers % 2];
    size_t size = (size_t)mil_dtype_bits(activations(d)) / 8;
    const char *from = ane_buffer_map(y, ANE_READ, e);
    if (!from) return false;
    char *to = ane_buffer_map(d->last, ANE_WRITE, e);
    for (int64_t i = 0; to && i < c->dim; i++)
        memcpy(to + (size_t)i * size, from + (size_t)(i * p->tokens + column) * size, size);
    bool ok = to && ane_buffer_unmap(d->last, e);
    return ane_buffer_unmap(y, e) && ok && ane_stage_forward(d->head, 0, e) &&
           ane_buffer_read_f32(d->logits, logits, c->vocab_size, e);
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

bool ane_decoder_feed(ane_decoder *d, int32_t n, const int32_t *tokens, float *logits, ane_error *e) {
    if (!check_feed(d, n, tokens, e)) return false;
    for (int32_t at = 0, take; at < n; at += take) {
        const pass *p = &d->passes[n - at >= FEWEST ? 1 : 0];
        take = n - at < p->tokens ? n - at : p->tokens;
        if (!append(d, p, take, tokens + at, e)) return false;
        if (at + take == n) return finish(d, p, take - 1, logits, e);
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
