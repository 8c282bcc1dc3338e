/* The store: what is put comes back, damage is told, size is kept, processes share it. */
#include "support/support.h"

#include "base/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const ane_store_part two[] = {{"net.plist", "abc", 3}, {"data", "\0\1\2\3", 4}};

static void key_of(char key[ANE_STORE_KEY + 1], int i) {
    snprintf(key, ANE_STORE_KEY + 1, "%064x", (unsigned)i);
}

/* A store of the test's own. */
static ane_store make(const char *name, int64_t max_bytes) {
    ane_store s = {ane_join_path(test_folder(), name), max_bytes};
    assert_non_null(s.folder);
    return s;
}

static char *entry_path(const ane_store *s, const char *key) {
    char name[ANE_STORE_KEY + 16];
    snprintf(name, sizeof name, "%.*s.entry", ANE_STORE_KEY, key);
    return ane_join_path(s->folder, name);
}

static int count_names(const ane_store *s) {
    DIR *folder = opendir(s->folder);
    int n = 0;
    for (const struct dirent *entry; folder && (entry = readdir(folder)) != NULL;)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (folder) closedir(folder);
    return n;
}

static void test_round_trip(void **state) {
    (void)state;
    ane_error e = {0};
    ane_store s = make("round", 1000);
    ane_store_entry entry;
    char key[ANE_STORE_KEY + 1];
    key_of(key, 1);
    assert_false(ane_store_get(&s, key, &entry, &e));
    assert_int_equal(e.code, ANE_OK); /* not there: no failure */
    assert_ok(ane_store_put(&s, key, 2, two, &e), &e);
    assert_ok(ane_store_get(&s, key, &entry, &e), &e);
    assert_int_equal(entry.n, 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(entry.parts[i].name, two[i].name);
        assert_int_equal(entry.parts[i].size, two[i].size);
        assert_memory_equal(entry.parts[i].data, two[i].data, two[i].size);
    }
    ane_store_close(&entry);
    const ane_store_part other = {"data", "", 0};
    assert_ok(ane_store_put(&s, key, 1, &other, &e), &e); /* in its place */
    assert_ok(ane_store_get(&s, key, &entry, &e), &e);
    assert_true(entry.n == 1 && entry.parts[0].size == 0);
    ane_store_close(&entry);
    assert_int_equal(count_names(&s), 1);
    ane_store_remove(&s, key);
    assert_false(ane_store_get(&s, key, &entry, &e));
    assert_int_equal(count_names(&s), 0);
    free(s.folder);
}

/* Any byte that changes, and any cut, is told; the entry is removed. */
static void test_damage(void **state) {
    (void)state;
    ane_store s = make("damage", 1000);
    char key[ANE_STORE_KEY + 1], other[ANE_STORE_KEY + 1];
    key_of(key, 1);
    key_of(other, 2);
    char *path = entry_path(&s, key), *moved = entry_path(&s, other);
    struct stat st;
    ane_error e = {0};
    ane_store_entry entry;
    assert_ok(ane_store_put(&s, key, 2, two, &e) && stat(path, &st) == 0, &e);
    for (off_t at = 0; at < st.st_size; at++) {
        assert_ok(ane_store_put(&s, key, 2, two, &e), &e);
        int fd = open(path, O_RDWR);
        char c;
        assert_int_equal(pread(fd, &c, 1, at), 1);
        c ^= 1;
        assert_int_equal(pwrite(fd, &c, 1, at), 1);
        close(fd);
        assert_false(ane_store_get(&s, key, &entry, &e));
        assert_error(&e, ANE_ERROR_FORMAT, "is damaged, and was removed");
        assert_false(ane_path_exists(path));
    }
    for (off_t size = 0; size < st.st_size; size += 7) {
        assert_ok(ane_store_put(&s, key, 2, two, &e), &e);
        assert_int_equal(truncate(path, size), 0);
        assert_false(ane_store_get(&s, key, &entry, &e));
        assert_error(&e, ANE_ERROR_FORMAT, "damaged");
    }
    assert_ok(ane_store_put(&s, key, 2, two, &e), &e); /* whole, but another's */
    assert_int_equal(rename(path, moved), 0);
    assert_false(ane_store_get(&s, other, &entry, &e));
    assert_error(&e, ANE_ERROR_FORMAT, "damaged");
    free(path);
    free(moved);
    free(s.folder);
}

static void set_age(const ane_store *s, const char *key, long seconds) {
    char *path = entry_path(s, key);
    const struct timespec then = {time(NULL) - seconds, 0};
    assert_int_equal(utimensat(AT_FDCWD, path, (const struct timespec[]){then, then}, 0), 0);
    free(path);
}

static void test_size(void **state) {
    (void)state;
    enum { ENTRIES = 5 };
    static const char kilobyte[1024];
    const ane_store_part part = {"data", kilobyte, sizeof kilobyte};
    ane_error e = {0};
    ane_store s = make("size", (int64_t)ENTRIES * 1300);
    ane_store_entry entry;
    char keys[ENTRIES + 1][ANE_STORE_KEY + 1];
    for (int i = 0; i <= ENTRIES; i++) key_of(keys[i], i);
    for (int i = 0; i < ENTRIES; i++) {
        assert_ok(ane_store_put(&s, keys[i], 1, &part, &e), &e);
        set_age(&s, keys[i], 100 - i);
    }
    assert_ok(ane_store_get(&s, keys[0], &entry, &e), &e); /* used now: the second is the oldest */
    ane_store_close(&entry);
    assert_ok(ane_store_put(&s, keys[ENTRIES], 1, &part, &e), &e);
    assert_false(ane_store_get(&s, keys[1], &entry, &e));
    ane_store_item *items;
    size_t n, removed;
    assert_ok(ane_store_list(&s, &items, &n, &e), &e);
    assert_int_equal(n, ENTRIES);
    assert_string_equal(items[ENTRIES - 1].key, keys[2]);
    assert_true(items[0].bytes > 1024 && items[0].used >= items[1].used);
    int64_t bytes = items[0].bytes;
    free(items);
    assert_ok(ane_store_prune(&s, 2 * bytes, &removed, &e), &e);
    assert_int_equal(removed, ENTRIES - 2);
    assert_ok(ane_store_prune(&s, 0, &removed, &e), &e);
    assert_int_equal(removed, 2);
    assert_int_equal(count_names(&s), 0);
    s.max_bytes = bytes - 1;
    assert_false(ane_store_put(&s, keys[0], 1, &part, &e)); /* too large alone */
    assert_int_equal(e.code, ANE_OK);
    free(s.folder);
}

/* What a writer that was killed left is removed an hour later; what one writes now is not. */
static void test_leftovers(void **state) {
    (void)state;
    ane_error e = {0};
    ane_store s = make("leftovers", 1000);
    size_t removed;
    char key[ANE_STORE_KEY + 1];
    key_of(key, 1);
    assert_ok(ane_store_put(&s, key, 2, two, &e), &e);
    const struct timespec then = {time(NULL) - 4000, 0};
    for (int i = 0; i < 2; i++) {
        char *path = ane_join_path(s.folder, i ? ".put-old" : ".put-new");
        assert_ok(ane_write_file(path, "x", 1, &e), &e);
        if (i) utimensat(AT_FDCWD, path, (const struct timespec[]){then, then}, 0);
        free(path);
    }
    assert_ok(ane_store_prune(&s, 1000, &removed, &e), &e);
    assert_int_equal(removed, 0);
    assert_int_equal(count_names(&s), 2); /* the entry, and .put-new */
    free(s.folder);
}

static void test_unwritable(void **state) {
    (void)state;
    ane_error e = {0};
    char key[ANE_STORE_KEY + 1];
    key_of(key, 1);
    ane_store s = make("file", 1000);
    ane_store_item *items;
    size_t n;
    assert_ok(ane_store_list(&s, &items, &n, &e) && n == 0, &e); /* there is no folder yet */
    assert_ok(ane_write_file(s.folder, "x", 1, &e), &e);
    assert_false(ane_store_put(&s, key, 2, two, &e));
    assert_error(&e, ANE_ERROR_IO, "expected a folder");
    free(s.folder);
}

/* Four processes put, get and prune the same keys: nobody ever sees anything but the whole entry. */
static void hammer(const ane_store *s, int seed) {
    static char data[3000];
    for (int round = 0; round < 150; round++) {
        int i = (round * 7 + seed) % 5;
        char key[ANE_STORE_KEY + 1];
        ane_error e = {0};
        ane_store_entry entry;
        key_of(key, i);
        memset(data, i, sizeof data);
        const ane_store_part part = {"data", data, sizeof data};
        if (!ane_store_put(s, key, 1, &part, &e)) _exit(1);
        if (ane_store_get(s, key, &entry, &e)) {
            if (entry.n != 1 || memcmp(entry.parts[0].data, data, sizeof data) != 0) _exit(2);
            ane_store_close(&entry);
        } else if (e.code) {
            _exit(3);
        }
    }
    _exit(0);
}

static void test_processes(void **state) {
    (void)state;
    enum { PROCESSES = 4 };
    ane_store s = make("shared", 10000); /* three fit */
    pid_t child[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        child[i] = fork();
        if (child[i] == 0) hammer(&s, i);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_names(&s), 3);
    free(s.folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
