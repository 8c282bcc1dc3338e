#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

const char *ane_tokenizer_piece(const ane_tokenizer *t, int32_t previous, int32_t id, size_t *size) {
    *size = 0;
    if (id < 0 || id >= t->n_pieces || t->pieces[id].type == ANE_PIECE_SPECIAL) return "";
    const ane_piece *p = &t->pieces[id];
    const char *text = t->text + p->offset;
    bool start = previous < 0 || previous == t->bos;
    bool prefix = start && t->dummy_prefix && p->type != ANE_PIECE_BYTE && text[0] == ' ';
    *size = p->size - prefix;
    return text + prefix;
}

bool ane_tokenizer_decode(
    const ane_tokenizer *t, const int32_t *ids, size_t n, char **text, size_t *size, ane_error *e) {
    size_t total = 0, piece, at = 0;
    *text = NULL;
    if (size) *size = 0;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= t->n_pieces)
            return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "Token %zu is %d; the tokenizer has ids 0 to %d.", i,
                ids[i], t->n_pieces - 1);
        ane_tokenizer_piece(t, i ? ids[i - 1] : -1, ids[i], &piece);
        total += piece;
    }
    char *out = malloc(total + 1);
    if (!out) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "No memory for a text of %zu bytes.", total);
    for (size_t i = 0; i < n; i++, at += piece) {
        const char *s = ane_tokenizer_piece(t, i ? ids[i - 1] : -1, ids[i], &piece);
        memcpy(out + at, s, piece);
    }
    out[total] = '\0';
    *text = out;
    if (size) *size = total;
    return true;
}
