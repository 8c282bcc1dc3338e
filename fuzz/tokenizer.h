/* tokenizer.h - what must hold for every tokenizer, wherever its vocabulary came from. */
#ifndef ANEMONE_FUZZ_TOKENIZER_H
#define ANEMONE_FUZZ_TOKENIZER_H

#include "anemone/text.h"
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

/* decode(encode(text)) = text, or encode says that a byte has no piece; every id has a piece. */
static inline void fuzz_tokenizer_round_trip(const ane_tokenizer *t) {
    static const char text[] =
        "Once upon a time,  there was\na \xe2\x96\x81tiny \xff\xfe \xc3\xa9 <s> </s> \0 end ";
    ane_error e = {0};
    int32_t *ids = NULL;
    char *back = NULL;
    size_t n = 0, size = 0;
    bool encoded = ane_tokenizer_encode(t, text, sizeof text - 1, true, &ids, &n, &e);
    fuzz_report_is(encoded, &e);
    if (encoded) {
        for (size_t i = 0; i < n; i++)
            fuzz_assert(
                ids[i] >= 0 && ids[i] < ane_tokenizer_vocab_size(t), "an id is not in the vocabulary");
        fuzz_assert(ane_tokenizer_decode(t, ids, n, &back, &size, &e), e.message);
        fuzz_assert(size == sizeof text - 1 && memcmp(back, text, size) == 0, "the text does not come back");
        free(back);
        free(ids);
    }
    for (int32_t id = 0, end = ane_tokenizer_vocab_size(t); id < end && id < 300; id++) {
        const char *piece = ane_tokenizer_piece(t, -1, id, &size);
        fuzz_assert(piece || size == 0, "an id without a piece");
    }
    ane_tokenizer_checksum(t);
}

#endif
