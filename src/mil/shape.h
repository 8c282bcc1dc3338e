/* shape.h - arguments that say how elements move, read once and resolved: negative axes made positive, masks
 * and defaults applied, ranges checked. Inference, evaluation, gradients and plans share these readers.
 */
#ifndef ANEMONE_MIL_SHAPE_H
#define ANEMONE_MIL_SHAPE_H

#include "mil/ops.h"

/* The type of a parameter's value; NULL when absent. */
const mil_type *mil_arg_type(const mil_function *f, const mil_operation *op, const char *param);
/* Reports when both types are given and their element types differ. */
bool mil_same_dtype(
    const char *a_name, const mil_type *a, const char *b_name, const mil_type *b, ane_error *e);
/* `axis` made non-negative; reports when it is not in [-rank, rank). */
bool mil_resolve_axis(int32_t axis, int rank, const char *param, int32_t *out, ane_error *e);
/* The axis parameter of concat, split, softmax, gather, ... resolved against `rank`. */
bool mil_arg_axis(
    const mil_function *f, const mil_operation *op, int32_t otherwise, int rank, int32_t *out, ane_error *e);

/* conv: everything resolved, for 1 to 3 spatial axes. */
typedef struct mil_conv_geometry {
    int n_spatial;
    int64_t batch, in_channels, out_channels, groups;
    int64_t in[3], kernel[3], out[3];
    int64_t stride[3], dilation[3], pad_before[3], pad_after[3];
} mil_conv_geometry;
bool mil_conv_resolve(const mil_function *f, const mil_operation *op, mil_conv_geometry *g, ane_error *e);

/* transpose: result axis i is axis perm[i] of x. */
bool mil_transpose_resolve(const mil_function *f, const mil_operation *op, int32_t *perm, ane_error *e);

/* slice_by_size and slice_by_index: result element j along axis i of x is element begin[i] + j * stride[i];
 * count[i] of them. squeeze[i]: the axis (count 1) is dropped from the result. */
typedef struct mil_slice_geometry {
    int64_t begin[MIL_MAX_RANK], stride[MIL_MAX_RANK], count[MIL_MAX_RANK];
    bool squeeze[MIL_MAX_RANK];
} mil_slice_geometry;
bool mil_slice_resolve(const mil_function *f, const mil_operation *op, mil_slice_geometry *g, ane_error *e);

/* pad: amounts for every axis of x. */
bool mil_pad_resolve(
    const mil_function *f, const mil_operation *op, int64_t *before, int64_t *after, ane_error *e);

/* gather and scatter: x is seen as [batch.., outer.., n, inner..], indices as [batch.., picks..]. */
typedef struct mil_gather_geometry {
    int32_t axis, batch_dims;
    int64_t batch, outer, n,
        inner;     /* products of the dimensions before batch_dims, up to axis, at it, behind it */
    int64_t picks; /* indices per batch element */
} mil_gather_geometry;
bool mil_gather_resolve(const mil_function *f, const mil_operation *op, mil_gather_geometry *g, ane_error *e);

#endif
