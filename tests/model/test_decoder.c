/* The decoder: one token at a time, in chunks, against the network and against llama2.c itself. */
#include "model/golden.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = GOLDEN_SEQ, VOCAB = GOLDEN_VOCAB };

/* However a sequence is cut into calls, the logits after it are the network's. */
static void cuts_change_nothing(void **state) {
    (void)state;
    ane_error e = {0};
    ane_device *device = ane_device_open("cpu:threads=1", &e);
    assert_ok(device, &e);
    ane_weights *w = golden_weights(&e);
    ane_network *network = ane_network_new(device, w, NULL, 1, N, NULL, &e);
    ane_decoder *decoder = ane_decoder_new(device, w, N, &e);
    assert_ok(network && decoder, &e);
    static int32_t tokens[GOLDEN_BATCH * N], targets[GOLDEN_BATCH * N];
    static float expected[N * VOCAB];
    golden_batch(0, tokens, targets);
    assert_ok(ane_network_logits(network, tokens, expected, &e), &e);
    const int32_t cuts[][5] = {
        {64}, {1, 63}, {7, 8, 49}, {33, 1, 30}, {40, 9, 8, 7}, {31, 32, 1}, {2, 3, 59}};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        ane_decoder_reset(decoder);
        assert_int_equal(ane_decoder_position(decoder), 0);
        for (int32_t k = 0, at = 0; k < 5 && at < N; k++) {
            float logits[VOCAB];
            assert_ok(ane_decoder_feed(decoder, cuts[i][k], tokens + at, logits, &e), &e);
            at += cuts[i][k];
            assert_int_equal(ane_decoder_position(decoder), at);
            assert_close(logits, expected + (at - 1) * VOCAB, VOCAB, 2e-5);
        }
    }
    assert_int_equal(ane_decoder_positions(decoder), N);
    assert_int_equal(ane_decoder_vocab_size(decoder), VOCAB);
    ane_network_free(network);
    ane_decoder_free(decoder);
    ane_weights_free(w);
    ane_device_close(device);
}

/* A sequence that outgrows the cache twice, in every precision: the network's logits in fp32, within a share of the largest.
 * Rounding one operand to bf16 costs 2^-9 of it, to int8 half of 1/127 of its group's largest; both at random signs over
 * sums of 64 and more, five layers deep. */
static void growing(void **state) {
    (void)state;
    enum { LENGTH = 300 };
    ane_error e = {0};
    ane_model_config c;
    assert_ok(ane_model_preset(&c, "stories260k", &e), &e);
    ane_weights *w = ane_weights_new(&c, &e);
    assert_ok(w, &e);
    ane_weights_init(w, 3);
    static int32_t tokens[LENGTH];
    for (int i = 0; i < LENGTH; i++) tokens[i] = (i * 37 + i / 7) % c.vocab_size;
    float *expected = malloc(sizeof(float) * LENGTH * (size_t)c.vocab_size),
          *logits = malloc(sizeof(float) * (size_t)c.vocab_size);
    ane_device *exact = ane_device_open("cpu:threads=1,products=library", &e);
    ane_network *network = ane_network_new(exact, w, NULL, 1, LENGTH, NULL, &e);
    assert_ok(network && ane_network_logits(network, tokens, expected, &e), &e);
    static const struct {
        const char *device;
        float share;
    } cases[] = {{"cpu:threads=1", 1e-4f}, {"cpu:threads=1,vectors=baseline", 1e-4f},
        {"cpu:threads=1,precision=bf16", 0.02f}, {"cpu:threads=1,precision=int8", 0.03f},
        {"cpu:precision=int8,vectors=baseline,threads=1", 0.03f}, {"cpu:threads=1,precision=fp16", 0.01f}};
    static const int32_t cuts[][15] = {
        {100, 1, 20, 1, 1, 5, 1, 125, 1, 1, 1, 40, 1, 2}, {290, 1, 9}}; /* the second: a long first part */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ane_device *device = ane_device_open(cases[i].device, &e);
        ane_decoder *decoder = ane_decoder_new(device, w, LENGTH, &e);
        assert_ok(decoder, &e);
        for (size_t k = 0, at = 0; k < 2 * 15; k++) {
            const int32_t n = cuts[k / 15][k % 15];
            if (k % 15 == 0) ane_decoder_reset(decoder), at = 0;
            if (n == 0) continue;
            assert_ok(ane_decoder_feed(decoder, n, tokens + at, logits, &e), &e);
            at += (size_t)n;
            const float *right = expected + (at - 1) * (size_t)c.vocab_size;
            float largest = 0;
            for (int v = 0; v < c.vocab_size; v++) largest = fmaxf(largest, fabsf(right[v]));
            for (int v = 0; v < c.vocab_size; v++)
                if (!(fabsf(logits[v] - right[v]) <= cases[i].share * largest))
                    fail_msg("%s: logit %d after %zu tokens is %g, expected %g (largest %g)", cases[i].device,
                        v, at, (double)logits[v], (double)right[v], (double)largest);
        }
        ane_decoder_free(decoder);
        ane_device_close(device);
    }
    ane_network_free(network);
    ane_device_close(exact);
    ane_weights_free(w);
    free(expected);
    free(logits);
}

static void refused(void **state) {
    (void)state;
    ane_error e = {0};
    ane_device *device = ane_device_open("cpu:threads=1", &e);
    ane_weights *w = golden_weights(&e);
    ane_decoder *decoder = ane_decoder_new(device, w, 3, &e);
    assert_ok(device && w && decoder, &e);
    const int32_t tokens[4] = {1, 2, 97, 3};
    float logits[VOCAB];
    assert_false(ane_decoder_feed(decoder, 0, tokens, logits, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "At least 1 token");
    assert_false(ane_decoder_feed(decoder, 3, tokens, logits, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "Token 2 is 97, but the model's vocabulary ends at 96");
    assert_false(ane_decoder_feed(decoder, 4, tokens, logits, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "4 tokens behind 0 are more than the 3 positions");
    assert_ok(ane_decoder_feed(decoder, 2, tokens, logits, &e), &e);
    assert_false(ane_decoder_feed(decoder, 2, tokens, logits, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "2 tokens behind 2");
    assert_null(ane_decoder_new(device, w, 0, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "found 0");
    ane_decoder_free(decoder);
    ane_weights_free(w);
    ane_device_close(device);
}

/* ---- llama2.c's own output ----------------------------------------------------------------------------- */

static int32_t best(const float *logits, int n) {
    int32_t at = 0;
    for (int i = 1; i < n; i++)
        if (logits[i] > logits[at]) at = i;
    return at;
}

static void check_logits(const json_t *all, int position, const float *logits) {
    char key[16];
    snprintf(key, sizeof key, "%d", position);
    const json_t *row = json_object_get(all, key);
    if (!row) return;
    float expected[512];
    assert_int_equal(json_array_size(row), 512);
    for (size_t i = 0; i < 512; i++) expected[i] = (float)json_number_value(json_array_get(row, i));
    for (size_t i = 0; i < 512; i++)
        if (!(logits[i] - expected[i] < 2e-4f && expected[i] - logits[i] < 2e-4f))
            fail_msg("position %d, logit %zu: %.6f, expected %.6f", position, i, logits[i], expected[i]);
}

static void llama2c(void **state) {
    (void)state;
    const char *bin = shared_data("llama2c-260k.bin"), *json = shared_data("llama2c-260k.expected.json");
    if (!bin || !json) skip();
    ane_error e = {0};
    json_t *expected = json_load_file(json, 0, NULL);
    assert_non_null(expected);
    const json_t *greedy = json_object_get(expected, "greedy_tokens"),
                 *all = json_object_get(expected, "logits");
    ane_device *device = ane_device_open("cpu", &e);
    ane_weights *w = ane_weights_load(bin, &e);
    ane_decoder *decoder = w ? ane_decoder_new(device, w, 257, &e) : NULL;
    assert_ok(device && decoder, &e);
    assert_int_equal(json_array_size(greedy), 256);
    assert_int_equal(json_object_size(all), 5);
    int32_t token = 1; /* the first of the 256 is the start */
    for (int i = 0; i < 256; i++) {
        float logits[512];
        assert_int_equal(token, json_integer_value(json_array_get(greedy, (size_t)i)));
        assert_ok(ane_decoder_feed(decoder, 1, &token, logits, &e), &e);
        check_logits(all, i, logits);
        token = best(logits, 512);
    }
    ane_decoder_free(decoder);
    ane_weights_free(w);
    ane_device_close(device);
    json_decref(expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_change_nothing),
        cmocka_unit_test(growing),
        cmocka_unit_test(refused),
        cmocka_unit_test(llama2c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
