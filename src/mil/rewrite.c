/* rewrite.c - rebuilding a function: the frame that passes share. */
#include "mil/rewrite.h"

#include "base/arena.h"
#include "mil/function.h"

#include <stdlib.h>
#include <string.h>

/* Move the report that building left in the program to `e`; returns false. */
static bool take_error(mil_program *p, ane_error *e) {
    if (e && !e->code) *e = p->error;
    ane_error_clear(&p->error);
    return false;
}

mil_operation mil_rewrite_mapped(mil_rewrite *r, int32_t index, ane_error *e) {
    mil_operation op = r->from->ops[index];
    ane_arena *arena = r->to->program->arena;
    mil_arg *args = ane_arena_array(arena, (size_t)op.info->n_params + 1, sizeof *args);
    for (int i = 0; args && i < op.info->n_params; i++) {
        int32_t n = op.args[i].n;
        args[i].n = n;
        args[i].values = ane_arena_array(arena, (size_t)n, sizeof *args[i].values);
        if (!args[i].values) args = NULL;
        for (int k = 0; args && k < n; k++) args[i].values[k] = r->map[op.args[i].values[k]];
    }
    if (!args) mil_no_memory(e, op.info->name);
    op.args = args;
    return op;
}

bool mil_rewrite_replace(mil_rewrite *r, int32_t index, int i, mil_value v, bool fresh, ane_error *e) {
    mil_value was = r->from->ops[index].results[i];
    const mil_value_info *info = &r->from->values[was];
    if (v == MIL_NONE) return take_error(r->to->program, e);
    r->map[was] = v;
    if (!fresh) return true;
    if (!mil_name_exact(r->to, v, info->name, e)) return false;
    r->to->values[v].used_name = info->used_name;
    return true;
}

/* Append without mapping or naming; results[n_results]. */
static bool append_copy(mil_rewrite *r, int32_t index, mil_value *results, ane_error *e) {
    const mil_operation *op = &r->from->ops[index];
    const mil_value_info *info = &r->from->values[op->results[0]];
    if (op->opcode == MIL_OP_CONST) {
        results[0] = mil_emit_constant(r->to, &info->type, info->constant);
    } else if (op->opcode == MIL_OP_PARAMETER) {
        results[0] = mil_emit_leaf(r->to, MIL_OP_PARAMETER, &info->type);
    } else {
        mil_operation mapped = mil_rewrite_mapped(r, index, e);
        if (!mapped.args) return false;
        mil_emit(r->to, op->opcode, mapped.args, op->n_results, results);
    }
    return results[0] != MIL_NONE || take_error(r->to->program, e);
}

bool mil_rewrite_copy(mil_rewrite *r, int32_t index, ane_error *e) {
    const mil_operation *op = &r->from->ops[index];
    mil_value *results = calloc((size_t)op->n_results, sizeof *results);
    if (!results) return mil_no_memory(e, op->info->name);
    bool ok = append_copy(r, index, results, e);
    if (ok) {
        mil_operation *made = &r->to->ops[r->to->n_ops - 1];
        made->label = op->label;
        made->line = op->line;
        made->column = op->column;
    }
    for (int i = 0; ok && i < op->n_results; i++) ok = mil_rewrite_replace(r, index, i, results[i], true, e);
    free(results);
    return ok;
}

bool mil_rewrite_inputs(mil_rewrite *r, ane_error *e) {
    for (int i = 0; i < r->from->n_inputs; i++) {
        mil_value v = r->from->inputs[i];
        const mil_value_info *info = &r->from->values[v];
        r->map[v] = mil_input(r->to, info->name, info->type);
        if (r->map[v] == MIL_NONE) return take_error(r->to->program, e);
    }
    return true;
}

bool mil_rewrite_outputs(mil_rewrite *r, ane_error *e) {
    for (int i = 0; i < r->from->n_outputs; i++) {
        mil_value v = r->from->outputs[i];
        mil_output(r->to, r->from->values[v].name, r->map[v]);
    }
    return mil_rewrite_ok(r, e);
}

bool mil_rewrite_ok(mil_rewrite *r, ane_error *e) {
    return !r->to->program->error.code || take_error(r->to->program, e);
}

static bool rebuild(mil_rewrite *r, const mil_rewrite_hooks *hooks, ane_error *e) {
    for (int i = 0; i < r->from->n_values; i++) r->map[i] = MIL_NONE;
    if (!(hooks->inputs ? hooks->inputs(r, e) : mil_rewrite_inputs(r, e))) return false;
    for (int i = 0; i < r->from->n_ops; i++)
        if (!hooks->step(r, i, e)) return false;
    return hooks->outputs ? hooks->outputs(r, e) : mil_rewrite_outputs(r, e);
}

bool mil_rewrite_ports(mil_function *f, const mil_rewrite_hooks *hooks, void *context, ane_error *e) {
    mil_rewrite r = {.from = f, .context = context};
    r.to = mil_function_blank(f->program, f->name, f->opset, e);
    if (!r.to) return false;
    r.map = calloc((size_t)f->n_values + 1, sizeof *r.map);
    bool ok = r.map ? rebuild(&r, hooks, e) : mil_no_memory(e, f->name);
    free(r.map);
    if (ok) *f = *r.to;
    return ok;
}

bool mil_rewrite_function(mil_function *f, mil_rewrite_fn *step, void *context, ane_error *e) {
    const mil_rewrite_hooks hooks = {.step = step};
    return mil_rewrite_ports(f, &hooks, context, e);
}
