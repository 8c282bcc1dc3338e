/* quantize and dequantize: between floats and the whole numbers that stand for them. */
#include "device/cpu/plan.h"
#include "mil/eval.h"
#include "mil/shape.h"

#include <stdlib.h>

/* The constant `param` as an array of the plan's, `missing` alone where there is none; NULL: reported. */
static const double *parameter(
    cpu_lower *l, const mil_operation *op, const char *param, double missing, bool *single) {
    mil_eval_context c = {l->f, op, NULL, MIL_EXACT};
    mil_array read = {0};
    if (!mil_eval_const_arg(&c, param, &read, l->e)) return NULL;
    int64_t n = read.data ? mil_type_count(&read.type) : 1;
    double *kept = ane_arena_array(l->plan->arena, (size_t)n, sizeof *kept);
    for (int64_t i = 0; kept && i < n; i++) kept[i] = read.data ? read.data[i] : missing;
    free(read.data);
    if (!kept) ane_cpu_no_memory(l);
    *single = n == 1;
    return kept;
}

static bool describe_axis(cpu_lower *l, const mil_operation *op, const cpu_view *x, cpu_quantize *q) {
    q->inner = q->size = 1;
    if (q->one_scale && q->one_zero) return true; /* then the axis may be anything */
    int32_t axis;
    if (!mil_arg_axis(l->f, op, 0, x->rank, &axis, l->e)) return false;
    q->size = x->dim[axis];
    for (int i = axis + 1; i < x->rank; i++) q->inner *= x->dim[i];
    return true;
}

bool ane_cpu_lower_quantize(cpu_lower *l, const mil_operation *op) {
    cpu_view x = *ane_cpu_operand(l, mil_arg_value(op, "input"));
    const mil_type *t = mil_type_of(l->f, op->results[0]);
    if (!ane_cpu_view_is_packed(&x)) x = ane_cpu_packed_copy(l, &x);
    cpu_view out = ane_cpu_destination(l, op->results[0]), made = out;
    if (!ane_cpu_view_is_packed(&out))
        made = ane_cpu_temporary(l, ane_cpu_kind_of(t->dtype), out.rank, out.dim);
    cpu_node *n = ane_cpu_plan_node(l->plan, CPU_NODE_QUANTIZE, 1, 1);
    cpu_quantize *q = ane_arena_alloc(l->plan->arena, sizeof *q);
    if (!n || !q) return ane_cpu_no_memory(l);
    *q = (cpu_quantize){
        .in = x, .out = made, .to_float = mil_dtype_is_float(t->dtype), .round = ane_cpu_rounds(l)};
    q->scale = parameter(l, op, "scale", 1, &q->one_scale);
    q->zero_point = q->scale ? parameter(l, op, "zero_point", 0, &q->one_zero) : NULL;
    if (!q->zero_point || !describe_axis(l, op, &x, q)) return false;
    if (!q->to_float) {
        q->low = mil_eval_keep(MIL_EXACT, t->dtype, -1e300);
        q->high = mil_eval_keep(MIL_EXACT, t->dtype, 1e300);
    }
    n->in[0] = x, n->out[0] = made;
    n->data = q;
    if (made.storage != out.storage) ane_cpu_move(l, &made, &out);
    l->views[op->results[0]] = out;
    return true;
}
