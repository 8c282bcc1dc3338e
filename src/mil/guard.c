/* guard.c - a row in and a row out that show that the program ran: out = in + 1. */
#include "mil/function.h"
#include "mil/lower.h"
#include "mil/rewrite.h"

static const char GUARD_IN[] = "guard_in", GUARD_OUT[] = "guard_out";

static bool inputs(mil_rewrite *r, ane_error *e) {
    mil_lowering *l = r->context;
    const mil_type row = mil_tensor(MIL_FP16, 4, (int64_t[]){1, 1, 1, MIL_GUARD_WIDTH});
    if (!mil_rewrite_inputs(r, e)) return false;
    mil_input(r->to, GUARD_IN, row);
    return mil_rewrite_ok(r, e) && mil_lowering_add_piece(l, MIL_PIECE_GUARD_IN, GUARD_IN, &row, e);
}

/* The identity stands in a label: the compiler's hash sees it, its arithmetic does not. */
static bool outputs(mil_rewrite *r, ane_error *e) {
    mil_lowering *l = r->context;
    if (!mil_rewrite_outputs(r, e)) return false;
    mil_value in = mil_find(r->to, GUARD_IN), out = mil_add_scalar(r->to, in, 1);
    if (out == MIL_NONE) return mil_rewrite_ok(r, e);
    r->to->ops[r->to->values[out].op].label = l->options.identity;
    mil_output(r->to, GUARD_OUT, out);
    return mil_rewrite_ok(r, e) &&
           mil_lowering_add_piece(l, MIL_PIECE_GUARD_OUT, GUARD_OUT, mil_type_of(r->to, out), e);
}

bool mil_pass_guard(mil_lowering *l, ane_error *e) {
    const mil_rewrite_hooks hooks = {inputs, mil_rewrite_copy, outputs};
    return mil_rewrite_ports(l->f, &hooks, l, e);
}
