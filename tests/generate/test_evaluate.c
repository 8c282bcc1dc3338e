#include "train/run_fixture.h"

#include "anemone/generate.h"

#include <math.h>

enum { SEQ = 16 };

typedef struct scene {
    fixture f;
    ane_device *device;
    ane_weights *weights;
    ane_tokenizer *tokenizer;
    ane_dataset *data;
} scene;

static int setup(void **state) {
    static scene s;
    ane_error e = {0};
    const ane_model_config c = tiny_config();
    fixture_make(&s.f);
    s.device = ane_device_open("cpu", &e);
    s.weights = ane_weights_new(&c, &e);
    s.tokenizer = ane_tokenizer_bytes(&e);
    assert_ok(s.device && s.weights && s.tokenizer, &e);
    ane_weights_init(s.weights, 1);
    for (int64_t i = 0; i < s.weights->count; i++) s.weights->data[i] *= 5;
    const ane_data_options options = {.n_files = 1, .files = s.f.files, .vocab_size = 258, .validation = 0.1};
    s.data = ane_dataset_open(&options, s.tokenizer, &e);
    assert_ok(s.data, &e);
    *state = &s;
    return 0;
}

static int teardown(void **state) {
    scene *s = *state;
    ane_dataset_free(s->data);
    ane_tokenizer_free(s->tokenizer);
    ane_weights_free(s->weights);
    ane_device_close(s->device);
    return 0;
}

static ane_evaluation evaluate(scene *s, int32_t batch, int64_t most) {
    ane_evaluation v;
    ane_error e = {0};
    assert_ok(ane_evaluate(s->device, s->weights, s->data, ANE_VALIDATION, batch, SEQ, most, &v, &e), &e);
    return v;
}

/* The mean over every window, one at a time. */
static void test_is_the_mean_loss(void **state) {
    scene *s = *state;
    ane_error e = {0};
    int32_t tokens[SEQ], targets[SEQ];
    int64_t windows = ane_dataset_windows(s->data, ANE_VALIDATION, SEQ);
    double sum = 0, loss;
    ane_network *n = ane_network_new(s->device, s->weights, NULL, 1, SEQ, NULL, &e);
    assert_ok(n, &e);
    for (int64_t i = 0; i < windows; i++) {
        assert_ok(ane_dataset_batch(s->data, ANE_VALIDATION, 0, i, 1, SEQ, tokens, targets, &e), &e);
        assert_ok(ane_network_loss(n, tokens, targets, 1, &loss, &e), &e);
        sum += loss;
    }
    ane_network_free(n);
    int32_t batch = 3;
    while (windows % batch == 0) batch++; /* so that the last batch is not full */
    ane_evaluation v = evaluate(s, batch, 0);
    assert_int_equal(v.tokens, windows * SEQ);
    assert_true(fabs(v.loss - sum / (double)windows) < 1e-5 * v.loss);
    assert_true(fabs(v.perplexity - exp(v.loss)) < 1e-9 * v.perplexity);
    /* a byte is a token, but for the begin tokens */
    double bytes = (double)ane_dataset_text_bytes(s->data, ANE_VALIDATION);
    double expected = v.loss / log(2) * (double)ane_dataset_tokens(s->data, ANE_VALIDATION) / bytes;
    assert_true(fabs(v.bits_per_byte - expected) < 1e-9 && fabs(expected - v.loss / log(2)) < 0.2 * expected);
}

static void test_first_batches(void **state) {
    ane_evaluation v = evaluate(*state, 2, 3), all = evaluate(*state, 2, 1 << 20);
    assert_int_equal(v.tokens, 3 * 2 * SEQ);
    assert_true(v.loss != all.loss && fabs(v.loss - all.loss) < 0.5 * all.loss);
}

static void test_token_files_have_no_bytes(void **state) {
    scene *s = *state;
    ane_error e = {0};
    uint16_t ids[400];
    for (int i = 0; i < 400; i++) ids[i] = (uint16_t)(i * i % 258);
    const char *path = in_folder("ids.u16");
    assert_ok(ane_write_file(path, ids, sizeof ids, &e), &e);
    const ane_data_options options = {
        .n_files = 1, .files = &path, .format = ANE_DATA_UINT16, .vocab_size = 258, .bos_id = -1};
    ane_dataset *d = ane_dataset_open(&options, NULL, &e);
    assert_ok(d, &e);
    ane_evaluation v;
    assert_ok(ane_evaluate(s->device, s->weights, d, ANE_TRAIN, 2, SEQ, 0, &v, &e), &e);
    assert_true(v.bits_per_byte < 0);
    ane_dataset_free(d);
}

static void test_refusals(void **state) {
    scene *s = *state;
    ane_error e = {0};
    ane_evaluation v;
    assert_false(ane_evaluate(s->device, s->weights, s->data, ANE_VALIDATION, 0, SEQ, 0, &v, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "at least 1");
    assert_false(ane_evaluate(s->device, s->weights, s->data, ANE_VALIDATION, 1, 1000000, 0, &v, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "fewer than one sequence");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_is_the_mean_loss),
        cmocka_unit_test(test_first_batches), cmocka_unit_test(test_token_files_have_no_bytes),
        cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
