/* The whole network: against PyTorch's golden values, against its own finite differences, against llama2.c.
 */
#include "model/golden.h"

#include "base/packed.h"
#include "model/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct fixture {
    ane_device *device;
    ane_weights *weights, *gradients;
    ane_network *network;
} fixture;

static fixture make(const char *device, ane_weights *weights, bool train, int batch, int seq) {
    ane_error e = {0};
    fixture f = {.device = ane_device_open(device, &e), .weights = weights};
    assert_ok(f.device, &e);
    if (train) assert_ok(f.gradients = ane_weights_new(&weights->config, &e), &e);
    assert_ok(f.network = ane_network_new(f.device, weights, f.gradients, batch, seq, NULL, &e), &e);
    return f;
}

static void drop(fixture *f) {
    ane_network_free(f->network);
    ane_weights_free(f->weights);
    ane_weights_free(f->gradients);
    ane_device_close(f->device);
}

static double golden_double(const ane_safetensors *s, const char *name, int index) {
    const ane_safetensor *t = ane_safetensors_find(s, name);
    assert_non_null(t);
    double x;
    memcpy(&x, (const char *)t->data + 8 * index, sizeof x);
    return x;
}

static ane_safetensors *open_golden(void) {
    ane_error e = {0};
    ane_safetensors *s = ane_safetensors_open(GOLDEN_FILE, &e);
    assert_ok(s, &e);
    return s;
}

/* ---- PyTorch ------------------------------------------------------------------------------------------- */

static void compare_gradients(const ane_weights *gradients, const ane_safetensors *golden, double tolerance) {
    for (int i = 0; i < gradients->n_tensors; i++) {
        const ane_tensor_info *t = &gradients->tensors[i];
        char name[128];
        snprintf(name, sizeof name, "grad.%s", t->name);
        const ane_safetensor *expected = ane_safetensors_find(golden, name);
        assert_non_null(expected);
        double difference = 0, norm = 0;
        for (int64_t k = 0; k < t->count; k++) {
            float g;
            memcpy(&g, (const float *)expected->data + k, sizeof g);
            difference += pow(gradients->data[t->offset + k] - (double)g, 2);
            norm += (double)g * g;
        }
        assert_true(norm > 0);
        if (!(sqrt(difference / norm) <= tolerance))
            fail_msg("%s is off by %.3g", t->name, sqrt(difference / norm));
    }
}

static void loss_and_gradients_of_pytorch(void **state) {
    (void)state;
    ane_error e = {0};
    ane_safetensors *golden = open_golden();
    fixture f = make("cpu:threads=2", golden_weights(&e), true, GOLDEN_BATCH, GOLDEN_SEQ);
    int32_t tokens[GOLDEN_BATCH * GOLDEN_SEQ], targets[GOLDEN_BATCH * GOLDEN_SEQ];
    golden_batch(0, tokens, targets);
    double loss, expected = golden_double(golden, "loss", 0);
    assert_ok(ane_network_loss(f.network, tokens, targets, 1, &loss, &e), &e);
    print_message("loss %.9f, PyTorch %.9f, off by %.2g\n", loss, expected, fabs(loss / expected - 1));
    assert_true(fabs(loss / expected - 1) <= 1e-6);
    compare_gradients(f.gradients, golden, 1e-5);
    /* a second batch is added, scaled: 1 + 2 - 3 times the same gives nothing */
    double again;
    assert_ok(ane_network_loss(f.network, tokens, targets, 2, &again, &e), &e);
    assert_true(again == loss);
    assert_ok(ane_network_loss(f.network, tokens, targets, -3, &again, &e), &e);
    for (int64_t i = 0; i < f.gradients->count; i++) assert_true(fabs(f.gradients->data[i]) < 1e-5);
    drop(&f);
    ane_safetensors_close(golden);
}

static void logits_of_pytorch(void **state) {
    (void)state;
    ane_error e = {0};
    ane_safetensors *golden = open_golden();
    fixture f = make("cpu:threads=1", golden_weights(&e), false, GOLDEN_BATCH, GOLDEN_SEQ);
    static int32_t tokens[GOLDEN_BATCH * GOLDEN_SEQ], targets[GOLDEN_BATCH * GOLDEN_SEQ];
    static float logits[GOLDEN_BATCH * GOLDEN_SEQ * GOLDEN_VOCAB],
        expected[GOLDEN_BATCH * GOLDEN_SEQ * GOLDEN_VOCAB];
    golden_batch(0, tokens, targets);
    memcpy(expected, ane_safetensors_find(golden, "logits")->data, sizeof expected);
    assert_ok(ane_network_logits(f.network, tokens, logits, &e), &e);
    assert_close(logits, expected, GOLDEN_BATCH * GOLDEN_SEQ * GOLDEN_VOCAB, 2e-5);
    double loss;
    assert_ok(ane_network_loss(f.network, tokens, targets, 1, &loss, &e), &e);
    assert_true(fabs(loss / golden_double(golden, "loss", 0) - 1) <= 1e-6);
    drop(&f);
    ane_safetensors_close(golden);
}

/* fp16's rounding is there, and no more than that. */
static void half_precision(void **state) {
    (void)state;
    ane_error e = {0};
    ane_safetensors *golden = open_golden();
    fixture f = make("cpu:threads=1,precision=fp16", golden_weights(&e), true, GOLDEN_BATCH, GOLDEN_SEQ);
    int32_t tokens[GOLDEN_BATCH * GOLDEN_SEQ], targets[GOLDEN_BATCH * GOLDEN_SEQ];
    golden_batch(0, tokens, targets);
    double loss, expected = golden_double(golden, "loss", 0), scale = 1024;
    assert_ok(ane_network_loss(f.network, tokens, targets, scale, &loss, &e), &e);
    double off = fabs(loss / expected - 1);
    assert_true(off > 1e-7 && off < 1e-2);
    for (int64_t i = 0; i < f.gradients->count; i++) f.gradients->data[i] /= (float)scale;
    compare_gradients(f.gradients, golden, 2e-2);
    drop(&f);
    ane_safetensors_close(golden);
}

/* ---- itself -------------------------------------------------------------------------------------------- */

static ane_weights *tiny(bool tied) {
    ane_error e = {0};
    const ane_model_config c = {12, 20, 2, 6, 3, 4, 11, 16, 1e-5f, 10000, tied, -1, -1};
    ane_weights *w = ane_weights_new(&c, &e);
    assert_ok(w, &e);
    ane_weights_init(w, 3);
    for (int i = 0; i < w->n_tensors; i++) /* larger weights, so that everything has influence */
        for (int64_t k = 0; k < w->tensors[i].count; k++)
            if (w->tensors[i].rank == 2) w->data[w->tensors[i].offset + k] *= 15;
    return w;
}

static double loss_of(const fixture *f, const int32_t *tokens, const int32_t *targets) {
    ane_error e = {0};
    double loss;
    assert_ok(ane_network_weights_changed(f->network, &e), &e);
    assert_ok(ane_network_loss(f->network, tokens, targets, 1, &loss, &e), &e);
    return loss;
}

/* Along a random direction in every tensor, the difference quotient is the gradient's; also with a tied head,
 * with targets that do not count and with a token that repeats. */
static void finite_differences(void **state) {
    (void)state;
    const int32_t tokens[8] = {1, 2, 3, 2, 5, 6, 7, 10}, targets[8] = {2, -1, 4, 5, 6, 7, -1, 9};
    for (int tied = 0; tied < 2; tied++) {
        fixture f = make("cpu:threads=1", tiny(tied), true, 2, 4);
        fixture eval = make("cpu:threads=1", tiny(tied), false, 2, 4);
        loss_of(&f, tokens, targets);
        for (int i = 0; i < f.weights->n_tensors; i++) {
            const ane_tensor_info *t = &f.weights->tensors[i];
            float *w = eval.weights->data + t->offset;
            const float *g = f.gradients->data + t->offset, *w0 = f.weights->data + t->offset;
            double norm = 0, h = 5e-3;
            for (int64_t k = 0; k < t->count; k++) norm += (double)g[k] * g[k];
            norm = sqrt(norm);
            /* along the gradient the slope is its norm: the most that the loss says about it */
            for (int64_t k = 0; k < t->count; k++) w[k] = (float)(w0[k] + h * g[k] / norm);
            double plus = loss_of(&eval, tokens, targets);
            for (int64_t k = 0; k < t->count; k++) w[k] = (float)(w0[k] - h * g[k] / norm);
            double minus = loss_of(&eval, tokens, targets);
            memcpy(w, w0, (size_t)t->count * sizeof *w);
            double slope = (plus - minus) / (2 * h);
            if (fabs(slope - norm) > 2e-3 * norm + 5e-5)
                fail_msg("%s: %.7g, expected %.7g", t->name, norm, slope);
        }
        drop(&f);
        drop(&eval);
    }
}

/* Nothing to count: no loss, no gradient. */
static void no_targets(void **state) {
    (void)state;
    fixture f = make("cpu:threads=1", tiny(true), true, 1, 4);
    const int32_t tokens[4] = {1, 2, 3, 4}, targets[4] = {-1, -1, -1, -1};
    assert_true(loss_of(&f, tokens, targets) == 0);
    for (int64_t i = 0; i < f.gradients->count; i++) assert_true(f.gradients->data[i] == 0);
    drop(&f);
}

/* A step takes no memory once the first is done, and its timers cover its time. */
static void steps_allocate_nothing(void **state) {
    (void)state;
    ane_error e = {0};
    fixture f = make("cpu:threads=2", golden_weights(&e), true, GOLDEN_BATCH, GOLDEN_SEQ);
    int32_t tokens[GOLDEN_BATCH * GOLDEN_SEQ], targets[GOLDEN_BATCH * GOLDEN_SEQ];
    golden_batch(0, tokens, targets);
    loss_of(&f, tokens, targets);
    ane_memory_stats before = ane_device_memory(f.device);
    ane_network_timers_reset(f.network);
    for (int i = 0; i < 3; i++) loss_of(&f, tokens, targets);
    assert_int_equal(ane_device_memory(f.device).allocations, before.allocations);
    assert_int_equal(ane_device_memory(f.device).bytes, before.bytes);
    ane_network_timers t = ane_network_timers_get(f.network);
    const double parts[] = {t.embedding, t.forward, t.head, t.loss, t.backward, t.products, t.scatter};
    for (int i = 0; i < 7; i++) assert_true(parts[i] > 0);
    ane_network_timers_reset(f.network);
    t = ane_network_timers_get(f.network);
    assert_true(t.forward == 0 && t.products == 0);
    /* forward: 2 per weight and token beside the scores; backward twice that */
    double products = 2.0 * GOLDEN_BATCH * GOLDEN_SEQ * (58704 - 97 * 48 - 5 * 48);
    double scores = 2.0 * 2 * GOLDEN_BATCH * 6 * GOLDEN_SEQ * GOLDEN_SEQ * 8 * 2;
    assert_true(
        fabs(ane_network_step_flops(f.network) - 3 * (products + scores)) < 0.35 * 3 * (products + scores));
    drop(&f);
}

static void refused(void **state) {
    (void)state;
    ane_error e = {0};
    fixture f = make("cpu:threads=1", tiny(true), true, 1, 4);
    int32_t tokens[4] = {1, 2, 11, 4}, targets[4] = {2, 3, 4, 5};
    double loss;
    float logits[44];
    assert_false(ane_network_loss(f.network, tokens, targets, 1, &loss, &e));
    assert_error(
        &e, ANE_ERROR_ARGUMENT, "Token 2 of sequence 0 is 11, but the model's vocabulary ends at 10");
    assert_false(ane_network_logits(f.network, tokens, logits, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "Token 2");
    tokens[2] = -1;
    assert_false(ane_network_loss(f.network, tokens, targets, 1, &loss, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "is -1");
    tokens[2] = 0;
    targets[3] = -2;
    assert_false(ane_network_loss(f.network, tokens, targets, 1, &loss, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "Target 3 of sequence 0 is -2");
    assert_null(ane_network_new(f.device, f.weights, NULL, 0, 4, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "found 0 and 4");
    assert_null(ane_network_new(f.device, f.weights, NULL, 1 << 20, 1 << 20, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "more than");
    assert_null(ane_network_new(f.device, f.weights, NULL, 1, f.weights->config.max_seq + 1, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "at most");
    ane_weights *other = golden_weights(&e);
    assert_null(ane_network_new(f.device, f.weights, other, 1, 4, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "same model");
    ane_weights_free(other);
    drop(&f);
}

/* ---- chunks of the head -------------------------------------------------------------------------------------- */

static ane_weights *tiny_weights(bool tied) {
    ane_error e = {0};
    const ane_model_config c = {.dim = 16,
        .hidden_dim = 32,
        .n_layers = 1,
        .n_heads = 2,
        .n_kv_heads = 1,
        .head_dim = 8,
        .vocab_size = 50,
        .tied = tied,
        .max_seq = 1024,
        .norm_eps = 1e-5f,
        .rope_theta = 10000,
        .bos_id = -1,
        .eos_id = -1};
    ane_weights *w = ane_weights_new(&c, &e);
    assert_ok(w, &e);
    ane_weights_init(w, 7);
    return w;
}

/* 640 columns are two chunks for the head; two batches of 320 are one each. */
static void head_in_chunks(void **state) {
    (void)state;
    enum { SEQ = 160, BATCH = 4, COLUMNS = SEQ * BATCH, HALF = COLUMNS / 2, VOCAB = 50 };
    ane_error e = {0};
    static int32_t tokens[COLUMNS], targets[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) tokens[i] = i * 31 % VOCAB, targets[i] = i * 17 % VOCAB;
    assert_int_equal(ane_network_head_columns(COLUMNS), HALF);
    assert_int_equal(ane_network_head_columns(512), 512);
    assert_int_equal(ane_network_head_columns(2048), 512);
    assert_int_equal(ane_network_head_columns(521), 521); /* a prime: whole */
    fixture all = make("cpu:threads=2", tiny_weights(false), true, BATCH, SEQ),
            half = make("cpu:threads=2", tiny_weights(false), true, BATCH / 2, SEQ);
    double loss, first, second;
    assert_ok(ane_network_loss(all.network, tokens, targets, 1, &loss, &e), &e);
    assert_ok(ane_network_loss(half.network, tokens, targets, 0.5, &first, &e), &e);
    assert_ok(ane_network_loss(half.network, tokens + HALF, targets + HALF, 0.5, &second, &e), &e);
    assert_true(fabs(loss - (first + second) / 2) < 1e-6);
    assert_close(all.gradients->data, half.gradients->data, (int)all.gradients->count, 1e-6);
    static float logits[COLUMNS * VOCAB], expected[COLUMNS * VOCAB];
    assert_ok(ane_network_logits(all.network, tokens, logits, &e), &e);
    assert_ok(ane_network_logits(half.network, tokens, expected, &e), &e);
    assert_ok(ane_network_logits(half.network, tokens + HALF, expected + HALF * VOCAB, &e), &e);
    assert_close(logits, expected, COLUMNS * VOCAB, 1e-5);
    drop(&all);
    drop(&half);
}

/* Random weights of the same shape whose head is the embedding. */
static ane_weights *tied_like(ane_weights *other) {
    ane_error e = {0};
    ane_model_config c = other->config;
    c.tied = true;
    ane_weights_free(other);
    ane_weights *w = ane_weights_new(&c, &e);
    assert_ok(w, &e);
    ane_weights_init(w, 1);
    return w;
}

/* What the network says of its gradients' squares is so, where it says something: of all products and the embedding where
 * there are kernels that add them up. */
static void squares_of_gradients(void **state) {
    (void)state;
    static const char *const devices[] = {"cpu:threads=2", "cpu:threads=2,precision=bf16",
        "cpu:threads=2,products=library", "cpu:threads=1,precision=fp16"};
    static int32_t tokens[GOLDEN_BATCH * GOLDEN_SEQ], targets[GOLDEN_BATCH * GOLDEN_SEQ];
    golden_batch(0, tokens, targets);
    for (int i = 0; i < 8; i++) {
        int k = i / 2;
        ane_error e = {0};
        ane_weights *weights = golden_weights(&e);
        if (i % 2) weights = tied_like(weights);
        fixture f = make(devices[k], weights, true, GOLDEN_BATCH, GOLDEN_SEQ);
        double loss;
        for (int t = 0; t < f.gradients->n_tensors; t++)
            assert_true(isnan(ane_network_squares(f.network)[t]));
        ane_network_clear_gradients(f.network);
        for (int pass = 0; pass < 2; pass++) { /* the second adds */
            assert_ok(ane_network_loss(f.network, tokens, targets, 1, &loss, &e), &e);
            const double *squares = ane_network_squares(f.network);
            int known = 0;
            for (int t = 0; t < f.gradients->n_tensors; t++) {
                const ane_tensor_info *info = &f.gradients->tensors[t];
                double expected = 0;
                for (int64_t i = 0; i < info->count; i++)
                    expected += pow(f.gradients->data[info->offset + i], 2);
                known += !isnan(squares[t]);
                if (!isnan(squares[t]) && !(fabs(squares[t] / expected - 1) < 1e-6))
                    fail_msg("%s, %s: %g, expected %g", devices[k], info->name, squares[t], expected);
            }
            bool kernels = k < 2 && ane_packed_kernel_find(k == 1, NULL);
            if (kernels) assert_true(known >= 7 * f.weights->config.n_layers + 1 && !isnan(squares[0]));
        }
        drop(&f);
    }
}

/* Cleared gradients are written over, whatever was there, and only once: what comes next is added. */
static void gradients_begin_anew(void **state) {
    (void)state;
    enum { SEQ = 160, BATCH = 4, COLUMNS = SEQ * BATCH, VOCAB = 50 }; /* two chunks for the head */
    ane_error e = {0};
    static int32_t tokens[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) tokens[i] = i * 31 % (VOCAB - 1); /* the last one never occurs */
    for (int tied = 0; tied < 2; tied++) {
        fixture f = make("cpu:threads=2", tiny_weights(tied), true, BATCH, SEQ);
        ane_weights *g = f.gradients;
        double loss;
        assert_ok(ane_network_loss(f.network, tokens, tokens, 1, &loss, &e), &e);
        size_t bytes = (size_t)g->count * sizeof(float);
        float *first = malloc(bytes);
        memcpy(first, g->data, bytes);
        for (int i = 0; i < g->n_tensors; i++)
            for (int64_t k = 0; k < g->tensors[i].count; k++) g->data[g->tensors[i].offset + k] = NAN;
        ane_network_clear_gradients(f.network);
        assert_ok(ane_network_loss(f.network, tokens, tokens, 1, &loss, &e), &e);
        for (int64_t i = 0; i < g->count; i++) assert_true(g->data[i] == first[i]);
        assert_ok(ane_network_loss(f.network, tokens, tokens, 1, &loss, &e), &e);
        for (int64_t i = 0; i < g->count; i++) first[i] *= 2;
        assert_close(g->data, first, (int)g->count, 1e-6);
        free(first);
        drop(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_in_chunks),
        cmocka_unit_test(squares_of_gradients),
        cmocka_unit_test(gradients_begin_anew),
        cmocka_unit_test(loss_and_gradients_of_pytorch),
        cmocka_unit_test(logits_of_pytorch),
        cmocka_unit_test(half_precision),
        cmocka_unit_test(finite_differences),
        cmocka_unit_test(no_targets),
        cmocka_unit_test(steps_allocate_nothing),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
