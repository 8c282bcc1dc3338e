/* compare.h - two results documents of the same benchmarks: what changed, and whether that is noise. */
#ifndef ANEMONE_MEASURE_COMPARE_H
#define ANEMONE_MEASURE_COMPARE_H

#include "anemone/error.h"

#include <jansson.h>

/* An array, one object for each row of `now` that `before` has too (same benchmark and case):
 *   {"benchmark", "case", "before_ms", "now_ms", "change_percent", "noise", "modelled", "note"}
 * Times are medians of the device's; the change is of the time, positive when it takes longer. It is noise when the two 95 %
 * confidence intervals of the medians overlap. A row that is not ok in one of them has no numbers (null) and a note that says
 * so. Caller owns it; NULL with a report on failure. */
json_t *ane_compare(const json_t *now, const json_t *before, ane_error *e);

/* Why the two may not be compared row by row, as a text for people (another chip, another device spec); "" when
 * nothing speaks against it. Into `text`; returns it. */
const char *ane_compare_warning(const json_t *now, const json_t *before, char *text, size_t size);

#endif
