/* args.c - reading an operation's arguments and constants' elements. */
#include "base/half.h"
#include "mil/function.h"
#include "mil/shape.h"

#include <math.h>
#include <string.h>

/* ---- elements ------------------------------------------------------------------------------------------ */

/* Sub-byte elements lie packed, low bits first, and may cross byte borders (3 and 6 bits). */
static uint32_t bits_at(const uint8_t *data, int64_t index, int bits) {
    uint32_t x = 0;
    for (int i = 0; i < bits; i++) {
        int64_t at = index * bits + i;
        x |= (uint32_t)(data[at / 8] >> (at % 8) & 1) << i;
    }
    return x;
}

static void set_bits(uint8_t *data, int64_t index, int bits, uint32_t x) {
    for (int i = 0; i < bits; i++) {
        int64_t at = index * bits + i;
        uint8_t mask = (uint8_t)(1u << at % 8);
        data[at / 8] = (uint8_t)(x >> i & 1 ? data[at / 8] | mask : data[at / 8] & ~mask);
    }
}

#define LOAD(ctype)                                                                                          \
    {                                                                                                        \
        ctype x;                                                                                             \
        memcpy(&x, (const char *)data + index * (int64_t)sizeof x, sizeof x);                                \
        return (double)x;                                                                                    \
    }

double mil_constant_at(const mil_type *type, const void *data, int64_t index) {
    int bits = mil_dtype_bits(type->dtype);
    uint16_t half;
    switch (type->dtype) {
    case MIL_FP16: memcpy(&half, (const char *)data + 2 * index, 2); return ane_f32_from_f16(half);
    case MIL_BF16: memcpy(&half, (const char *)data + 2 * index, 2); return ane_f32_from_bf16(half);
    case MIL_FP32: LOAD(float)
    case MIL_FP64: LOAD(double)
    case MIL_INT8: LOAD(int8_t)
    case MIL_INT16: LOAD(int16_t)
    case MIL_INT32: LOAD(int32_t)
    case MIL_INT64: LOAD(int64_t)
    case MIL_UINT8: LOAD(uint8_t)
    case MIL_UINT16: LOAD(uint16_t)
    case MIL_UINT32: LOAD(uint32_t)
    case MIL_UINT64: LOAD(uint64_t)
    case MIL_BOOL: return ((const uint8_t *)data)[index] != 0;
    case MIL_INT4: {
        uint32_t x = bits_at(data, index, bits);
        return x & 8 ? (double)x - 16 : x;
    }
    case MIL_UINT1:
    case MIL_UINT2:
    case MIL_UINT3:
    case MIL_UINT4:
    case MIL_UINT6: return bits_at(data, index, bits);
    default: return 0;
    }
}

/* x rounded to nearest, ties to even, and kept inside what the integer type holds; NaN is 0. */
static double clamp(double x, double least, double most) {
    if (isnan(x)) return 0;
    x = nearbyint(x);
    return x < least ? least : x > most ? most : x;
}

#define STORE(ctype, value)                                                                                  \
    {                                                                                                        \
        ctype y = (ctype)(value);                                                                            \
        memcpy((char *)data + index * (int64_t)sizeof y, &y, sizeof y);                                      \
        return;                                                                                              \
    }

void mil_constant_set(const mil_type *type, void *data, int64_t index, double x) {
    int bits = mil_dtype_bits(type->dtype);
    /* The largest doubles that the 64-bit types hold. */
    const double most_i64 = 9223372036854774784.0, most_u64 = 18446744073709549568.0;
    switch (type->dtype) {
    case MIL_FP16: STORE(uint16_t, ane_f16_from_f64(x))
    case MIL_BF16: STORE(uint16_t, ane_bf16_from_f32((float)x))
    case MIL_FP32: STORE(float, x)
    case MIL_FP64: STORE(double, x)
    case MIL_INT8: STORE(int8_t, clamp(x, INT8_MIN, INT8_MAX))
    case MIL_INT16: STORE(int16_t, clamp(x, INT16_MIN, INT16_MAX))
    case MIL_INT32: STORE(int32_t, clamp(x, INT32_MIN, INT32_MAX))
    case MIL_INT64: STORE(int64_t, clamp(x, -9223372036854775808.0, most_i64))
    case MIL_UINT8: STORE(uint8_t, clamp(x, 0, UINT8_MAX))
    case MIL_UINT16: STORE(uint16_t, clamp(x, 0, UINT16_MAX))
    case MIL_UINT32: STORE(uint32_t, clamp(x, 0, UINT32_MAX))
    case MIL_UINT64: STORE(uint64_t, clamp(x, 0, most_u64))
    case MIL_BOOL: STORE(uint8_t, x != 0)
    case MIL_INT4: set_bits(data, index, bits, (uint32_t)(int32_t)clamp(x, -8, 7) & 15u); return;
    case MIL_UINT1:
    case MIL_UINT2:
    case MIL_UINT3:
    case MIL_UINT4:
    case MIL_UINT6: set_bits(data, index, bits, (uint32_t)clamp(x, 0, (1 << bits) - 1)); return;
    default: return;
    }
}

static int32_t to_int(double x) {
    return (int32_t)clamp(x, INT32_MIN, INT32_MAX);
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

mil_value mil_arg_value(const mil_operation *op, const char *param) {
    int at = mil_param_index(op->info, param);
    return at >= 0 && op->args[at].n > 0 ? op->args[at].values[0] : MIL_NONE;
}

/* The constant behind a parameter and its type; NULL when it is absent, not constant, or only in a blob. */
static const void *constant_of(
    const mil_function *f, const mil_operation *op, const char *param, mil_type *type) {
    mil_value v = mil_arg_value(op, param);
    if (v == MIL_NONE || !f->values[v].constant) return NULL;
    *type = f->values[v].type;
    return f->values[v].constant->data;
}

bool mil_arg_ints(const mil_function *f, const mil_operation *op, const char *param, int max, int32_t *out,
    int *n, ane_error *e) {
    mil_type type = {0};
    const void *data = constant_of(f, op, param, &type);
    if (!data)
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "%s must be a constant whose value is in memory", param);
    int64_t count = mil_type_count(&type);
    if (count < 0 || count > max)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "%s has %lld elements; expected at most %d", param,
            (long long)count, max);
    for (int i = 0; i < count; i++) out[i] = to_int(mil_constant_at(&type, data, i));
    *n = (int)count;
    return true;
}

double mil_arg_float(const mil_function *f, const mil_operation *op, const char *param, double otherwise) {
    mil_type type;
    const void *data = constant_of(f, op, param, &type);
    return data ? mil_constant_at(&type, data, 0) : otherwise;
}

int32_t mil_arg_int(const mil_function *f, const mil_operation *op, const char *param, int32_t otherwise) {
    return to_int(mil_arg_float(f, op, param, otherwise));
}

bool mil_arg_bool(const mil_function *f, const mil_operation *op, const char *param, bool otherwise) {
    return mil_arg_float(f, op, param, otherwise) != 0;
}

const char *mil_arg_string(
    const mil_function *f, const mil_operation *op, const char *param, const char *otherwise) {
    mil_type type;
    const void *data = constant_of(f, op, param, &type);
    return data && type.dtype == MIL_STRING ? data : otherwise;
}

bool mil_resolve_axis(int32_t axis, int rank, const char *param, int32_t *out, ane_error *e) {
    if (axis < -rank || axis >= rank)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "%s is %d; expected between %d and %d", param, (int)axis,
            -rank, rank - 1);
    *out = axis < 0 ? axis + rank : axis;
    return true;
}

bool mil_arg_axis(
    const mil_function *f, const mil_operation *op, int32_t otherwise, int rank, int32_t *out, ane_error *e) {
    return mil_resolve_axis(mil_arg_int(f, op, "axis", otherwise), rank, "axis", out, e);
}

bool mil_arg_axes(const mil_function *f, const mil_operation *op, const char *param, int rank, int32_t *axes,
    int *n, ane_error *e) {
    bool named[MIL_MAX_RANK] = {false};
    int given = 0;
    int32_t raw[MIL_MAX_RANK] = {0};
    if (mil_arg_value(op, param) != MIL_NONE && !mil_arg_ints(f, op, param, MIL_MAX_RANK, raw, &given, e))
        return false;
    for (int i = 0; i < given; i++) {
        int32_t axis;
        if (!mil_resolve_axis(raw[i], rank, param, &axis, e)) return false;
        if (named[axis])
            return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "%s names axis %d twice", param, (int)axis);
        named[axis] = true;
    }
    bool all = mil_arg_value(op, param) == MIL_NONE;
    *n = 0;
    for (int i = 0; i < rank; i++)
        if (all || named[i]) axes[(*n)++] = i;
    return true;
}

bool mil_broadcast(const mil_type *a, const mil_type *b, mil_type *out, ane_error *e) {
    mil_type t = {.dtype = a->dtype, .rank = a->rank > b->rank ? a->rank : b->rank};
    for (int i = 1; i <= t.rank; i++) { /* from the last axis */
        int64_t m = i <= a->rank ? a->dim[a->rank - i] : 1, n = i <= b->rank ? b->dim[b->rank - i] : 1;
        if (m != n && m != 1 && n != 1) {
            char first[256], second[256];
            return ane_fail(e, ANE_ERROR_SHAPE, NULL,
                "shapes %s and %s do not broadcast: axis %d from the end is %lld in one, %lld in the other",
                mil_shape_print(a, first, sizeof first), mil_shape_print(b, second, sizeof second), i,
                (long long)m, (long long)n);
        }
        t.dim[t.rank - i] = m == 1 ? n : m;
    }
    *out = t;
    return true;
}
