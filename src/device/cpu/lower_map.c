/* Element-wise operations. */
#include "device/cpu/plan.h"
#include "mil/eval.h"

#include <string.h>

typedef struct rule {
    cpu_map map;
    bool exact; /* the result of fp16 operands needs no rounding */
} rule;

static const rule rules[MIL_OP_COUNT] = {
    [MIL_OP_ADD] = {CPU_ADD, false},
    [MIL_OP_SUB] = {CPU_SUB, false},
    [MIL_OP_MUL] = {CPU_MUL, false},
    [MIL_OP_REAL_DIV] = {CPU_DIV, false},
    [MIL_OP_MAXIMUM] = {CPU_MAX, true},
    [MIL_OP_MINIMUM] = {CPU_MIN, true},
    [MIL_OP_POW] = {CPU_POW, false},
    [MIL_OP_EQUAL] = {CPU_EQUAL, true},
    [MIL_OP_NOT_EQUAL] = {CPU_NOT_EQUAL, true},
    [MIL_OP_GREATER] = {CPU_GREATER, true},
    [MIL_OP_GREATER_EQUAL] = {CPU_GREATER_EQUAL, true},
    [MIL_OP_LESS] = {CPU_LESS, true},
    [MIL_OP_LESS_EQUAL] = {CPU_LESS_EQUAL, true},
    [MIL_OP_SELECT] = {CPU_SELECT, true},
    [MIL_OP_EXP] = {CPU_EXP, false},
    [MIL_OP_LOG] = {CPU_LOG, false},
    [MIL_OP_SQRT] = {CPU_SQRT, false},
    [MIL_OP_RSQRT] = {CPU_RSQRT, false},
    [MIL_OP_INVERSE] = {CPU_INVERSE, false},
    [MIL_OP_ABS] = {CPU_ABS, true},
    [MIL_OP_SIN] = {CPU_SIN, false},
    [MIL_OP_COS] = {CPU_COS, false},
    [MIL_OP_SIGMOID] = {CPU_SIGMOID, false},
    [MIL_OP_SILU] = {CPU_SILU, false},
    [MIL_OP_TANH] = {CPU_TANH, false},
    [MIL_OP_RELU] = {CPU_RELU, true},
    [MIL_OP_ERF] = {CPU_ERF, false},
    [MIL_OP_LOGICAL_NOT] = {CPU_NOT, true},
};

/* Emit `map` on the operation's operands, in the order of its parameters. */
static bool emit(cpu_lower *l, const mil_operation *op, cpu_map map, bool exact) {
    cpu_view in[3];
    int n = ane_cpu_map_operands(map);
    if (!ane_cpu_is_float_value(l, op->results[0])) return false;
    for (int i = 0; i < n; i++) {
        if (!ane_cpu_is_float_value(l, op->args[i].values[0])) return false;
        in[i] = l->views[op->args[i].values[0]];
    }
    float epsilon = n == 1 ? (float)mil_unary_epsilon(l->f, op) : 0;
    cpu_view out = ane_cpu_destination(l, op->results[0]);
    ane_cpu_emit_map(l, map, epsilon, ane_cpu_rounds(l) && !exact, n, in, &out);
    l->views[op->results[0]] = out;
    return true;
}

bool ane_cpu_lower_map(cpu_lower *l, const mil_operation *op) {
    return emit(l, op, rules[op->opcode].map, rules[op->opcode].exact);
}

bool ane_cpu_lower_select(cpu_lower *l, const mil_operation *op) {
    return ane_cpu_lower_map(l, op);
}

/* The exponents that are worth more than powf. */
bool ane_cpu_lower_pow(cpu_lower *l, const mil_operation *op) {
    mil_value y = mil_arg_value(op, "y");
    const mil_value_info *info = &l->f->values[y];
    if (info->constant && mil_type_count(&info->type) == 1 && mil_dtype_is_float(info->type.dtype) &&
        mil_type_equal(mil_type_of(l->f, mil_arg_value(op, "x")), mil_type_of(l->f, op->results[0]))) {
        double exponent = mil_constant_at(&info->type, info->constant->data, 0);
        if (exponent == 2) return emit(l, op, CPU_SQUARE, false);
        if (exponent == -0.5) return emit(l, op, CPU_INVERSE_SQRT, false);
    }
    return ane_cpu_lower_map(l, op);
}

bool ane_cpu_lower_gelu(cpu_lower *l, const mil_operation *op) {
    const char *mode = mil_arg_string(l->f, op, "mode", "EXACT");
    if (strcmp(mode, "EXACT") == 0) return emit(l, op, CPU_GELU_EXACT, false);
    if (strcmp(mode, "TANH_APPROXIMATION") == 0) return emit(l, op, CPU_GELU_TANH, false);
    if (strcmp(mode, "SIGMOID_APPROXIMATION") == 0) return emit(l, op, CPU_GELU_SIGMOID, false);
    return false; /* the reference reports it */
}

/* Floats stay what they are: the mode of the device decides their precision. */
bool ane_cpu_lower_cast(cpu_lower *l, const mil_operation *op) {
    mil_value x = mil_arg_value(op, "x");
    mil_dtype from = mil_type_of(l->f, x)->dtype, to = mil_type_of(l->f, op->results[0])->dtype;
    if (from == to || (ane_cpu_kind_of(from) == CPU_F32 && mil_dtype_is_float(to)))
        return ane_cpu_lower_alias(l, op);
    if (mil_dtype_is_float(from) && to == MIL_BOOL) return emit(l, op, CPU_NONZERO, true);
    return false;
}
