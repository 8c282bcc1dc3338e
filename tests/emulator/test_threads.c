/* Many programs, and many threads. */
#include "emulator/drive.h"

#include <dirent.h>
#include <pthread.h>

static int files_in(const char *folder) {
    DIR *d = opendir(folder);
    int n = 0;
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

static oid new_pool(void) {
    return CALL0(oid, CALL0(oid, em_class("NSAutoreleasePool"), "alloc"), "init");
}

/* With at most 119 programs loaded, 200 come and go. */
static void test_two_hundred_cycles(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    unsigned char blob[EM_BLOB_BYTES];
    ane_error e = {0};
    assert_true(em_configure("quirk=max-loaded:119"));
    int files = files_in(test_folder());
    for (int i = 0; i < 200; i++) {
        oid pool = new_pool(), error;
        em_weight w = em_identity(blob, 1 + (float)i / 256);
        oid model = em_ready(EM_CONV, 1, &w);
        assert_true(em_unload(model, &error));
        assert_ok(ane_remove_tree(em_folder(model), &e), &e);
        CALL0(void, pool, "release");
    }
    assert_int_equal(em_counts().loaded_programs, 0);
    assert_int_equal(em_counts().compiles, 200);
    assert_int_equal(files_in(test_folder()), files);
}

/* A model that is released while loaded gives its place back. */
static void test_release_unloads(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    unsigned char blob[EM_BLOB_BYTES];
    oid pool = new_pool();
    em_weight w = em_identity(blob, 3);
    em_ready(EM_CONV, 1, &w);
    assert_int_equal(em_counts().loaded_programs, 1);
    CALL0(void, pool, "release");
    assert_int_equal(em_counts().loaded_programs, 0);
}

enum { THREADS = 8, ROUNDS = 4, EVALUATIONS = 8 };

typedef struct worker {
    int index;
    oid shared; /* a loaded model with factor 3 */
    int wrong;
} worker;

static int wrong_results(oid model, float factor, float x0) {
    oid x = em_surface(EM_BYTES), y = em_surface(EM_BYTES), error;
    oid r = em_request_of(1, &x, 1, &y, NULL, NULL, 0);
    int wrong = 0;
    for (int i = 0; i < EVALUATIONS; i++) {
        em_fill(x, EM_ELEMENTS, x0 + (float)i, 0);
        wrong += !em_evaluate(model, r, &error) || em_at(y, 17) != factor * (x0 + (float)i);
    }
    em_surface_free(x);
    em_surface_free(y);
    return wrong;
}

static void *work(void *context) {
    worker *me = context;
    for (int round = 0; round < ROUNDS; round++) {
        oid pool = new_pool(), error;
        unsigned char blob[EM_BLOB_BYTES];
        float factor = (float)(2 + me->index + THREADS * round);
        em_weight w = em_identity(blob, factor);
        oid model = em_make_model(EM_CONV, 1, &w);
        bool ready = em_compile(model, &error) && em_load(model, &error);
        me->wrong += !ready || wrong_results(model, factor, (float)me->index) ||
                     wrong_results(me->shared, 3, (float)me->index);
        me->wrong += !em_unload(model, &error);
        CALL0(void, pool, "release");
    }
    return NULL;
}

static void test_threads_compile_and_evaluate(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    unsigned char blob[EM_BLOB_BYTES];
    em_weight w = em_identity(blob, 3);
    oid shared = em_ready(EM_CONV, 1, &w);
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.index = i, .shared = shared};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    assert_int_equal(em_counts().loaded_programs, 1);
    assert_int_equal(em_counts().evaluations, 2 * THREADS * ROUNDS * EVALUATIONS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EM_TEST(test_two_hundred_cycles),
        EM_TEST(test_release_unloads),
        EM_TEST(test_threads_compile_and_evaluate),
    };
    return cmocka_run_group_tests(tests, em_setup_group, NULL);
}
