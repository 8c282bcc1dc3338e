/* lower_dtype.c - every float is fp16: ports, parameters, constants, casts. */
#include "mil/function.h"
#include "mil/lower.h"
#include "mil/rewrite.h"

#include <math.h>
#include <stdlib.h>

static const double LARGEST_F16 = 65504;

static mil_type lowered(const mil_type *type) {
    mil_type t = *type;
    if (mil_dtype_is_float(t.dtype)) t.dtype = MIL_FP16;
    return t;
}

static bool inputs(mil_rewrite *r, ane_error *e) {
    for (int i = 0; i < r->from->n_inputs; i++) {
        const mil_value_info *v = &r->from->values[r->from->inputs[i]];
        if (!mil_dtype_is_float(v->type.dtype))
            return ane_fail(e, ANE_ERROR_UNSUPPORTED, v->name,
                "the Neural Engine takes float inputs only, but %s is %s", v->name,
                mil_dtype_name(v->type.dtype));
        r->map[r->from->inputs[i]] = mil_input(r->to, v->name, lowered(&v->type));
    }
    return mil_rewrite_ok(r, e);
}

/* Infinity is cut to the largest number: the engine makes NaN and zeros of it. */
static mil_value constant(mil_function *f, const mil_value_info *v) {
    mil_type to = lowered(&v->type);
    int64_t n = mil_type_count(&to);
    void *data = calloc((size_t)n + 1, sizeof(uint16_t));
    if (!data) {
        mil_no_memory(&f->program->error, v->name);
        return MIL_NONE;
    }
    for (int64_t i = 0; i < n; i++) {
        double x = mil_constant_at(&v->type, v->constant->data, i);
        mil_constant_set(&to, data, i, isnan(x) ? x : fmin(fmax(x, -LARGEST_F16), LARGEST_F16));
    }
    mil_value result = mil_const_data(f, to, data);
    free(data);
    return result;
}

static bool is_float_cast(const mil_rewrite *r, const mil_operation *op) {
    return op->opcode == MIL_OP_CAST && mil_dtype_is_float(mil_type_of(r->from, op->results[0])->dtype) &&
           mil_dtype_is_float(mil_type_of(r->from, mil_arg_value(op, "x"))->dtype);
}

static bool step(mil_rewrite *r, int32_t index, ane_error *e) {
    const mil_operation *op = &r->from->ops[index];
    const mil_value_info *v = &r->from->values[op->results[0]];
    bool is_float = mil_dtype_is_float(v->type.dtype);
    if (op->opcode == MIL_OP_CONST && is_float && v->constant->data)
        return mil_rewrite_replace(r, index, 0, constant(r->to, v), true, e);
    if (op->opcode == MIL_OP_PARAMETER && is_float)
        return mil_rewrite_replace(r, index, 0, mil_param(r->to, v->name, lowered(&v->type)), false, e);
    if (is_float_cast(r, op))
        return mil_rewrite_replace(r, index, 0, r->map[mil_arg_value(op, "x")], false, e);
    if (op->opcode == MIL_OP_CAST && is_float) {
        mil_value x = mil_cast(r->to, r->map[mil_arg_value(op, "x")], MIL_FP16);
        return mil_rewrite_replace(r, index, 0, x, true, e);
    }
    return mil_rewrite_copy(r, index, e);
}

bool mil_pass_lower_dtype(mil_lowering *l, ane_error *e) {
    const mil_rewrite_hooks hooks = {.inputs = inputs, .step = step};
    return mil_rewrite_ports(l->f, &hooks, l, e);
}
