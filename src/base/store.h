/* store.h - a folder of things that can be made again, each under a key. An entry is written whole or not at all; one
 * that is damaged is told by its digest and removed; when they are too large together, those that were used least
 * recently go. Any number of threads and processes may share a folder: nothing is locked, and what another one removes
 * meanwhile is not there. */
#ifndef ANEMONE_BASE_STORE_H
#define ANEMONE_BASE_STORE_H

#include "base/file.h"

enum { ANE_STORE_KEY = 64, ANE_STORE_NAME = 32, ANE_STORE_PARTS = 4 };

typedef struct ane_store {
    char *folder;      /* made when the first entry is */
    int64_t max_bytes; /* of all entries together */
} ane_store;

/* A named piece of an entry; the name is shorter than ANE_STORE_NAME. */
typedef struct ane_store_part {
    const char *name;
    const void *data;
    size_t size;
} ane_store_part;

typedef struct ane_store_entry {
    ane_mapping file;
    int n;
    ane_store_part parts[ANE_STORE_PARTS]; /* in the file */
} ane_store_entry;

/* Keep at most ANE_STORE_PARTS parts under `key` (ANE_STORE_KEY hexadecimal digits), in place of what is there, and
 * remove what is too much. An entry that alone is too large is not kept: false, with no report. */
bool ane_store_put(const ane_store *s, const char *key, int n, const ane_store_part *parts, ane_error *e);
/* False when there is none, with no report; and when it was damaged, with one. Marks the entry as used. */
bool ane_store_get(const ane_store *s, const char *key, ane_store_entry *entry, ane_error *e);
void ane_store_close(ane_store_entry *entry);
void ane_store_remove(const ane_store *s, const char *key);

typedef struct ane_store_item {
    char key[ANE_STORE_KEY + 1];
    int64_t bytes, used; /* the size of its file; seconds since 1970 */
} ane_store_item;

/* All entries, the most recently used first; caller frees. A folder that is not there holds none. */
bool ane_store_list(const ane_store *s, ane_store_item **items, size_t *n, ane_error *e);
/* Remove the least recently used until the rest has at most `max_bytes`, and what writers that died left behind.
 * *removed: how many entries went. */
bool ane_store_prune(const ane_store *s, int64_t max_bytes, size_t *removed, ane_error *e);

#endif
