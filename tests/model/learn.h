/* learn.h - a tiny model's losses and gradients on a device, to be compared between devices and placements. */
#ifndef ANEMONE_TESTS_LEARN_H
#define ANEMONE_TESTS_LEARN_H

#include "support/support.h"

#include "anemone/model.h"

#include <math.h>
#include <string.h>

enum { LEARN_BATCH = 2, LEARN_SEQ = 16, LEARN_COLUMNS = LEARN_BATCH * LEARN_SEQ };

static const ane_model_config tiny = {.dim = 32,
    .hidden_dim = 48,
    .n_layers = 2,
    .n_heads = 4,
    .n_kv_heads = 2,
    .head_dim = 8,
    .vocab_size = 64,
    .max_seq = 32,
    .norm_eps = 1e-5f,
    .rope_theta = 10000,
    .bos_id = 1,
    .eos_id = 2};

typedef struct outcome {
    double loss[2];
    ane_weights *gradients;
} outcome;

/* Loss and gradients, then the loss after one step downhill: weights that changed must count. */
static inline outcome learn(ane_device *d, const ane_placement *placement) {
    ane_error e = {0};
    outcome o = {.gradients = ane_weights_new(&tiny, &e)};
    ane_weights *w = ane_weights_new(&tiny, &e);
    assert_ok(o.gradients && w, &e);
    ane_weights_init(w, 7);
    ane_network *n = ane_network_new(d, w, o.gradients, LEARN_BATCH, LEARN_SEQ, placement, &e);
    assert_ok(n != NULL, &e);
    int32_t tokens[LEARN_COLUMNS], targets[LEARN_COLUMNS];
    for (int i = 0; i < LEARN_COLUMNS; i++) {
        tokens[i] = (i * 7 + 3) % tiny.vocab_size;
        targets[i] = (i * 5 + 1) % tiny.vocab_size;
    }
    assert_ok(ane_network_loss(n, tokens, targets, 1024, &o.loss[0], &e), &e);
    for (int64_t i = 0; i < w->count; i++) w->data[i] -= 0.5f * o.gradients->data[i] / 1024;
    ane_weights *kept = ane_weights_new(&tiny, &e);
    assert_ok(kept != NULL, &e);
    memcpy(kept->data, o.gradients->data, (size_t)kept->count * sizeof(float));
    assert_ok(
        ane_network_weights_changed(n, &e) && ane_network_loss(n, tokens, targets, 1024, &o.loss[1], &e), &e);
    ane_network_free(n);
    ane_weights_free(w);
    ane_weights_free(o.gradients);
    o.gradients = kept;
    return o;
}

/* The losses relative to the expected ones, and the gradients' cosine. Frees the gradients of `found`. */
static inline void expect_outcome(outcome *found, const outcome *expected, double tolerance, double cosine) {
    double dot = 0, square = 0, other = 0;
    for (int i = 0; i < 2; i++)
        if (!(fabs(found->loss[i] / expected->loss[i] - 1) <= tolerance))
            fail_msg("loss %d: expected %.6f, found %.6f", i, expected->loss[i], found->loss[i]);
    for (int64_t i = 0; i < expected->gradients->count; i++) {
        double a = (double)expected->gradients->data[i], b = (double)found->gradients->data[i];
        dot += a * b;
        square += a * a;
        other += b * b;
    }
    if (!(dot / sqrt(square * other) > cosine && fabs(sqrt(other / square) - 1) < 0.01))
        fail_msg("gradients: cosine %.9f, length %g of what was expected", dot / sqrt(square * other),
            sqrt(other / square));
    ane_weights_free(found->gradients);
}

/* Every placement, one after the other; *i counts. */
static inline bool next_placement(ane_placement *p, int *i) {
    static const ane_place places[] = {ANE_PLACE_HOST, ANE_PLACE_DEVICE};
    *p = (ane_placement){places[*i & 1], places[*i >> 1 & 1], places[*i >> 2 & 1], (ane_recompute)(*i % 3)};
    return (*i)++ < 8;
}

#endif
