/* programs_attention.h - attention, and what stands round it in a block, in the ways the field has tried. NULL with a report
 * on failure; the caller frees (mil_program_free). Weights as in programs.h.
 *
 * Letters: N heads, E elements of a head, D = N * E, F hidden, S positions. */
#ifndef ANEMONE_MEASURE_PROGRAMS_ATTENTION_H
#define ANEMONE_MEASURE_PROGRAMS_ATTENTION_H

#include "anemone/mil.h"

typedef struct ane_attention_shape {
    int64_t heads, head_dim, hidden, positions;
    bool causal;     /* the mask is added to the scores */
    mil_dtype dtype; /* of activations and weights */
} ane_attention_shape;

/* q, k, v [1, N, S, E] -> y [1, N, S, E], as one operation: scaled_dot_product_attention, never masked. */
mil_program *ane_program_sdpa(const ane_attention_shape *s, ane_error *e);
/* The same with one input: x [1, 3 N, S, E], queries, keys, values. */
mil_program *ane_program_sdpa_packed(const ane_attention_shape *s, ane_error *e);
/* The same written out: y = softmax(q kT / sqrt(E) + mask) v. */
mil_program *ane_program_decomposed(const ane_attention_shape *s, ane_error *e);
/* Its two products alone, for a softmax between them: q, k -> scores [1, N, S, S]; probs, v -> y. */
mil_program *ane_program_scores(const ane_attention_shape *s, ane_error *e);
mil_program *ane_program_mix(const ane_attention_shape *s, ane_error *e);

/* Attention as grouped convolutions: keys and values are constant weights (a prompt that stays). q [1, D, 1, S] ->
 * y [1, D, 1, S]. */
mil_program *ane_program_conv_attention(const ane_attention_shape *s, ane_error *e);
/* Its two convolutions alone: q -> scores [1, N * S, 1, S] (key j of head n is channel n * S + j); probs -> y. */
mil_program *ane_program_conv_scores(const ane_attention_shape *s, ane_error *e);
mil_program *ane_program_conv_mix(const ane_attention_shape *s, ane_error *e);

/* x [1, D, 1, S] -> y [1, 3 D, 1, S]: queries, keys, values in one dispatch. */
mil_program *ane_program_qkv(const ane_attention_shape *s, ane_error *e);

/* What stands behind it: x [1, 3 D, 1, S] -> y [1, D, 1, S], heads put side by side; then the output's projection. */
mil_program *ane_program_attend(const ane_attention_shape *s, ane_error *e);
mil_program *ane_program_output(const ane_attention_shape *s, ane_error *e);
/* The three in one dispatch. */
mil_program *ane_program_plain_attention(const ane_attention_shape *s, ane_error *e);

enum { ANE_ATTENTION_PART = 1, ANE_FFN_PART = 2 };
/* x [1, D, 1, S] -> y [1, D, 1, S]: attention with its projections, the gated feed-forward, or one behind the other; each adds
 * its input. */
mil_program *ane_program_block(const ane_attention_shape *s, int parts, ane_error *e);
/* The feed-forward's way back through its first two products: dh [1, 2 F, 1, S] (dh1, then dh3) -> dx [1, D, 1, S] =
 * W1T dh1 + W3T dh3. */
mil_program *ane_program_ffn_backward(const ane_attention_shape *s, ane_error *e);
/* One of its two products: x [1, F, 1, S] -> y [1, D, 1, S]; `half` 0: W1T, 1: W3T. */
mil_program *ane_program_ffn_backward_half(const ane_attention_shape *s, int half, ane_error *e);

#endif
