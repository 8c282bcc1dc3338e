/* Operations over axes: reductions, softmax, layer_norm. */
#include "device/cpu/plan.h"
#include "mil/shape.h"

/* `to` is given with the reduced dimensions as 1. */
static void emit_reduction(
    cpu_lower *l, cpu_reduction op, bool round, const cpu_view *from, const cpu_view *to) {
    cpu_node *n = ane_cpu_plan_node(l->plan, CPU_NODE_REDUCE, 1, 1);
    if (!n) {
        ane_cpu_no_memory(l);
        return;
    }
    n->in[0] = *from;
    n->out[0] = ane_cpu_view_broadcast(to, from->rank, from->dim);
    n->op = op;
    n->round = round;
    ane_cpu_squeeze_node(n);
}

/* v's shape with `axes` made 1. */
static void kept_shape(const cpu_view *v, int n_axes, const int32_t *axes, int64_t *dim) {
    for (int i = 0; i < v->rank; i++) dim[i] = v->dim[i];
    for (int i = 0; i < n_axes; i++) dim[axes[i]] = 1;
}

bool ane_cpu_lower_reduce(cpu_lower *l, const mil_operation *op) {
    mil_value x = mil_arg_value(op, "x");
    cpu_view from = l->views[x], kept;
    int32_t axes[MIL_MAX_RANK];
    int n_axes = 0;
    if (!ane_cpu_is_float_value(l, x)) return false;
    if (!mil_arg_axes(l->f, op, "axes", from.rank, axes, &n_axes, l->e)) return false;
    int64_t dim[MIL_MAX_RANK];
    kept_shape(&from, n_axes, axes, dim);
    cpu_view out = ane_cpu_destination(l, op->results[0]);
    l->views[op->results[0]] = out;
    ane_cpu_view_reshape(&out, from.rank, dim, &kept); /* only dimensions of 1 come and go */
    cpu_reduction reduction = op->opcode == MIL_OP_REDUCE_SUM    ? CPU_REDUCE_SUM
                              : op->opcode == MIL_OP_REDUCE_MEAN ? CPU_REDUCE_MEAN
                                                                 : CPU_REDUCE_MAX;
    emit_reduction(l, reduction, ane_cpu_rounds(l) && reduction != CPU_REDUCE_MAX, &from, &kept);
    return true;
}

/* Rows along a contiguous axis, or columns beside a contiguous other one. */
static bool softmax_can(const cpu_view *in, const cpu_view *out, int axis) {
    if (in->dim[axis] == 1 || (in->stride[axis] == 1 && out->stride[axis] == 1)) return true;
    for (int i = 0; i < in->rank; i++)
        if (i != axis && in->dim[i] > 1 && in->stride[i] == 1 && out->stride[i] == 1) return true;
    return false;
}

void ane_cpu_emit_softmax(cpu_lower *l, const cpu_view *in, const cpu_view *out, int axis, bool round) {
    cpu_view from = *in, to = *out;
    if (!softmax_can(&from, &to, axis)) {
        from = ane_cpu_packed_copy(l, &from);
        to = ane_cpu_temporary(l, CPU_F32, out->rank, out->dim);
    }
    cpu_node *n = ane_cpu_plan_node(l->plan, CPU_NODE_SOFTMAX, 1, 1);
    cpu_softmax *s = ane_arena_alloc(l->plan->arena, sizeof *s);
    if (!n || !s) {
        ane_cpu_no_memory(l);
        return;
    }
    n->in[0] = from, n->out[0] = to;
    n->round = round;
    n->data = s;
    ane_cpu_softmax_make(s, &from, &to, axis, round);
    if (to.storage != out->storage) ane_cpu_move(l, &to, out);
}

bool ane_cpu_lower_softmax(cpu_lower *l, const mil_operation *op) {
    cpu_view in = l->views[mil_arg_value(op, "x")];
    int32_t axis;
    if (!mil_arg_axis(l->f, op, -1, in.rank, &axis, l->e)) return false;
    cpu_view out = ane_cpu_destination(l, op->results[0]);
    l->views[op->results[0]] = out;
    ane_cpu_emit_softmax(l, &in, &out, axis, ane_cpu_rounds(l));
    return true;
}

/* gamma or beta, shaped as the normalised axes, so that it broadcasts to x. */
static bool along_axes(
    cpu_lower *l, mil_value v, const cpu_view *x, int n_axes, const int32_t *axes, cpu_view *out) {
    int64_t dim[MIL_MAX_RANK];
    for (int i = 0; i < x->rank; i++) dim[i] = 1;
    for (int i = 0; i < n_axes; i++) dim[axes[i]] = x->dim[axes[i]];
    return ane_cpu_view_reshape(&l->views[v], x->rank, dim, out);
}

/* (x - mean) / sqrt(variance + epsilon) * gamma + beta, rounded once at the end as the reference does. */
bool ane_cpu_lower_layer_norm(cpu_lower *l, const mil_operation *op) {
    cpu_view x = l->views[mil_arg_value(op, "x")], gamma, beta;
    mil_value g = mil_arg_value(op, "gamma"), b = mil_arg_value(op, "beta");
    int32_t axes[MIL_MAX_RANK];
    int n_axes = 0;
    int64_t kept[MIL_MAX_RANK];
    if (!mil_arg_axes(l->f, op, "axes", x.rank, axes, &n_axes, l->e)) return false;
    if (g != MIL_NONE && !along_axes(l, g, &x, n_axes, axes, &gamma)) return false;
    if (b != MIL_NONE && !along_axes(l, b, &x, n_axes, axes, &beta)) return false;
    kept_shape(&x, n_axes, axes, kept);
    cpu_view mean = ane_cpu_temporary(l, CPU_F32, x.rank, kept),
             variance = ane_cpu_temporary(l, CPU_F32, x.rank, kept),
             factor = ane_cpu_temporary(l, CPU_F32, x.rank, kept), t[4];
    for (int i = 0; i < 4; i++) t[i] = ane_cpu_temporary(l, CPU_F32, x.rank, x.dim);
    cpu_view out = ane_cpu_destination(l, op->results[0]);
    l->views[op->results[0]] = out;
    bool round = ane_cpu_rounds(l);
    emit_reduction(l, CPU_REDUCE_MEAN, false, &x, &mean);
    ane_cpu_emit_map(l, CPU_SUB, 0, false, 2, (const cpu_view[2]){x, mean}, &t[0]);
    ane_cpu_emit_map(l, CPU_SQUARE, 0, false, 1, &t[0], &t[1]);
    emit_reduction(l, CPU_REDUCE_MEAN, false, &t[1], &variance);
    ane_cpu_emit_map(
        l, CPU_RSQRT, (float)mil_arg_float(l->f, op, "epsilon", 1e-5), false, 1, &variance, &factor);
    bool plain = g == MIL_NONE && b == MIL_NONE;
    const cpu_view *scaled = plain ? &out : &t[2], *shifted = b == MIL_NONE ? &out : &t[3];
    ane_cpu_emit_map(l, CPU_MUL, 0, plain && round, 2, (const cpu_view[2]){t[0], factor}, scaled);
    if (g != MIL_NONE)
        ane_cpu_emit_map(l, CPU_MUL, 0, b == MIL_NONE && round, 2, (const cpu_view[2]){t[2], gamma}, shifted);
    if (b != MIL_NONE)
        ane_cpu_emit_map(
            l, CPU_ADD, 0, round, 2, (const cpu_view[2]){g == MIL_NONE ? t[2] : t[3], beta}, &out);
    return true;
}
