/* Gradients of conv, matmul and linear. The derivative by a weight is itself a product. */
#include "mil/grad.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

#include <stdlib.h>

/* ---- matmul -------------------------------------------------------------------------------------------- */

/* One operand of a matmul: where it is, and its matrix as it lies in memory. */
typedef struct side {
    mil_value v;
    bool transposed;
    int64_t rows, columns, batch; /* of the memory; product of the leading dimensions */
} side;

static side side_of(const mil_function *f, const mil_operation *op, const char *name, const char *flag) {
    mil_value v = mil_arg_value(op, name);
    const mil_type *t = mil_type_of(f, v);
    side s = {v, mil_arg_bool(f, op, flag, false), t->dim[t->rank - 2], t->dim[t->rank - 1], 1};
    for (int a = 0; a < t->rank - 2; a++) s.batch *= t->dim[a];
    return s;
}

static mil_grad_operand forward_operand(mil_value v, bool transposed) {
    return (mil_grad_operand){v, true, transposed};
}

static mil_grad_operand backward_operand(mil_value v, bool transposed) {
    return (mil_grad_operand){v, false, transposed};
}

/* [batch, rows, columns] with the batch between rows and columns: [rows, batch * columns]; MIL_NONE stays so.
 */
static mil_value batch_inside(mil_grad_state *g, mil_value v, int64_t batch, int64_t rows, int64_t columns) {
    mil_type t = mil_tensor(MIL_VOID, 3, (int64_t[]){batch, rows, columns});
    v = mil_transpose(g->b, mil_back_reshape(g, v, &t), (const int32_t[]){1, 0, 2});
    return mil_reshape(g->b, v, 2, (int64_t[]){rows, batch * columns});
}

/* The derivative by y alone, summed over the batch: y[K, N] = x^T d, or y[N, K] = d^T x. */
static void product_by_y(mil_grad_state *g, side x, side y, mil_value d, int64_t m, int64_t k, int64_t n) {
    int64_t sum = x.batch * m;
    mil_grad_operand left = forward_operand(x.v, true),
                     right = backward_operand(d, true);                   /* [sum, K], [sum, N] */
    if (x.transposed && x.batch == 1) left = forward_operand(x.v, false); /* [K, M] */
    if (x.transposed && x.batch > 1)
        left = backward_operand(batch_inside(g, mil_grad_forward(g, x.v), x.batch, k, m), false);
    if (y.transposed)
        mil_grad_add_product(g, y.v, right, left, n, sum, k);
    else
        mil_grad_add_product(g, y.v, left, right, k, sum, n);
}

/* The derivative by x alone, summed over the batch: x[M, K] = d y^T, or x[K, M] = y d^T. */
static void product_by_x(mil_grad_state *g, side x, side y, mil_value d, int64_t m, int64_t k, int64_t n) {
    int64_t sum = y.batch * n;
    mil_grad_operand left =
        backward_operand(y.batch > 1 ? batch_inside(g, d, y.batch, m, n) : d, false); /* [M, sum] */
    mil_grad_operand right = forward_operand(y.v, y.transposed);                      /* [K, sum] */
    if (!y.transposed && y.batch > 1)
        right = backward_operand(batch_inside(g, mil_grad_forward(g, y.v), y.batch, k, n), false);
    if (x.transposed)
        mil_grad_add_product(g, x.v, right, left, k, sum, m);
    else
        mil_grad_add_product(g, x.v, left, right, m, sum, k);
}

/* The derivative by one operand, batch by batch: d other^T or its transpose. */
static void batched(mil_grad_state *g, const mil_operation *op, side x, side y, mil_value d, bool by_x) {
    mil_function *b = g->b;
    mil_value other = mil_grad_forward(g, by_x ? y.v : x.v), r;
    if (by_x)
        r = x.transposed ? mil_matmul(b, other, d, y.transposed, true)
                         : mil_matmul(b, d, other, false, !y.transposed);
    else
        r = y.transposed ? mil_matmul(b, d, other, true, x.transposed)
                         : mil_matmul(b, other, d, !x.transposed, false);
    mil_value v = by_x ? x.v : y.v;
    mil_type z = *mil_type_of(g->f, op->results[0]); /* r's shape: the result's batch, v's matrix */
    z.dim[z.rank - 2] = by_x ? x.rows : y.rows;
    z.dim[z.rank - 1] = by_x ? x.columns : y.columns;
    mil_grad_add(g, v, mil_grad_unbroadcast(g, r, &z, mil_type_of(g->f, v)));
}

bool mil_grad_matmul(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    (void)e;
    side x = side_of(g->f, op, "x", "transpose_x"), y = side_of(g->f, op, "y", "transpose_y");
    int64_t m = x.transposed ? x.columns : x.rows, k = x.transposed ? x.rows : x.columns,
            n = y.transposed ? y.rows : y.columns;
    if (mil_grad_wants(g, x.v)) {
        if (x.batch == 1 && mil_grad_is_param(g, x.v))
            product_by_x(g, x, y, d_results[0], m, k, n);
        else
            batched(g, op, x, y, d_results[0], true);
    }
    if (mil_grad_wants(g, y.v)) {
        if (y.batch == 1 && mil_grad_is_param(g, y.v))
            product_by_y(g, x, y, d_results[0], m, k, n);
        else
            batched(g, op, x, y, d_results[0], false);
    }
    return true;
}

/* ---- linear -------------------------------------------------------------------------------------------- */

/* y[.., O] = x[.., I] W[O, I]^T + bias[O] */
bool mil_grad_linear(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    (void)e;
    mil_value x = mil_arg_value(op, "x"), w = mil_arg_value(op, "weight"), bias = mil_arg_value(op, "bias");
    const mil_type *tx = mil_type_of(g->f, x), *tw = mil_type_of(g->f, w);
    int64_t out = tw->dim[0], in = tw->dim[1], rows = mil_type_count(tx) / in;
    mil_value d = mil_reshape(g->b, d_results[0], 2, (int64_t[]){rows, out});
    if (mil_grad_wants(g, x))
        mil_grad_add(
            g, x, mil_back_reshape(g, mil_matmul(g->b, d, mil_grad_forward(g, w), false, false), tx));
    mil_grad_add_product(g, w, backward_operand(d, true), forward_operand(x, true), out, rows, in);
    if (mil_grad_wants(g, bias))
        mil_grad_add(g, bias, mil_reduce_sum(g->b, d, 1, (const int32_t[]){0}, false));
    return true;
}

/* ---- conv ---------------------------------------------------------------------------------------------- */

static bool is_pointwise(const mil_conv_geometry *s) {
    bool plain = s->groups == 1;
    for (int i = 0; i < s->n_spatial; i++)
        plain =
            plain && s->kernel[i] == 1 && s->stride[i] == 1 && s->pad_before[i] == 0 && s->pad_after[i] == 0;
    return plain;
}

/* Spatial places of the result. */
static int64_t places(const mil_conv_geometry *s) {
    int64_t n = 1;
    for (int i = 0; i < s->n_spatial; i++) n *= s->out[i];
    return n;
}

/* A 1x1 convolution is W[O, I] x[I, N]: dx = W^T d, dW = d x^T. */
static void pointwise(mil_grad_state *g, const mil_operation *op, const mil_conv_geometry *s, mil_value d) {
    mil_value x = mil_arg_value(op, "x"), w = mil_arg_value(op, "weight");
    int64_t out = s->out_channels, in = s->in_channels, n = places(s), batch = s->batch;
    mil_type rows = batch == 1 ? mil_tensor(MIL_VOID, 2, (int64_t[]){out, n})
                               : mil_tensor(MIL_VOID, 3, (int64_t[]){batch, out, n});
    d = mil_back_reshape(g, d, &rows);
    if (mil_grad_wants(g, x)) {
        mil_value weight = mil_reshape(g->b, mil_grad_forward(g, w), 2, (int64_t[]){out, in});
        mil_grad_add(
            g, x, mil_back_reshape(g, mil_matmul(g->b, weight, d, true, false), mil_type_of(g->f, x)));
    }
    if (!mil_grad_wants(g, w)) return;
    mil_grad_operand left = backward_operand(d, false), right = forward_operand(x, false);
    if (batch > 1) {
        left = backward_operand(batch_inside(g, d, batch, out, n), false);
        right = backward_operand(batch_inside(g, mil_grad_forward(g, x), batch, in, n), false);
    }
    mil_grad_add_product(g, w, left, right, out, batch * n, in);
}

/* The padded size that the kernel sweeps along an axis. */
static int64_t swept(const mil_conv_geometry *s, int axis) {
    int64_t reach = (s->out[axis] - 1) * s->stride[axis] + (s->kernel[axis] - 1) * s->dilation[axis] + 1;
    int64_t padded = s->pad_before[axis] + s->in[axis];
    return reach > padded ? reach : padded;
}

static int64_t kernel_places(const mil_conv_geometry *s) {
    int64_t n = 1;
    for (int i = 0; i < s->n_spatial; i++) n *= s->kernel[i];
    return n;
}

/* Kernel place number `at` along each axis. */
static void kernel_index(const mil_conv_geometry *s, int64_t at, int64_t *index) {
    for (int i = s->n_spatial - 1; i >= 0; i--) {
        index[i] = at % s->kernel[i];
        at /= s->kernel[i];
    }
}

/* What kernel place `at` sees of the padded input: [B, I, out..]. */
static mil_value seen_at(mil_grad_state *g, const mil_conv_geometry *s, mil_value padded, int64_t at) {
    int64_t k[3];
    int32_t begin[5] = {0}, end[5] = {(int32_t)s->batch, (int32_t)s->in_channels}, stride[5] = {1, 1};
    kernel_index(s, at, k);
    for (int i = 0; i < s->n_spatial; i++) {
        begin[2 + i] = (int32_t)(k[i] * s->dilation[i]);
        end[2 + i] = begin[2 + i] + (int32_t)((s->out[i] - 1) * s->stride[i] + 1);
        stride[2 + i] = (int32_t)s->stride[i];
    }
    return mil_slice_by_index(g->b, padded, begin, end, stride);
}

/* What every kernel place sees, in the order of the weight's elements: [B, I * K, N]. */
static mil_value patches(mil_grad_state *g, const mil_conv_geometry *s, mil_value x) {
    int64_t n = places(s), kernel = kernel_places(s);
    mil_value *seen = calloc((size_t)kernel, sizeof *seen);
    if (!seen) {
        ane_fail(&g->error, ANE_ERROR_MEMORY, NULL, "no memory for %lld kernel places", (long long)kernel);
        return MIL_NONE;
    }
    for (int i = 0; i < s->n_spatial; i++)
        x = mil_back_pad(g, x, 2 + i, s->pad_before[i], swept(s, i) - s->pad_before[i] - s->in[i]);
    for (int64_t at = 0; at < kernel; at++)
        seen[at] = mil_reshape(g->b, seen_at(g, s, x, at), 4, (int64_t[]){s->batch, s->in_channels, 1, n});
    mil_value all = kernel == 1 ? seen[0] : mil_concat(g->b, (int)kernel, seen, 2);
    free(seen);
    return mil_reshape(g->b, all, 3, (int64_t[]){s->batch, s->in_channels * kernel, n});
}

/* The way back: the derivative by patches [B, I, K, N], each place added where it was seen. */
static mil_value from_patches(mil_grad_state *g, const mil_conv_geometry *s, mil_value d, const mil_type *x) {
    mil_value sum = MIL_NONE;
    for (int64_t at = 0; at < kernel_places(s); at++) {
        mil_type seen = *x; /* [B, I, out..] */
        int64_t k[3];
        kernel_index(s, at, k);
        for (int i = 0; i < s->n_spatial; i++) seen.dim[2 + i] = s->out[i];
        mil_value part = mil_back_reshape(g, mil_back_slice(g, d, 2, at, 1), &seen);
        for (int i = 0; i < s->n_spatial; i++) {
            part = mil_back_spread(g, part, 2 + i, s->stride[i]);
            int64_t before = k[i] * s->dilation[i], size = (s->out[i] - 1) * s->stride[i] + 1;
            part = mil_back_pad(g, part, 2 + i, before, swept(s, i) - before - size);
        }
        sum = sum == MIL_NONE ? part : mil_add(g->b, sum, part);
    }
    for (int i = 0; i < s->n_spatial; i++) sum = mil_back_slice(g, sum, 2 + i, s->pad_before[i], s->in[i]);
    return sum;
}

/* Any convolution is, in each group, W[O, I * K] patches[I * K, N]. */
static void general(mil_grad_state *g, const mil_operation *op, const mil_conv_geometry *s, mil_value d) {
    mil_function *b = g->b;
    mil_value x = mil_arg_value(op, "x"), w = mil_arg_value(op, "weight");
    int64_t groups = s->groups, out = s->out_channels / groups, n = places(s), kernel = kernel_places(s);
    int64_t taps = s->in_channels / groups * kernel;
    mil_value by_group = mil_reshape(b, d, 4, (int64_t[]){s->batch, groups, out, n});
    if (mil_grad_wants(g, x)) {
        mil_value weight = mil_reshape(b, mil_grad_forward(g, w), 3, (int64_t[]){groups, out, taps});
        mil_value dp = mil_matmul(b, weight, by_group, true, false); /* [B, groups, I/groups * K, N] */
        dp = mil_reshape(b, dp, 4, (int64_t[]){s->batch, s->in_channels, kernel, n});
        mil_grad_add(g, x, from_patches(g, s, dp, mil_type_of(g->f, x)));
    }
    if (!mil_grad_wants(g, w)) return;
    mil_value p = patches(g, s, mil_grad_forward(g, x));
    if (groups == 1) {
        mil_value left = s->batch == 1 ? d : batch_inside(g, d, s->batch, out, n);
        mil_value right = s->batch == 1 ? p : batch_inside(g, p, s->batch, taps, n);
        mil_grad_add_product(
            g, w, backward_operand(left, false), backward_operand(right, false), out, s->batch * n, taps);
        return;
    }
    p = mil_reshape(b, p, 4, (int64_t[]){s->batch, groups, taps, n});
    mil_value dw = mil_matmul(b, by_group, p, false, true); /* [B, groups, O/groups, I/groups * K] */
    dw = mil_reduce_sum(b, dw, 1, (const int32_t[]){0}, false);
    mil_grad_add(g, w, mil_back_reshape(g, dw, mil_type_of(g->f, w)));
}

bool mil_grad_conv(mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e) {
    mil_conv_geometry s;
    if (!mil_conv_resolve(g->f, op, &s, e)) return false;
    mil_value bias = mil_arg_value(op, "bias");
    if (mil_grad_wants(g, bias)) {
        const int32_t axes[] = {0, 2, 3, 4}; /* all but the channels */
        mil_grad_add(g, bias, mil_reduce_sum(g->b, d_results[0], 1 + s.n_spatial, axes, false));
    }
    if (is_pointwise(&s))
        pointwise(g, op, &s, d_results[0]);
    else
        general(g, op, &s, d_results[0]);
    return true;
}
