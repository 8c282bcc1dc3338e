/* Differentiating whole programs: networks, random ones, what is kept, what is refused. */
#include "support/gradcheck.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>

/* ---- networks ------------------------------------------------------------------------------------------ */

CASE(mlp, -1, 1, {
    mil_value x = mil_input(f, "x", T(3, 4)), w1 = mil_param(f, "w1", T(5, 4)), b1 = mil_param(f, "b1", T(5)),
              w2 = mil_param(f, "w2", T(2, 5));
    mil_value h = mil_linear(f, x, w1, b1);
    mil_output(f, "hidden", h);
    OUT(mil_softmax(f, mil_linear(f, mil_tanh(f, h), w2, MIL_NONE), -1));
})
/* Parameters used twice, once as a table and once as a product: rows add up. */
CASE(tied, -1, 1, {
    mil_value w = mil_param(f, "w", T(3, 2)), i = mil_input(f, "i", mil_tensor(MIL_INT32, 1, D(4)));
    OUT(mil_linear(f, mil_silu(f, mil_gather(f, w, i, 0)), w, MIL_NONE));
})
CASE(unused, -1, 1, {
    mil_value x = mil_input(f, "x", T(2, 3));
    mil_input(f, "idle", T(2));
    mil_input(f, "idle_scalar", mil_scalar(MIL_FP64));
    mil_param(f, "idle_param", T(3));
    OUT(mil_exp(f, x));
})

/* A sum's derivative is one number for many elements; what was broadcast must count each of them. */
CASE(sum_of_broadcast, -1, 1, {
    mil_value x = mil_input(f, "x", T(2, 1, 3)), w = mil_param(f, "w", T(4, 1));
    mil_value h = mil_add(f, mil_mul(f, x, x), mil_silu(f, w));
    mil_output(f, "all", mil_reduce_mean(f, h, 0, NULL, false));
    mil_output(f, "some", mil_exp(f, mil_reduce_sum(f, h, 2, I(0, 1), true)));
})
/* Forward names that look like backward's own. */
CASE(names, -1, 1, {
    mil_value x = mil_input(f, "x", T(2, 3)), w = mil_param(f, "d_w", T(3, 3)),
              v = mil_param(f, "v", T(3, 3));
    mil_value h = mil_name(f, mil_softmax(f, mil_matmul(f, x, w, false, false), -1), "d_y");
    mil_value k = mil_name(f, mil_softmax(f, mil_matmul(f, h, w, false, false), -1), "d_x");
    mil_value m = mil_matmul(f, mil_silu(f, mil_mul(f, h, k)), v, false, false);
    OUT(m);
})

/* Llama's block on [1, C, 1, S]: RMSNorm, rotary embedding, grouped queries, SwiGLU. */
enum { DIM = 8, HEADS = 2, KV = 1, SIZE = 4, HIDDEN = 12, SEQ = 5 };

static mil_value rms_norm(mil_function *f, mil_value x, const char *name) {
    mil_value ms = mil_reduce_mean(f, mil_mul(f, x, x), 1, I(1), true); /* [1, 1, 1, S] */
    mil_value r = mil_name(f, mil_rsqrt(f, ms, 1e-5), strcmp(name, "norm1") == 0 ? "r1" : "r2");
    return mil_mul(f, mil_mul(f, x, r), mil_param(f, name, T(1, DIM, 1, 1)));
}

static mil_value rotate(mil_function *f, mil_value x, int heads, mil_value cos, mil_value sin) {
    x = mil_reshape(f, x, 4, D(1, heads, SIZE, SEQ));
    mil_value a = mil_slice_by_size(f, x, I(0, 0, 0, 0), I(1, heads, SIZE / 2, SEQ)),
              b = mil_slice_by_size(f, x, I(0, 0, SIZE / 2, 0), I(1, heads, SIZE / 2, SEQ));
    mil_value parts[] = {mil_sub(f, mil_mul(f, a, cos), mil_mul(f, b, sin)),
        mil_add(f, mil_mul(f, b, cos), mil_mul(f, a, sin))};
    return mil_concat(f, 2, parts, 2); /* [1, heads, SIZE, S] */
}

static mil_value project(mil_function *f, mil_value x, const char *name, int64_t out, int64_t in_channels) {
    return mil_conv(f, x, mil_param(f, name, T(out, in_channels, 1, 1)));
}

static void build_llama(mil_function *f) {
    mil_value x = mil_input(f, "x", T(1, DIM, 1, SEQ));
    mil_value cos = mil_input(f, "rope_cos", T(SIZE / 2, SEQ)),
              sin = mil_input(f, "rope_sin", T(SIZE / 2, SEQ)), mask = mil_input(f, "mask", T(SEQ, SEQ));
    mil_value n1 = rms_norm(f, x, "norm1");
    mil_value q = mil_name(f, rotate(f, project(f, n1, "wq", HEADS * SIZE, DIM), HEADS, cos, sin), "q");
    mil_value k = mil_name(f, rotate(f, project(f, n1, "wk", KV * SIZE, DIM), KV, cos, sin), "k");
    mil_value v = mil_name(f, project(f, n1, "wv", KV * SIZE, DIM), "v");
    mil_value keys = mil_tile(f, k, I(1, HEADS / KV, 1, 1));
    mil_value values = mil_tile(f, mil_reshape(f, v, 4, D(1, KV, SIZE, SEQ)), I(1, HEADS / KV, 1, 1));
    mil_value scores = mil_mul_scalar(f, mil_matmul(f, q, keys, true, false), 0.5); /* [1, HEADS, S, S] */
    mil_value p = mil_name(f, mil_softmax(f, mil_add(f, scores, mask), -1), "p");
    mil_value o = mil_name(f, mil_matmul(f, values, p, false, true), "o"); /* [1, HEADS, SIZE, S] */
    o = mil_reshape(f, o, 4, D(1, HEADS * SIZE, 1, SEQ));
    mil_value x2 = mil_name(f, mil_add(f, x, project(f, o, "wo", DIM, HEADS * SIZE)), "x2");
    mil_value n2 = rms_norm(f, x2, "norm2");
    mil_value h1 = mil_name(f, project(f, n2, "w1", HIDDEN, DIM), "h1"),
              h3 = mil_name(f, project(f, n2, "w3", HIDDEN, DIM), "h3");
    mil_value gate = mil_mul(f, mil_silu(f, h1), h3);
    OUT(mil_add(f, x2, project(f, gate, "w2", DIM, HIDDEN)));
}

static void test_llama(void **state) {
    (void)state;
    check(build_llama, -1, 1);
}

static bool has_tap(const mil_gradient *g, const char *name) {
    for (int i = 0; i < g->n_taps; i++)
        if (strcmp(g->taps[i], name) == 0) return true;
    return false;
}

/* The taps decide how much memory training takes. */
static void test_llama_taps(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    build_llama(f);
    const char *wrt[] = {"x"};
    mil_gradient *g =
        mil_differentiate(f, &(mil_grad_options){.n_wrt = 1, .wrt = wrt, .recompute_cheap = true}, &e);
    assert_ok(g, &e);
    const char *expected[] = {"r1", "q", "k", "v", "p", "o", "x2", "r2", "h1", "h3"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!has_tap(g, expected[i])) fail_msg("%s is no tap", expected[i]);
    assert_int_equal(g->n_taps, sizeof expected / sizeof *expected);
    int products = 0;
    for (int i = 0; i < g->n_param_grads; i++) products += g->param_grads[i].is_product;
    assert_int_equal(products, 7);
    assert_int_equal(g->n_param_grads, 9); /* and two norms */
    assert_int_equal(mil_find(g->backward->functions[0], "d_rope_cos"), MIL_NONE);
    mil_gradient_free(g);
    mil_program_free(p);
}

/* What forward gives out anyway is no tap, even if it could be smaller than what is. */
static void test_output_is_no_tap(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value k = mil_const_float(f, MIL_FP64, 0.5);
    mil_value h = mil_matmul(f, mil_input(f, "x", T(2, 1)), mil_reshape(f, k, 2, D(1, 1)), false, false);
    mil_value large = mil_tile(f, h, I(4, 3)); /* could be made again of h */
    mil_output(f, "large", large);
    mil_output(f, "y", mil_mul(f, large, large));
    for (int cheap = 0; cheap < 2; cheap++) {
        mil_gradient *g = mil_differentiate(f, &(mil_grad_options){.recompute_cheap = cheap}, &e);
        assert_ok(g, &e);
        assert_int_equal(g->n_taps, 0);
        mil_gradient_free(g);
    }
    mil_program_free(p);
}

/* A product is kept as it comes, not turned: its transpose costs a copy, doing it again mostly nothing. Where the transpose is
 * an output anyway nothing is kept. */
static void test_product_is_kept_as_it_comes(void **state) {
    (void)state;
    for (int is_output = 0; is_output < 2; is_output++) {
        ane_error e = {0};
        mil_program *p = mil_program_new(MIL_IOS18, &e);
        mil_function *f = mil_function_new(p, "main");
        mil_value x = mil_input(f, "x", T(2, 3, 4)), w = mil_input(f, "w", T(2, 4, 5));
        mil_value product = mil_name(f, mil_matmul(f, x, w, false, false), "product");
        mil_value turned = mil_name(f, mil_transpose(f, product, I(0, 2, 1)), "turned");
        mil_output(f, "y", mil_mul(f, turned, turned));
        if (is_output) mil_output(f, "t", turned);
        const char *wrt[] = {"x"};
        mil_gradient *g =
            mil_differentiate(f, &(mil_grad_options){.n_wrt = 1, .wrt = wrt, .recompute_cheap = true}, &e);
        assert_ok(g, &e);
        assert_int_equal(g->n_taps, is_output ? 0 : 1);
        if (!is_output) assert_true(has_tap(g, "product"));
        mil_gradient_free(g);
        mil_program_free(p);
    }
}

/* A constant that only a blob file holds stays one in backward; a loaded one has its value there too. */
static void test_blob_constant(void **state) {
    (void)state;
    ane_error e = {0};
    for (int loaded = 0; loaded < 2; loaded++) {
        mil_program *p = mil_program_new(MIL_IOS18, &e);
        mil_function *f = mil_function_new(p, "main");
        mil_value x = mil_input(f, "x", T(2)), k = mil_const_blob(f, T(2), "@model_path/weights/k.bin", 64);
        const double value[] = {3, 5};
        if (loaded) f->values[k].constant->data = value;
        OUT(mil_mul(f, x, k));
        mil_gradient *g = mil_differentiate(f, &(mil_grad_options){.n_wrt = 0}, &e);
        assert_ok(g, &e);
        const mil_function *b = g->backward->functions[0];
        const mil_constant *found = NULL;
        for (int v = 0; v < b->n_values; v++)
            if (b->values[v].constant && b->values[v].constant->blob_path) found = b->values[v].constant;
        assert_non_null(found);
        assert_string_equal(found->blob_path, "@model_path/weights/k.bin");
        assert_int_equal(found->blob_offset, 64);
        assert_true(loaded ? memcmp(found->data, value, sizeof value) == 0 : found->data == NULL);
        mil_gradient_free(g);
        mil_program_free(p);
    }
}

/* ---- random programs ----------------------------------------------------------------------------------- */

/* Twelve operations over what there is so far, every value of shape [2, 3, 4] or one that broadcasts to it: values are
 * used many times, sums of derivatives come in every order, signs and broadcasts meet. */
static ane_rng dice;

static mil_value any(const mil_value *pool, int n) {
    return pool[ane_rng_below(&dice, (uint64_t)n)];
}

static mil_value random_step(mil_function *f, const mil_value *pool, int n) {
    mil_value x = any(pool, n), y = any(pool, n), whole = pool[2]; /* of full shape */
    switch (ane_rng_below(&dice, 10)) {
    case 0: return mil_add(f, x, y);
    case 1: return mil_sub(f, x, y);
    case 2: return mil_mul(f, mil_tanh(f, x), y);
    case 3: return mil_sigmoid(f, mil_sub(f, y, x));
    case 4: return mil_cos(f, x);
    case 5: return mil_reduce_mean(f, mil_add(f, x, whole), 1, I(1), true);
    case 6: return mil_mul(f, mil_reduce_sum(f, mil_sub(f, whole, x), 2, I(0, 2), true), y);
    case 7: return mil_softmax(f, mil_sub(f, whole, x), 2);
    case 8: {
        mil_value full = mil_sub(f, whole, x), half[2];
        mil_split(f, full, 2, 2, half);
        return mil_concat(f, 2, (mil_value[]){mil_sub(f, half[1], half[0]), half[0]}, 2);
    }
    default: return mil_matmul(f, mil_add(f, x, whole), mil_find(f, "w"), false, ane_rng_below(&dice, 2));
    }
}

static void build_random(mil_function *f) {
    mil_value pool[16] = {
        mil_input(f, "a", T(2, 1, 4)), mil_input(f, "b", T(3, 1)), mil_input(f, "c", T(2, 3, 4))};
    mil_param(f, "w", T(4, 4));
    for (int n = 3; n < 15; n++) pool[n] = random_step(f, pool, n);
    OUT(pool[14]);
    mil_output(f, "z", mil_sub(f, pool[13], pool[12]));
}

static void test_random(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        dice = ane_rng_new(seed, 1);
        check(build_random, -1, 1);
    }
}

/* Weights that are unpacked when compiling are unpacked in backward too, not handed over. */
static void test_constexpr_weight(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    const int8_t packed[] = {1, -2, 3, 4, 5, -6};
    mil_value data = mil_const_data(f, mil_tensor(MIL_INT8, 4, D(2, 3, 1, 1)), packed),
              zero = mil_const_data(f, mil_scalar(MIL_INT8), packed),
              scale = mil_const_float(f, MIL_FP64, 0.5), axis = mil_const_int(f, 0);
    mil_value w = call(f, "constexpr_affine_dequantize", 4,
        (mil_named_arg[]){{"quantized_data", 1, &data}, {"zero_point", 1, &zero}, {"scale", 1, &scale},
            {"axis", 1, &axis}});
    OUT(mil_conv(f, mil_input(f, "x", T(1, 3, 1, 2)), w));
    setup s;
    setup_new(&s, f, -1, 1, 3);
    check_gradient(&s, &(mil_grad_options){.n_wrt = 0});
    setup_free(&s);
    mil_gradient *g = mil_differentiate(f, NULL, &e);
    assert_ok(g, &e);
    assert_int_equal(g->n_taps, 0);
    mil_gradient_free(g);
    mil_program_free(p);
}

/* ---- ties, refusals ------------------------------------------------------------------------------------ */

/* Equal operands share: half each for maximum and minimum, evenly for reduce_max. */
static void test_ties(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", T(2)), z = mil_input(f, "z", T(2));
    mil_output(f, "a", mil_maximum(f, x, z));
    mil_output(f, "b", mil_reduce_max(f, x, 0, NULL, false));
    mil_output(f, "c", mil_minimum(f, x, z));
    mil_gradient *g = mil_differentiate(f, &(mil_grad_options){.recompute_cheap = true}, &e);
    assert_ok(g, &e);
    const mil_function *b = g->backward->functions[0];
    double same[] = {3, 3}, other[] = {3, 1}, da[] = {1, 1}, db[] = {10}, dc[] = {100, 100};
    mil_array inputs[8];
    for (int i = 0; i < b->n_inputs; i++) {
        const char *name = b->values[b->inputs[i]].name;
        inputs[i] = (mil_array){b->values[b->inputs[i]].type, strcmp(name, "d_a") == 0   ? da
                                                              : strcmp(name, "d_b") == 0 ? db
                                                              : strcmp(name, "d_c") == 0 ? dc
                                                              : strcmp(name, "x") == 0   ? same
                                                              : strcmp(name, "z") == 0   ? other
                                                                                         : same};
    }
    mil_array *d = evaluate(b, inputs, 0, NULL);
    assert_true(d[0].data[0] == 0.5 + 5 + 50 && d[0].data[1] == 1 + 5);
    assert_true(d[1].data[0] == 0.5 + 50 && d[1].data[1] == 100);
    free_arrays(d, b->n_outputs);
    mil_gradient_free(g);
    mil_program_free(p);
}

static void refuse(build_fn *build, const mil_grad_options *o, ane_code code, const char *part) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    build(f);
    assert_ok(mil_program_ok(p, &e), &e);
    assert_null(mil_differentiate(f, o, &e));
    assert_error(&e, code, part);
    mil_program_free(p);
}

static void build_comparison(mil_function *f) {
    mil_value x = mil_input(f, "x", T(2, 3));
    OUT(mil_mul(f, x, mil_cast(f, mil_greater(f, x, mil_const_float(f, MIL_FP64, 0)), MIL_FP64)));
}

static void build_quantized(mil_function *f) {
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 1, D(4)));
    mil_value scale = mil_const_float(f, MIL_FP32, 0.5);
    OUT(mil_dequantize(f, mil_quantize(f, x, MIL_INT8, scale, MIL_NONE), scale, MIL_NONE));
}

static void build_scatter_mul(mil_function *f) {
    mil_value i = mil_const_ints(f, 2, I(0, 1));
    OUT(mil_scatter(f, mil_input(f, "x", T(3)), i, mil_input(f, "u", T(2)), 0, "mul"));
}

static void build_truncated(mil_function *f) {
    OUT(mil_cast(f, mil_cast(f, mil_input(f, "x", T(3)), MIL_INT32), MIL_FP64));
}

static void build_batched_gather(mil_function *f) {
    mil_value x = mil_input(f, "x", T(2, 3)), i = mil_input(f, "i", mil_tensor(MIL_INT32, 2, D(2, 2)));
    mil_value axis = mil_const_int(f, 1), one = mil_const_int(f, 1);
    OUT(call(f, "gather", 4,
        (mil_named_arg[]){{"x", 1, &x}, {"indices", 1, &i}, {"axis", 1, &axis}, {"batch_dims", 1, &one}}));
}

static void test_refusals(void **state) {
    (void)state;
    mil_grad_options all = {0};
    refuse(build_comparison, &all, ANE_ERROR_UNSUPPORTED, "greater has no gradient");
    refuse(build_quantized, &all, ANE_ERROR_UNSUPPORTED, "dequantize has no gradient");
    refuse(build_scatter_mul, &all, ANE_ERROR_UNSUPPORTED, "scatter has no gradient");
    refuse(build_truncated, &all, ANE_ERROR_UNSUPPORTED, "cast has no gradient");
    refuse(build_batched_gather, &all, ANE_ERROR_UNSUPPORTED, "batch_dims");
    const char *nobody[] = {"nobody"}, *i[] = {"i"};
    refuse(build_tied, &(mil_grad_options){.n_wrt = 1, .wrt = nobody}, ANE_ERROR_ARGUMENT, "nobody");
    refuse(build_tied, &(mil_grad_options){.n_wrt = 1, .wrt = i}, ANE_ERROR_TYPE, "int32");
}

/* What does not depend on the chosen inputs may be anything. */
static void test_wrt(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", T(3)), gate = mil_input(f, "gate", T(3));
    mil_value open = mil_cast(f, mil_greater(f, gate, mil_const_float(f, MIL_FP64, 0)), MIL_FP64);
    OUT(mil_mul(f, mil_mul(f, x, x), open));
    const char *wrt[] = {"x"};
    mil_gradient *g =
        mil_differentiate(f, &(mil_grad_options){.n_wrt = 1, .wrt = wrt, .recompute_cheap = true}, &e);
    assert_ok(g, &e);
    assert_int_equal(g->n_taps, 0);
    assert_int_equal(g->backward->functions[0]->n_outputs, 1);
    mil_gradient_free(g);
    mil_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {TEST(mlp), TEST(tied), TEST(unused), TEST(sum_of_broadcast),
        TEST(names), TEST(output_is_no_tap), TEST(product_is_kept_as_it_comes), TEST(constexpr_weight),
        TEST(random), TEST(blob_constant), TEST(llama), TEST(llama_taps), TEST(ties), TEST(refusals),
        TEST(wrt)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
