/* Causal attention and its gradient as steps of their own. In fp16 every operation within would have to be rounded: there
 * the reference runs. */
#include "device/cpu/attention.h"

static const char *const names[CPU_ATTENTION_VIEWS] = {
    [CPU_QUERY] = "query",
    [CPU_KEY] = "key",
    [CPU_VALUE] = "value",
    [CPU_RESULT] = "result",
    [CPU_STATISTICS] = "statistics",
    [CPU_D_RESULT] = "d_result",
};

/* Positions must lie side by side. */
static bool is_contiguous(const cpu_view *v) {
    return v->dim[4] == 1 || v->stride[4] == 1;
}

static cpu_view operand(cpu_lower *l, const mil_operation *op, const char *name) {
    cpu_view v = l->views[mil_arg_value(op, name)];
    return is_contiguous(&v) ? v : ane_cpu_packed_copy(l, &v);
}

static bool emit(cpu_lower *l, const mil_operation *op, cpu_node_type type, int n_in,
    const cpu_attention_view *ins, const cpu_attention_view *outs) {
    int n_out = op->n_results;
    cpu_attention *a = ane_arena_alloc(l->plan->arena, sizeof *a);
    if (!a) return ane_cpu_no_memory(l);
    *a = (cpu_attention){.scale = (float)mil_arg_float(l->f, op, "scale", 1),
        .threads = l->plan->threads,
        .bf16 = ane_cpu_multiplies_bf16(l->plan),
        .pairs = l->plan->pairs};
    for (int i = 0; i < n_in; i++) a->view[ins[i]] = operand(l, op, names[ins[i]]);
    for (int i = 0; i < n_out; i++) {
        cpu_view place = ane_cpu_destination(l, op->results[i]);
        l->views[op->results[i]] = place;
        a->view[outs[i]] =
            is_contiguous(&place) ? place : ane_cpu_temporary(l, CPU_F32, place.rank, place.dim);
    }
    const cpu_view *q = &a->view[CPU_QUERY];
    a->batch = q->dim[0], a->groups = q->dim[1], a->group = q->dim[2], a->size = q->dim[3],
    a->length = q->dim[4];
    a->room = ane_cpu_attention_room(a, type == CPU_NODE_ATTENTION_GRADIENT);
    const int64_t rooms = a->room * a->threads;
    cpu_view scratch = ane_cpu_temporary(l, CPU_F32, 1, &rooms);
    a->scratch = scratch.storage;
    cpu_node *n = ane_cpu_plan_node(l->plan, type, n_in, n_out + 1);
    if (!n) return ane_cpu_no_memory(l);
    for (int i = 0; i < n_in; i++) n->in[i] = a->view[ins[i]];
    for (int i = 0; i < n_out; i++) n->out[i] = a->view[outs[i]];
    n->out[n_out] = scratch;
    n->data = a;
    for (int i = 0; i < n_out; i++) {
        const cpu_view *place = &l->views[op->results[i]];
        if (!is_contiguous(place)) ane_cpu_move(l, &a->view[outs[i]], place);
    }
    return true;
}

bool ane_cpu_lower_causal_attention(cpu_lower *l, const mil_operation *op) {
    static const cpu_attention_view ins[] = {CPU_QUERY, CPU_KEY, CPU_VALUE},
                                    outs[] = {CPU_RESULT, CPU_STATISTICS};
    return !ane_cpu_rounds(l) && emit(l, op, CPU_NODE_ATTENTION, 3, ins, outs);
}

bool ane_cpu_lower_causal_attention_gradient(cpu_lower *l, const mil_operation *op) {
    static const cpu_attention_view ins[] = {CPU_QUERY, CPU_KEY, CPU_VALUE, CPU_RESULT, CPU_STATISTICS,
        CPU_D_RESULT},
                                    outs[] = {CPU_D_QUERY, CPU_D_KEY, CPU_D_VALUE};
    return !ane_cpu_rounds(l) && emit(l, op, CPU_NODE_ATTENTION_GRADIENT, 6, ins, outs);
}
