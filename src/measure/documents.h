/* documents.h - whatever holds measurements, read as results documents (docs/results.md). */
#ifndef ANEMONE_MEASURE_DOCUMENTS_H
#define ANEMONE_MEASURE_DOCUMENTS_H

#include "anemone/error.h"

#include <jansson.h>

/* Append to the array `documents` what stands in `path`, told apart by content: a results file; the field's community
 * benchmark (schema_version 1) or community_results.json (one document for each machine in it); a run's folder or its
 * log.jsonl. Each gets the member "file". Probes alone join the
 * document of the same machine and device before them. What is missing or of the wrong type is refused with its place. */
bool ane_documents_read(json_t *documents, const char *path, ane_error *e);

/* A run's log (train/runlog.h) as one document with one row: benchmark "run", the case named after its folder, the loss curve
 * (series step, loss, validation_step, validation_loss), medians of the step's times and of its parts. Lines that are not whole
 * JSON objects are refused, but for a torn last one. NULL with a report on failure. */
json_t *ane_runlog_document(const char *path, ane_error *e);

/* "rows[3].x: expected a number, found ..." in the file `path`; false. `x` may be NULL: nothing there. */
bool ane_document_refuse(
    const char *path, const char *place, const char *expected, const json_t *x, ane_error *e);

#endif
