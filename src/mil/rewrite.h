/* rewrite.h - rebuilding a function operation by operation: the frame that passes share.
 *
 * A pass gives one function that is called for each operation in order. It either appends what shall stand in
 * the operation's place and says where the results went (r->map), or leaves it to mil_rewrite_copy(). Inputs,
 * outputs, their names and order, labels and places are kept.
 */
#ifndef ANEMONE_MIL_REWRITE_H
#define ANEMONE_MIL_REWRITE_H

#include "mil/ops.h"

typedef struct mil_rewrite {
    const mil_function *from; /* not changed while the pass runs */
    mil_function *to;
    mil_value *map; /* value of `from` -> value of `to`, MIL_NONE when not there yet */
    void *context;  /* the pass's own */
} mil_rewrite;

/* Handle operation `index` of r->from. */
typedef bool mil_rewrite_fn(mil_rewrite *r, int32_t index, ane_error *e);

/* Rebuild `f` through `step`; on failure `f` is as it was. The pointer stays good. */
bool mil_rewrite_function(mil_function *f, mil_rewrite_fn *step, void *context, ane_error *e);

/* A pass that changes inputs or outputs too. NULL: they are copied; `inputs` must map every input of r->from that
 * is used, `outputs` must declare all of r->to's. */
typedef struct mil_rewrite_hooks {
    bool (*inputs)(mil_rewrite *r, ane_error *e);
    mil_rewrite_fn *step;
    bool (*outputs)(mil_rewrite *r, ane_error *e);
} mil_rewrite_hooks;
bool mil_rewrite_ports(mil_function *f, const mil_rewrite_hooks *hooks, void *context, ane_error *e);
/* What a missing hook does. */
bool mil_rewrite_inputs(mil_rewrite *r, ane_error *e);
bool mil_rewrite_outputs(mil_rewrite *r, ane_error *e);
/* False, with the report that building left in r->to, if there is one. */
bool mil_rewrite_ok(mil_rewrite *r, ane_error *e);

/* Append operation `index` as it is, its arguments mapped. */
bool mil_rewrite_copy(mil_rewrite *r, int32_t index, ane_error *e);
/* The operation with its arguments mapped into r->to, for reading; its results are r->from's. The memory
 * lives as long as the program. NULL args when out of memory (reported). */
mil_operation mil_rewrite_mapped(mil_rewrite *r, int32_t index, ane_error *e);
/* Result `i` of the operation is now `v`; when v was made for it, v takes over its name. */
bool mil_rewrite_replace(mil_rewrite *r, int32_t index, int i, mil_value v, bool fresh, ane_error *e);

/* The passes, as the table in passes.c has them. */
bool mil_pass_dead_code(mil_function *f, ane_error *e);
bool mil_pass_cse(mil_function *f, ane_error *e);
bool mil_pass_fold_constants(mil_function *f, ane_error *e);
bool mil_pass_expand(mil_function *f, ane_error *e);
bool mil_pass_merge_reshapes(mil_function *f, ane_error *e); /* merge_reshapes.c; part of lowering */

#endif
