#include "support/support.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/half.h"
#include "base/parallel.h"
#include "base/random.h"

#include <fcntl.h>
#include <glob.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void error_keeps_the_first_report(void **state) {
    (void)state;
    ane_error e = {0};
    assert_false(ane_fail(&e, ANE_ERROR_SHAPE, "here", "expected %d", 3));
    ane_fail(&e, ANE_ERROR_IO, "there", "later");
    ane_hint(&e, "do %s", "this");
    ane_hint(&e, "not that");
    assert_int_equal(e.code, ANE_ERROR_SHAPE);
    assert_string_equal(e.where, "here");
    assert_string_equal(e.message, "expected 3");
    assert_string_equal(e.hint, "do this");
    assert_string_equal(ane_code_name(e.code), "shape");
    assert_false(ane_fail(NULL, ANE_ERROR_IO, NULL, "nobody listens"));
    ane_error_clear(&e);
    ane_hint(&e, "no report, no hint");
    assert_string_equal(e.hint, "");
    ane_fail(&e, ANE_ERROR_FORMAT, NULL, "x");
    ane_at(&e, "file");
    ane_at(&e, "other");
    assert_string_equal(e.where, "file");
}

static void arena_gives_zeroed_aligned_memory(void **state) {
    (void)state;
    ane_arena *a = ane_arena_new();
    for (size_t n = 1; n < 300000; n = n * 3 + 1) {
        unsigned char *p = ane_arena_alloc(a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++) assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    assert_string_equal(ane_arena_printf(a, "%s-%d", "x", 7), "x-7");
    assert_string_equal(ane_arena_strndup(a, "abcdef", 3), "abc");
    assert_null(ane_arena_array(a, SIZE_MAX / 2, 3));
    assert_null(ane_arena_alloc(a, SIZE_MAX - 4));
    ane_arena_free(a);
    ane_arena_free(NULL);
}

/* The definition, by search: the nearest of all finite fp16 values, ties to the even encoding. */
static uint16_t nearest_half(double x) {
    uint16_t best = 0;
    double distance = INFINITY;
    for (int h = 0; h < 0x7c00; h++) {
        double d = fabs(ane_f32_from_f16((uint16_t)h) - fabs(x));
        if (d < distance || (d == distance && !(h & 1))) {
            distance = d;
            best = (uint16_t)h;
        }
    }
    return best | (signbit(x) ? 0x8000 : 0);
}

static void half_rounds_to_nearest_even(void **state) {
    (void)state;
    for (int h = 0; h < 0x10000; h++) {
        float x = ane_f32_from_f16((uint16_t)h);
        if ((h & 0x7fff) > 0x7c00)
            assert_true(isnan(x));
        else
            assert_int_equal(ane_f16_from_f32(x), h);
    }
    assert_true(ane_f32_from_f16(0x0001) == 0x1p-24f);
    assert_true(ane_f32_from_f16(0x7bff) == 65504.0f);
    assert_int_equal(ane_f16_from_f32(65519.996f), 0x7bff);
    assert_int_equal(ane_f16_from_f32(65520.0f), 0x7c00);
    assert_int_equal(ane_f16_from_f32(-INFINITY), 0xfc00);
    assert_int_equal(ane_f16_from_f64(0x1p-25), 0x0000);
    assert_int_equal(ane_f16_from_f64(0x1.000001p-25), 0x0001);
    assert_int_equal(ane_f16_from_f32(NAN) & 0x7e00, 0x7e00);
    /* Rounding twice, through fp32, would give 0x3c01. */
    assert_int_equal(ane_f16_from_f64(1 + 0x1p-11 - 0x1p-40), 0x3c00);
    ane_rng rng = ane_rng_new(1, 0);
    for (int i = 0; i < 400; i++) {
        double x = ldexp(ane_rng_uniform(&rng) * 2 - 1, (int)ane_rng_below(&rng, 42) - 26);
        if (fabs(x) < 65504) assert_int_equal(ane_f16_from_f64(x), nearest_half(x));
    }
}

static void half_arrays_equal_scalars(void **state) {
    (void)state;
    enum { N = 1037 };
    float x[N], back[N], rounded[N];
    uint16_t h[N];
    ane_rng rng = ane_rng_new(2, 0);
    for (int i = 0; i < N; i++) x[i] = (float)ldexp(ane_rng_normal(&rng), (int)ane_rng_below(&rng, 40) - 24);
    ane_f16_array_from_f32(h, x, N);
    ane_f32_array_from_f16(back, h, N);
    ane_round_to_f16(rounded, x, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(h[i], ane_f16_from_f32(x[i]));
        assert_true(back[i] == ane_f32_from_f16(h[i]));
        assert_true(rounded[i] == back[i]);
    }
    ane_bf16_array_from_f32(h, x, N);
    ane_f32_array_from_bf16(back, h, N);
    for (int i = 0; i < N; i++) assert_true(fabsf(back[i] - x[i]) <= fabsf(x[i]) * 0x1p-8f);
    assert_int_equal(ane_bf16_from_f32(ane_f32_from_bits(0x3f808000)), 0x3f80);
    assert_int_equal(ane_bf16_from_f32(ane_f32_from_bits(0x3f818000)), 0x3f82);
    assert_true(isnan(ane_f32_from_bf16(ane_bf16_from_f32(NAN))));
}

static void random_numbers_have_the_right_moments(void **state) {
    (void)state;
    ane_rng rng = ane_rng_new(3, 0), other = ane_rng_new(3, 1), same = ane_rng_new(3, 0);
    assert_true(ane_rng_u64(&rng) == ane_rng_u64(&same));
    assert_true(ane_rng_u64(&rng) != ane_rng_u64(&other));
    double sum = 0, squares = 0;
    int counts[7] = {0};
    enum { N = 70000 };
    for (int i = 0; i < N; i++) {
        double x = ane_rng_normal(&rng);
        sum += x;
        squares += x * x;
        counts[ane_rng_below(&rng, 7)]++;
        double u = ane_rng_uniform(&rng);
        assert_true(u >= 0 && u < 1);
    }
    assert_true(fabs(sum / N) < 0.02);
    assert_true(fabs(squares / N - 1) < 0.02);
    for (int i = 0; i < 7; i++) assert_true(abs(counts[i] - N / 7) < 500);
}

typedef struct marks {
    int *count;
    int64_t grain, n;
} marks;

static void mark(void *context, int64_t begin, int64_t end) {
    marks *m = context;
    if (begin % m->grain || (end % m->grain && end != m->n)) m->count[0] += 100;
    for (int64_t i = begin; i < end; i++) m->count[i]++;
}

static void mark_nested(void *context, int64_t begin, int64_t end) {
    marks *m = context;
    marks inner = {m->count + begin, 1, end - begin};
    ane_parallel_for(end - begin, 1, 2, mark, &inner);
}

static void parallel_for_covers_the_range_once(void **state) {
    (void)state;
    int count[1000];
    const int64_t sizes[] = {0, 1, 5, 64, 999, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (int threads = 0; threads < 5; threads++) {
            for (int64_t grain = 1; grain < 200; grain += 66) {
                marks m = {count, grain, sizes[s]};
                memset(count, 0, sizeof count);
                ane_parallel_for(sizes[s], grain, threads, mark, &m);
                for (int64_t i = 0; i < 1000; i++) assert_int_equal(count[i], i < sizes[s]);
            }
        }
    }
    marks m = {count, 1, 1000};
    memset(count, 0, sizeof count);
    ane_parallel_for(1000, 10, 2, mark_nested, &m);
    for (int i = 0; i < 1000; i++) assert_int_equal(count[i], 1);
    assert_true(ane_cpu_count() >= 1);
}

static char *in_folder(const char *name) {
    return ane_join_path(test_folder(), name);
}

static void files_are_mapped_and_written_whole(void **state) {
    (void)state;
    ane_error e = {0};
    char *path = in_folder("file"), *empty = in_folder("empty"), *deep = in_folder("a/b/c");
    assert_ok(ane_write_file(path, "hello", 5, &e), &e);
    ane_mapping m;
    assert_ok(ane_map_file(&m, path, &e), &e);
    assert_int_equal(m.size, 5);
    assert_memory_equal(m.data, "hello", 5);

    ane_writer *w = ane_writer_open(path, &e);
    ane_writer_printf(w, "%d", 42);
    ane_writer_put(w, "x", 1);
    assert_int_equal(ane_writer_offset(w), 3);
    ane_writer_abort(w);
    assert_memory_equal(m.data, "hello", 5);
    ane_unmap_file(&m);
    size_t size;
    char *text = ane_read_text(path, 100, &size, &e);
    assert_string_equal(text, "hello");
    free(text);
    assert_null(ane_read_text(path, 4, &size, &e));
    assert_error(&e, ANE_ERROR_FORMAT, "at most 4 bytes, found 5");

    assert_ok(ane_write_file(empty, "", 0, &e), &e);
    assert_ok(ane_map_file(&m, empty, &e), &e);
    assert_int_equal(m.size, 0);
    ane_unmap_file(&m);
    assert_false(ane_map_file(&m, "/nonexistent/file", &e));
    assert_error(&e, ANE_ERROR_IO, "No such file");
    assert_false(ane_map_file(&m, test_folder(), &e));
    assert_error(&e, ANE_ERROR_IO, "found a folder");
    assert_null(ane_writer_open(test_folder(), &e));
    assert_error(&e, ANE_ERROR_IO, "Is a directory");
    assert_null(ane_writer_open("/nonexistent/file", &e));
    assert_error(&e, ANE_ERROR_IO, "cannot create");

    assert_ok(ane_make_folders(deep, &e), &e);
    assert_ok(ane_make_folders(deep, &e), &e);
    assert_true(ane_is_folder(deep) && ane_path_exists(path) && !ane_is_folder(path));
    assert_false(ane_make_folders(path, &e));
    assert_error(&e, ANE_ERROR_IO, "expected a folder");
    char *top = in_folder("a");
    assert_ok(ane_remove_tree(top, &e), &e);
    assert_ok(ane_remove_tree(top, &e), &e);
    assert_false(ane_path_exists(top));
    free(top), free(path), free(empty), free(deep);
}

static void a_full_disk_leaves_the_old_file(void **state) {
    (void)state;
    ane_error e = {0};
    char *path = in_folder("kept");
    assert_ok(ane_write_file(path, "old", 3, &e), &e);
    struct rlimit old, small = {4096, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    char *big = calloc(1, 100000);
    bool ok = ane_write_file(path, big, 100000, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    free(big);
    assert_false(ok);
    assert_error(&e, ANE_ERROR_IO, "cannot write");
    char *text = ane_read_text(path, 100, NULL, &e);
    assert_string_equal(text, "old");
    free(text);
    char pattern[1100];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s.tmp*", path);
    assert_int_equal(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
    free(path);
}

/* Whoever runs this as root must have the device afterwards. */
static void devices_and_pipes_are_written_as_they_are(void **state) {
    (void)state;
    ane_error e = {0};
    struct stat st;
    assert_ok(ane_write_file("/dev/null", "x", 1, &e), &e);
    assert_true(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    if (access("/dev/full", W_OK) == 0) {
        assert_false(ane_write_file("/dev/full", "x", 1, &e));
        assert_error(&e, ANE_ERROR_IO, "No space left");
        assert_true(stat("/dev/full", &st) == 0 && S_ISCHR(st.st_mode));
    }
    char *pipe = in_folder("pipe"), read_back[2] = "";
    assert_int_equal(mkfifo(pipe, 0600), 0);
    int fd = open(pipe, O_RDWR); /* both ends: neither waits */
    assert_ok(ane_write_file(pipe, "x", 1, &e), &e);
    assert_int_equal(read(fd, read_back, 1), 1);
    assert_string_equal(read_back, "x");
    close(fd);
    free(pipe);
}

static void links_and_permissions_stay(void **state) {
    (void)state;
    ane_error e = {0};
    struct stat st;
    char *file = in_folder("private"), *link = in_folder("link"), *dangling = in_folder("dangling");
    assert_ok(ane_write_file(file, "old", 3, &e), &e);
    assert_int_equal(chmod(file, 0600), 0);
    assert_int_equal(symlink("private", link), 0);
    assert_ok(ane_write_file(link, "newer", 5, &e), &e);
    assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    assert_true(stat(file, &st) == 0 && st.st_size == 5 && (st.st_mode & 0777) == 0600);
    assert_int_equal(symlink("nothing", dangling), 0);
    assert_ok(ane_write_file(dangling, "x", 1, &e), &e);
    assert_int_equal(chmod(file, 0400), 0);
    if (access(file, W_OK) != 0) { /* root may write anything */
        assert_null(ane_writer_open(file, &e));
        assert_error(&e, ANE_ERROR_IO, "Permission denied");
    }
    free(file), free(link), free(dangling);
}

static void two_writers_of_one_file_do_not_mix(void **state) {
    (void)state;
    ane_error e = {0};
    char *path = in_folder("both"), *text;
    ane_writer *a = ane_writer_open(path, &e), *b = ane_writer_open(path, &e);
    ane_writer_put(a, "aaaa", 4);
    ane_writer_put(b, "bb", 2);
    assert_ok(ane_writer_commit(b, &e), &e);
    assert_string_equal(text = ane_read_text(path, 9, NULL, &e), "bb");
    free(text);
    assert_ok(ane_writer_commit(a, &e), &e);
    assert_string_equal(text = ane_read_text(path, 9, NULL, &e), "aaaa");
    free(text);
    free(path);
}

/* Files without names are the file system's to offer. */
static bool has_nameless_files(void) {
#ifdef O_TMPFILE
    int fd = open(test_folder(), O_TMPFILE | O_WRONLY, 0600);
    if (fd >= 0) close(fd);
    return fd >= 0 && access("/proc/self/fd", F_OK) == 0;
#else
    return false;
#endif
}

static void a_killed_process_leaves_nothing(void **state) {
    (void)state;
    if (!has_nameless_files()) {
        print_message("no files without names here\n");
        skip();
    }
    ane_error e = {0};
    char *path = in_folder("killed"), *text;
    assert_ok(ane_write_file(path, "old", 3, &e), &e);
    pid_t child = fork();
    if (child == 0) {
        ane_writer *w = ane_writer_open(path, NULL);
        char part[1 << 14] = {0};
        ane_writer_put(w, part, sizeof part);
        raise(SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    glob_t left;
    char *pattern = in_folder("killed.*");
    assert_int_equal(glob(pattern, 0, NULL, &left), GLOB_NOMATCH);
    globfree(&left);
    assert_string_equal(text = ane_read_text(path, 9, NULL, &e), "old");
    free(text), free(path), free(pattern);
}

/* What a killed process of this number left where files have names from the start. */
static void leftovers_do_not_matter(void **state) {
    (void)state;
    ane_error e = {0};
    char *path = in_folder("again"), left[600], *text;
    snprintf(left, sizeof left, "%s.tmp-%ld-0", path, (long)getpid());
    FILE *f = fopen(left, "w");
    fputs("half a fi", f);
    fclose(f);
    assert_ok(ane_write_file(path, "whole", 5, &e), &e);
    assert_string_equal(text = ane_read_text(path, 9, NULL, &e), "whole");
    free(text);
    assert_string_equal(text = ane_read_text(left, 9, NULL, &e), "half a fi");
    free(text), free(path);
}

static void crc32_has_the_standard_value(void **state) {
    (void)state;
    assert_int_equal(ane_crc32(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(ane_crc32(ane_crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_keeps_the_first_report),
        cmocka_unit_test(arena_gives_zeroed_aligned_memory),
        cmocka_unit_test(half_rounds_to_nearest_even),
        cmocka_unit_test(half_arrays_equal_scalars),
        cmocka_unit_test(random_numbers_have_the_right_moments),
        cmocka_unit_test(parallel_for_covers_the_range_once),
        cmocka_unit_test(files_are_mapped_and_written_whole),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
        cmocka_unit_test(devices_and_pipes_are_written_as_they_are),
        cmocka_unit_test(links_and_permissions_stay),
        cmocka_unit_test(two_writers_of_one_file_do_not_mix),
        cmocka_unit_test(a_killed_process_leaves_nothing),
        cmocka_unit_test(leftovers_do_not_matter),
        cmocka_unit_test(crc32_has_the_standard_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
