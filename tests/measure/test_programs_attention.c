/* The attention programs by the interpreter: each way of dividing the work gives what the whole gives. */
#include "measure/programs_attention.h"
#include "support/support.h"

#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 2, E = 4, D = N * E, F = 16, S = 8, MOST = 4096 };
static const ane_attention_shape plain = {N, E, F, S, false, MIL_FP32}, causal = {N, E, F, S, true, MIL_FP32};

static void fill(float *x, int n, uint64_t seed) {
    ane_rng rng = ane_rng_new(seed, 0);
    for (int i = 0; i < n; i++) x[i] = (float)ane_rng_normal(&rng);
}

/* The program's only output, of its inputs in order; the program is freed. */
static int evaluate(mil_program *p, const float *const *inputs, float *y) {
    ane_error e = {0};
    assert_non_null(p);
    const mil_function *f = mil_program_function(p, NULL);
    mil_array in[4] = {0}, out = {0};
    for (int i = 0; i < f->n_inputs; i++) {
        in[i].type = *mil_type_of(f, f->inputs[i]);
        int64_t n = mil_type_count(&in[i].type);
        in[i].data = calloc((size_t)n, sizeof(double));
        for (int64_t k = 0; k < n; k++) in[i].data[k] = inputs[i][k];
    }
    assert_ok(mil_evaluate(f, MIL_EXACT, in, 0, NULL, &out, &e), &e);
    int n = (int)mil_type_count(&out.type);
    assert_true(n <= MOST);
    for (int k = 0; k < n; k++) y[k] = (float)out.data[k];
    for (int i = 0; i < f->n_inputs; i++) free(in[i].data);
    free(out.data);
    mil_program_free(p);
    return n;
}

static void test_one_operation_is_the_same_written_out(void **state) {
    (void)state;
    ane_error e = {0};
    float x[3 * N * S * E], a[MOST], b[MOST];
    fill(x, 3 * N * S * E, 1);
    const float *const qkv[] = {x, x + N * S * E, x + 2 * N * S * E}, *const packed[] = {x};
    int n = evaluate(ane_program_decomposed(&plain, &e), qkv, a);
    assert_int_equal(n, N * S * E);
    evaluate(ane_program_sdpa(&plain, &e), qkv, b);
    assert_close(b, a, n, 1e-6);
    evaluate(ane_program_sdpa_packed(&plain, &e), packed, b);
    assert_close(b, a, n, 1e-6);
}

/* Over rows of n. */
static void softmax(float *x, int rows, int n, float scale) {
    for (int r = 0; r < rows; r++, x += n) {
        float sum = 0;
        for (int i = 0; i < n; i++) sum += x[i] = expf(scale * x[i]);
        for (int i = 0; i < n; i++) x[i] /= sum;
    }
}

static void test_products_with_a_softmax_between_are_attention(void **state) {
    (void)state;
    ane_error e = {0};
    float x[3 * N * S * E], scores[MOST], whole[MOST], y[MOST];
    fill(x, 3 * N * S * E, 2);
    const float *const qkv[] = {x, x + N * S * E, x + 2 * N * S * E};
    evaluate(ane_program_scores(&plain, &e), qkv, scores);
    softmax(scores, N * S, S, 1 / sqrtf(E));
    const float *const mixed[] = {scores, qkv[2]};
    int n = evaluate(ane_program_mix(&plain, &e), mixed, y);
    evaluate(ane_program_decomposed(&plain, &e), qkv, whole);
    assert_close(y, whole, n, 1e-5);
}

static void test_the_mask_hides_what_comes_later(void **state) {
    (void)state;
    ane_error e = {0};
    float x[3 * N * S * E], a[MOST], b[MOST];
    fill(x, 3 * N * S * E, 3);
    float *const k = x + N * S * E, *const v = x + 2 * N * S * E;
    const float *const qkv[] = {x, k, v};
    evaluate(ane_program_decomposed(&causal, &e), qkv, a);
    for (int head = 0; head < N; head++) /* the last position of each head */
        for (int i = 0; i < E; i++) k[(head * S + S - 1) * E + i] += 1, v[(head * S + S - 1) * E + i] -= 1;
    evaluate(ane_program_decomposed(&causal, &e), qkv, b);
    for (int head = 0; head < N; head++) {
        assert_memory_equal(a + head * S * E, b + head * S * E, (S - 1) * E * sizeof(float));
        assert_true(a[(head * S + S - 1) * E] != b[(head * S + S - 1) * E]);
    }
    for (int i = 0; i < E; i++) assert_close(a + i, v + i, 1, 1e-6); /* position 0 sees itself alone */
}

/* Scores [N, S (keys), S]: the sums are down the columns. */
static void softmax_columns(float *x, float scale) {
    for (int head = 0; head < N; head++, x += S * S)
        for (int i = 0; i < S; i++) {
            float sum = 0;
            for (int j = 0; j < S; j++) sum += x[j * S + i] = expf(scale * x[j * S + i]);
            for (int j = 0; j < S; j++) x[j * S + i] /= sum;
        }
}

static void test_grouped_convolutions_are_attention(void **state) {
    (void)state;
    ane_error e = {0};
    float q[D * S], scores[MOST], whole[MOST], y[MOST];
    fill(q, D * S, 4);
    const float *const x[] = {q}, *const probs[] = {scores};
    assert_int_equal(evaluate(ane_program_conv_scores(&plain, &e), x, scores), N * S * S);
    softmax_columns(scores, 1 / sqrtf(E));
    int n = evaluate(ane_program_conv_mix(&plain, &e), probs, y);
    assert_int_equal(n, D * S);
    evaluate(ane_program_conv_attention(&plain, &e), x, whole);
    assert_close(y, whole, n, 1e-5);
    evaluate(ane_program_conv_attention(&causal, &e), x, y);
    assert_true(y[0] != whole[0]);
    assert_close(y + S - 1, whole + S - 1, 1, 1e-5); /* the last query sees everything anyway */
}

static void test_the_parts_of_a_block_are_the_block(void **state) {
    (void)state;
    ane_error e = {0};
    float x[D * S], a[MOST], b[MOST], whole[MOST];
    fill(x, D * S, 5);
    const float *const from_x[] = {x}, *const from_a[] = {a}, *const from_b[] = {b};
    assert_int_equal(evaluate(ane_program_qkv(&causal, &e), from_x, a), 3 * D * S);
    evaluate(ane_program_attend(&causal, &e), from_a, b);
    int n = evaluate(ane_program_output(&causal, &e), from_b, a);
    evaluate(ane_program_plain_attention(&causal, &e), from_x, whole);
    assert_close(a, whole, n, 1e-5);
    for (int i = 0; i < n; i++) whole[i] += x[i];
    evaluate(ane_program_block(&causal, ANE_ATTENTION_PART, &e), from_x, a);
    assert_close(a, whole, n, 1e-5);
    evaluate(ane_program_block(&causal, ANE_FFN_PART, &e), from_a, b);
    evaluate(ane_program_block(&causal, ANE_ATTENTION_PART | ANE_FFN_PART, &e), from_x, whole);
    assert_close(b, whole, n, 1e-5);
}

static void test_the_halves_of_the_backward_add_up(void **state) {
    (void)state;
    ane_error e = {0};
    float dh[2 * F * S], a[MOST], b[MOST], whole[MOST];
    fill(dh, 2 * F * S, 6);
    const float *const both[] = {dh}, *const first[] = {dh}, *const second[] = {dh + F * S};
    int n = evaluate(ane_program_ffn_backward_half(&plain, 0, &e), first, a);
    assert_int_equal(n, D * S);
    evaluate(ane_program_ffn_backward_half(&plain, 1, &e), second, b);
    for (int i = 0; i < n; i++) a[i] += b[i];
    evaluate(ane_program_ffn_backward(&plain, &e), both, whole);
    assert_close(a, whole, n, 1e-5);
}

static void test_bad_shapes_are_reported(void **state) {
    (void)state;
    ane_error e = {0};
    assert_null(ane_program_decomposed(&(ane_attention_shape){N, E, F, 0, false, MIL_FP32}, &e));
    assert_true(e.code != ANE_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_operation_is_the_same_written_out),
        cmocka_unit_test(test_products_with_a_softmax_between_are_attention),
        cmocka_unit_test(test_the_mask_hides_what_comes_later),
        cmocka_unit_test(test_grouped_convolutions_are_attention),
        cmocka_unit_test(test_the_parts_of_a_block_are_the_block),
        cmocka_unit_test(test_the_halves_of_the_backward_add_up),
        cmocka_unit_test(test_bad_shapes_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
