/* program_cache.c - see program_cache.h. */
#include "device/ane/program_cache.h"

#include "base/cachedir.h"
#include "base/sha256.h"
#include "device/ane/facts.h"
#include "device/ane/folder.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const compiled[] = {"net.plist", "data"}; /* the second only where there are constants */
enum { N_COMPILED = sizeof compiled / sizeof *compiled };

/* ---- where, and how much ----------------------------------------------------------------------------------------- */

/* "500M": powers of 1024. False when it is no size. */
static bool read_size(const char *text, int64_t *bytes) {
    static const char units[] = "KMGT";
    char *end;
    long long x = strtoll(text, &end, 10);
    int shift = 0;
    if (end == text || x < 0) return false;
    if (*end) {
        const char *unit = strchr(units, *end);
        if (!unit || end[1]) return false;
        shift = 10 * (int)(unit - units + 1);
    }
    if (x > INT64_MAX >> shift) return false;
    *bytes = (int64_t)x << shift;
    return true;
}

bool ane_program_store(ane_store *s, ane_error *e) {
    const char *size = getenv("ANEMONE_CACHE_SIZE");
    *s = (ane_store){.max_bytes = (int64_t)1 << 30};
    if (size && *size && !read_size(size, &s->max_bytes)) {
        ane_fail(e, ANE_ERROR_ARGUMENT, "ANEMONE_CACHE_SIZE", "expected a size like 500M or 2G, found \"%s\"",
            size);
        return false;
    }
    s->folder = ane_cache_path("programs", e);
    return s->folder != NULL;
}

bool ane_program_cache_open(ane_program_cache *c, const ane_machine *m) {
    json_t *machine = ane_machine_to_json(m);
    *c = (ane_program_cache){.machine = machine ? json_dumps(machine, JSON_COMPACT | JSON_SORT_KEYS) : NULL};
    json_decref(machine);
    if (c->machine && ane_program_store(&c->store, NULL)) return true;
    ane_program_cache_close(c);
    return false;
}

void ane_program_cache_close(ane_program_cache *c) {
    free(c->machine);
    free(c->store.folder);
    c->machine = c->store.folder = NULL;
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

void ane_program_key(const ane_program_cache *c, const char *text, int n_files, const ane_weight_file *files,
    char key[ANE_STORE_KEY + 1]) {
    ane_sha256 h;
    ane_sha256_start(&h);
    ane_sha256_add(&h, c->machine, strlen(c->machine) + 1);
    ane_sha256_add(&h, text, strlen(text) + 1);
    for (int i = 0; i < n_files; i++) {
        const uint64_t size = files[i].size;
        ane_sha256_add(&h, files[i].path, strlen(files[i].path) + 1);
        ane_sha256_add(&h, &size, sizeof size);
        ane_sha256_add(&h, files[i].data, files[i].size);
    }
    ane_sha256_end(&h, key);
}

/* What an entry may hold: no other name is written into the folder. */
static bool is_compiled(const char *name) {
    for (int i = 0; i < N_COMPILED; i++)
        if (strcmp(name, compiled[i]) == 0) return true;
    return false;
}

bool ane_program_recall(ane_program_cache *c, const char *key, const char *folder) {
    ane_store_entry entry;
    ane_error e = {0};
    bool ok = ane_store_get(&c->store, key, &entry, &e);
    for (int i = 0; ok && i < entry.n; i++)
        ok = is_compiled(entry.parts[i].name) &&
             ane_folder_write(folder, entry.parts[i].name, entry.parts[i].data, entry.parts[i].size, &e);
    ane_store_close(&entry);
    if (e.code) atomic_fetch_add(&c->failures, 1);
    atomic_fetch_add(ok ? &c->hits : &c->misses, 1);
    return ok;
}

static void remove_compiled(const char *folder) {
    for (int i = 0; i < N_COMPILED; i++) {
        char *path = ane_join_path(folder, compiled[i]);
        if (path) unlink(path);
        free(path);
    }
}

void ane_program_forget(ane_program_cache *c, const char *key, const char *folder) {
    remove_compiled(folder);
    ane_store_remove(&c->store, key);
    atomic_fetch_sub(&c->hits, 1);
    atomic_fetch_add(&c->misses, 1);
    atomic_fetch_add(&c->failures, 1);
}

void ane_program_keep(ane_program_cache *c, const char *key, const char *folder) {
    ane_mapping files[N_COMPILED];
    ane_store_part parts[N_COMPILED];
    ane_error e = {0};
    int n = 0;
    for (int i = 0; i < N_COMPILED; i++) {
        char *path = ane_join_path(folder, compiled[i]);
        if (path && ane_map_file(&files[n], path, NULL)) {
            parts[n] = (ane_store_part){compiled[i], files[n].data, files[n].size};
            n++;
        }
        free(path);
    }
    bool whole = n > 0 && strcmp(parts[0].name, compiled[0]) == 0;
    if (!whole || (!ane_store_put(&c->store, key, n, parts, &e) && e.code)) atomic_fetch_add(&c->failures, 1);
    while (n > 0) ane_unmap_file(&files[--n]);
}
