/* config.c - the shape of a model: presets, rules, counting. */
#include "model/impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Past these no product of sizes can leave 63 bits; no Llama comes near them. */
enum { MAX_WIDTH = 1 << 20, MAX_VOCAB = 1 << 24, MAX_SEQ = 1 << 24, MAX_LAYERS = 1 << 12 };

typedef struct preset {
    const char *name;
    int32_t dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, max_seq;
} preset;

/* The TinyStories models of llama2.c. */
static const preset presets[] = {
    {"stories260k", 64, 172, 5, 8, 4, 512, 512},
    {"stories15m", 288, 768, 6, 6, 6, 32000, 256},
    {"stories42m", 512, 1376, 8, 8, 8, 32000, 1024},
    {"stories110m", 768, 2048, 12, 12, 12, 32000, 1024},
};
enum { N_PRESETS = sizeof presets / sizeof *presets };

static const char *const preset_names[N_PRESETS + 1] = {
    "stories260k", "stories15m", "stories42m", "stories110m", NULL};

const char *const *ane_model_presets(void) {
    return preset_names;
}

bool ane_model_preset(ane_model_config *c, const char *name, ane_error *e) {
    for (int i = 0; i < N_PRESETS; i++) {
        const preset *p = &presets[i];
        if (strcmp(p->name, name) != 0) continue;
        *c = (ane_model_config){
            .dim = p->dim,
            .hidden_dim = p->hidden_dim,
            .n_layers = p->n_layers,
            .n_heads = p->n_heads,
            .n_kv_heads = p->n_kv_heads,
            .head_dim = p->dim / p->n_heads,
            .vocab_size = p->vocab_size,
            .max_seq = p->max_seq,
            .norm_eps = 1e-5f,
            .rope_theta = 10000,
            .tied = true,
            .bos_id = 1,
            .eos_id = 2,
        };
        return true;
    }
    ane_fail(e, ANE_ERROR_ARGUMENT, name, "There is no preset of this name.");
    return ane_hint(e, "Presets are stories260k, stories15m, stories42m and stories110m.");
}

typedef struct size_rule {
    const char *name;
    int32_t value, limit;
} size_rule;

static bool check_sizes(const ane_model_config *c, ane_error *e) {
    const size_rule rules[] = {
        {"hidden_size", c->dim, MAX_WIDTH},
        {"intermediate_size", c->hidden_dim, MAX_WIDTH},
        {"num_hidden_layers", c->n_layers, MAX_LAYERS},
        {"num_attention_heads", c->n_heads, MAX_WIDTH},
        {"num_key_value_heads", c->n_kv_heads, MAX_WIDTH},
        {"head_dim", c->head_dim, MAX_WIDTH},
        {"vocab_size", c->vocab_size, MAX_VOCAB},
        {"max_position_embeddings", c->max_seq, MAX_SEQ},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].value < 1 || rules[i].value > rules[i].limit)
            return ane_fail(e, ANE_ERROR_ARGUMENT, "", "%s must be between 1 and %d, found %d.",
                rules[i].name, rules[i].limit, rules[i].value);
    return true;
}

bool ane_model_config_check(const ane_model_config *c, ane_error *e) {
    if (!check_sizes(c, e)) return false;
    if (c->n_heads % c->n_kv_heads != 0)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "",
            "num_attention_heads must be a multiple of num_key_value_heads, found %d and %d.", c->n_heads,
            c->n_kv_heads);
    if (c->head_dim % 2 != 0)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "",
            "head_dim must be even, for rotary embedding turns pairs; found %d.", c->head_dim);
    if ((int64_t)c->n_heads * c->head_dim > MAX_WIDTH)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "",
            "num_attention_heads * head_dim must be at most %d, found %lld.", MAX_WIDTH,
            (long long)c->n_heads * c->head_dim);
    if (!(c->norm_eps > 0) || !isfinite(c->norm_eps))
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, "", "rms_norm_eps must be a positive number, found %g.", c->norm_eps);
    if (!(c->rope_theta > 0) || !isfinite(c->rope_theta))
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, "", "rope_theta must be a positive number, found %g.", c->rope_theta);
    if (c->bos_id < -1 || c->bos_id >= c->vocab_size)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "", "bos_token_id must be below vocab_size %d, found %d.",
            c->vocab_size, c->bos_id);
    if (c->eos_id < -1 || c->eos_id >= c->vocab_size)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "", "eos_token_id must be below vocab_size %d, found %d.",
            c->vocab_size, c->eos_id);
    return true;
}

bool ane_model_config_equal(const ane_model_config *a, const ane_model_config *b) {
    return a->dim == b->dim && a->hidden_dim == b->hidden_dim && a->n_layers == b->n_layers &&
           a->n_heads == b->n_heads && a->n_kv_heads == b->n_kv_heads && a->head_dim == b->head_dim &&
           a->vocab_size == b->vocab_size && a->max_seq == b->max_seq && a->norm_eps == b->norm_eps &&
           a->rope_theta == b->rope_theta && a->tied == b->tied && a->bos_id == b->bos_id &&
           a->eos_id == b->eos_id;
}

void ane_block_params(const ane_model_config *c, ane_block_param params[ANE_BLOCK_PARAMS]) {
    int64_t d = c->dim, h = c->hidden_dim, q = (int64_t)c->n_heads * c->head_dim;
    int64_t kv = (int64_t)c->n_kv_heads * c->head_dim;
    const ane_block_param rows[ANE_BLOCK_PARAMS] = {
        {"input_layernorm", 1, d, 1},
        {"self_attn.q_proj", 2, q, d},
        {"self_attn.k_proj", 2, kv, d},
        {"self_attn.v_proj", 2, kv, d},
        {"self_attn.o_proj", 2, d, q},
        {"post_attention_layernorm", 1, d, 1},
        {"mlp.gate_proj", 2, h, d},
        {"mlp.up_proj", 2, h, d},
        {"mlp.down_proj", 2, d, h},
    };
    memcpy(params, rows, sizeof rows);
}

int64_t ane_model_parameter_count(const ane_model_config *c) {
    ane_block_param params[ANE_BLOCK_PARAMS];
    ane_block_params(c, params);
    int64_t block = 0;
    for (int i = 0; i < ANE_BLOCK_PARAMS; i++) block += params[i].rows * params[i].columns;
    int64_t embedding = (int64_t)c->vocab_size * c->dim;
    return embedding * (c->tied ? 1 : 2) + block * c->n_layers + c->dim;
}
