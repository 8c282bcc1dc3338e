/* The reference interpreter: runs a function operation by operation in double precision. */
#include "mil/eval.h"

#include "base/half.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- helpers for the operations ------------------------------------------------------------------------ */

const mil_array *mil_eval_arg(const mil_eval_context *c, const char *param) {
    mil_value v = mil_arg_value(c->op, param);
    return v == MIL_NONE ? NULL : &c->values[v];
}

bool mil_eval_const_arg(const mil_eval_context *c, const char *param, mil_array *out, ane_error *e) {
    *out = (mil_array){0};
    mil_value v = mil_arg_value(c->op, param);
    return v == MIL_NONE || mil_constant_array(c->f, v, out, e);
}

static bool allocate(const mil_type *type, mil_array *out, ane_error *e) {
    int64_t count = mil_type_count(type);
    out->type = *type;
    out->data = count < 0 || (uint64_t)count > SIZE_MAX / sizeof(double)
                    ? NULL
                    : calloc(count ? count : 1, sizeof(double));
    if (out->data) return true;
    char text[128];
    return ane_fail(e, ANE_ERROR_MEMORY, NULL, "no memory for %s in double precision",
        mil_type_print(type, text, sizeof text));
}

bool mil_eval_result(const mil_eval_context *c, int r, mil_array *out, ane_error *e) {
    return allocate(&c->f->values[c->op->results[r]].type, &out[r], e);
}

static double keep_integer(mil_dtype dtype, double x) {
    if (dtype == MIL_BOOL) return x != 0;
    if (isnan(x)) return 0;
    bool is_signed = dtype >= MIL_INT4 && dtype <= MIL_INT64;
    int bits = mil_dtype_bits(dtype);
    double low = is_signed ? -ldexp(1, bits - 1) : 0, high = ldexp(1, is_signed ? bits - 1 : bits) - 1;
    double whole = trunc(x);
    return whole < low ? low : whole > high ? high : whole;
}

double mil_eval_keep(mil_rounding rounding, mil_dtype dtype, double x) {
    if (!mil_dtype_is_float(dtype)) return keep_integer(dtype, x);
    return rounding == MIL_ROUND_FP16 ? ane_f32_from_f16(ane_f16_from_f64(x)) : x;
}

void mil_eval_keep_all(const mil_eval_context *c, mil_array *a) {
    if (c->rounding == MIL_EXACT && mil_dtype_is_float(a->type.dtype)) return;
    int64_t n = mil_type_count(&a->type);
    for (int64_t i = 0; i < n; i++) a->data[i] = mil_eval_keep(c->rounding, a->type.dtype, a->data[i]);
}

void mil_unravel(const mil_type *t, int64_t i, int64_t *index) {
    for (int axis = t->rank - 1; axis >= 0; axis--) {
        index[axis] = i % t->dim[axis];
        i /= t->dim[axis];
    }
}

int64_t mil_ravel(const mil_type *t, const int64_t *index, int rank) {
    int64_t i = 0;
    for (int axis = 0; axis < t->rank; axis++) {
        int64_t at = t->dim[axis] == 1 ? 0 : index[rank - t->rank + axis];
        i = i * t->dim[axis] + at;
    }
    return i;
}

/* ---- one operation ------------------------------------------------------------------------------------- */

bool mil_constant_array(const mil_function *f, mil_value v, mil_array *out, ane_error *e) {
    const mil_value_info *info = &f->values[v];
    if (!info->constant)
        return ane_fail(e, ANE_ERROR_ARGUMENT, info->name,
            "the value of %s is needed here, but it is no constant", info->name);
    if (!info->constant->data) {
        ane_fail(e, ANE_ERROR_ARGUMENT, info->name, "the constant %s is in %s, which was not loaded",
            info->name, info->constant->blob_path ? info->constant->blob_path : "a blob file");
        return ane_hint(e, "Call mil_program_load_blobs() first.");
    }
    if (!allocate(&info->type, out, e)) return false;
    int64_t n = mil_type_count(&info->type);
    for (int64_t i = 0; i < n; i++) out->data[i] = mil_constant_at(&info->type, info->constant->data, i);
    return true;
}

/* "operation conv (y), line 12" */
static void place(const mil_eval_context *c, char *text, size_t size) {
    const char *result = c->op->n_results ? c->f->values[c->op->results[0]].name : "";
    int n = snprintf(text, size, "operation %s (%s)", c->op->info->name, result);
    if (c->op->line > 0 && n > 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, ", line %d", (int)c->op->line);
}

static bool run(const mil_eval_context *c, mil_array *out, ane_error *e) {
    if (c->op->opcode == MIL_OP_CONST) {
        if (!mil_constant_array(c->f, c->op->results[0], out, e)) return false;
        mil_eval_keep_all(c, out);
        return true;
    }
    if (!c->op->info->eval)
        return ane_fail(
            e, ANE_ERROR_UNSUPPORTED, NULL, "%s has no value of its own to evaluate", c->op->info->name);
    return c->op->info->eval(c, out, e);
}

bool mil_eval_op(const mil_eval_context *c, mil_array *out, ane_error *e) {
    for (int r = 0; r < c->op->n_results; r++) out[r] = (mil_array){0};
    if (run(c, out, e)) return true;
    char text[192];
    place(c, text, sizeof text);
    for (int r = 0; r < c->op->n_results; r++) {
        free(out[r].data);
        out[r].data = NULL;
    }
    return ane_at(e, text);
}

/* ---- a function ---------------------------------------------------------------------------------------- */

typedef struct machine {
    const mil_function *f;
    mil_rounding rounding;
    mil_array *values; /* what is computed and still needed */
    int32_t *last_use; /* per value: index of the last operation that reads it; n_ops for outputs */
    int n_params;
    const mil_named_array *params;
} machine;

static void find_last_uses(machine *m) {
    const mil_function *f = m->f;
    for (int32_t v = 0; v < f->n_values; v++) m->last_use[v] = f->values[v].op;
    for (int32_t i = 0; i < f->n_ops; i++)
        for (int a = 0; a < f->ops[i].info->n_params; a++)
            for (int32_t k = 0; k < f->ops[i].args[a].n; k++) m->last_use[f->ops[i].args[a].values[k]] = i;
    for (int32_t o = 0; o < f->n_outputs; o++) m->last_use[f->outputs[o]] = f->n_ops;
}

static void release(machine *m, mil_value v) {
    free(m->values[v].data);
    m->values[v].data = NULL;
}

/* Drop what operation i read last, and results that nobody reads. */
static void release_dead(machine *m, int32_t i) {
    const mil_operation *op = &m->f->ops[i];
    for (int a = 0; a < op->info->n_params; a++)
        for (int32_t k = 0; k < op->args[a].n; k++)
            if (m->last_use[op->args[a].values[k]] <= i) release(m, op->args[a].values[k]);
    for (int r = 0; r < op->n_results; r++)
        if (m->last_use[op->results[r]] <= i) release(m, op->results[r]);
}

/* Take the caller's array as value v. */
static bool take(machine *m, mil_value v, const char *kind, const mil_array *given, ane_error *e) {
    const mil_value_info *info = &m->f->values[v];
    if (!given->data)
        return ane_fail(e, ANE_ERROR_ARGUMENT, info->name, "%s %s was given no data", kind, info->name);
    if (!mil_type_equal(&given->type, &info->type)) {
        char wanted[128], found[128];
        mil_type_print(&info->type, wanted, sizeof wanted);
        mil_type_print(&given->type, found, sizeof found);
        return ane_fail(e, given->type.dtype == info->type.dtype ? ANE_ERROR_SHAPE : ANE_ERROR_TYPE,
            info->name, "%s %s must be %s, but %s was given", kind, info->name, wanted, found);
    }
    mil_array *a = &m->values[v];
    if (!allocate(&info->type, a, e)) return false;
    int64_t n = mil_type_count(&info->type);
    for (int64_t i = 0; i < n; i++) a->data[i] = mil_eval_keep(m->rounding, info->type.dtype, given->data[i]);
    return true;
}

static bool take_param(machine *m, mil_value v, ane_error *e) {
    const char *name = m->f->values[v].name;
    for (int i = 0; i < m->n_params; i++)
        if (strcmp(m->params[i].name, name) == 0) return take(m, v, "parameter", &m->params[i].array, e);
    return ane_fail(e, ANE_ERROR_ARGUMENT, name, "parameter %s has no value: it is not among the %d given",
        name, m->n_params);
}

static bool step(machine *m, int32_t i, ane_error *e) {
    const mil_operation *op = &m->f->ops[i];
    if (op->opcode == MIL_OP_PARAMETER) return take_param(m, op->results[0], e);
    if (op->opcode == MIL_OP_CONST && m->f->values[op->results[0]].type.dtype == MIL_STRING) return true;
    mil_array *out = calloc(op->n_results ? op->n_results : 1, sizeof *out);
    if (!out) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "no memory for %d results", (int)op->n_results);
    mil_eval_context c = {m->f, op, m->values, m->rounding};
    bool ok = mil_eval_op(&c, out, e);
    for (int r = 0; r < op->n_results; r++)
        if (ok) m->values[op->results[r]] = out[r];
    free(out);
    return ok;
}

static bool copy_outputs(const machine *m, mil_array *outputs, ane_error *e) {
    for (int32_t o = 0; o < m->f->n_outputs; o++) {
        const mil_array *a = &m->values[m->f->outputs[o]];
        if (!allocate(&a->type, &outputs[o], e)) return false;
        memcpy(outputs[o].data, a->data, sizeof(double) * (size_t)mil_type_count(&a->type));
    }
    return true;
}

static bool run_all(machine *m, const mil_array *inputs, mil_array *outputs, ane_error *e) {
    const mil_function *f = m->f;
    find_last_uses(m);
    for (int32_t i = 0; i < f->n_inputs; i++)
        if (!take(m, f->inputs[i], "input", &inputs[i], e)) return false;
    for (int32_t i = 0; i < f->n_ops; i++) {
        if (!step(m, i, e)) return false;
        release_dead(m, i);
    }
    return copy_outputs(m, outputs, e);
}

bool mil_evaluate(const mil_function *f, mil_rounding rounding, const mil_array *inputs, int n_params,
    const mil_named_array *params, mil_array *outputs, ane_error *e) {
    for (int32_t o = 0; o < f->n_outputs; o++) outputs[o] = (mil_array){0};
    size_t n = f->n_values ? (size_t)f->n_values : 1;
    machine m = {f, rounding, calloc(n, sizeof *m.values), calloc(n, sizeof *m.last_use), n_params, params};
    bool ok = m.values && m.last_use
                  ? run_all(&m, inputs, outputs, e)
                  : ane_fail(e, ANE_ERROR_MEMORY, f->name, "no memory for %d values", f->n_values);
    for (int32_t v = 0; m.values && v < f->n_values; v++) free(m.values[v].data);
    free(m.values);
    free(m.last_use);
    for (int32_t o = 0; !ok && o < f->n_outputs; o++) {
        free(outputs[o].data);
        outputs[o].data = NULL;
    }
    return ok;
}
