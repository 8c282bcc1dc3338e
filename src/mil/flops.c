/* flops.c - counting floating-point operations: 2 per multiply-add of products. */
#include "mil/ops.h"
#include "mil/shape.h"

static double count(const mil_type *t) {
    return (double)mil_type_count(t);
}

/* Each element of the result takes `depth` multiply-adds. */
static double conv_depth(const mil_function *f, const mil_operation *op) {
    const mil_type *w = mil_arg_type(f, op, "weight"); /* [O, I/groups, kh, kw] */
    return count(w) / (double)w->dim[0];
}

static double matmul_depth(const mil_function *f, const mil_operation *op) {
    const mil_type *x = mil_arg_type(f, op, "x");
    return (double)x->dim[x->rank - 1 - mil_arg_bool(f, op, "transpose_x", false)];
}

static double linear_depth(const mil_function *f, const mil_operation *op) {
    return (double)mil_arg_type(f, op, "weight")->dim[1];
}

/* query * key^T makes [.., L, S] with E deep; times value makes [.., L, EV] with S deep. */
static double attention_depth(const mil_function *f, const mil_operation *op) {
    const mil_type *k = mil_arg_type(f, op, "key"), *v = mil_arg_type(f, op, "value");
    double keys = (double)k->dim[k->rank - 2];
    return keys + keys * (double)k->dim[k->rank - 1] / (double)v->dim[v->rank - 1];
}

/* All scores are counted, though half of them are hidden: devices that mask them compute them. */
static double causal_attention_depth(const mil_function *f, const mil_operation *op) {
    return 2 * (double)mil_arg_type(f, op, "query")->dim[4];
}

/* Four products: those of forward are not counted again. */
static double causal_attention_gradient_depth(const mil_function *f, const mil_operation *op) {
    return 4 * (double)mil_arg_type(f, op, "query")->dim[4];
}

/* Of the cache all positions are counted, as if it were full. */
static double cached_attention_depth(const mil_function *f, const mil_operation *op) {
    return 2 * (double)(mil_arg_type(f, op, "query")->dim[4] + mil_arg_type(f, op, "key_cache")->dim[2]);
}

static const struct {
    mil_opcode opcode;
    double (*depth)(const mil_function *f, const mil_operation *op);
} products[] = {
    {MIL_OP_CONV, conv_depth},
    {MIL_OP_MATMUL, matmul_depth},
    {MIL_OP_LINEAR, linear_depth},
    {MIL_OP_SCALED_DOT_PRODUCT_ATTENTION, attention_depth},
    {MIL_OP_CAUSAL_ATTENTION, causal_attention_depth},
    {MIL_OP_CAUSAL_ATTENTION_GRADIENT, causal_attention_gradient_depth},
    {MIL_OP_CACHED_ATTENTION, cached_attention_depth},
};

double mil_flops(const mil_function *f) {
    double flops = 0;
    for (int i = 0; i < f->n_ops; i++)
        for (size_t j = 0; j < sizeof products / sizeof *products; j++)
            if (f->ops[i].opcode == products[j].opcode)
                flops += 2 * count(mil_type_of(f, f->ops[i].results[0])) * products[j].depth(f, &f->ops[i]);
    return flops;
}
