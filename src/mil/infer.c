/* infer.c - checking arguments against the table, and result types of the element-wise and reducing
 * operations. */
#include "mil/function.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

#include <stdio.h>
#include <string.h>

const char *mil_op_where(const mil_function *f, const mil_operation *op, char *text, size_t size) {
    const char *name = op->label;
    if (!name && op->n_results > 0 && op->results && op->results[0] >= 0 && op->results[0] < f->n_values)
        name = f->values[op->results[0]].name;
    snprintf(text, size, name ? "%s \"%s\"" : "%s", op->info->name, name);
    return text;
}

/* ---- arguments against the row ------------------------------------------------------------------------- */

/* "fp16, fp32 or int8" for a set of element types. */
static const char *types_print(uint32_t set, char *text, size_t size) {
    size_t at = 0;
    text[0] = 0;
    for (int i = 1; i < MIL_DTYPE_COUNT && at < size; i++)
        if (set & MIL_BIT(i))
            at +=
                (size_t)snprintf(text + at, size - at, "%s%s", at ? ", " : "", mil_dtype_name((mil_dtype)i));
    return text;
}

static bool check_arg(const mil_function *f, const mil_param_info *param, const mil_arg *arg, ane_error *e) {
    if (arg->n == 0)
        return !param->required || ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "%s is missing", param->name);
    if (arg->n > 1 && param->kind != MIL_LIST)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, NULL, "%s takes one value; found %d", param->name, (int)arg->n);
    for (int i = 0; i < arg->n; i++) {
        mil_value v = arg->values[i];
        if (v < 0 || v >= f->n_values)
            return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "%s is given value %d, which does not exist",
                param->name, (int)v);
        const mil_value_info *info = &f->values[v];
        char allowed[256];
        if (!(MIL_BIT(info->type.dtype) & param->types))
            return ane_fail(e, ANE_ERROR_TYPE, NULL, "%s (\"%s\") is %s; expected one of %s", param->name,
                info->name, mil_dtype_name(info->type.dtype),
                types_print(param->types, allowed, sizeof allowed));
        if (param->kind == MIL_CONST && !info->constant)
            return ane_fail(e, ANE_ERROR_ARGUMENT, NULL,
                "%s (\"%s\") must be a constant; it is computed at run time", param->name, info->name);
    }
    return true;
}

bool mil_op_infer(const mil_function *f, const mil_operation *op, mil_type *types, ane_error *e) {
    const mil_op_info *info = op->info;
    if (!info->infer)
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "%s is not made from arguments; use %s", info->name,
            info->opcode == MIL_OP_CONST ? "mil_const_*" : "mil_param");
    for (int i = 0; i < info->n_params; i++)
        if (!check_arg(f, &info->params[i], &op->args[i], e)) return false;
    bool several = op->opcode == MIL_OP_SPLIT || op->opcode == MIL_OP_CAUSAL_ATTENTION ||
                   op->opcode == MIL_OP_CAUSAL_ATTENTION_GRADIENT; /* their inference knows how many */
    if (op->n_results != 1 && !several)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, NULL, "%s has one result; found %d", info->name, (int)op->n_results);
    if (!info->infer(f, op, types, e)) return false;
    for (int i = 0; i < op->n_results; i++)
        if (!mil_type_check(&types[i], NULL, e)) return false;
    return true;
}

/* ---- element by element -------------------------------------------------------------------------------- */

const mil_type *mil_arg_type(const mil_function *f, const mil_operation *op, const char *param) {
    mil_value v = mil_arg_value(op, param);
    return v == MIL_NONE ? NULL : &f->values[v].type;
}

bool mil_same_dtype(
    const char *a_name, const mil_type *a, const char *b_name, const mil_type *b, ane_error *e) {
    if (!a || !b || a->dtype == b->dtype) return true;
    ane_fail(e, ANE_ERROR_TYPE, NULL, "element types differ: %s is %s, %s is %s", a_name,
        mil_dtype_name(a->dtype), b_name, mil_dtype_name(b->dtype));
    return ane_hint(e, "Insert a cast.");
}

bool mil_infer_unary(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    (void)e;
    results[0] = f->values[op->args[0].values[0]].type;
    return true;
}

bool mil_infer_cast(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const char *name = mil_arg_string(f, op, "dtype", "");
    mil_dtype dtype = mil_dtype_from_name(name);
    if (!(MIL_BIT(dtype) & MIL_SET_ANY))
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "dtype \"%s\" is no element type to cast to", name);
    results[0] = *mil_arg_type(f, op, "x");
    results[0].dtype = dtype;
    return true;
}

bool mil_infer_binary(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x"), *y = mil_arg_type(f, op, "y");
    if (!mil_same_dtype("x", x, "y", y, e) || !mil_broadcast(x, y, &results[0], e)) return false;
    if (op->info->traits & MIL_TRAIT_COMPARE) results[0].dtype = MIL_BOOL;
    return true;
}

bool mil_infer_select(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *a = mil_arg_type(f, op, "a"), *b = mil_arg_type(f, op, "b");
    return mil_same_dtype("a", a, "b", b, e) && mil_broadcast(a, b, &results[0], e) &&
           mil_broadcast(&results[0], mil_arg_type(f, op, "cond"), &results[0], e);
}

bool mil_infer_gelu(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    static const char *const modes[] = {"EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"};
    const char *mode = mil_arg_string(f, op, "mode", "EXACT");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(mode, modes[i]) == 0) return mil_infer_unary(f, op, results, e);
    return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "mode \"%s\" is unknown; expected %s, %s or %s", mode,
        modes[0], modes[1], modes[2]);
}

/* ---- over axes ----------------------------------------------------------------------------------------- */

bool mil_infer_reduce(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    int32_t axes[MIL_MAX_RANK];
    int n;
    if (!mil_arg_axes(f, op, "axes", x->rank, axes, &n, e)) return false;
    bool keep = mil_arg_bool(f, op, "keep_dims", false);
    mil_type t = {.dtype = x->dtype};
    for (int i = 0, next = 0; i < x->rank; i++) {
        bool reduced = next < n && axes[next] == i;
        next += reduced;
        if (!reduced || keep) t.dim[t.rank++] = reduced ? 1 : x->dim[i];
    }
    results[0] = t;
    return true;
}

bool mil_infer_softmax(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    int32_t axis;
    return mil_arg_axis(f, op, -1, mil_arg_type(f, op, "x")->rank, &axis, e) &&
           mil_infer_unary(f, op, results, e);
}

bool mil_infer_layer_norm(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e) {
    const mil_type *x = mil_arg_type(f, op, "x");
    int32_t axes[MIL_MAX_RANK];
    mil_type expected = {.dtype = x->dtype};
    if (!mil_arg_axes(f, op, "axes", x->rank, axes, &expected.rank, e)) return false;
    for (int i = 0; i < expected.rank; i++) expected.dim[i] = x->dim[axes[i]];
    static const char *const names[] = {"gamma", "beta"};
    for (int i = 0; i < 2; i++) {
        const mil_type *t = mil_arg_type(f, op, names[i]);
        char found[256], wanted[256];
        if (!mil_same_dtype("x", x, names[i], t, e)) return false;
        if (t && !mil_type_equal(t, &expected))
            return ane_fail(e, ANE_ERROR_SHAPE, NULL, "%s is %s; expected %s, the shape of the axes",
                names[i], mil_shape_print(t, found, sizeof found),
                mil_shape_print(&expected, wanted, sizeof wanted));
    }
    results[0] = *x;
    return true;
}
