/* training.c - see training.h. */
#include "measure/training.h"

#include "base/clock.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>

/* The learning rate is the same from the first step on, and gradients grow with it: at a loss scale of 256 they overflowed. */
static const double SCALE_FP16 = 8, LEARNING_RATE = 5e-4;

void ane_training_close(ane_training *t) {
    ane_network_free(t->network);
    ane_adamw_free(t->optimizer);
    ane_weights_free(t->gradients);
    ane_weights_free(t->weights);
    ane_device_close(t->device);
    free(t->tokens);
    free(t->targets);
    *t = (ane_training){0};
}

static bool make_batch(ane_training *t, int32_t vocab, ane_error *e) {
    const size_t n = (size_t)t->batch * (size_t)t->seq, seq = (size_t)t->seq;
    t->tokens = calloc(n, sizeof *t->tokens);
    t->targets = calloc(n, sizeof *t->targets);
    if (!t->tokens || !t->targets) return ane_fail(e, ANE_ERROR_MEMORY, "bench", "out of memory");
    ane_rng rng = ane_rng_new(0, 0);
    for (size_t i = 0; i < n; i++) t->tokens[i] = (int32_t)ane_rng_below(&rng, (uint64_t)vocab);
    for (size_t i = 0; i < n; i++) {
        const size_t row = i / seq * seq;
        t->targets[i] = t->tokens[row + (i - row + 1) % seq];
    }
    return true;
}

bool ane_training_open(ane_training *t, const char *device, const ane_model_config *c, int32_t batch,
    int32_t seq, const ane_placement *placement, ane_error *e) {
    const ane_adamw_options adamw = {
        .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1, .clip = 1};
    *t = (ane_training){.batch = batch, .seq = seq, .device = ane_device_open(device, e)};
    if (!t->device) return false;
    t->scale = ane_device_capabilities(t->device)->precision == ANE_FP16 ? SCALE_FP16 : 1;
    t->weights = ane_weights_new(c, e);
    t->gradients = t->weights ? ane_gradients_new(c, placement, e) : NULL;
    t->optimizer = t->gradients ? ane_adamw_new(c, &adamw, e) : NULL;
    if (!t->optimizer) return false;
    ane_weights_init(t->weights, 0);
    t->network = ane_network_new(t->device, t->weights, t->gradients, batch, seq, placement, e);
    return t->network && make_batch(t, c->vocab_size, e); /* that size is one that can be trained */
}

typedef bool part(ane_training *t, ane_error *e);

static bool timed(ane_training *t, part *run, ane_training_times *times, ane_error *e) {
    const ane_device_counts before = ane_device_counts_get(t->device);
    ane_network_timers_reset(t->network);
    const double start = ane_clock_ms();
    if (!run(t, e)) return false;
    times->ms = ane_clock_ms() - start;
    const ane_device_counts after = ane_device_counts_get(t->device);
    times->device = ane_device_counts_since(&after, &before);
    times->network = ane_network_timers_get(t->network);
    return true;
}

static bool micro_step(ane_training *t, ane_error *e) {
    if (!ane_network_loss(t->network, t->tokens, t->targets, t->scale, &t->loss, e)) return false;
    return isfinite(t->loss) || ane_fail(e, ANE_ERROR_NUMERIC, "bench", "the loss is not finite");
}

static bool optimize(ane_training *t, ane_error *e) {
    const int threads = ane_device_capabilities(t->device)->threads;
    double norm;
    if (!ane_adamw_step(
            t->optimizer, t->network, t->weights, t->tokens, 1 / t->scale, LEARNING_RATE, threads, &norm, e))
        return false;
    ane_network_clear_gradients(t->network);
    return isfinite(norm) || ane_fail(e, ANE_ERROR_NUMERIC, "bench", "the gradient is not finite");
}

static bool tell(ane_training *t, ane_error *e) {
    return ane_network_weights_changed(t->network, e);
}

bool ane_training_micro_step(ane_training *t, ane_training_times *times, ane_error *e) {
    return timed(t, micro_step, times, e);
}

bool ane_training_optimize(ane_training *t, ane_training_times *times, ane_error *e) {
    return timed(t, optimize, times, e);
}

bool ane_training_tell(ane_training *t, ane_training_times *times, ane_error *e) {
    return timed(t, tell, times, e);
}
