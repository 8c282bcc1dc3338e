/* safetensors_write.c - writing safetensors: whole or not at all. */
#include "base/file.h"
#include "model/impl.h"
#include "model/safetensors_types.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- element types ------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    mil_dtype dtype;
} dtypes[] = {
    {"F64", MIL_FP64},
    {"F32", MIL_FP32},
    {"F16", MIL_FP16},
    {"BF16", MIL_BF16},
    {"I64", MIL_INT64},
    {"I32", MIL_INT32},
    {"I16", MIL_INT16},
    {"I8", MIL_INT8},
    {"U64", MIL_UINT64},
    {"U32", MIL_UINT32},
    {"U16", MIL_UINT16},
    {"U8", MIL_UINT8},
    {"BOOL", MIL_BOOL},
};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes, DATA_ALIGN = 64 };

mil_dtype ane_safetensors_dtype(const char *name) {
    for (int i = 0; i < N_DTYPES; i++)
        if (strcmp(dtypes[i].name, name) == 0) return dtypes[i].dtype;
    return MIL_VOID;
}

const char *ane_safetensors_dtype_name(mil_dtype dtype) {
    for (int i = 0; i < N_DTYPES; i++)
        if (dtypes[i].dtype == dtype) return dtypes[i].name;
    return NULL;
}

/* ---- header -------------------------------------------------------------------------------------------- */

static json_t *describe(const ane_safetensor *t, int64_t begin, int64_t end) {
    json_t *shape = json_array();
    for (int i = 0; i < t->type.rank; i++) json_array_append_new(shape, json_integer(t->type.dim[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", ane_safetensors_dtype_name(t->type.dtype), "shape",
        shape, "data_offsets", (json_int_t)begin, (json_int_t)end);
}

static bool add_metadata(json_t *header, const char *const *metadata, const char *path, ane_error *e) {
    if (!metadata) return true;
    json_t *o = json_object();
    bool ok = true;
    for (; ok && metadata[0]; metadata += 2)
        ok = json_object_set_new(o, metadata[0], json_string(metadata[1])) == 0;
    ok = json_object_set_new(header, "__metadata__", o) == 0 && ok;
    return ok ? true : ane_fail(e, ANE_ERROR_ARGUMENT, path, "The metadata must be UTF-8 strings.");
}

static bool add_tensor(json_t *header, const ane_safetensor *t, int64_t *at, const char *path, ane_error *e) {
    int64_t bytes = mil_type_bytes(&t->type);
    if (!ane_safetensors_dtype_name(t->type.dtype) || bytes < 0)
        return ane_fail(e, ANE_ERROR_TYPE, path,
            "Tensor \"%.80s\" has the element type %s, which safetensors lacks.", t->name,
            mil_dtype_name(t->type.dtype));
    if (strcmp(t->name, "__metadata__") == 0 || json_object_get(header, t->name))
        return ane_fail(e, ANE_ERROR_ARGUMENT, path, "The tensor name \"%.80s\" is taken.", t->name);
    if (json_object_set_new(header, t->name, describe(t, *at, *at + bytes)) != 0)
        return ane_fail(e, ANE_ERROR_ARGUMENT, path, "The tensor name \"%.80s\" must be UTF-8.", t->name);
    *at += bytes;
    return true;
}

static char *print_header(
    int n, const ane_safetensor *tensors, const char *const *metadata, const char *path, ane_error *e) {
    json_t *header = json_object();
    int64_t at = 0;
    bool ok = add_metadata(header, metadata, path, e);
    for (int i = 0; ok && i < n; i++) ok = add_tensor(header, &tensors[i], &at, path, e);
    char *text = ok ? json_dumps(header, JSON_COMPACT) : NULL;
    if (ok && !text) ane_fail(e, ANE_ERROR_MEMORY, path, "Not enough memory for the header.");
    json_decref(header);
    return text;
}

bool ane_safetensors_write(
    const char *path, int n, const ane_safetensor *tensors, const char *const *metadata, ane_error *e) {
    char *header = print_header(n, tensors, metadata, path, e);
    if (!header) return false;
    ane_writer *w = ane_writer_open(path, e);
    if (w) {
        /* spaces behind the header bring the data to a multiple of 64 */
        size_t length = strlen(header), total = (8 + length + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN;
        unsigned char prefix[8];
        for (int i = 0; i < 8; i++) prefix[i] = (unsigned char)((uint64_t)(total - 8) >> 8 * i);
        ane_writer_put(w, prefix, sizeof prefix);
        ane_writer_printf(w, "%s%*s", header, (int)(total - 8 - length), "");
        for (int i = 0; i < n; i++)
            ane_writer_put(w, tensors[i].data, (size_t)mil_type_bytes(&tensors[i].type));
    }
    free(header);
    return w && ane_writer_commit(w, e);
}
