/* data.h - inside a dataset: files of tokens, where they lie in memory, where they are split. */
#ifndef ANEMONE_TRAIN_DATA_H
#define ANEMONE_TRAIN_DATA_H

#include "anemone/data.h"
#include "base/file.h"

typedef struct ane_token_file {
    char *path;
    ane_mapping mapping;
    void *memory;          /* the tokens of a text whose cache could not be written */
    const void *ids;       /* in the mapping or in `memory`; little endian, as this machine */
    int width;             /* bytes of an id: 2 or 4 */
    int64_t n, split;      /* tokens; the first `split` are for training */
    int64_t text_bytes[2]; /* of the two splits; -1 when unknown */
} ane_token_file;

struct ane_dataset {
    ane_token_file *files;
    int n_files;
};

static inline uint32_t ane_token_at(const ane_token_file *f, int64_t i) {
    return f->width == 2 ? ((const uint16_t *)f->ids)[i] : ((const uint32_t *)f->ids)[i];
}

static inline int64_t ane_split_begin(const ane_token_file *f, ane_split split) {
    return split == ANE_TRAIN ? 0 : f->split;
}

static inline int64_t ane_split_size(const ane_token_file *f, ane_split split) {
    return split == ANE_TRAIN ? f->split : f->n - f->split;
}

/* Map the file at `path` and find its ids; a text is tokenized. data_file.c */
bool ane_token_file_open(ane_token_file *f, const char *path, const ane_data_options *options,
    const ane_tokenizer *t, ane_error *e);
void ane_token_file_close(ane_token_file *f);
/* Refuse ids >= vocab_size. data_file.c */
bool ane_token_file_check(const ane_token_file *f, int32_t vocab_size, ane_error *e);

/* The tokens of the text that f->mapping holds, `bos` (-1: none) before every document: from the cache beside it when
 * that is up to date, else made anew, cached when that is possible. The mapping is replaced. data_cache.c */
bool ane_token_file_from_text(ane_token_file *f, const ane_tokenizer *t, int32_t bos, ane_error *e);
/* The bytes are those of a cache. data_cache.c */
bool ane_is_token_cache(const unsigned char *data, size_t size);

/* Choose f->split: the end of a document that is nearest to where the held-out fraction starts. `t` is NULL
 * unless the file is a text. data_split.c */
void ane_token_file_split(ane_token_file *f, double validation, int32_t bos_id, const ane_tokenizer *t);

/* Element i of the permutation of 0 .. n - 1 that `key` chooses. data_windows.c */
uint64_t ane_permute(uint64_t i, uint64_t n, const uint64_t key[4]);

#endif
