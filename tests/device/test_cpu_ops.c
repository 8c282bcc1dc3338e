/* Every operation on the CPU device, against the reference interpreter: each vector path, fp32 and fp16, over
 * views, transposes and broadcasts. */
#include "device/compare.h"
#include "device/cpu/vector.h"

#include <stdio.h>

#define SHAPE(...)                                                                                           \
    (int64_t[]) {                                                                                            \
        __VA_ARGS__                                                                                          \
    }
#define INTS(...)                                                                                            \
    (int32_t[]) {                                                                                            \
        __VA_ARGS__                                                                                          \
    }

typedef struct example {
    const char *name;
    void (*build)(mil_function *f, mil_dtype t);
    compare_range range;
    double tolerance; /* fp32, relative above 1 */
    double fp16;      /* fp16: what sums may differ by beyond one unit in the last place; < 0: bit-equal */
} example;

static mil_value in(mil_function *f, const char *name, mil_dtype t, int rank, const int64_t *dim) {
    return mil_input(f, name, mil_tensor(t, rank, dim));
}

/* ---- element by element -------------------------------------------------------------------------------- */

static void out_each(mil_function *f, int n, const mil_value *v) {
    char name[16];
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "y%d", i);
        mil_output(f, name, v[i]);
    }
}

static void unary(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 3, SHAPE(3, 7, 37));
    mil_value v[] = {mil_exp(f, x), mil_sin(f, x), mil_cos(f, x), mil_sigmoid(f, x), mil_silu(f, x),
        mil_tanh(f, x), mil_relu(f, x), mil_erf(f, x), mil_abs(f, x), mil_gelu(f, x, "EXACT"),
        mil_gelu(f, x, "TANH_APPROXIMATION"), mil_gelu(f, x, "SIGMOID_APPROXIMATION"),
        mil_pow_scalar(f, x, 2), mil_identity(f, x)};
    out_each(f, 14, v);
}

static void positive_unary(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 2, SHAPE(5, 201));
    mil_value v[] = {mil_log(f, x, 1e-6), mil_sqrt(f, x), mil_rsqrt(f, x, 1e-5), mil_inverse(f, x, 1e-4),
        mil_pow_scalar(f, x, -0.5), mil_pow_scalar(f, x, 1.7)};
    out_each(f, 6, v);
}

static void binary(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 3, SHAPE(3, 5, 33)), y = in(f, "y", t, 3, SHAPE(3, 5, 33));
    mil_value safe = mil_add_scalar(f, mil_abs(f, y), 0.5);
    mil_value v[] = {mil_add(f, x, y), mil_sub(f, x, y), mil_mul(f, x, y), mil_real_div(f, x, safe),
        mil_maximum(f, x, y), mil_minimum(f, x, y), mil_pow(f, safe, x)};
    out_each(f, 7, v);
}

static void broadcast(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 4, SHAPE(2, 3, 4, 33)), row = in(f, "row", t, 1, SHAPE(33)),
              column = in(f, "column", t, 3, SHAPE(3, 1, 1)), one = in(f, "one", t, 0, NULL),
              middle = in(f, "middle", t, 4, SHAPE(2, 1, 4, 1));
    mil_value a = mil_mul(f, mil_add(f, x, row), column), b = mil_sub(f, one, mil_mul(f, a, middle));
    mil_output(f, "y", b);
    mil_output(f, "outer", mil_mul(f, row, column));
    mil_output(f, "small", mil_add(f, mil_mul(f, column, one), one));
}

static void compare_ops(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 2, SHAPE(9, 31)), y = in(f, "y", t, 2, SHAPE(9, 31));
    mil_value zero = mil_const_float(f, t, 0), less = mil_less(f, x, y);
    mil_value v[] = {mil_select(f, less, x, y), mil_select(f, mil_greater(f, x, zero), x, zero),
        mil_cast(f, mil_greater_equal(f, x, y), t), less, mil_equal(f, x, x), mil_cast(f, x, MIL_BOOL),
        mil_cast(f, mil_mul_scalar(f, x, 10), MIL_INT32)};
    out_each(f, 7, v);
}

static void integers(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", MIL_INT32, 2, SHAPE(3, 5)), y = in(f, "y", MIL_INT32, 1, SHAPE(5));
    mil_value v[] = {mil_add(f, x, y), mil_mul(f, x, y), mil_cast(f, x, t), mil_transpose(f, x, INTS(1, 0)),
        mil_greater(f, x, y), mil_concat(f, 2, (mil_value[]){x, x}, 0)};
    out_each(f, 6, v);
}

/* ---- products ------------------------------------------------------------------------------------------ */

static void matmuls(mil_function *f, mil_dtype t) {
    mil_value a = in(f, "a", t, 3, SHAPE(2, 17, 9)), b = in(f, "b", t, 3, SHAPE(2, 9, 13)),
              at = in(f, "at", t, 3, SHAPE(2, 9, 17)), bt = in(f, "bt", t, 3, SHAPE(2, 13, 9)),
              shared = in(f, "shared", t, 2, SHAPE(9, 13)), row = in(f, "row", t, 3, SHAPE(2, 1, 9)),
              column = in(f, "column", t, 3, SHAPE(2, 9, 1));
    mil_value v[] = {mil_matmul(f, a, b, false, false), mil_matmul(f, at, b, true, false),
        mil_matmul(f, a, bt, false, true), mil_matmul(f, at, bt, true, true),
        mil_matmul(f, a, shared, false, false), mil_matmul(f, row, b, false, false),
        mil_matmul(f, a, column, false, false), mil_matmul(f, row, bt, false, true),
        mil_concat(f, 2,
            (mil_value[]){mil_matmul(f, a, shared, false, false), mil_matmul(f, a, b, false, false)}, 1)};
    out_each(f, 9, v);
}

/* Operands and results that are views: heads of an attention lie inside [1, C, 1, S]. */
static void matmul_views(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 4, SHAPE(1, 24, 1, 10)), y = in(f, "y", t, 4, SHAPE(1, 24, 1, 10));
    mil_value q =
        mil_transpose(f, mil_reshape(f, x, 4, SHAPE(1, 3, 8, 10)), INTS(0, 1, 3, 2)); /* [1, 3, 10, 8] */
    mil_value k = mil_transpose(f, mil_reshape(f, y, 4, SHAPE(1, 3, 8, 10)), INTS(0, 1, 3, 2));
    mil_value s = mil_matmul(f, q, k, false, true);                                      /* [1, 3, 10, 10] */
    mil_value o = mil_transpose(f, mil_matmul(f, s, q, false, false), INTS(0, 1, 3, 2)); /* [1, 3, 8, 10] */
    mil_output(f, "scores", s);
    mil_output(f, "y0", mil_reshape(f, o, 4, SHAPE(1, 24, 1, 10)));
    mil_value strided = mil_slice_by_index(f, s, INTS(0, 0, 0, 0), INTS(1, 3, 10, 10), INTS(1, 1, 2, 2));
    mil_output(f, "strided", mil_matmul(f, strided, strided, false, true));
}

static void convs(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 4, SHAPE(2, 6, 3, 5)),
              w = mil_param(f, "w", mil_tensor(t, 4, SHAPE(8, 6, 1, 1))),
              grouped = mil_param(f, "grouped", mil_tensor(t, 4, SHAPE(4, 3, 1, 1))),
              w3 = mil_param(f, "w3", mil_tensor(t, 4, SHAPE(4, 6, 3, 3))),
              bias = mil_param(f, "bias", mil_tensor(t, 1, SHAPE(8))),
              x1 = in(f, "x1", t, 3, SHAPE(1, 6, 11)),
              w1 = mil_param(f, "w1", mil_tensor(t, 3, SHAPE(5, 6, 1)));
    mil_conv_options plain = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .bias = MIL_NONE},
                     with_bias = plain, groups = plain, same = plain, strided = plain;
    with_bias.bias = bias;
    groups.groups = 2;
    same.pad_type = "same";
    strided.stride[0] = strided.stride[1] = 2;
    mil_value v[] = {mil_conv(f, x, w), mil_conv_with(f, x, w, &with_bias),
        mil_conv_with(f, x, grouped, &groups), mil_conv_with(f, x, w3, &same),
        mil_conv_with(f, x, w, &strided), mil_conv(f, x1, w1)};
    out_each(f, 6, v);
}

static void linears(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 3, SHAPE(2, 5, 12)), row = in(f, "row", t, 1, SHAPE(12));
    mil_value w = mil_param(f, "w", mil_tensor(t, 2, SHAPE(7, 12))),
              b = mil_param(f, "b", mil_tensor(t, 1, SHAPE(7)));
    mil_value v[] = {mil_linear(f, x, w, b), mil_linear(f, x, w, MIL_NONE),
        mil_linear(f, mil_reshape(f, row, 2, SHAPE(1, 12)), w, b)};
    out_each(f, 3, v);
}

static void attention(mil_function *f, mil_dtype t) {
    mil_value q = in(f, "q", t, 4, SHAPE(1, 2, 5, 8)), k = in(f, "k", t, 4, SHAPE(1, 2, 7, 8)),
              v = in(f, "v", t, 4, SHAPE(1, 2, 7, 6)), mask = in(f, "mask", t, 4, SHAPE(1, 1, 5, 7)),
              keep = in(f, "keep", MIL_BOOL, 4, SHAPE(1, 1, 5, 7));
    mil_output(f, "y0", mil_scaled_dot_product_attention(f, q, k, v, MIL_NONE));
    mil_output(f, "y1", mil_scaled_dot_product_attention(f, q, k, v, mask));
    mil_output(f, "y2", mil_scaled_dot_product_attention(f, q, k, v, keep));
}

/* ---- over axes ----------------------------------------------------------------------------------------- */

static void reductions(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 4, SHAPE(2, 19, 3, 45)), xt = mil_transpose(f, x, INTS(0, 3, 2, 1));
    mil_value v[] = {mil_reduce_sum(f, x, 1, INTS(1), true), mil_reduce_mean(f, x, 1, INTS(-1), false),
        mil_reduce_max(f, x, 2, INTS(1, 3), true), mil_reduce_sum(f, x, 4, INTS(0, 1, 2, 3), false),
        mil_reduce_mean(f, xt, 1, INTS(1), true), mil_reduce_max(f, xt, 1, INTS(3), false),
        mil_reduce_sum(f, mil_mul(f, x, x), 2, INTS(0, 2), false),
        mil_reduce_mean(f, mil_exp(f, x), 1, INTS(3), true), mil_reduce_max(f, x, 1, INTS(0), true)};
    out_each(f, 9, v);
}

static void softmaxes(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 3, SHAPE(3, 70, 41)), xt = mil_transpose(f, x, INTS(2, 0, 1));
    mil_value v[] = {mil_softmax(f, x, -1), mil_softmax(f, x, 1), mil_softmax(f, x, 0), mil_softmax(f, xt, 0),
        mil_softmax(f, xt, 1),
        mil_softmax(f, mil_slice_by_index(f, x, INTS(0, 0, 0), INTS(3, 70, 41), INTS(1, 2, 2)), 2)};
    out_each(f, 6, v);
}

static void layer_norms(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 4, SHAPE(1, 24, 1, 10)), g = mil_param(f, "g", mil_tensor(t, 1, SHAPE(24))),
              b = mil_param(f, "b", mil_tensor(t, 1, SHAPE(24)));
    mil_value v[] = {mil_layer_norm(f, x, 1, INTS(1), g, b, 1e-5),
        mil_layer_norm(f, x, 1, INTS(1), g, MIL_NONE, 1e-5),
        mil_layer_norm(f, x, 1, INTS(1), MIL_NONE, b, 1e-5),
        mil_layer_norm(f, x, 1, INTS(-1), MIL_NONE, MIL_NONE, 1e-5)};
    out_each(f, 4, v);
}

/* RMSNorm channel-first, and what follows it: reductions, their broadcast, several readers of each value. */
static void rms_norm(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 4, SHAPE(1, 48, 1, 70)),
              w = mil_param(f, "w", mil_tensor(t, 4, SHAPE(1, 48, 1, 1)));
    mil_value r = mil_rsqrt(f, mil_reduce_mean(f, mil_mul(f, x, x), 1, INTS(1), true), 1e-5);
    mil_value n = mil_mul(f, mil_mul(f, x, r), w), g = mil_mul(f, mil_silu(f, n), x);
    mil_value dot = mil_reduce_sum(f, mil_mul(f, g, n), 1, INTS(1), true);
    mil_output(f, "y0", mil_sub(f, g, mil_mul(f, n, mil_mul_scalar(f, dot, 1.0 / 48))));
    mil_output(f, "y1", mil_reduce_sum(f, mil_mul(f, g, n), 1, INTS(3), true));
}

/* ---- moving -------------------------------------------------------------------------------------------- */

static void moves(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 3, SHAPE(4, 6, 10)), parts[3];
    mil_split(f, x, 3, 1, parts);
    mil_value tr = mil_transpose(f, x, INTS(2, 0, 1));
    mil_value v[] = {mil_reshape(f, tr, 2, SHAPE(5, 48)), tr, mil_expand_dims(f, x, 2, INTS(0, 3)),
        mil_slice_by_size(f, x, INTS(1, 2, 3), INTS(2, 3, -1)),
        mil_slice_by_index(f, x, INTS(0, 5, 1), INTS(4, 0, 9), INTS(2, -2, 3)), parts[1],
        mil_concat(f, 3, (mil_value[]){parts[2], mil_mul(f, parts[0], parts[1]), parts[0]}, 2),
        mil_tile(f, x, INTS(2, 1, 3)), mil_pad(f, x, INTS(0, 0, 1, 2, 3, 0), 0.5),
        mil_squeeze(f, mil_expand_dims(f, x, 1, INTS(1)), 1, INTS(1)),
        mil_silu(f, mil_slice_by_index(f, x, INTS(0, 0, 0), INTS(4, 6, 10), INTS(1, 1, 3)))};
    out_each(f, 11, v);
}

/* The rotary embedding: halves of each head, turned, put side by side again in place. */
static void rotary(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 4, SHAPE(1, 32, 1, 12)), c = in(f, "c", t, 4, SHAPE(1, 1, 4, 12)),
              s = in(f, "s", t, 4, SHAPE(1, 1, 4, 12)), half[2];
    mil_value h = mil_reshape(f, x, 4, SHAPE(1, 4, 8, 12));
    mil_split(f, h, 2, 2, half);
    mil_value a = mil_sub(f, mil_mul(f, half[0], c), mil_mul(f, half[1], s));
    mil_value b = mil_add(f, mil_mul(f, half[1], c), mil_mul(f, half[0], s));
    mil_value turned = mil_concat(f, 2, (mil_value[]){a, b}, 2);
    mil_output(f, "y0", mil_reshape(f, turned, 4, SHAPE(1, 32, 1, 12)));
    mil_output(f, "y1", mil_reduce_sum(f, turned, 1, INTS(2), true));
}

static void gathers(mil_function *f, mil_dtype t) {
    mil_value x = in(f, "x", t, 3, SHAPE(10, 10, 5)), i = in(f, "i", MIL_INT32, 2, SHAPE(2, 3));
    mil_value safe = mil_minimum(f, mil_maximum(f, i, mil_const_int(f, 0)), mil_const_int(f, 9));
    mil_output(f, "y0", mil_gather(f, x, safe, 0));
    mil_output(f, "y1", mil_gather(f, x, safe, 1));
    mil_output(f, "y2", mil_gather(f, mil_transpose(f, x, INTS(2, 0, 1)), safe, 1));
    mil_value flat = mil_reshape(f, safe, 1, SHAPE(6)), updates = in(f, "u", t, 3, SHAPE(6, 10, 5));
    mil_output(f, "y3", mil_scatter(f, x, flat, updates, 0, "add"));
}

/* ---- low precision ------------------------------------------------------------------------------------- */

static mil_value quantized(
    mil_function *f, const char *op, mil_value x, mil_value scale, mil_value zero, int axis) {
    mil_value place = mil_const_int(f, axis), type = mil_const_string(f, "uint8"), made = MIL_NONE;
    const mil_named_arg args[] = {{"input", 1, &x}, {"scale", 1, &scale}, {"zero_point", 1, &zero},
        {"axis", 1, &place}, {"output_dtype", 1, &type}};
    mil_call(f, op, strcmp(op, "quantize") == 0 ? 5 : 4, args, 1, &made);
    return made;
}

/* One scale for all; a scale and a zero point for each place of an axis in the middle, of a view; out of range. */
static void quantizes(mil_function *f, mil_dtype t) {
    mil_value x = mil_cast(f, in(f, "x", t, 3, SHAPE(40, 3, 70)), MIL_FP32);
    mil_value one = mil_const_float(f, MIL_FP32, 0.25);
    mil_value scales =
        mil_const_floats(f, mil_tensor(MIL_FP32, 1, SHAPE(3)), (float[]){0.5F, 0.0625F, 0.25F});
    mil_value zeros = mil_const_data(f, mil_tensor(MIL_UINT8, 1, SHAPE(3)), (uint8_t[]){0, 128, 255});
    mil_value whole = mil_quantize(f, x, MIL_INT8, one, MIL_NONE);
    mil_value turned = mil_transpose(f, x, INTS(2, 1, 0));
    mil_value each = quantized(f, "quantize", turned, scales, zeros, 1);
    mil_value v[] = {mil_dequantize(f, whole, one, MIL_NONE), mil_cast(f, whole, MIL_INT32),
        quantized(f, "dequantize", each, scales, zeros, 1), mil_cast(f, each, MIL_INT32),
        mil_concat(f, 2, (mil_value[]){x, mil_dequantize(f, whole, one, MIL_NONE)}, 1)};
    out_each(f, 5, v);
}

static const example examples[] = {
    {"unary", unary, {-6, 6}, 2e-6, 0},
    {"positive unary", positive_unary, {0.01, 9}, 2e-6, 0},
    {"binary", binary, {-3, 3}, 2e-6, 0},
    {"broadcast", broadcast, {-2, 2}, 2e-6, -1},
    {"comparisons", compare_ops, {-2, 2}, 2e-6, -1},
    {"integers", integers, {-100, 100}, 0, -1},
    {"matmul", matmuls, {-1, 1}, 2e-6, 2e-6},
    {"matmul of views", matmul_views, {-1, 1}, 4e-6, 1e-2},
    {"conv", convs, {-1, 1}, 4e-6, 2e-6},
    {"linear", linears, {-1, 1}, 2e-6, 2e-6},
    {"attention", attention, {-2, 2}, 2e-6, 2e-6},
    {"reductions", reductions, {-1, 1}, 1e-5, 1e-4},
    {"softmax", softmaxes, {-8, 8}, 2e-6, 0},
    {"layer_norm", layer_norms, {-2, 2}, 5e-6, 1e-5},
    {"rms_norm", rms_norm, {-2, 2}, 1e-5, 2e-2},
    {"moves", moves, {-2, 2}, 2e-6, 0},
    {"rotary", rotary, {-1, 1}, 2e-6, -1},
    {"gather", gathers, {0, 9}, 1e-6, 1e-5},
    {"quantize", quantizes, {-60, 60}, 0, -1},
};

static mil_program *build(const example *x, mil_dtype t) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    assert_ok(p, &e);
    x->build(mil_function_new(p, "main"), t);
    assert_ok(mil_program_ok(p, &e), &e);
    return p;
}

static void test_fp32_on_every_vector_path(void **state) {
    (void)state;
    const char *names[4];
    int n = ane_cpu_vector_names(names);
    for (int v = 0; v < n; v++)
        for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
            char spec[64];
            snprintf(spec, sizeof spec, "cpu:threads=2,vectors=%s", names[v]);
            compare_program(build(&examples[i], MIL_FP32), spec, i + 1, examples[i].range, MIL_EXACT,
                examples[i].tolerance);
        }
}

/* Ports declared in half precision hold just that; what is between them is computed in fp32. */
static void test_fp32_with_half_ports(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        compare_program(
            build(&examples[i], MIL_FP16), "cpu:threads=1", i + 1, examples[i].range, MIL_EXACT, 2e-3);
        compare_program(
            build(&examples[i], MIL_BF16), "cpu:threads=1", i + 1, examples[i].range, MIL_EXACT, 2e-2);
    }
}

/* ---- fp16: every result rounded ------------------------------------------------------------------------ */

static double fp16_unit(double x) {
    double a = fabs(x);
    return a < 0x1p-14 ? 0x1p-24 : ldexp(1, ilogb(a) - 10);
}

/* How many of the outputs' elements differ from the reference; fails when one does by more than the bound. */
static int64_t compare_fp16(compare_run *r, const example *x, int64_t *total) {
    ane_error e = {0};
    int64_t differing = 0;
    for (int i = 0; i < COMPARE_PORTS; i++) free(r->outputs[i].data);
    memset(r->outputs, 0, sizeof r->outputs);
    assert_ok(mil_evaluate(
                  r->f, MIL_ROUND_FP16, r->inputs, ane_kernel_weights(r->kernel), r->params, r->outputs, &e),
        &e);
    for (int i = 0; i < ane_kernel_outputs(r->kernel); i++) {
        ane_buffer *b = r->buffers[COMPARE_PORTS + i];
        const void *data = ane_buffer_map(b, ANE_READ, &e);
        int64_t n = mil_type_count(ane_buffer_type(b));
        *total += n;
        for (int64_t k = 0; k < n; k++) {
            double found = mil_constant_at(ane_buffer_type(b), data, k), expected = r->outputs[i].data[k];
            if (found == expected || (isnan(found) && isnan(expected))) continue;
            double bound = x->fp16 < 0 ? 0 : fp16_unit(expected) + x->fp16;
            if (!(fabs(found - expected) <= bound))
                fail_msg("%s: %s[%lld] is %.9g, expected %.9g (bound %.3g)", x->name,
                    ane_kernel_output(r->kernel, i, NULL), (long long)k, found, expected, bound);
            differing++;
        }
    }
    return differing;
}

/* Bit-equal to the reference but where an fp32 sum or a transcendental function falls on the other side of the
 * boundary between two fp16 numbers: one unit, rarely. */
static void test_fp16(void **state) {
    (void)state;
    static const mil_dtype declared[] = {MIL_FP16, MIL_FP32};
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        for (int t = 0; t < 2; t++) {
            ane_error e = {0};
            compare_run r;
            int64_t total = 0;
            mil_program *p = build(&examples[i], declared[t]);
            compare_prepare(&r, p, "cpu:threads=2,precision=fp16", i + 1, examples[i].range);
            assert_ok(ane_run(r.binding, NULL, &e), &e);
            int64_t differing = compare_fp16(&r, &examples[i], &total);
            if (differing * 100 > total && examples[i].fp16 < 1e-3)
                fail_msg("%s: %lld of %lld differ", examples[i].name, (long long)differing, (long long)total);
            compare_free(&r);
            mil_program_free(p);
        }
}

/* Operands of products in bf16: 8 bits, so a relative error of 2^-8 for each. */
static void test_bf16(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        bool sums_of_products = strstr("matmul of views", examples[i].name) != NULL;
        compare_program(build(&examples[i], MIL_FP32), "cpu:threads=2,precision=bf16", i + 1,
            examples[i].range, MIL_EXACT, sums_of_products ? 0.3 : 3e-2);
    }
}

/* A weight in another precision is staged: changing the master needs ane_weights_changed. */
static void test_weights_are_staged(void **state) {
    (void)state;
    ane_error e = {0};
    compare_run r;
    const example linear = {"linear", linears, {-1, 1}, 0, 2e-6};
    mil_program *p = build(&linear, MIL_FP16);
    compare_prepare(&r, p, "cpu:threads=2,precision=fp16", 3, linear.range);
    for (int i = 0; i < 7 * 12; i++) r.params[0].array.data[i] = r.weights[0][i] = 0.25f * (float)(i % 5);
    assert_ok(ane_weights_changed(r.binding, &e), &e);
    assert_ok(ane_run(r.binding, NULL, &e), &e);
    int64_t total = 0;
    compare_fp16(&r, &linear, &total);
    compare_free(&r);
    mil_program_free(p);
}

/* On a device that is late, a change comes in with the one after it. */
static void check_late(const char *spec, bool rounds) {
    enum { COUNT = 7 * 12 };
    ane_error e = {0};
    compare_run r;
    const example linear = {"linear", linears, {-1, 1}, 2e-6, 2e-6};
    mil_program *p = build(&linear, MIL_FP32);
    compare_prepare(&r, p, spec, 3, linear.range);
    for (int change = 1; change < 4; change++) {
        float before[COUNT];
        for (int i = 0; i < COUNT; i++) {
            before[i] = r.weights[0][i];
            r.weights[0][i] = 0.25F * (float)((i + change) % 5);
        }
        assert_ok(ane_weights_changed(r.binding, &e), &e);
        assert_ok(ane_run(r.binding, NULL, &e), &e);
        for (int i = 0; i < COUNT; i++) r.params[0].array.data[i] = before[i];
        int64_t total = 0;
        if (rounds)
            compare_fp16(&r, &linear, &total);
        else
            compare_outputs(&r, MIL_EXACT, linear.tolerance, spec);
    }
    compare_free(&r);
    mil_program_free(p);
}

static void test_weights_come_late(void **state) {
    (void)state;
    ane_error e = {0};
    check_late("cpu:threads=2,weights=late", false);
    check_late("cpu:threads=2,precision=fp16,weights=late", true);
    assert_null(ane_device_open("cpu:precision=bf16,weights=late", &e));
    assert_error(&e, ANE_ERROR_UNSUPPORTED, "weights=late is for precision=fp32 and fp16 only");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fp32_on_every_vector_path),
        cmocka_unit_test(test_fp32_with_half_ports),
        cmocka_unit_test(test_fp16),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_weights_are_staged),
        cmocka_unit_test(test_weights_come_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
