#include "base/cachedir.h"

#include "base/file.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __APPLE__
static const char below_home[] = "Library/Caches";
#else
static const char below_home[] = ".cache";
#endif

/* The variable's value; NULL when it is not set or empty. */
static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* folder/name; frees folder, which may be NULL. */
static char *below(char *folder, const char *name) {
    char *path = folder ? ane_join_path(folder, name) : NULL;
    free(folder);
    return path;
}

static char *home(void) {
    char room[1024], *found = NULL;
    struct passwd entry, *result = NULL;
    const char *given = variable("HOME");
    if (given) return strdup(given);
    if (getpwuid_r(getuid(), &entry, room, sizeof room, &result) == 0 && result)
        found = strdup(result->pw_dir);
    return found;
}

char *ane_cache_path(const char *name, ane_error *e) {
    const char *own = variable("ANEMONE_CACHE"), *shared = variable("XDG_CACHE_HOME");
    char *root = own      ? strdup(own)
                 : shared ? below(strdup(shared), "anemone")
                          : below(below(home(), below_home), "anemone");
    char *path = name ? below(root, name) : root;
    if (path) return path;
    ane_fail(e, ANE_ERROR_IO, "cache", "no folder for the cache is known: there is no home folder");
    ane_hint(e, "Name one in ANEMONE_CACHE.");
    return NULL;
}
