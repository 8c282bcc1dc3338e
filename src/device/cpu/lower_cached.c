/* Attention behind a cache: of one new position as a step of its own; of several, and in fp16, the reference runs. */
#include "device/cpu/attention.h"

static bool is_step(const cpu_plan *plan, const mil_function *f, const mil_operation *op) {
    return op->opcode == MIL_OP_CACHED_ATTENTION && plan->precision != ANE_FP16 &&
           mil_type_of(f, mil_arg_value(op, "query"))->dim[4] == 1;
}

static bool reads(const mil_operation *op, mil_value v) {
    for (int a = 0; op->opcode != MIL_OP_CONST && a < op->info->n_params; a++)
        for (int32_t k = 0; k < op->args[a].n; k++)
            if (op->args[a].values[k] == v) return true;
    return false;
}

/* An input of bf16 that nothing but attention reads. */
static bool is_only_cache(const cpu_plan *plan, const mil_function *f, mil_value v) {
    bool is_input = false;
    for (int32_t i = 0; i < f->n_inputs; i++) is_input = is_input || f->inputs[i] == v;
    for (int32_t o = 0; o < f->n_outputs; o++)
        if (f->outputs[o] == v) return false;
    for (int32_t i = 0; i < f->n_ops; i++)
        if (reads(&f->ops[i], v) && !is_step(plan, f, &f->ops[i])) return false;
    return is_input && mil_type_of(f, v)->dtype == MIL_BF16;
}

bool ane_cpu_is_raw_cache(const cpu_plan *plan, const mil_function *f, mil_value input) {
    bool used = false;
    for (int32_t i = 0; i < f->n_ops; i++) {
        const mil_operation *op = &f->ops[i];
        if (!is_step(plan, f, op)) continue;
        mil_value keys = mil_arg_value(op, "key_cache"), values = mil_arg_value(op, "value_cache");
        if (!is_only_cache(plan, f, keys) || !is_only_cache(plan, f, values)) return false;
        used = used || keys == input || values == input;
    }
    return used;
}

/* The elements of a head must lie side by side. */
static bool is_contiguous(const cpu_view *v) {
    return v->dim[3] == 1 || v->stride[3] == 1;
}

static cpu_view operand(cpu_lower *l, const mil_operation *op, const char *name) {
    cpu_view v = l->views[mil_arg_value(op, name)];
    return is_contiguous(&v) ? v : ane_cpu_packed_copy(l, &v);
}

static cpu_view whole_cache(cpu_lower *l, const mil_operation *op, const char *name) {
    cpu_view v = l->views[mil_arg_value(op, name)];
    return ane_cpu_view_is_packed(&v) && v.offset == 0 ? v : ane_cpu_packed_copy(l, &v);
}

static bool add_node(cpu_lower *l, cpu_cached *c, const cpu_view caches[2], const cpu_view *length) {
    const int64_t scores = c->groups * c->group * (c->room + 1);
    cpu_view scratch = ane_cpu_temporary(l, CPU_F32, 1, &scores);
    cpu_node *n = ane_cpu_plan_node(l->plan, CPU_NODE_CACHED, 6, 2);
    if (!n) return ane_cpu_no_memory(l);
    c->scratch = scratch.storage;
    const cpu_view in[] = {c->query, c->key, c->value, caches[0], caches[1], *length};
    for (int i = 0; i < 6; i++) n->in[i] = in[i];
    n->out[0] = c->result;
    n->out[1] = scratch;
    n->data = c;
    return true;
}

bool ane_cpu_lower_cached_attention(cpu_lower *l, const mil_operation *op) {
    if (!is_step(l->plan, l->f, op)) return false;
    cpu_cached *c = ane_arena_alloc(l->plan->arena, sizeof *c);
    if (!c) return ane_cpu_no_memory(l);
    const cpu_view caches[] = {whole_cache(l, op, "key_cache"), whole_cache(l, op, "value_cache")},
                   length = whole_cache(l, op, "length"), place = ane_cpu_destination(l, op->results[0]);
    bool bf16 = l->plan->storages[caches[0].storage].kind == CPU_RAW;
    *c = (cpu_cached){.query = operand(l, op, "query"),
        .key = operand(l, op, "key"),
        .value = operand(l, op, "value"),
        .result = is_contiguous(&place) ? place : ane_cpu_temporary(l, CPU_F32, place.rank, place.dim),
        .cache = {caches[0].storage, caches[1].storage},
        .length = length.storage,
        .format = bf16 ? ANE_GEMV_BF16 : ANE_GEMV_F32,
        .scale = (float)mil_arg_float(l->f, op, "scale", 1)};
    c->groups = c->query.dim[1], c->group = c->query.dim[2], c->size = c->query.dim[3];
    c->room = caches[0].dim[2];
    l->views[op->results[0]] = place;
    if (!add_node(l, c, caches, &length)) return false;
    if (!is_contiguous(&place)) ane_cpu_move(l, &c->result, &place);
    return true;
}
