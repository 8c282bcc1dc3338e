/* data.h - token streams for training: mapped from files, never copied. */
#ifndef ANEMONE_DATA_H
#define ANEMONE_DATA_H

#include "anemone/error.h"
#include "anemone/text.h"

#include <stdint.h>

typedef struct ane_dataset ane_dataset;

typedef enum ane_data_format {
    ANE_DATA_AUTO,   /* by content and extension: llm.c's header, .u32/.u16/.bin, otherwise text */
    ANE_DATA_TEXT,   /* tokenized once; the tokens are cached beside it as NAME.tokens with a checksum */
    ANE_DATA_UINT16, /* flat little-endian ids: llama2.c, TinyStories */
    ANE_DATA_UINT32,
    ANE_DATA_LLMC, /* llm.c: 256-word header, then uint16 (version 1) or uint32 ids */
} ane_data_format;

typedef struct ane_data_options {
    int n_files;
    const char *const *files;
    ane_data_format format;
    int32_t vocab_size; /* ids >= this are refused, with file and position */
    double validation;  /* fraction of each file held out at its end; a split at a document's end when
                                  documents are marked by bos (or by a blank line, for text) */
    int32_t bos_id;     /* begins every document; -1 for none. In a text, blank lines end documents, and each
                                  is encoded with this token (the tokenizer's begin token) before it, as a prompt is */
} ane_data_options;

/* `t` is needed for text files only. A cache that cannot be written is no error. */
ane_dataset *ane_dataset_open(const ane_data_options *options, const ane_tokenizer *t, ane_error *e);
void ane_dataset_free(ane_dataset *d);
typedef enum ane_split { ANE_TRAIN, ANE_VALIDATION } ane_split;
int64_t ane_dataset_tokens(const ane_dataset *d, ane_split split);
int64_t ane_dataset_text_bytes(const ane_dataset *d, ane_split split); /* -1 when unknown (token files) */
/* Fingerprint of names, sizes and contents' heads and tails: a resumed run checks it. */
uint32_t ane_dataset_checksum(const ane_dataset *d);

/* Batch number `index` (0, 1, ...) of a shuffled order that depends on seed, batch and seq alone, so a position in the
 * data is one number. Each window of seq + 1 tokens is seen once per epoch; the windows of the training split are shifted
 * by another phase in every epoch, those of the validation split never. tokens and targets are [batch, seq]. */
bool ane_dataset_batch(const ane_dataset *d, ane_split split, uint64_t seed, int64_t index, int32_t batch,
    int32_t seq, int32_t *tokens, int32_t *targets, ane_error *e);
int64_t ane_dataset_windows(const ane_dataset *d, ane_split split, int32_t seq); /* per epoch */

/* Small stories from a grammar with known probabilities. Writes `bytes` or a little more; entropy gets the nats per
 * byte that a perfect model of the grammar would reach (end-of-story newline included). */
bool ane_synth_stories(const char *path, uint64_t seed, int64_t bytes, double *entropy, ane_error *e);
/* The entropy without writing: a property of the grammar. Begin tokens between the stories cost a perfect model nothing
 * and are tokens all the same: with bytes as tokens its mean loss is 0.3 % below. */
double ane_synth_entropy(void);

#endif
