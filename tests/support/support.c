#include "support/support.h"

#include "base/file.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void assert_error(ane_error *e, ane_code code, const char *part) {
    if (e->code != code)
        fail_msg("expected error \"%s\", found \"%s\": %s: %s", ane_code_name(code), ane_code_name(e->code),
            e->where, e->message);
    if (!strstr(e->message, part) && !strstr(e->where, part) && !strstr(e->hint, part))
        fail_msg("\"%s\" is not in the report: %s: %s (%s)", part, e->where, e->message, e->hint);
    ane_error_clear(e);
}

/* A test that is started by hand must not use the user's cache either. */
__attribute__((constructor)) static void set_cache(void) {
    setenv("ANEMONE_CACHE", ANEMONE_TEST_CACHE, 0);
}

static char folder[64];

static void remove_folder(void) {
    ane_remove_tree(folder, NULL);
}

const char *test_folder(void) {
    if (!folder[0]) {
        /* in memory where that can be had: syncing takes most of some tests' time */
        bool memory = access("/dev/shm", W_OK) == 0;
        snprintf(folder, sizeof folder, "%s/anemone-test-XXXXXX", memory ? "/dev/shm" : "/tmp");
        if (!mkdtemp(folder)) fail_msg("no temporary folder: %s", folder);
        atexit(remove_folder);
    }
    return folder;
}

/* A few rotating buffers, so that one call's result outlives the next call's. */
static char *path_buffer(void) {
    static char buffers[8][1024];
    static int next;
    return buffers[next++ % 8];
}

const char *shared_data(const char *name) {
    char *path = path_buffer();
    snprintf(path, 1024, "%s/../shared/data/%s", ANEMONE_ROOT, name);
    if (access(path, R_OK) == 0) return path;
    print_message("skipped: %s is not there\n", path);
    return NULL;
}

const char *test_data(const char *name) {
    char *path = path_buffer();
    snprintf(path, 1024, "%s/tests/data/%s", ANEMONE_ROOT, name);
    return path;
}

static bool has_comma(const char *name) {
    if (setlocale(LC_ALL, name) && strcmp(localeconv()->decimal_point, ",") == 0) return true;
    plain_locale();
    return false;
}

/* localedef complains of all that is missing, and makes it nevertheless. */
static void make_comma_locale(const char *locales) {
    char path[256], command[640];
    ane_error e = {0};
    static const char source[] =
        "LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \".\"\ngrouping 3;3\nEND LC_NUMERIC\n";
    snprintf(path, sizeof path, "%s/source", locales);
    assert_ok(ane_make_folders(locales, &e) && ane_write_file(path, source, sizeof source - 1, &e), &e);
    snprintf(
        command, sizeof command, "localedef -c -i '%s' -f UTF-8 '%s/comma' >/dev/null 2>&1", path, locales);
    (void)!system(command);
    setenv("LOCPATH", locales, 1);
}

bool comma_locale(void) {
    if (has_comma("de_DE.UTF-8") || has_comma("fr_FR.UTF-8") || has_comma("comma")) return true;
    char locales[128];
    snprintf(locales, sizeof locales, "%s/locales", test_folder());
    make_comma_locale(locales);
    if (has_comma("comma")) return true;
    print_message("skipped: no locale has a comma for the decimal point, and localedef makes none\n");
    return false;
}

void plain_locale(void) {
    setlocale(LC_ALL, "C");
}

void assert_close(const float *a, const float *b, int64_t n, double tolerance) {
    int64_t worst = -1;
    double excess = 0;
    for (int64_t i = 0; i < n; i++) {
        double scale = fabs(b[i]) > 1 ? fabs(b[i]) : 1, d = fabs((double)a[i] - b[i]) / scale;
        if (!(d <= tolerance) && !(d <= excess)) {
            worst = i;
            excess = d;
        }
    }
    if (worst >= 0)
        fail_msg("element %lld: %.9g, expected %.9g (off by %.3g, tolerance %.3g)", (long long)worst,
            a[worst], b[worst], excess, tolerance);
}
