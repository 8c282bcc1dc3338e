/* Threads and their cores. What parallel loops compute is tested in test_base.c. */
#include "support/support.h"

#include "base/parallel.h"

#if defined(__linux__)
#include <sched.h>
#endif
#include <stdlib.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_few_threads_stay_free),
        cmocka_unit_test(test_environment_comes_first), cmocka_unit_test(test_each_thread_has_its_core)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
