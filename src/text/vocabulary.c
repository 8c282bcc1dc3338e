#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

ane_tokenizer *ane_vocabulary_new(const char *kind, const char *file_name, ane_error *e) {
    ane_tokenizer *t = calloc(1, sizeof *t);
    if (!t) {
        ane_fail(e, ANE_ERROR_MEMORY, NULL, "No memory for a tokenizer.");
        return NULL;
    }
    t->kind = kind;
    t->file_name = file_name;
    t->bos = t->eos = -1;
    memset(t->byte_id, -1, sizeof t->byte_id);
    return t;
}

/* Make room for one more piece of `size` bytes. */
static bool reserve(ane_tokenizer *t, size_t size) {
    if (t->n_pieces == t->pieces_capacity) {
        int32_t capacity = t->pieces_capacity ? 2 * t->pieces_capacity : 512;
        ane_piece *pieces = realloc(t->pieces, (size_t)capacity * sizeof *pieces);
        if (!pieces) return false;
        t->pieces = pieces;
        t->pieces_capacity = capacity;
    }
    if (size > t->text_capacity - t->text_size) {
        uint32_t capacity = 2 * t->text_capacity + ANE_PIECE_LONGEST;
        char *text = realloc(t->text, capacity);
        if (!text) return false;
        t->text = text;
        t->text_capacity = capacity;
    }
    return true;
}

bool ane_vocabulary_add(
    ane_tokenizer *t, const void *text, size_t size, float score, ane_piece_type type, ane_error *e) {
    /* Files are at most 2^28 bytes and a piece takes at least two of them, so that counts and sizes fit 31
     * bits. */
    if (size > ANE_PIECE_LONGEST)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "Piece %d has %zu bytes; at most %d are supported.",
            t->n_pieces, size, ANE_PIECE_LONGEST);
    if (size == 0 && type != ANE_PIECE_SPECIAL)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "Piece %d is empty.", t->n_pieces);
    if (!(score - score == 0))
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "Piece %d has the score %g; scores must be finite.",
            t->n_pieces, (double)score);
    if (!reserve(t, size))
        return ane_fail(e, ANE_ERROR_MEMORY, NULL, "No memory for %d pieces.", t->n_pieces + 1);
    if (size) memcpy(t->text + t->text_size, text, size);
    t->pieces[t->n_pieces++] = (ane_piece){t->text_size, (uint32_t)size, score, type};
    t->text_size += (uint32_t)size;
    return true;
}

static uint32_t hash_step(uint32_t h, unsigned char byte) {
    return (h ^ byte) * 16777619u; /* FNV-1a */
}

static uint32_t hash_of(const unsigned char *text, size_t size) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < size; i++) h = hash_step(h, text[i]);
    return h;
}

/* The place in the table of the piece with this text, or the free place where it belongs. */
static uint32_t find_slot(const ane_tokenizer *t, const void *text, size_t size, uint32_t hash) {
    uint32_t slot = (hash ^ hash >> 15) & t->table_mask;
    for (;; slot = (slot + 1) & t->table_mask) {
        int32_t id = t->table[slot];
        if (id < 0) return slot;
        const ane_piece *p = &t->pieces[id];
        if (p->size == size && !memcmp(t->text + p->offset, text, size)) return slot;
    }
}

int32_t ane_vocabulary_find(const ane_tokenizer *t, const void *text, size_t size) {
    if (size == 0 || size > t->longest) return -1;
    return t->table[find_slot(t, text, size, hash_of(text, size))];
}

size_t ane_vocabulary_user(const ane_tokenizer *t, const unsigned char *text, size_t size) {
    if (!t->user_starts[text[0]]) return 0;
    size_t best = 0, end = size < t->longest_user ? size : t->longest_user;
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < end; i++) {
        h = hash_step(h, text[i]);
        int32_t id = t->table[find_slot(t, text, i + 1, h)];
        if (id >= 0 && t->pieces[id].type == ANE_PIECE_USER) best = i + 1;
    }
    return best;
}

/* What encoding wants to know of a piece that text can become. */
static bool index_piece(ane_tokenizer *t, int32_t id, ane_error *e) {
    const ane_piece *p = &t->pieces[id];
    const unsigned char *text = (const unsigned char *)t->text + p->offset;
    uint32_t slot = find_slot(t, text, p->size, hash_of(text, p->size));
    if (t->table[slot] >= 0)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "Pieces %d and %d are the same text.", t->table[slot], id);
    t->table[slot] = id;
    if (p->size > t->longest) t->longest = p->size;
    if (p->type == ANE_PIECE_USER) {
        t->user_starts[text[0]] = true;
        if (p->size > t->longest_user) t->longest_user = p->size;
    }
    for (uint32_t i = 1; i < p->size; i++) {
        unsigned bit = (unsigned)text[i - 1] << 8 | text[i];
        t->joins[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
    return true;
}

bool ane_vocabulary_index(ane_tokenizer *t, ane_error *e) {
    uint32_t slots = 16;
    while (slots < 2 * (uint32_t)t->n_pieces) slots *= 2;
    t->table = malloc(slots * sizeof *t->table);
    if (!t->table) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "No memory to index %d pieces.", t->n_pieces);
    memset(t->table, -1, slots * sizeof *t->table);
    t->table_mask = slots - 1;
    for (int32_t id = 0; id < t->n_pieces; id++) {
        ane_piece_type type = t->pieces[id].type;
        if ((type == ANE_PIECE_NORMAL || type == ANE_PIECE_USER) && !index_piece(t, id, e)) return false;
    }
    /* Without a piece for the space the prefix would be a byte, which decoding does not take away. */
    t->dummy_prefix = t->dummy_prefix && ane_vocabulary_find(t, " ", 1) >= 0;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

int ane_byte_of_piece(const void *text, size_t size) {
    const char *s = text;
    if (size != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>') return -1;
    int high = hex_digit(s[3]), low = hex_digit(s[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}
