/* type.c - element types and tensor types. */
#include "anemone/mil.h"
#include "mil/function.h"

#include <stdio.h>
#include <string.h>

typedef struct dtype_row {
    const char *name;
    int bits;
} dtype_row;

static const dtype_row dtypes[MIL_DTYPE_COUNT] = {
    [MIL_VOID] = {"void", 0},
    [MIL_FP16] = {"fp16", 16},
    [MIL_FP32] = {"fp32", 32},
    [MIL_FP64] = {"fp64", 64},
    [MIL_BF16] = {"bf16", 16},
    [MIL_INT4] = {"int4", 4},
    [MIL_INT8] = {"int8", 8},
    [MIL_INT16] = {"int16", 16},
    [MIL_INT32] = {"int32", 32},
    [MIL_INT64] = {"int64", 64},
    [MIL_UINT1] = {"uint1", 1},
    [MIL_UINT2] = {"uint2", 2},
    [MIL_UINT3] = {"uint3", 3},
    [MIL_UINT4] = {"uint4", 4},
    [MIL_UINT6] = {"uint6", 6},
    [MIL_UINT8] = {"uint8", 8},
    [MIL_UINT16] = {"uint16", 16},
    [MIL_UINT32] = {"uint32", 32},
    [MIL_UINT64] = {"uint64", 64},
    [MIL_BOOL] = {"bool", 8},
    [MIL_STRING] = {"string", 0},
};

const char *mil_dtype_name(mil_dtype dtype) {
    return (unsigned)dtype < MIL_DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

mil_dtype mil_dtype_from_name(const char *name) {
    for (int i = 1; i < MIL_DTYPE_COUNT; i++)
        if (strcmp(dtypes[i].name, name) == 0) return (mil_dtype)i;
    return MIL_VOID;
}

int mil_dtype_bits(mil_dtype dtype) {
    return (unsigned)dtype < MIL_DTYPE_COUNT ? dtypes[dtype].bits : 0;
}

bool mil_dtype_is_float(mil_dtype dtype) {
    return (unsigned)dtype < MIL_DTYPE_COUNT && (MIL_BIT(dtype) & MIL_SET_FLOAT);
}

mil_type mil_scalar(mil_dtype dtype) {
    return (mil_type){.dtype = dtype};
}

mil_type mil_tensor(mil_dtype dtype, int rank, const int64_t *dim) {
    mil_type t = {.dtype = dtype, .rank = rank};
    for (int i = 0; i < rank && i < MIL_MAX_RANK; i++) t.dim[i] = dim[i];
    return t;
}

bool mil_type_equal(const mil_type *a, const mil_type *b) {
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank && i < MIL_MAX_RANK; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

int64_t mil_type_count(const mil_type *t) {
    int64_t count = 1;
    for (int i = 0; i < t->rank && i < MIL_MAX_RANK; i++)
        if (t->dim[i] < 0 || __builtin_mul_overflow(count, t->dim[i], &count)) return -1;
    return count;
}

int64_t mil_type_bytes(const mil_type *t) {
    int64_t count = mil_type_count(t), bits;
    if (count < 0 || t->dtype == MIL_STRING) return -1;
    if (__builtin_mul_overflow(count, (int64_t)mil_dtype_bits(t->dtype), &bits)) return -1;
    return bits / 8 + (bits % 8 != 0);
}

const char *mil_shape_print(const mil_type *t, char *text, size_t size) {
    size_t at = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < t->rank && i < MIL_MAX_RANK && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
    if (at < size) snprintf(text + at, size - at, "]");
    return text;
}

const char *mil_type_print(const mil_type *t, char *text, size_t size) {
    char shape[256];
    if (t->rank == 0)
        snprintf(text, size, "%s", mil_dtype_name(t->dtype));
    else
        snprintf(
            text, size, "tensor<%s, %s>", mil_dtype_name(t->dtype), mil_shape_print(t, shape, sizeof shape));
    return text;
}

bool mil_type_check(const mil_type *type, const char *where, ane_error *e) {
    char text[256];
    if (type->dtype <= MIL_VOID || type->dtype >= MIL_DTYPE_COUNT)
        return ane_fail(e, ANE_ERROR_TYPE, where, "element type %d is unknown", (int)type->dtype);
    if (type->rank < 0 || type->rank > MIL_MAX_RANK)
        return ane_fail(
            e, ANE_ERROR_SHAPE, where, "rank %d is not between 0 and %d", (int)type->rank, MIL_MAX_RANK);
    for (int i = 0; i < type->rank; i++)
        if (type->dim[i] < 1)
            return ane_fail(e, ANE_ERROR_SHAPE, where, "dimension %d of %s is %lld; expected at least 1", i,
                mil_type_print(type, text, sizeof text), (long long)type->dim[i]);
    if (type->dtype == MIL_STRING)
        return type->rank == 0 ||
               ane_fail(e, ANE_ERROR_TYPE, where, "a string has rank 0; found rank %d", type->rank);
    if (mil_type_bytes(type) < 0)
        return ane_fail(e, ANE_ERROR_SHAPE, where, "%s is too large: its size does not fit in 63 bits",
            mil_type_print(type, text, sizeof text));
    return true;
}
