/* parser.h - MIL text to a program, by recursive descent with one token in hand. parse.c reads programs and
 * functions, parse_statement.c statements, parse_value.c types and literals.
 *
 * Nothing recurses deeper than MIL_MAX_RANK, and nothing is allocated that is larger than a small multiple of
 * the text read so far, so a hostile text exhausts neither stack nor memory.
 */
#ifndef ANEMONE_MIL_PARSER_H
#define ANEMONE_MIL_PARSER_H

#include "mil/lexer.h"
#include "mil/ops.h"

typedef struct mil_parser {
    mil_lexer lexer;
    mil_token token;  /* the next one, not yet consumed */
    const char *file; /* for messages; NULL when unknown */
    mil_program *program;
    mil_function *f;                       /* the one being read */
    int64_t tensor_scalars, plain_scalars; /* spellings met: tensor<int32, []> and int32 */
    ane_error *error;
} mil_parser;

/* -- tokens and reports; all return false after a report (parser_error.c) -- */
void mil_parser_step(mil_parser *p);            /* go to the next token */
mil_token mil_parser_peek(const mil_parser *p); /* the token after p->token */
bool mil_parser_fail(mil_parser *p, const mil_token *at, ane_code code, const char *format, ...)
    ANE_PRINTF(4, 5);
bool mil_parser_expected(mil_parser *p, const char *what); /* "expected WHAT, found ..." at p->token */
bool mil_parser_take(mil_parser *p, const char *text);     /* consume exactly this name or punctuation */
bool mil_parser_accept(mil_parser *p, const char *text);   /* consume it if it is there; no report */
bool mil_parser_name(mil_parser *p, const char *what, mil_token *out);
/* Give the builder's or another module's report, `found`, a place in the text. */
bool mil_parser_adopt(mil_parser *p, const mil_token *at, const ane_error *found);
bool mil_parser_no_memory(mil_parser *p);
char *mil_parser_copy(mil_parser *p, const mil_token *t); /* into the arena; NULL after a report */

/* -- types and literals -- */
bool mil_parse_type(mil_parser *p, mil_type *out);
/* `type(value)`: value is a number, a string, nested lists, or BLOBFILE(...). */
bool mil_parse_literal(mil_parser *p, mil_type *type, mil_constant **out);
/* A string, bare or as string("...") or tensor<string, []>("..."). */
bool mil_parse_string(mil_parser *p, const char **out);
/* True when a literal, not a value's name, begins at p->token. */
bool mil_parser_at_literal(const mil_parser *p);
/* Step over an attribute's value of any form, up to the , or ] behind it. */
bool mil_parse_skip_value(mil_parser *p);

/* -- statements -- */
bool mil_parse_statement(mil_parser *p);
/* A name that must be a value of p->f. */
bool mil_parse_reference(mil_parser *p, mil_value *out);
/* A name for a new value, not yet taken in p->f. */
bool mil_parse_new_name(mil_parser *p, mil_token *out, char **name);

#endif
