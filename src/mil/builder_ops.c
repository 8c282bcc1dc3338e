/* builder_ops.c - one typed function per operation, in the order of mil.h. Arguments stand in the order of
 * ops.def. */
#include "mil/ops.h"

#include <string.h>

enum { MOST_PARAMS = 8 };

/* Emit with one value per parameter; MIL_NONE is "absent". */
static mil_value emit(mil_function *f, mil_opcode opcode, int n, const mil_value *values) {
    mil_value held[MOST_PARAMS];
    mil_arg args[MOST_PARAMS] = {{0}};
    for (int i = 0; i < n && i < MOST_PARAMS; i++) {
        held[i] = values[i];
        if (values[i] != MIL_NONE) args[i] = (mil_arg){1, &held[i]};
    }
    return mil_emit(f, opcode, args, 1, NULL);
}
#define EMIT(f, opcode, ...)                                                                                 \
    emit(f, opcode, (int)(sizeof((mil_value[]){__VA_ARGS__}) / sizeof(mil_value)), (mil_value[]){__VA_ARGS__})

/* n axes as a constant; absent when there are none. */
static mil_value axes_const(mil_function *f, int n, const int32_t *axes) {
    return n > 0 ? mil_const_ints(f, n, axes) : MIL_NONE;
}

/* ---- products ------------------------------------------------------------------------------------------ */

mil_value mil_conv(mil_function *f, mil_value x, mil_value weight) {
    mil_conv_options plain = {.bias = MIL_NONE};
    return mil_conv_with(f, x, weight, &plain);
}

mil_value mil_conv_with(mil_function *f, mil_value x, mil_value weight, const mil_conv_options *options) {
    int n = mil_type_of(f, x)->rank == 3 ? 1 : 2; /* spatial axes */
    int32_t stride[2], dilation[2];
    for (int i = 0; i < 2; i++) {
        stride[i] = options->stride[i] ? options->stride[i] : 1;
        dilation[i] = options->dilation[i] ? options->dilation[i] : 1;
    }
    mil_value strides = mil_const_ints(f, n, stride);
    mil_value pad_type = mil_const_string(f, options->pad_type ? options->pad_type : "valid");
    mil_value pad = mil_const_ints(f, 2 * n, options->pad);
    mil_value dilations = mil_const_ints(f, n, dilation);
    mil_value groups = mil_const_int(f, options->groups ? options->groups : 1);
    return EMIT(f, MIL_OP_CONV, x, weight, options->bias, strides, pad_type, pad, dilations, groups);
}

mil_value mil_matmul(mil_function *f, mil_value x, mil_value y, bool transpose_x, bool transpose_y) {
    mil_value tx = mil_const_bool(f, transpose_x), ty = mil_const_bool(f, transpose_y);
    return EMIT(f, MIL_OP_MATMUL, x, y, tx, ty);
}

mil_value mil_linear(mil_function *f, mil_value x, mil_value weight, mil_value bias) {
    return EMIT(f, MIL_OP_LINEAR, x, weight, bias);
}

/* ---- element by element -------------------------------------------------------------------------------- */

#define BINARY(name, NAME)                                                                                   \
    mil_value mil_##name(mil_function *f, mil_value x, mil_value y) {                                        \
        return EMIT(f, MIL_OP_##NAME, x, y);                                                                 \
    }
BINARY(add, ADD)
BINARY(sub, SUB)
BINARY(mul, MUL)
BINARY(real_div, REAL_DIV)
BINARY(maximum, MAXIMUM)
BINARY(minimum, MINIMUM)
BINARY(pow, POW)
BINARY(equal, EQUAL)
BINARY(greater, GREATER)
BINARY(greater_equal, GREATER_EQUAL)
BINARY(less, LESS)

/* A scalar constant of x's type. */
static mil_value scalar_like(mil_function *f, mil_value x, double y) {
    mil_dtype dtype = mil_type_of(f, x)->dtype;
    return mil_const_float(f, dtype ? dtype : MIL_FP32, y);
}

mil_value mil_add_scalar(mil_function *f, mil_value x, double y) {
    return mil_add(f, x, scalar_like(f, x, y));
}

mil_value mil_mul_scalar(mil_function *f, mil_value x, double y) {
    return mil_mul(f, x, scalar_like(f, x, y));
}

mil_value mil_pow_scalar(mil_function *f, mil_value x, double y) {
    return mil_pow(f, x, scalar_like(f, x, y));
}

mil_value mil_select(mil_function *f, mil_value cond, mil_value a, mil_value b) {
    return EMIT(f, MIL_OP_SELECT, cond, a, b);
}

#define UNARY(name, NAME)                                                                                    \
    mil_value mil_##name(mil_function *f, mil_value x) {                                                     \
        return EMIT(f, MIL_OP_##NAME, x);                                                                    \
    }
UNARY(exp, EXP)
UNARY(sqrt, SQRT)
UNARY(abs, ABS)
UNARY(sin, SIN)
UNARY(cos, COS)
UNARY(sigmoid, SIGMOID)
UNARY(silu, SILU)
UNARY(tanh, TANH)
UNARY(relu, RELU)
UNARY(erf, ERF)
UNARY(identity, IDENTITY)

#define UNARY_EPSILON(name, NAME)                                                                            \
    mil_value mil_##name(mil_function *f, mil_value x, double epsilon) {                                     \
        mil_value eps = scalar_like(f, x, epsilon);                                                          \
        return EMIT(f, MIL_OP_##NAME, x, eps);                                                               \
    }
UNARY_EPSILON(log, LOG)
UNARY_EPSILON(rsqrt, RSQRT)
UNARY_EPSILON(inverse, INVERSE)

mil_value mil_gelu(mil_function *f, mil_value x, const char *mode) {
    mil_value m = mil_const_string(f, mode ? mode : "EXACT");
    return EMIT(f, MIL_OP_GELU, x, m);
}

mil_value mil_cast(mil_function *f, mil_value x, mil_dtype dtype) {
    mil_value name = mil_const_string(f, mil_dtype_name(dtype));
    return EMIT(f, MIL_OP_CAST, x, name);
}

/* ---- over axes ----------------------------------------------------------------------------------------- */

#define REDUCE(name, NAME)                                                                                   \
    mil_value mil_##name(mil_function *f, mil_value x, int n_axes, const int32_t *axes, bool keep_dims) {    \
        mil_value which = axes_const(f, n_axes, axes), keep = mil_const_bool(f, keep_dims);                  \
        return EMIT(f, MIL_OP_##NAME, x, which, keep);                                                       \
    }
REDUCE(reduce_sum, REDUCE_SUM)
REDUCE(reduce_mean, REDUCE_MEAN)
REDUCE(reduce_max, REDUCE_MAX)

mil_value mil_softmax(mil_function *f, mil_value x, int32_t axis) {
    mil_value which = mil_const_int(f, axis);
    return EMIT(f, MIL_OP_SOFTMAX, x, which);
}

mil_value mil_layer_norm(mil_function *f, mil_value x, int n_axes, const int32_t *axes, mil_value gamma,
    mil_value beta, double epsilon) {
    mil_value which = axes_const(f, n_axes, axes), eps = scalar_like(f, x, epsilon);
    return EMIT(f, MIL_OP_LAYER_NORM, x, which, gamma, beta, eps);
}

mil_value mil_scaled_dot_product_attention(
    mil_function *f, mil_value query, mil_value key, mil_value value, mil_value attn_mask) {
    return EMIT(f, MIL_OP_SCALED_DOT_PRODUCT_ATTENTION, query, key, value, attn_mask);
}

void mil_causal_attention(
    mil_function *f, mil_value query, mil_value key, mil_value value, double scale, mil_value results[2]) {
    mil_value factor = scalar_like(f, query, scale);
    const mil_arg args[] = {{1, &query}, {1, &key}, {1, &value}, {1, &factor}};
    mil_emit(f, MIL_OP_CAUSAL_ATTENTION, args, 2, results);
}

mil_value mil_cached_attention(mil_function *f, mil_value query, const mil_value new_keys_values[2],
    const mil_value caches[2], mil_value length, double scale) {
    return EMIT(f, MIL_OP_CACHED_ATTENTION, query, new_keys_values[0], new_keys_values[1], caches[0],
        caches[1], length, scalar_like(f, query, scale));
}

void mil_causal_attention_gradient(mil_function *f, const mil_value in[3], mil_value result,
    mil_value statistics, mil_value d_result, double scale, mil_value d_in[3]) {
    mil_value factor = scalar_like(f, d_result, scale), held[3] = {in[0], in[1], in[2]};
    const mil_arg args[] = {{1, &held[0]}, {1, &held[1]}, {1, &held[2]}, {1, &result}, {1, &statistics},
        {1, &d_result}, {1, &factor}};
    mil_emit(f, MIL_OP_CAUSAL_ATTENTION_GRADIENT, args, 3, d_in);
}

/* ---- moving elements ----------------------------------------------------------------------------------- */

/* `n` int32 as a constant, n being x's rank times `per_axis`. */
static mil_value per_axis(mil_function *f, mil_value x, int n, const int32_t *values) {
    int rank = mil_type_of(f, x)->rank;
    return rank ? mil_const_ints(f, n * rank, values) : MIL_NONE;
}

mil_value mil_reshape(mil_function *f, mil_value x, int rank, const int64_t *dim) {
    int32_t shape[MIL_MAX_RANK];
    for (int i = 0; i < rank && i < MIL_MAX_RANK;
         i++) /* what does not fit becomes a dimension that is refused */
        shape[i] = dim[i] >= INT32_MIN && dim[i] <= INT32_MAX ? (int32_t)dim[i] : INT32_MIN;
    mil_value to = rank <= MIL_MAX_RANK ? mil_const_ints(f, rank, shape) : MIL_NONE;
    return EMIT(f, MIL_OP_RESHAPE, x, to);
}

mil_value mil_transpose(mil_function *f, mil_value x, const int32_t *perm) {
    mil_value order = per_axis(f, x, 1, perm);
    return EMIT(f, MIL_OP_TRANSPOSE, x, order);
}

mil_value mil_expand_dims(mil_function *f, mil_value x, int n_axes, const int32_t *axes) {
    mil_value which = axes_const(f, n_axes, axes);
    return EMIT(f, MIL_OP_EXPAND_DIMS, x, which);
}

mil_value mil_squeeze(mil_function *f, mil_value x, int n_axes, const int32_t *axes) {
    mil_value which = axes_const(f, n_axes, axes);
    return EMIT(f, MIL_OP_SQUEEZE, x, which);
}

mil_value mil_slice_by_size(mil_function *f, mil_value x, const int32_t *begin, const int32_t *size) {
    mil_value from = per_axis(f, x, 1, begin), count = per_axis(f, x, 1, size);
    return EMIT(f, MIL_OP_SLICE_BY_SIZE, x, from, count);
}

mil_value mil_slice_by_index(
    mil_function *f, mil_value x, const int32_t *begin, const int32_t *end, const int32_t *stride) {
    mil_value from = per_axis(f, x, 1, begin), to = per_axis(f, x, 1, end);
    mil_value step = stride ? per_axis(f, x, 1, stride) : MIL_NONE;
    return EMIT(f, MIL_OP_SLICE_BY_INDEX, x, from, to, step);
}

mil_value mil_concat(mil_function *f, int n, const mil_value *values, int32_t axis) {
    mil_value which = mil_const_int(f, axis), interleave = mil_const_bool(f, false);
    mil_arg args[3] = {{n, (mil_value *)values}, {1, &which}, {1, &interleave}};
    return mil_emit(f, MIL_OP_CONCAT, args, 1, NULL);
}

void mil_split(mil_function *f, mil_value x, int n, int32_t axis, mil_value *parts) {
    mil_value count = mil_const_int(f, n), which = mil_const_int(f, axis);
    mil_arg args[4] = {{1, &x}, {1, &count}, {0, NULL}, {1, &which}};
    mil_emit(f, MIL_OP_SPLIT, args, n, parts);
}

mil_value mil_tile(mil_function *f, mil_value x, const int32_t *reps) {
    mil_value times = per_axis(f, x, 1, reps);
    return EMIT(f, MIL_OP_TILE, x, times);
}

mil_value mil_pad(mil_function *f, mil_value x, const int32_t *pad, double value) {
    mil_value amounts = per_axis(f, x, 2, pad), mode = mil_const_string(f, "constant");
    mil_value fill = scalar_like(f, x, value);
    return EMIT(f, MIL_OP_PAD, x, amounts, mode, fill);
}

mil_value mil_gather(mil_function *f, mil_value x, mil_value indices, int32_t axis) {
    mil_value which = mil_const_int(f, axis);
    return EMIT(f, MIL_OP_GATHER, x, indices, which);
}

mil_value mil_scatter(
    mil_function *f, mil_value data, mil_value indices, mil_value updates, int32_t axis, const char *mode) {
    mil_value which = mil_const_int(f, axis), how = mil_const_string(f, mode ? mode : "add");
    return EMIT(f, MIL_OP_SCATTER, data, indices, updates, which, how);
}

/* ---- low precision ------------------------------------------------------------------------------------- */

mil_value mil_quantize(
    mil_function *f, mil_value input, mil_dtype dtype, mil_value scale, mil_value zero_point) {
    mil_value name = mil_const_string(f, mil_dtype_name(dtype));
    return EMIT(f, MIL_OP_QUANTIZE, input, scale, zero_point, MIL_NONE, name);
}

mil_value mil_dequantize(mil_function *f, mil_value input, mil_value scale, mil_value zero_point) {
    return EMIT(f, MIL_OP_DEQUANTIZE, input, scale, zero_point);
}
