/* Rules about single operations and their neighbours. */
#include "mil/ane_rules.h"

#include <inttypes.h>
#include <string.h>

enum { REJECTED_CHANNELS = 32000, WIDEST_KERNEL = 15, WIDEST_KERNEL_M1 = 13, INNER_UNIT = 32 };

typedef void op_fn(mil_ane_check *c, const mil_operation *op);

static void each(mil_ane_check *c, mil_opcode opcode, op_fn *look) {
    for (int i = 0; i < c->f->n_ops; i++)
        if (c->f->ops[i].opcode == opcode) look(c, &c->f->ops[i]);
}

static const mil_type *arg_type(const mil_ane_check *c, const mil_operation *op, const char *param) {
    return mil_type_of(c->f, mil_arg_value(op, param));
}

static bool fixed_arg(const mil_ane_check *c, const mil_operation *op, const char *param) {
    return mil_ane_is_fixed(c->f, mil_arg_value(op, param));
}

static bool given(const mil_operation *op, const char *param) {
    return mil_arg_value(op, param) != MIL_NONE;
}

/* ---- conv ---------------------------------------------------------------------------------------------- */

static void conv_weight(mil_ane_check *c, const mil_operation *op) {
    if (fixed_arg(c, op, "weight")) return;
    int32_t groups = mil_arg_int(c->f, op, "groups", 1);
    mil_ane_report_op(c, op, "its weight is computed at run time%s; bake it, or use matmul",
        groups > 1 ? " and it has groups, which nobody got to work" : "");
}

void mil_ane_conv_weight(mil_ane_check *c) {
    each(c, MIL_OP_CONV, conv_weight);
}

static void conv_bias(mil_ane_check *c, const mil_operation *op) {
    if (given(op, "bias")) mil_ane_report_op(c, op, "it has a bias; add it as [1, C, 1, 1] to the result");
}

void mil_ane_conv_bias(mil_ane_check *c) {
    each(c, MIL_OP_CONV, conv_bias);
}

static void conv_channels(mil_ane_check *c, const mil_operation *op) {
    int64_t channels = arg_type(c, op, "x")->dim[1];
    if (channels >= REJECTED_CHANNELS)
        mil_ane_report_op(c, op,
            "its input has %" PRId64 " channels; split the sum over several convs or use the CPU", channels);
}

void mil_ane_conv_channels(mil_ane_check *c) {
    each(c, MIL_OP_CONV, conv_channels);
}

static void conv_kernel(mil_ane_check *c, const mil_operation *op) {
    const mil_type *w = arg_type(c, op, "weight");
    int64_t width = w->dim[w->rank - 1];
    if (width > WIDEST_KERNEL_M1)
        mil_ane_report_op(c, op, "its kernel is %" PRId64 " wide%s", width,
            width > WIDEST_KERNEL ? "; split it" : ", too wide for M1");
}

void mil_ane_conv_kernel(mil_ane_check *c) {
    each(c, MIL_OP_CONV, conv_kernel);
}

static void conv_spelled(mil_ane_check *c, const mil_operation *op) {
    static const char *const needed[] = {"strides", "pad", "pad_type", "dilations", "groups"};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (given(op, needed[i])) continue;
        mil_ane_report_op(c, op, "%s is left to its default; give it as a const", needed[i]);
        return;
    }
}

void mil_ane_conv_spelled(mil_ane_check *c) {
    each(c, MIL_OP_CONV, conv_spelled);
}

/* ---- matmul -------------------------------------------------------------------------------------------- */

static void matmul_inner(mil_ane_check *c, const mil_operation *op) {
    const mil_type *x = arg_type(c, op, "x");
    bool transposed = mil_arg_bool(c->f, op, "transpose_x", false);
    int64_t inner = x->rank < 2 ? x->dim[0] : x->dim[x->rank - 1 - transposed];
    if (inner % INNER_UNIT != 0)
        mil_ane_report_op(c, op, "its inner dimension is %" PRId64 "; pad it with zeros to %" PRId64, inner,
            (inner / INNER_UNIT + 1) * INNER_UNIT);
}

void mil_ane_matmul_inner(mil_ane_check *c) {
    each(c, MIL_OP_MATMUL, matmul_inner);
}

static void matmul_constant(mil_ane_check *c, const mil_operation *op) {
    if (fixed_arg(c, op, "x") || fixed_arg(c, op, "y"))
        mil_ane_report_op(
            c, op, "%s is a constant; write it as a 1x1 conv", fixed_arg(c, op, "x") ? "x" : "y");
}

void mil_ane_matmul_constant(mil_ane_check *c) {
    each(c, MIL_OP_MATMUL, matmul_constant);
}

static void matmul_version(mil_ane_check *c, const mil_operation *op) {
    if (!fixed_arg(c, op, "x") && !fixed_arg(c, op, "y"))
        mil_ane_report_op(c, op, "both operands come at run time; write the program as 1.3");
}

void mil_ane_matmul_version(mil_ane_check *c) {
    if (strcmp(c->program->version, "1.5") == 0) each(c, MIL_OP_MATMUL, matmul_version);
}

/* ---- composites and their modes ------------------------------------------------------------------------ */

static void concat_interleave(mil_ane_check *c, const mil_operation *op) {
    if (!given(op, "interleave")) mil_ane_report_op(c, op, "it has no interleave; give it as a const, false");
}

void mil_ane_concat_interleave(mil_ane_check *c) {
    each(c, MIL_OP_CONCAT, concat_interleave);
}

static void gelu_mode(mil_ane_check *c, const mil_operation *op) {
    if (!given(op, "mode"))
        mil_ane_report_op(c, op, "it has no mode; give TANH_APPROXIMATION, or decompose it");
}

void mil_ane_gelu_mode(mil_ane_check *c) {
    each(c, MIL_OP_GELU, gelu_mode);
}

static void composite(mil_ane_check *c, const mil_operation *op) {
    mil_ane_report_op(c, op, "write %s as simpler operations", op->info->name);
}

void mil_ane_composite(mil_ane_check *c) {
    static const mil_opcode opcodes[] = {
        MIL_OP_LAYER_NORM, MIL_OP_GELU, MIL_OP_LINEAR, MIL_OP_GATHER, MIL_OP_SCATTER};
    for (size_t i = 0; i < sizeof opcodes / sizeof *opcodes; i++) each(c, opcodes[i], composite);
}

static void attn_mask(mil_ane_check *c, const mil_operation *op) {
    if (given(op, "attn_mask"))
        mil_ane_report_op(
            c, op, "its attn_mask has no effect: every position sees every other; expand the operation");
}

void mil_ane_attn_mask(mil_ane_check *c) {
    each(c, MIL_OP_SCALED_DOT_PRODUCT_ATTENTION, attn_mask);
}

static void tile(mil_ane_check *c, const mil_operation *op) {
    mil_ane_report_op(c, op, "write it as concat, or let the next operation broadcast");
}

void mil_ane_tile(mil_ane_check *c) {
    each(c, MIL_OP_TILE, tile);
}

/* ---- roots --------------------------------------------------------------------------------------------- */

static void root_of_reduce(mil_ane_check *c, const mil_operation *op) {
    const mil_operation *maker = mil_ane_maker(c->f, mil_arg_value(op, "x"));
    if (maker && (maker->info->traits & MIL_TRAIT_REDUCE))
        mil_ane_report_op(c, op, "its operand comes from %s; use pow with %s", maker->info->name,
            op->opcode == MIL_OP_SQRT ? "0.5" : "-0.5");
}

void mil_ane_root_of_reduce(mil_ane_check *c) {
    each(c, MIL_OP_SQRT, root_of_reduce);
    each(c, MIL_OP_RSQRT, root_of_reduce);
}

static bool is_sqrt(const mil_ane_check *c, const mil_operation *op, const char *param) {
    const mil_operation *maker = mil_ane_maker(c->f, mil_arg_value(op, param));
    return maker && maker->opcode == MIL_OP_SQRT;
}

static void product_of_root(mil_ane_check *c, const mil_operation *op) {
    bool broadcast = mil_type_count(arg_type(c, op, "x")) != mil_type_count(arg_type(c, op, "y"));
    if (broadcast && (is_sqrt(c, op, "x") || is_sqrt(c, op, "y")))
        mil_ane_report_op(c, op, "it broadcasts a sqrt, of which only channel 0 arrives; use pow with 0.5");
}

static void quotient_of_root(mil_ane_check *c, const mil_operation *op) {
    if (is_sqrt(c, op, "x"))
        mil_ane_report_op(c, op, "its numerator is a sqrt, and the operands get swapped; use pow");
}

void mil_ane_root_broadcast(mil_ane_check *c) {
    each(c, MIL_OP_MUL, product_of_root);
    each(c, MIL_OP_REAL_DIV, quotient_of_root);
}

/* ---- others -------------------------------------------------------------------------------------------- */

static void softmax_channels(mil_ane_check *c, const mil_operation *op) {
    const mil_type *x = arg_type(c, op, "x");
    int32_t axis = mil_arg_int(c->f, op, "axis", -1);
    if (axis < 0) axis += x->rank;
    if (x->rank != 4 || axis != 1 || (x->dim[1] & (x->dim[1] - 1)) == 0) return;
    mil_ane_report_op(c, op, "it runs over %" PRId64 " channels; move them to the last axis", x->dim[1]);
}

void mil_ane_softmax_channels(mil_ane_check *c) {
    each(c, MIL_OP_SOFTMAX, softmax_channels);
}

static void cast_ios16(mil_ane_check *c, const mil_operation *op) {
    mil_ane_report_op(c, op, "the function is %s; drop the cast and make the port fp16", c->f->opset);
}

void mil_ane_cast_ios16(mil_ane_check *c) {
    if (strcmp(c->f->opset, "ios16") == 0) each(c, MIL_OP_CAST, cast_ios16);
}

static void slice_of_input(mil_ane_check *c, const mil_operation *op) {
    mil_value x = mil_arg_value(op, "x");
    if (!mil_ane_maker(c->f, x))
        mil_ane_report_op(c, op, "it takes the input \"%.80s\"; use slice_by_size", c->f->values[x].name);
}

void mil_ane_slice_of_input(mil_ane_check *c) {
    each(c, MIL_OP_SLICE_BY_INDEX, slice_of_input);
}

static void slice_width(mil_ane_check *c, const mil_operation *op) {
    int32_t begin[MIL_MAX_RANK];
    int n = 0;
    ane_error ignored = {0};
    if (!mil_arg_ints(c->f, op, "begin", MIL_MAX_RANK, begin, &n, &ignored) || n == 0 || begin[n - 1] == 0)
        return;
    mil_ane_report_op(c, op, "it starts at %d of the last axis; keep values below 4,094 or slice channels",
        (int)begin[n - 1]);
}

void mil_ane_slice_width(mil_ane_check *c) {
    each(c, MIL_OP_SLICE_BY_SIZE, slice_width);
    each(c, MIL_OP_SLICE_BY_INDEX, slice_width);
}

void mil_ane_broadcast_3d(mil_ane_check *c) {
    for (int i = 0; i < c->f->n_ops; i++) {
        const mil_operation *op = &c->f->ops[i];
        if (!(op->info->traits & MIL_TRAIT_BINARY)) continue;
        const mil_type *x = arg_type(c, op, "x"), *y = arg_type(c, op, "y");
        if (x->rank != 3 || y->rank != 3 || x->dim[2] == y->dim[2]) continue;
        mil_ane_report_op(c, op, "it broadcasts along the last of three axes; reshape to [1, C, 1, S]");
    }
}

static void trigonometry(mil_ane_check *c, const mil_operation *op) {
    mil_ane_report_op(c, op, "M1 has no %s; pass it in as a table", op->info->name);
}

void mil_ane_trigonometry(mil_ane_check *c) {
    each(c, MIL_OP_SIN, trigonometry);
    each(c, MIL_OP_COS, trigonometry);
}

static void log_epsilon(mil_ane_check *c, const mil_operation *op) {
    if (!given(op, "epsilon")) mil_ane_report_op(c, op, "it has no epsilon; give it as a const");
}

void mil_ane_log_epsilon(mil_ane_check *c) {
    each(c, MIL_OP_LOG, log_epsilon);
}
