/* Order statistics against known numbers, and the rule for memory edges on recorded tables and made-up ones. */
#include "support/support.h"

#include "measure/cliff.h"
#include "measure/stats.h"

#include <math.h>
#include <stdlib.h>

/* Ranks from tables of the sign test: the largest j with P(Binomial(n, 1/2) < j) <= 2.5 %. */
static void test_ranks(void **state) {
    (void)state;
    static const struct {
        int n, rank;
    } known[] = {{1, 1}, {5, 1}, {6, 1}, {8, 1}, {9, 2}, {10, 2}, {12, 3}, {15, 4}, {20, 6}, {25, 8},
        {30, 10}, {50, 18}, {100, 40}, {1000, 469}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_int_equal(ane_stats_rank(known[i].n), known[i].rank);
}

static void test_stats(void **state) {
    (void)state;
    double x[100];
    for (int i = 0; i < 100; i++) x[i] = (double)((i * 37 + 11) % 100 + 1); /* 1 ... 100 in some order */
    const ane_stats s = ane_stats_of(x, 100);
    assert_int_equal(s.n, 100);
    assert_true(s.min == 1 && s.median == 50.5 && s.p95 == 95 && s.p99 == 99);
    assert_true(s.low == 40 && s.high == 61);
    assert_true(fabs(s.ci - 0.5 * 21 / 50.5) < 1e-12);
    double one[] = {3};
    const ane_stats alone = ane_stats_of(one, 1);
    assert_true(alone.median == 3 && alone.min == 3 && alone.p99 == 3 && alone.ci == 0);
    double few[] = {5, 1, 3};
    const ane_stats all = ane_stats_of(few, 3); /* no interval of 95 %: all of them */
    assert_true(all.median == 3 && all.low == 1 && all.high == 5);
}

static void test_samples(void **state) {
    (void)state;
    ane_samples s = {0};
    for (int i = 0; i < 1000; i++) assert_true(ane_samples_add(&s, i));
    assert_int_equal(s.n, 1000);
    for (int i = 0; i < 1000; i++) assert_true(s.x[i] == i);
    free(s.x);
}

/* ---- edges ------------------------------------------------------------------------------------------------------- */

enum { FINE = 13 };
static const int channels[FINE] = {
    256, 512, 1024, 1536, 2048, 2560, 3072, 3584, 4096, 4608, 5120, 6144, 8192};
static const double megabytes[FINE] = {.125, .5, 2, 4.5, 8, 12.5, 18, 24.5, 32, 40.5, 50, 72, 128};

static void fill(ane_cliff_point *p, const double *ms) {
    for (int i = 0; i < FINE; i++) p[i] = (ane_cliff_point){megabytes[i], ms[i], channels[i], 0};
}

/* sram_probe on M4 Max, four runs (ane-spec 5.8). They were read as an edge at 24 to 32 MB; but 4,608 channels and more are
 * faster than 4,096: a power of two, not a capacity. */
static void test_recorded(void **state) {
    (void)state;
    static const double runs[][FINE] = {
        {.378, .431, .411, .493, .410, .237, .335, .414, 1.134, .563, .659, .844, 4.203},
        {.125, .123, .188, .157, .195, .270, .318, .369, .956, .525, .585, .767, 3.416},
        {.115, .102, .133, .155, .190, .261, .322, .376, .974, .509, .593, .764, 3.426},
        {.128, .116, .186, .146, .192, .276, .320, .374, .965, .506, .582, .766, 3.403}};
    for (size_t r = 0; r < sizeof runs / sizeof *runs; r++) {
        ane_cliff_point p[FINE];
        fill(p, runs[r]);
        const ane_cliff c = ane_cliff_find(p, FINE);
        assert_true(c.enough);
        assert_false(c.edge);
        assert_int_equal(c.dips, 1);
        assert_int_equal(p[8].kind, ANE_CLIFF_DIP);       /* 4,096 */
        assert_int_equal(p[12].kind, ANE_CLIFF_LIKE_DIP); /* 8,192 */
        assert_true(c.largest == 72);
    }
}

/* 0.1 ms, then 100 GB/s inside and 40 GB/s once the weights do not fit, with noise of 2 % either way. */
static double with_edge(double mb, double capacity, int i) {
    double ms = 0.1 + mb / (mb <= capacity ? 100 : 40);
    return ms * (1 + 0.02 * (i % 2 ? 1 : -1));
}

static void test_edge_is_found(void **state) {
    (void)state;
    for (double capacity = 15; capacity <= 35; capacity += 5) {
        double ms[FINE];
        for (int i = 0; i < FINE; i++) ms[i] = with_edge(megabytes[i], capacity, i);
        ane_cliff_point p[FINE];
        fill(p, ms);
        const ane_cliff c = ane_cliff_find(p, FINE);
        assert_true(c.edge);
        assert_true(c.low <= capacity && capacity <= c.high);
        assert_true(c.high - c.low < 25);
        assert_int_equal(c.dips, 0);
    }
}

/* An edge and a dip in one series are told apart. */
static void test_edge_and_dip(void **state) {
    (void)state;
    double ms[FINE];
    for (int i = 0; i < FINE; i++) ms[i] = with_edge(megabytes[i], 20, i) * (channels[i] == 4096 ? 3 : 1);
    ane_cliff_point p[FINE];
    fill(p, ms);
    const ane_cliff c = ane_cliff_find(p, FINE);
    assert_true(c.edge && c.dips == 1 && p[8].kind == ANE_CLIFF_DIP);
    assert_true(c.low <= 20 && 20 <= c.high);
}

static void test_no_edge(void **state) {
    (void)state;
    double ms[FINE];
    for (int i = 0; i < FINE; i++) ms[i] = with_edge(megabytes[i], 1000, i);
    ane_cliff_point p[FINE];
    fill(p, ms);
    ane_cliff c = ane_cliff_find(p, FINE);
    assert_true(c.enough && !c.edge && c.largest == 128);
    c = ane_cliff_find(p, 5); /* two lines need three points each */
    assert_false(c.enough || c.edge);
    assert_false(ane_cliff_find(p, 0).enough);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranks), cmocka_unit_test(test_stats),
        cmocka_unit_test(test_samples), cmocka_unit_test(test_recorded), cmocka_unit_test(test_edge_is_found),
        cmocka_unit_test(test_edge_and_dip), cmocka_unit_test(test_no_edge)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
