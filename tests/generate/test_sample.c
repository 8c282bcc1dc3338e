#include "support/support.h"

#include "anemone/generate.h"

#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { V = 8 };
static const float LOGITS[V] = {0.5f, 2.0f, -1.0f, 2.0f, 0.0f, 1.5f, -INFINITY, -3.0f};

static int32_t sample(const float *logits, int32_t n, ane_sampling s, double random) {
    float *copy = malloc((size_t)n * sizeof *copy);
    memcpy(copy, logits, (size_t)n * sizeof *copy);
    int32_t id = ane_sample(copy, n, &s, random);
    free(copy);
    return id;
}

/* The probabilities that the sampler should have, the slow way: sort, cut, normalize. */
static void expected(const float *logits, int n, ane_sampling s, double *p) {
    int order[64] = {0};
    for (int i = 0; i < n; i++) order[i] = i;
    for (int i = 1; i < n; i++) /* stable insertion sort, largest first */
        for (int j = i; j > 0 && logits[order[j]] > logits[order[j - 1]]; j--) {
            int t = order[j];
            order[j] = order[j - 1];
            order[j - 1] = t;
        }
    int kept = s.top_k > 0 && s.top_k < n ? s.top_k : n;
    double total = 0, sum = 0;
    for (int i = 0; i < n; i++) p[i] = 0;
    for (int i = 0; i < kept; i++)
        total += p[order[i]] = exp(((double)logits[order[i]] - logits[order[0]]) / s.temperature);
    for (int i = 0; i < kept; i++) {
        if (i && sum >= s.top_p * total) p[order[i]] = 0;
        sum += p[order[i]];
    }
    for (int i = 0; i < n; i++) p[i] /= sum;
}

/* A sweep of `random` over [0, 1) must give each token its share. */
static void check_shares(const float *logits, int n, ane_sampling s) {
    enum { DRAWS = 400 };
    double p[64];
    int hits[64] = {0};
    expected(logits, n, s, p);
    for (int i = 0; i < DRAWS; i++) hits[sample(logits, n, s, (i + 0.5) / DRAWS)]++;
    for (int i = 0; i < n; i++)
        if (fabs(hits[i] / (double)DRAWS - p[i]) > 1.5 / DRAWS)
            fail_msg("k %d p %g t %g: token %d has %g, expected %g", s.top_k, s.top_p, s.temperature, i,
                hits[i] / (double)DRAWS, p[i]);
}

static void test_distribution(void **state) {
    (void)state;
    static const double temperatures[] = {0.3, 1, 2.5}, tops[] = {0, 0.3, 0.55, 0.9, 1};
    for (int t = 0; t < 3; t++)
        for (int i = 0; i < 5; i++)
            for (int k = 0; k <= V + 1; k++)
                check_shares(
                    LOGITS, V, (ane_sampling){.temperature = temperatures[t], .top_k = k, .top_p = tops[i]});
}

static void test_distribution_of_many(void **state) {
    (void)state;
    float logits[64];
    ane_rng rng = ane_rng_new(7, 0);
    for (int i = 0; i < 64; i++) logits[i] = (float)(3 * ane_rng_normal(&rng)) * (i % 5 ? 1.0f : 1e-6f);
    for (int k = 0; k < 64; k += 9)
        for (int p = 1; p <= 10; p += 3)
            check_shares(logits, 64, (ane_sampling){.temperature = 1, .top_k = k, .top_p = p / 10.0});
}

static void test_greedy(void **state) {
    (void)state;
    assert_int_equal(
        sample(LOGITS, V, (ane_sampling){.temperature = 0, .top_p = 1}, 0.99), 1); /* first of equals */
    assert_int_equal(sample(LOGITS, V, (ane_sampling){.temperature = -1, .top_p = 1}, 0.99), 1);
    assert_int_equal(sample(LOGITS, V, (ane_sampling){.temperature = 1, .top_k = 1, .top_p = 1}, 0.99), 1);
    assert_int_equal(sample(LOGITS, V, (ane_sampling){.temperature = 1, .top_p = 0}, 0.99), 1);
    assert_int_equal(
        sample(LOGITS, V, (ane_sampling){.temperature = 1e-9, .top_k = 5, .top_p = 0.4}, 0.3), 1);
}

static void test_ends_of_the_range(void **state) {
    (void)state;
    ane_sampling s = {.temperature = 1, .top_p = 1};
    assert_int_equal(sample(LOGITS, V, s, 0), 0);
    assert_int_equal(sample(LOGITS, V, s, 1 - 0x1p-53), 7);
    assert_int_equal(sample(LOGITS, 1, s, 0.5), 0);
}

static void test_not_numbers(void **state) {
    (void)state;
    float logits[4] = {NAN, -1, NAN, 1};
    ane_sampling s = {.temperature = 1, .top_k = 3, .top_p = 1};
    for (int i = 0; i < 100; i++) assert_int_equal(sample(logits, 4, s, i / 100.0) % 2, 1);
    s.temperature = 0;
    assert_int_equal(sample(logits, 4, s, 0), 3);
    float none[2] = {NAN, NAN}, infinite[3] = {0, INFINITY, 1};
    s.temperature = 1;
    assert_int_equal(sample(none, 2, s, 0.5), 0);
    assert_int_equal(sample(infinite, 3, s, 0.9), 1);
}

static void test_large_vocabulary(void **state) {
    (void)state;
    enum { N = 32000 };
    float *logits = malloc(N * sizeof *logits);
    ane_rng rng = ane_rng_new(3, 1);
    for (int i = 0; i < N; i++) logits[i] = (float)ane_rng_normal(&rng);
    float bar = 0; /* the 40th largest, by counting */
    for (int i = 0; i < N; i++) {
        int larger = 0;
        for (int j = 0; logits[i] > 2.5f && j < N; j++) larger += logits[j] > logits[i];
        if (logits[i] > 2.5f && larger == 39) bar = logits[i];
    }
    for (int i = 0; i < 200; i++) {
        int32_t id = sample(logits, N, (ane_sampling){.temperature = 1, .top_k = 40, .top_p = 1}, i / 200.0);
        assert_true(logits[id] >= bar);
    }
    free(logits);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_distribution_of_many), cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_ends_of_the_range), cmocka_unit_test(test_not_numbers),
        cmocka_unit_test(test_large_vocabulary)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
