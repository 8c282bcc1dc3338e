/* bind_weights.c - parameters become inputs, or constants in blob files, and products with them take the form that
 * works for that: matmul for weights that arrive at run time (ANE-23), conv for constants (ANE-29).
 *
 *     conv(x [1, I, H, W], w [O, I, 1, 1])  ->  matmul(w [1, O, I], x [1, I, HW])
 *     matmul(w^T [K, O], y [O, N])          ->  conv(y [1, O, 1, N], (w^T baked) [K, O, 1, 1]) */
#include "base/arena.h"
#include "mil/function.h"
#include "mil/lower.h"
#include "mil/rewrite.h"
#include "mil/shape.h"

#include <string.h>

enum { MOST_CONV_INPUTS = 32000 }; /* ANE-25 */

static bool inputs(mil_rewrite *r, ane_error *e) {
    mil_lowering *l = r->context;
    if (!mil_rewrite_inputs(r, e)) return false;
    for (int32_t i = 0; i < r->from->n_ops && l->options.weights != MIL_WEIGHTS_BAKED; i++) {
        const mil_operation *op = &r->from->ops[i];
        const mil_value_info *v = &r->from->values[op->results[0]];
        if (op->opcode == MIL_OP_PARAMETER) r->map[op->results[0]] = mil_input(r->to, v->name, v->type);
    }
    return mil_rewrite_ok(r, e);
}

/* ---- weights as inputs --------------------------------------------------------------------------------------- */

static bool is_pointwise(const mil_conv_geometry *g) {
    bool plain = g->groups == 1 && g->batch == 1;
    for (int i = 0; i < g->n_spatial; i++)
        plain = plain && g->kernel[i] == 1 && g->stride[i] == 1 && !g->pad_before[i] && !g->pad_after[i];
    return plain;
}

static bool conv_to_matmul(mil_rewrite *r, int32_t index, ane_error *e) {
    const mil_operation *op = &r->from->ops[index];
    const mil_type *result = mil_type_of(r->from, op->results[0]);
    mil_function *f = r->to;
    mil_conv_geometry g;
    if (!mil_conv_resolve(r->from, op, &g, e)) return false;
    if (!is_pointwise(&g))
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, r->from->values[op->results[0]].name,
                   "a convolution wider than one element needs constant weights on the Neural Engine") ||
               ane_hint(e, "Use weights=baked.");
    int64_t columns = mil_type_count(result) / g.out_channels;
    mil_value x = mil_reshape(f, r->map[mil_arg_value(op, "x")], 3, (int64_t[]){1, g.in_channels, columns});
    mil_value w =
        mil_reshape(f, r->map[mil_arg_value(op, "weight")], 3, (int64_t[]){1, g.out_channels, g.in_channels});
    mil_value y = mil_reshape(f, mil_matmul(f, w, x, false, false), result->rank, result->dim);
    mil_value bias = mil_arg_value(op, "bias");
    if (bias != MIL_NONE) {
        int64_t dim[MIL_MAX_RANK] = {1, g.out_channels, 1, 1, 1};
        y = mil_add(f, y, mil_reshape(f, r->map[bias], result->rank, dim));
    }
    return mil_rewrite_replace(r, index, 0, y, true, e);
}

/* ---- weights as constants ------------------------------------------------------------------------------------ */

/* The parameter that `v` is, perhaps reshaped; NULL when it is none. */
static const mil_value_info *parameter(const mil_function *f, mil_value v) {
    while (v != MIL_NONE && f->values[v].op != MIL_NONE) {
        const mil_operation *op = &f->ops[f->values[v].op];
        if (op->opcode == MIL_OP_PARAMETER) return &f->values[v];
        if (op->opcode != MIL_OP_RESHAPE) return NULL;
        v = mil_arg_value(op, "x");
    }
    return NULL;
}

/* A constant of shape [rows, columns, 1, 1] or as the parameter. */
static mil_value bake(mil_rewrite *r, const mil_value_info *param, bool transposed, const mil_type *type,
    int64_t rows, int64_t columns, ane_error *e) {
    mil_lowering *l = r->context;
    mil_baked *baked = mil_lowering_add_baked(l, type, e);
    if (!baked) return MIL_NONE;
    baked->param = param->name;
    baked->transposed = transposed;
    baked->rows = rows;
    baked->columns = columns;
    return mil_const_blob(r->to, *type, baked->path, 64);
}

/* w, or w^T, times a matrix that is computed: as a conv. */
static bool matmul_to_conv(mil_rewrite *r, int32_t index, ane_error *e) {
    const mil_operation *op = &r->from->ops[index];
    mil_function *f = r->to;
    mil_value x = mil_arg_value(op, "x"), y = mil_arg_value(op, "y");
    const mil_type *w = mil_type_of(r->from, x), *result = mil_type_of(r->from, op->results[0]);
    bool transposed = mil_arg_bool(r->from, op, "transpose_x", false);
    int64_t m = result->dim[0], k = w->dim[transposed ? 0 : 1], n = result->dim[1];
    const mil_type type = mil_tensor(MIL_FP16, 4, (int64_t[]){m, k, 1, 1});
    mil_value weight = bake(r, parameter(r->from, x), transposed, &type, w->dim[0], w->dim[1], e);
    if (weight == MIL_NONE) return mil_rewrite_ok(r, e) && false;
    mil_value columns = mil_reshape(f, r->map[y], 4, (int64_t[]){1, k, 1, n});
    mil_value product = mil_reshape(f, mil_conv(f, columns, weight), 2, (int64_t[]){m, n});
    return mil_rewrite_replace(r, index, 0, product, true, e);
}

static bool is_weight_matmul(const mil_function *f, const mil_operation *op) {
    if (op->opcode != MIL_OP_MATMUL) return false;
    mil_value x = mil_arg_value(op, "x"), y = mil_arg_value(op, "y");
    const mil_type *w = mil_type_of(f, x);
    bool transposed = mil_arg_bool(f, op, "transpose_x", false);
    return parameter(f, x) && !parameter(f, y) && w->rank == 2 && mil_type_of(f, y)->rank == 2 &&
           !mil_arg_bool(f, op, "transpose_y", false) && w->dim[transposed ? 0 : 1] < MOST_CONV_INPUTS;
}

static bool bake_parameter(mil_rewrite *r, int32_t index, ane_error *e) {
    const mil_value_info *v = &r->from->values[r->from->ops[index].results[0]];
    mil_value constant = bake(r, v, false, &v->type, 1, mil_type_count(&v->type), e);
    if (constant == MIL_NONE) return mil_rewrite_ok(r, e) && false;
    return mil_rewrite_replace(r, index, 0, constant, false, e);
}

/* ---- the pass ------------------------------------------------------------------------------------------------ */

static bool step(mil_rewrite *r, int32_t index, ane_error *e) {
    const mil_lowering *l = r->context;
    const mil_operation *op = &r->from->ops[index];
    if (l->options.weights == MIL_WEIGHTS_BAKED) {
        if (op->opcode == MIL_OP_PARAMETER) return bake_parameter(r, index, e);
        if (is_weight_matmul(r->from, op)) return matmul_to_conv(r, index, e);
        return mil_rewrite_copy(r, index, e);
    }
    if (op->opcode == MIL_OP_PARAMETER) return true; /* an input by now */
    if (op->opcode == MIL_OP_CONV && parameter(r->from, mil_arg_value(op, "weight")))
        return conv_to_matmul(r, index, e);
    return mil_rewrite_copy(r, index, e);
}

/* Constants that only a dead reshape used are not to be written to files. */
static bool drop_unused(mil_lowering *l, ane_error *e) {
    if (!mil_pass_dead_code(l->f, e)) return false;
    int32_t kept = 0;
    for (int32_t i = 0; i < l->n_baked; i++) {
        bool used = false;
        for (int32_t v = 0; v < l->f->n_values && !used; v++) {
            const mil_constant *c = l->f->values[v].constant;
            used = c && c->blob_path && strcmp(c->blob_path, l->baked[i].path) == 0;
        }
        if (used) l->baked[kept++] = l->baked[i];
    }
    l->n_baked = kept;
    return true;
}

bool mil_pass_bind_weights(mil_lowering *l, ane_error *e) {
    const mil_rewrite_hooks hooks = {.inputs = inputs, .step = step};
    return mil_rewrite_ports(l->f, &hooks, l, e) && drop_unused(l, e);
}
