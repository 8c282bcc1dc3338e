/* report.h - results documents as a page to look at, as Markdown, or as CSV. */
#ifndef ANEMONE_MEASURE_REPORT_H
#define ANEMONE_MEASURE_REPORT_H

#include "measure/page.h"

#include <jansson.h>

typedef struct ane_report {
    const json_t *own;      /* documents, drawn strong, in this order */
    const json_t *recorded; /* those of others, drawn faint behind them; an array, perhaps empty */
    const char *title;      /* NULL: one that says which chips */
} ane_report;

/* Put it into the page; false with a report when memory ran out. What comes from files is escaped. The HTML is one file that
 * needs nothing else: no script, no font, no network. */
bool ane_report_html(ane_page *p, const ane_report *r, ane_error *e);
bool ane_report_markdown(ane_page *p, const ane_report *r, ane_error *e);
/* One line a row of one's own documents, then those of the recorded ones; metrics as columns. */
bool ane_report_csv(ane_page *p, const ane_report *r, ane_error *e);

#endif
