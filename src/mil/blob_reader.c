/* Reading blob files: every offset and size is checked once, when the file is opened. */
#include "base/file.h"
#include "mil/blob.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct mil_blob_file {
    ane_mapping mapping; /* size 0 when the caller owns the memory */
    int n, capacity;
    mil_blob_entry *entries; /* in the order of their offsets */
};

/* Indexed by the format's code; 16 and 17 are Float8E4M3FN and Float8E5M2, which MIL programs cannot declare.
 */
static const mil_dtype types[] = {MIL_VOID, MIL_FP16, MIL_FP32, MIL_UINT8, MIL_INT8, MIL_BF16, MIL_INT16,
    MIL_UINT16, MIL_INT4, MIL_UINT1, MIL_UINT2, MIL_UINT4, MIL_UINT3, MIL_UINT6, MIL_INT32, MIL_UINT32};
enum { N_TYPES = sizeof types / sizeof *types };

uint32_t mil_blob_type_code(mil_dtype dtype) {
    for (uint32_t i = 1; i < N_TYPES; i++)
        if (types[i] == dtype) return i;
    return 0;
}

mil_dtype mil_blob_type_from_code(uint32_t code) {
    return code < N_TYPES ? types[code] : MIL_VOID;
}

static bool check_header(const unsigned char *data, size_t size, uint32_t *count, ane_error *e) {
    mil_blob_header h;
    if (size < sizeof h)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL,
            "expected a blob file with a header of 64 bytes, found %zu bytes", size);
    memcpy(&h, data, sizeof h);
    if (h.version != MIL_BLOB_VERSION)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL,
            "expected blob storage version 2 at byte 4, found %" PRIu32, h.version);
    *count = h.count;
    return true;
}

/* Bytes, padding and element size must agree: the elements end inside the last byte. */
static bool check_size(const mil_blob_metadata *m, mil_dtype dtype, uint64_t offset, ane_error *e) {
    uint64_t bits = (uint64_t)mil_dtype_bits(dtype);
    uint64_t most_padding = bits < 8 && m->bytes > 0 ? 7 : 0;
    if (m->padding_bits > most_padding)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL,
            "blob at %" PRIu64 ": expected at most %" PRIu64 " padding bits for %s, found %" PRIu64, offset,
            most_padding, mil_dtype_name(dtype), m->padding_bits);
    if (m->bytes > UINT64_MAX / 8 || (m->bytes * 8 - m->padding_bits) % bits != 0)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL,
            "blob at %" PRIu64 ": %" PRIu64 " bytes less %" PRIu64 " bits hold no whole number of %s", offset,
            m->bytes, m->padding_bits, mil_dtype_name(dtype));
    return true;
}

/* Check the metadata at `offset` (a multiple of 64, with 64 bytes left) and describe it. */
static bool read_metadata(
    const unsigned char *data, size_t size, uint64_t offset, mil_blob_entry *out, ane_error *e) {
    mil_blob_metadata m;
    memcpy(&m, data + offset, sizeof m);
    if (m.sentinel != MIL_BLOB_SENTINEL)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL,
            "blob at %" PRIu64 ": expected the mark 0xdeadbeef, found 0x%08" PRIx32, offset, m.sentinel);
    mil_dtype dtype = mil_blob_type_from_code(m.type);
    if (dtype == MIL_VOID)
        return ane_fail(e, m.type == 16 || m.type == 17 ? ANE_ERROR_UNSUPPORTED : ANE_ERROR_FORMAT, NULL,
            "blob at %" PRIu64 ": element type %" PRIu32 " is not one that a program can declare (1 to 15)",
            offset, m.type);
    if (m.data_offset % MIL_BLOB_ALIGN != 0 || m.data_offset < offset + sizeof m)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL,
            "blob at %" PRIu64 ": expected its data at a multiple of 64 from %" PRIu64 " on, found %" PRIu64,
            offset, offset + (uint64_t)sizeof m, m.data_offset);
    if (m.data_offset > size || m.bytes > size - m.data_offset)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL,
            "blob at %" PRIu64 ": its %" PRIu64 " bytes from %" PRIu64 " end behind the file's end at %zu",
            offset, m.bytes, m.data_offset, size);
    if (!check_size(&m, dtype, offset, e)) return false;
    *out = (mil_blob_entry){offset, dtype, m.bytes, m.padding_bits, data + m.data_offset};
    return true;
}

static bool append(mil_blob_file *b, const mil_blob_entry *entry, ane_error *e) {
    if (b->n == b->capacity) {
        int capacity = b->capacity ? 2 * b->capacity : 16;
        mil_blob_entry *grown = realloc(b->entries, (size_t)capacity * sizeof *grown);
        if (!grown) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "no memory for %d blobs", capacity);
        b->entries = grown;
        b->capacity = capacity;
    }
    b->entries[b->n++] = *entry;
    return true;
}

/* Walk from one blob to the next. A header that promises fewer blobs than there are is accepted: the first
 * programs for the Neural Engine always wrote 1, and Apple's compiler takes their files. */
static bool read_all(mil_blob_file *b, const unsigned char *data, size_t size, ane_error *e) {
    uint32_t count = 0;
    if (!check_header(data, size, &count, e)) return false;
    uint64_t offset = sizeof(mil_blob_header);
    while (offset + sizeof(mil_blob_metadata) <= size) {
        mil_blob_entry entry;
        if (!read_metadata(data, size, offset, &entry, e) || !append(b, &entry, e)) return false;
        offset = mil_blob_align((uint64_t)((const unsigned char *)entry.data - data) + entry.bytes);
    }
    if (offset < size)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL,
            "expected another blob at %" PRIu64 ", found the file's end at %zu", offset, size);
    if ((uint32_t)b->n < count)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected %" PRIu32 " blobs as the header says, found %d",
            count, b->n);
    return true;
}

mil_blob_file *mil_blob_open_memory(const void *data, size_t size, ane_error *e) {
    mil_blob_file *b = calloc(1, sizeof *b);
    if (!b) {
        ane_fail(e, ANE_ERROR_MEMORY, NULL, "no memory for a blob file");
        return NULL;
    }
    if (read_all(b, data, size, e)) return b;
    mil_blob_close(b);
    return NULL;
}

mil_blob_file *mil_blob_open(const char *path, ane_error *e) {
    ane_mapping mapping;
    if (!ane_map_file(&mapping, path, e)) return NULL;
    mil_blob_file *b = mil_blob_open_memory(mapping.data, mapping.size, e);
    if (b) {
        b->mapping = mapping;
        return b;
    }
    ane_at(e, path);
    ane_unmap_file(&mapping);
    return NULL;
}

void mil_blob_close(mil_blob_file *b) {
    if (!b) return;
    if (b->mapping.size) ane_unmap_file(&b->mapping);
    free(b->entries);
    free(b);
}

int mil_blob_count(const mil_blob_file *b) {
    return b->n;
}

const mil_blob_entry *mil_blob_at(const mil_blob_file *b, int index) {
    return index >= 0 && index < b->n ? &b->entries[index] : NULL;
}

const mil_blob_entry *mil_blob_find(const mil_blob_file *b, uint64_t offset) {
    int low = 0, high = b->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (b->entries[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < b->n && b->entries[low].offset == offset ? &b->entries[low] : NULL;
}
