/* impl.h - what the files of src/model share with each other and with nobody else. */
#ifndef ANEMONE_MODEL_IMPL_H
#define ANEMONE_MODEL_IMPL_H

#include "anemone/model.h"

#include <stddef.h>

/* ---- names and shapes ---------------------------------------------------------------------------------- */

enum { ANE_BLOCK_PARAMS = 9 };

/* One parameter of a block: "self_attn.q_proj" and its matrix [rows, columns]; a norm has rank 1. */
typedef struct ane_block_param {
    const char *name;
    int32_t rank;
    int64_t rows, columns;
} ane_block_param;

/* The parameters of every block, in the order of the weight store. */
void ane_block_params(const ane_model_config *c, ane_block_param params[ANE_BLOCK_PARAMS]);

/* ane_weights_new in two halves, so that a file can be held against the layout before memory is taken. */
ane_weights *ane_weights_layout(const ane_model_config *c, ane_error *e); /* data NULL */
bool ane_weights_allocate(ane_weights *w, ane_error *e);

/* The shape whose layout ane_gradients_new has. */
ane_model_config ane_gradients_config(const ane_model_config *c, const ane_placement *placement);
/* Where gradients that are not kept take turns; *count: how many floats there is room for. */
float *ane_gradients_place(const ane_weights *g, int64_t *count);

/* The master copy of a parameter of block `layer`, and of the head, whatever `layer` is; `store` is an
 * ane_weights. */
float *ane_block_master(const void *store, int layer, const char *name, int64_t *count);
float *ane_head_master(const void *store, int layer, const char *name, int64_t *count);

/* ---- programs ------------------------------------------------------------------------------------------ */

/* A block is two halves, each x + f(norm(x)). As a program of its own: input "x" (and the rotary tables), output "y"; the
 * value behind the norm is called "normed". */
typedef enum ane_block_half { ANE_ATTENTION_HALF, ANE_FEED_FORWARD_HALF } ane_block_half;
bool ane_llama_half(mil_program *p, const ane_model_config *c, const ane_block_shape *s, ane_block_half half);
/* A norm alone: input "x" [1, dim, 1, columns], output "normed", parameter "norm". */
bool ane_llama_norm(mil_program *p, const ane_model_config *c, int32_t columns, mil_dtype dtype);

/* What is added to a score to hide it. exp(-1e4) is 0 in fp32 as in fp16, and -1e4 plus any score stays
 * finite in fp16, which -65504 would not. */
#define ANE_HIDDEN (-1e4f)

/* ---- file formats -------------------------------------------------------------------------------------- */

/* `mapped`: where that can be, for reading alone. */
ane_weights *ane_huggingface_load(const char *folder, bool mapped, ane_error *e);
bool ane_huggingface_save(const ane_weights *w, const char *folder, mil_dtype dtype, ane_error *e);

bool ane_llama2c_config(ane_model_config *c, const char *path, ane_error *e);
ane_weights *ane_llama2c_load(const char *path, ane_error *e);
bool ane_llama2c_save(const ane_weights *w, const char *path, ane_error *e);

/* `count` elements of `dtype` (fp32, fp16 or bf16), at any address, to fp32 and back. */
void ane_widen(float *out, const void *in, mil_dtype dtype, int64_t count);
void ane_narrow(void *out, const float *in, mil_dtype dtype, int64_t count);

#endif
