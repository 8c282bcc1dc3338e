/* trial.h - the insides of a trial, for trial.c and trial_verify.c. */
#ifndef ANEMONE_MEASURE_TRIAL_H
#define ANEMONE_MEASURE_TRIAL_H

#include "measure/harness.h"

/* Numbers of one input, weight or output, and on the device. */
typedef struct ane_tensor {
    const char *name; /* of the kernel */
    mil_type type;
    int64_t count;
    float *x;           /* as the device got them: rounded to the type; NULL for outputs */
    ane_buffer *buffer; /* NULL for weights */
} ane_tensor;

struct ane_trial {
    ane_bench *bench;
    ane_device *device;
    const mil_program *program;
    const mil_function *function;
    ane_trial_options options;
    ane_kernel *kernel;
    ane_binding *binding;
    double compile_ms, flops, bytes;
    int n_inputs, n_outputs, n_weights;
    ane_tensor *tensors; /* inputs, then outputs, then weights */
};

#endif
