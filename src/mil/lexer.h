/* lexer.h - MIL text as tokens, each with its place. White space and // comments lie between them. */
#ifndef ANEMONE_MIL_LEXER_H
#define ANEMONE_MIL_LEXER_H

#include "anemone/error.h"

#include <stddef.h>
#include <stdint.h>

typedef enum mil_token_kind {
    MIL_TOKEN_END,
    MIL_TOKEN_NAME,   /* letter or _, then letters, digits, _ . @ $ */
    MIL_TOKEN_NUMBER, /* with its sign: -1, 0.5, 1e-5, 0x1.8p-3, -inf */
    MIL_TOKEN_STRING, /* with its quotes and escapes */
    MIL_TOKEN_ARROW,  /* -> */
    MIL_TOKEN_PUNCTUATION,
    MIL_TOKEN_BAD, /* a character that begins nothing, or a string without end */
} mil_token_kind;

typedef struct mil_token {
    mil_token_kind kind;
    const char *text; /* in the source, not NUL-terminated */
    size_t size;
    int32_t line, column; /* from 1; columns count characters of UTF-8 */
} mil_token;

typedef struct mil_lexer {
    const char *at, *end;
    int32_t line, column;
} mil_lexer;

void mil_lexer_start(mil_lexer *l, const char *text, size_t size);
/* The next token; at the end MIL_TOKEN_END, again and again. */
mil_token mil_lexer_next(mil_lexer *l);

bool mil_token_is(const mil_token *t, const char *text); /* a name, or punctuation */
/* `'main'`, `end of text`, ... for messages; long tokens are cut. Returns `out`. */
const char *mil_token_show(const mil_token *t, char *out, size_t size);
/* The string between the quotes with its escapes resolved, NUL-terminated, into out[t->size]; false when an
 * escape is unknown or the string holds a NUL. */
bool mil_token_unescape(const mil_token *t, char *out);

/* True when all of `text` is one name of MIL text. */
bool mil_is_name(const char *text);

#endif
