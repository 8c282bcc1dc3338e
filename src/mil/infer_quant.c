/* infer_quant.c - result types of quantize, dequantize and the constexpr operations. */
#include "mil/function.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

/* scale or zero_point: a scalar, or one number per element of x along `axis`. */
static bool per_channel(
    const mil_function *f, const mil_operation *op, const char *param, const mil_type *x, ane_error *e) {
    const mil_type *t = mil_arg_type(f, op, param);
    if (!t || t->rank == 0) return true;
    int32_t axis;
    if (!mil_arg_axis(f, op, 0, x->rank, &axis, e)) return false;
    char found[256];
    if (t->rank != 1 || (t->dim[0] != x->dim[axis] && t->dim[0] != 1))
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "%s is %s; expected a scalar or [%lld], the size of axis %d", param,
            mil_shape_print(t, found, sizeof found), (long long)x->dim[axis], (int)axis);
    return true;
}

bool mil_infer_quantize(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "input"), *zero = mil_arg_type(f, op, "zero_point");
    const char *name = mil_arg_string(f, op, "output_dtype", "");
    mil_type t = *x;
    t.dtype = mil_dtype_from_name(name);
    if (!(MIL_BIT(t.dtype) &
            (MIL_BIT(MIL_INT8) | MIL_BIT(MIL_UINT8) | MIL_BIT(MIL_INT4) | MIL_BIT(MIL_UINT4))))
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, NULL, "output_dtype is \"%s\"; expected int8, uint8, int4 or uint4", name);
    if (!mil_same_dtype("input", x, "scale", mil_arg_type(f, op, "scale"), e) ||
        !mil_same_dtype("output_dtype", &t, "zero_point", zero, e) || !per_channel(f, op, "scale", x, e) ||
        !per_channel(f, op, "zero_point", x, e))
        return false;
    results[0] = t;
    return true;
}

/* scale * (x - zero_point): x's shape, scale's element type. */
static bool affine(
    const mil_function *f, const mil_operation *op, const char *input, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, input);
    if (!mil_same_dtype(input, x, "zero_point", mil_arg_type(f, op, "zero_point"), e) ||
        !per_channel(f, op, "scale", x, e) || !per_channel(f, op, "zero_point", x, e))
        return false;
    results[0] = *x;
    results[0].dtype = mil_arg_type(f, op, "scale")->dtype;
    return true;
}

bool mil_infer_dequantize(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    return affine(f, op, "input", results, e);
}

bool mil_infer_constexpr_affine(
    const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    return affine(f, op, "quantized_data", results, e);
}

/* Bits of an index into n entries; 0 when n is no palette size. */
static int palette_bits(int64_t n) {
    static const int bits[] = {1, 2, 3, 4, 6, 8};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        if (n == 1LL << bits[i]) return bits[i];
    return 0;
}

/* iOS 16: indices are bytes in which the true indices lie packed, lut is the palette, shape is the result's.
 */
static bool packed_lut(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *indices = mil_arg_type(f, op, "indices"), *lut = mil_arg_type(f, op, "lut");
    int32_t shape[MIL_MAX_RANK];
    mil_type t = {.dtype = lut->dtype};
    if (!mil_arg_ints(f, op, "shape", MIL_MAX_RANK, shape, &t.rank, e)) return false;
    for (int i = 0; i < t.rank; i++) t.dim[i] = shape[i];
    if (!mil_type_check(&t, "shape", e)) return false;
    int bits = palette_bits(mil_type_count(lut));
    if (!bits)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "lut has %lld entries; expected 2, 4, 8, 16, 64 or 256",
            (long long)mil_type_count(lut));
    int64_t count = mil_type_count(&t), bytes = count / 8 * bits + (count % 8 * bits + 7) / 8;
    if (indices->dtype != MIL_UINT8 || mil_type_count(indices) != bytes)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "indices holds %lld of %s; expected %lld bytes: %lld indices of %d bits",
            (long long)mil_type_count(indices), mil_dtype_name(indices->dtype), (long long)bytes,
            (long long)count, bits);
    results[0] = t;
    return true;
}

/* iOS 18: indices has the result's shape; lut is [blocks per axis.., palette size, vector length]. */
static bool shaped_lut(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *indices = mil_arg_type(f, op, "indices"), *lut = mil_arg_type(f, op, "lut");
    char is[256], ls[256];
    bool fits = lut->rank == indices->rank + 2 && palette_bits(lut->dim[lut->rank - 2]) > 0 &&
                palette_bits(lut->dim[lut->rank - 2]) <= mil_dtype_bits(indices->dtype);
    for (int i = 0; fits && i < indices->rank; i++) fits = indices->dim[i] % lut->dim[i] == 0;
    if (!fits)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "indices is %s, lut is %s; expected lut [blocks of each axis.., palette size, vector length]",
            mil_shape_print(indices, is, sizeof is), mil_shape_print(lut, ls, sizeof ls));
    results[0] = *indices;
    results[0].dtype = lut->dtype;
    int64_t length = lut->dim[lut->rank - 1];
    int32_t axis = 0;
    if (length == 1) return true;
    if (mil_arg_value(op, "vector_axis") == MIL_NONE)
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "lut holds vectors of %lld, but vector_axis is missing",
            (long long)length);
    if (!mil_resolve_axis(mil_arg_int(f, op, "vector_axis", 0), indices->rank, "vector_axis", &axis, e))
        return false;
    if (__builtin_mul_overflow(results[0].dim[axis], length, &results[0].dim[axis]))
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "axis %d would not fit in 63 bits", (int)axis);
    return true;
}

bool mil_infer_constexpr_lut(
    const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    bool packed = mil_arg_value(op, "shape") != MIL_NONE;
    return packed ? packed_lut(f, op, results, e) : shaped_lut(f, op, results, e);
}

bool mil_infer_constexpr_blockwise(
    const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *data = mil_arg_type(f, op, "data"), *scale = mil_arg_type(f, op, "scale"),
                   *offset = mil_arg_type(f, op, "offset");
    char ds[256], ss[256];
    bool fits = scale->rank == data->rank;
    for (int i = 0; fits && i < data->rank; i++) fits = data->dim[i] % scale->dim[i] == 0;
    if (!fits)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "data is %s, scale is %s; expected each axis of scale to divide data's",
            mil_shape_print(data, ds, sizeof ds), mil_shape_print(scale, ss, sizeof ss));
    if (!mil_same_dtype("data", data, "offset", offset, e)) return false;
    mil_type like = *scale;
    if (offset) like.dtype = offset->dtype;
    if (offset && !mil_type_equal(offset, &like))
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "offset is %s; expected scale's shape, %s",
            mil_shape_print(offset, ds, sizeof ds), mil_shape_print(scale, ss, sizeof ss));
    results[0] = *data;
    results[0].dtype = scale->dtype;
    return true;
}
