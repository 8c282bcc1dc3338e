/* Writing blob files: the true count, types, 64-bit sizes; the same bytes as coremltools writes. */
#include "base/file.h"
#include "mil/blob.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct mil_blob_writer {
    ane_writer *file;
    uint32_t count;
    ane_error error; /* the first one; commit reports it */
};

mil_blob_writer *mil_blob_writer_open(const char *path, ane_error *e) {
    mil_blob_writer *w = calloc(1, sizeof *w);
    if (!w) {
        ane_fail(e, ANE_ERROR_MEMORY, path, "no memory for a blob writer");
        return NULL;
    }
    w->file = ane_writer_open(path, e);
    if (!w->file) {
        free(w);
        return NULL;
    }
    ane_writer_put(w->file, &(mil_blob_header){.version = MIL_BLOB_VERSION}, sizeof(mil_blob_header));
    return w;
}

static void pad_to_alignment(ane_writer *file) {
    static const char zeros[MIL_BLOB_ALIGN];
    uint64_t offset = ane_writer_offset(file);
    ane_writer_put(file, zeros, (size_t)(mil_blob_align(offset) - offset));
}

uint64_t mil_blob_writer_add(mil_blob_writer *w, mil_dtype dtype, int64_t count, const void *data) {
    uint32_t code = mil_blob_type_code(dtype);
    int64_t bits = code ? mil_dtype_bits(dtype) : 0;
    if (!code)
        return ane_fail(&w->error, ANE_ERROR_TYPE, NULL, "blob files cannot hold %s", mil_dtype_name(dtype));
    if (count < 0 || count > INT64_MAX / bits - 7)
        return ane_fail(
            &w->error, ANE_ERROR_ARGUMENT, NULL, "a blob cannot have %" PRId64 " elements", count);
    pad_to_alignment(w->file);
    uint64_t offset = ane_writer_offset(w->file), bytes = ((uint64_t)count * (uint64_t)bits + 7) / 8;
    mil_blob_metadata m = {
        .sentinel = MIL_BLOB_SENTINEL, .type = code, .bytes = bytes, .data_offset = offset + 64};
    m.padding_bits = bytes * 8 - (uint64_t)count * (uint64_t)bits;
    ane_writer_put(w->file, &m, sizeof m);
    ane_writer_put(w->file, data, (size_t)bytes);
    w->count++;
    return offset;
}

bool mil_blob_writer_commit(mil_blob_writer *w, ane_error *e) {
    if (w->error.code != ANE_OK) {
        if (e && e->code == ANE_OK) *e = w->error;
        mil_blob_writer_abort(w);
        return false;
    }
    ane_writer_patch(w->file, 0, &w->count, sizeof w->count);
    bool ok = ane_writer_commit(w->file, e);
    free(w);
    return ok;
}

void mil_blob_writer_abort(mil_blob_writer *w) {
    if (!w) return;
    ane_writer_abort(w->file);
    free(w);
}
