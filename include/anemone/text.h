/* text.h - tokenizers: text <-> token ids, losing no byte. */
#ifndef ANEMONE_TEXT_H
#define ANEMONE_TEXT_H

#include "anemone/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ane_tokenizer ane_tokenizer;

/* Ids 0 and 1 are <bos> and <eos>; byte b is id b + 2; 258 ids. Needs no file. */
ane_tokenizer *ane_tokenizer_bytes(ane_error *e);
/* llama2.c's tokenizer.bin, or a SentencePiece .model (BPE): told apart by content. `vocab_size` is needed by
 * tokenizer.bin alone, whose header does not say it: 0 reads to the end of the file. */
ane_tokenizer *ane_tokenizer_load(const char *path, int32_t vocab_size, ane_error *e);
void ane_tokenizer_free(ane_tokenizer *t);

int32_t ane_tokenizer_vocab_size(const ane_tokenizer *t);
int32_t ane_tokenizer_bos(const ane_tokenizer *t); /* -1 when it has none */
int32_t ane_tokenizer_eos(const ane_tokenizer *t);
const char *ane_tokenizer_kind(const ane_tokenizer *t); /* "bytes", "llama2c", "sentencepiece" */
/* Fingerprint of the vocabulary: equal tokenizers, equal numbers. */
uint32_t ane_tokenizer_checksum(const ane_tokenizer *t);

/* Any bytes, invalid UTF-8 included. *ids is allocated (free()); bos adds the begin token. What the tokenizer cannot
 * give back unchanged is refused, with its position: bytes that no piece spells, where there are no pieces for bytes;
 * extra spaces, where the model was made to remove them. */
bool ane_tokenizer_encode(
    const ane_tokenizer *t, const void *text, size_t size, bool bos, int32_t **ids, size_t *n, ane_error *e);
/* Bytes of n ids, NUL-terminated, allocated (free()); special ids give nothing; size may be NULL.
 * decode(encode(bytes)) = bytes. */
bool ane_tokenizer_decode(
    const ane_tokenizer *t, const int32_t *ids, size_t n, char **text, size_t *size, ane_error *e);
/* The bytes that `id` adds behind `previous` (-1 at the start), for streaming; points into the tokenizer. */
const char *ane_tokenizer_piece(const ane_tokenizer *t, int32_t previous, int32_t id, size_t *size);
/* Write the tokenizer's file into `folder` under the name that ane_tokenizer_find looks for: tokenizer.model
 * (SentencePiece), tokenizer.bin (llama2.c) or tokenizer.bytes. */
bool ane_tokenizer_save(const ane_tokenizer *t, const char *folder, ane_error *e);
/* The tokenizer saved in a model or run folder; NULL without a report when there is none. */
ane_tokenizer *ane_tokenizer_find(const char *folder, ane_error *e);

#endif
