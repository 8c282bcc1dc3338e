#include "support/support.h"

#include "anemone/generate.h"

#include <stdlib.h>
#include <string.h>

static const ane_model_config CONFIG = {.dim = 16,
    .hidden_dim = 32,
    .n_layers = 2,
    .n_heads = 2,
    .n_kv_heads = 1,
    .head_dim = 8,
    .vocab_size = 40,
    .max_seq = 64,
    .norm_eps = 1e-5f,
    .rope_theta = 10000,
    .bos_id = -1,
    .eos_id = -1};
enum { POSITIONS = 32 };
static const int32_t PROMPT[] = {3, 1, 4, 1, 5};

typedef struct fixture {
    ane_device *device;
    ane_weights *weights;
    ane_decoder *decoder;
} fixture;

static int setup(void **state) {
    static fixture f;
    ane_error e = {0};
    f.device = ane_device_open("cpu", &e);
    f.weights = ane_weights_new(&CONFIG, &e);
    assert_ok(f.device && f.weights, &e);
    ane_weights_init(f.weights, 3);
    for (int64_t i = 0; i < f.weights->count; i++)
        f.weights->data[i] *= 8; /* so that the logits differ clearly */
    f.decoder = ane_decoder_new(f.device, f.weights, POSITIONS, &e);
    assert_ok(f.decoder, &e);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    ane_decoder_free(f->decoder);
    ane_weights_free(f->weights);
    ane_device_close(f->device);
    return 0;
}

typedef struct heard {
    int32_t ids[POSITIONS + 1], n, most;
} heard;

static bool hear(void *context, int32_t token) {
    heard *h = context;
    h->ids[h->n++] = token;
    return h->n != h->most;
}

static heard generate(
    fixture *f, int32_t max_new, int32_t stop, ane_sampling s, int32_t most, ane_generate_stats *stats) {
    heard h = {.most = most};
    ane_error e = {0};
    ane_decoder_reset(f->decoder);
    assert_ok(ane_generate(f->decoder, PROMPT, 5, max_new, stop, &s, hear, &h, stats, &e), &e);
    return h;
}

/* Greedy is the largest logit of the whole sequence fed at once, again and again. */
static void test_greedy(void **state) {
    fixture *f = *state;
    ane_generate_stats stats;
    heard h = generate(f, 10, -1, (ane_sampling){.top_p = 1}, 0, &stats);
    assert_int_equal(h.n, 10);
    assert_int_equal(stats.prompt_tokens, 5);
    assert_int_equal(stats.new_tokens, 10);
    assert_true(stats.prompt_ms > 0 && stats.decode_ms > 0);
    int32_t ids[16];
    memcpy(ids, PROMPT, sizeof PROMPT);
    for (int i = 0; i < 10; i++) {
        float logits[40];
        ane_error e = {0};
        int32_t best = 0;
        ane_decoder_reset(f->decoder);
        assert_ok(ane_decoder_feed(f->decoder, 5 + i, ids, logits, &e), &e);
        for (int32_t k = 1; k < 40; k++)
            if (logits[k] > logits[best]) best = k;
        assert_int_equal(h.ids[i], best);
        ids[5 + i] = best;
    }
}

static void test_seed(void **state) {
    const ane_sampling s = {.temperature = 1, .top_p = 1, .seed = 5},
                       t = {.temperature = 1, .top_p = 1, .seed = 6};
    heard a = generate(*state, 20, -1, s, 0, NULL), b = generate(*state, 20, -1, s, 0, NULL);
    heard c = generate(*state, 20, -1, t, 0, NULL);
    assert_memory_equal(a.ids, b.ids, sizeof a.ids);
    assert_true(memcmp(a.ids, c.ids, sizeof a.ids) != 0);
}

static void test_stops(void **state) {
    fixture *f = *state;
    const ane_sampling s = {.temperature = 1, .top_p = 1, .seed = 5};
    ane_generate_stats stats;
    heard all = generate(f, 20, -1, s, 0, NULL);
    int32_t stop = all.ids[7], first = 0;
    while (all.ids[first] != stop) first++;
    heard h = generate(f, 20, stop, s, 0, &stats);
    assert_int_equal(h.n, first); /* the stop token itself is not told */
    assert_int_equal(stats.new_tokens, first);
    assert_memory_equal(h.ids, all.ids, (size_t)first * sizeof *h.ids);
    h = generate(f, 20, -1, s, 3, &stats); /* the listener has heard enough */
    assert_int_equal(h.n, 3);
    assert_int_equal(stats.new_tokens, 3);
    h = generate(f, 0, -1, s, 0, &stats);
    assert_int_equal(h.n, 0);
    h = generate(f, 1000, -1, s, 0, &stats); /* as many as there is room for, and the one behind the last */
    assert_int_equal(h.n, POSITIONS - 5 + 1);
}

static void test_continues(void **state) {
    fixture *f = *state;
    const ane_sampling s = {.top_p = 1};
    ane_error e = {0};
    heard all = generate(f, 12, -1, s, 0, NULL), first = generate(f, 6, -1, s, 0, NULL), second = {0};
    assert_ok(ane_generate(f->decoder, &first.ids[5], 1, 6, -1, &s, hear, &second, NULL, &e), &e);
    assert_memory_equal(all.ids, first.ids, 6 * sizeof *all.ids);
    assert_memory_equal(all.ids + 6, second.ids, 6 * sizeof *all.ids);
}

static void test_refusals(void **state) {
    fixture *f = *state;
    const ane_sampling s = {.top_p = 1};
    ane_error e = {0};
    ane_decoder_reset(f->decoder);
    assert_false(ane_generate(f->decoder, PROMPT, 0, 5, -1, &s, NULL, NULL, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "at least one token");
    int32_t bad[] = {1, 40, -1};
    assert_false(ane_generate(f->decoder, bad, 3, 5, -1, &s, NULL, NULL, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "Token 40 at position 1");
    assert_false(ane_generate(f->decoder, bad + 2, 1, 5, -1, &s, NULL, NULL, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "Token -1");
    int32_t many[POSITIONS + 1] = {0};
    assert_false(ane_generate(f->decoder, many, POSITIONS + 1, 5, -1, &s, NULL, NULL, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "room for 32");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_greedy), cmocka_unit_test(test_seed),
        cmocka_unit_test(test_stops), cmocka_unit_test(test_continues), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
