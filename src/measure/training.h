/* training.h - a training step that can be timed: a model with random weights, a batch of random tokens, again and again. */
#ifndef ANEMONE_MEASURE_TRAINING_H
#define ANEMONE_MEASURE_TRAINING_H

#include "anemone/model.h"
#include "anemone/train.h"

typedef struct ane_training {
    ane_device *device;
    ane_weights *weights, *gradients;
    ane_adamw *optimizer;
    ane_network *network;
    int32_t batch, seq, *tokens,
        *targets; /* [batch, seq]; each token's target is the next one, the last one's the first */
    double scale; /* of the loss: 256 in fp16 */
    double loss;  /* of the last micro-step */
} ane_training;

/* What one part of a step took. */
typedef struct ane_training_times {
    double ms;
    ane_network_timers network;
    ane_device_counts device;
} ane_training_times;

/* The device is opened and owned. Call ane_training_close in any case. `placement` NULL: the best for all. */
bool ane_training_open(ane_training *t, const char *device, const ane_model_config *c, int32_t batch,
    int32_t seq, const ane_placement *placement, ane_error *e);
void ane_training_close(ane_training *t);
/* Forward, loss and backward; gradients are added up. */
bool ane_training_micro_step(ane_training *t, ane_training_times *times, ane_error *e);
/* AdamW. A gradient that is not finite is an error. */
bool ane_training_optimize(ane_training *t, ane_training_times *times, ane_error *e);
/* Telling the device that weights have changed: what it then does at once. */
bool ane_training_tell(ane_training *t, ane_training_times *times, ane_error *e);

#endif
