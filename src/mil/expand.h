/* expand.h - composite operations in terms of simpler ones. */
#ifndef ANEMONE_MIL_EXPAND_H
#define ANEMONE_MIL_EXPAND_H

#include "mil/ops.h"

/* True when the operation is a composite: attention, layer_norm, gelu, linear. */
bool mil_can_expand(const mil_operation *op);

/* Append the simpler operations to `f`, of which op's arguments must be values (`op` need not stand in it);
 * fills results[op->n_results]. */
bool mil_expand_op(mil_function *f, const mil_operation *op, mil_value *results, ane_error *e);

#endif
