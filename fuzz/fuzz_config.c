/* config.json: what loads is a shape that passes every check, and survives being saved. */
#include "anemone/model.h"
#include "fuzz/fuzz.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ane_error e = {0};
    ane_model_config c = {0}, again = {0};
    bool ok = ane_model_config_load(&c, fuzz_file("config.json", data, size), &e);
    fuzz_report_is(ok, &e);
    if (!ok) return 0;
    char path[256];
    snprintf(path, sizeof path, "%s/saved.json", fuzz_folder());
    fuzz_assert(ane_model_config_check(&c, &e), e.message);
    fuzz_assert(ane_model_config_save(&c, path, &e) && ane_model_config_load(&again, path, &e), e.message);
    fuzz_assert(ane_model_config_equal(&c, &again), "saving changes the config");
    return 0;
}
