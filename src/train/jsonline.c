#include "train/jsonline.h"

#include "base/decimal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 4096 };

static void put(ane_line *l, const char *text, size_t n) {
    if (l->failed) return;
    if (l->used + n > l->capacity) {
        size_t capacity = l->capacity ? l->capacity : FIRST_CAPACITY;
        while (capacity < l->used + n) capacity *= 2;
        char *grown = realloc(l->text, capacity);
        if (!grown) {
            l->failed = true;
            return;
        }
        l->text = grown;
        l->capacity = capacity;
    }
    memcpy(l->text + l->used, text, n);
    l->used += n;
}

static void put_string(ane_line *l, const char *text) {
    put(l, text, strlen(text));
}

/* Keys are names of ours: nothing in them needs escaping. */
static void put_key(ane_line *l, const char *key) {
    if (l->used && l->text[l->used - 1] != '{') put_string(l, ",");
    put_string(l, "\"");
    put_string(l, key);
    put_string(l, "\":");
}

void ane_line_begin(ane_line *l) {
    l->used = 0;
    l->failed = false;
    put_string(l, "{");
}

void ane_line_open(ane_line *l, const char *key) {
    put_key(l, key);
    put_string(l, "{");
}

void ane_line_close(ane_line *l) {
    put_string(l, "}");
}

void ane_line_integer(ane_line *l, const char *key, int64_t value) {
    char digits[32];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    put_key(l, key);
    put_string(l, digits);
}

void ane_line_number(ane_line *l, const char *key, double value) {
    char digits[40];
    put_key(l, key);
    if (!isfinite(value)) {
        put_string(l, "null");
        return;
    }
    for (int precision = 6; precision <= 17; precision++) {
        ane_print(digits, sizeof digits, "%.*g", precision, value);
        if (ane_read_decimal(digits, NULL) == value) break;
    }
    put_string(l, digits);
}

void ane_line_decimal(ane_line *l, const char *key, double value) {
    char digits[400]; /* the longest double has 309 digits before the point */
    ane_print(digits, sizeof digits, "%.3f", value);
    put_key(l, key);
    put_string(l, isfinite(value) ? digits : "null");
}

void ane_line_bool(ane_line *l, const char *key, bool value) {
    put_key(l, key);
    put_string(l, value ? "true" : "false");
}

/* Bytes of the UTF-8 character at s; 0 when there is none. The smallest code point of each length rules out
 * longer spellings of the same character (RFC 3629). */
static size_t character(const unsigned char *s) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s[0] < 0x80) return 1;
    size_t n = s[0] >= 0xf0 && s[0] < 0xf5   ? 4
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                                             : 0;
    if (!n) return 0;
    uint32_t code = s[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0; /* also stops at the terminating NUL */
        code = code << 6 | (s[i] & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code < 0xe000;
    return code < smallest[n] || surrogate || code > 0x10ffff ? 0 : n;
}

void ane_line_text(ane_line *l, const char *key, const char *value) {
    put_key(l, key);
    put_string(l, "\"");
    for (const unsigned char *s = (const unsigned char *)value; *s;) {
        size_t n = character(s);
        char escaped[8];
        if (*s < 0x20 || *s == 0x7f) {
            snprintf(escaped, sizeof escaped, "\\u%04x", *s);
            put_string(l, escaped);
        } else {
            if (*s == '"' || *s == '\\') put_string(l, "\\");
            put(l, n ? (const char *)s : "\xef\xbf\xbd", n ? n : 3);
        }
        s += n ? n : 1;
    }
    put_string(l, "\"");
}

void ane_line_end(ane_line *l) {
    put_string(l, "}\n");
}

void ane_line_free(ane_line *l) {
    free(l->text);
    *l = (ane_line){0};
}
