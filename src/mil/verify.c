/* verify.c - is a program right? Every operation is inferred again and compared. */
#include "mil/function.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct checker {
    const mil_function *f;
    bool *defined; /* per value: an input, or made by an operation already seen */
    ane_error *e;
} checker;

static bool fail_at_value(const checker *c, mil_value v, ane_code code, const char *message) {
    const char *name = v >= 0 && v < c->f->n_values ? c->f->values[v].name : NULL;
    char where[256];
    snprintf(where, sizeof where, "%s: %s", c->f->name, name ? name : "a value without a name");
    return ane_fail(c->e, code, where, "%s", message);
}

/* ---- values -------------------------------------------------------------------------------------------- */

static bool check_constant(const checker *c, mil_value v) {
    const mil_value_info *info = &c->f->values[v];
    const mil_constant *k = info->constant;
    if (!k->data && !k->blob_path)
        return fail_at_value(c, v, ANE_ERROR_ARGUMENT, "the constant has no value");
    if (info->op < 0 || info->op >= c->f->n_ops || c->f->ops[info->op].opcode != MIL_OP_CONST)
        return fail_at_value(
            c, v, ANE_ERROR_ARGUMENT, "a constant value is made by something else than const");
    return true;
}

static bool check_value(const checker *c, mil_value v) {
    const mil_value_info *info = &c->f->values[v];
    if (!info->name || !info->name[0]) return fail_at_value(c, v, ANE_ERROR_ARGUMENT, "a value has no name");
    if (mil_find(c->f, info->name) != v)
        return fail_at_value(c, v, ANE_ERROR_ARGUMENT, "two values have this name");
    return mil_type_check(&info->type, info->name, c->e) && (!info->constant || check_constant(c, v));
}

static bool define(checker *c, mil_value v, int32_t op) {
    if (v < 0 || v >= c->f->n_values)
        return fail_at_value(c, v, ANE_ERROR_ARGUMENT, "a value that does not exist");
    if (c->defined[v]) return fail_at_value(c, v, ANE_ERROR_ARGUMENT, "the value is defined twice");
    if (c->f->values[v].op != op)
        return fail_at_value(c, v, ANE_ERROR_ARGUMENT, "the value names another operation as its maker");
    return c->defined[v] = true;
}

/* ---- operations ---------------------------------------------------------------------------------------- */

static bool check_leaf(const checker *c, const mil_operation *op) {
    bool wants_constant = op->opcode == MIL_OP_CONST;
    if (op->n_results != 1)
        return fail_at_value(c, op->results[0], ANE_ERROR_ARGUMENT, "expected one result");
    if (wants_constant != (c->f->values[op->results[0]].constant != NULL))
        return fail_at_value(c, op->results[0], ANE_ERROR_ARGUMENT,
            wants_constant ? "a const without a value" : "a parameter with a constant value");
    return true;
}

static bool check_uses(const checker *c, const mil_operation *op, const char *where) {
    for (int p = 0; p < op->info->n_params; p++)
        for (int i = 0; i < op->args[p].n; i++) {
            mil_value v = op->args[p].values[i];
            if (v < 0 || v >= c->f->n_values || !c->defined[v])
                return ane_fail(c->e, ANE_ERROR_ARGUMENT, where, "%s uses \"%s\" before it is defined",
                    op->info->params[p].name, v >= 0 && v < c->f->n_values ? c->f->values[v].name : "?");
        }
    return true;
}

/* The types that inference finds must be those that the results have. */
static bool check_types(const checker *c, const mil_operation *op, const char *where) {
    mil_type *types = calloc((size_t)op->n_results, sizeof *types);
    if (!types) return mil_no_memory(c->e, where);
    bool ok = mil_op_infer(c->f, op, types, c->e) || ane_at(c->e, where);
    for (int i = 0; ok && i < op->n_results; i++) {
        const mil_value_info *info = &c->f->values[op->results[i]];
        char found[256], wanted[256];
        if (!mil_type_equal(&info->type, &types[i]))
            ok = ane_fail(c->e, info->type.dtype == types[i].dtype ? ANE_ERROR_SHAPE : ANE_ERROR_TYPE, where,
                "\"%s\" is declared %s; expected %s", info->name,
                mil_type_print(&info->type, found, sizeof found),
                mil_type_print(&types[i], wanted, sizeof wanted));
    }
    free(types);
    return ok;
}

static bool check_operation(checker *c, int32_t index) {
    const mil_operation *op = &c->f->ops[index];
    char name[160], where[256];
    if (op->opcode < 0 || op->opcode >= MIL_OP_COUNT || op->info != &mil_op_table[op->opcode] ||
        op->n_results < 1)
        return ane_fail(c->e, ANE_ERROR_ARGUMENT, c->f->name, "operation %d is damaged", (int)index);
    int n = snprintf(where, sizeof where, "%s: ", c->f->name);
    if (op->line > 0) n = snprintf(where, sizeof where, "%d:%d: ", (int)op->line, (int)op->column);
    if (n > 0 && n < 200)
        strncat(where, mil_op_where(c->f, op, name, sizeof name), sizeof where - (size_t)n - 1);
    if (!check_uses(c, op, where)) return false;
    for (int i = 0; i < op->n_results; i++)
        if (!define(c, op->results[i], index)) return false;
    return op->info->infer ? check_types(c, op, where) : check_leaf(c, op);
}

/* ---- functions ----------------------------------------------------------------------------------------- */

static bool check_outputs(const checker *c) {
    const mil_function *f = c->f;
    if (f->n_outputs < 1)
        return ane_fail(c->e, ANE_ERROR_ARGUMENT, f->name, "the function has no outputs") ||
               ane_hint(c->e, "Call mil_output for what it computes.");
    for (int i = 0; i < f->n_outputs; i++) {
        mil_value v = f->outputs[i];
        if (v < 0 || v >= f->n_values || !c->defined[v])
            return fail_at_value(c, v, ANE_ERROR_ARGUMENT, "the output is not defined");
        for (int j = 0; j < i; j++)
            if (f->outputs[j] == v)
                return fail_at_value(c, v, ANE_ERROR_ARGUMENT, "the output stands twice in the list");
    }
    return true;
}

static bool check_function(checker *c) {
    const mil_function *f = c->f;
    for (int i = 0; i < f->n_values; i++)
        if (!check_value(c, i)) return false;
    for (int i = 0; i < f->n_inputs; i++)
        if (!define(c, f->inputs[i], MIL_NONE)) return false;
    for (int i = 0; i < f->n_ops; i++)
        if (!check_operation(c, i)) return false;
    for (int i = 0; i < f->n_values; i++)
        if (!c->defined[i]) return fail_at_value(c, i, ANE_ERROR_ARGUMENT, "nothing defines the value");
    return check_outputs(c);
}

bool mil_verify(const mil_program *p, ane_error *e) {
    if (p->n_functions < 1) return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "the program has no function");
    for (int i = 0; i < p->n_functions; i++) {
        const mil_function *f = p->functions[i];
        ane_error local = {0};
        checker c = {.f = f, .defined = calloc((size_t)f->n_values + 1, sizeof(bool)), .e = &local};
        bool ok = c.defined ? check_function(&c) : mil_no_memory(&local, f->name);
        free(c.defined);
        if (ok) continue;
        if (e && !e->code) *e = local;
        return false;
    }
    return true;
}
