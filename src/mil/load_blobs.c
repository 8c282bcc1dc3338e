/* Bringing BLOBFILE constants into memory. */
#include "base/arena.h"
#include "base/file.h"
#include "mil/blob.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The files opened so far; few, so a list does. */
typedef struct mil_opened_blob {
    const char *path; /* as the program writes it */
    mil_blob_file *file;
} opened;

/* `folder` stands for @model_path; a path without it is taken below the folder too. Nothing outside is read.
 */
static char *resolve(const mil_blob_loader *l, const char *path, ane_error *e) {
    static const char mark[] = "@model_path/";
    const char *rest = strncmp(path, mark, sizeof mark - 1) == 0 ? path + sizeof mark - 1 : path;
    size_t n = strlen(rest);
    bool climbs = strncmp(rest, "../", 3) == 0 || strstr(rest, "/../") || strcmp(rest, "..") == 0 ||
                  (n >= 3 && strcmp(rest + n - 3, "/..") == 0);
    if (rest[0] == '/' || rest[0] == 0 || climbs) {
        ane_fail(e, ANE_ERROR_FORMAT, path, "expected a blob path below @model_path, found \"%s\"", path);
        return NULL;
    }
    char *full = ane_join_path(l->folder, rest);
    if (!full) ane_fail(e, ANE_ERROR_MEMORY, path, "no memory for a path");
    return full;
}

static mil_blob_file *open_once(mil_blob_loader *l, const char *path, ane_error *e) {
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->files[i].path, path) == 0) return l->files[i].file;
    if (l->n == l->capacity) {
        int capacity = l->capacity ? 2 * l->capacity : 16;
        opened *grown = realloc(l->files, (size_t)capacity * sizeof *grown);
        if (!grown) {
            ane_fail(e, ANE_ERROR_MEMORY, path, "no memory for %d blob files", capacity);
            return NULL;
        }
        l->files = grown;
        l->capacity = capacity;
    }
    char *full = resolve(l, path, e);
    if (!full) return NULL;
    mil_blob_file *file = mil_blob_open(full, e);
    free(full);
    if (file)
        l->files[l->n++] = (opened){path, file};
    else
        ane_hint(e, "the folder given stands for @model_path; it must hold the program's weight files");
    return file;
}

bool mil_blob_load(mil_blob_loader *l, const char *name, const mil_type *t, mil_constant *c, ane_error *e) {
    mil_blob_file *file = open_once(l, c->blob_path, e);
    if (!file) return false;
    const mil_blob_entry *blob = mil_blob_find(file, c->blob_offset);
    int64_t bytes = mil_type_bytes(t);
    char type[128];
    if (!blob) {
        ane_fail(
            e, ANE_ERROR_FORMAT, name, "\"%s\" has no blob at offset %" PRIu64, c->blob_path, c->blob_offset);
        return ane_hint(e, "BLOBFILE's offset names the blob's metadata, 64 for the first, not its data");
    }
    if (blob->dtype != t->dtype)
        return ane_fail(e, ANE_ERROR_TYPE, name, "expected a blob of %s at %" PRIu64 " of \"%s\", found %s",
            mil_dtype_name(t->dtype), c->blob_offset, c->blob_path, mil_dtype_name(blob->dtype));
    if (bytes < 0 || blob->bytes != (uint64_t)bytes)
        return ane_fail(e, ANE_ERROR_SHAPE, name,
            "%s needs %" PRId64 " bytes, but the blob at %" PRIu64 " of \"%s\" has %" PRIu64,
            mil_type_print(t, type, sizeof type), bytes, c->blob_offset, c->blob_path, blob->bytes);
    void *data = ane_arena_alloc(l->arena, (size_t)bytes);
    if (!data) return ane_fail(e, ANE_ERROR_MEMORY, name, "no memory for %" PRId64 " bytes", bytes);
    memcpy(data, blob->data, (size_t)bytes);
    c->data = data;
    return true;
}

void mil_blob_loader_close(mil_blob_loader *l) {
    for (int i = 0; i < l->n; i++) mil_blob_close(l->files[i].file);
    free(l->files);
}

bool mil_program_load_blobs(mil_program *p, const char *folder, ane_error *e) {
    mil_blob_loader l = {.arena = p->arena, .folder = folder};
    bool ok = true;
    for (int i = 0; ok && i < p->n_functions; i++) {
        const mil_function *f = p->functions[i];
        for (int v = 0; ok && v < f->n_values; v++) {
            const mil_constant *c = f->values[v].constant;
            if (c && c->blob_path && !c->data)
                ok = mil_blob_load(&l, f->values[v].name, &f->values[v].type, f->values[v].constant, e);
        }
    }
    mil_blob_loader_close(&l);
    return ok;
}
