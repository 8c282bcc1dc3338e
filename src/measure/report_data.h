/* report_data.h - what the parts of the report ask of documents and rows. */
#ifndef ANEMONE_MEASURE_REPORT_DATA_H
#define ANEMONE_MEASURE_REPORT_DATA_H

#include "measure/chart.h"
#include "measure/report.h"

const char *ane_text_of(const json_t *object, const char *name); /* "" when it is no text */
bool ane_row_is_of(const json_t *row, const char *benchmark);
/* A sentence made from one's other rows, with no time of its own: it stands above the table. */
bool ane_row_is_conclusion(const json_t *row);
bool ane_row_is_modelled(const json_t *row);
bool ane_row_is_good(const json_t *row);                   /* ok: it has numbers */
double ane_row_median(const json_t *row);                  /* ms of the device, else of the call; NaN */
double ane_metric_of(const json_t *row, const char *name); /* NaN when it is not there */
double ane_config_of(const json_t *row, const char *name); /* NaN */

/* "M4 Max (modelled)", "AMD EPYC", "first" (a run's name): unlike any other document's of the report where possible. */
void ane_document_label(const ane_report *r, const json_t *document, char label[ANE_CHART_NAME]);

/* Rows of a benchmark in a document. */
int ane_rows_of(const json_t *document, const char *benchmark);

/* Documents of the report, one's own first: *faint tells which. NULL behind the last. */
const json_t *ane_report_document(const ane_report *r, size_t i, bool *faint);
/* Colours: one's own by their order; recorded ones by their chip. */
int ane_report_colour(const ane_report *r, size_t i);

/* What the benchmarks are called on the page, in its order; ended by a name NULL. */
typedef struct ane_report_section {
    const char *benchmark, *title, *text;
    void (*draw)(ane_page *p, const ane_report *r, const char *benchmark); /* NULL: bars of its times */
} ane_report_section;
extern const ane_report_section ane_report_sections[];
/* The title of a benchmark: from the table, else its name. */
const char *ane_report_title(const char *benchmark);
/* Visit the benchmarks that one's own documents have rows of (all recorded ones where there are none): those of the table in
 * its order, then all others. `visit` gets the section (with the
 * name of the benchmark; of those not in the table, without a text). */
void ane_report_each(
    const ane_report *r, void (*visit)(void *context, const ane_report_section *section), void *context);

/* The metrics that rows of the benchmark have, in the order in which they come; at most `most`. Returns how many. */
int ane_report_metrics(
    const ane_report *r, const char *benchmark, bool own_only, const char **names, int most);

/* report_figures.c, report_bars.c */
void ane_draw_throughput(ane_page *p, const ane_report *r, const char *benchmark);
void ane_draw_roofline(ane_page *p, const ane_report *r);
void ane_draw_sram(ane_page *p, const ane_report *r, const char *benchmark);
void ane_draw_dispatch(ane_page *p, const ane_report *r, const char *benchmark);
void ane_draw_updates(ane_page *p, const ane_report *r, const char *benchmark);
void ane_draw_loss(ane_page *p, const ane_report *r, const char *benchmark);
void ane_draw_training(ane_page *p, const ane_report *r, const char *benchmark);
void ane_draw_times(ane_page *p, const ane_report *r, const char *benchmark);
void ane_draw_times_and_parts(ane_page *p, const ane_report *r, const char *benchmark);

/* report_tables.c */
void ane_put_table(ane_page *p, const ane_report *r, const char *benchmark);
void ane_put_probes(ane_page *p, const ane_report *r);

extern const char ane_report_style[]; /* report_style.c */

#endif
