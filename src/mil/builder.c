/* builder.c - putting values and operations into a function. The first error stays in the program. */
#include "base/arena.h"
#include "mil/function.h"

#include <stdio.h>
#include <string.h>

/* True when `f` may be added to. */
static bool open_for_building(const mil_function *f) {
    return f && !f->program->error.code;
}

/* ---- values and operations ----------------------------------------------------------------------------- */

/* Append a value without a name. MIL_NONE when out of memory (reported). */
static mil_value new_value(mil_function *f, const mil_type *type, int32_t op, ane_error *e) {
    mil_builder *b = f->builder;
    if (!mil_grow(f->program->arena, &f->values, &b->value_capacity, f->n_values, sizeof *f->values)) {
        mil_no_memory(e, f->name);
        return MIL_NONE;
    }
    mil_type clean = mil_tensor(type->dtype, type->rank, type->dim);
    f->values[f->n_values] = (mil_value_info){.type = clean, .op = op};
    return f->n_values++;
}

/* A deep copy of the arguments in the program's arena; NULL when out of memory. */
static mil_arg *copy_args(ane_arena *arena, const mil_op_info *info, const mil_arg *args) {
    mil_arg *copy = ane_arena_array(arena, (size_t)info->n_params, sizeof *copy);
    for (int i = 0; copy && i < info->n_params; i++) {
        if (args[i].n <= 0) continue;
        copy[i].n = args[i].n;
        copy[i].values = ane_arena_array(arena, (size_t)args[i].n, sizeof *copy[i].values);
        if (!copy[i].values) return NULL;
        memcpy(copy[i].values, args[i].values, (size_t)args[i].n * sizeof *args[i].values);
    }
    return copy;
}

/* Append an operation whose results have these types; names them after the operation. */
static bool append(mil_function *f, const mil_op_info *info, mil_arg *args, int n_results,
    const mil_type *types, ane_error *e) {
    mil_builder *b = f->builder;
    ane_arena *arena = f->program->arena;
    mil_value *results = ane_arena_array(arena, (size_t)n_results, sizeof *results);
    if (!results || !mil_grow(arena, &f->ops, &b->op_capacity, f->n_ops, sizeof *f->ops))
        return mil_no_memory(e, info->name);
    f->ops[f->n_ops] = (mil_operation){
        .opcode = info->opcode, .info = info, .args = args, .n_results = n_results, .results = results};
    for (int i = 0; i < n_results; i++) {
        results[i] = new_value(f, &types[i], f->n_ops, e);
        if (results[i] == MIL_NONE || !mil_name_fresh(f, results[i], info->name, e)) return false;
    }
    f->n_ops++;
    return true;
}

/* Report in the program, saying which operation it would have been. */
static mil_value refuse(mil_function *f, const char *op, const ane_error *found) {
    ane_error *e = &f->program->error;
    ane_fail(e, found->code, NULL, "%s", found->message);
    if (found->hint[0]) ane_hint(e, "%s", found->hint);
    const char *base = op;
    mil_builder *b = f->builder;
    const mil_name_entry *entry = b->name_capacity ? mil_name_entry_of(f, base) : NULL;
    char where[256];
    snprintf(where, sizeof where, "%s \"%s_%d\"", op, base, entry ? (int)entry->next : 0);
    ane_at(e, found->where[0] ? found->where : where);
    return MIL_NONE;
}

mil_value mil_emit(
    mil_function *f, mil_opcode opcode, const mil_arg *args, int n_results, mil_value *results) {
    for (int i = 0; results && i < n_results; i++) results[i] = MIL_NONE;
    if (!open_for_building(f)) return MIL_NONE;
    ane_error e = {0};
    if (opcode < 0 || opcode >= MIL_OP_COUNT) {
        ane_fail(&e, ANE_ERROR_ARGUMENT, "mil_emit", "opcode %d is unknown", (int)opcode);
        return refuse(f, "operation", &e);
    }
    const mil_op_info *info = &mil_op_table[opcode];
    if (n_results < 1) {
        ane_fail(&e, ANE_ERROR_ARGUMENT, NULL, "expected at least one result; found %d", n_results);
        return refuse(f, info->name, &e);
    }
    ane_arena *arena = f->program->arena;
    mil_operation op = {.opcode = opcode, .info = info, .n_results = n_results};
    mil_type *types = ane_arena_array(arena, (size_t)n_results, sizeof *types);
    op.args = copy_args(arena, info, args);
    if (!types || !op.args) {
        mil_no_memory(&e, info->name);
        return refuse(f, info->name, &e);
    }
    if (!mil_op_infer(f, &op, types, &e) || !append(f, info, op.args, n_results, types, &e))
        return refuse(f, info->name, &e);
    const mil_value *made = f->ops[f->n_ops - 1].results;
    if (results) memcpy(results, made, (size_t)n_results * sizeof *made);
    return made[0];
}

mil_value mil_emit_leaf(mil_function *f, mil_opcode opcode, const mil_type *type) {
    if (!open_for_building(f)) return MIL_NONE;
    const mil_op_info *info = &mil_op_table[opcode];
    ane_error e = {0};
    if (!mil_type_check(type, NULL, &e) || !append(f, info, NULL, 1, type, &e))
        return refuse(f, info->name, &e);
    return f->n_values - 1;
}

/* ---- inputs, outputs, parameters ----------------------------------------------------------------------- */

mil_value mil_input(mil_function *f, const char *name, mil_type type) {
    if (!open_for_building(f)) return MIL_NONE;
    ane_error *e = &f->program->error;
    mil_builder *b = f->builder;
    if (!mil_type_check(&type, name, e)) return MIL_NONE;
    if (!mil_grow(f->program->arena, &f->inputs, &b->input_capacity, f->n_inputs, sizeof *f->inputs)) {
        mil_no_memory(e, name);
        return MIL_NONE;
    }
    mil_value v = new_value(f, &type, MIL_NONE, e);
    if (v == MIL_NONE || !mil_name_exact(f, v, name, e)) return MIL_NONE;
    f->inputs[f->n_inputs++] = v;
    return v;
}

mil_value mil_param(mil_function *f, const char *name, mil_type type) {
    mil_value v = mil_emit_leaf(f, MIL_OP_PARAMETER, &type);
    return v != MIL_NONE && mil_name_exact(f, v, name, &f->program->error) ? v : MIL_NONE;
}

bool mil_append_output(mil_function *f, mil_value v) {
    mil_builder *b = f->builder;
    if (!mil_grow(f->program->arena, &f->outputs, &b->output_capacity, f->n_outputs, sizeof *f->outputs))
        return mil_no_memory(&f->program->error, f->name);
    f->outputs[f->n_outputs++] = v;
    return true;
}

static bool is_output(const mil_function *f, mil_value v) {
    for (int i = 0; i < f->n_outputs; i++)
        if (f->outputs[i] == v) return true;
    return false;
}

void mil_output(mil_function *f, const char *name, mil_value v) {
    if (!open_for_building(f)) return;
    if (v < 0 || v >= f->n_values) {
        ane_fail(&f->program->error, ANE_ERROR_ARGUMENT, name, "an output needs a value; %d does not exist",
            (int)v);
        return;
    }
    int32_t op = f->values[v].op;
    bool taken = op == MIL_NONE || f->ops[op].opcode == MIL_OP_PARAMETER || is_output(f, v);
    if (taken) v = mil_identity(f, v);
    if (v != MIL_NONE && mil_name_exact(f, v, name, &f->program->error)) mil_append_output(f, v);
}

/* ---- any operation by name ----------------------------------------------------------------------------- */

/* Sort named arguments into the row's order. */
static bool place_args(
    const mil_op_info *info, int n, const mil_named_arg *named, mil_arg *args, ane_error *e) {
    for (int i = 0; i < n; i++) {
        int at = mil_param_index(info, named[i].name);
        if (at < 0)
            return ane_fail(
                e, ANE_ERROR_ARGUMENT, NULL, "%s has no parameter \"%s\"", info->name, named[i].name);
        if (args[at].n)
            return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "parameter \"%s\" is given twice", named[i].name);
        args[at] = (mil_arg){.n = named[i].n, .values = (mil_value *)named[i].values};
    }
    return true;
}

bool mil_call(mil_function *f, const char *op, int n_args, const mil_named_arg *named, int n_results,
    mil_value *results) {
    for (int i = 0; results && i < n_results; i++) results[i] = MIL_NONE;
    if (!open_for_building(f)) return false;
    const mil_op_info *info = mil_op_find(op);
    if (!info)
        return ane_fail(&f->program->error, ANE_ERROR_UNSUPPORTED, op, "operation \"%s\" is unknown", op);
    ane_error e = {0};
    mil_arg *args = ane_arena_array(f->program->arena, (size_t)info->n_params + 1, sizeof *args);
    if (!args) return mil_no_memory(&f->program->error, op);
    if (!place_args(info, n_args, named, args, &e)) {
        refuse(f, op, &e);
        return false;
    }
    return mil_emit(f, info->opcode, args, n_results, results) != MIL_NONE;
}
