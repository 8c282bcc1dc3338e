/* golden.h - the small Llama of tests/golden/llama_small.py: the same config, weights and tokens, by the same
 * formulas. What PyTorch makes of them is in tests/golden/llama_small.safetensors. */
#ifndef ANEMONE_TESTS_MODEL_GOLDEN_H
#define ANEMONE_TESTS_MODEL_GOLDEN_H

#include "anemone/model.h"
#include "support/support.h"

enum { GOLDEN_BATCH = 3, GOLDEN_SEQ = 64, GOLDEN_VOCAB = 97, GOLDEN_STEPS = 30 };
#define GOLDEN_FILE ANEMONE_ROOT "/tests/golden/llama_small.safetensors"

static inline ane_model_config golden_config(void) {
    return (ane_model_config){48, 128, 2, 6, 2, 8, GOLDEN_VOCAB, GOLDEN_SEQ, 1e-5f, 10000, false, -1, -1};
}

/* Wellons' lowbias32. */
static inline uint32_t golden_mix(uint32_t x) {
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* Tensor i of the store is stream i: norms 1 + u/4, the embedding u, other matrices u/4; u in [-1, 1). */
static inline ane_weights *golden_weights(ane_error *e) {
    const ane_model_config c = golden_config();
    ane_weights *w = ane_weights_new(&c, e);
    for (int i = 0; w && i < w->n_tensors; i++) {
        const ane_tensor_info *t = &w->tensors[i];
        for (int64_t k = 0; k < t->count; k++) {
            float u =
                (float)((int32_t)(golden_mix((uint32_t)k + (uint32_t)i * 0x01000000u) >> 8) - (1 << 23)) *
                0x1p-23f;
            w->data[t->offset + k] = i == 0 ? u : u * 0.25f + (t->rank == 1 ? 1.0f : 0.0f);
        }
    }
    return w;
}

/* Tokens and targets [3, 64] of a step: 65 ids a sequence, the targets one later. */
static inline void golden_batch(int step, int32_t *tokens, int32_t *targets) {
    for (int b = 0; b < GOLDEN_BATCH; b++)
        for (int s = 0; s <= GOLDEN_SEQ; s++) {
            uint32_t k = (uint32_t)(b * (GOLDEN_SEQ + 1) + s) + 0x80000000u + (uint32_t)step * 0x1000u;
            int32_t id = (int32_t)(golden_mix(k) % GOLDEN_VOCAB);
            if (s < GOLDEN_SEQ) tokens[b * GOLDEN_SEQ + s] = id;
            if (s > 0) targets[b * GOLDEN_SEQ + s - 1] = id;
        }
}

#endif
