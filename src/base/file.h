/* file.h - files: mapped for reading, written whole or not at all. */
#ifndef ANEMONE_BASE_FILE_H
#define ANEMONE_BASE_FILE_H

#include "anemone/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A file mapped read-only. An empty file maps to data = "" and size 0. */
typedef struct ane_mapping {
    const unsigned char *data;
    size_t size;
} ane_mapping;

bool ane_map_file(ane_mapping *m, const char *path, ane_error *e);
void ane_unmap_file(ane_mapping *m);

/* Read a whole text file of at most `limit` bytes; NUL-terminated; caller frees. */
char *ane_read_text(const char *path, size_t limit, size_t *size, ane_error *e);

/* Writing a file so that a reader sees the old content or the new, never a part: write to a temporary name beside
 * `path`, then commit() flushes, fsyncs, renames and fsyncs the folder. Permissions and links of what is replaced stay;
 * a device or a pipe is no file, and is written as it is. Write errors are kept and reported by commit(). abort() removes
 * the temporary file; both end the writer. A process that is killed before leaves no temporary file where the file system
 * has files without names (Linux: all usual ones); elsewhere it leaves PATH.tmp-PROCESS-0, which nothing reads. */
typedef struct ane_writer ane_writer;
ane_writer *ane_writer_open(const char *path, ane_error *e);
void ane_writer_put(ane_writer *w, const void *data, size_t size);
void ane_writer_printf(ane_writer *w, const char *format, ...) ANE_PRINTF(2, 3);
uint64_t ane_writer_offset(const ane_writer *w);
bool ane_writer_failed(const ane_writer *w); /* so far: what is put from now on is lost, commit() says why */
/* Write over bytes put before: offset + size <= ane_writer_offset. */
void ane_writer_patch(ane_writer *w, uint64_t offset, const void *data, size_t size);
bool ane_writer_commit(ane_writer *w, ane_error *e);
void ane_writer_abort(ane_writer *w);

bool ane_write_file(const char *path, const void *data, size_t size, ane_error *e);

bool ane_make_folders(const char *path, ane_error *e); /* like mkdir -p */
bool ane_fsync_folder(const char *path, ane_error *e);
bool ane_remove_tree(const char *path, ane_error *e); /* a missing path is fine */
bool ane_path_exists(const char *path);
bool ane_is_folder(const char *path);
/* folder/name into a fresh string; caller frees; NULL when out of memory. */
char *ane_join_path(const char *folder, const char *name);

/* CRC-32 (IEEE 802.3) of `size` bytes, continued from `crc` (0 to start). */
uint32_t ane_crc32(uint32_t crc, const void *data, size_t size);

#endif
