/* tokenizer.h - what the tokenizer's files share.
 *
 * Every kind is the same machine: pieces of plain text with scores, found by hash, merged best score first.
 * In here a space is a space (SentencePiece's U+2581 is replaced while loading), so that U+2581 in a text
 * stays itself.
 */
#ifndef ANEMONE_TEXT_TOKENIZER_H
#define ANEMONE_TEXT_TOKENIZER_H

#include "anemone/text.h"

enum {
    ANE_PIECE_LONGEST = 4096,            /* bytes; longer pieces are refused */
    ANE_TOKENIZER_FILE_LARGEST = 1 << 28 /* bytes; larger files are refused */
};

typedef enum ane_piece_type {
    ANE_PIECE_NORMAL,
    ANE_PIECE_USER,    /* found in the text before anything is merged, and never merged itself */
    ANE_PIECE_BYTE,    /* stands for one byte that no piece can spell */
    ANE_PIECE_SPECIAL, /* bos, eos, unknown, control: never comes from text, decodes to nothing */
} ane_piece_type;

typedef struct ane_piece {
    uint32_t offset, size; /* its bytes in `text` */
    float score;
    ane_piece_type type;
} ane_piece;

struct ane_tokenizer {
    const char *kind;      /* static */
    const char *file_name; /* static: its name in a model folder */
    unsigned char *file;   /* as loaded, for saving */
    size_t file_size;
    ane_piece *pieces; /* [n_pieces] */
    int32_t n_pieces, pieces_capacity;
    char *text; /* of all pieces */
    uint32_t text_size, text_capacity;
    int32_t *table; /* open addressing: id or -1; of normal and user pieces only */
    uint32_t table_mask;
    uint8_t joins[65536 / 8]; /* bit [a][b]: bytes a, b stand side by side in some piece */
    bool user_starts[256];    /* some user piece starts with this byte */
    uint32_t longest, longest_user;
    int32_t bos, eos;
    int32_t byte_id[256]; /* -1: none */
    bool dummy_prefix;    /* a space is put before the text, and taken away by decoding */
    bool single_spaces;   /* the model was made for text without extra spaces */
    bool merge_unknown;   /* characters that are no piece may be merged to one that is (SentencePiece) */
    float lowest_score;   /* merges must score more than this */
};

/* vocabulary.c */
ane_tokenizer *ane_vocabulary_new(const char *kind, const char *file_name, ane_error *e);
/* Append a piece; its id is the number of pieces before. */
bool ane_vocabulary_add(
    ane_tokenizer *t, const void *text, size_t size, float score, ane_piece_type type, ane_error *e);
/* After the last piece: build the tables. Refuses duplicates. */
bool ane_vocabulary_index(ane_tokenizer *t, ane_error *e);
/* The normal or user piece with this text; -1 when there is none. */
int32_t ane_vocabulary_find(const ane_tokenizer *t, const void *text, size_t size);
/* The longest user piece that `text` starts with; its size, 0 when there is none. */
size_t ane_vocabulary_user(const ane_tokenizer *t, const unsigned char *text, size_t size);
/* The byte that "<0xNN>" names, -1 for any other text. */
int ane_byte_of_piece(const void *text, size_t size);

static inline bool ane_bytes_join(const ane_tokenizer *t, unsigned char a, unsigned char b) {
    unsigned i = (unsigned)a << 8 | b;
    return t->joins[i / 8] >> i % 8 & 1;
}

/* Parsers of the two formats; `where` is left to the caller. llama2c.c, sentencepiece.c */
ane_tokenizer *ane_llama2c_parse(const unsigned char *data, size_t size, int32_t vocab_size, ane_error *e);
ane_tokenizer *ane_sentencepiece_parse(const unsigned char *data, size_t size, ane_error *e);
/* Tell the formats apart and parse: ane_tokenizer_load behind its file. tokenizer.c */
ane_tokenizer *ane_tokenizer_parse(const unsigned char *data, size_t size, int32_t vocab_size, ane_error *e);

/* Encode, handing the ids over in portions, so that a long text needs little memory. Stops when the sink returns
 * false. `origin` is the text's place in its file: reports count positions from there. encode.c */
typedef bool ane_ids_sink(void *context, const int32_t *ids, size_t n, ane_error *e);
bool ane_tokenizer_encode_to(const ane_tokenizer *t, const void *text, size_t size, size_t origin, bool bos,
    ane_ids_sink *sink, void *context, ane_error *e);

#endif
