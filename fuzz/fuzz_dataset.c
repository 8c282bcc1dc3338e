/* Token files: the first byte says as what the rest is opened; batches then hold ids of the vocabulary only.
 */
#include "anemone/data.h"
#include "fuzz/fuzz.h"

#include <stdio.h>

enum { VOCABULARY = 300, BATCH = 2, SEQ = 3 };

static void check_batches(const ane_dataset *d, ane_split split) {
    int32_t tokens[BATCH * SEQ], targets[BATCH * SEQ];
    ane_dataset_text_bytes(d, split);
    for (int64_t i = 0; i < 3; i++) {
        ane_error e = {0};
        bool ok = ane_dataset_batch(d, split, 7, i, BATCH, SEQ, tokens, targets, &e);
        fuzz_report_is(ok, &e);
        for (int j = 0; ok && j < BATCH * SEQ; j++) {
            fuzz_assert(tokens[j] >= 0 && tokens[j] < VOCABULARY, "a token is not in the vocabulary");
            fuzz_assert(targets[j] >= -1 && targets[j] < VOCABULARY, "a target is not in the vocabulary");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"d.bin", "d.txt", "d.u16", "d.u32", "d.bin"};
    static ane_tokenizer *bytes;
    ane_error e = {0};
    if (size < 1) return 0;
    if (!bytes) bytes = ane_tokenizer_bytes(&e);
    fuzz_assert(bytes != NULL, e.message);
    int format = data[0] % 5;
    const char *path = fuzz_file(names[format], data + 1, size - 1);
    ane_data_options options = {.n_files = 1, .files = &path, .format = (ane_data_format)format};
    options.vocab_size = VOCABULARY;
    options.validation = 0.25;
    options.bos_id = data[0] & 0x80 ? -1 : 0;
    ane_dataset *d = ane_dataset_open(&options, bytes, &e);
    fuzz_report_is(d != NULL, &e);
    if (d) {
        check_batches(d, ANE_TRAIN);
        check_batches(d, ANE_VALIDATION);
        ane_dataset_checksum(d);
    }
    ane_dataset_free(d);
    return 0;
}
