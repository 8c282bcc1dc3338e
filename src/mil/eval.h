/* eval.h - what the files of the reference interpreter share. */
#ifndef ANEMONE_MIL_EVAL_H
#define ANEMONE_MIL_EVAL_H

#include "mil/ops.h"

/* One operation, constants included: out[r] for each of its results, data allocated. The report names the
 * operation. Operands must be in c->values already; constants given to MIL_CONST parameters need not be. */
bool mil_eval_op(const mil_eval_context *c, mil_array *out, ane_error *e);

/* A constant in double precision; data is allocated. Fails when its blob was not loaded. */
bool mil_constant_array(const mil_function *f, mil_value v, mil_array *out, ane_error *e);

/* The array given for `param` (the first of a list); NULL when absent. */
const mil_array *mil_eval_arg(const mil_eval_context *c, const char *param);
/* The same for a MIL_CONST parameter, from the constant itself: *out is allocated, or its data NULL when
 * absent. */
bool mil_eval_const_arg(const mil_eval_context *c, const char *param, mil_array *out, ane_error *e);
/* Type and memory of result r. */
bool mil_eval_result(const mil_eval_context *c, int r, mil_array *out, ane_error *e);
/* What a result of type `dtype` keeps of x: fp16 rounding where asked for; integers truncate and saturate. */
double mil_eval_keep(mil_rounding rounding, mil_dtype dtype, double x);
/* mil_eval_keep over a whole array, as the last step of an operation. */
void mil_eval_keep_all(const mil_eval_context *c, mil_array *a);

/* Row-major index of element i, and back. mil_ravel reads the last t->rank entries of an index of `rank`
 * entries and takes dimensions of size 1 at 0: that is broadcasting. */
void mil_unravel(const mil_type *t, int64_t i, int64_t *index);
int64_t mil_ravel(const mil_type *t, const int64_t *index, int rank);

/* The epsilon of a unary operation: given, or its default; 0 where there is none. */
double mil_unary_epsilon(const mil_function *f, const mil_operation *op);

/* An axis parameter made non-negative. */
int mil_eval_axis(const mil_function *f, const mil_operation *op, const char *param, int rank, int otherwise);

/* A convolution's numbers with defaults filled in and `same` resolved; a 1-d one has a height of 1. */
typedef struct mil_conv_shape {
    int64_t batch, in_channels, out_channels, groups;
    int64_t in[2], out[2], kernel[2], stride[2], dilation[2], pad[2]; /* height, width; pad before only */
} mil_conv_shape;
bool mil_conv_shape_of(const mil_function *f, const mil_operation *op, mil_conv_shape *s, ane_error *e);

/* slice_by_index with masks and negative numbers resolved: result[i] = x[begin + i * stride], count of them
 * per axis. */
typedef struct mil_slice {
    int64_t begin[MIL_MAX_RANK], stride[MIL_MAX_RANK], count[MIL_MAX_RANK];
} mil_slice;
bool mil_slice_of(const mil_function *f, const mil_operation *op, mil_slice *s, ane_error *e);

/* pad's amounts before and after every axis (leading axes get 0). */
bool mil_pad_of(
    const mil_function *f, const mil_operation *op, int rank, int64_t *before, int64_t *after, ane_error *e);

#endif
