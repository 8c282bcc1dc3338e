/* infer_product.c - result types of conv, matmul, linear and attention. */
#include "mil/function.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

#include <stdio.h>
#include <string.h>

/* ---- conv ---------------------------------------------------------------------------------------------- */

/* strides or dilations: one per spatial axis, 1 when absent. */
static bool spatial_ints(
    const mil_function *f, const mil_operation *op, const char *param, int n, int64_t *out, ane_error *e) {
    int32_t raw[3];
    int found = 0;
    bool given = mil_arg_value(op, param) != MIL_NONE;
    if (given && !mil_arg_ints(f, op, param, 3, raw, &found, e)) return false;
    if (given && found != n)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "%s has %d elements; expected %d, one per spatial axis",
            param, found, n);
    for (int i = 0; i < n; i++) {
        out[i] = given ? raw[i] : 1;
        if (out[i] < 1)
            return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "%s[%d] is %lld; expected at least 1", param, i,
                (long long)out[i]);
    }
    return true;
}

/* "custom": before and after for every axis. */
static bool custom_pad(const mil_function *f, const mil_operation *op, mil_conv_geometry *g, ane_error *e) {
    int32_t raw[6];
    int found = 0;
    if (!mil_arg_ints(f, op, "pad", 6, raw, &found, e)) return false;
    if (found != 2 * g->n_spatial)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "pad has %d elements; expected %d, two per spatial axis",
            found, 2 * g->n_spatial);
    for (int i = 0; i < found; i++) {
        if (raw[i] < 0)
            return ane_fail(
                e, ANE_ERROR_ARGUMENT, NULL, "pad[%d] is %d; expected at least 0", i, (int)raw[i]);
        *(i % 2 ? &g->pad_after[i / 2] : &g->pad_before[i / 2]) = raw[i];
    }
    return true;
}

/* "same": as much as makes out = ceil(in / stride), the odd one behind ("same_lower": before). */
static void same_pad(mil_conv_geometry *g, bool lower) {
    for (int i = 0; i < g->n_spatial; i++) {
        int64_t out = (g->in[i] + g->stride[i] - 1) / g->stride[i];
        int64_t total = (out - 1) * g->stride[i] + (g->kernel[i] - 1) * g->dilation[i] + 1 - g->in[i];
        if (total < 0) total = 0;
        g->pad_before[i] = lower ? total - total / 2 : total / 2;
        g->pad_after[i] = total - g->pad_before[i];
    }
}

static bool conv_pad(const mil_function *f, const mil_operation *op, mil_conv_geometry *g, ane_error *e) {
    const char *type = mil_arg_string(f, op, "pad_type", "valid");
    if (strcmp(type, "valid") == 0) return true;
    if (strcmp(type, "custom") == 0) return custom_pad(f, op, g, e);
    if (strcmp(type, "same") != 0 && strcmp(type, "same_lower") != 0)
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL,
            "pad_type \"%s\" is unknown; expected valid, custom, same or same_lower", type);
    same_pad(g, strcmp(type, "same_lower") == 0);
    return true;
}

static bool conv_channels(
    const mil_function *f, const mil_operation *op, mil_conv_geometry *g, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x"), *w = mil_arg_type(f, op, "weight");
    char xs[256], ws[256];
    mil_shape_print(x, xs, sizeof xs);
    mil_shape_print(w, ws, sizeof ws);
    if (x->rank < 3 || x->rank > 5 || w->rank != x->rank)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "x is %s, weight is %s; expected equal ranks of 3, 4 or 5: [N, I, H, W] and [O, I/groups, kh, "
            "kw]",
            xs, ws);
    g->groups = mil_arg_int(f, op, "groups", 1);
    g->in_channels = x->dim[1];
    g->out_channels = w->dim[0];
    if (g->groups < 1 || g->in_channels % g->groups || g->out_channels % g->groups)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "groups is %lld; it must divide %lld input and %lld output channels", (long long)g->groups,
            (long long)g->in_channels, (long long)g->out_channels);
    if (w->dim[1] != g->in_channels / g->groups)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "input channels differ: x is %s, weight is %s, groups %lld; expected %lld in weight", xs, ws,
            (long long)g->groups, (long long)(g->in_channels / g->groups));
    g->batch = x->dim[0];
    g->n_spatial = x->rank - 2;
    for (int i = 0; i < g->n_spatial; i++) {
        g->in[i] = x->dim[2 + i];
        g->kernel[i] = w->dim[2 + i];
    }
    return true;
}

bool mil_conv_resolve(const mil_function *f, const mil_operation *op, mil_conv_geometry *g, ane_error *e) {
    *g = (mil_conv_geometry){0};
    if (!conv_channels(f, op, g, e) || !spatial_ints(f, op, "strides", g->n_spatial, g->stride, e) ||
        !spatial_ints(f, op, "dilations", g->n_spatial, g->dilation, e))
        return false;
    for (int i = 0; i < g->n_spatial; i++) { /* so that nothing below overflows */
        if (g->in[i] > INT32_MAX || g->kernel[i] > INT32_MAX)
            return ane_fail(e, ANE_ERROR_SHAPE, NULL, "a spatial dimension is larger than 2^31 - 1");
    }
    if (!conv_pad(f, op, g, e)) return false;
    for (int i = 0; i < g->n_spatial; i++) {
        int64_t span = (g->kernel[i] - 1) * g->dilation[i] + 1,
                room = g->in[i] + g->pad_before[i] + g->pad_after[i];
        if (span > room)
            return ane_fail(e, ANE_ERROR_SHAPE, NULL,
                "the kernel spans %lld along spatial axis %d, but the padded input has %lld", (long long)span,
                i, (long long)room);
        g->out[i] = (room - span) / g->stride[i] + 1;
    }
    return true;
}

/* bias [O] or absent. */
static bool check_bias(const mil_function *f, const mil_operation *op, int64_t out, ane_error *e) {
    const mil_type *bias = mil_arg_type(f, op, "bias");
    char found[256];
    if (!mil_same_dtype("x", mil_arg_type(f, op, "x"), "bias", bias, e)) return false;
    if (bias && (bias->rank != 1 || bias->dim[0] != out))
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "bias is %s; expected [%lld]",
            mil_shape_print(bias, found, sizeof found), (long long)out);
    return true;
}

bool mil_infer_conv(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    mil_conv_geometry g;
    if (!mil_same_dtype("x", x, "weight", mil_arg_type(f, op, "weight"), e) ||
        !mil_conv_resolve(f, op, &g, e) || !check_bias(f, op, g.out_channels, e))
        return false;
    results[0] = *x; /* [N, O, H', W'] */
    results[0].dim[1] = g.out_channels;
    for (int i = 0; i < g.n_spatial; i++) results[0].dim[2 + i] = g.out[i];
    return true;
}

/* ---- matmul, linear ------------------------------------------------------------------------------------ */

/* "[.., 4, 64]": the two last dimensions as the product sees them. */
static const char *matrix_print(int64_t rows, int64_t columns, char *text, size_t size) {
    snprintf(text, size, "[.., %lld, %lld]", (long long)rows, (long long)columns);
    return text;
}

/* The dimensions in front of the last two. */
static mil_type leading(const mil_type *t) {
    return mil_tensor(t->dtype, t->rank - 2, t->dim);
}

bool mil_infer_matmul(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x"), *y = mil_arg_type(f, op, "y");
    char xs[256], ys[256];
    if (!mil_same_dtype("x", x, "y", y, e)) return false;
    if (x->rank < 2 || y->rank < 2)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "x is %s, y is %s; expected rank 2 or more",
            mil_shape_print(x, xs, sizeof xs), mil_shape_print(y, ys, sizeof ys));
    bool tx = mil_arg_bool(f, op, "transpose_x", false), ty = mil_arg_bool(f, op, "transpose_y", false);
    int64_t m = x->dim[x->rank - 2 + tx], k = x->dim[x->rank - 1 - tx];
    int64_t rows = y->dim[y->rank - 2 + ty], n = y->dim[y->rank - 1 - ty];
    if (k != rows)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "inner dimensions differ: x is %s%s, y is %s%s; expected %lld rows in y",
            matrix_print(m, k, xs, sizeof xs), tx ? " (transposed)" : "",
            matrix_print(rows, n, ys, sizeof ys), ty ? " (transposed)" : "", (long long)k);
    mil_type a = leading(x), b = leading(y);
    if (!mil_broadcast(&a, &b, &results[0], e)) return false;
    results[0].dim[results[0].rank++] = m;
    results[0].dim[results[0].rank++] = n;
    return true;
}

bool mil_infer_linear(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x"), *w = mil_arg_type(f, op, "weight");
    char xs[256], ws[256];
    if (!mil_same_dtype("x", x, "weight", w, e)) return false;
    if (x->rank < 1 || w->rank != 2 || x->dim[x->rank - 1] != w->dim[1])
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "x is %s, weight is %s; expected x [.., I] and weight [O, I]", mil_shape_print(x, xs, sizeof xs),
            mil_shape_print(w, ws, sizeof ws));
    if (!check_bias(f, op, w->dim[0], e)) return false;
    results[0] = *x; /* [.., O] */
    results[0].dim[x->rank - 1] = w->dim[0];
    return true;
}

/* ---- attention ----------------------------------------------------------------------------------------- */

static bool attention_mask(const mil_type *mask, const mil_type *query, int64_t n_keys, ane_error *e) {
    if (!mask) return true;
    if (mask->dtype != MIL_BOOL && !mil_same_dtype("query", query, "attn_mask", mask, e)) return false;
    mil_type scores = *query, fit; /* [B, .., L, S] */
    scores.dim[query->rank - 1] = n_keys;
    char found[256], wanted[256];
    if (!mil_broadcast(&scores, mask, &fit, NULL) || !mil_type_equal(&fit, &scores))
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "attn_mask is %s; expected what broadcasts to the scores, %s",
            mil_shape_print(mask, found, sizeof found), mil_shape_print(&scores, wanted, sizeof wanted));
    return true;
}

bool mil_infer_attention(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *q = mil_arg_type(f, op, "query"), *k = mil_arg_type(f, op, "key"),
                   *v = mil_arg_type(f, op, "value");
    if (!mil_same_dtype("query", q, "key", k, e) || !mil_same_dtype("query", q, "value", v, e)) return false;
    int r = q->rank;
    bool fits = r >= 3 && k->rank == r && v->rank == r && k->dim[r - 1] == q->dim[r - 1] &&
                v->dim[r - 2] == k->dim[r - 2];
    for (int i = 0; fits && i < r - 2; i++) fits = q->dim[i] == k->dim[i] && q->dim[i] == v->dim[i];
    if (!fits) {
        char qs[128], ks[128], vs[128];
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "query is %s, key is %s, value is %s; expected [B, .., L, E], [B, .., S, E] and [B, .., S, EV]",
            mil_shape_print(q, qs, sizeof qs), mil_shape_print(k, ks, sizeof ks),
            mil_shape_print(v, vs, sizeof vs));
    }
    if (!attention_mask(mil_arg_type(f, op, "attn_mask"), q, k->dim[r - 2], e)) return false;
    results[0] = *q; /* [B, .., L, EV] */
    results[0].dim[r - 1] = v->dim[r - 1];
    return true;
}
