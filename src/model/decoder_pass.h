/* decoder_pass.h - the blocks of a decoder, compiled for a number of new tokens and a length of the cache. */
#ifndef ANEMONE_MODEL_DECODER_PASS_H
#define ANEMONE_MODEL_DECODER_PASS_H

#include "model/impl.h"
#include "model/stage.h"

/* Keys and values so far: [n_layers] buffers [1, kv_dim, 1, length] each, or, where the device fuses attention, [1,
 * n_kv_heads, length, head_dim]: positions in one run, in bf16 where products are. And what says which are there. */
typedef struct ane_kv_cache {
    int32_t length;
    int threads;  /* that copy */
    bool in_runs; /* the second form */
    ane_buffer **k, **v;
    ane_buffer *mask;  /* [1, 1, 1, length]: 0, or ANE_HIDDEN where there is nothing yet */
    ane_buffer *count; /* int32 [1]: of the positions that are there */
} ane_kv_cache;

/* False with a report when it cannot be; ane_kv_cache_free also then. */
bool ane_kv_cache_new(
    ane_kv_cache *c, ane_device *d, const ane_model_config *m, int32_t length, ane_error *e);
void ane_kv_cache_free(ane_kv_cache *c, const ane_model_config *m);
/* The first n positions of `from`, all layers. */
bool ane_kv_cache_copy(
    ane_kv_cache *to, const ane_kv_cache *from, const ane_model_config *m, int32_t n, ane_error *e);
/* The first n positions of new (like the cache, tokens long) -> positions position to position + n of cache. */
bool ane_kv_keep(
    const ane_kv_cache *c, ane_buffer *cache, ane_buffer *new, int32_t position, int32_t n, ane_error *e);

/* The blocks for `tokens` new tokens behind a cache (cached 0: at the beginning, without one). */
typedef struct ane_pass {
    int32_t tokens, cached; /* tokens 0: not made */
    ane_stage *blocks;
    ane_buffer *x[2]; /* [1, dim, 1, tokens]: layers read one and write the other */
    ane_buffer *rope_cos, *rope_sin;
    ane_buffer *k_new, *v_new; /* like the cache, tokens long */
} ane_pass;

/* `cache` NULL: without one. False with a report when it cannot be; ane_pass_free also then. */
bool ane_pass_new(ane_pass *p, ane_device *d, const ane_weights *w, int32_t tokens, const ane_kv_cache *cache,
    ane_error *e);
void ane_pass_free(ane_pass *p);

#endif
