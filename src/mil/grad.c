/* Reverse-mode differentiation: from a function to its backward program, the values that this must be given,
 * and how the gradient of each parameter is formed. */
#include "mil/grad.h"

#include "base/arena.h"
#include "mil/expand.h"
#include "mil/function.h"
#include "mil/op_functions.h"
#include "mil/rewrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the forward program ------------------------------------------------------------------------------- */

bool mil_grad_by_expansion(
    mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    (void)
        d_results; /* mil_differentiate has expanded such operations before the first gradient is asked for */
    (void)e;
    return mil_grad_none(g, op, "it must be expanded first");
}

/* Composite operations whose gradient is that of their expansion are expanded, all others stay. */
static bool expand_step(mil_rewrite *r, int32_t index, ane_error *e) {
    if (r->from->ops[index].info->grad != mil_grad_by_expansion) return mil_rewrite_copy(r, index, e);
    mil_operation op = mil_rewrite_mapped(r, index, e);
    mil_value result = MIL_NONE;
    if (!op.args) return false;
    mil_expand_op(r->to, &op, &result, NULL); /* mil_rewrite_replace takes the report from the program */
    return mil_rewrite_replace(r, index, 0, result, true, e);
}

/* A copy of f alone, expanded, and nothing computed twice: or it would be kept twice. */
static mil_program *forward_of(const mil_function *f, ane_error *e) {
    if (!mil_program_ok(f->program, e)) return NULL;
    mil_program *p = mil_program_clone(f->program, e);
    if (!p) return NULL;
    p->functions[0] = mil_program_function(p, f->name);
    p->n_functions = 1;
    if (mil_rewrite_function(p->functions[0], expand_step, NULL, e) && mil_run_pass(p, MIL_PASS_CSE, e))
        return p;
    mil_program_free(p);
    return NULL;
}

/* ---- what is differentiated by ------------------------------------------------------------------------- */

/* An input, or an inner value: there derivation ends, as if the value were an input. */
static bool check_wrt(const mil_function *f, const mil_grad_options *o, ane_error *e) {
    for (int i = 0; i < o->n_wrt; i++) {
        mil_value v = mil_find(f, o->wrt[i]);
        if (v == MIL_NONE || f->values[v].constant)
            return ane_fail(e, ANE_ERROR_ARGUMENT, o->wrt[i], "%s has no input \"%s\" to differentiate by",
                f->name, o->wrt[i]);
        if (!mil_dtype_is_float(f->values[v].type.dtype))
            return ane_fail(e, ANE_ERROR_TYPE, o->wrt[i],
                "\"%s\" is %s; only floating-point values have a derivative", o->wrt[i],
                mil_dtype_name(f->values[v].type.dtype));
    }
    return true;
}

static bool is_asked_for(const mil_function *f, const mil_grad_options *o, mil_value v) {
    if (!mil_dtype_is_float(f->values[v].type.dtype)) return false;
    for (int i = 0; i < o->n_wrt; i++)
        if (strcmp(o->wrt[i], f->values[v].name) == 0) return true;
    return o->n_wrt == 0 && f->values[v].op == MIL_NONE;
}

/* Inputs asked for, floating-point parameters, and all that is computed from them. */
static void mark_depends(mil_grad_state *g, const mil_grad_options *o) {
    const mil_function *f = g->f;
    for (int32_t i = 0; i < f->n_inputs; i++) g->depends[f->inputs[i]] = is_asked_for(f, o, f->inputs[i]);
    for (int32_t i = 0; i < f->n_ops; i++) {
        const mil_operation *op = &f->ops[i];
        bool depends =
            op->opcode == MIL_OP_PARAMETER && mil_dtype_is_float(f->values[op->results[0]].type.dtype);
        for (int a = 0; a < op->info->n_params; a++)
            for (int32_t k = 0; k < op->args[a].n; k++)
                depends = depends || g->depends[op->args[a].values[k]];
        for (int r = 0; r < op->n_results; r++) {
            g->leaf[op->results[r]] = o->n_wrt > 0 && is_asked_for(f, o, op->results[r]);
            g->depends[op->results[r]] = depends || g->leaf[op->results[r]];
        }
    }
}

/* ---- one derivation ------------------------------------------------------------------------------------ */

/* An empty backward program in forward's dialect. */
static mil_function *backward_of(const mil_program *forward, ane_error *e) {
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return NULL;
    p->version = ane_arena_strdup(p->arena, forward->version);
    p->scalars_as_tensors = forward->scalars_as_tensors;
    mil_function *b = mil_function_new(p, "main");
    if (b) b->opset = ane_arena_strdup(p->arena, forward->functions[0]->opset);
    if (b && p->version && b->opset) return b;
    mil_no_memory(e, "backward");
    mil_program_free(p);
    return NULL;
}

static bool state_init(
    mil_grad_state *g, const mil_function *f, ane_arena *arena, const mil_grad_options *o, ane_error *e) {
    size_t n = (size_t)f->n_values + 1;
    *g = (mil_grad_state){.f = f,
        .arena = arena,
        .products_in_program = o->products_in_program,
        .recompute_attention = o->recompute_attention};
    g->depends = ane_arena_array(arena, n, sizeof *g->depends);
    g->leaf = ane_arena_array(arena, n, sizeof *g->leaf);
    g->is_output = ane_arena_array(arena, n, sizeof *g->is_output);
    g->needed = ane_arena_array(arena, n, sizeof *g->needed);
    g->kept = ane_arena_array(arena, n, sizeof *g->kept);
    g->image = ane_arena_array(arena, n, sizeof *g->image);
    g->sums = ane_arena_array(arena, n, sizeof *g->sums);
    if (!g->depends || !g->leaf || !g->is_output || !g->needed || !g->kept || !g->image || !g->sums) {
        mil_no_memory(e, f->name);
        return false;
    }
    for (int32_t v = 0; v < f->n_values; v++) g->image[v] = g->sums[v].total = MIL_NONE;
    for (int32_t i = 0; i < f->n_outputs; i++) g->is_output[f->outputs[i]] = true;
    mark_depends(g, o);
    g->b = backward_of(f->program, e);
    return g->b;
}

/* "d_" + the name of a value; NULL (reported) when memory runs out. */
static const char *d_name(mil_grad_state *g, mil_value v) {
    const char *name = ane_arena_printf(g->arena, "d_%s", g->f->values[v].name);
    if (!name) mil_no_memory(&g->error, "differentiation");
    return name ? name : "";
}

static void start_from_outputs(mil_grad_state *g) {
    const mil_function *f = g->f;
    for (int32_t i = 0; i < f->n_outputs; i++) {
        mil_value v = f->outputs[i];
        if (!mil_dtype_is_float(f->values[v].type.dtype)) continue;
        mil_grad_add(g, v, mil_input(g->b, d_name(g, v), f->values[v].type));
    }
}

/* The derivatives by the results of one operation into d; false when there are none. Element-wise operations have one
 * result; they take its derivative as it comes: with 1s for equal numbers, and without its sign. */
static bool collect(mil_grad_state *g, const mil_operation *op, mil_value *d) {
    bool elementwise = op->info->traits & MIL_TRAIT_ELEMENTWISE, any = false;
    for (int r = 0; r < op->n_results; r++) {
        d[r] = mil_grad_total(g, op->results[r], !elementwise, elementwise ? &g->negate : NULL);
        any = any || d[r] != MIL_NONE;
    }
    return any;
}

/* The derivatives by the operands of one operation, from those by its results. */
static bool step(mil_grad_state *g, const mil_operation *op, ane_error *e) {
    mil_value *d = ane_arena_array(g->arena, (size_t)op->n_results, sizeof *d);
    if (!d) return mil_no_memory(e, g->f->name);
    g->negate = false;
    if (op->opcode == MIL_OP_PARAMETER || g->leaf[op->results[0]] || !collect(g, op, d)) return true;
    if (!op->info->grad) return mil_grad_none(g, op, "");
    char where[256];
    if (!op->info->grad(g, op, d, e)) ane_at(e, mil_op_where(g->f, op, where, sizeof where));
    g->negate = false;
    return !e->code;
}

/* The first of the errors met so far. */
static bool all_well(const mil_grad_state *g, ane_error *e) {
    const ane_error *found = g->error.code ? &g->error : &g->b->program->error;
    if (found->code && !e->code) *e = *found;
    return !e->code;
}

static bool sweep(mil_grad_state *g, ane_error *e) {
    start_from_outputs(g);
    for (int32_t i = g->f->n_ops - 1; i >= 0 && all_well(g, e); i--) step(g, &g->f->ops[i], e);
    return all_well(g, e);
}

/* ---- what comes out ------------------------------------------------------------------------------------ */

static void output_derivative(mil_grad_state *g, mil_value v) {
    mil_value d = mil_grad_total(g, v, true, NULL);
    if (d == MIL_NONE) d = mil_identity(g->b, mil_back_zeros(g, &g->f->values[v].type));
    mil_output(g->b, d_name(g, v), d);
}

static void output_inputs(mil_grad_state *g, const mil_grad_options *o) {
    const mil_function *f = g->f;
    for (int32_t i = 0; i < f->n_inputs; i++)
        if (is_asked_for(f, o, f->inputs[i])) output_derivative(g, f->inputs[i]);
    for (mil_value v = 0; v < f->n_values; v++)
        if (g->leaf[v]) output_derivative(g, v);
}

static mil_param_grad *new_row(mil_gradient *out, int *capacity, mil_grad_state *g, mil_value param) {
    if (!out->param_grads || out->n_param_grads == *capacity) {
        *capacity = *capacity ? 2 * *capacity : 16;
        mil_param_grad *more = ane_arena_array(out->arena, (size_t)*capacity, sizeof *more);
        if (!more) {
            mil_no_memory(&g->error, "differentiation");
            return NULL;
        }
        if (out->n_param_grads) memcpy(more, out->param_grads, sizeof *more * (size_t)out->n_param_grads);
        out->param_grads = more;
    }
    mil_param_grad *row = &out->param_grads[out->n_param_grads++];
    *row = (mil_param_grad){.param = ane_arena_strdup(out->arena, g->f->values[param].name)};
    if (!row->param) mil_no_memory(&g->error, "differentiation");
    return row;
}

/* Parameters whose derivative is a value of backward. */
static void output_params(mil_grad_state *g, mil_gradient *out, int *capacity) {
    for (int32_t i = 0; i < g->f->n_ops && !g->error.code; i++) {
        if (g->f->ops[i].opcode != MIL_OP_PARAMETER) continue;
        mil_value v = g->f->ops[i].results[0], d = mil_grad_total(g, v, true, NULL);
        mil_param_grad *row = d == MIL_NONE ? NULL : new_row(out, capacity, g, v);
        if (!row) continue;
        row->value = d_name(g, v);
        mil_output(g->b, row->value, d);
    }
}

static bool is_output_of(const mil_function *f, mil_value v) {
    for (int32_t i = 0; i < f->n_outputs; i++)
        if (f->outputs[i] == v) return true;
    return false;
}

/* The input or output of backward in which v's elements lie; made an output when it is none yet. */
static const char *port_of(mil_grad_state *g, mil_value v) {
    mil_function *b = g->b;
    if (v == MIL_NONE) return NULL; /* an error is on record */
    v = mil_grad_same_memory(b, v);
    if (b->values[v].op != MIL_NONE && !is_output_of(b, v)) {
        if (b->values[v].constant) v = mil_identity(b, v);
        const char *name = ane_arena_printf(g->arena, "d_%s", b->values[v].name);
        while (name && (mil_find(b, name) != MIL_NONE || mil_find(g->f, name) != MIL_NONE))
            name = ane_arena_printf(g->arena, "%s_", name); /* somebody's own name begins like ours */
        if (!name) return NULL;
        mil_output(b, name, v);
        if (b->program->error.code) return NULL;
        v = b->outputs[b->n_outputs - 1];
    }
    return ane_arena_strdup(g->arena, b->values[v].name);
}

/* Where one side of a product lies. */
static const char *place_of(mil_grad_state *g, mil_grad_operand o) {
    if (!o.is_forward) return port_of(g, o.value);
    mil_value v = mil_grad_same_memory(g->f, o.value);
    if (mil_grad_is_port(g, v)) return ane_arena_strdup(g->arena, g->f->values[v].name);
    return port_of(g, mil_grad_forward(g, v));
}

static void output_products(mil_grad_state *g, mil_gradient *out, int *capacity) {
    for (int i = 0; i < g->n_products && !g->error.code; i++) {
        const mil_grad_product *p = &g->products[i];
        mil_param_grad *row = new_row(out, capacity, g, p->param);
        if (!row) return;
        row->is_product = true;
        row->left = place_of(g, p->left);
        row->right = place_of(g, p->right);
        if ((!row->left || !row->right) && !g->b->program->error.code)
            mil_no_memory(&g->error, "differentiation");
        row->left_transposed = p->left.transposed;
        row->right_transposed = p->right.transposed;
        row->m = p->m;
        row->n = p->n;
        row->k = p->k;
    }
}

/* Derive once: sweep, then outputs. The table of parameter gradients goes to `out`. */
static bool derive(mil_grad_state *g, mil_gradient *out, const mil_grad_options *o, ane_error *e) {
    int capacity = 0;
    out->n_param_grads = 0;
    out->param_grads = NULL;
    if (!sweep(g, e)) return false;
    output_inputs(g, o);
    output_params(g, out, &capacity);
    output_products(g, out, &capacity);
    return all_well(g, e);
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

/* Names that begin with "d_" are backward's: taps that bear one get another. */
static bool rename_taps(mil_gradient *out, mil_function *f, const mil_grad_state *g, ane_error *e) {
    for (mil_value v = 0; v < f->n_values; v++) {
        if (!g->kept[v] || g->is_output[v] || strncmp(f->values[v].name, "d_", 2) != 0) continue;
        const char *name = ane_arena_printf(out->arena, "tap_%s", f->values[v].name);
        if (!name || mil_name(f, v, name) == MIL_NONE) return mil_no_memory(e, f->name);
    }
    return true;
}

/* Make what is kept, and is no output yet, outputs of forward. */
static bool add_taps(mil_gradient *out, mil_function *f, const mil_grad_state *g, ane_error *e) {
    out->taps = ane_arena_array(out->arena, (size_t)f->n_values + 1, sizeof *out->taps);
    if (!out->taps) return mil_no_memory(e, f->name);
    for (mil_value v = 0; v < f->n_values; v++) {
        if (!g->kept[v] || g->is_output[v]) continue;
        const char *name = ane_arena_strdup(out->arena, f->values[v].name);
        if (!name) return mil_no_memory(e, f->name);
        out->taps[out->n_taps++] = name;
        mil_output(f, name, v);
    }
    return mil_program_ok(f->program, e);
}

/* The two derivations: the first finds what is needed, the second works with the taps chosen from it. */
static bool differentiate(mil_gradient *out, const mil_grad_options *o, ane_error *e) {
    mil_function *f = out->forward->functions[0];
    mil_grad_state first, second;
    if (!state_init(&first, f, out->arena, o, e)) return false;
    bool ok = derive(&first, out, o, e) && mil_grad_choose_taps(&first, o->recompute_cheap, e);
    mil_program_free(first.b->program);
    if (!ok || !state_init(&second, f, out->arena, o, e)) return false;
    out->backward = second.b->program;
    second.planned = true;
    second.kept = first.kept;
    return rename_taps(out, f, &second, e) && derive(&second, out, o, e) && add_taps(out, f, &second, e) &&
           mil_run_pass(out->forward, MIL_PASS_DEAD_CODE, e) &&
           mil_run_pass(out->backward, MIL_PASS_CSE, e) && mil_run_pass(out->backward, MIL_PASS_DEAD_CODE, e);
}

mil_gradient *mil_differentiate(const mil_function *f, const mil_grad_options *options, ane_error *e) {
    mil_grad_options defaults = {0};
    ane_error own = {0};
    if (!e) e = &own;
    const mil_grad_options *o = options ? options : &defaults;
    mil_gradient *g = calloc(1, sizeof *g);
    if (!g || !(g->arena = ane_arena_new())) {
        free(g);
        mil_no_memory(e, f->name);
        return NULL;
    }
    g->forward = check_wrt(f, o, e) ? forward_of(f, e) : NULL;
    if (g->forward && differentiate(g, o, e)) return g;
    mil_gradient_free(g);
    return NULL;
}

void mil_gradient_free(mil_gradient *g) {
    if (!g) return;
    mil_program_free(g->forward);
    mil_program_free(g->backward);
    ane_arena_free(g->arena);
    free(g);
}
