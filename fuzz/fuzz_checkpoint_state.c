/* A checkpoint's state.json, with and without the files that it names: as it is, and with its own checksum made right so
 * that what lies behind it is reached. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fuzz/fuzz.h"
#include "train/checkpoint.h"

static void read_state(void) {
    for (int verify = 0; verify < 2; verify++) {
        ane_error e = {0};
        ane_train_state state = {0};
        bool ok = ane_checkpoint_read_state(fuzz_folder(), &state, verify, &e);
        fuzz_report_is(ok, &e);
        if (ok) fuzz_assert(state.step >= 0 && state.data_position >= 0, "a negative position");
    }
}

/* checkpoint.h says what the checksum is of. */
static char *with_right_sum(const uint8_t *data, size_t size) {
    json_t *root = json_loadb((const char *)data, size, 0, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return NULL;
    }
    char hex[16];
    json_object_del(root, "crc32");
    char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    snprintf(hex, sizeof hex, "%08x", text ? ane_crc32(0, text, strlen(text)) : 0);
    free(text);
    json_object_set_new(root, "crc32", json_string(hex));
    text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(root);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t content[] = "weights";
    fuzz_file("model.safetensors", content, sizeof content - 1);
    fuzz_file("state.json", data, size);
    read_state();
    char *right = with_right_sum(data, size);
    if (right) {
        fuzz_file("state.json", (const uint8_t *)right, strlen(right));
        read_state();
    }
    free(right);
    return 0;
}
