/* layer.h - one block's training step, in the stages of its optimization that the field has recorded (seed 002): each of them
 * can be left out. */
#ifndef ANEMONE_MEASURE_LAYER_H
#define ANEMONE_MEASURE_LAYER_H

#include "model/beside.h"
#include "model/impl.h"

typedef struct ane_layer_ways {
    bool
        host_norms; /* the norms' way back is the host's, so activations cross over in fp32, and a block is two kernels
                         each way */
    bool token_first; /* there they are [positions, channels]: transposed on every way */
    bool plain_norms; /* by plain loops of one thread */
    bool beside;      /* weight gradients on a thread beside the next kernel */
    bool whole;       /* the block is one kernel each way, not one for each half */
    bool deferred; /* the wait for the weight gradients is at the next backward, not at the end of the step */
} ane_layer_ways;

/* Where a step's time went; ms. */
typedef struct ane_layer_times {
    double crossing, norms, products, waiting;
} ane_layer_times;

enum { ANE_LAYER_HALVES = 2 };
typedef struct ane_layer {
    ane_layer_ways ways;
    ane_device *device, *host; /* device: borrowed */
    ane_weights *weights, *gradients;
    int32_t positions;
    int n; /* parts */
    ane_stage *parts[ANE_LAYER_HALVES], *norms;
    ane_buffer *x[ANE_LAYER_HALVES + 1],
        *d[ANE_LAYER_HALVES + 1];                 /* x[k+1] = part k of x[k]; d likewise, back */
    ane_buffer *device_d;                         /* d(normed), from the device */
    ane_buffer *norm_x, *normed, *d_normed, *d_x; /* the norms', fp32 on the host */
    ane_buffer *rope_cos, *rope_sin;
    float *staging[2], *beside_staging[2], *tokens; /* [dim or hidden, positions] each */
    ane_beside beside;
    ane_layer_times times; /* of the last step */
} ane_layer;

/* A block of this model's (n_layers 1) on `device`, with random weights, input and d(output). ane_layer_close in any case. */
bool ane_layer_open(ane_layer *l, ane_device *device, const ane_model_config *c, int32_t positions,
    const ane_layer_ways *ways, ane_error *e);
void ane_layer_close(ane_layer *l);
/* Other numbers in x[0] and d[n]; gradients are zero. */
bool ane_layer_refresh(ane_layer *l, uint64_t seed, ane_error *e);
/* Forward and backward; gradients are added up. */
bool ane_layer_step(ane_layer *l, ane_error *e);
/* After the last step: weight gradients that are still being formed. */
bool ane_layer_finish(ane_layer *l, ane_error *e);

#endif
