/* pad_inner.c - inner dimensions of matmul padded with zeros to a multiple, where others give zeros (ANE-28). */
#include "mil/function.h"
#include "mil/lower.h"
#include "mil/rewrite.h"

#include <stdlib.h>

/* x with zeros behind it along `axis`; concat, because pad is not known to work everywhere. */
static mil_value extend(mil_function *f, mil_value x, int axis, int64_t by) {
    mil_type t = *mil_type_of(f, x);
    t.dim[axis] = by;
    void *zeros = calloc((size_t)mil_type_bytes(&t) + 1, 1);
    if (!zeros) {
        mil_no_memory(&f->program->error, "matmul");
        return MIL_NONE;
    }
    mil_value parts[2] = {x, mil_const_data(f, t, zeros)};
    free(zeros);
    return mil_concat(f, 2, parts, axis);
}

static bool step(mil_rewrite *r, int32_t index, ane_error *e) {
    const mil_lowering *l = r->context;
    const mil_operation *op = &r->from->ops[index];
    if (op->opcode != MIL_OP_MATMUL) return mil_rewrite_copy(r, index, e);
    mil_value x = mil_arg_value(op, "x"), y = mil_arg_value(op, "y");
    bool tx = mil_arg_bool(r->from, op, "transpose_x", false),
         ty = mil_arg_bool(r->from, op, "transpose_y", false);
    const mil_type *a = mil_type_of(r->from, x), *b = mil_type_of(r->from, y);
    if (a->rank < 2 || b->rank < 2) return mil_rewrite_copy(r, index, e);
    int axis_x = a->rank - (tx ? 2 : 1), axis_y = b->rank - (ty ? 1 : 2);
    int64_t over = a->dim[axis_x] % l->options.matmul_inner, by = l->options.matmul_inner - over;
    if (over == 0) return mil_rewrite_copy(r, index, e);
    mil_value product =
        mil_matmul(r->to, extend(r->to, r->map[x], axis_x, by), extend(r->to, r->map[y], axis_y, by), tx, ty);
    return mil_rewrite_replace(r, index, 0, product, true, e);
}

bool mil_pass_pad_inner(mil_lowering *l, ane_error *e) {
    return l->options.matmul_inner <= 1 || mil_rewrite_function(l->f, step, l, e);
}
