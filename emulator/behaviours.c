/* What compiles and then computes something else: the program is rewritten to do what the hardware was seen to do. */
#include "emulator/program.h"
#include "emulator/state.h"
#include "mil/ane_rules.h"
#include "mil/rewrite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INNER_MULTIPLE = 32 };
static const double LOG_OF_ZERO = -45440, LARGEST_F16 = 65504, SMALLEST_NORMAL_F16 = 0x1p-14;

/* |y| > limit ? y * 65504 : y. In fp16 the product is infinite, with y's sign. */
static mil_value overflow_beyond(mil_function *f, mil_value y, double limit) {
    mil_value edge = mil_const_float(f, mil_type_of(f, y)->dtype, limit);
    mil_value beyond = mil_greater(f, mil_abs(f, y), edge);
    return mil_select(f, beyond, mil_mul_scalar(f, y, LARGEST_F16), y);
}

/* |x| < smallest normal ? 0 : x */
static mil_value flush(mil_function *f, mil_value x) {
    mil_dtype dtype = mil_type_of(f, x)->dtype;
    mil_value small = mil_less(f, mil_abs(f, x), mil_const_float(f, dtype, SMALLEST_NORMAL_F16));
    return mil_select(f, small, mil_mul_scalar(f, x, 0), x);
}

/* NaN is what does not equal itself. */
static mil_value zero_for_nan(mil_function *f, mil_value y) {
    return mil_select(f, mil_equal(f, y, y), y, mil_const_float(f, mil_type_of(f, y)->dtype, 0));
}

/* All zero, whatever y holds: no product, which would keep NaN. */
static mil_value zeros_like(mil_function *f, mil_value y) {
    mil_type type = *mil_type_of(f, y);
    mil_value never = mil_less(f, mil_abs(f, y), mil_const_float(f, type.dtype, -1));
    return mil_select(f, never, y, mil_const_float(f, type.dtype, 0));
}

static mil_value zero_constant(mil_function *f, mil_value like) {
    mil_type type = *mil_type_of(f, like);
    void *zeros = calloc((size_t)mil_type_bytes(&type) + 1, 1);
    mil_value v = zeros ? mil_const_data(f, type, zeros) : MIL_NONE;
    free(zeros);
    return v;
}

/* Where the operation keeps an operand that it must have. */
static mil_value *argument(mil_operation *op, const char *param) {
    return op->args[mil_param_index(op->info, param)].values;
}

static bool floats(const mil_function *f, mil_value v) {
    return mil_dtype_is_float(mil_type_of(f, v)->dtype);
}

/* Change the arguments of an operation before it is appended. */
static void change_arguments(mil_function *f, mil_operation *op, bool fixed_weight) {
    bool is_conv = op->opcode == MIL_OP_CONV, is_matmul = op->opcode == MIL_OP_MATMUL;
    if (op->opcode == MIL_OP_SCALED_DOT_PRODUCT_ATTENTION && em_quirk_value(EM_QUIRK_ATTN_MASK) == 0)
        op->args[mil_param_index(op->info, "attn_mask")].n = 0;
    if ((is_conv || is_matmul) && em_quirk_value(EM_QUIRK_DENORMALS) == 1) {
        mil_value *operands[] = {argument(op, "x"), argument(op, is_conv ? "weight" : "y")};
        for (int i = 0; i < 2; i++)
            if (floats(f, *operands[i])) *operands[i] = flush(f, *operands[i]);
    }
    if (is_conv && !fixed_weight && em_quirk_value(EM_QUIRK_CONV_WEIGHTS) == EM_CONV_IGNORED) {
        mil_value *weight = argument(op, "weight");
        *weight = zero_constant(f, *weight);
    }
}

static bool cuts_width(const mil_function *f, const mil_operation *op) {
    int32_t begin[MIL_MAX_RANK];
    int n = 0;
    return (op->opcode == MIL_OP_SLICE_BY_SIZE || op->opcode == MIL_OP_SLICE_BY_INDEX) &&
           mil_arg_ints(f, op, "begin", MIL_MAX_RANK, begin, &n, NULL) && n > 0 && begin[n - 1] != 0;
}

static int64_t inner_dimension(const mil_function *f, const mil_operation *op) {
    const mil_type *x = mil_type_of(f, mil_arg_value(op, "x"));
    return x->dim[x->rank - 1 - mil_arg_bool(f, op, "transpose_x", false)];
}

/* Change what an operation gives. */
static mil_value change_result(const mil_rewrite *r, const mil_operation *was, mil_value y) {
    mil_function *f = r->to;
    if (!floats(f, y)) return y;
    int64_t matmul_limit = em_quirk_value(EM_QUIRK_MATMUL_OVERFLOW),
            slice_limit = em_quirk_value(EM_QUIRK_WIDTH_SLICE);
    if (was->opcode == MIL_OP_MATMUL && em_quirk_value(EM_QUIRK_MATMUL_INNER) == EM_INNER_ZEROS &&
        inner_dimension(r->from, was) % INNER_MULTIPLE != 0)
        return zeros_like(f, y);
    if (was->opcode == MIL_OP_MATMUL && matmul_limit != EM_NO_LIMIT)
        return overflow_beyond(f, y, (double)matmul_limit);
    if (slice_limit != EM_NO_LIMIT && cuts_width(r->from, was))
        return overflow_beyond(f, y, (double)slice_limit);
    if (was->opcode == MIL_OP_LOG)
        return mil_maximum(f, y, mil_const_float(f, mil_type_of(f, y)->dtype, LOG_OF_ZERO));
    if (was->opcode == MIL_OP_ADD || was->opcode == MIL_OP_SUB) return zero_for_nan(f, y);
    return y;
}

static bool concerns(mil_opcode opcode) {
    if (opcode == MIL_OP_LOG) return em_quirk_value(EM_QUIRK_LOG_ZERO) == 1;
    if (opcode == MIL_OP_ADD || opcode == MIL_OP_SUB) return em_quirk_value(EM_QUIRK_INF_MINUS_INF) == 1;
    return opcode == MIL_OP_CONV || opcode == MIL_OP_MATMUL ||
           opcode == MIL_OP_SCALED_DOT_PRODUCT_ATTENTION || opcode == MIL_OP_SLICE_BY_SIZE ||
           opcode == MIL_OP_SLICE_BY_INDEX;
}

static bool step(mil_rewrite *r, int32_t index, ane_error *e) {
    const mil_operation *was = &r->from->ops[index];
    if (!concerns(was->opcode)) return mil_rewrite_copy(r, index, e);
    mil_operation op = mil_rewrite_mapped(r, index, e);
    if (!op.args) return false;
    bool fixed = was->opcode == MIL_OP_CONV && mil_ane_is_fixed(r->from, mil_arg_value(was, "weight"));
    change_arguments(r->to, &op, fixed);
    mil_value y = mil_emit(r->to, op.opcode, op.args, 1, &y);
    if (y != MIL_NONE) y = change_result(r, was, y);
    return mil_rewrite_replace(r, index, 0, y, true, e);
}

bool em_apply_behaviours(mil_function *f, ane_error *e) {
    return mil_rewrite_function(f, step, NULL, e);
}
