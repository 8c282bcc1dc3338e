/* expand.c - composite operations -> simpler ones. */
#include "mil/expand.h"

#include "mil/function.h"
#include "mil/rewrite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What Apple's compiler adds to a score that a bool mask leaves out. */
static const double LEFT_OUT = -3e4;

/* softmax(query key^T / sqrt(E) + mask) value */
static mil_value attention(mil_function *f, const mil_operation *op) {
    mil_value q = mil_arg_value(op, "query"), k = mil_arg_value(op, "key"), v = mil_arg_value(op, "value");
    mil_value mask = mil_arg_value(op, "attn_mask");
    const mil_type *t = mil_type_of(f, q);
    mil_value scores = mil_matmul(f, q, k, false, true); /* [B, .., L, S] */
    scores = mil_mul_scalar(f, scores, 1 / sqrt((double)t->dim[t->rank - 1]));
    if (mil_type_of(f, mask)->dtype == MIL_BOOL) {
        mil_value keep = mil_const_float(f, t->dtype, 0), leave = mil_const_float(f, t->dtype, LEFT_OUT);
        mask = mil_select(f, mask, keep, leave);
    }
    if (mask != MIL_NONE) scores = mil_add(f, scores, mask);
    return mil_matmul(f, mil_softmax(f, scores, -1), v, false, false); /* [B, .., L, EV] */
}

/* gamma or beta with its axes where they are in x, all others 1: then it broadcasts. */
static mil_value spread(mil_function *f, mil_value v, const mil_type *x, int n, const int32_t *axes) {
    int64_t dim[MIL_MAX_RANK];
    for (int i = 0; i < x->rank; i++) dim[i] = 1;
    for (int i = 0; i < n; i++) dim[axes[i]] = x->dim[axes[i]];
    bool trailing = n == 0 || (axes[0] == x->rank - n); /* sorted, so these are the last n axes */
    return trailing ? v : mil_reshape(f, v, x->rank, dim);
}

/* (x - mean) / sqrt(variance + epsilon) * gamma + beta */
static mil_value layer_norm(mil_function *f, const mil_operation *op) {
    mil_value x = mil_arg_value(op, "x"), gamma = mil_arg_value(op, "gamma"),
              beta = mil_arg_value(op, "beta");
    const mil_type *t = mil_type_of(f, x);
    int32_t axes[MIL_MAX_RANK];
    int n = 0;
    if (!mil_arg_axes(f, op, "axes", t->rank, axes, &n, &f->program->error)) return MIL_NONE;
    mil_value centred = mil_sub(f, x, mil_reduce_mean(f, x, n, axes, true));
    mil_value variance = mil_reduce_mean(f, mil_mul(f, centred, centred), n, axes, true);
    mil_value y = mil_mul(f, centred, mil_rsqrt(f, variance, mil_arg_float(f, op, "epsilon", 1e-5)));
    if (gamma != MIL_NONE) y = mil_mul(f, y, spread(f, gamma, t, n, axes));
    if (beta != MIL_NONE) y = mil_add(f, y, spread(f, beta, t, n, axes));
    return y;
}

/* x / 2 * (1 + erf(x / sqrt(2))) */
static mil_value gelu_exact(mil_function *f, mil_value x) {
    mil_value half = mil_mul_scalar(f, x, 0.5);
    mil_value bell = mil_erf(f, mil_mul_scalar(f, x, sqrt(0.5)));
    return mil_mul(f, half, mil_add_scalar(f, bell, 1));
}

/* x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), Hendrycks and Gimpel 2016 */
static mil_value gelu_tanh(mil_function *f, mil_value x) {
    mil_value half = mil_mul_scalar(f, x, 0.5);
    mil_value cube = mil_mul_scalar(f, mil_mul(f, mil_mul(f, x, x), x), 0.044715);
    mil_value inner = mil_mul_scalar(f, mil_add(f, x, cube), sqrt(2 / acos(-1.0)));
    return mil_mul(f, half, mil_add_scalar(f, mil_tanh(f, inner), 1));
}

/* x * sigmoid(1.702 x), the same paper */
static mil_value gelu_sigmoid(mil_function *f, mil_value x) {
    return mil_mul(f, x, mil_sigmoid(f, mil_mul_scalar(f, x, 1.702)));
}

static mil_value gelu(mil_function *f, const mil_operation *op) {
    const char *mode = mil_arg_string(f, op, "mode", "EXACT");
    mil_value x = mil_arg_value(op, "x");
    if (strcmp(mode, "TANH_APPROXIMATION") == 0) return gelu_tanh(f, x);
    return strcmp(mode, "SIGMOID_APPROXIMATION") == 0 ? gelu_sigmoid(f, x) : gelu_exact(f, x);
}

/* x weight^T + bias; a vector is a matrix of one row meanwhile */
static mil_value linear(mil_function *f, const mil_operation *op) {
    mil_value x = mil_arg_value(op, "x"), bias = mil_arg_value(op, "bias");
    bool is_vector = mil_type_of(f, x)->rank == 1;
    const int32_t first[] = {0};
    if (is_vector) x = mil_expand_dims(f, x, 1, first);
    mil_value y = mil_matmul(f, x, mil_arg_value(op, "weight"), false, true); /* [.., O] */
    if (is_vector) y = mil_squeeze(f, y, 1, first);
    return bias == MIL_NONE ? y : mil_add(f, y, bias);
}

/* ---- causal attention ---------------------------------------------------------------------------------- */

/* [S, S]: LEFT_OUT where the column is later than the row. */
static mil_value causal_mask(mil_function *f, mil_dtype dtype, int64_t s) {
    float *mask = calloc((size_t)(s * s), sizeof *mask);
    if (!mask) {
        mil_no_memory(&f->program->error, "causal_attention");
        return MIL_NONE;
    }
    for (int64_t i = 0; i < s; i++)
        for (int64_t j = i + 1; j < s; j++) mask[i * s + j] = (float)LEFT_OUT;
    mil_value v = mil_const_floats(f, mil_tensor(dtype, 2, (const int64_t[]){s, s}), mask);
    free(mask);
    return v;
}

/* (scale q)^T k + mask: [B, K, R, S, S]. The query is scaled, not the scores: it is smaller. */
static mil_value causal_scores(mil_function *f, const mil_operation *op) {
    mil_value q = mil_arg_value(op, "query"), k = mil_arg_value(op, "key");
    const mil_type *t = mil_type_of(f, q);
    mil_dtype dtype = t->dtype;
    int64_t s = t->dim[4];
    q = mil_mul_scalar(f, q, mil_arg_float(f, op, "scale", 1));
    return mil_add(f, mil_matmul(f, q, k, true, false), causal_mask(f, dtype, s));
}

static mil_value reduced(mil_function *f, mil_value x, int32_t axis) {
    return mil_reduce_sum(f, x, 1, &axis, true);
}

static void causal_attention(mil_function *f, const mil_operation *op, mil_value *results) {
    static const int32_t last[] = {4}, swap[] = {0, 1, 2, 4, 3};
    mil_value scores = causal_scores(f, op), highest = mil_reduce_max(f, scores, 1, last, true);
    mil_value sum = reduced(f, mil_exp(f, mil_sub(f, scores, highest)), 4); /* [B, K, R, S, 1] */
    results[0] = mil_matmul(f, mil_arg_value(op, "value"), mil_softmax(f, scores, -1), false, true);
    results[1] = mil_transpose(f, mil_add(f, highest, mil_log(f, sum, 0)), swap);
}

/* p = exp(scores - statistics), dp = d^T v, ds = p (dp - d . result); dq = scale k ds^T, dk = scale q ds, dv = d p,
 * the last two summed over the heads of a group. */
static void causal_attention_gradient(mil_function *f, const mil_operation *op, mil_value *results) {
    static const int32_t swap[] = {0, 1, 2, 4, 3};
    mil_value q = mil_arg_value(op, "query"), k = mil_arg_value(op, "key"), v = mil_arg_value(op, "value"),
              d = mil_arg_value(op, "d_result");
    double scale = mil_arg_float(f, op, "scale", 1);
    mil_value statistics = mil_transpose(f, mil_arg_value(op, "statistics"), swap); /* [B, K, R, S, 1] */
    mil_value p = mil_exp(f, mil_sub(f, causal_scores(f, op), statistics));
    mil_value mean = mil_transpose(f, reduced(f, mil_mul(f, d, mil_arg_value(op, "result")), 3), swap);
    mil_value ds = mil_mul(f, p, mil_sub(f, mil_matmul(f, d, v, true, false), mean));
    ds = mil_mul_scalar(f, ds, scale);
    results[0] = mil_matmul(f, k, ds, false, true);
    results[1] = reduced(f, mil_matmul(f, q, ds, false, false), 2);
    results[2] = reduced(f, mil_matmul(f, d, p, false, false), 2);
}

/* ---- attention behind a cache -------------------------------------------------------------------------- */

/* LEFT_OUT * min(1, max(0, 1 + j - length)): 0 for positions j that are kept, LEFT_OUT from `length` on. In fp16, which the
 * Neural Engine's programs are lowered to, 1 + j is exact up to 2048. [1, 1, 1, 1, T] */
static mil_value length_mask(mil_function *f, mil_value length, mil_dtype dtype, int64_t t) {
    static const int64_t one[] = {1, 1, 1, 1, 1};
    float *places = calloc((size_t)t, sizeof *places);
    if (!places) {
        mil_no_memory(&f->program->error, "cached_attention");
        return MIL_NONE;
    }
    for (int64_t j = 0; j < t; j++) places[j] = (float)(j + 1);
    mil_value behind = mil_const_floats(f, mil_tensor(MIL_FP32, 5, (const int64_t[]){1, 1, 1, 1, t}), places);
    free(places);
    behind = mil_sub(f, behind, mil_cast(f, mil_reshape(f, length, 5, one), MIL_FP32));
    behind = mil_maximum(f, behind, mil_const_float(f, MIL_FP32, 0));
    behind = mil_minimum(f, behind, mil_const_float(f, MIL_FP32, 1));
    behind = mil_mul_scalar(f, behind, LEFT_OUT);
    return dtype == MIL_FP32 ? behind : mil_cast(f, behind, dtype);
}

/* [1, K, T, E] in the type of what is new, a head beside the query heads that read it: [1, K, 1, T, E] */
static mil_value cache_of(mil_function *f, const mil_operation *op, const char *name, mil_dtype dtype) {
    mil_value cache = mil_arg_value(op, name);
    mil_type t = *mil_type_of(f, cache);
    if (t.dtype != dtype) cache = mil_cast(f, cache, dtype);
    return mil_reshape(f, cache, 5, (const int64_t[]){1, t.dim[1], 1, t.dim[2], t.dim[3]});
}

/* One softmax over the scores of kept positions and of the new ones. */
static mil_value cached_attention(mil_function *f, const mil_operation *op) {
    mil_value q = mil_arg_value(op, "query"), v = mil_arg_value(op, "value");
    const mil_type type = *mil_type_of(f, q);
    mil_dtype dtype = type.dtype;
    mil_value old_k = cache_of(f, op, "key_cache", dtype), old_v = cache_of(f, op, "value_cache", dtype);
    int32_t k = (int32_t)type.dim[1], r = (int32_t)type.dim[2], s = (int32_t)type.dim[4],
            t = (int32_t)mil_type_of(f, mil_arg_value(op, "key_cache"))->dim[2];
    q = mil_mul_scalar(f, q, mil_arg_float(f, op, "scale", 1));
    mil_value mask = length_mask(f, mil_arg_value(op, "length"), dtype, t);
    const mil_value scores[] = {mil_add(f, mil_matmul(f, q, old_k, true, true), mask), causal_scores(f, op)};
    mil_value p = mil_softmax(f, mil_concat(f, 2, scores, -1), -1); /* [1, K, R, S, T+S] */
    mil_value old_p =
        mil_slice_by_size(f, p, (const int32_t[]){0, 0, 0, 0, 0}, (const int32_t[]){1, k, r, s, t});
    mil_value new_p =
        mil_slice_by_size(f, p, (const int32_t[]){0, 0, 0, 0, t}, (const int32_t[]){1, k, r, s, s});
    return mil_add(f, mil_matmul(f, old_v, old_p, true, true), mil_matmul(f, v, new_p, false, true));
}

static const struct {
    mil_opcode opcode;
    mil_value (*expand)(mil_function *f, const mil_operation *op);
    void (*expand_all)(mil_function *f, const mil_operation *op, mil_value *results); /* of several results */
} composites[] = {
    {MIL_OP_SCALED_DOT_PRODUCT_ATTENTION, attention, NULL},
    {MIL_OP_CAUSAL_ATTENTION, NULL, causal_attention},
    {MIL_OP_CAUSAL_ATTENTION_GRADIENT, NULL, causal_attention_gradient},
    {MIL_OP_CACHED_ATTENTION, cached_attention, NULL},
    {MIL_OP_LAYER_NORM, layer_norm, NULL},
    {MIL_OP_GELU, gelu, NULL},
    {MIL_OP_LINEAR, linear, NULL},
};
enum { MOST_RESULTS = 3, N_COMPOSITES = sizeof composites / sizeof *composites };

static int composite_of(const mil_operation *op) {
    for (int i = 0; i < N_COMPOSITES; i++)
        if (composites[i].opcode == op->opcode) return i;
    return -1;
}

bool mil_can_expand(const mil_operation *op) {
    return composite_of(op) >= 0;
}

bool mil_expand_op(mil_function *f, const mil_operation *op, mil_value *results, ane_error *e) {
    int which = composite_of(op);
    if (which < 0)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, op->info->name, "the operation is no composite; it cannot be expanded");
    if (composites[which].expand_all)
        composites[which].expand_all(f, op, results);
    else
        results[0] = composites[which].expand(f, op);
    if (results[0] != MIL_NONE) return true;
    if (e && !e->code) *e = f->program->error;
    return false;
}

static bool expand(mil_rewrite *r, int32_t index, ane_error *e) {
    if (!mil_can_expand(&r->from->ops[index])) return mil_rewrite_copy(r, index, e);
    mil_operation op = mil_rewrite_mapped(r, index, e);
    mil_value results[MOST_RESULTS] = {MIL_NONE, MIL_NONE, MIL_NONE};
    if (!op.args || op.n_results > MOST_RESULTS) return false;
    mil_expand_op(r->to, &op, results, NULL); /* replace() takes the report from the program */
    for (int i = 0; i < op.n_results && i < MOST_RESULTS; i++)
        if (!mil_rewrite_replace(r, index, i, results[i], true, e)) return false;
    return true;
}

bool mil_pass_expand(mil_function *f, ane_error *e) {
    return mil_rewrite_function(f, expand, NULL, e);
}
