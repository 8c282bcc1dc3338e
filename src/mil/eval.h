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

#endif
