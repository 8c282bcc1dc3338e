#include "mil/lexer.h"

#include <stdio.h>
#include <string.h>

/* Character classes without <ctype.h>, whose answers depend on the locale. */
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_part(char c) {
    return is_letter(c) || is_digit(c) || c == '.' || c == '@' || c == '$';
}

static char peek(const mil_lexer *l, size_t ahead) {
    return (size_t)(l->end - l->at) > ahead ? l->at[ahead] : 0;
}

static void step(mil_lexer *l) {
    unsigned char c = (unsigned char)*l->at++;
    if (c == '\n') {
        l->line++;
        l->column = 1;
    } else if ((c & 0xc0) != 0x80) { /* not a continuation byte of UTF-8 */
        l->column++;
    }
}

static void skip_blanks(mil_lexer *l) {
    while (l->at < l->end) {
        char c = *l->at;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            step(l);
        } else if (c == '/' && peek(l, 1) == '/') {
            while (l->at < l->end && *l->at != '\n') step(l);
        } else {
            return;
        }
    }
}

/* A sign belongs to the number when a digit, a point, inf or nan follows it. */
static bool begins_number(const mil_lexer *l) {
    size_t i = peek(l, 0) == '-' || peek(l, 0) == '+';
    char c = peek(l, i), d = peek(l, i + 1);
    return is_digit(c) || (c == '.' && is_digit(d)) ||
           (i && ((c == 'i' && d == 'n') || (c == 'n' && d == 'a')));
}

/* Everything that can stand in a number, exponent signs included; the reader of numbers judges it. */
static void lex_number(mil_lexer *l) {
    step(l);
    while (l->at < l->end) {
        char c = *l->at, before = l->at[-1];
        bool exponent_sign =
            (c == '-' || c == '+') && (before == 'e' || before == 'E' || before == 'p' || before == 'P');
        if (!is_digit(c) && !is_letter(c) && c != '.' && !exponent_sign) return;
        step(l);
    }
}

static mil_token_kind lex_string(mil_lexer *l) {
    step(l);
    while (l->at < l->end && *l->at != '"') {
        if (*l->at == '\\' && l->end - l->at > 1) step(l);
        step(l);
    }
    if (l->at == l->end) return MIL_TOKEN_BAD;
    step(l);
    return MIL_TOKEN_STRING;
}

void mil_lexer_start(mil_lexer *l, const char *text, size_t size) {
    *l = (mil_lexer){text, text + size, 1, 1};
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) l->at += 3; /* byte-order mark */
}

mil_token mil_lexer_next(mil_lexer *l) {
    skip_blanks(l);
    mil_token t = {MIL_TOKEN_END, l->at, 0, l->line, l->column};
    if (l->at == l->end) return t;
    char c = *l->at;
    if (is_letter(c)) {
        t.kind = MIL_TOKEN_NAME;
        while (l->at < l->end && is_name_part(*l->at)) step(l);
    } else if (begins_number(l)) {
        t.kind = MIL_TOKEN_NUMBER;
        lex_number(l);
    } else if (c == '"') {
        t.kind = lex_string(l);
    } else if (c == '-' && peek(l, 1) == '>') {
        t.kind = MIL_TOKEN_ARROW;
        step(l);
        step(l);
    } else {
        t.kind = c && strchr("()[]{}<>=,;:?", c) ? MIL_TOKEN_PUNCTUATION : MIL_TOKEN_BAD;
        step(l);
    }
    t.size = (size_t)(l->at - t.text);
    return t;
}

bool mil_token_is(const mil_token *t, const char *text) {
    return t->kind != MIL_TOKEN_STRING && t->size == strlen(text) && memcmp(t->text, text, t->size) == 0;
}

const char *mil_token_show(const mil_token *t, char *out, size_t size) {
    enum { LONGEST = 40 };
    if (t->kind == MIL_TOKEN_END) {
        snprintf(out, size, "the end of the text");
        return out;
    }
    char text[LONGEST + 1];
    size_t n = t->size < LONGEST ? t->size : LONGEST;
    for (size_t i = 0; i < n; i++)
        text[i] = t->text[i] >= ' ' ? t->text[i] : '?'; /* also bytes beyond ASCII */
    text[n] = 0;
    const char *kind = t->kind == MIL_TOKEN_BAD && t->text[0] == '"' ? "a string without end, " : "";
    snprintf(out, size, "%s'%s%s'", kind, text, t->size > n ? "..." : "");
    return out;
}

static int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool mil_token_unescape(const mil_token *t, char *out) {
    static const char from[] = "\"\\/'ntr", to[] = "\"\\/'\n\t\r";
    const char *p = t->text + 1, *end = t->text + t->size - 1;
    while (p < end) {
        char c = *p++;
        if (c == '\\') {
            const char *known = *p ? strchr(from, *p) : NULL;
            if (known) {
                c = to[known - from];
                p++;
            } else if (*p == 'x' && end - p >= 3 && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0) {
                c = (char)(hex_digit(p[1]) * 16 + hex_digit(p[2]));
                p += 3;
            } else {
                return false;
            }
        }
        if (!c) return false;
        *out++ = c;
    }
    *out = 0;
    return true;
}

bool mil_is_name(const char *text) {
    mil_lexer l;
    size_t n = strlen(text);
    mil_lexer_start(&l, text, n);
    mil_token t = mil_lexer_next(&l);
    return t.kind == MIL_TOKEN_NAME && t.size == n;
}
