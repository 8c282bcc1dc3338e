/* The parser's tokens and reports: every report says where in the text it belongs. */
#include "base/arena.h"
#include "mil/parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void mil_parser_step(mil_parser *p) {
    p->token = mil_lexer_next(&p->lexer);
}

mil_token mil_parser_peek(const mil_parser *p) {
    mil_lexer ahead = p->lexer;
    return mil_lexer_next(&ahead);
}

static bool fail_at(mil_parser *p, const mil_token *at, ane_code code, const char *message) {
    char where[256];
    snprintf(where, sizeof where, "%.200s:%d:%d", p->file ? p->file : "text", (int)at->line, (int)at->column);
    return ane_fail(p->error, code, where, "%s", message);
}

bool mil_parser_fail(mil_parser *p, const mil_token *at, ane_code code, const char *format, ...) {
    char message[640];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return fail_at(p, at, code, message);
}

bool mil_parser_expected(mil_parser *p, const char *what) {
    char found[128];
    return mil_parser_fail(p, &p->token, ANE_ERROR_FORMAT, "expected %s, found %s", what,
        mil_token_show(&p->token, found, sizeof found));
}

bool mil_parser_accept(mil_parser *p, const char *text) {
    if (!mil_token_is(&p->token, text)) return false;
    mil_parser_step(p);
    return true;
}

bool mil_parser_take(mil_parser *p, const char *text) {
    if (mil_parser_accept(p, text)) return true;
    char what[32];
    snprintf(what, sizeof what, "'%s'", text);
    return mil_parser_expected(p, what);
}

bool mil_parser_name(mil_parser *p, const char *what, mil_token *out) {
    *out = p->token;
    if (p->token.kind != MIL_TOKEN_NAME) return mil_parser_expected(p, what);
    mil_parser_step(p);
    return true;
}

bool mil_parser_adopt(mil_parser *p, const mil_token *at, const ane_error *found) {
    fail_at(p, at, found->code, found->message);
    if (found->hint[0]) ane_hint(p->error, "%s", found->hint);
    return false;
}

bool mil_parser_no_memory(mil_parser *p) {
    return mil_parser_fail(p, &p->token, ANE_ERROR_MEMORY, "no memory for the program");
}

char *mil_parser_copy(mil_parser *p, const mil_token *t) {
    char *copy = ane_arena_strndup(p->program->arena, t->text, t->size);
    if (!copy) mil_parser_no_memory(p);
    return copy;
}
