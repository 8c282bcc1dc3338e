/* Accumulating derivatives and reaching forward values from backward. */
#include "mil/grad.h"

#include "base/arena.h"
#include "mil/function.h"
#include "mil/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *get(mil_grad_state *g, size_t count, size_t size) {
    void *p = ane_arena_array(g->arena, count ? count : 1, size);
    if (!p) mil_no_memory(&g->error, "differentiation");
    return p;
}

bool mil_grad_none(mil_grad_state *g, const mil_operation *op, const char *why) {
    char where[256];
    ane_fail(&g->error, ANE_ERROR_UNSUPPORTED, mil_op_where(g->f, op, where, sizeof where),
        "%s has no gradient%s%s", op->info->name, why[0] ? ": " : "", why);
    return ane_hint(&g->error, "Differentiate by other inputs (wrt), or make what it depends on a constant.");
}

bool mil_grad_is_root(const mil_function *f, mil_value v) {
    int32_t op = f->values[v].op;
    return op == MIL_NONE || f->ops[op].opcode == MIL_OP_PARAMETER || f->values[v].constant;
}

/* True for a transpose that moves dimensions of size 1 alone. */
static bool keeps_order(const mil_function *f, const mil_operation *op) {
    const mil_type *x = mil_arg_type(f, op, "x");
    int32_t perm[MIL_MAX_RANK], last = -1;
    if (op->opcode != MIL_OP_TRANSPOSE || !mil_transpose_resolve(f, op, perm, NULL)) return false;
    for (int i = 0; i < x->rank; i++) {
        if (x->dim[perm[i]] == 1) continue;
        if (perm[i] < last) return false;
        last = perm[i];
    }
    return true;
}

mil_value mil_grad_same_memory(const mil_function *f, mil_value v) {
    while (f->values[v].op != MIL_NONE) {
        const mil_operation *op = &f->ops[f->values[v].op];
        if (op->opcode != MIL_OP_RESHAPE && op->opcode != MIL_OP_EXPAND_DIMS &&
            op->opcode != MIL_OP_SQUEEZE && op->opcode != MIL_OP_IDENTITY && !keeps_order(f, op))
            return v;
        v = mil_arg_value(op, "x");
    }
    return v;
}

/* ---- forward values ------------------------------------------------------------------------------------ */

/* The constant again, in backward's own memory: its value, its place in a blob file, or both. */
static mil_value emit_constant(mil_grad_state *g, mil_value v) {
    const mil_type *t = &g->f->values[v].type;
    const mil_constant *k = g->f->values[v].constant;
    if (!k->blob_path) return mil_const_data(g->b, *t, k->data);
    mil_value copy = mil_const_blob(g->b, *t, k->blob_path, k->blob_offset);
    if (copy == MIL_NONE || !k->data) return copy;
    size_t bytes = (size_t)mil_type_bytes(t);
    void *data = ane_arena_alloc(g->b->program->arena, bytes);
    if (!data) {
        mil_no_memory(&g->error, "differentiation");
        return MIL_NONE;
    }
    g->b->values[copy].constant->data = memcpy(data, k->data, bytes);
    return copy;
}

/* silu(x) as x sigmoid(x): its gradient needs the sigmoid too, and equal operations become one. */
static mil_value silu_again(mil_grad_state *g, const mil_operation *op) {
    mil_value x = mil_grad_forward(g, mil_arg_value(op, "x"));
    return mil_mul(g->b, x, mil_sigmoid(g->b, x));
}

/* The operation that makes v, again; the images of all of its results are known then. */
static void emit_again(mil_grad_state *g, mil_value v) {
    const mil_operation *op = &g->f->ops[g->f->values[v].op];
    mil_arg *args = get(g, (size_t)op->info->n_params, sizeof *args);
    mil_value *results = get(g, (size_t)op->n_results, sizeof *results);
    for (int a = 0; args && results && a < op->info->n_params; a++) {
        args[a].n = op->args[a].n;
        args[a].values = get(g, (size_t)op->args[a].n, sizeof *args[a].values);
        if (!args[a].values) return;
        for (int32_t i = 0; i < op->args[a].n; i++)
            args[a].values[i] = mil_grad_forward(g, op->args[a].values[i]);
    }
    if (!args || !results) return;
    mil_emit(g->b, op->opcode, args, op->n_results, results);
    for (int r = 0; r < op->n_results; r++)
        if (g->image[op->results[r]] == MIL_NONE) g->image[op->results[r]] = results[r];
}

/* An input for what may become a tap or not, under a name that nothing else has. */
static mil_value stand_in(mil_grad_state *g, mil_value v) {
    char name[32];
    snprintf(name, sizeof name, "?%d", (int)v);
    return mil_input(g->b, name, g->f->values[v].type);
}

mil_value mil_grad_forward(mil_grad_state *g, mil_value v) {
    if (v == MIL_NONE || g->error.code) return MIL_NONE;
    if (g->image[v] != MIL_NONE) return g->image[v];
    const mil_value_info *info = &g->f->values[v];
    g->needed[v] = true;
    if (info->constant)
        g->image[v] = emit_constant(g, v);
    else if (info->op != MIL_NONE && g->f->ops[info->op].opcode == MIL_OP_PARAMETER)
        g->image[v] = mil_param(g->b, info->name, info->type);
    else if (info->op == MIL_NONE || g->kept[v])
        g->image[v] = mil_input(g->b, info->name, info->type);
    else if (!g->planned)
        g->image[v] = stand_in(g, v);
    else if (g->f->ops[info->op].opcode == MIL_OP_SILU)
        g->image[v] = silu_again(g, &g->f->ops[info->op]);
    else
        emit_again(g, v);
    return g->image[v];
}

/* ---- derivatives --------------------------------------------------------------------------------------- */

bool mil_grad_wants(const mil_grad_state *g, mil_value v) {
    return v != MIL_NONE && g->depends[v] && mil_dtype_is_float(g->f->values[v].type.dtype);
}

/* False when no derivative by v is to be kept; an integer on the way to an input is an error. */
static bool accepts(mil_grad_state *g, mil_value v, mil_value derivative) {
    if (v == MIL_NONE || derivative == MIL_NONE || g->error.code || !g->depends[v]) return false;
    if (mil_grad_wants(g, v)) return true;
    char why[192];
    snprintf(why, sizeof why, "a derivative arrives at its result \"%s\", which is %s", g->f->values[v].name,
        mil_dtype_name(g->f->values[v].type.dtype));
    return mil_grad_none(g, &g->f->ops[g->f->values[v].op], why);
}

static void add_to(mil_grad_state *g, mil_grad_sum *s, mil_value derivative, bool negative) {
    if (s->total == MIL_NONE) {
        s->total = derivative;
        s->negative = negative;
    } else if (s->negative == negative) {
        s->total = mil_add(g->b, s->total, derivative);
    } else {
        s->total = negative ? mil_sub(g->b, s->total, derivative) : mil_sub(g->b, derivative, s->total);
        s->negative = false;
    }
}

void mil_grad_add(mil_grad_state *g, mil_value v, mil_value derivative) {
    if (accepts(g, v, derivative)) add_to(g, &g->sums[v], derivative, g->negate);
}

void mil_grad_subtract(mil_grad_state *g, mil_value v, mil_value derivative) {
    if (accepts(g, v, derivative)) add_to(g, &g->sums[v], derivative, !g->negate);
}

void mil_grad_add_part(mil_grad_state *g, mil_value v, int32_t axis, int64_t begin, mil_value derivative) {
    if (!accepts(g, v, derivative)) return;
    mil_grad_sum *s = &g->sums[v];
    if (s->n_parts % 8 == 0) {
        mil_grad_part *more = get(g, (size_t)s->n_parts + 8, sizeof *more);
        if (!more) return;
        if (s->n_parts) memcpy(more, s->parts, sizeof *more * (size_t)s->n_parts);
        s->parts = more;
    }
    int64_t size = mil_type_of(g->b, derivative)->dim[axis];
    s->parts[s->n_parts++] = (mil_grad_part){derivative, axis, begin, size};
}

static int by_place(const void *a, const void *b) {
    const mil_grad_part *x = a, *y = b;
    if (x->axis != y->axis) return x->axis < y->axis ? -1 : 1;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* Put parts of one axis that do not overlap side by side, zeros between them: one derivative of v's shape.
 * What was used is taken out of the list. */
static mil_value join(mil_grad_state *g, mil_value v, mil_grad_sum *s) {
    mil_value *pieces = get(g, (size_t)s->n_parts, sizeof *pieces);
    if (!pieces) return MIL_NONE;
    int32_t axis = s->parts[0].axis;
    int64_t end = 0, whole = g->f->values[v].type.dim[axis];
    int n = 0, left = 0;
    for (int i = 0; i < s->n_parts; i++) {
        mil_grad_part p = s->parts[i];
        if (p.axis != axis || p.begin < end) {
            s->parts[left++] = p;
            continue;
        }
        pieces[n++] = mil_back_pad(g, p.value, axis, p.begin - end, 0);
        end = p.begin + p.size;
    }
    s->n_parts = left;
    pieces[n - 1] = mil_back_pad(g, pieces[n - 1], axis, 0, whole - end);
    return n == 1 ? pieces[0] : mil_concat(g->b, n, pieces, axis);
}

/* Repeat along the axes where the derivative has 1 and v has more. */
static mil_value fill(mil_grad_state *g, mil_value d, const mil_type *t) {
    const mil_type *have = mil_type_of(g->b, d);
    int32_t reps[MIL_MAX_RANK];
    bool any = false;
    for (int a = 0; a < t->rank; a++) {
        reps[a] = have->dim[a] == t->dim[a] ? 1 : (int32_t)t->dim[a];
        any = any || reps[a] > 1;
    }
    return any ? mil_tile(g->b, d, reps) : d;
}

mil_value mil_grad_total(mil_grad_state *g, mil_value v, bool full, bool *negative) {
    mil_grad_sum *s = &g->sums[v];
    if (s->n_parts) qsort(s->parts, (size_t)s->n_parts, sizeof *s->parts, by_place);
    while (s->n_parts > 0 && !g->error.code) add_to(g, s, join(g, v, s), false);
    if (s->total == MIL_NONE) return MIL_NONE;
    if (full) s->total = fill(g, s->total, &g->f->values[v].type);
    if (negative) {
        *negative = s->negative;
    } else if (s->negative) {
        s->total = mil_mul_scalar(g->b, s->total, -1);
        s->negative = false;
    }
    return s->total;
}

mil_value mil_grad_unbroadcast(mil_grad_state *g, mil_value d, const mil_type *z, const mil_type *x) {
    const mil_type *have = mil_type_of(g->b, d);
    int lead = z->rank - x->rank, n = 0;
    int32_t axes[MIL_MAX_RANK];
    double times = 1; /* one element of d stands for so many of z */
    if (d == MIL_NONE) return MIL_NONE;
    for (int a = 0; a < z->rank; a++) {
        int64_t size = a < lead ? 1 : x->dim[a - lead];
        if (size == z->dim[a]) continue;
        if (have->dim[a] == 1)
            times *= (double)z->dim[a];
        else
            axes[n++] = a;
    }
    if (n) d = mil_reduce_sum(g->b, d, n, axes, true);
    if (times != 1) d = mil_mul_scalar(g->b, d, times);
    if (lead == 0) return d;
    if (x->rank == 0) return mil_reduce_sum(g->b, d, 0, NULL, false);
    return mil_reshape(g->b, d, x->rank, mil_type_of(g->b, d)->dim + lead);
}

/* ---- products ------------------------------------------------------------------------------------------ */

/* True for the transpose of a matrix [rows, columns] that gives v. */
static bool flips(const mil_function *f, const mil_operation *op, int64_t rows, int64_t columns) {
    const mil_type *t = &f->values[op->results[0]].type;
    int32_t perm[MIL_MAX_RANK] = {0};
    return op->opcode == MIL_OP_TRANSPOSE && t->rank == 2 && mil_transpose_resolve(f, op, perm, NULL) &&
           perm[0] == 1 && t->dim[0] == rows && t->dim[1] == columns;
}

/* The parameter whose elements v holds, as a matrix [m, k] or, when *flipped, [k, m]; MIL_NONE when it is
 * none. */
static mil_value param_behind(const mil_function *f, mil_value v, int64_t m, int64_t k, bool *flipped) {
    *flipped = false;
    for (;;) {
        v = mil_grad_same_memory(f, v);
        if (f->values[v].op == MIL_NONE) return MIL_NONE;
        const mil_operation *op = &f->ops[f->values[v].op];
        if (op->opcode == MIL_OP_PARAMETER) return v;
        if (flips(f, op, *flipped ? k : m, *flipped ? m : k))
            *flipped = !*flipped;
        else if (op->opcode != MIL_OP_CAST)
            return MIL_NONE;
        v = mil_arg_value(op, "x");
    }
}

bool mil_grad_is_param(const mil_grad_state *g, mil_value v) {
    const mil_type *t = &g->f->values[v].type;
    bool flipped;
    return t->rank >= 2 &&
           param_behind(g->f, v, t->dim[t->rank - 2], t->dim[t->rank - 1], &flipped) != MIL_NONE;
}

bool mil_grad_is_port(const mil_grad_state *g, mil_value v) {
    return g->f->values[v].op == MIL_NONE || g->is_output[v] || (g->planned && g->kept[v]);
}

/* A forward value that must be computed again is best computed now, while what it is made of is at hand. */
static void reach(mil_grad_state *g, mil_grad_operand o) {
    mil_value v = o.is_forward ? mil_grad_same_memory(g->f, o.value) : MIL_NONE;
    if (v != MIL_NONE && !mil_grad_is_port(g, v)) mil_grad_forward(g, v);
}

static void keep_product(mil_grad_state *g, mil_grad_product p) {
    reach(g, p.left);
    reach(g, p.right);
    if (g->n_products == g->product_capacity) {
        int capacity = g->n_products ? 2 * g->n_products : 16;
        mil_grad_product *more = get(g, (size_t)capacity, sizeof *more);
        if (!more) return;
        if (g->n_products) memcpy(more, g->products, sizeof *more * (size_t)g->n_products);
        g->products = more;
        g->product_capacity = capacity;
    }
    g->products[g->n_products++] = p;
}

/* The operand as a matrix in backward, as its memory says. */
static mil_value matrix(mil_grad_state *g, mil_grad_operand o, int64_t rows, int64_t columns) {
    mil_value v = o.is_forward ? mil_grad_forward(g, o.value) : o.value;
    mil_type t =
        mil_tensor(MIL_VOID, 2, (int64_t[]){o.transposed ? columns : rows, o.transposed ? rows : columns});
    return mil_back_reshape(g, v, &t);
}

void mil_grad_add_product(mil_grad_state *g, mil_value v, mil_grad_operand left, mil_grad_operand right,
    int64_t m, int64_t n, int64_t k) {
    bool flipped;
    if (!mil_grad_wants(g, v)) return;
    mil_value param = param_behind(g->f, v, m, k, &flipped);
    if (param == MIL_NONE || g->products_in_program) {
        mil_value l = matrix(g, left, m, n), r = matrix(g, right, k, n);
        mil_value d = mil_matmul(g->b, l, r, left.transposed, !right.transposed); /* [m, k] */
        mil_grad_add(g, v, mil_back_reshape(g, d, &g->f->values[v].type));
        return;
    }
    mil_grad_product p = {
        param, flipped ? right : left, flipped ? left : right, flipped ? k : m, n, flipped ? m : k};
    keep_product(g, p);
}
