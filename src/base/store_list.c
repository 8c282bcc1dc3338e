/* store_list.c - what a store holds, and making it smaller; see store.h. */
#include "base/store.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SUFFIX = 6, ABANDONED_SECONDS = 3600 };

static bool is_entry(const char *name) {
    return strlen(name) == ANE_STORE_KEY + SUFFIX && strcmp(name + ANE_STORE_KEY, ".entry") == 0;
}

/* False when it is no longer there. */
static bool look(const char *folder, const char *name, struct stat *st) {
    char *path = ane_join_path(folder, name);
    bool ok = path && stat(path, st) == 0 && S_ISREG(st->st_mode);
    free(path);
    return ok;
}

static bool append(ane_store_item **items, size_t *n, const char *name, const struct stat *st) {
    if ((*n & (*n - 1)) == 0) { /* full: 0, 1, 2, 4, ... */
        ane_store_item *grown = realloc(*items, (*n ? 2 * *n : 1) * sizeof *grown);
        if (!grown) return false;
        *items = grown;
    }
    ane_store_item *item = &(*items)[(*n)++];
    *item = (ane_store_item){.bytes = st->st_size, .used = st->st_mtime};
    memcpy(item->key, name, ANE_STORE_KEY);
    return true;
}

static int newest_first(const void *a, const void *b) {
    const ane_store_item *x = a, *y = b;
    return x->used != y->used ? (x->used < y->used) - (x->used > y->used) : strcmp(x->key, y->key);
}

bool ane_store_list(const ane_store *s, ane_store_item **items, size_t *n, ane_error *e) {
    DIR *folder = opendir(s->folder);
    struct stat st;
    bool ok = true;
    *items = NULL;
    *n = 0;
    for (const struct dirent *entry; ok && folder && (entry = readdir(folder)) != NULL;)
        if (is_entry(entry->d_name) && look(s->folder, entry->d_name, &st))
            ok = append(items, n, entry->d_name, &st);
    if (folder) closedir(folder);
    if (ok && *n) qsort(*items, *n, sizeof **items, newest_first);
    if (ok) return true;
    free(*items);
    *items = NULL;
    *n = 0;
    return ane_fail(e, ANE_ERROR_MEMORY, s->folder, "no memory for the list of entries");
}

/* What a writer that died left: nobody writes for an hour. */
static void sweep(const ane_store *s) {
    DIR *folder = opendir(s->folder);
    struct stat st;
    for (const struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        if (strncmp(entry->d_name, ".put-", 5) != 0 || !look(s->folder, entry->d_name, &st)) continue;
        char *path =
            time(NULL) - st.st_mtime > ABANDONED_SECONDS ? ane_join_path(s->folder, entry->d_name) : NULL;
        if (path) unlink(path);
        free(path);
    }
    if (folder) closedir(folder);
}

bool ane_store_prune(const ane_store *s, int64_t max_bytes, size_t *removed, ane_error *e) {
    ane_store_item *items;
    size_t n;
    int64_t kept = 0;
    *removed = 0;
    sweep(s);
    if (!ane_store_list(s, &items, &n, e)) return false;
    for (size_t i = 0; i < n; i++) {
        if (items[i].bytes <= max_bytes - kept) {
            kept += items[i].bytes;
            continue;
        }
        kept = max_bytes; /* nor do older ones stay */
        ane_store_remove(s, items[i].key);
        ++*removed;
    }
    free(items);
    return true;
}
