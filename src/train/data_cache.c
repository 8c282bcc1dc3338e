/* The tokens of a text, cached beside it as NAME.tokens: 64 bytes of head, then the ids. The head holds what
 * the tokens were made from, so that a cache of another text or tokenizer, or a damaged one, is never used.
 */
#include "text/tokenizer.h"
#include "train/data.h"

#include <stdlib.h>
#include <string.h>

enum { CACHE_VERSION = 2 };
static const char cache_magic[8] = "anetoken";

typedef struct cache_head {
    char magic[8];
    uint32_t version, width;
    uint32_t tokenizer; /* ane_tokenizer_checksum */
    uint32_t text_crc, ids_crc;
    int32_t bos; /* before every document; -1: none */
    uint32_t zero[2];
    uint64_t text_size, n_ids;
    uint32_t more_zeros;
    uint32_t head_crc; /* of all before */
} cache_head;
_Static_assert(sizeof(cache_head) == 64, "the ids are aligned and the head has no padding");

/* The ids narrowed to `width` go to a file being written or to memory. */
typedef struct collector {
    int width;
    uint64_t n;
    uint32_t crc;
    ane_writer *file; /* NULL: to memory */
    unsigned char *memory;
    size_t capacity;
} collector;

static bool grow(collector *c, size_t bytes, ane_error *e) {
    size_t used = (size_t)c->n * (size_t)c->width;
    if (bytes <= c->capacity - used) return true;
    size_t capacity = c->capacity + c->capacity / 2 + bytes;
    unsigned char *memory = realloc(c->memory, capacity);
    if (!memory) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "No memory for %zu bytes of tokens.", capacity);
    c->memory = memory;
    c->capacity = capacity;
    return true;
}

static bool collect(void *context, const int32_t *ids, size_t n, ane_error *e) {
    collector *c = context;
    uint16_t narrow[4096];
    for (size_t done = 0, part; done < n; done += part) {
        part = n - done < 4096 ? n - done : 4096;
        for (size_t i = 0; c->width == 2 && i < part; i++) narrow[i] = (uint16_t)ids[done + i];
        const void *from = c->width == 2 ? (const void *)narrow : (const void *)(ids + done);
        size_t bytes = part * (size_t)c->width;
        c->crc = ane_crc32(c->crc, from, bytes);
        if (c->file) {
            ane_writer_put(c->file, from, bytes);
        } else {
            if (!grow(c, bytes, e)) return false;
            memcpy(c->memory + c->n * (size_t)c->width, from, bytes);
        }
        c->n += part;
    }
    return true;
}

/* Bytes up to the end of the blank lines that end the first document. */
static size_t document_size(const unsigned char *text, size_t size) {
    size_t n = 1;
    while (n < size && !(text[n - 1] == '\n' && text[n] == '\n')) n++;
    while (n < size && text[n] == '\n') n++;
    return n;
}

/* With `bos` every document is encoded by itself, as a prompt would be; without, the file is one text. */
static bool encode_documents(
    const ane_mapping *text, const ane_tokenizer *t, bool bos, collector *c, ane_error *e) {
    for (size_t at = 0, n; at < text->size; at += n) {
        n = bos ? document_size(text->data + at, text->size - at) : text->size;
        if (!ane_tokenizer_encode_to(t, text->data + at, n, at, bos, collect, c, e)) return false;
    }
    return true;
}

static cache_head make_head(const ane_token_file *f, const ane_tokenizer *t, int32_t bos) {
    cache_head h = {.version = CACHE_VERSION, .text_size = f->mapping.size, .bos = bos};
    memcpy(h.magic, cache_magic, sizeof h.magic);
    h.width = ane_tokenizer_vocab_size(t) <= 65536 ? 2 : 4;
    h.tokenizer = ane_tokenizer_checksum(t);
    h.text_crc = ane_crc32(0, f->mapping.data, f->mapping.size);
    return h;
}

static uint32_t head_crc(const cache_head *h) {
    return ane_crc32(0, h, offsetof(cache_head, head_crc));
}

bool ane_is_token_cache(const unsigned char *data, size_t size) {
    return size >= sizeof(cache_head) && !memcmp(data, cache_magic, sizeof cache_magic);
}

/* The mapped file is the cache that `wanted` describes, whole and undamaged. */
static bool is_valid(const ane_mapping *m, const cache_head *wanted) {
    cache_head h, expected = *wanted;
    if (m->size < sizeof h) return false;
    memcpy(&h, m->data, sizeof h);
    size_t bytes = m->size - sizeof h;
    expected.n_ids = h.n_ids;
    expected.ids_crc = h.ids_crc;
    expected.head_crc = head_crc(&expected);
    return !memcmp(&h, &expected, sizeof h) && bytes % h.width == 0 && bytes / h.width == h.n_ids &&
           ane_crc32(0, m->data + sizeof h, bytes) == h.ids_crc;
}

/* Take the ids from the cache at `path`; false when there is none that fits. */
static bool use_cache(ane_token_file *f, const char *path, const cache_head *wanted) {
    ane_mapping m;
    if (!ane_map_file(&m, path, NULL)) return false;
    if (!is_valid(&m, wanted)) {
        ane_unmap_file(&m);
        return false;
    }
    ane_unmap_file(&f->mapping);
    f->mapping = m;
    f->ids = m.data + sizeof *wanted;
    f->width = (int)wanted->width;
    f->n = (int64_t)((m.size - sizeof *wanted) / wanted->width);
    return true;
}

/* Write the cache. Sets *encoded when it was the writing that failed, not the tokenizer. */
static bool write_cache(const ane_token_file *f, const char *path, const ane_tokenizer *t, cache_head head,
    bool *encoded, ane_error *e) {
    *encoded = true;
    collector c = {.width = (int)head.width, .file = ane_writer_open(path, NULL)};
    if (!c.file) return false;
    ane_writer_put(c.file, &head, sizeof head);
    *encoded = encode_documents(&f->mapping, t, head.bos >= 0, &c, e);
    if (!*encoded) {
        ane_writer_abort(c.file);
        return false;
    }
    head.n_ids = c.n;
    head.ids_crc = c.crc;
    head.head_crc = head_crc(&head);
    ane_writer_patch(c.file, 0, &head, sizeof head);
    return ane_writer_commit(c.file, NULL);
}

static bool use_memory(ane_token_file *f, const ane_tokenizer *t, cache_head head, ane_error *e) {
    collector c = {.width = (int)head.width};
    if (!encode_documents(&f->mapping, t, head.bos >= 0, &c, e)) {
        free(c.memory);
        return false;
    }
    ane_unmap_file(&f->mapping);
    f->memory = c.memory;
    f->ids = c.memory;
    f->width = c.width;
    f->n = (int64_t)c.n;
    return true;
}

/* A folder that cannot be written or a full disk costs time at the next start, nothing else. */
static bool make_tokens(
    ane_token_file *f, const char *path, const ane_tokenizer *t, int32_t bos, ane_error *e) {
    cache_head head = make_head(f, t, bos);
    bool encoded = true;
    if (use_cache(f, path, &head)) return true;
    if (write_cache(f, path, t, head, &encoded, e) && use_cache(f, path, &head)) return true;
    return encoded && use_memory(f, t, head, e);
}

bool ane_token_file_from_text(ane_token_file *f, const ane_tokenizer *t, int32_t bos, ane_error *e) {
    if (bos >= 0 && bos != ane_tokenizer_bos(t))
        return ane_fail(e, ANE_ERROR_ARGUMENT, f->path,
            "Documents should begin with token %d, but the tokenizer's begin token is %d.", bos,
            ane_tokenizer_bos(t));
    size_t n = strlen(f->path);
    char *path = malloc(n + sizeof ".tokens");
    if (!path) return ane_fail(e, ANE_ERROR_MEMORY, f->path, "No memory.");
    memcpy(path, f->path, n);
    memcpy(path + n, ".tokens", sizeof ".tokens");
    int64_t text_bytes = (int64_t)f->mapping.size;
    bool ok = make_tokens(f, path, t, bos, e) || ane_at(e, f->path);
    f->text_bytes[ANE_TRAIN] = text_bytes;
    f->text_bytes[ANE_VALIDATION] = 0;
    free(path);
    return ok;
}
