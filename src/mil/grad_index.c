/* Gradients of gather and scatter, each by means of the other. */
#include "mil/grad.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

#include <stdlib.h>
#include <string.h>

bool mil_grad_gather(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    mil_value x = mil_arg_value(op, "x"), indices = mil_arg_value(op, "indices");
    mil_gather_geometry s;
    if (!mil_gather_resolve(g->f, op, &s, e)) return false;
    if (!mil_grad_wants(g, x)) return true;
    if (s.batch_dims) return mil_grad_none(g, op, "batch_dims is not 0");
    mil_value zeros = mil_back_zeros(g, mil_type_of(g->f, x));
    mil_grad_add(g, x, mil_scatter(g->b, zeros, mil_grad_forward(g, indices), d_results[0], s.axis, "add"));
    return true;
}

/* 1 for the updates that stay (the last of those with the same index), else 0: [1.., picks, 1..] as d's type.
 */
static mil_value last_of_each(
    mil_grad_state *g, const mil_gather_geometry *s, mil_value indices, const mil_type *d) {
    mil_function *b = g->b;
    int32_t *numbers = calloc((size_t)s->picks, sizeof *numbers);
    if (!numbers) {
        ane_fail(&g->error, ANE_ERROR_MEMORY, NULL, "no memory for %lld numbers", (long long)s->picks);
        return MIL_NONE;
    }
    for (int64_t i = 0; i < s->picks; i++) numbers[i] = (int32_t)i;
    mil_value count = mil_const_ints(b, (int)s->picks, numbers);
    free(numbers);
    mil_type all = mil_tensor(MIL_INT32, 1, (int64_t[]){s->n});
    mil_value flat = mil_reshape(b, indices, 1, (int64_t[]){s->picks});
    mil_value winner =
        mil_gather(b, mil_scatter(b, mil_back_zeros(g, &all), flat, count, 0, "update"), flat, 0);
    const mil_type *it = mil_type_of(b, indices);
    mil_type shape = {.dtype = d->dtype, .rank = d->rank};
    for (int a = 0; a < d->rank; a++) {
        int at = a - s->axis;
        shape.dim[a] = at >= 0 && at < it->rank ? it->dim[at] : 1;
    }
    return mil_back_reshape(g, mil_cast(b, mil_equal(b, winner, count), d->dtype), &shape);
}

bool mil_grad_scatter(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    mil_value data = mil_arg_value(op, "data"), updates = mil_arg_value(op, "updates"), d = d_results[0];
    const char *mode = mil_arg_string(g->f, op, "mode", "add");
    bool update = strcmp(mode, "update") == 0, sub = strcmp(mode, "sub") == 0;
    mil_gather_geometry s;
    if (!mil_gather_resolve(g->f, op, &s, e)) return false;
    if (!mil_grad_wants(g, data) && !mil_grad_wants(g, updates)) return true;
    if (!update && !sub && strcmp(mode, "add") != 0)
        return mil_grad_none(g, op, "mode is not add, sub or update");
    mil_value indices = mil_grad_forward(g, mil_arg_value(op, "indices"));
    const mil_type *t = mil_type_of(g->f, updates);
    if (mil_grad_wants(g, updates)) {
        mil_value taken = mil_gather(g->b, d, indices, s.axis);
        if (update) taken = mil_mul(g->b, taken, last_of_each(g, &s, indices, t));
        if (sub)
            mil_grad_subtract(g, updates, taken);
        else
            mil_grad_add(g, updates, taken);
    }
    if (mil_grad_wants(g, data)) { /* what was overwritten had no influence */
        mil_value stays = update ? mil_scatter(g->b, d, indices, mil_back_zeros(g, t), s.axis, "update") : d;
        mil_grad_add(g, data, stays);
    }
    return true;
}
