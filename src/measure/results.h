/* results.h - the document of docs/results.md: rows in it, and reading it. */
#ifndef ANEMONE_MEASURE_RESULTS_H
#define ANEMONE_MEASURE_RESULTS_H

#include "anemone/measure.h"

#include <jansson.h>

#define ANE_RESULTS_SCHEMA "anemone-results/1"

json_t *ane_results_rows(const json_t *results); /* borrowed */
json_t *ane_results_find(
    const json_t *results, const char *benchmark, const char *name); /* a row; borrowed; NULL */
/* Append, or replace the row of the same benchmark and case. Takes `row` over. */
bool ane_results_add_row(json_t *results, json_t *row, ane_error *e);
/* The same for a probe's answer. */
bool ane_results_add_probe(json_t *results, json_t *probe, ane_error *e);
/* Check a whole document; `name` (a file's) stands in reports. results_check.c */
bool ane_results_check(const json_t *results, const char *name, ane_error *e);

#endif
