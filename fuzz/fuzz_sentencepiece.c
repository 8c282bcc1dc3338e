/* SentencePiece models: what loads must give every text back. */
#include "fuzz/fuzz.h"
#include "fuzz/tokenizer.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ane_error e = {0};
    ane_tokenizer *t = ane_sentencepiece_parse(data, size, &e);
    fuzz_report_is(t != NULL, &e);
    if (t) fuzz_tokenizer_round_trip(t);
    ane_tokenizer_free(t);
    return 0;
}
