/* The tokens cached beside a text. A checksum is no signature: a cache that was forged to agree with itself is believed,
 * but no id outside the vocabulary may come out of it. */
#include <string.h>

#include "anemone/data.h"
#include "base/file.h"
#include "fuzz/fuzz.h"

static const char text[] = "Once upon a time.\n\nThere was a cat.\n\nThe end of it all.\n\n";

/* The head ends with a checksum of itself: made right, so that what lies behind it is reached. */
static void write_cache(const uint8_t *data, size_t size) {
    enum { HEAD = 64 };
    static uint8_t copy[1 << 16];
    if (size > sizeof copy) size = sizeof copy;
    memcpy(copy, data, size);
    uint32_t crc = size >= HEAD ? ane_crc32(0, copy, HEAD - sizeof crc) : 0;
    if (size >= HEAD) memcpy(copy + HEAD - sizeof crc, &crc, sizeof crc);
    fuzz_file("d.txt.tokens", copy, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static ane_tokenizer *bytes;
    ane_error e = {0};
    if (!bytes) bytes = ane_tokenizer_bytes(&e);
    fuzz_assert(bytes != NULL, e.message);
    write_cache(data, size);
    const char *path = fuzz_file("d.txt", (const uint8_t *)text, sizeof text - 1);
    ane_data_options options = {
        .n_files = 1, .files = &path, .format = ANE_DATA_TEXT, .vocab_size = 258, .bos_id = 0};
    ane_dataset *d = ane_dataset_open(&options, bytes, &e);
    fuzz_report_is(d != NULL, &e);
    int32_t tokens[8], targets[8];
    if (d && ane_dataset_batch(d, ANE_TRAIN, 1, 0, 1, 8, tokens, targets, &e))
        for (int i = 0; i < 8; i++)
            fuzz_assert(tokens[i] >= 0 && tokens[i] < 258, "a token is not in the vocabulary");
    ane_dataset_free(d);
    return 0;
}
