/* infer_attention.c - result types of causal_attention, its gradient, and cached_attention. */
#include "mil/function.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

/* query [B, K, R, E, S]; key and value [B, K, 1, E, S] */
static bool check_operands(const mil_function *f, const mil_operation *op, ane_error *e) {
    const mil_type *q = mil_arg_type(f, op, "query"), *k = mil_arg_type(f, op, "key"),
                   *v = mil_arg_type(f, op, "value"), *scale = mil_arg_type(f, op, "scale");
    if (!mil_same_dtype("query", q, "key", k, e) || !mil_same_dtype("query", q, "value", v, e)) return false;
    bool fits = q->rank == 5 && k->rank == 5 && v->rank == 5 && k->dim[2] == 1;
    for (int i = 0; fits && i < 5; i++) fits = k->dim[i] == v->dim[i] && (i == 2 || q->dim[i] == k->dim[i]);
    char qs[128], ks[128], vs[128];
    if (!fits)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL,
            "query is %s, key is %s, value is %s; expected [B, K, R, E, S] and twice [B, K, 1, E, S]",
            mil_shape_print(q, qs, sizeof qs), mil_shape_print(k, ks, sizeof ks),
            mil_shape_print(v, vs, sizeof vs));
    return mil_type_count(scale) == 1 ||
           ane_fail(e, ANE_ERROR_SHAPE, NULL, "scale is %s; expected one number",
               mil_shape_print(scale, qs, sizeof qs));
}

static bool check_results(const mil_operation *op, int n, ane_error *e) {
    return op->n_results == n || ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "%s has %d results; found %d",
                                     op->info->name, n, (int)op->n_results);
}

static mil_type statistics_of(const mil_type *query) {
    mil_type t = *query;
    t.dim[3] = 1;
    return t;
}

bool mil_infer_causal_attention(
    const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    if (!check_results(op, 2, e) || !check_operands(f, op, e)) return false;
    results[0] = *mil_arg_type(f, op, "query");
    results[1] = statistics_of(&results[0]);
    return true;
}

/* [1, K, T, E] */
static bool check_cache(const mil_function *f, const mil_operation *op, const char *name, ane_error *e) {
    const mil_type *t = mil_arg_type(f, op, name), *k = mil_arg_type(f, op, "key"),
                   *other = mil_arg_type(f, op, "key_cache");
    char found[128], key[128];
    bool fits = t->rank == 4 && t->dim[0] == 1 && k->dim[0] == 1 && t->dim[1] == k->dim[1] &&
                t->dim[3] == k->dim[3] && mil_type_equal(t, other);
    return fits || ane_fail(e, ANE_ERROR_SHAPE, NULL,
                       "%s is %s and key is %s; expected two caches [1, K, T, E] of one type behind "
                       "a key [1, K, 1, E, S]",
                       name, mil_shape_print(t, found, sizeof found), mil_shape_print(k, key, sizeof key));
}

bool mil_infer_cached_attention(
    const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    char text[128];
    if (!check_operands(f, op, e) || !check_cache(f, op, "key_cache", e) ||
        !check_cache(f, op, "value_cache", e))
        return false;
    if (mil_type_count(mil_arg_type(f, op, "length")) != 1)
        return ane_fail(e, ANE_ERROR_SHAPE, NULL, "length is %s; expected one number",
            mil_shape_print(mil_arg_type(f, op, "length"), text, sizeof text));
    results[0] = *mil_arg_type(f, op, "query");
    return true;
}

bool mil_infer_causal_attention_gradient(
    const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    if (!check_results(op, 3, e) || !check_operands(f, op, e)) return false;
    const mil_type *q = mil_arg_type(f, op, "query");
    const mil_type wanted[] = {*q, statistics_of(q), *q};
    static const char *const names[] = {"result", "statistics", "d_result"};
    for (int i = 0; i < 3; i++) {
        const mil_type *t = mil_arg_type(f, op, names[i]);
        char found[128], expected[128];
        if (!mil_same_dtype("query", q, names[i], t, e)) return false;
        if (!mil_type_equal(t, &wanted[i]))
            return ane_fail(e, ANE_ERROR_SHAPE, NULL, "%s is %s; expected %s", names[i],
                mil_shape_print(t, found, sizeof found),
                mil_shape_print(&wanted[i], expected, sizeof expected));
    }
    results[0] = *q;
    results[1] = results[2] = *mil_arg_type(f, op, "key");
    return true;
}
