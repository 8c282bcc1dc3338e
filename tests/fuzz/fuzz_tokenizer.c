/* Any file as a tokenizer; what loads must encode and decode without loss. */
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

static void round_trip(const ane_tokenizer *t, const void *text, size_t size) {
    ane_error e = {0};
    int32_t *ids;
    char *back;
    size_t n, back_size;
    if (!ane_tokenizer_encode(t, text, size, false, &ids, &n, &e))
        return; /* it may lack pieces for some bytes */
    if (!ane_tokenizer_decode(t, ids, n, &back, &back_size, &e)) abort();
    if (back_size != size || memcmp(back, text, size) != 0) abort();
    free(ids);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char text[] = " The sea\n\xff ane  mone <|story|> ==> \xe2\x96\x81";
    ane_error e = {0};
    ane_tokenizer *t = ane_tokenizer_parse(data, size, 0, &e);
    if (!t) return 0;
    round_trip(t, text, sizeof text);
    round_trip(t, data, size);
    ane_tokenizer_free(t);
    return 0;
}
