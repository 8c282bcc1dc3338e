/* fold_constants.c - evaluate what depends on small constants only, and drop what changes nothing. */
#include "base/arena.h"
#include "mil/eval.h"
#include "mil/function.h"
#include "mil/rewrite.h"
#include "mil/shape.h"

#include <stdlib.h>
#include <string.h>

/* Results of more elements stay computed: a program should not grow by folding. */
enum { MOST_ELEMENTS = 4096 };

/* ---- what changes nothing ------------------------------------------------------------------------------ */

/* Each takes an operation with mapped arguments and the type of its result; MIL_NONE when it must stay. */
typedef mil_value simplify_fn(mil_function *f, const mil_operation *op, const mil_type *type);

/* The operation is its first operand when the type is unchanged. */
static mil_value same_type(mil_function *f, const mil_operation *op, const mil_type *type) {
    mil_value x = op->args[0].values[0];
    return op->args[0].n == 1 && op->n_results == 1 && mil_type_equal(mil_type_of(f, x), type) ? x : MIL_NONE;
}

/* The operation that makes v, if it is one of these opcodes. */
static const mil_operation *producer(const mil_function *f, mil_value v, int n, const mil_opcode *opcodes) {
    int32_t at = f->values[v].op;
    for (int i = 0; at != MIL_NONE && i < n; i++)
        if (f->ops[at].opcode == opcodes[i]) return &f->ops[at];
    return NULL;
}

/* reshape of a reshape: only the last shape counts. */
static mil_value reshape(mil_function *f, const mil_operation *op, const mil_type *type) {
    static const mil_opcode kinds[] = {MIL_OP_RESHAPE, MIL_OP_EXPAND_DIMS, MIL_OP_SQUEEZE};
    mil_value x = op->args[0].values[0];
    if (mil_type_equal(mil_type_of(f, x), type)) return x;
    const mil_operation *before = producer(f, x, 3, kinds);
    if (!before || type->rank == 0) return MIL_NONE;
    mil_value source = before->args[0].values[0];
    if (mil_type_equal(mil_type_of(f, source), type)) return source;
    return mil_reshape(f, source, type->rank, type->dim);
}

static bool is_identity_permutation(int n, const int32_t *perm) {
    for (int i = 0; i < n; i++)
        if (perm[i] != i) return false;
    return true;
}

/* transpose of a transpose: one, or none. */
static mil_value transpose(mil_function *f, const mil_operation *op, const mil_type *type) {
    static const mil_opcode kinds[] = {MIL_OP_TRANSPOSE};
    int32_t perm[MIL_MAX_RANK], first[MIL_MAX_RANK];
    mil_value x = op->args[0].values[0];
    if (!mil_transpose_resolve(f, op, perm, NULL)) return MIL_NONE;
    if (is_identity_permutation(type->rank, perm)) return x;
    const mil_operation *before = producer(f, x, 1, kinds);
    if (!before || !mil_transpose_resolve(f, before, first, NULL)) return MIL_NONE;
    for (int i = 0; i < type->rank; i++) perm[i] = first[perm[i]];
    mil_value source = before->args[0].values[0];
    return is_identity_permutation(type->rank, perm) ? source : mil_transpose(f, source, perm);
}

/* A slice of everything, forwards. */
static mil_value slice(mil_function *f, const mil_operation *op, const mil_type *type) {
    mil_slice_geometry g;
    if (!mil_slice_resolve(f, op, &g, NULL)) return MIL_NONE;
    for (int i = 0; i < type->rank; i++)
        if (g.stride[i] < 0) return MIL_NONE;
    return same_type(f, op, type);
}

/* True when v is a constant whose elements are all `x`. */
static bool is_uniform(const mil_function *f, mil_value v, double x) {
    const mil_value_info *info = &f->values[v];
    if (!info->constant || !info->constant->data) return false;
    int64_t n = mil_type_count(&info->type);
    for (int64_t i = 0; i < n; i++)
        if (mil_constant_at(&info->type, info->constant->data, i) != x) return false;
    return true;
}

/* x op neutral = x; on either side when the operation commutes. */
static mil_value neutral(mil_function *f, const mil_operation *op, const mil_type *type, double x) {
    int sides = op->info->traits & MIL_TRAIT_COMMUTES ? 2 : 1;
    for (int i = 0; i < sides; i++) {
        mil_value kept = op->args[i].values[0], other = op->args[1 - i].values[0];
        if (mil_type_equal(mil_type_of(f, kept), type) && is_uniform(f, other, x)) return kept;
    }
    return MIL_NONE;
}

static mil_value neutral_zero(mil_function *f, const mil_operation *op, const mil_type *type) {
    return neutral(f, op, type, 0);
}

static mil_value neutral_one(mil_function *f, const mil_operation *op, const mil_type *type) {
    return neutral(f, op, type, 1);
}

static simplify_fn *const simplifications[MIL_OP_COUNT] = {
    [MIL_OP_IDENTITY] = same_type,
    [MIL_OP_CAST] = same_type,
    [MIL_OP_TILE] = same_type,
    [MIL_OP_PAD] = same_type,
    [MIL_OP_CONCAT] = same_type,
    [MIL_OP_SPLIT] = same_type,
    [MIL_OP_REDUCE_SUM] = same_type, /* over axes of size 1 */
    [MIL_OP_REDUCE_MEAN] = same_type,
    [MIL_OP_REDUCE_MAX] = same_type,
    [MIL_OP_RESHAPE] = reshape,
    [MIL_OP_EXPAND_DIMS] = reshape,
    [MIL_OP_SQUEEZE] = reshape,
    [MIL_OP_TRANSPOSE] = transpose,
    [MIL_OP_SLICE_BY_SIZE] = slice,
    [MIL_OP_SLICE_BY_INDEX] = slice,
    [MIL_OP_ADD] = neutral_zero,
    [MIL_OP_SUB] = neutral_zero,
    [MIL_OP_MUL] = neutral_one,
    [MIL_OP_REAL_DIV] = neutral_one,
    [MIL_OP_POW] = neutral_one,
};

/* ---- evaluation ---------------------------------------------------------------------------------------- */

/* True when every operand is a small constant in memory by now, and every result will be small. */
static bool can_evaluate(const mil_rewrite *r, const mil_operation *op) {
    bool any = false;
    if (!op->info->eval || op->info->traits & MIL_TRAIT_CONSTEXPR) return false;
    for (int p = 0; p < op->info->n_params; p++) {
        for (int k = 0; k < op->args[p].n; k++) {
            const mil_value_info *v = &r->to->values[r->map[op->args[p].values[k]]];
            if (!v->constant || !v->constant->data || mil_type_count(&v->type) > MOST_ELEMENTS) return false;
            any = true;
        }
    }
    for (int i = 0; i < op->n_results; i++)
        if (mil_type_count(&r->from->values[op->results[i]].type) > MOST_ELEMENTS) return false;
    return any;
}

/* The array of double that evaluation reads for value v of r->from. */
static bool load(const mil_rewrite *r, mil_value v, ane_error *e) {
    mil_array *values = r->context;
    return values[v].data || mil_constant_array(r->to, r->map[v], &values[v], e);
}

static bool load_operands(const mil_rewrite *r, const mil_operation *op, ane_error *e) {
    for (int p = 0; p < op->info->n_params; p++)
        for (int k = 0; k < op->args[p].n && op->info->params[p].kind != MIL_CONST; k++)
            if (!load(r, op->args[p].values[k], e)) return false;
    return true;
}

/* A constant of `to` with an array's elements. */
static mil_value constant_from(mil_function *f, const mil_array *a) {
    ane_arena *arena = f->program->arena;
    mil_constant *c = ane_arena_alloc(arena, sizeof *c);
    void *data = ane_arena_alloc(arena, (size_t)mil_type_bytes(&a->type));
    if (!c || !data) {
        mil_no_memory(&f->program->error, "const");
        return MIL_NONE;
    }
    int64_t n = mil_type_count(&a->type);
    for (int64_t i = 0; i < n; i++) mil_constant_set(&a->type, data, i, a->data[i]);
    c->data = data;
    return mil_emit_constant(f, &a->type, c);
}

/* Evaluate and put constants in the operation's place. What evaluation refuses (an index out of range, say)
 * stays an operation, so that the report comes when it is run. */
static bool evaluate(mil_rewrite *r, int32_t index, ane_error *e) {
    const mil_operation *op = &r->from->ops[index];
    mil_eval_context c = {.f = r->from, .op = op, .values = r->context, .rounding = MIL_EXACT};
    mil_array *out = calloc((size_t)op->n_results, sizeof *out);
    if (!out) return mil_no_memory(e, op->info->name);
    bool known = load_operands(r, op, NULL) && mil_eval_op(&c, out, NULL), ok = true;
    for (int i = 0; known && i < op->n_results; i++) {
        ok = ok && mil_rewrite_replace(r, index, i, constant_from(r->to, &out[i]), true, e);
        free(out[i].data);
    }
    free(out);
    return known ? ok : mil_rewrite_copy(r, index, e);
}

/* ---- the pass ------------------------------------------------------------------------------------------ */

static bool fold(mil_rewrite *r, int32_t index, ane_error *e) {
    const mil_operation *op = &r->from->ops[index];
    if (can_evaluate(r, op)) return evaluate(r, index, e);
    simplify_fn *simplify = simplifications[op->opcode];
    if (!simplify) return mil_rewrite_copy(r, index, e);
    mil_operation mapped = mil_rewrite_mapped(r, index, e);
    if (!mapped.args) return false;
    int32_t before = r->to->n_values;
    mil_value v = simplify(r->to, &mapped, &r->from->values[op->results[0]].type);
    if (v == MIL_NONE && !r->to->program->error.code) return mil_rewrite_copy(r, index, e);
    return mil_rewrite_replace(r, index, 0, v, v >= before, e);
}

bool mil_pass_fold_constants(mil_function *f, ane_error *e) {
    mil_array *values = calloc((size_t)f->n_values + 1, sizeof *values);
    if (!values) return mil_no_memory(e, f->name);
    int32_t n = f->n_values;
    bool ok = mil_rewrite_function(f, fold, values, e);
    for (int i = 0; i < n; i++) free(values[i].data);
    free(values);
    return ok;
}
