/* safetensors.c - reading Hugging Face's safetensors, strictly.
 *
 * Format (github.com/huggingface/safetensors): uint64 length of the header; the header, a JSON object name ->
 * {"dtype", "shape", "data_offsets": [begin, end]} with an optional "__metadata__" of strings; then the data.
 * Offsets count from the end of the header; the tensors fill the rest of the file without holes or overlaps.
 */
#include "base/file.h"
#include "model/impl.h"
#include "model/safetensors_types.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 100000000 }; /* the format's own limit */

typedef struct entry {
    ane_safetensor tensor;
    uint64_t begin, end;
} entry;

struct ane_safetensors {
    ane_mapping map;
    json_t *header; /* owns the names */
    int n;
    entry *entries; /* in the order of their data */
    json_t *index;  /* name -> position in entries */
};

void ane_safetensors_close(ane_safetensors *s) {
    if (!s) return;
    json_decref(s->index);
    json_decref(s->header);
    free(s->entries);
    ane_unmap_file(&s->map);
    free(s);
}

/* ---- header -------------------------------------------------------------------------------------------- */

static bool read_header(ane_safetensors *s, const char *path, uint64_t *data_start, ane_error *e) {
    uint64_t length = 0;
    if (s->map.size < 8)
        return ane_fail(e, ANE_ERROR_FORMAT, path,
            "Not a safetensors file: it has %zu bytes, expected at least 8.", s->map.size);
    for (int i = 7; i >= 0; i--) length = length << 8 | s->map.data[i];
    if (length > MAX_HEADER)
        return ane_fail(e, ANE_ERROR_FORMAT, path,
            "Not a safetensors file: its header would have %llu bytes, expected at most %d.",
            (unsigned long long)length, MAX_HEADER);
    if (length > s->map.size - 8)
        return ane_fail(e, ANE_ERROR_FORMAT, path,
            "The file is truncated: its header should have %llu bytes, found %zu behind the length.",
            (unsigned long long)length, s->map.size - 8);
    json_error_t je;
    s->header = json_loadb((const char *)s->map.data + 8, (size_t)length, JSON_REJECT_DUPLICATES, &je);
    if (!s->header)
        return ane_fail(
            e, ANE_ERROR_FORMAT, path, "The header is not valid JSON: byte %d: %s.", je.position, je.text);
    if (!json_is_object(s->header))
        return ane_fail(e, ANE_ERROR_FORMAT, path, "The header must be a JSON object.");
    *data_start = 8 + length;
    return true;
}

static bool check_metadata(const json_t *metadata, ane_error *e) {
    if (!json_is_object(metadata))
        return ane_fail(e, ANE_ERROR_FORMAT, "", "\"__metadata__\" must be an object of strings.");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)metadata, key, value) {
        if (!json_is_string(value))
            return ane_fail(e, ANE_ERROR_FORMAT, "",
                "\"__metadata__\" must be an object of strings; \"%.64s\" is none.", key);
    }
    return true;
}

/* ---- one tensor ---------------------------------------------------------------------------------------- */

static bool read_shape(const json_t *shape, mil_type *type, uint64_t *bytes, ane_error *e) {
    if (!json_is_array(shape)) return ane_fail(e, ANE_ERROR_FORMAT, "", "\"shape\" must be a list of sizes.");
    if (json_array_size(shape) > MIL_MAX_RANK)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, "", "It has %zu dimensions, at most %d are supported.",
            json_array_size(shape), MIL_MAX_RANK);
    uint64_t count = (uint64_t)mil_dtype_bits(type->dtype) / 8;
    type->rank = (int32_t)json_array_size(shape);
    for (int i = 0; i < type->rank; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return ane_fail(e, ANE_ERROR_FORMAT, "", "\"shape\" must be a list of sizes.");
        type->dim[i] = json_integer_value(dim);
        if (__builtin_mul_overflow(count, (uint64_t)type->dim[i], &count) || count > INT64_MAX)
            return ane_fail(
                e, ANE_ERROR_FORMAT, "", "The product of its dimensions does not fit in 63 bits.");
    }
    *bytes = count;
    return true;
}

static bool read_offsets(const json_t *offsets, uint64_t data_size, entry *t, ane_error *e) {
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return ane_fail(e, ANE_ERROR_FORMAT, "", "\"data_offsets\" must be [begin, end], 0 <= begin <= end.");
    t->begin = (uint64_t)json_integer_value(begin);
    t->end = (uint64_t)json_integer_value(end);
    if (t->end > data_size)
        return ane_fail(e, ANE_ERROR_FORMAT, "",
            "Its data ends at byte %llu but the file holds %llu bytes of data: truncated?",
            (unsigned long long)t->end, (unsigned long long)data_size);
    return true;
}

static bool read_entry(
    const json_t *o, const unsigned char *data, uint64_t data_size, entry *t, ane_error *e) {
    const char *dtype = json_string_value(json_object_get(o, "dtype"));
    if (!dtype)
        return ane_fail(
            e, ANE_ERROR_FORMAT, "", "Expected an object with \"dtype\", \"shape\", \"data_offsets\".");
    t->tensor.type.dtype = ane_safetensors_dtype(dtype);
    if (t->tensor.type.dtype == MIL_VOID)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, "", "Its element type \"%.32s\" is not supported.", dtype);
    uint64_t bytes = 0;
    if (!read_shape(json_object_get(o, "shape"), &t->tensor.type, &bytes, e) ||
        !read_offsets(json_object_get(o, "data_offsets"), data_size, t, e))
        return false;
    if (bytes != t->end - t->begin) {
        char type[160];
        return ane_fail(e, ANE_ERROR_FORMAT, "", "Its type %s takes %llu bytes, its offsets span %llu.",
            mil_type_print(&t->tensor.type, type, sizeof type), (unsigned long long)bytes,
            (unsigned long long)(t->end - t->begin));
    }
    t->tensor.data = data + t->begin;
    return true;
}

/* ---- all tensors --------------------------------------------------------------------------------------- */

static int by_offset(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Tensors must follow each other without a gap and fill the file. */
static bool check_cover(const ane_safetensors *s, uint64_t data_size, const char *path, ane_error *e) {
    uint64_t at = 0;
    for (int i = 0; i < s->n; i++) {
        const entry *t = &s->entries[i];
        if (t->begin != at)
            return ane_fail(e, ANE_ERROR_FORMAT, path,
                "Tensor \"%.80s\" begins at byte %llu, expected %llu: %s.", t->tensor.name,
                (unsigned long long)t->begin, (unsigned long long)at,
                t->begin < at ? "it overlaps the one before" : "there is a hole before it");
        at = t->end;
    }
    if (at != data_size)
        return ane_fail(e, ANE_ERROR_FORMAT, path, "The tensors end at byte %llu of %llu bytes of data.",
            (unsigned long long)at, (unsigned long long)data_size);
    return true;
}

static bool read_entries(ane_safetensors *s, uint64_t start, const char *path, ane_error *e) {
    size_t room = json_object_size(s->header);
    s->entries = calloc(room + 1, sizeof *s->entries);
    if (!s->entries) return ane_fail(e, ANE_ERROR_MEMORY, path, "Not enough memory for %zu tensors.", room);
    const char *name;
    json_t *value;
    json_object_foreach(s->header, name, value) {
        if (strcmp(name, "__metadata__") == 0) {
            if (!check_metadata(value, e)) return ane_at(e, path);
            continue;
        }
        entry *t = &s->entries[s->n++];
        t->tensor.name = name;
        ane_error why = {0};
        if (!read_entry(value, s->map.data + start, s->map.size - start, t, &why))
            return ane_fail(e, why.code, path, "Tensor \"%.80s\": %s", name, why.message);
    }
    qsort(s->entries, (size_t)s->n, sizeof *s->entries, by_offset);
    return check_cover(s, s->map.size - start, path, e);
}

static bool index_names(ane_safetensors *s, const char *path, ane_error *e) {
    s->index = json_object();
    for (int i = 0; i < s->n; i++)
        if (json_object_set_new_nocheck(s->index, s->entries[i].tensor.name, json_integer(i)) != 0)
            return ane_fail(e, ANE_ERROR_MEMORY, path, "Not enough memory for %d names.", s->n);
    return true;
}

/* ---- the interface ------------------------------------------------------------------------------------- */

ane_safetensors *ane_safetensors_open(const char *path, ane_error *e) {
    ane_safetensors *s = calloc(1, sizeof *s);
    if (!s) {
        ane_fail(e, ANE_ERROR_MEMORY, path, "Not enough memory.");
        return NULL;
    }
    uint64_t start = 0;
    if (!ane_map_file(&s->map, path, e)) {
        free(s);
        return NULL;
    }
    if (!read_header(s, path, &start, e) || !read_entries(s, start, path, e) || !index_names(s, path, e)) {
        ane_safetensors_close(s);
        return NULL;
    }
    return s;
}

int ane_safetensors_count(const ane_safetensors *s) {
    return s->n;
}

const ane_safetensor *ane_safetensors_at(const ane_safetensors *s, int index) {
    return index >= 0 && index < s->n ? &s->entries[index].tensor : NULL;
}

const ane_safetensor *ane_safetensors_find(const ane_safetensors *s, const char *name) {
    const json_t *position = json_object_get(s->index, name);
    return position ? &s->entries[json_integer_value(position)].tensor : NULL;
}

const char *ane_safetensors_metadata(const ane_safetensors *s, const char *key) {
    return json_string_value(json_object_get(json_object_get(s->header, "__metadata__"), key));
}
