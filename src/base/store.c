/* store.c - entries written and read; see store.h.
 *
 *     0    magic "anestore"
 *     8    SHA-256 of all that follows, in hexadecimal digits
 *     72   the key
 *     136  how many parts (u32), zero (u32)
 *     144  per part: name, padded with zeros (32), offset in the file (u64), size (u64)
 *          the parts' bytes */
#include "base/store.h"
#include "base/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGEST = 64 };
static const char magic[8] = {'a', 'n', 'e', 's', 't', 'o', 'r', 'e'};

typedef struct part_row {
    char name[ANE_STORE_NAME];
    uint64_t offset, size;
} part_row;

typedef struct header {
    char magic[8], digest[DIGEST], key[ANE_STORE_KEY];
    uint32_t n, zero;
} header;

static char *path_of(const ane_store *s, const char *key) {
    char name[ANE_STORE_KEY + 16];
    snprintf(name, sizeof name, "%.*s.entry", ANE_STORE_KEY, key);
    return ane_join_path(s->folder, name);
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

typedef struct draft {
    header head;
    part_row rows[ANE_STORE_PARTS];
} draft;

static int64_t plan(draft *w, const char *key, int n, const ane_store_part *parts) {
    uint64_t at = sizeof w->head + (uint64_t)n * sizeof *w->rows;
    memset(w, 0, sizeof *w);
    memcpy(w->head.magic, magic, sizeof magic);
    memcpy(w->head.key, key, ANE_STORE_KEY);
    w->head.n = (uint32_t)n;
    for (int i = 0; i < n; i++) {
        snprintf(w->rows[i].name, ANE_STORE_NAME, "%s", parts[i].name);
        w->rows[i].offset = at;
        w->rows[i].size = parts[i].size;
        at += parts[i].size;
    }
    return (int64_t)at;
}

static void sign(draft *w, const ane_store_part *parts) {
    ane_sha256 h;
    char digest[DIGEST + 1];
    ane_sha256_start(&h);
    ane_sha256_add(&h, w->head.key, sizeof w->head - offsetof(header, key));
    ane_sha256_add(&h, w->rows, w->head.n * sizeof *w->rows);
    for (uint32_t i = 0; i < w->head.n; i++) ane_sha256_add(&h, parts[i].data, parts[i].size);
    ane_sha256_end(&h, digest);
    memcpy(w->head.digest, digest, DIGEST);
}

/* Not synced: an entry that a crash of the machine cuts short is told by its digest. */
static bool write_draft(int fd, const draft *w, const ane_store_part *parts) {
    FILE *file = fdopen(fd, "wb");
    if (!file) {
        close(fd);
        return false;
    }
    bool ok = fwrite(&w->head, sizeof w->head, 1, file) == 1 &&
              fwrite(w->rows, sizeof *w->rows, w->head.n, file) == w->head.n;
    for (uint32_t i = 0; ok && i < w->head.n; i++)
        ok = fwrite(parts[i].data, 1, parts[i].size, file) == parts[i].size;
    return fclose(file) == 0 && ok;
}

bool ane_store_put(const ane_store *s, const char *key, int n, const ane_store_part *parts, ane_error *e) {
    draft w;
    size_t removed;
    int64_t size = plan(&w, key, n, parts);
    if (size > s->max_bytes) return false;
    sign(&w, parts);
    char *path = path_of(s, key), *temporary = ane_join_path(s->folder, ".put-XXXXXX");
    bool ok = path && temporary ? ane_make_folders(s->folder, e)
                                : ane_fail(e, ANE_ERROR_MEMORY, s->folder, "no memory for a path");
    int fd = ok ? mkstemp(temporary) : -1;
    if (ok && (fd < 0 || !write_draft(fd, &w, parts) || rename(temporary, path) != 0)) {
        ok = ane_fail(e, ANE_ERROR_IO, path, "the entry cannot be written: %s", strerror(errno));
        if (fd >= 0) unlink(temporary);
    }
    free(path);
    free(temporary);
    return ok && ane_store_prune(s, s->max_bytes, &removed, e);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static bool is_signed(const ane_mapping *file, const char *key) {
    header head;
    ane_sha256 h;
    char digest[DIGEST + 1];
    if (file->size < sizeof head) return false;
    memcpy(&head, file->data, sizeof head);
    if (memcmp(head.magic, magic, sizeof magic) != 0 || memcmp(head.key, key, ANE_STORE_KEY) != 0)
        return false;
    ane_sha256_start(&h);
    ane_sha256_add(&h, file->data + offsetof(header, key), file->size - offsetof(header, key));
    ane_sha256_end(&h, digest);
    return memcmp(digest, head.digest, DIGEST) == 0;
}

/* The parts, where their rows lie within the file. */
static bool find_parts(ane_store_entry *entry) {
    const ane_mapping *file = &entry->file;
    header head;
    memcpy(&head, file->data, sizeof head);
    if (head.n > ANE_STORE_PARTS || file->size < sizeof head + head.n * sizeof(part_row)) return false;
    for (uint32_t i = 0; i < head.n; i++) {
        const unsigned char *at = file->data + sizeof head + i * sizeof(part_row);
        part_row row;
        memcpy(&row, at, sizeof row);
        if (row.name[ANE_STORE_NAME - 1] || row.offset > file->size || row.size > file->size - row.offset)
            return false;
        entry->parts[i] = (ane_store_part){(const char *)at, file->data + row.offset, (size_t)row.size};
    }
    entry->n = (int)head.n;
    return true;
}

bool ane_store_get(const ane_store *s, const char *key, ane_store_entry *entry, ane_error *e) {
    *entry = (ane_store_entry){0};
    char *path = path_of(s, key);
    bool ok = path && ane_map_file(&entry->file, path, NULL);
    if (ok && (!is_signed(&entry->file, key) || !find_parts(entry))) {
        ok = ane_fail(e, ANE_ERROR_FORMAT, path, "the entry is damaged, and was removed");
        unlink(path);
        ane_store_close(entry);
    }
    if (ok) utimensat(AT_FDCWD, path, NULL, 0);
    free(path);
    return ok;
}

void ane_store_close(ane_store_entry *entry) {
    ane_unmap_file(&entry->file);
    entry->n = 0;
}

void ane_store_remove(const ane_store *s, const char *key) {
    char *path = path_of(s, key);
    if (path) unlink(path);
    free(path);
}
