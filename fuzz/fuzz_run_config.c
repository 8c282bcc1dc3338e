/* A run's config.json: what is read can be written, and is read the same again. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "train/runconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ane_error e = {0};
    ane_run_config c = {0}, again = {0};
    fuzz_file("config.json", data, size);
    bool ok = ane_run_config_read(&c, fuzz_folder(), &e);
    fuzz_report_is(ok, &e);
    if (ok) {
        bool saved =
            ane_run_config_write(&c, fuzz_folder(), &e) && ane_run_config_read(&again, fuzz_folder(), &e);
        fuzz_assert(saved, e.message);
        fuzz_assert(c.options.steps == again.options.steps && c.options.seed == again.options.seed &&
                        ane_model_config_equal(&c.model, &again.model),
            "saving changes the run's options");
        ane_run_config_free(&again);
        ane_run_config_free(&c);
    }
    return 0;
}
