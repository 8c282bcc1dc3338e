/* llama2.c's tokenizer.bin: int32 longest piece; then for every piece float score, int32 size, its bytes.
 * Little endian; ids 0, 1, 2 are unknown, bos and eos; id 3 + b is byte b, written "<0xNN>". */
#include "text/tokenizer.h"

#include <string.h>

typedef struct reader {
    const unsigned char *data;
    size_t size, at;
} reader;

static bool read_word(reader *r, uint32_t *word) {
    if (r->size - r->at < 4) return false;
    const unsigned char *p = r->data + r->at;
    *word = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    r->at += 4;
    return true;
}

static bool add_piece(ane_tokenizer *t, const unsigned char *text, size_t size, float score, ane_error *e) {
    int32_t id = t->n_pieces;
    int byte = ane_byte_of_piece(text, size);
    if (id < 3) return ane_vocabulary_add(t, text, size, score, ANE_PIECE_SPECIAL, e);
    if (byte < 0) return ane_vocabulary_add(t, text, size, score, ANE_PIECE_NORMAL, e);
    if (byte + 3 == id) t->byte_id[byte] = id;
    unsigned char b = (unsigned char)byte;
    return ane_vocabulary_add(t, &b, 1, score, ANE_PIECE_BYTE, e);
}

static bool read_piece(ane_tokenizer *t, reader *r, uint32_t longest, ane_error *e) {
    uint32_t bits, size;
    size_t start = r->at;
    if (!read_word(r, &bits) || !read_word(r, &size))
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "The file ends within the head of piece %d, at byte %zu.",
            t->n_pieces, r->size);
    if (size > longest)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL,
            "Piece %d, at byte %zu, has %d bytes, but the file's head allows 0 to %u.", t->n_pieces, start,
            (int32_t)size, longest);
    if (size > r->size - r->at)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "Piece %d has %u bytes, but only %zu follow.", t->n_pieces,
            size, r->size - r->at);
    float score;
    memcpy(&score, &bits, sizeof score);
    r->at += size;
    return add_piece(t, r->data + r->at - size, size, score, e);
}

static bool read_pieces(ane_tokenizer *t, reader *r, int32_t vocab_size, ane_error *e) {
    uint32_t longest;
    if (!read_word(r, &longest))
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "The file has %zu bytes: too few.", r->size);
    while (r->at < r->size && (vocab_size == 0 || t->n_pieces < vocab_size))
        if (!read_piece(t, r, longest, e)) return false;
    if (t->n_pieces < vocab_size)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "The file holds %d pieces; the vocabulary should have %d.",
            t->n_pieces, vocab_size);
    if (r->at < r->size)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL,
            "The file goes on for %zu bytes after the vocabulary's %d pieces.", r->size - r->at, vocab_size);
    if (t->n_pieces < 4)
        return ane_fail(
            e, ANE_ERROR_FORMAT, NULL, "The file holds %d pieces; at least 4 are needed.", t->n_pieces);
    return true;
}

ane_tokenizer *ane_llama2c_parse(const unsigned char *data, size_t size, int32_t vocab_size, ane_error *e) {
    ane_tokenizer *t = ane_vocabulary_new("llama2c", "tokenizer.bin", e);
    if (!t) return NULL;
    t->bos = 1;
    t->eos = 2;
    t->dummy_prefix = true;
    t->lowest_score = -1e10f; /* as run.c starts its search */
    reader r = {data, size, 0};
    if (read_pieces(t, &r, vocab_size, e) && ane_vocabulary_index(t, e)) return t;
    ane_tokenizer_free(t);
    return NULL;
}
