/* The time model: see timemodel.h. */
#include "emulator/timemodel.h"
#include "mil/ops.h"

#include <stdlib.h>

static double count(const mil_type *t) {
    return (double)mil_type_count(t);
}

/* Bytes that a constant operand takes where it is stored: compressed weights count as they are. */
static double stored_bytes(const mil_function *f, mil_value v) {
    if (v == MIL_NONE) return 0;
    const mil_value_info *info = &f->values[v];
    if (info->constant) return (double)mil_type_bytes(&info->type);
    if (info->op == MIL_NONE) return 0;
    const mil_operation *op = &f->ops[info->op];
    double sum = 0;
    if (op->info->traits & MIL_TRAIT_CONSTEXPR)
        for (int a = 0; a < op->info->n_params; a++)
            for (int i = 0; i < op->args[a].n; i++) sum += stored_bytes(f, op->args[a].values[i]);
    return sum;
}

/* Both operands have been int8 a moment ago: dequantize, or constexpr of int8. */
static bool from_int8(const mil_function *f, mil_value v) {
    if (v == MIL_NONE || f->values[v].op == MIL_NONE) return false;
    const mil_operation *op = &f->ops[f->values[v].op];
    const char *param = op->opcode == MIL_OP_DEQUANTIZE                    ? "input"
                        : op->opcode == MIL_OP_CONSTEXPR_AFFINE_DEQUANTIZE ? "quantized_data"
                                                                           : NULL;
    return param && mil_dtype_bits(mil_type_of(f, mil_arg_value(op, param))->dtype) == 8;
}

static em_cost_op conv_cost(const mil_function *f, const mil_operation *op) {
    mil_value weight = mil_arg_value(op, "weight");
    const mil_type *w = mil_type_of(f, weight); /* [O, I/groups, kh, kw] */
    return (em_cost_op){
        .flops = 2 * count(mil_type_of(f, op->results[0])) * count(w) / (double)w->dim[0],
        .weight_bytes = stored_bytes(f, weight),
        .int8 = from_int8(f, weight) && from_int8(f, mil_arg_value(op, "x")),
        .conflict = w->dim[0] % EM_CONFLICT_CHANNELS == 0 && w->dim[1] % EM_CONFLICT_CHANNELS == 0,
    };
}

static em_cost_op matmul_cost(const mil_function *f, const mil_operation *op) {
    mil_value x = mil_arg_value(op, "x");
    const mil_type *t = mil_type_of(f, x);
    double inner = (double)t->dim[t->rank - 1 - mil_arg_bool(f, op, "transpose_x", false)];
    return (em_cost_op){
        .flops = 2 * count(mil_type_of(f, op->results[0])) * inner,
        .weight_bytes = stored_bytes(f, x) + stored_bytes(f, mil_arg_value(op, "y")),
        .matmul = true,
    };
}

static em_cost_op linear_cost(const mil_function *f, const mil_operation *op) {
    mil_value weight = mil_arg_value(op, "weight"); /* [O, I] */
    return (em_cost_op){
        .flops = 2 * count(mil_type_of(f, op->results[0])) * (double)mil_type_of(f, weight)->dim[1],
        .weight_bytes = stored_bytes(f, weight),
    };
}

/* query [.., L, E] key^T makes [.., L, S]; times value [.., S, EV] */
static em_cost_op attention_cost(const mil_function *f, const mil_operation *op) {
    const mil_type *q = mil_type_of(f, mil_arg_value(op, "query")),
                   *k = mil_type_of(f, mil_arg_value(op, "key"));
    double keys = (double)k->dim[k->rank - 2];
    return (em_cost_op){
        .flops = 2 * keys * (count(q) + count(mil_type_of(f, op->results[0]))), .matmul = true};
}

typedef em_cost_op cost_fn(const mil_function *f, const mil_operation *op);

static cost_fn *cost_function(mil_opcode opcode) {
    static const struct {
        mil_opcode opcode;
        cost_fn *cost;
    } products[] = {
        {MIL_OP_CONV, conv_cost},
        {MIL_OP_MATMUL, matmul_cost},
        {MIL_OP_LINEAR, linear_cost},
        {MIL_OP_SCALED_DOT_PRODUCT_ATTENTION, attention_cost},
    };
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (products[i].opcode == opcode) return products[i].cost;
    return NULL;
}

bool em_cost_of(em_cost *cost, const mil_function *f, ane_error *e) {
    *cost = (em_cost){.ops = calloc((size_t)f->n_ops + 1, sizeof *cost->ops)};
    if (!cost->ops)
        return ane_fail(e, ANE_ERROR_MEMORY, f->name, "no memory for the costs of %d operations", f->n_ops);
    for (int i = 0; i < f->n_ops; i++) {
        const mil_operation *op = &f->ops[i];
        cost_fn *price = cost_function(op->opcode);
        if (price) cost->ops[cost->n_ops++] = price(f, op);
        double bytes = (double)mil_type_bytes(mil_type_of(f, op->results[0]));
        bool stored = op->info->traits & (MIL_TRAIT_LEAF | MIL_TRAIT_CONSTEXPR | MIL_TRAIT_VIEW);
        if (!stored && bytes > cost->largest_value_bytes) cost->largest_value_bytes = bytes;
    }
    for (int i = 0; i < cost->n_ops; i++) cost->flops += cost->ops[i].flops;
    for (int i = 0; i < f->n_inputs; i++)
        cost->surface_bytes += (double)mil_type_bytes(mil_type_of(f, f->inputs[i]));
    for (int i = 0; i < f->n_outputs; i++)
        cost->surface_bytes += (double)mil_type_bytes(mil_type_of(f, f->outputs[i]));
    return true;
}

void em_cost_free(em_cost *cost) {
    free(cost->ops);
    *cost = (em_cost){0};
}

/* bytes / (GB/s) in ms is bytes * 1e-6 / rate; FLOPs / TFLOPS in ms is flops * 1e-9 / peak. */
static double op_ms(const em_rates *r, const em_cost_op *op) {
    double factor = (op->matmul ? r->matmul_factor : 1) / (op->int8 ? r->int8_factor : 1);
    double arithmetic = op->flops * 1e-9 / r->peak_tflops * factor;
    double rate = op->weight_bytes <= r->working_set_mb * 1048576 ? r->resident_gbs
                  : op->conflict                                  ? r->conflict_gbs
                                                                  : r->bandwidth_gbs;
    double weights = op->weight_bytes * 1e-6 / rate;
    return arithmetic > weights ? arithmetic : weights;
}

double em_model_ms(const em_rates *r, const em_cost *cost) {
    double ms = r->dispatch_ms + cost->surface_bytes * 1e-6 / r->bandwidth_gbs;
    for (int i = 0; i < cost->n_ops; i++) ms += r->op_us * 1e-3 + op_ms(r, &cost->ops[i]);
    double beyond = cost->largest_value_bytes - r->sram_mb * 1048576;
    if (beyond > 0) ms += 2 * beyond * 1e-6 / r->bandwidth_gbs;
    return ms;
}

double em_model_compile_ms(const em_rates *r, const em_cost *cost) {
    return r->compile_ms + r->compile_ms_per_gflop * cost->flops * 1e-9;
}
