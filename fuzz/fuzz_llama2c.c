/* llama2.c weight files, and whatever else ane_weights_load takes for one. */
#include "anemone/model.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ane_error e = {0};
    const char *path = fuzz_file("model.bin", data, size);
    ane_weights *w = ane_weights_load(path, &e);
    fuzz_report_is(w != NULL, &e);
    if (!w) return 0;
    fuzz_assert(
        (uint64_t)w->count <= size + 16 * (uint64_t)(w->n_tensors + 1), "more weights than the file has");
    fuzz_assert(ane_model_config_check(&w->config, &e), e.message);
    ane_error ignored = {0};
    ane_weights_check_finite(w, &ignored);
    ane_weights_free(w);
    return 0;
}
