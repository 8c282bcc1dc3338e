/* blob_constants.c - tables go to blob files: text is for small things. */
#include "mil/function.h"
#include "mil/lower.h"
#include "mil/rewrite.h"

enum { LARGEST_IN_TEXT = 64 };

/* Numbers of 32 bits and more are what operations are told: shapes, axes. */
static bool is_table(const mil_value_info *v) {
    int bits = mil_dtype_bits(v->type.dtype);
    bool stored = v->type.dtype == MIL_FP16 || (!mil_dtype_is_float(v->type.dtype) && bits > 0 && bits <= 8);
    return stored && v->type.dtype != MIL_BOOL && mil_type_count(&v->type) > LARGEST_IN_TEXT;
}

static bool step(mil_rewrite *r, int32_t index, ane_error *e) {
    mil_lowering *l = r->context;
    const mil_operation *op = &r->from->ops[index];
    const mil_value_info *v = &r->from->values[op->results[0]];
    if (op->opcode != MIL_OP_CONST || v->constant->blob_path || !is_table(v))
        return mil_rewrite_copy(r, index, e);
    mil_baked *baked = mil_lowering_add_baked(l, &v->type, e);
    if (!baked) return false;
    baked->data = v->constant->data; /* lives as long as the program */
    return mil_rewrite_replace(r, index, 0, mil_const_blob(r->to, v->type, baked->path, 64), true, e);
}

bool mil_pass_blob_constants(mil_lowering *l, ane_error *e) {
    return mil_rewrite_function(l->f, step, l, e);
}
