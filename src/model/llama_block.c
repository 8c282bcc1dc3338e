/* llama_block.c - the Llama block and head, written as their mathematics. Nothing of their backward is
 * written by hand.
 *
 *     h = x + o_proj(attention(rms_norm(x)))
 *     y = h + down_proj(silu(gate_proj(n)) * up_proj(n)),  n = rms_norm(h)
 *
 * Letters in the comments: D dim, F hidden_dim, H n_heads, K n_kv_heads, R = H / K, E head_dim, B batch, S
 * new tokens per sequence, T cached positions, N = B * S columns. */
#include "model/impl.h"

#include <math.h>
#include <stdlib.h>

typedef struct block {
    mil_function *f;
    const ane_model_config *c;
    const ane_block_shape *s;
    mil_value cos, sin;                 /* [1, 1, E/2, 1, S] */
    mil_value caches[2];                /* keys, values; MIL_NONE without a cache */
    mil_value cache_mask, cache_length; /* what says which positions are there: one of the two */
    mil_value k_new, v_new;             /* [1, K*E, 1, N]; fused [1, K, S, E] */
} block;

static mil_type channels(mil_dtype dtype, int64_t count, int64_t columns) {
    return mil_tensor(dtype, 4, (int64_t[]){1, count, 1, columns});
}

static mil_value reshape5(
    mil_function *f, mil_value x, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e) {
    return mil_reshape(f, x, 5, (int64_t[]){a, b, c, d, e});
}

/* W x for every column: x [1, I, 1, N], W [O, I] -> [1, O, 1, N] */
static mil_value linear(mil_function *f, mil_value x, const char *name, int64_t out, int64_t in) {
    mil_type type = mil_tensor(mil_type_of(f, x)->dtype, 4, (int64_t[]){out, in, 1, 1});
    return mil_conv(f, x, mil_param(f, name, type));
}

/* w * x / sqrt(mean(x^2) + eps), the mean over channels. */
static mil_value rms_norm(mil_function *f, mil_value x, const char *name, const ane_model_config *c) {
    mil_value w = mil_param(f, name, channels(mil_type_of(f, x)->dtype, c->dim, 1));
    mil_value mean = mil_reduce_mean(f, mil_mul(f, x, x), 1, (int32_t[]){1}, true); /* [1, 1, 1, N] */
    mil_value r = mil_pow_scalar(f, mil_add_scalar(f, mean, c->norm_eps), -0.5);
    return mil_name(f, mil_mul(f, mil_mul(f, x, r), w), "normed");
}

/* Turn element i of every head with element i + E/2: x [1, heads*E, 1, N] -> [heads, 2, E/2, B, S] */
static mil_value rotate(const block *b, mil_value x, int32_t heads) {
    mil_function *f = b->f;
    mil_value half[2]; /* [heads, 1, E/2, B, S] each */
    mil_split(f, reshape5(f, x, heads, 2, b->c->head_dim / 2, b->s->batch, b->s->seq), 2, 1, half);
    const mil_value turned[2] = {
        mil_sub(f, mil_mul(f, half[0], b->cos), mil_mul(f, half[1], b->sin)),
        mil_add(f, mil_mul(f, half[1], b->cos), mil_mul(f, half[0], b->sin)),
    };
    return mil_concat(f, 2, turned, 1);
}

/* Heads in groups, channel-first in every head: [heads*E elements, B, S] -> [B, K, heads/K, E, S] */
static mil_value by_head(const block *b, mil_value x, int32_t heads) {
    const ane_model_config *c = b->c;
    x = reshape5(b->f, x, c->n_kv_heads, heads / c->n_kv_heads, c->head_dim, b->s->batch, b->s->seq);
    return mil_transpose(b->f, x, (int32_t[]){3, 0, 1, 2, 4});
}

/* [S, S]: a token sees itself and what came before. */
static mil_value causal_mask(const block *b) {
    int64_t s = b->s->seq;
    float *mask = calloc((size_t)(s * s), sizeof *mask);
    if (!mask) {
        ane_fail(&b->f->program->error, ANE_ERROR_MEMORY, "",
            "Not enough memory for a mask of %lld elements.", (long long)(s * s));
        return MIL_NONE;
    }
    for (int64_t i = 0; i < s; i++)
        for (int64_t j = i + 1; j < s; j++) mask[i * s + j] = ANE_HIDDEN;
    mil_value v = mil_const_floats(b->f, mil_tensor(b->s->dtype, 2, (int64_t[]){s, s}), mask);
    free(mask);
    return v;
}

/* softmax(q^T k + mask) v^T among the new tokens. q [B, K, R, E, S], k and v [B, K, 1, E, S]: head h of the H
 * query heads reads key head h / R, by broadcasting. -> [B, K, R, E, S] */
static mil_value attend(const block *b, mil_value q, mil_value k, mil_value v) {
    mil_function *f = b->f;
    mil_value scores = mil_add(f, mil_matmul(f, q, k, true, false), causal_mask(b)); /* [B, K, R, S, S] */
    return mil_matmul(f, v, mil_softmax(f, scores, -1), false, true);
}

static mil_value attend_fused(const block *b, mil_value q, mil_value k, mil_value v) {
    mil_value results[2];
    mil_causal_attention(b->f, q, k, v, 1 / sqrt(b->c->head_dim), results);
    return results[0];
}

static bool fuses_cached(const ane_block_shape *s) {
    return s->fused && s->cached > 0 && s->seq == 1;
}

static mil_dtype cache_dtype(const ane_block_shape *s) {
    return s->fused && s->cache_dtype != MIL_VOID ? s->cache_dtype : s->dtype;
}

/* A cache as [1, K, 1, E, T], or fused [1, K, 1, T, E], in the type of activations. */
static mil_value old_of(const block *b, int which) {
    int64_t kv = b->c->n_kv_heads, e = b->c->head_dim, t = b->s->cached;
    mil_value old = b->caches[which];
    if (cache_dtype(b->s) != b->s->dtype) old = mil_cast(b->f, old, b->s->dtype);
    return b->s->fused ? reshape5(b->f, old, 1, kv, 1, t, e) : reshape5(b->f, old, 1, kv, 1, e, t);
}

/* The same with T cached positions before the new tokens: one softmax over both. B = 1. */
static mil_value attend_cached(const block *b, mil_value q, mil_value k, mil_value v) {
    mil_function *f = b->f;
    int32_t kv = b->c->n_kv_heads, r = b->c->n_heads / kv, s = b->s->seq, t = b->s->cached;
    bool fused = b->s->fused;
    const mil_value scores[2] = {
        mil_add(f, mil_matmul(f, q, old_of(b, 0), true, fused), reshape5(f, b->cache_mask, 1, 1, 1, 1, t)),
        mil_add(f, mil_matmul(f, q, k, true, false), causal_mask(b)),
    };
    mil_value p = mil_softmax(f, mil_concat(f, 2, scores, -1), -1); /* [1, K, R, S, T+S] */
    mil_value old_p = mil_slice_by_size(f, p, (int32_t[]){0, 0, 0, 0, 0}, (int32_t[]){1, kv, r, s, t});
    mil_value new_p = mil_slice_by_size(f, p, (int32_t[]){0, 0, 0, 0, t}, (int32_t[]){1, kv, r, s, s});
    return mil_add(f, mil_matmul(f, old_of(b, 1), old_p, fused, true), mil_matmul(f, v, new_p, false, true));
}

/* What is kept of new keys or values [1, K, 1, E, S]: a position's elements side by side, [1, K, S, E]. */
static mil_value kept(const block *b, mil_value x) {
    x = mil_transpose(b->f, x, (int32_t[]){0, 1, 2, 4, 3});
    x = mil_reshape(b->f, x, 4, (int64_t[]){1, b->c->n_kv_heads, b->s->seq, b->c->head_dim});
    return cache_dtype(b->s) != b->s->dtype ? mil_cast(b->f, x, cache_dtype(b->s)) : x;
}

/* q [B, K, R, E, S], k and v [B, K, 1, E, S] -> [B, K, R, E, S] */
static mil_value attend_somehow(const block *b, mil_value q, mil_value k, mil_value v) {
    const mil_value new_keys_values[2] = {k, v};
    double scale = 1 / sqrt(b->c->head_dim);
    if (fuses_cached(b->s))
        return mil_cached_attention(b->f, q, new_keys_values, b->caches, b->cache_length, scale);
    if (b->s->fused && b->s->cached == 0) return attend_fused(b, q, k, v);
    q = mil_mul_scalar(b->f, q, scale); /* q, not the scores: it is smaller, and fp16 does not overflow */
    return b->s->cached > 0 ? attend_cached(b, q, k, v) : attend(b, q, k, v);
}

/* x [1, D, 1, N] -> [1, D, 1, N] */
static mil_value attention(block *b, mil_value x) {
    mil_function *f = b->f;
    const ane_model_config *c = b->c;
    int64_t wide = (int64_t)c->n_heads * c->head_dim, narrow = (int64_t)c->n_kv_heads * c->head_dim;
    int64_t columns = (int64_t)b->s->batch * b->s->seq;
    mil_value q = rotate(b, linear(f, x, "self_attn.q_proj", wide, c->dim), c->n_heads);
    mil_value k = rotate(b, linear(f, x, "self_attn.k_proj", narrow, c->dim), c->n_kv_heads);
    b->v_new = linear(f, x, "self_attn.v_proj", narrow, c->dim);
    b->k_new = mil_reshape(f, k, 4, (int64_t[]){1, narrow, 1, columns});
    q = by_head(b, q, c->n_heads);
    k = by_head(b, k, c->n_kv_heads);
    mil_value v = by_head(b, b->v_new, c->n_kv_heads);
    mil_value a = attend_somehow(b, q, k, v); /* [B, K, R, E, S] */
    if (b->s->fused && (b->s->keeps || b->s->cached > 0)) b->k_new = kept(b, k), b->v_new = kept(b, v);
    a = mil_transpose(f, a, (int32_t[]){1, 2, 3, 0, 4}); /* [K, R, E, B, S] */
    a = mil_reshape(f, a, 4, (int64_t[]){1, wide, 1, columns});
    return linear(f, a, "self_attn.o_proj", c->dim, wide);
}

/* SwiGLU: x [1, D, 1, N] -> [1, D, 1, N] */
static mil_value feed_forward(mil_function *f, mil_value x, const ane_model_config *c) {
    mil_value gate = mil_silu(f, linear(f, x, "mlp.gate_proj", c->hidden_dim, c->dim));
    mil_value up = linear(f, x, "mlp.up_proj", c->hidden_dim, c->dim);
    return linear(f, mil_mul(f, gate, up), "mlp.down_proj", c->dim, c->hidden_dim);
}

static bool check_shape(mil_program *p, const ane_model_config *c, const ane_block_shape *s) {
    if (!ane_model_config_check(c, &p->error)) return false;
    if (s->batch < 1 || s->seq < 1 || s->cached < 0)
        return ane_fail(&p->error, ANE_ERROR_ARGUMENT, "",
            "A block needs a batch and a sequence of at least 1, found %d and %d, and %d cached.", s->batch,
            s->seq, s->cached);
    if ((s->cached > 0 || s->keeps) && s->batch != 1)
        return ane_fail(
            &p->error, ANE_ERROR_ARGUMENT, "", "A block with a cache has batch 1, found %d.", s->batch);
    return true;
}

static mil_type cache_type(const block *b) {
    int64_t kv = b->c->n_kv_heads, e = b->c->head_dim, t = b->s->cached;
    if (b->s->fused) return mil_tensor(cache_dtype(b->s), 4, (int64_t[]){1, kv, t, e});
    return channels(b->s->dtype, kv * e, t);
}

static void declare_inputs(block *b) {
    mil_function *f = b->f;
    mil_dtype dtype = b->s->dtype;
    int64_t half = b->c->head_dim / 2, s = b->s->seq, t = b->s->cached;
    bool counts = fuses_cached(b->s);
    b->cos = mil_input(f, "rope_cos", channels(dtype, half, s));
    b->sin = mil_input(f, "rope_sin", channels(dtype, half, s));
    b->caches[0] = t ? mil_input(f, "k_cache", cache_type(b)) : MIL_NONE;
    b->caches[1] = t ? mil_input(f, "v_cache", cache_type(b)) : MIL_NONE;
    b->cache_mask = t && !counts ? mil_input(f, "cache_mask", channels(dtype, 1, t)) : MIL_NONE;
    b->cache_length =
        counts ? mil_input(f, "cache_length", mil_tensor(MIL_INT32, 1, (int64_t[]){1})) : MIL_NONE;
    b->cos = reshape5(f, b->cos, 1, 1, half, 1, s);
    b->sin = reshape5(f, b->sin, 1, 1, half, 1, s);
}

/* h = x + attention(norm(x)) and y = h + feed_forward(norm(h)); what is normed bears that name, so that derivation can
 * end there. */
static mil_value half_of(block *b, ane_block_half half, mil_value x) {
    bool attends = half == ANE_ATTENTION_HALF;
    const char *norm = attends ? "input_layernorm" : "post_attention_layernorm";
    mil_value n = rms_norm(b->f, x, norm, b->c);
    return mil_add(b->f, x, attends ? attention(b, n) : feed_forward(b->f, n, b->c));
}

bool ane_llama_block(mil_program *p, const ane_model_config *c, const ane_block_shape *s) {
    if (!check_shape(p, c, s)) return false;
    mil_function *f = mil_function_new(p, "main");
    block b = {.f = f, .c = c, .s = s};
    mil_value x = mil_input(f, "x", channels(s->dtype, c->dim, (int64_t)s->batch * s->seq));
    declare_inputs(&b);
    mil_output(f, "y", half_of(&b, ANE_FEED_FORWARD_HALF, half_of(&b, ANE_ATTENTION_HALF, x)));
    if (s->cached > 0 || s->keeps) {
        mil_output(f, "k_new", b.k_new);
        mil_output(f, "v_new", b.v_new);
    }
    return mil_program_ok(p, &p->error);
}

bool ane_llama_half(
    mil_program *p, const ane_model_config *c, const ane_block_shape *s, ane_block_half half) {
    if (!check_shape(p, c, s)) return false;
    mil_function *f = mil_function_new(p, "main");
    block b = {.f = f, .c = c, .s = s};
    mil_value x = mil_input(f, "x", channels(s->dtype, c->dim, (int64_t)s->batch * s->seq));
    if (half == ANE_ATTENTION_HALF) declare_inputs(&b);
    mil_output(f, "y", half_of(&b, half, x));
    return mil_program_ok(p, &p->error);
}

bool ane_llama_norm(mil_program *p, const ane_model_config *c, int32_t columns, mil_dtype dtype) {
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", channels(dtype, c->dim, columns));
    mil_output(f, "normed", rms_norm(f, x, "norm", c));
    return mil_program_ok(p, &p->error);
}

bool ane_llama_head(mil_program *p, const ane_model_config *c, int32_t columns, mil_dtype dtype) {
    if (!ane_model_config_check(c, &p->error)) return false;
    if (columns < 1)
        return ane_fail(
            &p->error, ANE_ERROR_ARGUMENT, "", "A head needs at least 1 column, found %d.", columns);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", channels(dtype, c->dim, columns));
    mil_output(f, "logits", linear(f, rms_norm(f, x, "norm", c), "lm_head", c->vocab_size, c->dim));
    return mil_program_ok(p, &p->error);
}

/* Angle of pair i at position p: p * theta^(-2i/E). */
void ane_rope_table(const ane_model_config *c, int32_t first, int32_t seq, float *cosines, float *sines) {
    for (int32_t i = 0; i < c->head_dim / 2; i++) {
        double frequency = pow(c->rope_theta, -2.0 * i / c->head_dim);
        for (int32_t s = 0; s < seq; s++) {
            cosines[(int64_t)i * seq + s] = (float)cos((first + s) * frequency);
            sines[(int64_t)i * seq + s] = (float)sin((first + s) * frequency);
        }
    }
}
