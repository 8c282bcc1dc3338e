/* data_fixture.h - files of tokens and text for the tests of datasets. */
#ifndef ANEMONE_TESTS_TRAIN_DATA_FIXTURE_H
#define ANEMONE_TESTS_TRAIN_DATA_FIXTURE_H

#include "support/support.h"

#include "anemone/data.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline const char *path_of(const char *name) {
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", test_folder(), name);
    return path;
}

static inline const char *write_bytes(const char *name, const void *data, size_t size) {
    ane_error e = {0};
    const char *path = path_of(name);
    assert_ok(ane_write_file(path, data, size, &e), &e);
    return path;
}

static inline const char *write_text(const char *name, const char *text) {
    return write_bytes(name, text, strlen(text));
}

/* ids 0, 1, ..., n - 1 (mod `modulus`) of `width` bytes behind `words` words of header */
static inline const char *write_ids(
    const char *name, int64_t n, int64_t modulus, int width, const uint32_t *header, size_t words) {
    size_t bytes = 4 * words + (size_t)n * (size_t)width;
    unsigned char *data = calloc(1, bytes + 4);
    assert_non_null(data);
    if (words) memcpy(data, header, 4 * words);
    for (int64_t i = 0; i < n; i++) {
        uint32_t id = (uint32_t)(i % modulus);
        memcpy(data + 4 * words + (size_t)(i * width), &id, (size_t)width); /* little endian */
    }
    const char *path = write_bytes(name, data, bytes);
    free(data);
    return path;
}

static inline const char *write_llmc(
    const char *name, uint32_t magic, uint32_t version, int32_t count, int64_t n, int width) {
    uint32_t header[256] = {magic, version, (uint32_t)count};
    return write_ids(name, n, 1000, width, header, 256);
}

static inline ane_dataset *open_files(
    const char *const *files, int n, ane_data_options o, const ane_tokenizer *t) {
    ane_error e = {0};
    o.n_files = n;
    o.files = files;
    ane_dataset *d = ane_dataset_open(&o, t, &e);
    assert_ok(d, &e);
    return d;
}

static inline ane_dataset *open_one(const char *path, ane_data_options o, const ane_tokenizer *t) {
    return open_files(&path, 1, o, t);
}

static inline void refuse(
    const char *path, ane_data_options o, const ane_tokenizer *t, ane_code code, const char *part) {
    ane_error e = {0};
    o.n_files = 1;
    o.files = &path;
    assert_null(ane_dataset_open(&o, t, &e));
    if (!strstr(e.where, path)) fail_msg("the report should name %s, not \"%s\"", path, e.where);
    assert_error(&e, code, part);
}

static inline ane_data_options plain(int32_t vocab_size) {
    return (ane_data_options){.vocab_size = vocab_size, .bos_id = -1};
}

static inline ane_tokenizer *byte_tokenizer(void) {
    ane_error e = {0};
    ane_tokenizer *t = ane_tokenizer_bytes(&e);
    assert_ok(t, &e);
    return t;
}

#endif
