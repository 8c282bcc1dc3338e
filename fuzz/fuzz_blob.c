/* Blob files: every entry of an accepted file lies inside it and is found by its offset. */
#include "anemone/mil.h"
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ane_error e = {0};
    mil_blob_file *b = mil_blob_open_memory(data, size, &e);
    fuzz_report_is(b != NULL, &e);
    if (!b) return 0;
    for (int i = 0; i < mil_blob_count(b); i++) {
        const mil_blob_entry *entry = mil_blob_at(b, i);
        const uint8_t *start = entry->data;
        fuzz_assert(mil_blob_find(b, entry->offset) == entry, "an entry is not found by its offset");
        fuzz_assert(
            start >= data && entry->bytes <= (uint64_t)(data + size - start), "a blob leaves the file");
        void *copy = malloc(entry->bytes + 1);
        memcpy(copy, start, entry->bytes);
        free(copy);
    }
    mil_blob_close(b);
    return 0;
}
