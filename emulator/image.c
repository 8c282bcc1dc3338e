/* net.plist and data: what the compiler leaves in the temporary folder, and what load needs without compile.
 *
 * data is the weight files themselves, so that a program whose weights lie in one file can be given other weights by
 * putting another such file in data's place, as Orion does with a donor's net.plist. */
#include "base/file.h"
#include "emulator/objc.h"
#include "emulator/program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, MAX_TEXT = 256 << 20 };

void em_image_free(em_image *image) {
    for (int i = 0; i < image->n_files; i++) free(image->files[i].path);
    free(image->files);
    free(image->data);
    free(image->text);
    *image = (em_image){0};
}

static bool add_file(em_image *image, const char *path, uint64_t offset, uint64_t size, ane_error *e) {
    em_image_file *grown = realloc(image->files, (size_t)(image->n_files + 1) * sizeof *grown);
    if (!grown) return ane_fail(e, ANE_ERROR_MEMORY, path, "no memory for a weight file");
    image->files = grown;
    em_image_file *file = &image->files[image->n_files];
    *file = (em_image_file){strdup(path), offset, size};
    if (!file->path) return ane_fail(e, ANE_ERROR_MEMORY, path, "no memory for a path");
    image->n_files++;
    return true;
}

static bool append_file(em_image *image, const char *folder, const char *path, ane_error *e) {
    static const char mark[] = "@model_path/";
    if (strncmp(path, mark, sizeof mark - 1) != 0 || strstr(path, ".."))
        return ane_fail(e, ANE_ERROR_FORMAT, path, "expected a weight file below @model_path");
    char *full = ane_join_path(folder, path + sizeof mark - 1);
    ane_mapping m;
    bool ok = full && ane_map_file(&m, full, e);
    free(full);
    if (!ok) return ane_fail(e, ANE_ERROR_IO, path, "no memory for a path");
    size_t offset = (image->data_size + ALIGN - 1) / ALIGN * ALIGN;
    unsigned char *grown = realloc(image->data, offset + m.size + 1);
    if (grown) {
        image->data = grown;
        memset(grown + image->data_size, 0, offset - image->data_size);
        memcpy(grown + offset, m.data, m.size);
        image->data_size = offset + m.size;
        ok = add_file(image, path, offset, m.size, e);
    } else {
        ok = ane_fail(e, ANE_ERROR_MEMORY, path, "no memory for %zu bytes of weights", m.size);
    }
    ane_unmap_file(&m);
    return ok;
}

static const em_image_file *find_file(const em_image *image, const char *path) {
    for (int i = 0; i < image->n_files; i++)
        if (strcmp(image->files[i].path, path) == 0) return &image->files[i];
    return NULL;
}

/* Every weight file that the text names, in the order of its first mention. */
static bool append_weights(em_image *image, const char *folder, ane_error *e) {
    mil_program *p = mil_parse(image->text, image->text_size, "model.mil", e);
    if (!p) return false;
    bool ok = true;
    for (int i = 0; ok && i < p->n_functions; i++)
        for (int v = 0; ok && v < p->functions[i]->n_values; v++) {
            const mil_constant *c = p->functions[i]->values[v].constant;
            if (c && c->blob_path && !find_file(image, c->blob_path))
                ok = append_file(image, folder, c->blob_path, e);
        }
    mil_program_free(p);
    return ok;
}

static char *read_below(const char *folder, const char *name, size_t *size, ane_error *e) {
    char *path = ane_join_path(folder, name);
    char *text = path ? ane_read_text(path, MAX_TEXT, size, e) : NULL;
    free(path);
    return text;
}

bool em_image_from_sources(em_image *image, const char *folder, ane_error *e) {
    *image = (em_image){0};
    image->text = read_below(folder, "model.mil", &image->text_size, e);
    if (image->text && append_weights(image, folder, e)) return true;
    em_image_free(image);
    return ane_fail(e, ANE_ERROR_IO, folder, "cannot read model.mil");
}

/* Without fsync: a file of the temporary folder need not outlive the machine. */
static bool write_below(const char *folder, const char *name, const void *bytes, size_t size, ane_error *e) {
    char *path = ane_join_path(folder, name);
    FILE *file = path ? fopen(path, "wb") : NULL;
    bool ok = file && fwrite(bytes, 1, size, file) == size;
    if (file && fclose(file) != 0) ok = false;
    free(path);
    return ok || ane_fail(e, ANE_ERROR_IO, folder, "cannot write %s", name);
}

bool em_image_write(const em_image *image, const char *folder, ane_error *e) {
    id plist = em_mutable_dictionary(), files = em_mutable_dictionary();
    for (int i = 0; i < image->n_files; i++) {
        id place[] = {
            em_number((long long)image->files[i].offset), em_number((long long)image->files[i].size)};
        em_put(files, image->files[i].path, em_array(2, place));
    }
    em_put(plist, "MIL", em_string(image->text));
    em_put(plist, "Weights", files);
    size_t size = 0;
    const void *bytes = em_data_bytes(em_plist_data(plist), &size);
    if (!bytes) return ane_fail(e, ANE_ERROR_MEMORY, folder, "no memory for net.plist");
    return write_below(folder, "net.plist", bytes, size, e) &&
           (!image->n_files || write_below(folder, "data", image->data, image->data_size, e));
}

static bool read_files(em_image *image, id files, ane_error *e) {
    id paths = em_keys(files);
    for (unsigned long i = 0; i < em_count(paths); i++) {
        id path = em_at(paths, i), place = em_get_object(files, path);
        if (!em_is_kind_of(place, "NSArray") || em_count(place) != 2)
            return ane_fail(
                e, ANE_ERROR_FORMAT, "net.plist", "expected offset and size of %s", em_text(path));
        uint64_t offset = em_number_value(em_at(place, 0)), size = em_number_value(em_at(place, 1));
        if (offset > image->data_size || size > image->data_size - offset)
            return ane_fail(e, ANE_ERROR_FORMAT, "data",
                "expected %" PRIu64 " bytes from %" PRIu64 " on, found %zu in all", size, offset,
                image->data_size);
        if (!add_file(image, em_text(path), offset, size, e)) return false;
    }
    return true;
}

static id read_plist(const char *folder, ane_error *e) {
    size_t size = 0;
    char *text = read_below(folder, "net.plist", &size, e);
    id plist = text ? em_plist_of(em_data(text, size)) : nil;
    free(text);
    return em_is_kind_of(plist, "NSDictionary") ? plist : nil;
}

bool em_image_read(em_image *image, const char *folder, ane_error *e) {
    *image = (em_image){0};
    id plist = read_plist(folder, e);
    id text = plist ? em_get(plist, "MIL") : nil, files = plist ? em_get(plist, "Weights") : nil;
    if (!em_is_kind_of(text, "NSString") || !em_is_kind_of(files, "NSDictionary"))
        return ane_fail(e, ANE_ERROR_IO, folder, "expected the net.plist of a compiled program");
    image->text = strdup(em_text(text));
    if (!image->text) return ane_fail(e, ANE_ERROR_MEMORY, folder, "no memory for a program");
    image->text_size = strlen(image->text);
    bool ok = em_count(files) == 0;
    if (!ok) {
        image->data = (unsigned char *)read_below(folder, "data", &image->data_size, e);
        ok = image->data && read_files(image, files, e);
    }
    if (!ok) em_image_free(image);
    return ok;
}

static bool bind_constant(const mil_value_info *v, const mil_blob_file *blobs, ane_error *e) {
    mil_constant *c = v->constant;
    const mil_blob_entry *blob = mil_blob_find(blobs, c->blob_offset);
    int64_t bytes = mil_type_bytes(&v->type);
    if (!blob)
        return ane_fail(e, ANE_ERROR_FORMAT, v->name, "\"%s\" has no blob at offset %" PRIu64, c->blob_path,
            c->blob_offset);
    if (blob->dtype != v->type.dtype || bytes < 0 || blob->bytes != (uint64_t)bytes)
        return ane_fail(e, ANE_ERROR_TYPE, v->name,
            "expected %" PRId64 " bytes of %s at %" PRIu64 " of \"%s\", found %" PRIu64 " of %s", bytes,
            mil_dtype_name(v->type.dtype), c->blob_offset, c->blob_path, blob->bytes,
            mil_dtype_name(blob->dtype));
    c->data = blob->data;
    return true;
}

bool em_image_bind(const em_image *image, mil_program *p, ane_error *e) {
    bool ok = true;
    for (int file = 0; ok && file < image->n_files; file++) {
        const em_image_file *f = &image->files[file];
        mil_blob_file *blobs = mil_blob_open_memory(image->data + f->offset, f->size, e);
        if (!blobs) return ane_at(e, f->path);
        for (int i = 0; ok && i < p->n_functions; i++)
            for (int v = 0; ok && v < p->functions[i]->n_values; v++) {
                const mil_constant *c = p->functions[i]->values[v].constant;
                if (c && c->blob_path && strcmp(c->blob_path, f->path) == 0)
                    ok = bind_constant(&p->functions[i]->values[v], blobs, e);
            }
        mil_blob_close(blobs);
    }
    return ok;
}
