#include "text/tokenizer.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

static const char bytes_name[] = "tokenizer.bytes", bytes_file[] = "anemone byte tokenizer, 258 ids\n";

static bool keep_file(ane_tokenizer *t, const void *data, size_t size, ane_error *e) {
    t->file = malloc(size);
    if (!t->file) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "No memory for a tokenizer of %zu bytes.", size);
    memcpy(t->file, data, size);
    t->file_size = size;
    return true;
}

static bool fill_bytes(ane_tokenizer *t, ane_error *e) {
    bool ok = ane_vocabulary_add(t, "<bos>", 5, 0, ANE_PIECE_SPECIAL, e) &&
              ane_vocabulary_add(t, "<eos>", 5, 0, ANE_PIECE_SPECIAL, e);
    for (int b = 0; ok && b < 256; b++) {
        unsigned char byte = (unsigned char)b;
        t->byte_id[b] = b + 2;
        ok = ane_vocabulary_add(t, &byte, 1, 0, ANE_PIECE_BYTE, e);
    }
    t->bos = 0;
    t->eos = 1;
    return ok && ane_vocabulary_index(t, e) && keep_file(t, bytes_file, sizeof bytes_file - 1, e);
}

ane_tokenizer *ane_tokenizer_bytes(ane_error *e) {
    ane_tokenizer *t = ane_vocabulary_new("bytes", bytes_name, e);
    if (!t || fill_bytes(t, e)) return t;
    ane_tokenizer_free(t);
    return NULL;
}

void ane_tokenizer_free(ane_tokenizer *t) {
    if (!t) return;
    free(t->file);
    free(t->pieces);
    free(t->text);
    free(t->table);
    free(t);
}

/* tokenizer.bin starts with the longest piece's size, a 32-bit number below 2^16. A .model starts with the
 * key of its first piece (0x0a), its length, and within it at least a key: bytes 2 and 3 are not both zero.
 */
static ane_tokenizer *parse_by_content(
    const unsigned char *data, size_t size, int32_t vocab_size, ane_error *e) {
    if (size >= 4 && data[2] == 0 && data[3] == 0) return ane_llama2c_parse(data, size, vocab_size, e);
    if (data[0] == 0x0a) return ane_sentencepiece_parse(data, size, e);
    if (size == sizeof bytes_file - 1 && !memcmp(data, bytes_file, size)) return ane_tokenizer_bytes(e);
    ane_fail(e, ANE_ERROR_FORMAT, NULL,
        "Expected llama2.c's tokenizer.bin or a SentencePiece .model; found neither.");
    if (data[0] == '{')
        ane_hint(e, "A tokenizer.json is not read; take the tokenizer.model that it was made from.");
    return NULL;
}

ane_tokenizer *ane_tokenizer_parse(const unsigned char *data, size_t size, int32_t vocab_size, ane_error *e) {
    if (vocab_size < 0) {
        ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "A vocabulary of %d pieces was asked for.", vocab_size);
        return NULL;
    }
    if (size == 0 || size > ANE_TOKENIZER_FILE_LARGEST) {
        ane_fail(e, ANE_ERROR_FORMAT, NULL, "A tokenizer has 1 to %d bytes; this file has %zu.",
            ANE_TOKENIZER_FILE_LARGEST, size);
        return NULL;
    }
    ane_tokenizer *t = parse_by_content(data, size, vocab_size, e);
    if (!t || t->file || keep_file(t, data, size, e)) return t;
    ane_tokenizer_free(t);
    return NULL;
}

ane_tokenizer *ane_tokenizer_load(const char *path, int32_t vocab_size, ane_error *e) {
    ane_mapping m;
    if (!ane_map_file(&m, path, e)) return NULL;
    ane_tokenizer *t = ane_tokenizer_parse(m.data, m.size, vocab_size, e);
    ane_unmap_file(&m);
    if (!t) ane_at(e, path);
    return t;
}

int32_t ane_tokenizer_vocab_size(const ane_tokenizer *t) {
    return t->n_pieces;
}

int32_t ane_tokenizer_bos(const ane_tokenizer *t) {
    return t->bos;
}

int32_t ane_tokenizer_eos(const ane_tokenizer *t) {
    return t->eos;
}

const char *ane_tokenizer_kind(const ane_tokenizer *t) {
    return t->kind;
}

uint32_t ane_tokenizer_checksum(const ane_tokenizer *t) {
    int32_t head[] = {t->n_pieces, t->bos, t->eos, t->dummy_prefix, t->single_spaces, t->merge_unknown};
    uint32_t crc = ane_crc32(0, t->kind, strlen(t->kind));
    crc = ane_crc32(crc, head, sizeof head);
    for (int32_t i = 0; i < t->n_pieces; i++) {
        const ane_piece *p = &t->pieces[i];
        uint32_t type = p->type;
        crc = ane_crc32(crc, &p->size, sizeof p->size);
        crc = ane_crc32(crc, &p->score, sizeof p->score);
        crc = ane_crc32(crc, &type, sizeof type);
    }
    return ane_crc32(crc, t->text, t->text_size);
}

bool ane_tokenizer_save(const ane_tokenizer *t, const char *folder, ane_error *e) {
    char *path = ane_join_path(folder, t->file_name);
    if (!path) return ane_fail(e, ANE_ERROR_MEMORY, folder, "No memory for a file name.");
    bool ok = ane_write_file(path, t->file, t->file_size, e);
    free(path);
    return ok;
}

ane_tokenizer *ane_tokenizer_find(const char *folder, ane_error *e) {
    static const char *const names[] = {"tokenizer.model", "tokenizer.bin", bytes_name};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = ane_join_path(folder, names[i]);
        if (!path) {
            ane_fail(e, ANE_ERROR_MEMORY, folder, "No memory for a file name.");
            return NULL;
        }
        bool found = ane_path_exists(path);
        ane_tokenizer *t = found ? ane_tokenizer_load(path, 0, e) : NULL;
        free(path);
        if (found) return t;
    }
    return NULL;
}
