/* timemodel.h - how long a program would take on a chip: modelled, from operations, bytes and dispatch.
 *
 *     time = dispatch + sum over products of (start + max(arithmetic, weights)) + surfaces / bandwidth + spill
 *     arithmetic = FLOPs / peak          (int8 faster, matmul slower than conv, by the chip's factors)
 *     weights    = bytes / resident rate   when the operation's weights fit the working set
 *                  bytes / conflict rate   when its channels are a multiple of 4,096
 *                  bytes / bandwidth       otherwise
 *     spill      = bytes of intermediate values beyond SRAM, written and read, / bandwidth
 */
#ifndef ANEMONE_EMULATOR_TIMEMODEL_H
#define ANEMONE_EMULATOR_TIMEMODEL_H

#include "anemone/mil.h"
#include "emulator/chips.h"

/* Weights whose channels are a multiple of this stream slowly (ane-spec 5.8). */
enum { EM_CONFLICT_CHANNELS = 4096 };

/* What of a program costs time, for every chip alike. */
typedef struct em_cost_op {
    double flops;
    double weight_bytes;
    bool matmul, int8, conflict;
} em_cost_op;
typedef struct em_cost {
    int n_ops;
    em_cost_op *ops; /* the products; everything else is free beside them */
    double flops;
    double surface_bytes;       /* inputs and outputs */
    double largest_value_bytes; /* of intermediate values */
} em_cost;

bool em_cost_of(em_cost *cost, const mil_function *f, ane_error *e);
void em_cost_free(em_cost *cost);
double em_model_ms(const em_rates *rates, const em_cost *cost);
double em_model_compile_ms(const em_rates *rates, const em_cost *cost);

#endif
