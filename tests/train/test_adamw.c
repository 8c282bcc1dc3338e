#include "support/support.h"

#include "anemone/train.h"

#include "base/random.h"
#include "train/adamw_loops.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const ane_model_config CONFIG = {.dim = 8,
    .hidden_dim = 16,
    .n_layers = 1,
    .n_heads = 2,
    .n_kv_heads = 1,
    .head_dim = 4,
    .vocab_size = 10,
    .max_seq = 16,
    .norm_eps = 1e-5f,
    .rope_theta = 10000,
    .bos_id = -1,
    .eos_id = -1};
static const ane_model_config WIDE = {.dim = 64,
    .hidden_dim = 100,
    .n_layers = 3,
    .n_heads = 4,
    .n_kv_heads = 2,
    .head_dim = 16,
    .vocab_size = 99,
    .max_seq = 16,
    .norm_eps = 1e-5f,
    .rope_theta = 10000,
    .bos_id = -1,
    .eos_id = -1};
static const ane_adamw_options OPTIONS = {
    .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1, .clip = 1};

/* Everything one update works on. */
typedef struct bench {
    ane_weights *w, *g;
    ane_adamw *o;
} bench;

static bench bench_new(const ane_model_config *c, ane_adamw_options options) {
    ane_error e = {0};
    bench b = {ane_weights_new(c, &e), ane_weights_new(c, &e), ane_adamw_new(c, &options, &e)};
    assert_ok(b.w && b.g && b.o, &e);
    return b;
}

static void bench_free(bench b) {
    ane_weights_free(b.w);
    ane_weights_free(b.g);
    ane_adamw_free(b.o);
}

static void fill_random(ane_weights *w, uint64_t seed, double scale) {
    ane_rng rng = ane_rng_new(seed, 0);
    for (int i = 0; i < w->n_tensors; i++)
        for (int64_t k = 0; k < w->tensors[i].count; k++)
            w->data[w->tensors[i].offset + k] = (float)(scale * ane_rng_normal(&rng));
}

/* tests/golden/adamw.py's formula. */
static float value(int step, int tensor, int element) {
    double scale = step ? (double)step * step * step : 1;
    return (float)(((element * 7919 + tensor * 104729 + step * 1299709) % 2001 - 1000) / 1000.0 / scale);
}

static json_t *golden(void) {
    json_error_t error;
    json_t *root = json_load_file(ANEMONE_ROOT "/tests/golden/adamw.json", 0, &error);
    if (!root) fail_msg("adamw.json: %s", error.text);
    return root;
}

static void fill_golden(ane_weights *w, const json_t *names, int step) {
    const char *name;
    json_t *ignored;
    int tensor = 0;
    json_object_foreach((json_t *)names, name, ignored) {
        const ane_tensor_info *t = ane_weights_find(w, name);
        assert_non_null(t);
        for (int k = 0; k < t->count; k++) w->data[t->offset + k] = value(step, tensor, k);
        tensor++;
    }
}

static void test_pytorch(void **state) {
    (void)state;
    bench b = bench_new(&CONFIG, OPTIONS);
    json_t *root = golden(), *weights = json_object_get(root, "weights"),
           *norms = json_object_get(root, "norm");
    fill_golden(b.w, weights, 0);
    for (int step = 1; step <= (int)json_array_size(norms); step++) {
        fill_golden(b.g, weights, step);
        double lr = json_number_value(json_array_get(json_object_get(root, "lr"), (size_t)step - 1));
        double norm = ane_adamw_update(b.o, b.w, b.g, NULL, 1, lr, 1);
        double expected = json_number_value(json_array_get(norms, (size_t)step - 1));
        if (fabs(norm - expected) > 1e-6 * expected) fail_msg("norm %.9g, expected %.9g", norm, expected);
    }
    const char *name;
    json_t *values, *item;
    json_object_foreach(weights, name, values) {
        const ane_tensor_info *t = ane_weights_find(b.w, name);
        size_t k;
        assert_int_equal(json_array_size(values), t->count);
        json_array_foreach(values, k, item) {
            double found = b.w->data[t->offset + (int64_t)k], expected = json_number_value(item);
            if (fabs(found - expected) > 4e-7)
                fail_msg("%s[%zu]: %.9g, expected %.9g", name, k, found, expected);
        }
    }
    json_decref(root);
    bench_free(b);
}

/* The formulas once more, in double and one element at a time. */
typedef struct naive {
    double *w, *m, *v;
} naive;

static double naive_update(naive *n, const bench *b, double scale, double lr, int t) {
    const ane_adamw_options *a = &b->o->options;
    double norm = 0;
    for (int64_t i = 0; i < b->g->count; i++) norm += scale * b->g->data[i] * scale * b->g->data[i];
    norm = sqrt(norm);
    double clip = a->clip > 0 ? fmin(1, a->clip / (norm + 1e-6)) : 1;
    for (int k = 0; k < b->w->n_tensors; k++) {
        const ane_tensor_info *info = &b->w->tensors[k];
        double decay = info->decays || a->decay_all ? a->weight_decay : 0;
        for (int64_t i = info->offset; i < info->offset + info->count; i++) {
            double g = b->g->data[i] * scale * clip;
            n->m[i] = a->beta1 * n->m[i] + (1 - a->beta1) * g;
            n->v[i] = a->beta2 * n->v[i] + (1 - a->beta2) * g * g;
            double m = n->m[i] / (1 - pow(a->beta1, t)), v = n->v[i] / (1 - pow(a->beta2, t));
            n->w[i] = n->w[i] * (1 - lr * decay) - lr * m / (sqrt(v) + a->epsilon);
        }
    }
    return norm;
}

static void check_against_naive(ane_adamw_options options, double scale) {
    bench b = bench_new(&WIDE, options);
    size_t n = (size_t)b.w->count;
    naive reference = {calloc(n, sizeof(double)), calloc(n, sizeof(double)), calloc(n, sizeof(double))};
    fill_random(b.w, 1, 0.1);
    for (size_t i = 0; i < n; i++) reference.w[i] = b.w->data[i];
    for (int t = 1; t <= 10; t++) {
        fill_random(b.g, (uint64_t)t + 10, 0.01 / scale);
        double expected = naive_update(&reference, &b, scale, 0.01, t);
        double norm = ane_adamw_update(b.o, b.w, b.g, NULL, scale, 0.01, 2);
        assert_true(fabs(norm - expected) < 1e-9 * expected);
    }
    assert_int_equal(b.o->t, 10);
    for (size_t i = 0; i < n; i++)
        if (fabs(b.w->data[i] - reference.w[i]) > 2e-6)
            fail_msg("weight %zu: %.9g, expected %.9g", i, b.w->data[i], reference.w[i]);
    free(reference.w);
    free(reference.m);
    free(reference.v);
    bench_free(b);
}

static void test_naive(void **state) {
    (void)state;
    ane_adamw_options options = OPTIONS;
    check_against_naive(options, 1);
    check_against_naive(options, 0.125); /* gradients that were scaled up */
    options.clip = 0;
    options.decay_all = true;
    check_against_naive(options, 1);
    options.clip = 1e9; /* never reached: the same as none */
    check_against_naive(options, 1);
}

static void test_threads_change_nothing(void **state) {
    (void)state;
    bench a = bench_new(&WIDE, OPTIONS), b = bench_new(&WIDE, OPTIONS);
    fill_random(a.w, 5, 1);
    fill_random(b.w, 5, 1);
    for (int t = 0; t < 4; t++) {
        fill_random(a.g, (uint64_t)t, 0.3);
        fill_random(b.g, (uint64_t)t, 0.3);
        double x = ane_adamw_update(a.o, a.w, a.g, NULL, 1, 0.01, 1),
               y = ane_adamw_update(b.o, b.w, b.g, NULL, 1, 0.01, 3);
        assert_true(x == y);
    }
    assert_memory_equal(a.w->data, b.w->data, (size_t)a.w->count * sizeof(float));
    assert_memory_equal(a.o->v->data, b.o->v->data, (size_t)a.w->count * sizeof(float));
    bench_free(a);
    bench_free(b);
}

/* Sums of squares that are known are taken, others are made. */
static void test_known_squares(void **state) {
    (void)state;
    bench a = bench_new(&WIDE, OPTIONS);
    double *squares = calloc((size_t)a.g->n_tensors, sizeof *squares);
    fill_random(a.g, 3, 0.1);
    for (int t = 0; t < a.g->n_tensors; t++)
        for (int64_t i = 0; i < a.g->tensors[t].count; i++)
            squares[t] += pow(a.g->data[a.g->tensors[t].offset + i], 2);
    double norm = ane_adamw_update(a.o, a.w, a.g, NULL, 1, 0.01, 2);
    for (int t = 0; t < a.g->n_tensors; t++) {
        double was = squares[t];
        assert_true(fabs(ane_adamw_update(a.o, a.w, a.g, squares, 1, 0.01, 2) / norm - 1) < 1e-12);
        squares[t] = t % 2 ? NAN : INFINITY;
        assert_true(fabs(ane_adamw_update(a.o, a.w, a.g, squares, 1, 0.01, 2) / norm - 1) < 1e-12);
        squares[t] = was + 1e9; /* it is not read again */
        assert_true(ane_adamw_update(a.o, a.w, a.g, squares, 1, 0.01, 2) > 3e4);
        squares[t] = was;
    }
    free(squares);
    bench_free(a);
}

static void test_not_finite(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    bench b = bench_new(&WIDE, OPTIONS);
    fill_random(b.w, 5, 1);
    size_t bytes = (size_t)b.w->count * sizeof(float);
    float *before = malloc(bytes);
    memcpy(before, b.w->data, bytes);
    for (int i = 0; i < 3; i++) {
        fill_random(b.g, 3, 1);
        b.g->data[b.g->tensors[i].offset + 1] = bad[i];
        assert_false(isfinite(ane_adamw_update(b.o, b.w, b.g, NULL, 1, 0.01, 2)));
    }
    fill_random(b.g, 3, 1);
    assert_false(isfinite(ane_adamw_update(b.o, b.w, b.g, NULL, NAN, 0.01, 2)));
    assert_int_equal(b.o->t, 0);
    assert_memory_equal(before, b.w->data, bytes);
    for (int64_t k = 0; k < b.g->count; k++) assert_true(b.o->m->data[k] == 0);
    free(before);
    bench_free(b);
}

static void test_large_gradients_do_not_overflow(void **state) {
    (void)state;
    bench b = bench_new(&CONFIG, OPTIONS);
    b.g->data[0] = 3e30f;
    b.g->data[1] = 4e30f;
    double norm = ane_adamw_update(b.o, b.w, b.g, NULL, 1, 0.01, 1);
    assert_true(fabs(norm / 5e30 - 1) < 1e-6);
    assert_true(fabs(b.w->data[0] + 0.01) < 1e-6);
    bench_free(b);
}

/* A weight whose gradient stays zero ends with moments of zero, not with subnormal ones. */
static void test_moments_end_at_zero(void **state) {
    (void)state;
    ane_adamw_options options = OPTIONS;
    options.beta2 = 0.9;
    bench b = bench_new(&CONFIG, options);
    b.g->data[0] = 1;
    for (int t = 0; t < 2000; t++) {
        ane_adamw_update(b.o, b.w, b.g, NULL, 1, 0.01, 1);
        b.g->data[0] = 0;
    }
    assert_true(b.o->m->data[0] == 0);
    assert_true(b.o->v->data[0] == 0);
    bench_free(b);
}

/* Every instruction set's loops give the plain ones' bits, whatever the length. */
static void test_instruction_sets(void **state) {
    (void)state;
    enum { MOST = 531, ARRAYS = 4 };
    const ane_adamw_loops *loops[4];
    const ane_adamw_factors f = {0.5f, 0.1f, 0.95f, 0.05f, 0.9999f, 1e-3f, 1.7f, 1e-8f};
    int sets = ane_adamw_loops_here(loops);
    assert_string_equal(loops[sets - 1]->name, "baseline");
    static const int64_t lengths[] = {0, 1, 15, 16, 33, 512, MOST};
    for (int set = 0; set < sets - 1; set++)
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            float plain[ARRAYS][MOST], fast[ARRAYS][MOST];
            ane_rng rng = ane_rng_new(5, (uint64_t)k);
            for (int a = 0; a < ARRAYS; a++)
                for (int i = 0; i < MOST; i++) {
                    double x = i % 50 == 7 ? 1e-39 : ane_rng_normal(&rng);
                    plain[a][i] = (float)(a == 3 ? fabs(x) : x);
                }
            memcpy(fast, plain, sizeof fast);
            int64_t n = lengths[k];
            double expected = loops[sets - 1]->sum_of_squares(plain[1], n);
            assert_true(loops[set]->sum_of_squares(fast[1], n) == expected);
            loops[sets - 1]->update(&f, plain[0], plain[1], plain[2], plain[3], n);
            loops[set]->update(&f, fast[0], fast[1], fast[2], fast[3], n);
            if (memcmp(fast, plain, sizeof fast) != 0)
                fail_msg("%s differs over %d numbers", loops[set]->name, (int)n);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pytorch), cmocka_unit_test(test_naive),
        cmocka_unit_test(test_threads_change_nothing), cmocka_unit_test(test_known_squares),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_large_gradients_do_not_overflow),
        cmocka_unit_test(test_moments_end_at_zero), cmocka_unit_test(test_instruction_sets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
