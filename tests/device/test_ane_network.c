/* A model's loss and gradients through the emulated Neural Engine: the CPU's fp16 numbers, in every weight mode. */
#include "device/emulated.h"

#include "anemone/model.h"

#include <math.h>
#include <stdlib.h>

enum { BATCH = 2, SEQ = 16, COLUMNS = BATCH * SEQ };

static const ane_model_config tiny = {.dim = 32,
    .hidden_dim = 48,
    .n_layers = 2,
    .n_heads = 4,
    .n_kv_heads = 2,
    .head_dim = 8,
    .vocab_size = 64,
    .max_seq = 32,
    .norm_eps = 1e-5f,
    .rope_theta = 10000,
    .bos_id = 1,
    .eos_id = 2};

typedef struct outcome {
    double loss[2];
    ane_weights *gradients;
} outcome;

/* Loss and gradients, then the loss after one step downhill: weights that changed must count. */
static outcome learn(ane_device *d) {
    ane_error e = {0};
    outcome o = {.gradients = ane_weights_new(&tiny, &e)};
    ane_weights *w = ane_weights_new(&tiny, &e);
    assert_ok(o.gradients && w, &e);
    ane_weights_init(w, 7);
    ane_network *n = ane_network_new(d, w, o.gradients, BATCH, SEQ, &e);
    assert_ok(n != NULL, &e);
    int32_t tokens[COLUMNS], targets[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) {
        tokens[i] = (i * 7 + 3) % tiny.vocab_size;
        targets[i] = (i * 5 + 1) % tiny.vocab_size;
    }
    assert_ok(ane_network_loss(n, tokens, targets, 1024, &o.loss[0], &e), &e);
    for (int64_t i = 0; i < w->count; i++) w->data[i] -= 0.5f * o.gradients->data[i] / 1024;
    ane_weights *kept = ane_weights_new(&tiny, &e);
    assert_ok(kept != NULL, &e);
    memcpy(kept->data, o.gradients->data, (size_t)kept->count * sizeof(float));
    assert_ok(
        ane_network_weights_changed(n, &e) && ane_network_loss(n, tokens, targets, 1024, &o.loss[1], &e), &e);
    ane_network_free(n);
    ane_weights_free(w);
    ane_weights_free(o.gradients);
    o.gradients = kept;
    return o;
}

static void compare(ane_device *d) {
    ane_error e = {0};
    ane_device *cpu = ane_device_open("cpu:precision=fp16,threads=1", &e);
    assert_ok(cpu != NULL, &e);
    outcome expected = learn(cpu), found = learn(d);
    for (int i = 0; i < 2; i++)
        if (fabs(found.loss[i] / expected.loss[i] - 1) > 5e-4)
            fail_msg("loss %d: expected %.6f, found %.6f", i, expected.loss[i], found.loss[i]);
    assert_true(expected.loss[1] < expected.loss[0] - 0.01);
    double dot = 0, square = 0, other = 0;
    for (int64_t i = 0; i < expected.gradients->count; i++) {
        double a = (double)expected.gradients->data[i], b = (double)found.gradients->data[i];
        dot += a * b;
        square += a * a;
        other += b * b;
    }
    if (!(dot / sqrt(square * other) > 0.9999))
        fail_msg("gradients: cosine %.8f", dot / sqrt(square * other));
    ane_weights_free(expected.gradients);
    ane_weights_free(found.gradients);
    ane_device_close(cpu);
    ane_device_close(d);
}

static void test_packed(void **state) {
    (void)state;
    compare(open_emulated("weights=packed"));
}

static void test_input(void **state) {
    (void)state;
    compare(open_emulated("weights=input"));
}

static void test_baked(void **state) {
    (void)state;
    compare(open_emulated("weights=baked"));
}

static void test_reload(void **state) {
    (void)state;
    compare(open_emulated("weights=reload,quirk=reload:new-weights"));
}

/* More bindings with programs of their own than may be loaded at once: they take turns. */
static void test_few_loaded(void **state) {
    (void)state;
    compare(open_emulated("weights=baked,quirk=max-loaded:3"));
}

/* Reports that contradict each other, several at a time: right numbers under all of them. */
static void test_quirks(void **state) {
    (void)state;
    static const char *const quirks[] = {
        "quirk=matmul-inner:zeros,quirk=order:size,quirk=conv-weights:refused",
        "quirk=rows:strided,quirk=row-alignment:128,quirk=dialects:1.0/ios16",
        "quirk=min-surface:49152,quirk=shared-blobs:refused,quirk=concat:named-constants",
        "quirk=fp32-ports:refused,quirk=dialects:1.3/ios17,weights=input,quirk=order:declared",
        "quirk=rules:all,weights=packed",
        "quirk=rules:all,weights=baked",
        "quirk=equal-sizes:free,quirk=min-surface:none,quirk=innermost-one:works,weights=baked",
        "quirk=equal-sizes:free,quirk=order:size,weights=input",
        "quirk=equal-sizes:free,quirk=order:declared,weights=packed",
        "chip=m1,weights=baked",
        "chip=m1,weights=packed",
        "chip=m5 max,weights=packed",
        "quirk=width-slice:4094,quirk=matmul-overflow:32752,quirk=denormals:flushed",
    };
    for (size_t i = 0; i < sizeof quirks / sizeof *quirks; i++) {
        print_message("%s\n", quirks[i]);
        compare(open_emulated(quirks[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_baked),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_few_loaded),
        cmocka_unit_test(test_quirks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
