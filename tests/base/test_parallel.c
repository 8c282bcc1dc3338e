/* Threads and their cores. What parallel loops compute is tested in test_base.c. */
#include "support/support.h"

#include "base/parallel.h"

#if defined(__linux__)
#include <sched.h>
#endif
#include <stdlib.h>
#include <time.h>

enum { MOST = 64 };

static void test_few_threads_stay_free(void **state) {
    (void)state;
    assert_false(ane_parallel_place(1));
    assert_false(ane_parallel_place(0));
    assert_false(ane_parallel_place(100000)); /* more than there are cores */
    assert_true(ane_cpu_count() >= 1);
}

#if defined(__linux__)
static void note_core(void *context, int64_t begin, int64_t end) {
    cpu_set_t set;
    int *cores = context;
    sched_getaffinity(0, sizeof set, &set);
    for (int64_t i = begin; i < end; i++) cores[i] = CPU_COUNT(&set) == 1 ? sched_getcpu() : -1;
}
#endif

static void test_each_thread_has_its_core(void **state) {
    (void)state;
    int n = ane_cpu_count();
    if (n < 2 || n > MOST || !ane_parallel_place(n))
        skip(); /* no OpenMP, or the environment has placed them */
#if defined(__linux__)
    int cores[MOST];
    for (int round = 0; round < 3; round++) {
        ane_parallel_for(n, 1, n, note_core, cores);
        for (int i = 0; i < n; i++) {
            assert_true(cores[i] >= 0);
            for (int j = 0; j < i; j++) assert_int_not_equal(cores[i], cores[j]);
        }
    }
#endif
    assert_int_equal(ane_cpu_count(), n); /* although the caller now has one only */
}

static void test_environment_comes_first(void **state) {
    (void)state;
    setenv("OMP_PROC_BIND", "false", 1);
    assert_false(ane_parallel_place(ane_cpu_count()));
    unsetenv("OMP_PROC_BIND");
}

/* ---- pieces -------------------------------------------------------------------------------------------- */

typedef struct visits {
    atomic_int count[1000], cuts;
    int64_t n, grain;
} visits;

static void visit(void *context, int64_t begin, int64_t end) {
    visits *v = context;
    if (begin % v->grain != 0 || (end % v->grain != 0 && end != v->n) || begin >= end)
        atomic_fetch_add(&v->cuts, 10000);
    atomic_fetch_add(&v->cuts, 1);
    for (int64_t i = begin; i < end; i++) atomic_fetch_add(&v->count[i], 1);
}

static void test_pieces_cover_all_once(void **state) {
    (void)state;
    static const int64_t cases[][3] = {/* n, grain, threads */
        {0, 1, 2}, {1, 1, 4}, {7, 3, 2}, {64, 1, 2}, {1000, 1, 3}, {999, 7, 4}, {1000, 600, 4}, {1000, 0, 2},
        {1000, 1, 100}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        visits v = {.n = cases[c][0], .grain = cases[c][1] ? cases[c][1] : 1};
        ane_parallel_pieces(v.n, cases[c][1], (int)cases[c][2], visit, &v);
        assert_in_range(v.cuts, 0, 9999);
        for (int64_t i = 0; i < 1000; i++) assert_int_equal(v.count[i], i < v.n);
    }
    visits whole = {.n = 100, .grain = 1};
    ane_parallel_pieces(100, 1, 1, visit, &whole);
    assert_int_equal(whole.cuts, 1); /* a single thread needs no pieces */
}

static void test_parts_take_from_each_other(void **state) {
    (void)state;
    ane_pieces p;
    int64_t begin, end;
    ane_pieces_start(&p, 10, 4, 2); /* pieces 0 | 1 2 */
    assert_true(ane_pieces_next(&p, 0, &begin, &end));
    assert_true(begin == 0 && end == 4);
    assert_true(ane_pieces_next(&p, 0, &begin, &end)); /* the other's first */
    assert_true(begin == 4 && end == 8);
    assert_true(ane_pieces_next(&p, 1, &begin, &end)); /* the last is shorter */
    assert_true(begin == 8 && end == 10);
    assert_false(ane_pieces_next(&p, 0, &begin, &end));
    assert_false(ane_pieces_next(&p, 1, &begin, &end));
    ane_pieces_start(&p, 300, 1, 300); /* more parts than queues */
    int64_t n = 0;
    while (ane_pieces_next(&p, 299, &begin, &end)) n++;
    assert_int_equal(n, 300);
}

/* ---- threads that stand by ---------------------------------------------------------------------------------------- */

enum { NUMBERS = 1000, LOOPS = 500 };

typedef struct held {
    int threads, n, loops, pause_every;
    int counts[NUMBERS]; /* how often each was visited */
    int parts;           /* of the last loop */
    int inner;           /* visits by a loop within the loop */
} held;

static void count_visits(void *context, int64_t begin, int64_t end) {
    held *h = context;
    __atomic_fetch_add(&h->parts, 1, __ATOMIC_RELAXED);
    for (int64_t i = begin; i < end; i++) h->counts[i]++;
}

static void run_loops(void *context) {
    held *h = context;
    for (int i = 0; i < h->loops; i++) {
        h->parts = 0;
        ane_parallel_for(h->n, 1, h->threads, count_visits, h);
        if (h->pause_every && i % h->pause_every == 0)
            nanosleep(&(struct timespec){.tv_nsec = 400000}, NULL); /* who stands by goes to sleep */
    }
}

static void expect_visits(const held *h, int times) {
    for (int i = 0; i < NUMBERS; i++) assert_int_equal(h->counts[i], i < h->n ? times : 0);
}

static void test_loops_of_a_held_team(void **state) {
    (void)state;
    for (int threads = 1; threads <= 5; threads++)
        for (int n = 1; n <= NUMBERS; n = 7 * n + 1) {
            held h = {.threads = threads, .n = n, .loops = LOOPS / 10};
            ane_parallel_hold(threads, run_loops, &h);
            expect_visits(&h, LOOPS / 10);
            assert_int_equal(h.parts, threads < n ? threads : n);
        }
}

static void test_a_team_that_fell_asleep(void **state) {
    (void)state;
    held h = {.threads = 3, .n = NUMBERS, .loops = LOOPS, .pause_every = 50};
    ane_parallel_hold(3, run_loops, &h);
    expect_visits(&h, LOOPS);
}

static void test_more_parts_than_the_team_has(void **state) {
    (void)state;
    held h = {.threads = 7, .n = NUMBERS, .loops = 3};
    ane_parallel_hold(2, run_loops, &h);
    expect_visits(&h, 3);
    assert_int_equal(h.parts, 7);
}

static void hold_again(void *context) {
    ane_parallel_hold(2, run_loops, context);
    run_loops(context); /* the outer team is still there */
}

static void test_holding_twice_is_holding_once(void **state) {
    (void)state;
    held h = {.threads = 2, .n = NUMBERS, .loops = 5};
    ane_parallel_hold(2, hold_again, &h);
    expect_visits(&h, 10);
    run_loops(&h); /* and without one */
    expect_visits(&h, 15);
}

static void count_inner(void *context, int64_t begin, int64_t end) {
    __atomic_fetch_add(&((held *)context)->inner, (int)(end - begin), __ATOMIC_RELAXED);
}

static void visit_in_loops(void *context, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) ane_parallel_for(10, 1, 2, count_inner, context);
}

static void loop_in_a_loop(void *context) {
    ane_parallel_for(NUMBERS, 1, 2, visit_in_loops, context);
}

static void hold_in_a_part(void *context, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) ane_parallel_hold(2, loop_in_a_loop, context);
}

static void test_loops_within_loops_run_serially(void **state) {
    (void)state;
    held h = {0};
    ane_parallel_hold(2, loop_in_a_loop, &h);
    assert_int_equal(h.inner, 10 * NUMBERS);
    ane_parallel_for(3, 1, 2, hold_in_a_part, &h);
    assert_int_equal(h.inner, 4 * 10 * NUMBERS);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_few_threads_stay_free),
        cmocka_unit_test(test_environment_comes_first), cmocka_unit_test(test_each_thread_has_its_core),
        cmocka_unit_test(test_pieces_cover_all_once), cmocka_unit_test(test_parts_take_from_each_other),
        cmocka_unit_test(test_loops_of_a_held_team), cmocka_unit_test(test_a_team_that_fell_asleep),
        cmocka_unit_test(test_more_parts_than_the_team_has),
        cmocka_unit_test(test_holding_twice_is_holding_once),
        cmocka_unit_test(test_loops_within_loops_run_serially)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
