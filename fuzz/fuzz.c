#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static char folder[64];

static void remove_folder(void) {
    ane_remove_tree(folder, NULL);
}

/* In memory where the system has such a place: a disk is a hundred times slower. */
const char *fuzz_folder(void) {
    if (!folder[0]) {
        strcpy(folder, "/dev/shm/anemone-fuzz-XXXXXX");
        if (!mkdtemp(folder)) strcpy(folder, "/tmp/anemone-fuzz-XXXXXX");
        fuzz_assert(strncmp(folder, "/tmp", 4) != 0 || mkdtemp(folder) != NULL, "no temporary folder");
        atexit(remove_folder);
    }
    return folder;
}

const char *fuzz_file(const char *name, const uint8_t *data, size_t size) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    FILE *file = fopen(path, "wb");
    fuzz_assert(file != NULL, "cannot create the input's file");
    size_t written = fwrite(data, 1, size, file);
    int closed = fclose(file);
    fuzz_assert(written == size && closed == 0, "cannot write the input's file");
    return path;
}

void fuzz_report_is(bool succeeded, const ane_error *e) {
    fuzz_assert(
        succeeded == (e->code == ANE_OK), succeeded ? "succeeded with a report" : "failed without a report");
    fuzz_assert(succeeded || e->message[0], "a report without a message");
}

void fuzz_assert(bool truth, const char *why) {
    if (truth) return;
    fprintf(stderr, "fuzz: %s\n", why);
    abort();
}
