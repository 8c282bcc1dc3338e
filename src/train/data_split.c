/* Where training data ends and held-out data begins. */
#include "train/data.h"

#include <math.h>

typedef struct splitter {
    const ane_token_file *f;
    const ane_tokenizer *t; /* of a text, else NULL */
    int64_t bos;            /* marks documents; -1: a text's blank lines do */
} splitter;

/* The text of tokens i - 2, i - 1 ends with a blank line. */
static bool blank_line_before(const splitter *s, int64_t i) {
    char end[2] = {0, 0}; /* the last two bytes */
    for (int64_t k = i >= 2 ? i - 2 : 0; k < i; k++) {
        size_t size;
        int32_t previous = k > 0 ? (int32_t)ane_token_at(s->f, k - 1) : -1;
        const char *piece = ane_tokenizer_piece(s->t, previous, (int32_t)ane_token_at(s->f, k), &size);
        for (size_t j = size > 2 ? size - 2 : 0; j < size; j++) {
            end[0] = end[1];
            end[1] = piece[j];
        }
    }
    return end[0] == '\n' && end[1] == '\n';
}

static bool document_starts(const splitter *s, int64_t i) {
    if (i <= 0 || i >= s->f->n) return false;
    return s->bos >= 0 ? (int64_t)ane_token_at(s->f, i) == s->bos : blank_line_before(s, i);
}

/* The target itself where documents are not marked, or so long that the split would be somewhere else
 * entirely. */
static int64_t nearest_start(const splitter *s, int64_t target) {
    enum { FARTHEST = 1 << 20 };
    if (!s->t && s->bos < 0) return target;
    for (int64_t d = 0; d < s->f->n && d < FARTHEST; d++) {
        if (document_starts(s, target + d)) return target + d;
        if (document_starts(s, target - d)) return target - d;
    }
    return target;
}

/* Bytes of text that the held-out tokens are. */
static int64_t held_out_bytes(const ane_token_file *f, const ane_tokenizer *t) {
    int64_t bytes = 0;
    for (int64_t i = f->split; i < f->n; i++) {
        size_t size;
        int32_t previous = i > 0 ? (int32_t)ane_token_at(f, i - 1) : -1;
        ane_tokenizer_piece(t, previous, (int32_t)ane_token_at(f, i), &size);
        bytes += (int64_t)size;
    }
    return bytes;
}

void ane_token_file_split(ane_token_file *f, double validation, int32_t bos_id, const ane_tokenizer *t) {
    f->split = f->n;
    if (validation > 0) {
        int64_t target = f->n - (int64_t)ceil(validation * (double)f->n);
        f->split = nearest_start(&(splitter){f, t, bos_id}, target);
    }
    int64_t held_out = t ? held_out_bytes(f, t) : -1;
    f->text_bytes[ANE_TRAIN] = t ? f->text_bytes[ANE_TRAIN] - held_out : -1;
    f->text_bytes[ANE_VALIDATION] = held_out;
}
