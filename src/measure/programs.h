/* programs.h - the programs that benchmarks run. NULL with a report on failure; the caller frees (mil_program_free).
 *
 * Weights are normal, scaled by 1 / sqrt(fan in), so that activations neither grow nor vanish over a chain of 256: outputs
 * can be compared. (The field's tools use weights that are all positive, which overflow fp16 after seven layers.)
 */
#ifndef ANEMONE_MEASURE_PROGRAMS_H
#define ANEMONE_MEASURE_PROGRAMS_H

#include "anemone/mil.h"

/* How weights are stored: NULL or "fp16" (as the activations), "int8" and "int4" (one scale a matrix),
 * "int4-block" (one for 32 inputs of a channel), "lut4" (a table of 16). */

/* x [1, C, H, W] -> y through `depth` convolutions 1x1 of C channels with constant weights. */
typedef struct ane_chain {
    int64_t channels, height, width, depth;
    mil_dtype dtype; /* of activations: the device's */
    const char *weights;
    bool quantized; /* W8A8: activations are int8 between the layers */
} ane_chain;
mil_program *ane_program_chain(const ane_chain *c, ane_error *e);

/* y [1, out, 1, S]: one convolution 1x1 of x [1, in, 1, S]. */
typedef struct ane_conv1 {
    int64_t in, out, positions;
    mil_dtype dtype;
    const char *weights;
} ane_conv1;
mil_program *ane_program_conv(const ane_conv1 *c, ane_error *e);

/* A constant [out, in, 1, 1], normal / sqrt(in), for programs of other benchmarks; `stream` tells matrices apart. */
mil_value ane_program_weight(
    mil_function *f, int64_t out, int64_t in, mil_dtype dtype, const char *weights, uint64_t stream);

/* y [1, 1, S, D] = x W, W [D, D] from an input: `packed` in one input x [1, D, 1, S + D] (activations in its first S columns, W
 * behind them), else x [1, 1, S, D] and w [1, 1, D, D]. */
mil_program *ane_program_dynamic(int64_t dim, int64_t positions, bool packed, mil_dtype dtype, ane_error *e);

#endif
