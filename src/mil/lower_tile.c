/* lower_tile.c - tile poisons the process that runs it (ANE-35); adding zeros that broadcast says the same.
 *
 *     tile(x [a, b], [m, n]):  x seen as [1, a, 1, b] + zeros [m, 1, n, 1] -> [m, a, n, b] -> [m a, n b] */
#include "mil/function.h"
#include "mil/lower.h"
#include "mil/rewrite.h"

#include <stdlib.h>

/* One axis at a time, so that no tensor has more than four axes, and four because of ANE-42:
 * [outer, 1, 1, rest] + [1, reps, 1, 1] -> [outer, reps, 1, rest] */
static mil_value tile_axis(mil_function *f, mil_value x, int axis, int64_t reps) {
    mil_type t = *mil_type_of(f, x);
    int64_t outer = 1, rest = 1;
    for (int i = 0; i < axis; i++) outer *= t.dim[i];
    for (int i = axis; i < t.rank; i++) rest *= t.dim[i];
    uint16_t *zeros = calloc((size_t)reps, sizeof *zeros);
    if (!zeros) {
        mil_no_memory(&f->program->error, "tile");
        return MIL_NONE;
    }
    mil_value zero = mil_const_data(f, mil_tensor(MIL_FP16, 4, (int64_t[]){1, reps, 1, 1}), zeros);
    free(zeros);
    x = mil_add(f, mil_reshape(f, x, 4, (int64_t[]){outer, 1, 1, rest}), zero);
    t.dim[axis] *= reps;
    return mil_reshape(f, x, t.rank, t.dim);
}

static bool step(mil_rewrite *r, int32_t index, ane_error *e) {
    const mil_operation *op = &r->from->ops[index];
    int32_t reps[MIL_MAX_RANK];
    int n = 0;
    if (op->opcode != MIL_OP_TILE) return mil_rewrite_copy(r, index, e);
    if (!mil_arg_ints(r->from, op, "reps", MIL_MAX_RANK, reps, &n, e)) return false;
    mil_value x = r->map[mil_arg_value(op, "x")];
    bool fresh = false;
    for (int axis = 0; axis < n && x != MIL_NONE; axis++) {
        if (reps[axis] == 1) continue;
        x = tile_axis(r->to, x, axis, reps[axis]);
        fresh = true;
    }
    return mil_rewrite_replace(r, index, 0, x, fresh, e);
}

bool mil_pass_lower_tile(mil_lowering *l, ane_error *e) {
    return mil_rewrite_function(l->f, step, NULL, e);
}
