/* generate.h - sampling from a model, and measuring how well it predicts. */
#ifndef ANEMONE_GENERATE_H
#define ANEMONE_GENERATE_H

#include "anemone/data.h"
#include "anemone/device.h"
#include "anemone/model.h"
#include "anemone/text.h"

typedef struct ane_sampling {
    double temperature; /* 0: the most likely token */
    int32_t top_k;      /* 0: all */
    double top_p;       /* 1: all */
    uint64_t seed;
} ane_sampling;

/* One token from logits[vocab] (changed); draws one number from `random` in [0, 1) unless temperature is 0. */
int32_t ane_sample(float *logits, int32_t vocab, const ane_sampling *s, double random);

/* Called for each new token; false stops. */
typedef bool ane_token_fn(void *context, int32_t token);
typedef struct ane_generate_stats {
    int32_t prompt_tokens, new_tokens;
    double prompt_ms, decode_ms;
} ane_generate_stats;
/* Feed the prompt (n >= 1 tokens), then sample up to max_new tokens, or as many as the decoder has room for. It ends at
 * stop_token (-1: none), which is neither told to `each` nor counted. `each` and `stats` may be NULL. */
bool ane_generate(ane_decoder *d, const int32_t *prompt, int32_t n, int32_t max_new, int32_t stop_token,
    const ane_sampling *s, ane_token_fn *each, void *context, ane_generate_stats *stats, ane_error *e);

typedef struct ane_evaluation {
    double loss; /* nats per token */
    double perplexity;
    double bits_per_byte; /* negative when the bytes are not known */
    int64_t tokens;
} ane_evaluation;
/* Loss over all windows of a split, each once, or its first max_batches (0: all). */
bool ane_evaluate(ane_device *d, ane_weights *weights, const ane_dataset *data, ane_split split,
    int32_t batch, int32_t seq, int64_t max_batches, ane_evaluation *result, ane_error *e);

#endif
