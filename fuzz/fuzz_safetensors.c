/* safetensors files: every tensor of an accepted file can be read to its end and is found by its name. */
#include "anemone/model.h"
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ane_error e = {0};
    ane_safetensors *s = ane_safetensors_open(fuzz_file("model.safetensors", data, size), &e);
    fuzz_report_is(s != NULL, &e);
    if (!s) return 0;
    for (int i = 0; i < ane_safetensors_count(s); i++) {
        const ane_safetensor *t = ane_safetensors_at(s, i);
        int64_t bytes = mil_type_bytes(&t->type);
        fuzz_assert(bytes >= 0 && (uint64_t)bytes <= size, "a tensor is larger than the file");
        void *copy = malloc((size_t)bytes + 1);
        memcpy(copy, t->data, (size_t)bytes);
        free(copy);
        fuzz_assert(ane_safetensors_find(s, t->name) != NULL, "a tensor is not found by its name");
    }
    ane_safetensors_metadata(s, "format");
    ane_safetensors_close(s);
    return 0;
}
