/* Products of bf16 pairs by everything that this processor has for them, against sums in double precision. */
#include "base/half.h"
#include "base/random.h"
#include "device/cpu/pairs.h"
#include "support/support.h"

#include <math.h>
#include <string.h>

enum { MOST = 64, LD = MOST + 16 };

static const char *const names[] = {"amx", "avx512bf16"};
enum { N_NAMES = sizeof names / sizeof *names };

static const cpu_pairs *named(const char *name) {
    const cpu_vectors *v = ane_cpu_vectors("avx512");
    return v ? ane_cpu_pairs(v, name) : NULL;
}

static void fill(float *x, int n, uint64_t seed) {
    ane_rng rng = ane_rng_new(seed, 0);
    for (int i = 0; i < n; i++) x[i] = (float)(2 * ane_rng_uniform(&rng) - 1);
}

static float rounded(float x) {
    return ane_f32_from_bf16(ane_bf16_from_f32(x));
}

/* Half of a pair, 0 or 1. */
static float half_of(float pair, int which) {
    uint16_t halves[2];
    memcpy(halves, &pair, sizeof halves);
    return ane_f32_from_bf16(halves[which]);
}

static void test_pairs_are_rounded(void **state) {
    (void)state;
    static float x[4 * 48], d[2 * 48];
    fill(x, 4 * 48, 1);
    for (int v = 0; v < N_NAMES; v++) {
        const cpu_pairs *p = named(names[v]);
        if (!p) continue;
        p->down(d, x, 4, 48);
        for (int i = 0; i < 4 * 48; i++)
            assert_true(half_of(d[i / 96 * 48 + i % 48], i / 48 % 2) == rounded(x[i]));
        p->across(d, x, 2 * 48);
        for (int i = 0; i < 4 * 48; i++) assert_true(half_of(d[i / 2], i % 2) == rounded(x[i]));
    }
}

/* Sums of 64 products below 1 in fp32: 64 * 2^-24 * 64 at most. Nothing beside c is written. */
static void check_product(const cpu_pairs *p, int64_t m, int64_t n, int64_t k, bool add) {
    static float x[MOST * MOST], y[MOST * MOST], a[MOST * MOST / 2], b[MOST / 2 * LD], c[MOST * LD];
    fill(x, MOST * MOST, 2);
    fill(y, MOST * MOST, 3);
    p->across(a, x, m * k / 2);
    for (int64_t r = 0; r < k; r += 2) p->down(b + r / 2 * LD, y + r * n, 2, n);
    for (int i = 0; i < MOST * LD; i++) c[i] = 1;
    p->begin();
    p->product(m, n, k / 2, a, k / 2, 1, b, c, LD, add);
    p->end();
    for (int64_t i = 0; i < MOST; i++)
        for (int64_t j = 0; j < LD; j++) {
            bool inside = i < m && j < n;
            double sum = add || !inside ? 1 : 0;
            for (int64_t l = 0; inside && l < k; l++)
                sum += (double)rounded(x[i * k + l]) * (double)rounded(y[l * n + j]);
            assert_true(fabs((double)c[i * LD + j] - sum) <= (inside ? 2.5e-4 : 0));
        }
}

static void test_products(void **state) {
    (void)state;
    for (int v = 0; v < N_NAMES; v++) {
        const cpu_pairs *p = named(names[v]);
        if (!p) continue;
        for (int64_t m = p->multiple; m <= MOST; m += p->multiple)
            for (int64_t n = p->multiple; n <= MOST; n += p->multiple)
                for (int64_t k = p->multiple; k <= MOST; k += p->multiple) {
                    check_product(p, m, n, k, false);
                    check_product(p, m, n, k, true);
                }
    }
}

/* The best first; vectors that are not AVX-512 have none. */
static void test_names(void **state) {
    (void)state;
    const cpu_pairs *best = named(NULL);
    for (int v = 0; v < N_NAMES; v++) {
        const cpu_pairs *p = named(names[v]);
        if (!p) continue;
        assert_string_equal(p->name, names[v]);
        assert_true(best == (named("amx") ? named("amx") : p));
    }
    if (!named("avx512bf16")) assert_null(best);
    assert_null(named("library"));
    assert_null(ane_cpu_pairs(ane_cpu_vectors("baseline"), NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs_are_rounded),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
