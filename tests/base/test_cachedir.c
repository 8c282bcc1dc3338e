/* Where the cache is. */
#include "support/support.h"

#include "base/cachedir.h"

#include <stdlib.h>
#include <string.h>

static void is(const char *name, const char *expected) {
    ane_error e = {0};
    char *path = ane_cache_path(name, &e);
    assert_ok(path, &e);
    assert_string_equal(path, expected);
    free(path);
}

static void test_order(void **state) {
    (void)state;
    assert_non_null(getenv("ANEMONE_CACHE")); /* tests never write to the user's */
    setenv("ANEMONE_CACHE", "/a", 1);
    setenv("XDG_CACHE_HOME", "/b", 1);
    setenv("HOME", "/c", 1);
    is(NULL, "/a");
    is("facts", "/a/facts");
    setenv("ANEMONE_CACHE", "", 1); /* empty is not set */
    is(NULL, "/b/anemone");
    unsetenv("ANEMONE_CACHE");
    is("facts", "/b/anemone/facts");
    unsetenv("XDG_CACHE_HOME");
#ifdef __APPLE__
    is("facts", "/c/Library/Caches/anemone/facts");
#else
    is("facts", "/c/.cache/anemone/facts");
#endif
}

/* Without HOME the system's table of users is asked. */
static void test_no_home(void **state) {
    (void)state;
    unsetenv("ANEMONE_CACHE");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    ane_error e = {0};
    char *path = ane_cache_path(NULL, &e);
    if (path)
        assert_non_null(strstr(path, "/anemone"));
    else
        assert_error(&e, ANE_ERROR_IO, "ANEMONE_CACHE");
    free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_no_home)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
