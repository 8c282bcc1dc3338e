/* From operations to nodes: the driver, and what all lowerings share. */
#include "device/cpu/plan.h"
#include "mil/eval.h"

#include <stdlib.h>
#include <string.h>

static cpu_lower_fn *const lowerings[MIL_OP_COUNT] = {
    [MIL_OP_IDENTITY] = ane_cpu_lower_alias,
    [MIL_OP_CAST] = ane_cpu_lower_cast,
    [MIL_OP_CONV] = ane_cpu_lower_conv,
    [MIL_OP_MATMUL] = ane_cpu_lower_matmul,
    [MIL_OP_LINEAR] = ane_cpu_lower_linear,
    [MIL_OP_SCALED_DOT_PRODUCT_ATTENTION] = ane_cpu_lower_attention,
    [MIL_OP_CAUSAL_ATTENTION] = ane_cpu_lower_causal_attention,
    [MIL_OP_CAUSAL_ATTENTION_GRADIENT] = ane_cpu_lower_causal_attention_gradient,
    [MIL_OP_CACHED_ATTENTION] = ane_cpu_lower_cached_attention,
    [MIL_OP_ADD] = ane_cpu_lower_map,
    [MIL_OP_SUB] = ane_cpu_lower_map,
    [MIL_OP_MUL] = ane_cpu_lower_map,
    [MIL_OP_REAL_DIV] = ane_cpu_lower_map,
    [MIL_OP_MAXIMUM] = ane_cpu_lower_map,
    [MIL_OP_MINIMUM] = ane_cpu_lower_map,
    [MIL_OP_POW] = ane_cpu_lower_pow,
    [MIL_OP_EQUAL] = ane_cpu_lower_map,
    [MIL_OP_NOT_EQUAL] = ane_cpu_lower_map,
    [MIL_OP_GREATER] = ane_cpu_lower_map,
    [MIL_OP_GREATER_EQUAL] = ane_cpu_lower_map,
    [MIL_OP_LESS] = ane_cpu_lower_map,
    [MIL_OP_LESS_EQUAL] = ane_cpu_lower_map,
    [MIL_OP_SELECT] = ane_cpu_lower_select,
    [MIL_OP_EXP] = ane_cpu_lower_map,
    [MIL_OP_LOG] = ane_cpu_lower_map,
    [MIL_OP_SQRT] = ane_cpu_lower_map,
    [MIL_OP_RSQRT] = ane_cpu_lower_map,
    [MIL_OP_INVERSE] = ane_cpu_lower_map,
    [MIL_OP_ABS] = ane_cpu_lower_map,
    [MIL_OP_SIN] = ane_cpu_lower_map,
    [MIL_OP_COS] = ane_cpu_lower_map,
    [MIL_OP_SIGMOID] = ane_cpu_lower_map,
    [MIL_OP_SILU] = ane_cpu_lower_map,
    [MIL_OP_TANH] = ane_cpu_lower_map,
    [MIL_OP_RELU] = ane_cpu_lower_map,
    [MIL_OP_ERF] = ane_cpu_lower_map,
    [MIL_OP_LOGICAL_NOT] = ane_cpu_lower_map,
    [MIL_OP_GELU] = ane_cpu_lower_gelu,
    [MIL_OP_REDUCE_SUM] = ane_cpu_lower_reduce,
    [MIL_OP_REDUCE_MEAN] = ane_cpu_lower_reduce,
    [MIL_OP_REDUCE_MAX] = ane_cpu_lower_reduce,
    [MIL_OP_SOFTMAX] = ane_cpu_lower_softmax,
    [MIL_OP_LAYER_NORM] = ane_cpu_lower_layer_norm,
    [MIL_OP_RESHAPE] = ane_cpu_lower_reshape,
    [MIL_OP_EXPAND_DIMS] = ane_cpu_lower_reshape,
    [MIL_OP_SQUEEZE] = ane_cpu_lower_reshape,
    [MIL_OP_TRANSPOSE] = ane_cpu_lower_transpose,
    [MIL_OP_SLICE_BY_SIZE] = ane_cpu_lower_slice,
    [MIL_OP_SLICE_BY_INDEX] = ane_cpu_lower_slice,
    [MIL_OP_CONCAT] = ane_cpu_lower_concat,
    [MIL_OP_SPLIT] = ane_cpu_lower_split,
    [MIL_OP_TILE] = ane_cpu_lower_tile,
    [MIL_OP_GATHER] = ane_cpu_lower_gather,
    [MIL_OP_QUANTIZE] = ane_cpu_lower_quantize,
    [MIL_OP_DEQUANTIZE] = ane_cpu_lower_quantize,
};

bool ane_cpu_rounds(const cpu_lower *l) {
    return l->plan->precision == ANE_FP16;
}

bool ane_cpu_is_float_value(const cpu_lower *l, mil_value v) {
    return ane_cpu_kind_of(l->f->values[v].type.dtype) == CPU_F32;
}

bool ane_cpu_no_memory(cpu_lower *l) {
    return ane_fail(l->e, ANE_ERROR_MEMORY, l->f->name, "no memory for the plan");
}

/* ---- storages and simple nodes ------------------------------------------------------------------------- */

cpu_view ane_cpu_temporary(cpu_lower *l, cpu_kind kind, int rank, const int64_t *dim) {
    mil_type type = mil_tensor(MIL_FP32, rank, dim);
    int32_t s = ane_cpu_plan_storage(l->plan, CPU_SCRATCH, kind, 0, mil_type_count(&type));
    if (s < 0) ane_cpu_no_memory(l);
    return ane_cpu_view_packed(s < 0 ? 0 : s, &type);
}

cpu_view ane_cpu_destination(cpu_lower *l, mil_value v) {
    if (l->targets[v].rank >= 0) return l->targets[v];
    const mil_type *t = mil_type_of(l->f, v);
    return ane_cpu_temporary(l, ane_cpu_kind_of(t->dtype), t->rank, t->dim);
}

void ane_cpu_move(cpu_lower *l, const cpu_view *from, const cpu_view *to) {
    cpu_node *n = ane_cpu_plan_node(l->plan, CPU_NODE_MOVE, 1, 1);
    cpu_move *m = ane_arena_alloc(l->plan->arena, sizeof *m);
    if (!n || !m) {
        ane_cpu_no_memory(l);
        return;
    }
    n->in[0] = *from;
    n->out[0] = *to;
    ane_cpu_move_make(m, from, to, l->plan->storages[to->storage].kind);
    n->data = m;
}

cpu_view ane_cpu_packed_copy(cpu_lower *l, const cpu_view *v) {
    cpu_view copy = ane_cpu_temporary(l, l->plan->storages[v->storage].kind, v->rank, v->dim);
    ane_cpu_move(l, v, &copy);
    return copy;
}

void ane_cpu_squeeze_node(cpu_node *n) {
    for (int d = n->in[0].rank - 1; d >= 0; d--) {
        if (n->in[0].dim[d] != 1) continue;
        for (int v = 0; v < n->n_in + n->n_out; v++) { /* in[] and out[] are one array */
            cpu_view *x = &n->in[v];
            for (int k = d; k + 1 < x->rank; k++) x->dim[k] = x->dim[k + 1], x->stride[k] = x->stride[k + 1];
            x->rank--;
        }
    }
}

void ane_cpu_emit_map(
    cpu_lower *l, cpu_map op, float p, bool round, int n_in, const cpu_view *in, const cpu_view *out) {
    cpu_node *n = ane_cpu_plan_node(l->plan, CPU_NODE_MAP, n_in, 1);
    if (!n) {
        ane_cpu_no_memory(l);
        return;
    }
    for (int i = 0; i < n_in; i++) n->in[i] = ane_cpu_view_broadcast(&in[i], out->rank, out->dim);
    n->out[0] = *out;
    n->op = op;
    n->p = p;
    n->round = round;
    ane_cpu_squeeze_node(n);
}

int32_t ane_cpu_staged_weight(cpu_lower *l, int32_t weight_storage) {
    const cpu_storage weight = l->plan->storages[weight_storage];
    l->plan->staged[weight.index] = true;
    for (int32_t s = 0; s < l->plan->n_storages; s++)
        if (l->plan->storages[s].place == CPU_WEIGHT_STAGED && l->plan->storages[s].index == weight.index)
            return s;
    int32_t s = ane_cpu_plan_storage(l->plan, CPU_WEIGHT_STAGED, CPU_F32, weight.index, weight.count);
    if (s < 0) ane_cpu_no_memory(l);
    return s < 0 ? weight_storage : s;
}

/* ---- constants, inputs, outputs ------------------------------------------------------------------------ */

/* A storage for known elements. Those of a big fp32 constant are used where they lie. */
static bool constant_view(cpu_lower *l, mil_value v, const double *known) {
    const mil_type *t = mil_type_of(l->f, v);
    int64_t count = mil_type_count(t);
    cpu_kind kind = ane_cpu_kind_of(t->dtype);
    const void *data = known ? NULL : l->f->values[v].constant->data;
    bool direct = data && t->dtype == MIL_FP32 && !ane_cpu_rounds(l) && (uintptr_t)data % sizeof(float) == 0;
    int32_t s = ane_cpu_plan_storage(l->plan, CPU_CONSTANT, kind, 0, count);
    size_t size = kind == CPU_F32 ? sizeof(float) : sizeof(double);
    void *copy = direct ? NULL : ane_arena_array(l->plan->arena, (size_t)count, size);
    if (s < 0 || (!direct && !copy)) return ane_cpu_no_memory(l);
    mil_rounding rounding = ane_cpu_rounds(l) ? MIL_ROUND_FP16 : MIL_EXACT;
    for (int64_t i = 0; !direct && i < count; i++) {
        double x = known ? known[i] : mil_constant_at(t, data, i);
        x = mil_dtype_is_float(t->dtype) ? mil_eval_keep(rounding, t->dtype, x) : x;
        if (kind == CPU_F32)
            ((float *)copy)[i] = (float)x;
        else
            ((double *)copy)[i] = x;
    }
    l->plan->storages[s].data = direct ? data : copy;
    l->views[v] = ane_cpu_view_packed(s, t);
    return true;
}

const cpu_view *ane_cpu_operand(cpu_lower *l, mil_value v) {
    if (l->views[v].rank < 0 && l->f->values[v].constant) {
        if (!l->f->values[v].constant->data) {
            mil_array unused;
            mil_constant_array(l->f, v, &unused, l->e); /* reports that the blob was not loaded */
            return NULL;
        }
        if (!constant_view(l, v, NULL)) return NULL;
    }
    return &l->views[v];
}

static bool emit_convert(cpu_lower *l, int32_t raw, const cpu_view *view, mil_dtype dtype, bool to_raw) {
    cpu_node *n = ane_cpu_plan_node(l->plan, CPU_NODE_CONVERT, 1, 1);
    cpu_convert *c = ane_arena_alloc(l->plan->arena, sizeof *c);
    if (!n || !c) return ane_cpu_no_memory(l);
    *c = (cpu_convert){raw, *view, dtype, ane_cpu_view_count(view), to_raw, !to_raw && ane_cpu_rounds(l)};
    cpu_view bytes = {.storage = raw, .rank = 1, .dim = {l->plan->storages[raw].count}, .stride = {1}};
    n->in[0] = to_raw ? *view : bytes;
    n->out[0] = to_raw ? bytes : *view;
    n->data = c;
    return true;
}

static bool lower_inputs(cpu_lower *l) {
    for (int32_t i = 0; i < l->f->n_inputs; i++) {
        mil_value v = l->f->inputs[i];
        const mil_type *t = mil_type_of(l->f, v);
        int32_t s = l->plan->input_storage[i];
        bool direct = l->plan->storages[s].kind != CPU_RAW || ane_cpu_is_raw_cache(l->plan, l->f, v);
        l->views[v] = direct ? ane_cpu_view_packed(s, t)
                             : ane_cpu_temporary(l, ane_cpu_kind_of(t->dtype), t->rank, t->dim);
        if (!direct && !emit_convert(l, s, &l->views[v], t->dtype, false)) return false;
    }
    return true;
}

static bool lower_outputs(cpu_lower *l) {
    for (int32_t i = 0; i < l->f->n_outputs; i++) {
        mil_value v = l->f->outputs[i];
        int32_t s = l->plan->output_storage[i];
        const cpu_view *found = ane_cpu_operand(l, v);
        if (!found) return false;
        cpu_view from = *found;
        if (l->plan->storages[s].kind == CPU_RAW) {
            if (!ane_cpu_view_is_packed(&from)) from = ane_cpu_packed_copy(l, &from);
            if (!emit_convert(l, s, &from, mil_type_of(l->f, v)->dtype, true)) return false;
            continue;
        }
        cpu_view port = ane_cpu_view_packed(s, mil_type_of(l->f, v));
        if (!ane_cpu_view_equal(&from, &port)) ane_cpu_move(l, &from, &port);
    }
    return true;
}

/* ---- the fallback -------------------------------------------------------------------------------------- */

/* The arguments that are tensors at run time or constants in operands' places. */
static int operand_values(const mil_operation *op, mil_value *values, int max) {
    int n = 0;
    for (int a = 0; a < op->info->n_params; a++)
        for (int32_t k = 0; op->info->params[a].kind != MIL_CONST && k < op->args[a].n; k++)
            if (n < max) values[n++] = op->args[a].values[k];
    return n;
}

static int operand_count(const mil_operation *op) {
    int n = 0;
    for (int a = 0; a < op->info->n_params; a++) n += op->args[a].n;
    return n;
}

static cpu_kind *kinds_of(cpu_lower *l, int n, const cpu_view *views) {
    cpu_kind *kinds = ane_arena_array(l->plan->arena, (size_t)n + 1, sizeof *kinds);
    for (int i = 0; kinds && i < n; i++) kinds[i] = l->plan->storages[views[i].storage].kind;
    return kinds;
}

static bool lower_fallback(cpu_lower *l, const mil_operation *op) {
    int most = operand_count(op);
    mil_value *values = ane_arena_array(l->plan->arena, (size_t)most + 1, sizeof *values);
    if (!values) return ane_cpu_no_memory(l);
    int n_in = operand_values(op, values, most);
    for (int i = 0; i < n_in; i++) /* before the node: this may make storages */
        if (!ane_cpu_operand(l, values[i])) return false;
    cpu_view *out = ane_arena_array(l->plan->arena, (size_t)op->n_results, sizeof *out);
    for (int r = 0; out && r < op->n_results; r++)
        out[r] = l->views[op->results[r]] = ane_cpu_destination(l, op->results[r]);
    cpu_node *n = ane_cpu_plan_node(l->plan, CPU_NODE_FALLBACK, n_in, op->n_results);
    cpu_fallback *b = ane_arena_alloc(l->plan->arena, sizeof *b);
    if (!n || !b || !out) return ane_cpu_no_memory(l);
    for (int i = 0; i < n_in; i++) n->in[i] = l->views[values[i]];
    for (int r = 0; r < op->n_results; r++) n->out[r] = out[r];
    *b = (cpu_fallback){l->f, op, n_in, op->n_results, values, n->in, n->out, kinds_of(l, n_in, n->in),
        kinds_of(l, op->n_results, n->out), ane_cpu_rounds(l) ? MIL_ROUND_FP16 : MIL_EXACT};
    if (!b->in_kind || !b->out_kind) return ane_cpu_no_memory(l);
    n->data = b;
    return true;
}

/* ---- the driver ---------------------------------------------------------------------------------------- */

/* What is made from constants alone is made now: constexpr_* above all. */
static bool lower_constant_operation(cpu_lower *l, const mil_operation *op) {
    mil_array *out = calloc((size_t)op->n_results, sizeof *out);
    bool ok = out ? ane_cpu_evaluate_constant(l, op, out) : ane_cpu_no_memory(l);
    for (int r = 0; out && r < op->n_results; r++) {
        ok = ok && constant_view(l, op->results[r], out[r].data);
        free(out[r].data);
    }
    free(out);
    return ok;
}

static bool all_constant(const cpu_lower *l, const mil_operation *op) {
    for (int a = 0; a < op->info->n_params; a++)
        for (int32_t k = 0; k < op->args[a].n; k++)
            if (!l->f->values[op->args[a].values[k]].constant) return false;
    return true;
}

static bool lower_weight(cpu_lower *l, const mil_operation *op) {
    const mil_type *t = mil_type_of(l->f, op->results[0]);
    int32_t index = 0;
    while (index < l->plan->n_weights &&
           strcmp(l->plan->weights[index].name, l->f->values[op->results[0]].name) != 0)
        index++;
    int32_t s = ane_cpu_plan_storage(l->plan, CPU_WEIGHT, CPU_F32, index, mil_type_count(t));
    if (s < 0) return ane_cpu_no_memory(l);
    if (ane_cpu_rounds(l) || l->plan->copies_weights) s = ane_cpu_staged_weight(l, s);
    l->views[op->results[0]] = ane_cpu_view_packed(s, t);
    return true;
}

static bool lower_operation(cpu_lower *l, const mil_operation *op) {
    if (all_constant(l, op)) return lower_constant_operation(l, op);
    for (int a = 0; a < op->info->n_params; a++) /* the lowerings find all views made */
        for (int32_t k = 0; op->info->params[a].kind != MIL_CONST && k < op->args[a].n; k++)
            if (!ane_cpu_operand(l, op->args[a].values[k])) return false;
    cpu_lower_fn *lowering = lowerings[op->opcode];
    if (lowering && lowering(l, op)) return l->e->code == ANE_OK;
    return l->e->code == ANE_OK && lower_fallback(l, op);
}

bool ane_cpu_lower(cpu_plan *plan, ane_error *e) {
    ane_error report = {0};
    const mil_function *f = plan->f;
    cpu_lower l = {.plan = plan, .f = f, .e = &report};
    l.views = ane_arena_array(plan->arena, (size_t)f->n_values, sizeof *l.views);
    l.targets = ane_arena_array(plan->arena, (size_t)f->n_values, sizeof *l.targets);
    if (!l.views || !l.targets)
        return ane_fail(e, ANE_ERROR_MEMORY, f->name, "no memory for the plan's views");
    plan->staged = ane_arena_array(plan->arena, (size_t)plan->n_weights + 1, sizeof *plan->staged);
    plan->small_rows = ane_arena_array(plan->arena, (size_t)plan->n_weights + 1, sizeof *plan->small_rows);
    plan->needs_small = ane_arena_array(plan->arena, (size_t)plan->n_weights + 1, sizeof *plan->needs_small);
    if (!plan->staged || !plan->small_rows || !plan->needs_small)
        return ane_fail(e, ANE_ERROR_MEMORY, f->name, "no memory for the plan's weights");
    for (int32_t v = 0; v < f->n_values; v++) l.views[v].rank = l.targets[v].rank = -1;
    bool ok = lower_inputs(&l);
    if (ok) ane_cpu_assign_targets(&l);
    for (int32_t i = 0; ok && i < f->n_ops; i++) {
        const mil_operation *op = &f->ops[i];
        if (op->opcode == MIL_OP_CONST) continue;
        ok = op->opcode == MIL_OP_PARAMETER ? lower_weight(&l, op) : lower_operation(&l, op);
    }
    ok = ok && lower_outputs(&l) && report.code == ANE_OK;
    if (!ok && e) *e = report;
    return ok;
}
