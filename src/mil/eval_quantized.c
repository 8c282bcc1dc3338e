/* Low precision: quantize, dequantize and the constexpr_* operations. */
#include "mil/eval.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

#include <math.h>
#include <stdlib.h>

/* Scale and zero point of an operation: scalars, or one element per place of `axis`. */
typedef struct affine {
    mil_array scale, zero_point;
    int64_t inner, size; /* elements behind `axis`, elements of `axis` */
} affine;

static void affine_free(affine *a) {
    free(a->scale.data);
    free(a->zero_point.data);
}

static bool affine_read(const mil_eval_context *c, const mil_type *x, affine *a, ane_error *e) {
    *a = (affine){.inner = 1, .size = 1};
    if (!mil_eval_const_arg(c, "scale", &a->scale, e) ||
        !mil_eval_const_arg(c, "zero_point", &a->zero_point, e)) {
        affine_free(a);
        return false;
    }
    int32_t axis = mil_arg_int(c->f, c->op, "axis", 0);
    axis = axis < 0 ? axis + x->rank : axis;
    if (axis < 0 || axis >= x->rank) return true; /* inference admits this for scalars only */
    a->size = x->dim[axis];
    for (int i = axis + 1; i < x->rank; i++) a->inner *= x->dim[i];
    return true;
}

/* The parameter's element that belongs to element i of the data; `otherwise` when it is absent. */
static double affine_at(const affine *a, const mil_array *param, int64_t i, double otherwise) {
    if (!param->data) return otherwise;
    bool one = mil_type_count(&param->type) == 1;
    return param->data[one ? 0 : i / a->inner % a->size];
}

/* clip(round(input / scale) + zero_point), halves to even. */
bool mil_eval_quantize(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "input");
    affine a;
    if (!affine_read(c, &x->type, &a, e)) return false;
    bool ok = mil_eval_result(c, 0, out, e);
    int64_t n = mil_type_count(&x->type);
    for (int64_t i = 0; ok && i < n; i++)
        out->data[i] =
            nearbyint(x->data[i] / affine_at(&a, &a.scale, i, 1)) + affine_at(&a, &a.zero_point, i, 0);
    affine_free(&a);
    if (ok) mil_eval_keep_all(c, out); /* saturates */
    return ok;
}

/* scale * (x - zero_point) */
static bool dequantize(const mil_eval_context *c, const mil_array *x, mil_array *out, ane_error *e) {
    affine a;
    if (!affine_read(c, &x->type, &a, e)) return false;
    bool ok = mil_eval_result(c, 0, out, e);
    int64_t n = mil_type_count(&x->type);
    for (int64_t i = 0; ok && i < n; i++)
        out->data[i] = affine_at(&a, &a.scale, i, 1) * (x->data[i] - affine_at(&a, &a.zero_point, i, 0));
    affine_free(&a);
    if (ok) mil_eval_keep_all(c, out);
    return ok;
}

bool mil_eval_dequantize(const mil_eval_context *c, mil_array *out, ane_error *e) {
    return dequantize(c, mil_eval_arg(c, "input"), out, e);
}

bool mil_eval_constexpr_affine(const mil_eval_context *c, mil_array *out, ane_error *e) {
    mil_array data;
    if (!mil_eval_const_arg(c, "quantized_data", &data, e)) return false;
    bool ok = dequantize(c, &data, out, e);
    free(data.data);
    return ok;
}

/* ---- constexpr_lut_to_dense ---------------------------------------------------------------------------- */

/* iOS 16: `indices` is bytes that hold packed indices of log2(palettes) bits, lowest bits first. */
static int64_t packed_index(const mil_array *bytes, int bits, int64_t i) {
    int64_t index = 0;
    for (int b = 0; b < bits; b++) {
        int64_t bit = i * bits + b;
        index |= (int64_t)((uint64_t)bytes->data[bit / 8] >> (bit % 8) & 1) << b;
    }
    return index;
}

static void lut_packed(const mil_array *indices, const mil_array *lut, mil_array *out) {
    int64_t n = mil_type_count(&out->type), palettes = mil_type_count(&lut->type);
    int bits = 0;
    while ((INT64_C(1) << bits) < palettes) bits++;
    for (int64_t i = 0; i < n; i++) out->data[i] = lut->data[packed_index(indices, bits, i)];
}

/* iOS 18: lut [tables.., palettes, vector]; each table serves a block of the indices, each index gives
 * `vector` elements along vector_axis. */
static bool lut_blocks(
    const mil_eval_context *c, const mil_array *indices, const mil_array *lut, mil_array *out, ane_error *e) {
    int rank = indices->type.rank, axis;
    if (!mil_resolve_axis(mil_arg_int(c->f, c->op, "vector_axis", 0), rank, "vector_axis", &axis, e))
        return false;
    int64_t palettes = lut->type.dim[rank], vector = lut->type.dim[rank + 1], n = mil_type_count(&out->type);
    int64_t at[MIL_MAX_RANK], table[MIL_MAX_RANK];
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&out->type, i, at);
        int64_t part = 0;
        if (vector > 1) {
            part = at[axis] % vector;
            at[axis] /= vector;
        }
        double index = indices->data[mil_ravel(&indices->type, at, rank)];
        if (index < 0 || index >= (double)palettes)
            return ane_fail(e, ANE_ERROR_ARGUMENT, NULL,
                "an index is %.17g, but each table has %lld elements", index, (long long)palettes);
        for (int a = 0; a < rank; a++) table[a] = at[a] / (indices->type.dim[a] / lut->type.dim[a]);
        table[rank] = (int64_t)index;
        table[rank + 1] = part;
        out->data[i] = lut->data[mil_ravel(&lut->type, table, rank + 2)];
    }
    return true;
}

bool mil_eval_constexpr_lut(const mil_eval_context *c, mil_array *out, ane_error *e) {
    mil_array indices = {0}, lut = {0};
    bool ok = mil_eval_const_arg(c, "indices", &indices, e) && mil_eval_const_arg(c, "lut", &lut, e) &&
              mil_eval_result(c, 0, out, e);
    if (ok && mil_arg_value(c->op, "shape") != MIL_NONE)
        lut_packed(&indices, &lut, out);
    else if (ok)
        ok = lut_blocks(c, &indices, &lut, out, e);
    free(indices.data);
    free(lut.data);
    if (ok) mil_eval_keep_all(c, out);
    return ok;
}

/* ---- constexpr_blockwise_shift_scale ------------------------------------------------------------------- */

/* scale * (data - offset), one scale and offset per block of the data. */
bool mil_eval_constexpr_blockwise(const mil_eval_context *c, mil_array *out, ane_error *e) {
    mil_array data = {0}, scale = {0}, offset = {0};
    bool ok = mil_eval_const_arg(c, "data", &data, e) && mil_eval_const_arg(c, "scale", &scale, e) &&
              mil_eval_const_arg(c, "offset", &offset, e) && mil_eval_result(c, 0, out, e);
    int rank = data.type.rank;
    int64_t n = ok ? mil_type_count(&data.type) : 0, at[MIL_MAX_RANK];
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&data.type, i, at);
        for (int a = 0; a < rank; a++) at[a] /= data.type.dim[a] / scale.type.dim[a];
        int64_t block = mil_ravel(&scale.type, at, rank);
        out->data[i] = scale.data[block] * (data.data[i] - (offset.data ? offset.data[block] : 0));
    }
    free(data.data);
    free(scale.data);
    free(offset.data);
    if (ok) mil_eval_keep_all(c, out);
    return ok;
}
