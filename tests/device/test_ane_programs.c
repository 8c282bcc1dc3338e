/* Programs of the emulated Neural Engine over a long time: loaded, evicted, loaded again, each in a folder of its own;
 * nothing grows, and threads do not disturb each other. */
#include "device/emulated.h"

#include "anemone/mil.h"
#include "base/file.h"
#include "device/ane/device.h"
#include "device/ane/foundation.h"
#include "emulator/emulator.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>

enum { C = 8, N = 16 };

/* y = w x + k: k tells programs apart. */
static ane_kernel *kernel_of(ane_device *d, float k, ane_error *e) {
    mil_program *p = mil_program_new(MIL_IOS18, e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP16, 4, (int64_t[]){1, C, 1, N}));
    mil_value w = mil_param(f, "w", mil_tensor(MIL_FP16, 4, (int64_t[]){C, C, 1, 1}));
    mil_output(f, "y", mil_add_scalar(f, mil_conv(f, x, w), k));
    ane_kernel *kernel = mil_program_ok(p, e) ? ane_device_compile(d, p, NULL, e) : NULL;
    mil_program_free(p);
    return kernel;
}

typedef struct run {
    ane_kernel *k;
    ane_binding *b;
    ane_buffer *x, *y;
    float w[C * C], add;
} run;

static bool begin(run *r, ane_device *d, float scale, float add, ane_error *e) {
    const mil_type type = mil_tensor(MIL_FP16, 4, (int64_t[]){1, C, 1, N});
    *r = (run){.add = add};
    for (int i = 0; i < C; i++) r->w[i * C + i] = scale;
    r->k = kernel_of(d, add, e);
    return r->k && (r->b = ane_binding_new(r->k, e)) && (r->x = ane_buffer_new(d, type, e)) &&
           (r->y = ane_buffer_new(d, type, e)) && ane_bind(r->b, "x", r->x, 0, e) &&
           ane_bind(r->b, "y", r->y, 0, e) && ane_bind_weight(r->b, "w", r->w, (int64_t)C * C, e);
}

static void end(run *r) {
    ane_binding_free(r->b);
    ane_buffer_free(r->x);
    ane_buffer_free(r->y);
    ane_kernel_free(r->k);
}

/* Whether y = scale x + add for x = 1, 2, ... */
static bool is_right(run *r, float scale, ane_error *e) {
    float x[C * N], y[C * N];
    for (int i = 0; i < C * N; i++) x[i] = (float)(i % 32);
    if (!ane_buffer_write_f32(r->x, x, (int64_t)C * N, e) || !ane_run(r->b, NULL, e) ||
        !ane_buffer_read_f32(r->y, y, (int64_t)C * N, e))
        return false;
    for (int i = 0; i < C * N; i++)
        if (y[i] != scale * x[i] + r->add)
            return ane_fail(e, ANE_ERROR_DEVICE, "test", "element %d is %g, expected %g", i, (double)y[i],
                (double)(scale * x[i] + r->add));
    return true;
}

/* ---- what must not grow ------------------------------------------------------------------------------------------- */

static anemone_emulator_counts emulator_counts(ane_device *d) {
    void (*get)(anemone_emulator_counts *);
    anemone_emulator_counts counts;
    const ane_framework *fw = &((engine_device *)d)->fw;
    void *symbol = NULL;
    for (int i = 0; !symbol && i < fw->n_libraries; i++)
        symbol = dlsym(fw->libraries[i], "anemone_emulator_counts_get");
    assert_non_null(symbol);
    memcpy(&get, &symbol, sizeof get);
    get(&counts);
    return counts;
}

/* Folders of programs below the temporary one. */
static int count_folders(ane_device *d) {
    enum { HEX_NAME = 3 * 64 + 2 };
    const ane_framework *fw = &((engine_device *)d)->fw;
    void *pool = ane_pool_push(fw);
    DIR *folder = opendir(ane_ns_text(fw, fw->temporary_folder()));
    ane_pool_pop(fw, pool);
    int n = 0;
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += strlen(entry->d_name) == HEX_NAME;
    closedir(folder);
    return n;
}

static int count_files(void) {
    DIR *folder = opendir("/proc/self/fd");
    int n = 0;
    while (folder && readdir(folder)) n++;
    if (folder) closedir(folder);
    return n;
}

/* Resident memory in KiB. */
static long resident(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, pages = 0;
    if (file && fscanf(file, "%ld %ld", &size, &pages) != 2) pages = 0;
    if (file) fclose(file);
    return pages * 4;
}

/* ---- tests -------------------------------------------------------------------------------------------------------- */

static void test_200_cycles(void **state) {
    (void)state;
    ane_error e = {0};
    ane_device *d = open_emulated("weights=packed,quirk=max-loaded:119,quirk=max-compiles:none");
    const anemone_emulator_counts before = emulator_counts(d);
    int folders = 0, files = 0;
    long memory = 0;
    for (int i = 0; i < 200; i++) {
        run r;
        assert_ok(begin(&r, d, 2, (float)(i % 7), &e), &e);
        assert_ok(is_right(&r, 2, &e), &e);
        end(&r);
        if (i == 49) folders = count_folders(d), files = count_files(), memory = resident();
    }
    const anemone_emulator_counts after = emulator_counts(d);
    assert_int_equal(after.compiles - before.compiles, 200);
    assert_int_equal(after.loaded_programs, before.loaded_programs);
    assert_int_equal(after.surfaces, before.surfaces);
    assert_int_equal(count_folders(d), folders);
    assert_int_equal(count_files(), files);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* whose own memory grows */
    assert_in_range(resident(), 0, memory + 4096);
#else
    (void)memory;
#endif
    assert_int_equal(ane_device_counts_get(d).retries, 0);
    ane_device_close(d);
}

/* More programs than may be loaded, all used in turn: those that rested longest make room, and come back. */
static void test_more_than_fit(void **state) {
    (void)state;
    enum { PROGRAMS = 12, FIT = 5 };
    static run runs[PROGRAMS];
    ane_error e = {0};
    ane_device *d = open_emulated("weights=packed,quirk=max-loaded:5");
    const ane_device_counts begun = ane_device_counts_get(d);
    for (int i = 0; i < PROGRAMS; i++) assert_ok(begin(&runs[i], d, 1, (float)i, &e), &e);
    for (int turn = 0; turn < 3; turn++)
        for (int i = 0; i < PROGRAMS; i++) assert_ok(is_right(&runs[i], 1, &e), &e);
    assert_int_equal(emulator_counts(d).loaded_programs, FIT);
    const ane_device_counts now = ane_device_counts_get(d), since = ane_device_counts_since(&now, &begun);
    assert_int_equal(since.compiles, PROGRAMS);
    assert_int_equal(since.loads, 4 * PROGRAMS);
    assert_int_equal(since.evictions, 4 * PROGRAMS - FIT);
    for (int i = 0; i < PROGRAMS; i++) end(&runs[i]);
    assert_int_equal(emulator_counts(d).loaded_programs, 0);
    ane_device_close(d);
}

/* Programs that are equal, weights and all, on two devices of a process: each has its folder, which stays when the
 * others go. They are loaded from it each time, since only two fit. */
static void test_equal_programs(void **state) {
    (void)state;
    enum { EACH = 3, ALL = 2 * EACH };
    static run runs[ALL];
    ane_error e = {0};
    ane_device *d[2] = {open_emulated("weights=baked,quirk=max-loaded:2,quirk=max-compiles:none"), NULL};
    d[1] = open_emulated("weights=baked,quirk=max-loaded:2,quirk=max-compiles:none");
    const int folders = count_folders(d[0]);
    for (int i = 0; i < ALL; i++) {
        assert_ok(begin(&runs[i], d[i % 2], 3, 0, &e), &e);
        assert_ok(is_right(&runs[i], 3, &e), &e);
        assert_int_equal(count_folders(d[0]), folders + i + 1);
    }
    for (int i = 0; i < ALL; i++) {
        end(&runs[i]);
        for (int other = i + 1; other < ALL; other++) assert_ok(is_right(&runs[other], 3, &e), &e);
    }
    assert_int_equal(count_folders(d[0]), folders);
    ane_device_close(d[1]);
    ane_device_close(d[0]);
}

/* Compiled once, and taken from the cache by the next device; with weights of its own only when asked. */
static void cached(const char *options, int compiles, int hits, int misses, int failures) {
    ane_error e = {0};
    run r;
    ane_device *d = open_emulated(options);
    const ane_device_counts begun = ane_device_counts_get(d);
    assert_ok(begin(&r, d, 5, 1, &e) && is_right(&r, 5, &e), &e);
    const ane_device_counts now = ane_device_counts_get(d), since = ane_device_counts_since(&now, &begun);
    assert_int_equal(since.compiles, compiles);
    assert_int_equal(since.cache_hits, hits);
    assert_int_equal(since.cache_misses, misses);
    assert_int_equal(since.cache_failures, failures);
    end(&r);
    ane_device_close(d);
}

static void test_cache(void **state) {
    (void)state;
    char *folder = ane_join_path(test_folder(), "cache"), *programs = ane_join_path(folder, "programs");
    const char *before = getenv("ANEMONE_CACHE");
    ane_error e = {0};
    setenv("ANEMONE_CACHE", folder, 1);
    cached("weights=packed", 1, 0, 0, 0);
    cached("weights=packed,cache=on", 1, 0, 1, 0);
    cached("weights=packed,cache=on", 0, 1, 0, 0);
    cached("weights=packed,cache=off", 1, 0, 0, 0);
    cached("weights=baked,cache=on", 1, 0, 0, 0);
    cached("weights=baked,cache=all", 1, 0, 1, 0);
    cached("weights=baked,cache=all", 0, 1, 0, 0);
    cached("weights=packed,cache=on,quirk=max-loaded:50", 1, 0, 1, 0); /* another machine */
    /* the framework refuses what was put back: compiled anew, and kept anew */
    cached("weights=packed,cache=on,selftest=off", 1, 0, 1, 0);
    cached("weights=packed,cache=on,selftest=off,fault=load:1,fault=load:2", 1, 0, 1, 1);
    cached("weights=packed,cache=on,selftest=off", 0, 1, 0, 0);
    /* nowhere to keep them */
    assert_ok(ane_remove_tree(programs, &e) && ane_write_file(programs, "", 0, &e), &e);
    cached("weights=packed,cache=on", 1, 0, 1, 1);
    ane_device *d = ane_device_open("ane:emulator,cache=maybe", &e);
    assert_null(d);
    assert_error(&e, ANE_ERROR_ARGUMENT, "cache must be on, off or all, found \"maybe\"");
    if (before) setenv("ANEMONE_CACHE", before, 1);
    free(folder);
    free(programs);
}

typedef struct worker {
    pthread_t thread;
    ane_device *d;
    int number;
    bool ok;
    ane_error error;
} worker;

static void *work(void *context) {
    enum { ROUNDS = 6, RUNS = 4 };
    worker *w = context;
    w->ok = true;
    for (int round = 0; w->ok && round < ROUNDS; round++) {
        run r;
        float scale = (float)(w->number % 4 + 1);
        w->ok = begin(&r, w->d, scale, (float)(round * 2), &w->error);
        for (int i = 0; w->ok && i < RUNS; i++) w->ok = is_right(&r, scale, &w->error);
        end(&r);
    }
    return NULL;
}

static void eight_threads(const char *options) {
    enum { THREADS = 8 };
    worker workers[THREADS];
    ane_device *d = open_emulated(options);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.d = d, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) assert_ok(workers[i].ok, &workers[i].error);
    assert_int_equal(emulator_counts(d).loaded_programs, 0);
    ane_device_close(d);
}

static void test_eight_threads(void **state) {
    (void)state;
    eight_threads("weights=packed,quirk=max-compiles:none");
    eight_threads("weights=baked,quirk=max-compiles:none,quirk=max-loaded:9");
}

/* A temporary folder of this process's own: others make programs meanwhile. */
static void move_temporary(char *path) {
    assert_non_null(mkdtemp(path));
    for (int i = 0; i < 3; i++) setenv((const char *[]){"TMPDIR", "TEMP", "TMP"}[i], path, 1);
}

int main(void) {
    char temporary[] = "/tmp/anemone-programs-XXXXXX";
    move_temporary(temporary);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_200_cycles),
        cmocka_unit_test(test_more_than_fit),
        cmocka_unit_test(test_equal_programs),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_eight_threads),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ane_remove_tree(temporary, NULL);
    return failed;
}
