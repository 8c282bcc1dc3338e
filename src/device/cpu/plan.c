/* Building a plan: lower the operations, schedule the nodes, place what needs memory. */
#include "device/cpu/plan.h"

#include <string.h>

cpu_kind ane_cpu_kind_of(mil_dtype dtype) {
    return mil_dtype_is_float(dtype) || dtype == MIL_BOOL ? CPU_F32 : CPU_F64;
}

static int element_bytes(cpu_kind kind) {
    return kind == CPU_F32 ? (int)sizeof(float) : kind == CPU_F64 ? (int)sizeof(double) : 1;
}

/* One more entry in a growing array of the plan's arena; NULL when out of memory. */
static void *append(ane_arena *arena, void **array, int32_t *n, int32_t *capacity, size_t size) {
    if (*n == *capacity) {
        int32_t larger = *capacity ? 2 * *capacity : 64;
        void *moved = ane_arena_array(arena, (size_t)larger, size);
        if (!moved) return NULL;
        if (*n) memcpy(moved, *array, (size_t)*n * size);
        *array = moved;
        *capacity = larger;
    }
    return (char *)*array + (size_t)(*n)++ * size;
}

int32_t ane_cpu_plan_storage(cpu_plan *plan, cpu_place place, cpu_kind kind, int32_t index, int64_t count) {
    void *array = plan->storages;
    cpu_storage *s =
        append(plan->arena, &array, &plan->n_storages, &plan->storage_capacity, sizeof *plan->storages);
    plan->storages = array;
    if (!s) return -1;
    *s = (cpu_storage){.place = place,
        .kind = kind,
        .index = index,
        .count = count,
        .bytes = count * element_bytes(kind),
        .offset = -1,
        .first = -1,
        .last = -1};
    return plan->n_storages - 1;
}

cpu_node *ane_cpu_plan_node(cpu_plan *plan, cpu_node_type type, int n_in, int n_out) {
    cpu_view *views = ane_arena_array(plan->arena, (size_t)n_in + (size_t)n_out, sizeof *views);
    void *array = plan->nodes;
    cpu_node *n =
        views ? append(plan->arena, &array, &plan->n_nodes, &plan->node_capacity, sizeof *plan->nodes) : NULL;
    plan->nodes = array;
    if (!n) return NULL;
    *n = (cpu_node){.type = type, .n_in = n_in, .n_out = n_out, .in = views, .out = views + n_in};
    return n;
}

/* A storage for every input, output and weight: as we hold it where it is bound as such, else raw bytes. */
static bool add_ports(cpu_plan *plan, ane_error *e) {
    const mil_function *f = plan->f;
    size_t n_in = (size_t)f->n_inputs, n_out = (size_t)f->n_outputs;
    plan->input_storage = ane_arena_array(plan->arena, n_in, sizeof *plan->input_storage);
    plan->output_storage = ane_arena_array(plan->arena, n_out, sizeof *plan->output_storage);
    plan->gemm_output = ane_arena_array(plan->arena, n_out, sizeof *plan->gemm_output);
    if (!plan->input_storage || !plan->output_storage || !plan->gemm_output)
        return ane_fail(e, ANE_ERROR_MEMORY, f->name, "no memory for the plan's ports");
    for (int32_t i = 0; i < f->n_inputs + f->n_outputs; i++) {
        bool is_input = i < f->n_inputs;
        const mil_type *t = mil_type_of(f, is_input ? f->inputs[i] : f->outputs[i - f->n_inputs]);
        bool direct = t->dtype == MIL_FP32 && !(is_input && plan->precision == ANE_FP16);
        int64_t count = direct ? mil_type_count(t) : mil_type_bytes(t);
        int32_t index = is_input ? i : i - f->n_inputs;
        int32_t s = ane_cpu_plan_storage(
            plan, is_input ? CPU_INPUT : CPU_OUTPUT, direct ? CPU_F32 : CPU_RAW, index, count);
        if (s < 0) return ane_fail(e, ANE_ERROR_MEMORY, f->name, "no memory for the plan's storages");
        (is_input ? plan->input_storage : plan->output_storage)[index] = s;
    }
    return true;
}

/* Storages that one gemm writes and nobody reads may be accumulated into by that gemm. */
static void find_gemm_outputs(cpu_plan *plan) {
    for (int32_t o = 0; o < plan->f->n_outputs; o++) {
        int32_t storage = plan->output_storage[o], writers = 0, gemm = -1;
        bool read = false;
        for (int32_t i = 0; i < plan->n_nodes; i++) {
            const cpu_node *n = &plan->nodes[i];
            for (int k = 0; k < n->n_in; k++) read = read || n->in[k].storage == storage;
            for (int k = 0; k < n->n_out; k++)
                if (n->out[k].storage == storage) {
                    writers++;
                    gemm = n->type == CPU_NODE_GEMM && !n->round ? i : -1;
                }
        }
        plan->gemm_output[o] = writers == 1 && gemm >= 0 && !read;
        if (plan->gemm_output[o]) ((cpu_gemm *)plan->nodes[gemm].data)->output = o;
    }
}

bool ane_cpu_plan_build(cpu_plan *plan, const mil_function *f, ane_error *e) {
    plan->f = f;
    if (!add_ports(plan, e) || !ane_cpu_lower(plan, e)) return false;
    if (!ane_cpu_settle_lonely_packs(plan))
        return ane_fail(e, ANE_ERROR_MEMORY, f->name, "no memory for the plan");
    find_gemm_outputs(plan);
    return ane_cpu_schedule(plan, e) && ane_cpu_place_storages(plan, e);
}
