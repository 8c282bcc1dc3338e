/* literal.h - numbers in text: elements of packed data to and from their spelling, exactly, in any locale. */
#ifndef ANEMONE_MIL_LITERAL_H
#define ANEMONE_MIL_LITERAL_H

#include "anemone/mil.h"

enum { MIL_LITERAL_MAX = 48 }; /* longest spelling of an element, with its NUL */

/* Element `index` of packed data as text: hex floats, decimal integers, true and false. Returns `out`. */
const char *mil_literal_print(mil_dtype dtype, const void *data, int64_t index, char out[MIL_LITERAL_MAX]);
/* The reverse, from `size` bytes. Reports what does not fit the type. data starts as zeros. */
bool mil_literal_parse(
    mil_dtype dtype, const char *text, size_t size, void *data, int64_t index, ane_error *e);

#endif
