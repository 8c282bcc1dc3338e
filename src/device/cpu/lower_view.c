/* Operations that move elements and compute nothing: views where memory allows, copies elsewhere. */
#include "device/cpu/plan.h"
#include "mil/shape.h"

#include <string.h>

static const cpu_view *argument(cpu_lower *l, const mil_operation *op, const char *param) {
    return &l->views[mil_arg_value(op, param)];
}

bool ane_cpu_lower_alias(cpu_lower *l, const mil_operation *op) {
    l->views[op->results[0]] = *argument(l, op, "x");
    return true;
}

bool ane_cpu_lower_reshape(cpu_lower *l, const mil_operation *op) {
    const mil_type *t = mil_type_of(l->f, op->results[0]);
    cpu_view x = *argument(l, op, "x"), out;
    if (!ane_cpu_view_reshape(&x, t->rank, t->dim, &out)) {
        x = ane_cpu_packed_copy(l, &x);
        if (!ane_cpu_view_reshape(&x, t->rank, t->dim, &out)) return false;
    }
    l->views[op->results[0]] = out;
    return true;
}

bool ane_cpu_lower_transpose(cpu_lower *l, const mil_operation *op) {
    int32_t perm[MIL_MAX_RANK];
    if (!mil_transpose_resolve(l->f, op, perm, l->e)) return false;
    l->views[op->results[0]] = ane_cpu_view_transpose(argument(l, op, "x"), perm);
    return true;
}

/* slice_by_size and slice_by_index */
bool ane_cpu_lower_slice(cpu_lower *l, const mil_operation *op) {
    const mil_type *t = mil_type_of(l->f, op->results[0]);
    cpu_view v = *argument(l, op, "x"), out;
    mil_slice_geometry g;
    if (!mil_slice_resolve(l->f, op, &g, l->e)) return false;
    for (int i = 0; i < v.rank; i++) v = ane_cpu_view_slice(&v, i, g.begin[i], g.count[i], g.stride[i]);
    if (!ane_cpu_view_reshape(&v, t->rank, t->dim, &out)) return false; /* squeezed axes have size 1 */
    l->views[op->results[0]] = out;
    return true;
}

bool ane_cpu_lower_split(cpu_lower *l, const mil_operation *op) {
    const cpu_view *x = argument(l, op, "x");
    int32_t axis;
    if (!mil_arg_axis(l->f, op, 0, x->rank, &axis, l->e)) return false;
    int64_t begin = 0;
    for (int r = 0; r < op->n_results; r++) {
        int64_t size = mil_type_of(l->f, op->results[r])->dim[axis];
        l->views[op->results[r]] = ane_cpu_view_slice(x, axis, begin, size, 1);
        begin += size;
    }
    return true;
}

/* Parts that could not be written in place are copied to theirs. */
bool ane_cpu_lower_concat(cpu_lower *l, const mil_operation *op) {
    mil_value whole = op->results[0];
    if (l->targets[whole].rank < 0 || mil_arg_bool(l->f, op, "interleave", false)) return false;
    const cpu_view out = l->targets[whole];
    int32_t axis;
    if (!mil_arg_axis(l->f, op, 0, out.rank, &axis, l->e)) return false;
    const mil_arg *parts = &op->args[mil_param_index(op->info, "values")];
    int64_t begin = 0;
    for (int32_t i = 0; i < parts->n; i++) {
        cpu_view part = l->views[parts->values[i]];
        cpu_view where = ane_cpu_view_slice(&out, axis, begin, part.dim[axis], 1);
        if (!ane_cpu_view_equal(&part, &where)) ane_cpu_move(l, &part, &where);
        begin += part.dim[axis];
    }
    l->views[whole] = out;
    return true;
}

/* [a, b] tiled (m, n) is [m, a, n, b] with stride 0 along m and n. */
bool ane_cpu_lower_tile(cpu_lower *l, const mil_operation *op) {
    const cpu_view *x = argument(l, op, "x");
    const mil_type *t = mil_type_of(l->f, op->results[0]);
    cpu_view from = {.storage = x->storage, .offset = x->offset};
    if (t->rank != x->rank) return false;
    for (int i = 0; i < x->rank; i++) {
        int64_t reps = t->dim[i] / x->dim[i];
        if (from.rank + 2 > MIL_MAX_RANK) return false;
        if (reps > 1) {
            from.dim[from.rank] = reps;
            from.stride[from.rank++] = 0;
        }
        from.dim[from.rank] = x->dim[i];
        from.stride[from.rank++] = x->stride[i];
    }
    cpu_view out = ane_cpu_destination(l, op->results[0]), to;
    l->views[op->results[0]] = out;
    if (ane_cpu_view_reshape(&out, from.rank, from.dim, &to)) {
        ane_cpu_move(l, &from, &to);
        return true;
    }
    cpu_view copy = ane_cpu_packed_copy(l, &from), packed;
    ane_cpu_view_reshape(&copy, t->rank, t->dim, &packed);
    ane_cpu_move(l, &packed, &out);
    return true;
}

/* Along one axis, rows of contiguous elements. */
bool ane_cpu_lower_gather(cpu_lower *l, const mil_operation *op) {
    if (mil_arg_int(l->f, op, "batch_dims", 0) != 0) return false;
    cpu_view x = *argument(l, op, "x"), indices = *argument(l, op, "indices");
    int32_t axis;
    if (!mil_arg_axis(l->f, op, 0, x.rank, &axis, l->e)) return false;
    if (!ane_cpu_view_is_packed(&x)) x = ane_cpu_packed_copy(l, &x);
    if (!ane_cpu_view_is_packed(&indices)) indices = ane_cpu_packed_copy(l, &indices);
    cpu_view out = ane_cpu_destination(l, op->results[0]), made = out;
    if (!ane_cpu_view_is_packed(&out))
        made = ane_cpu_temporary(l, l->plan->storages[out.storage].kind, out.rank, out.dim);
    cpu_node *n = ane_cpu_plan_node(l->plan, CPU_NODE_GATHER, 2, 1);
    cpu_gather *g = ane_arena_alloc(l->plan->arena, sizeof *g);
    if (!n || !g) return ane_cpu_no_memory(l);
    *g = (cpu_gather){.in = x, .indices = indices, .out = made, .outer = 1, .inner = 1, .size = x.dim[axis]};
    for (int i = 0; i < axis; i++) g->outer *= x.dim[i];
    for (int i = axis + 1; i < x.rank; i++) g->inner *= x.dim[i];
    g->n_indices = ane_cpu_view_count(&indices);
    g->elem = l->plan->storages[x.storage].kind == CPU_F32 ? (int)sizeof(float) : (int)sizeof(double);
    const char *opset = l->f->opset;
    g->negative_wraps = opset && (strcmp(opset, "ios15") == 0 || strcmp(opset, "ios16") == 0);
    n->in[0] = x, n->in[1] = indices, n->out[0] = made;
    n->data = g;
    if (made.storage != out.storage) ane_cpu_move(l, &made, &out);
    l->views[op->results[0]] = out;
    return true;
}
