/* row.h - writing and reading one row of a results document (docs/results.md). */
#ifndef ANEMONE_MEASURE_ROW_H
#define ANEMONE_MEASURE_ROW_H

#include "anemone/error.h"
#include "measure/stats.h"

#include <jansson.h>
#include <stdint.h>

/* ---- cases: [{"case": "512x64x128", "config": {"channels": 512, ...}}, ...] -------------------------------------- */

/* Append one; takes `config` over. Names are made as by printf. */
void ane_case_add(json_t *cases, json_t *config, const char *name, ...) ANE_PRINTF(3, 4);

/* ---- what a row's config says ------------------------------------------------------------------------------------ */

int64_t ane_row_int(const json_t *row, const char *name);      /* of config; 0 when it is not there */
double ane_row_number(const json_t *row, const char *name);    /* the same */
const char *ane_row_text(const json_t *row, const char *name); /* "" when it is not there */
bool ane_row_flag(const json_t *row, const char *name);

/* ---- what is put into it ----------------------------------------------------------------------------------------- */

void ane_row_metric(
    json_t *row, const char *name, double x); /* metrics.name; what is not finite is left out */
double ane_row_get_metric(const json_t *row, const char *name); /* NaN when it is not there */
void ane_row_part(json_t *row, const char *name, double ms);
void ane_row_series(json_t *row, const char *name, const double *x, int n);
void ane_row_times(json_t *row, const char *name, const ane_stats *s); /* "device_ms", "host_ms" */
void ane_row_verified(json_t *row, const char *against, double error, double tolerance);
/* status failed, the error's text, and nothing that is a number: times, metrics, parts, series and verification go. */
void ane_row_fail(json_t *row, const ane_error *e);
void ane_row_skip(json_t *row, const ane_error *e);
bool ane_row_is_ok(const json_t *row);

#endif
