/* Where values are to be written, decided backwards: outputs into their buffers, parts of a concat into the
 * whole. */
#include "device/cpu/plan.h"
#include "mil/shape.h"

static bool try_target(cpu_lower *l, mil_value v, const cpu_view *where);

/* The view of a reshaping operation's argument that makes its result lie at `where`. */
static bool before_view(const cpu_lower *l, const mil_operation *op, const cpu_view *where, cpu_view *out) {
    const mil_type *x = mil_type_of(l->f, mil_arg_value(op, "x"));
    if (op->opcode == MIL_OP_IDENTITY) {
        *out = *where;
        return true;
    }
    if (op->opcode != MIL_OP_TRANSPOSE) return ane_cpu_view_reshape(where, x->rank, x->dim, out);
    int32_t perm[MIL_MAX_RANK], inverse[MIL_MAX_RANK];
    if (!mil_transpose_resolve(l->f, op, perm, l->e)) return false;
    for (int i = 0; i < x->rank; i++) inverse[perm[i]] = i;
    *out = ane_cpu_view_transpose(where, inverse);
    return true;
}

static bool is_reshaping(mil_opcode opcode) {
    return opcode == MIL_OP_RESHAPE || opcode == MIL_OP_EXPAND_DIMS || opcode == MIL_OP_SQUEEZE ||
           opcode == MIL_OP_TRANSPOSE || opcode == MIL_OP_IDENTITY;
}

static bool makes_no_memory(mil_opcode opcode) { /* results are views, weights or constants */
    return opcode == MIL_OP_CONST || opcode == MIL_OP_PARAMETER || opcode == MIL_OP_SPLIT ||
           opcode == MIL_OP_SLICE_BY_INDEX || opcode == MIL_OP_SLICE_BY_SIZE || opcode == MIL_OP_CAST;
}

/* Neighbours are written apart: a transpose behind it reads and writes along cache lines, and whoever else reads the value
 * finds it in one piece. */
static bool is_scattered(const cpu_view *where) {
    int d = where->rank - 1;
    while (d > 0 && where->dim[d] == 1) d--;
    return d >= 0 && where->dim[d] > 1 && where->stride[d] != 1;
}

static bool is_product(mil_opcode opcode) { /* which can write its result transposed */
    return opcode == MIL_OP_CONV || opcode == MIL_OP_MATMUL || opcode == MIL_OP_LINEAR;
}

static bool try_target(cpu_lower *l, mil_value v, const cpu_view *where) {
    int32_t maker = l->f->values[v].op;
    if (maker == MIL_NONE || l->targets[v].rank >= 0 || l->f->values[v].constant) return false;
    const mil_operation *op = &l->f->ops[maker];
    if (is_reshaping(op->opcode)) {
        cpu_view before;
        return before_view(l, op, where, &before) && try_target(l, mil_arg_value(op, "x"), &before);
    }
    if (makes_no_memory(op->opcode) || (is_scattered(where) && !is_product(op->opcode))) return false;
    l->targets[v] = *where;
    return true;
}

static void target_parts(cpu_lower *l, const mil_operation *op) {
    mil_value whole = op->results[0];
    const mil_type *t = mil_type_of(l->f, whole);
    if (mil_arg_bool(l->f, op, "interleave", false)) return;
    if (l->targets[whole].rank < 0) l->targets[whole] = ane_cpu_destination(l, whole);
    int32_t axis;
    if (!mil_arg_axis(l->f, op, 0, t->rank, &axis, l->e)) return;
    const mil_arg *parts = &op->args[mil_param_index(op->info, "values")];
    int64_t begin = 0;
    for (int32_t i = 0; i < parts->n; i++) {
        int64_t size = mil_type_of(l->f, parts->values[i])->dim[axis];
        cpu_view where = ane_cpu_view_slice(&l->targets[whole], axis, begin, size, 1);
        try_target(l, parts->values[i], &where);
        begin += size;
    }
}

void ane_cpu_assign_targets(cpu_lower *l) {
    for (int32_t o = 0; o < l->f->n_outputs; o++) {
        int32_t s = l->plan->output_storage[o];
        if (l->plan->storages[s].kind == CPU_RAW) continue;
        cpu_view port = ane_cpu_view_packed(s, mil_type_of(l->f, l->f->outputs[o]));
        try_target(l, l->f->outputs[o], &port);
    }
    for (int32_t i = l->f->n_ops - 1; i >= 0; i--)
        if (l->f->ops[i].opcode == MIL_OP_CONCAT) target_parts(l, &l->f->ops[i]);
}
