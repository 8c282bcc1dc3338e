/* Any bytes as a file of tokens; the first one chooses format and options, the rest is the file. */
#include "anemone/data.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void use(const ane_dataset *d, int32_t vocab_size) {
    int32_t tokens[3 * 5], targets[3 * 5];
    for (int split = 0; split < 2; split++) {
        ane_error e = {0};
        if (!ane_dataset_batch(d, (ane_split)split, 1, 7, 3, 5, tokens, targets, &e)) continue;
        for (int i = 0; i < 15; i++)
            if (tokens[i] < 0 || tokens[i] >= vocab_size || targets[i] < 0 || targets[i] >= vocab_size)
                abort();
    }
    if (ane_dataset_tokens(d, ANE_TRAIN) + ane_dataset_tokens(d, ANE_VALIDATION) < 1) abort();
    ane_dataset_checksum(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    int fd = memfd_create("tokens", 0);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1)) abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const char *files[] = {path};
    ane_error e = {0};
    ane_tokenizer *t = ane_tokenizer_bytes(&e);
    ane_data_options o = {.n_files = 1,
        .files = files,
        .format = (ane_data_format)(data[0] % 5),
        .vocab_size = data[0] & 8 ? 70000 : 258,
        .validation = (data[0] >> 4) / 16.0,
        .bos_id = data[0] & 128 ? 0 : -1};
    ane_dataset *d = ane_dataset_open(&o, t, &e);
    if (d) use(d, o.vocab_size);
    ane_dataset_free(d);
    ane_tokenizer_free(t);
    close(fd);
    return 0;
}
