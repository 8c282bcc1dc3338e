/* A checkpoint's state.json, with and without the files that it names. */
#include "fuzz/fuzz.h"
#include "train/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t content[] = "weights";
    fuzz_file("model.safetensors", content, sizeof content - 1);
    fuzz_file("state.json", data, size);
    for (int verify = 0; verify < 2; verify++) {
        ane_error e = {0};
        ane_train_state state = {0};
        bool ok = ane_checkpoint_read_state(fuzz_folder(), &state, verify, &e);
        fuzz_report_is(ok, &e);
        if (ok) fuzz_assert(state.step >= 0 && state.data_position >= 0, "a negative position");
    }
    return 0;
}
