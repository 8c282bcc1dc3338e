/* page.h - a text that grows: the report is written into one. */
#ifndef ANEMONE_MEASURE_PAGE_H
#define ANEMONE_MEASURE_PAGE_H

#include "anemone/error.h"

#include <stddef.h>

typedef struct ane_page {
    char *text; /* NUL-terminated once something was put; free() */
    size_t used, capacity;
    bool failed; /* out of memory: what was put after it is lost */
} ane_page;

void ane_page_put(ane_page *p, const char *text);
void ane_page_printf(ane_page *p, const char *format, ...) ANE_PRINTF(2, 3);
/* For HTML and XML, between tags and in quoted attributes: & < > " ' as entities; what is no UTF-8, and control characters,
 * become U+FFFD. */
void ane_page_escaped(ane_page *p, const char *text);
/* The same, as by printf. */
void ane_page_escapedf(ane_page *p, const char *format, ...) ANE_PRINTF(2, 3);

enum { ANE_NUMBER_TEXT = 32 };
/* Four digits that matter, without an exponent where that is readable: "0.385", "11.14", "1182". Returns `text`. */
const char *ane_number_text(double x, char text[ANE_NUMBER_TEXT]);

#endif
