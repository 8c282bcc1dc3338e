#include "train/data.h"

#include <stdlib.h>
#include <string.h>

static bool check_options(const ane_data_options *o, const ane_tokenizer *t, ane_error *e) {
    if (o->n_files < 1) return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "A dataset needs at least one file.");
    if (!(o->validation >= 0 && o->validation < 1))
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL,
            "The fraction held out for validation must be at least 0 and below 1; it is %g.", o->validation);
    if (o->vocab_size < 1)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, NULL, "The vocabulary size must be positive; it is %d.", o->vocab_size);
    if (t && ane_tokenizer_vocab_size(t) > o->vocab_size) {
        ane_fail(e, ANE_ERROR_ARGUMENT, NULL,
            "The tokenizer has %d ids, but the vocabulary of the model only %d.", ane_tokenizer_vocab_size(t),
            o->vocab_size);
        return ane_hint(e, "Take the tokenizer that the model was made with.");
    }
    return true;
}

static bool open_files(ane_dataset *d, const ane_data_options *o, const ane_tokenizer *t, ane_error *e) {
    d->files = calloc((size_t)o->n_files, sizeof *d->files);
    if (!d->files) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "No memory for %d files.", o->n_files);
    for (; d->n_files < o->n_files; d->n_files++) {
        ane_token_file *f = &d->files[d->n_files];
        if (!ane_token_file_open(f, o->files[d->n_files], o, t, e)) return false;
        bool is_text = f->text_bytes[0] >= 0;
        ane_token_file_split(f, o->validation, o->bos_id, is_text ? t : NULL);
    }
    return true;
}

ane_dataset *ane_dataset_open(const ane_data_options *options, const ane_tokenizer *t, ane_error *e) {
    if (!check_options(options, t, e)) return NULL;
    ane_dataset *d = calloc(1, sizeof *d);
    if (d && open_files(d, options, t, e)) return d;
    ane_fail(e, ANE_ERROR_MEMORY, NULL, "No memory for a dataset."); /* unless a report is there already */
    ane_dataset_free(d);
    return NULL;
}

void ane_dataset_free(ane_dataset *d) {
    if (!d) return;
    for (int i = 0; i < d->n_files; i++) ane_token_file_close(&d->files[i]);
    free(d->files);
    free(d);
}

int64_t ane_dataset_tokens(const ane_dataset *d, ane_split split) {
    int64_t n = 0;
    for (int i = 0; i < d->n_files; i++) n += ane_split_size(&d->files[i], split);
    return n;
}

int64_t ane_dataset_text_bytes(const ane_dataset *d, ane_split split) {
    int64_t n = 0;
    for (int i = 0; i < d->n_files; i++) {
        if (d->files[i].text_bytes[split] < 0) return -1;
        n += d->files[i].text_bytes[split];
    }
    return n;
}

/* Where the data lies does not matter, nor how the cache is stored; what it holds does. */
static uint32_t file_checksum(const ane_token_file *f, uint32_t crc) {
    const char *slash = strrchr(f->path, '/'), *name = slash ? slash + 1 : f->path;
    int64_t sizes[] = {f->n, f->split, f->width};
    size_t bytes = (size_t)f->n * (size_t)f->width, end = bytes < 65536 ? bytes : 65536;
    crc = ane_crc32(crc, name, strlen(name));
    crc = ane_crc32(crc, sizes, sizeof sizes);
    crc = ane_crc32(crc, f->ids, end);
    return ane_crc32(crc, (const unsigned char *)f->ids + bytes - end, end);
}

uint32_t ane_dataset_checksum(const ane_dataset *d) {
    uint32_t crc = 0;
    for (int i = 0; i < d->n_files; i++) crc = file_checksum(&d->files[i], crc);
    return crc;
}
