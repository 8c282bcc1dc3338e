/* The gradient of causal attention is an operation of its own: it computes the probabilities again. */
#include "mil/grad.h"
#include "mil/op_functions.h"

bool mil_grad_causal_attention(
    mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    (void)e;
    if (d_results[1] != MIL_NONE) return mil_grad_none(g, op, "a derivative arrives at its statistics");
    static const char *const names[] = {"query", "key", "value"};
    mil_value in[3], d[3];
    for (int i = 0; i < 3; i++) in[i] = mil_grad_forward(g, mil_arg_value(op, names[i]));
    mil_causal_attention_gradient(g->b, in, mil_grad_forward(g, op->results[0]),
        mil_grad_forward(g, op->results[1]), d_results[0], mil_arg_float(g->f, op, "scale", 1), d);
    for (int i = 0; i < 3; i++) mil_grad_add(g, mil_arg_value(op, names[i]), d[i]);
    return true;
}
