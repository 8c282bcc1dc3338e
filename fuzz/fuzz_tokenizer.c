/* Tokenizer files of llama2.c: what loads must give every text back. The first two bytes are the vocabulary's
 * size. */
#include "fuzz/fuzz.h"
#include "fuzz/tokenizer.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    ane_error e = {0};
    ane_tokenizer *t = ane_llama2c_parse(data + 2, size - 2, data[0] | data[1] << 8, &e);
    fuzz_report_is(t != NULL, &e);
    if (t) fuzz_tokenizer_round_trip(t);
    ane_tokenizer_free(t);
    return 0;
}
