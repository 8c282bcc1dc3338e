/* What has no step of its own runs as the reference does it, in double precision: slow, but right. */
#include "device/cpu/device.h"
#include "device/cpu/plan.h"
#include "mil/eval.h"

#include <stdio.h>
#include <stdlib.h>

/* Element number i of a view. */
static int64_t element_offset(const cpu_view *v, int64_t i) {
    int64_t offset = v->offset;
    for (int d = v->rank - 1; d >= 0; d--) {
        offset += i % v->dim[d] * v->stride[d];
        i /= v->dim[d];
    }
    return offset;
}

static bool read_view(
    const cpu_run *r, const cpu_view *v, cpu_kind kind, const mil_type *type, mil_array *out) {
    int64_t n = ane_cpu_view_count(v);
    *out = (mil_array){*type, malloc((size_t)(n ? n : 1) * sizeof(double))};
    if (!out->data) return false;
    const void *base = r->base[v->storage];
    for (int64_t i = 0; i < n; i++) {
        int64_t at = element_offset(v, i);
        out->data[i] = kind == CPU_F32 ? (double)((const float *)base)[at] : ((const double *)base)[at];
    }
    return true;
}

static void write_view(const cpu_run *r, const cpu_view *v, cpu_kind kind, const mil_array *a) {
    int64_t n = ane_cpu_view_count(v);
    void *base = r->base[v->storage];
    for (int64_t i = 0; i < n; i++) {
        int64_t at = element_offset(v, i);
        if (kind == CPU_F32)
            ((float *)base)[at] = (float)a->data[i];
        else
            ((double *)base)[at] = a->data[i];
    }
}

static bool run_with(
    const cpu_fallback *b, const cpu_run *r, mil_array *values, mil_array *out, ane_error *e) {
    bool ok = true;
    for (int i = 0; ok && i < b->n_in; i++)
        if (!values[b->values[i]].data)
            ok = read_view(
                r, &b->in[i], b->in_kind[i], mil_type_of(b->f, b->values[i]), &values[b->values[i]]);
    if (!ok)
        return ane_fail(
            e, ANE_ERROR_MEMORY, b->op->info->name, "no memory for the operands in double precision");
    mil_eval_context c = {b->f, b->op, values, b->rounding};
    if (!mil_eval_op(&c, out, e)) return false;
    for (int k = 0; k < b->n_out; k++) {
        write_view(r, &b->out[k], b->out_kind[k], &out[k]);
        free(out[k].data);
    }
    return true;
}

static bool run_fallback(const void *data, const cpu_run *r, ane_error *e) {
    const cpu_fallback *b = data;
    mil_array *values = calloc((size_t)b->f->n_values, sizeof *values),
              *out = calloc((size_t)b->n_out, sizeof *out);
    ane_cpu_count_allocations(r->device, 2 + b->n_in + b->n_out);
    bool ok = values && out ? run_with(b, r, values, out, e)
                            : ane_fail(e, ANE_ERROR_MEMORY, b->op->info->name, "no memory for the operands");
    for (int i = 0; values && i < b->n_in; i++) {
        free(values[b->values[i]].data);
        values[b->values[i]].data = NULL;
    }
    free(values);
    free(out);
    return ok;
}

static void describe_fallback(const void *data, char *text, size_t size) {
    const cpu_fallback *b = data;
    char shape[160];
    snprintf(text, size, "%s %s, by the reference", b->op->info->name,
        ane_cpu_view_print(&b->out[0], shape, sizeof shape));
}

static cpu_work work_of_fallback(const void *data) {
    const cpu_fallback *b = data;
    cpu_work w = {0};
    for (int i = 0; i < b->n_in; i++) w.bytes += 4.0 * (double)ane_cpu_view_count(&b->in[i]);
    for (int i = 0; i < b->n_out; i++) w.bytes += 4.0 * (double)ane_cpu_view_count(&b->out[i]);
    return w;
}

const cpu_step_type ane_cpu_fallback_step = {"fallback", run_fallback, describe_fallback, work_of_fallback};

/* The same at compile time. */
bool ane_cpu_evaluate_constant(cpu_lower *l, const mil_operation *op, mil_array *out) {
    mil_array *values = calloc((size_t)l->f->n_values, sizeof *values);
    mil_rounding rounding = ane_cpu_rounds(l) ? MIL_ROUND_FP16 : MIL_EXACT;
    if (!values) return ane_cpu_no_memory(l);
    bool ok = true;
    for (int a = 0; ok && a < op->info->n_params; a++)
        for (int32_t k = 0; ok && k < op->args[a].n; k++) {
            mil_value v = op->args[a].values[k];
            if (values[v].data || mil_type_of(l->f, v)->dtype == MIL_STRING) continue;
            ok = mil_constant_array(l->f, v, &values[v], l->e);
            if (ok) mil_eval_keep_all(&(mil_eval_context){l->f, op, values, rounding}, &values[v]);
        }
    mil_eval_context c = {l->f, op, values, rounding};
    ok = ok && mil_eval_op(&c, out, l->e);
    for (int32_t v = 0; v < l->f->n_values; v++) free(values[v].data);
    free(values);
    return ok;
}
