/* jsonline.h - one line of JSON, written member by member into a buffer that is used again: no allocation
 * once it is large enough. */
#ifndef ANEMONE_TRAIN_JSONLINE_H
#define ANEMONE_TRAIN_JSONLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ane_line {
    char *text;
    size_t used, capacity;
    bool failed; /* out of memory */
} ane_line;

void ane_line_begin(ane_line *l);                 /* {    forgetting what was there */
void ane_line_open(ane_line *l, const char *key); /* "key":{ */
void ane_line_close(ane_line *l);                 /* } */
void ane_line_integer(ane_line *l, const char *key, int64_t value);
/* The shortest decimal that reads back as the same number; null for what JSON has no number for. */
void ane_line_number(ane_line *l, const char *key, double value);
void ane_line_decimal(
    ane_line *l, const char *key, double value); /* three digits behind the point: milliseconds */
void ane_line_bool(ane_line *l, const char *key, bool value);
/* Any bytes; what is not UTF-8 becomes U+FFFD. */
void ane_line_text(ane_line *l, const char *key, const char *value);
void ane_line_end(ane_line *l); /* } and a newline */
void ane_line_free(ane_line *l);

#endif
