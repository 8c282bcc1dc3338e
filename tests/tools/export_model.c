/* export_model PRESET FOLDER: a model of this shape with fresh weights, as Hugging Face has it. scripts/bench starts it. */
#include "anemone/model.h"

#include <stdio.h>

static bool export_model(const char *preset, const char *folder, ane_error *e) {
    ane_model_config c;
    ane_weights *w = ane_model_preset(&c, preset, e) ? ane_weights_new(&c, e) : NULL;
    if (!w) return false;
    ane_weights_init(w, 0);
    bool ok = ane_weights_save(w, folder, ANE_FORMAT_HF, MIL_FP32, e);
    ane_weights_free(w);
    return ok;
}

int main(int argc, char **argv) {
    ane_error e = {0};
    if (argc == 3 && export_model(argv[1], argv[2], &e)) return 0;
    fprintf(stderr, "usage: export_model PRESET FOLDER\n%s: %s\n", e.where, e.message);
    return 1;
}
