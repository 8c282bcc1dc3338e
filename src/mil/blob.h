/* blob.h - MIL Blob Storage v2, as coremltools writes it:
 *
 *     header [64], then for each blob: zeros up to a multiple of 64, metadata [64], data
 *
 * All numbers are little-endian. What BLOBFILE(offset=) names is the metadata, not the data.
 */
#ifndef ANEMONE_MIL_BLOB_H
#define ANEMONE_MIL_BLOB_H

#include "anemone/mil.h"

enum { MIL_BLOB_ALIGN = 64, MIL_BLOB_VERSION = 2 };
#define MIL_BLOB_SENTINEL 0xDEADBEEFu

typedef struct mil_blob_header {
    uint32_t count, version;
    uint64_t reserved[7];
} mil_blob_header;

typedef struct mil_blob_metadata {
    uint32_t sentinel, type; /* type: a code of mil_blob_type_code() */
    uint64_t bytes;
    uint64_t data_offset; /* from the start of the file */
    uint64_t padding_bits;
    uint64_t reserved[4];
} mil_blob_metadata;

_Static_assert(
    sizeof(mil_blob_header) == 64 && sizeof(mil_blob_metadata) == 64, "both are 64 bytes in the file");

/* The format's number for an element type; 0 when it has none (fp64, int64, uint64, bool, string). */
uint32_t mil_blob_type_code(mil_dtype dtype);
mil_dtype mil_blob_type_from_code(uint32_t code); /* MIL_VOID when unknown */

static inline uint64_t mil_blob_align(uint64_t offset) {
    return (offset + MIL_BLOB_ALIGN - 1) / MIL_BLOB_ALIGN * MIL_BLOB_ALIGN;
}

/* Finds constants in the blob files below a folder ("@model_path" stands for it); every file is opened once. Starts as
 * {.arena, .folder}. */
typedef struct mil_blob_loader {
    struct ane_arena *arena; /* receives the data */
    const char *folder;
    int n, capacity;
    struct mil_opened_blob *files;
} mil_blob_loader;
/* Fill c->data, checked against `type`. `name` is for messages. */
bool mil_blob_load(mil_blob_loader *l, const char *name, const mil_type *type, mil_constant *c, ane_error *e);
void mil_blob_loader_close(mil_blob_loader *l);

#endif
