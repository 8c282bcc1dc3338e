/* export_logits MODEL FOLDER: the model in Hugging Face's layout, and in FOLDER/logits.safetensors some
 * tokens and the logits after each. For tests/golden/check_transformers.py. */
#include "model/golden.h"

#include <stdio.h>
#include <stdlib.h>

static bool compute(ane_weights *w, int32_t seq, int32_t *tokens, float *logits, ane_error *e) {
    ane_device *device = ane_device_open("cpu", e);
    ane_network *network = device ? ane_network_new(device, w, NULL, 1, seq, NULL, e) : NULL;
    for (int32_t i = 0; i < seq; i++)
        tokens[i] = (int32_t)(golden_mix((uint32_t)i) % (uint32_t)w->config.vocab_size);
    bool ok = network && ane_network_logits(network, tokens, logits, e);
    ane_network_free(network);
    ane_device_close(device);
    return ok;
}

static bool export_logits(ane_weights *w, const char *folder, ane_error *e) {
    if (!ane_weights_save(w, folder, ANE_FORMAT_HF, MIL_FP32, e)) return false;
    int32_t seq = w->config.max_seq < 128 ? w->config.max_seq : 128, vocab = w->config.vocab_size;
    int32_t *tokens = calloc((size_t)seq, sizeof *tokens);
    float *logits = calloc((size_t)seq * (size_t)vocab, sizeof *logits);
    char path[4096];
    snprintf(path, sizeof path, "%s/logits.safetensors", folder);
    const ane_safetensor tensors[] = {
        {"tokens", mil_tensor(MIL_INT32, 2, (int64_t[]){1, seq}), tokens},
        {"logits", mil_tensor(MIL_FP32, 3, (int64_t[]){1, seq, vocab}), logits},
    };
    bool ok = tokens && logits && compute(w, seq, tokens, logits, e) &&
              ane_safetensors_write(path, 2, tensors, NULL, e);
    free(tokens);
    free(logits);
    return ok;
}

int main(int argc, char **argv) {
    ane_error e = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: export_logits MODEL FOLDER\n");
        return 2;
    }
    ane_weights *w = ane_weights_load(argv[1], &e);
    bool ok = w && export_logits(w, argv[2], &e);
    if (!ok) fprintf(stderr, "%s: %s %s\n", e.where, e.message, e.hint);
    ane_weights_free(w);
    return ok ? 0 : 1;
}
