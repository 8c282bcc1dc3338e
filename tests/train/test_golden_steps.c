/* 30 steps of AdamW beside PyTorch's, from the same weights and batches: tests/golden/llama_small.py. */
#include "model/golden.h"

#include "anemone/train.h"

#include <math.h>
#include <string.h>

static const ane_adamw_options OPTIONS = {
    .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1, .clip = 1};

static const double *golden_values(const ane_safetensors *s, const char *name) {
    const ane_safetensor *t = ane_safetensors_find(s, name);
    assert_non_null(t);
    assert_int_equal(t->type.dtype, MIL_FP64);
    assert_int_equal(t->type.dim[0], GOLDEN_STEPS);
    return t->data;
}

static void near(int step, const char *what, double found, double expected, double tolerance) {
    if (!(fabs(found - expected) <= tolerance * fabs(expected)))
        fail_msg("step %d: %s %.9g, expected %.9g", step, what, found, expected);
}

static void test_thirty_steps(void **state) {
    (void)state;
    ane_error e = {0};
    const ane_model_config c = golden_config();
    ane_safetensors *golden = ane_safetensors_open(GOLDEN_FILE, &e);
    ane_device *d = ane_device_open("cpu", &e);
    ane_weights *w = golden_weights(&e), *g = ane_weights_new(&c, &e);
    ane_adamw *o = ane_adamw_new(&c, &OPTIONS, &e);
    assert_ok(golden && d && w && g && o, &e);
    ane_network *n = ane_network_new(d, w, g, GOLDEN_BATCH, GOLDEN_SEQ, NULL, &e);
    assert_ok(n, &e);
    const double *losses = golden_values(golden, "losses"), *norms = golden_values(golden, "grad_norms");
    for (int step = 0; step < GOLDEN_STEPS; step++) {
        int32_t tokens[GOLDEN_BATCH * GOLDEN_SEQ], targets[GOLDEN_BATCH * GOLDEN_SEQ];
        double loss;
        golden_batch(step, tokens, targets);
        ane_network_clear_gradients(n);
        assert_ok(ane_network_loss(n, tokens, targets, 1, &loss, &e), &e);
        double norm = ane_adamw_update(o, w, g, NULL, 1, 1e-3, 2);
        near(step, "loss", loss, losses[step], 1e-4);
        near(step, "gradient norm", norm, norms[step], 1e-3);
        assert_ok(ane_network_weights_changed(n, &e), &e);
    }
    ane_network_free(n);
    ane_adamw_free(o);
    ane_weights_free(w);
    ane_weights_free(g);
    ane_device_close(d);
    ane_safetensors_close(golden);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_thirty_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
