/* model.h - what a Llama-family model is: its shape, its weights, its programs.
 *
 * Weights are fp32, row-major [out, in], under Hugging Face's names, rotary embedding in Hugging Face's convention
 * (element i of a head turns with element i + head_dim/2). Importers permute; nothing inside knows another order.
 */
#ifndef ANEMONE_MODEL_H
#define ANEMONE_MODEL_H

#include "anemone/device.h"
#include "anemone/error.h"
#include "anemone/mil.h"

/* ---- shape --------------------------------------------------------------------------------------------- */

typedef struct ane_model_config {
    int32_t dim, hidden_dim, n_layers, n_heads, n_kv_heads, head_dim, vocab_size;
    int32_t max_seq;        /* max_position_embeddings */
    float norm_eps;         /* rms_norm_eps, 1e-5 */
    float rope_theta;       /* 10000 */
    bool tied;              /* the head is the embedding matrix */
    int32_t bos_id, eos_id; /* -1 when the config names none */
} ane_model_config;

/* "stories260k", "stories15m", "stories42m", "stories110m". NULL-terminated list of names by ane_model_presets(). */
bool ane_model_preset(ane_model_config *c, const char *name, ane_error *e);
const char *const *ane_model_presets(void);
/* Hugging Face's config.json of a LlamaForCausalLM; what is not supported is refused by name. */
bool ane_model_config_load(ane_model_config *c, const char *path, ane_error *e);
bool ane_model_config_save(const ane_model_config *c, const char *path, ane_error *e);
/* Every size positive, heads divisible, head_dim even; says which rule is broken. */
bool ane_model_config_check(const ane_model_config *c, ane_error *e);
bool ane_model_config_equal(const ane_model_config *a, const ane_model_config *b);
int64_t ane_model_parameter_count(const ane_model_config *c);

/* ---- weights ------------------------------------------------------------------------------------------- */

/* One tensor of the model. */
typedef struct ane_tensor_info {
    char name[96]; /* "model.layers.0.self_attn.q_proj.weight" */
    int32_t rank;
    int64_t dim[2];
    int64_t offset; /* in floats, from the start of the store; a multiple of 16 */
    int64_t count;
    int32_t layer; /* -1 for embedding, final norm and head */
    bool decays;   /* false for norms and the embedding */
} ane_tensor_info;

/* All weights in one block of fp32, so that an optimizer makes one pass over it. Gradients and moments use the same
 * layout. Gaps between tensors are zero and stay zero. */
typedef struct ane_weights {
    ane_model_config config;
    int n_tensors;
    ane_tensor_info *tensors; /* embedding, layers in order, final norm, head (unless tied) */
    int64_t count;            /* floats in the block */
    float *data;
    void *owner;                  /* private: the allocation that data lies in */
    struct ane_safetensors *file; /* private: or the file, when it is mapped */
} ane_weights;

ane_weights *ane_weights_new(const ane_model_config *c, ane_error *e); /* zeros */
void ane_weights_free(ane_weights *w);
/* Normal(0, 0.02); o_proj and down_proj scaled by 1/sqrt(2 n_layers); norms 1. The same numbers for the same seed on
 * every machine. */
void ane_weights_init(ane_weights *w, uint64_t seed);
const ane_tensor_info *ane_weights_find(const ane_weights *w, const char *name); /* NULL when there is none */
/* The part of a name behind "model.layers.N." and before ".weight" is a block parameter: "self_attn.q_proj". */
float *ane_weights_layer(const ane_weights *w, int layer, const char *block_param, int64_t *count);
float *ane_weights_embedding(const ane_weights *w); /* [vocab, dim] */
float *ane_weights_head(const ane_weights *w);      /* [vocab, dim]; the embedding when tied */
float *ane_weights_final_norm(const ane_weights *w);
/* False, naming tensor and index, when a weight is NaN or infinite. */
bool ane_weights_check_finite(const ane_weights *w, ane_error *e);

/* Load whatever `path` is: a Hugging Face folder (config.json + model.safetensors, fp32, bf16 or fp16), a llama2.c
 * .bin, a run folder or a checkpoint folder of anemone (its newest valid checkpoint). */
ane_weights *ane_weights_load(const char *path, ane_error *e);
/* The same, only to be read: one safetensors file of fp32 is mapped, not copied; tensors then lie as they do in it, in pages
 * that are slower to read than a copy's. For who reads them once, as devices of other precisions do. */
ane_weights *ane_weights_map(const char *path, ane_error *e);
bool ane_weights_load_config(ane_model_config *c, const char *path, ane_error *e); /* the shape alone */
typedef enum ane_weight_format { ANE_FORMAT_HF, ANE_FORMAT_LLAMA2C } ane_weight_format;
/* dtype: MIL_FP32, MIL_FP16 or MIL_BF16 (llama2.c: MIL_FP32 only). HF: `path` is a folder. */
bool ane_weights_save(
    const ane_weights *w, const char *path, ane_weight_format format, mil_dtype dtype, ane_error *e);

/* ---- safetensors --------------------------------------------------------------------------------------- */

typedef struct ane_safetensor {
    const char *name;
    mil_type type;
    const void *data;
} ane_safetensor;
typedef struct ane_safetensors ane_safetensors;
ane_safetensors *ane_safetensors_open(const char *path, ane_error *e); /* mapped; header and bounds checked */
void ane_safetensors_close(ane_safetensors *s);
int ane_safetensors_count(const ane_safetensors *s);
const ane_safetensor *ane_safetensors_at(const ane_safetensors *s, int index);
const ane_safetensor *ane_safetensors_find(const ane_safetensors *s, const char *name);
const char *ane_safetensors_metadata(const ane_safetensors *s, const char *key); /* NULL when absent */
/* Written whole or not at all. `metadata` is key, value, key, value, ..., NULL; may be NULL. */
bool ane_safetensors_write(
    const char *path, int n, const ane_safetensor *tensors, const char *const *metadata, ane_error *e);

/* ---- programs ------------------------------------------------------------------------------------------------------
 * Activations are [1, channels, 1, columns], columns = batch * seq, sequence by sequence: the form the Neural Engine
 * wants. Parameters are named as in the weight store: "input_layernorm", "self_attn.q_proj", ..., "mlp.down_proj". */

typedef struct ane_block_shape {
    int32_t batch, seq; /* new tokens per sequence */
    int32_t
        cached; /* positions of a key/value cache that the block attends to before its own; 0 when training.
                            With a cache, batch is 1. */
    mil_dtype dtype; /* of activations and parameters */
    bool fused;      /* attention as one operation where there is one for it (a device's fuses_attention) */
    bool keeps;      /* k_new and v_new are outputs without a cache too; batch is 1 */
    mil_dtype cache_dtype; /* of the cache, k_new and v_new when fused; MIL_VOID: dtype */
} ane_block_shape;

/* One transformer block.
 *   inputs  x [1, dim, 1, B*S]; rope_cos, rope_sin [1, head_dim/2, 1, S];
 *           with a cache: k_cache, v_cache [1, n_kv_heads*head_dim, 1, cached], cache_mask [1, 1, 1, cached] (0 or
 *           -inf-like, added to the scores)
 *   outputs y [1, dim, 1, B*S]; with a cache or `keeps` also k_new, v_new [1, n_kv_heads*head_dim, 1, S] (k rotated)
 * Fused: caches are [1, n_kv_heads, cached, head_dim], k_new and v_new [1, n_kv_heads, S, head_dim], a position in one run;
 * and for S = 1 the input cache_length, int32 [1], how many positions are there, takes the place of the mask. */
bool ane_llama_block(mil_program *p, const ane_model_config *c, const ane_block_shape *s);
/* Final norm and head: input x [1, dim, 1, N], output logits [1, vocab, 1, N]; parameters "norm", "lm_head". */
bool ane_llama_head(mil_program *p, const ane_model_config *c, int32_t columns, mil_dtype dtype);
/* cos and sin for positions first .. first+seq-1: [head_dim/2, seq] each, row-major. */
void ane_rope_table(const ane_model_config *c, int32_t first, int32_t seq, float *cos, float *sin);

/* ---- network: the programs compiled and bound for training or evaluation ------------------------------- */

/* Where a part of the training step is computed. */
typedef enum ane_place {
    ANE_PLACE_BEST, /* where the step is fastest by what is recorded of the device's chip */
    ANE_PLACE_HOST, /* on the CPU */
    ANE_PLACE_DEVICE,
} ane_place;
const char *ane_place_name(ane_place place); /* "best", "cpu", "device" */
bool ane_place_from_name(ane_place *place, const char *name, ane_error *e);

/* What backward computes again instead of being given it from memory. */
typedef enum ane_recompute {
    ANE_RECOMPUTE_NONE, /* element-wise operations alone */
    ANE_RECOMPUTE_ATTENTION, /* attention, too: nothing of the length of a sequence squared is kept on any device */
    ANE_RECOMPUTE_BLOCK, /* whole blocks: only what stands between them is kept */
    ANE_RECOMPUTE_GRADIENTS, /* and gradients: one tensor's are kept, and every use of them runs the way back again */
} ane_recompute;
const char *ane_recompute_name(ane_recompute recompute); /* "none", "attention", "block", "gradients" */
bool ane_recompute_from_name(ane_recompute *recompute, const char *name, ane_error *e);

typedef struct ane_placement {
    ane_place head;           /* final norm, head */
    ane_place norms_backward; /* the blocks' RMSNorms on the way back */
    ane_place dw; /* products that are weight gradients: on the host beside the next kernel where the device
                                 allows, or in the backward kernels */
    ane_recompute recompute;
} ane_placement;
/* `asked` with every ANE_PLACE_BEST decided, for a step of `columns` tokens. */
ane_placement ane_placement_decide(
    const ane_placement *asked, const ane_capabilities *d, const ane_model_config *c, int32_t columns);

/* A recorded design's choices, as far as they are choices (ane-spec 4.3 to 4.9): placement, and how weights reach the
 * device ("weights=..." of its spec). Its kernels are cut finer: where it takes ten evaluations for a block, these take
 * two or four. */
typedef struct ane_recipe {
    const char *name, *weights;
    ane_placement placement;
} ane_recipe;
const ane_recipe *ane_recipes(int *n);
const ane_recipe *ane_recipe_find(const char *name); /* NULL when there is none */

typedef struct ane_network ane_network;
/* Milliseconds since the last ane_network_timers_reset. All but the last are parts of the time of the calls. */
typedef struct ane_network_timers {
    double embedding, forward, head, loss, backward, norms, products, scatter;
    double waiting; /* for products beside */
    double beside;  /* products while something else was going on */
} ane_network_timers;

/* A store for the gradients of a model: laid out like its weights, or, where placement->recompute is
 * ANE_RECOMPUTE_GRADIENTS, like those of a model with one block, whose tensors all lie in one place: the weights of all
 * blocks use it in turn. Zeros. `placement` NULL: all are kept. */
ane_weights *ane_gradients_new(const ane_model_config *c, const ane_placement *placement, ane_error *e);
/* `gradients` (of ane_gradients_new with the same placement) is added to by every backward; NULL: evaluation only. Both must
 * outlive the network. `placement` NULL: ANE_PLACE_BEST for all. More tokens in a sequence than the model's max_seq are refused. */
ane_network *ane_network_new(ane_device *d, ane_weights *weights, ane_weights *gradients, int32_t batch,
    int32_t seq, const ane_placement *placement, ane_error *e);
void ane_network_free(ane_network *n);
ane_placement ane_network_placement(const ane_network *n); /* as it was decided */
/* Mean cross-entropy in nats over the targets; tokens and targets [batch, seq], ids < vocab. Where gradients are kept, also
 * backward: gradients += scale * d(loss). A target of -1 is not counted; when none is, loss and gradients are 0. */
bool ane_network_loss(
    ane_network *n, const int32_t *tokens, const int32_t *targets, double scale, double *loss, ane_error *e);
/* The next backward puts its gradients in place of those there are: cheaper than to zero them and add. */
void ane_network_clear_gradients(ane_network *n);
/* Uses gradients of the weights [begin, end), as counted in the store of weights; the first is at `g`. */
typedef void ane_gradient_user(void *context, int64_t begin, int64_t end, const float *g);
/* Every gradient of the last ane_network_loss, whose `tokens` these are, once: all in one go where they are kept; else the
 * way back is run, and each tensor's (of the embedding and the head some rows') are there during one call alone. The user may
 * change the weights that it is given the gradients of; after that the next loss comes before other gradients. */
bool ane_network_gradients(
    ane_network *n, const int32_t *tokens, ane_gradient_user *use, void *context, ane_error *e);
/* Of each tensor of the gradients, as it was formed last, the sum of squares; NaN where forming it did not
 * give it. For networks with gradients; the network's own memory. */
const double *ane_network_squares(ane_network *n);
/* Logits [batch*seq, vocab] for tokens [batch, seq]. */
bool ane_network_logits(ane_network *n, const int32_t *tokens, float *logits, ane_error *e);
/* After every change of the weights and before the next loss or logits. */
bool ane_network_weights_changed(ane_network *n, ane_error *e);
ane_network_timers ane_network_timers_get(const ane_network *n);
void ane_network_timers_reset(ane_network *n);
double ane_network_back_ms(
    const ane_network_timers *t); /* of the way back: of those, the ones behind the loss */
double ane_network_step_flops(
    const ane_network *n); /* one forward and backward: products only, 2 per multiply-add */

double ane_network_product_flops(
    const ane_network *n); /* of those, what timers.products (or beside) is the time of */

/* ---- decoder: one token (or a prompt) at a time with a key/value cache --------------------------------- */

typedef struct ane_decoder ane_decoder;
/* `positions`: the longest sequence it can hold. */
ane_decoder *ane_decoder_new(ane_device *d, ane_weights *weights, int32_t positions, ane_error *e);
void ane_decoder_free(ane_decoder *d);
void ane_decoder_reset(ane_decoder *d);
/* Append n tokens; logits [vocab] after the last one. A refused call appends nothing; after a failure of the device the
 * sequence must be begun again with ane_decoder_reset. */
bool ane_decoder_feed(ane_decoder *d, int32_t n, const int32_t *tokens, float *logits, ane_error *e);
int32_t ane_decoder_position(const ane_decoder *d);
int32_t ane_decoder_positions(const ane_decoder *d);  /* the longest sequence, as given to ane_decoder_new */
int32_t ane_decoder_vocab_size(const ane_decoder *d); /* length of the logits */

#endif
