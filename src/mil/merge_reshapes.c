/* merge_reshapes.c - a reshape of a reshape is one: what lay between had rows that nobody needs. */
#include "mil/function.h"
#include "mil/rewrite.h"

static bool reshapes(mil_opcode opcode) {
    return opcode == MIL_OP_RESHAPE || opcode == MIL_OP_EXPAND_DIMS || opcode == MIL_OP_SQUEEZE;
}

/* What `v` holds the elements of, in the same order. */
static mil_value source(const mil_function *f, mil_value v) {
    while (f->values[v].op != MIL_NONE && reshapes(f->ops[f->values[v].op].opcode))
        v = mil_arg_value(&f->ops[f->values[v].op], "x");
    return v;
}

static bool same_shape(const mil_type *a, const mil_type *b) {
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) same = a->dim[i] == b->dim[i];
    return same;
}

static bool step(mil_rewrite *r, int32_t index, ane_error *e) {
    const mil_operation *op = &r->from->ops[index];
    if (!reshapes(op->opcode)) return mil_rewrite_copy(r, index, e);
    mil_value x = source(r->from, mil_arg_value(op, "x"));
    const mil_type *to = mil_type_of(r->from, op->results[0]);
    if (same_shape(mil_type_of(r->from, x), to)) return mil_rewrite_replace(r, index, 0, r->map[x], false, e);
    if (to->rank == 0 || x == mil_arg_value(op, "x")) return mil_rewrite_copy(r, index, e);
    return mil_rewrite_replace(r, index, 0, mil_reshape(r->to, r->map[x], to->rank, to->dim), true, e);
}

bool mil_pass_merge_reshapes(mil_function *f, ane_error *e) {
    return mil_rewrite_function(f, step, NULL, e);
}
