/* page.c - see page.h. */
#include "measure/page.h"

#include "base/decimal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_bytes(ane_page *p, const char *bytes, size_t n) {
    if (p->failed) return;
    if (p->used + n + 1 > p->capacity) {
        size_t capacity = (p->used + n + 1) * 2;
        char *text = realloc(p->text, capacity);
        if (!text) {
            p->failed = true;
            return;
        }
        p->text = text;
        p->capacity = capacity;
    }
    memcpy(p->text + p->used, bytes, n);
    p->used += n;
    p->text[p->used] = 0;
}

void ane_page_put(ane_page *p, const char *text) {
    put_bytes(p, text, strlen(text));
}

/* Longer texts than a line of markup are cut: they are put piece by piece. */
static void format_line(char line[2048], const char *format, va_list args) {
    ane_print_list(line, 2048, format, args);
}

void ane_page_printf(ane_page *p, const char *format, ...) {
    char line[2048];
    va_list args;
    va_start(args, format);
    format_line(line, format, args);
    va_end(args);
    ane_page_put(p, line);
}

/* Bytes of the UTF-8 character at `s`; 0 when it is none. */
static size_t character(const unsigned char *s) {
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : (s[0] & 0xf0) == 0xe0       ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0))) return 0;
    if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))) return 0;
    return n;
}

static const char *entity(char c) {
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

void ane_page_escaped(ane_page *p, const char *text) {
    while (*text) {
        size_t n = character((const unsigned char *)text);
        const char *as = entity(*text);
        bool control = n == 1 && ((unsigned char)*text < 32 || *text == 127);
        if (as)
            ane_page_put(p, as);
        else if (control && (*text == '\n' || *text == '\t'))
            put_bytes(p, " ", 1);
        else if (n == 0 || control)
            ane_page_put(p, "\xef\xbf\xbd");
        else
            put_bytes(p, text, n);
        text += n ? n : 1;
    }
}

void ane_page_escapedf(ane_page *p, const char *format, ...) {
    char line[2048];
    va_list args;
    va_start(args, format);
    format_line(line, format, args);
    va_end(args);
    ane_page_escaped(p, line);
}

const char *ane_number_text(double x, char text[ANE_NUMBER_TEXT]) {
    double size = fabs(x);
    if (size != 0 && (size < 1e-4 || size >= 1e7)) {
        ane_print(text, ANE_NUMBER_TEXT, "%.3g", x);
        return text;
    }
    ane_print(text, ANE_NUMBER_TEXT, "%.*f",
        size >= 1000  ? 0
        : size >= 100 ? 1
        : size >= 10  ? 2
        : size >= 1   ? 3
                      : 4,
        x);
    char *point = strchr(text, '.');
    for (size_t n = strlen(text); point && n > 0 && (text[n - 1] == '0' || text[n - 1] == '.'); n--) {
        bool end = text[n - 1] == '.';
        text[n - 1] = 0;
        if (end) break;
    }
    return text;
}
