/* A layer's step in every stage of its optimization gives the same derivatives; a training step that is timed is a training
 * step. */
#include "measure/layer.h"
#include "measure/training.h"
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 32, POSITIONS = 24 };
static const ane_model_config config = {.dim = DIM,
    .hidden_dim = 48,
    .n_layers = 1,
    .n_heads = 2,
    .n_kv_heads = 2,
    .head_dim = 16,
    .vocab_size = 2,
    .max_seq = POSITIONS,
    .norm_eps = 1e-5f,
    .rope_theta = 10000,
    .tied = true,
    .bos_id = -1,
    .eos_id = -1};

/* d(x) and all gradients of `steps` steps; caller frees. */
static float *derivatives(const ane_layer_ways *ways, int steps, int64_t *n) {
    ane_error e = {0};
    ane_layer l;
    ane_device *cpu = ane_device_open("cpu:threads=1", &e);
    assert_ok(cpu != NULL, &e);
    assert_ok(ane_layer_open(&l, cpu, &config, POSITIONS, ways, &e), &e);
    assert_ok(ane_layer_refresh(&l, 3, &e), &e);
    for (int i = 0; i < steps; i++) assert_ok(ane_layer_step(&l, &e), &e);
    assert_ok(ane_layer_finish(&l, &e), &e);
    *n = DIM * POSITIONS + l.gradients->count;
    float *all = malloc((size_t)*n * sizeof *all);
    assert_ok(ane_buffer_read_f32(l.d[0], all, DIM * POSITIONS, &e), &e);
    memcpy(all + DIM * POSITIONS, l.gradients->data, (size_t)l.gradients->count * sizeof *all);
    ane_layer_close(&l);
    ane_device_close(cpu);
    return all;
}

static void test_every_stage_gives_the_same_derivatives(void **state) {
    (void)state;
    static const ane_layer_ways ways[] = {
        {.host_norms = true, .token_first = true, .plain_norms = true},
        {.host_norms = true, .plain_norms = true},
        {.host_norms = true},
        {.host_norms = true, .beside = true},
        {.beside = true},
        {.beside = true, .whole = true},
        {.beside = true, .whole = true, .deferred = true},
    };
    int64_t n, count;
    float *wanted = derivatives(&(ane_layer_ways){.whole = true}, 2, &n);
    double size = 0;
    for (int64_t i = 0; i < n; i++) size += fabs(wanted[i]);
    assert_true(size > 1);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        float *found = derivatives(&ways[i], 2, &count);
        assert_int_equal(count, n);
        assert_close(found, wanted, n, 1e-4);
        free(found);
    }
    free(wanted);
}

static void test_a_timed_step_trains(void **state) {
    (void)state;
    ane_error e = {0};
    ane_training t;
    ane_training_times times;
    ane_model_config c;
    assert_ok(ane_model_preset(&c, "stories260k", &e), &e);
    assert_ok(ane_training_open(&t, "cpu:threads=1", &c, 2, 16, NULL, &e), &e);
    assert_int_equal(t.targets[15], t.tokens[0]); /* each sequence is a circle */
    assert_int_equal(t.targets[16], t.tokens[17]);
    assert_ok(ane_training_micro_step(&t, &times, &e), &e);
    const double before = t.loss;
    assert_true(fabs(before - log(c.vocab_size)) < 0.3);
    assert_true(times.ms > 0 && times.device.runs > 0 && times.device.flops > 0);
    assert_true(times.device.flops < ane_network_step_flops(t.network)); /* weight gradients are the host's */
    for (int i = 0; i < 3; i++) {
        assert_ok(ane_training_optimize(&t, &times, &e), &e);
        assert_ok(ane_training_tell(&t, &times, &e), &e);
        assert_ok(ane_training_micro_step(&t, &times, &e), &e);
    }
    assert_true(t.loss < before - 0.05);
    ane_training_close(&t);
}

static void test_bad_arguments_are_reported(void **state) {
    (void)state;
    ane_error e = {0};
    ane_training t;
    ane_model_config c;
    assert_ok(ane_model_preset(&c, "stories260k", &e), &e);
    assert_false(ane_training_open(&t, "abacus", &c, 1, 16, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "abacus");
    ane_training_close(&t);
    assert_false(ane_training_open(&t, "cpu", &c, 1, 100000, NULL, &e));
    assert_true(e.code == ANE_ERROR_ARGUMENT);
    ane_training_close(&t);
}

static void test_recipes(void **state) {
    (void)state;
    int n;
    const ane_recipe *all = ane_recipes(&n);
    assert_int_equal(n, 5);
    for (int i = 0; i < n; i++) assert_ptr_equal(ane_recipe_find(all[i].name), &all[i]);
    assert_null(ane_recipe_find("boeuf"));
    assert_string_equal(ane_recipe_find("double-buffer")->weights, "baked-async");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_stage_gives_the_same_derivatives),
        cmocka_unit_test(test_a_timed_step_trains),
        cmocka_unit_test(test_bad_arguments_are_reported),
        cmocka_unit_test(test_recipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
