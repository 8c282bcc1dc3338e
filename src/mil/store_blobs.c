/* store_blobs.c - constants in memory to a blob file. */
#include "base/arena.h"
#include "base/file.h"
#include "mil/blob.h"
#include "mil/function.h"

#include <stdlib.h>

/* Where each constant went; 0: nowhere. Applied only once the file is there. */
typedef struct places {
    uint64_t *offsets;
    int32_t n;
} places;

static bool is_stored(const mil_value_info *v, int64_t smallest) {
    return v->constant && v->constant->data && mil_blob_type_code(v->type.dtype) &&
           mil_type_count(&v->type) >= smallest;
}

static void put_all(const mil_program *p, int64_t smallest, mil_blob_writer *w, places *out) {
    for (int32_t i = 0; i < p->n_functions; i++)
        for (int32_t k = 0; k < p->functions[i]->n_values; k++) {
            const mil_value_info *v = &p->functions[i]->values[k];
            out->offsets[out->n++] = is_stored(v, smallest) ? mil_blob_writer_add(w, v->type.dtype,
                                                                  mil_type_count(&v->type), v->constant->data)
                                                            : 0;
        }
}

/* What is not in the file is written in the text. */
static void refer(const mil_program *p, const places *where, const char *path) {
    int32_t n = 0;
    for (int32_t i = 0; i < p->n_functions; i++)
        for (int32_t k = 0; k < p->functions[i]->n_values; k++, n++) {
            mil_constant *c = p->functions[i]->values[k].constant;
            if (!c || !c->data) continue;
            c->blob_path = where->offsets[n] ? path : NULL;
            c->blob_offset = where->offsets[n];
        }
}

static bool store(mil_program *p, const char *file, const char *path, int64_t smallest, ane_error *e) {
    size_t n = 1;
    for (int32_t i = 0; i < p->n_functions; i++) n += (size_t)p->functions[i]->n_values;
    places where = {.offsets = calloc(n, sizeof *where.offsets)};
    if (!where.offsets) return mil_no_memory(e, file);
    mil_blob_writer *w = mil_blob_writer_open(file, e);
    if (w) put_all(p, smallest, w, &where);
    bool ok = w && mil_blob_writer_commit(w, e);
    if (ok) refer(p, &where, path);
    free(where.offsets);
    return ok;
}

bool mil_program_store_blobs(
    mil_program *p, const char *folder, const char *name, int64_t smallest, ane_error *e) {
    char *weights = ane_join_path(folder, "weights"), *file = weights ? ane_join_path(weights, name) : NULL;
    const char *path = ane_arena_printf(p->arena, "@model_path/weights/%s", name);
    bool ok = file && path ? ane_make_folders(weights, e) && store(p, file, path, smallest, e)
                           : mil_no_memory(e, folder);
    free(file);
    free(weights);
    return ok;
}
