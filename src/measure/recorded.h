/* recorded.h - what the field has published (data/ane_recorded.json), as results documents. */
#ifndef ANEMONE_MEASURE_RECORDED_H
#define ANEMONE_MEASURE_RECORDED_H

#include "anemone/error.h"

#include <jansson.h>

/* An array of documents as docs/results.md says, one for each machine that something is recorded of. Beside the schema's
 * members they have "recorded": true and machine.label, and rows may have program, source, note, suspect (why not to trust the
 * number) and answer. What was recorded as a range [low, high] stands as its middle; of times, min and p95 are its ends.
 * host_ms is the time of the call, device_ms the device's part where it was told, else the same; runs is 0. Caller owns it. */
json_t *ane_recorded_documents(ane_error *e);

/* The row of `document` that measured the same as `row`: of the same benchmark, and of the same case or else of the same
 * config, as far as both tell it. Borrowed; NULL when there is none. */
json_t *ane_recorded_find(const json_t *document, const json_t *row);

/* The documents with at least one row of this benchmark; an array that the caller owns. */
json_t *ane_recorded_of(const json_t *documents, const char *benchmark);

#endif
