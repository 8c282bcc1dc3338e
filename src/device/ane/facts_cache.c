/* facts_cache.c - facts kept from one process to the next. */
#include "base/cachedir.h"
#include "base/file.h"
#include "device/ane/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA = 1, LONGEST = 1 << 20 }; /* raise SCHEMA when an old answer no longer means the same */

json_t *ane_machine_to_json(const ane_machine *m) {
    return json_pack("{s:b, s:s, s:s, s:s, s:s, s:s}", "emulated", m->emulated, "chip", m->chip, "sub_type",
        m->sub_type, "os_build", m->os_build, "framework", m->framework, "settings", m->settings);
}

/* FNV-1a, 64 bits: a file's name need not be more, since the file says whose facts it holds. */
static uint64_t digest(const char *text) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

static bool path_of(const json_t *machine, char **path, ane_error *e) {
    char *text = machine ? json_dumps(machine, JSON_COMPACT | JSON_SORT_KEYS) : NULL, name[64];
    char *folder = text ? ane_cache_path("facts", e) : NULL;
    *path = NULL;
    if (folder) {
        snprintf(name, sizeof name, "%016" PRIx64 ".json", digest(text));
        *path = ane_join_path(folder, name);
    }
    free(folder);
    free(text);
    return *path || ane_fail(e, ANE_ERROR_MEMORY, "cache", "no memory for a path");
}

char *ane_facts_path(const ane_machine *m, ane_error *e) {
    json_t *machine = ane_machine_to_json(m);
    char *path;
    path_of(machine, &path, e);
    json_decref(machine);
    return path;
}

bool ane_facts_load(ane_facts *f, const ane_machine *m) {
    json_t *machine = ane_machine_to_json(m), *file = NULL;
    char *path;
    size_t size;
    char *text = path_of(machine, &path, NULL) ? ane_read_text(path, LONGEST, &size, NULL) : NULL;
    if (text) file = json_loadb(text, size, 0, NULL);
    bool ok = json_integer_value(json_object_get(file, "schema")) == SCHEMA &&
              json_equal(json_object_get(file, "machine"), machine) &&
              ane_facts_from_json(f, json_object_get(file, "facts"));
    json_decref(file);
    json_decref(machine);
    free(text);
    free(path);
    return ok;
}

static bool write(const char *path, const json_t *file, ane_error *e) {
    char *text = json_dumps(file, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    if (!text) return ane_fail(e, ANE_ERROR_MEMORY, path, "no memory for the facts");
    char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path)) : NULL;
    bool ok = folder && ane_make_folders(folder, e) && ane_write_file(path, text, strlen(text), e);
    free(folder);
    free(text);
    return ok || ane_fail(e, ANE_ERROR_MEMORY, path, "no memory for a path");
}

bool ane_facts_save(const ane_facts *f, const ane_machine *m, ane_error *e) {
    json_t *machine = ane_machine_to_json(m);
    char *path = NULL;
    bool ok = path_of(machine, &path, e);
    json_t *file =
        ok ? json_pack("{s:i, s:O, s:o}", "schema", SCHEMA, "machine", machine, "facts", ane_facts_to_json(f))
           : NULL;
    ok = file && write(path, file, e);
    json_decref(file);
    json_decref(machine);
    free(path);
    return ok || ane_fail(e, ANE_ERROR_MEMORY, "cache", "no memory for the facts");
}
