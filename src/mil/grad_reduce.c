/* Gradients over axes: reductions and softmax. */
#include "mil/grad.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

/* What a reduction of x leaves: its axes, and x's shape with them made 1. */
typedef struct reduction {
    mil_type kept;
    int32_t axes[MIL_MAX_RANK];
    int n;
    double size; /* elements that become one */
} reduction;

static bool read_reduction(const mil_grad_state *g, const mil_operation *op, reduction *r, ane_error *e) {
    const mil_type *x = mil_arg_type(g->f, op, "x");
    if (!mil_arg_axes(g->f, op, "axes", x->rank, r->axes, &r->n, e)) return false;
    r->kept = *x;
    r->size = 1;
    for (int i = 0; i < r->n; i++) {
        r->size *= (double)x->dim[r->axes[i]];
        r->kept.dim[r->axes[i]] = 1;
    }
    return true;
}

/* Every summand gets the same: the derivative with 1 along the axes. */
bool mil_grad_reduce_sum(
    mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    reduction r;
    mil_value x = mil_arg_value(op, "x");
    if (!read_reduction(g, op, &r, e)) return false;
    if (mil_grad_wants(g, x)) mil_grad_add(g, x, mil_back_reshape(g, d_results[0], &r.kept));
    return true;
}

bool mil_grad_reduce_mean(
    mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    reduction r;
    mil_value x = mil_arg_value(op, "x");
    if (!read_reduction(g, op, &r, e)) return false;
    if (!mil_grad_wants(g, x)) return true;
    mil_grad_add(g, x, mil_mul_scalar(g->b, mil_back_reshape(g, d_results[0], &r.kept), 1 / r.size));
    return true;
}

/* Those equal to the largest share it evenly. */
bool mil_grad_reduce_max(
    mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    reduction r;
    mil_value x = mil_arg_value(op, "x");
    if (!read_reduction(g, op, &r, e)) return false;
    if (!mil_grad_wants(g, x)) return true;
    mil_function *b = g->b;
    mil_value largest = mil_back_reshape(g, mil_grad_forward(g, op->results[0]), &r.kept);
    mil_value is_largest = mil_cast(b, mil_equal(b, mil_grad_forward(g, x), largest), r.kept.dtype);
    mil_value share = mil_back_reshape(g, d_results[0], &r.kept);
    share = mil_real_div(b, share, mil_reduce_sum(b, is_largest, r.n, r.axes, true));
    mil_grad_add(g, x, mil_mul(b, is_largest, share));
    return true;
}

/* y = softmax(x): dx = y (d - sum(d y)) */
bool mil_grad_softmax(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    mil_value x = mil_arg_value(op, "x");
    int32_t axis;
    if (!mil_arg_axis(g->f, op, -1, mil_type_of(g->f, x)->rank, &axis, e)) return false;
    if (!mil_grad_wants(g, x)) return true;
    mil_function *b = g->b;
    mil_value y = mil_grad_forward(g, op->results[0]);
    mil_value sum = mil_reduce_sum(b, mil_mul(b, d_results[0], y), 1, &axis, true);
    mil_grad_add(g, x, mil_mul(b, y, mil_sub(b, d_results[0], sum)));
    return true;
}
