/* community.h - the field's community benchmark: JSON of schema version 1 (run_community_benchmark.sh) and the layout of
 * community_results.json (ane-spec 6.4). docs/measuring.md says which of our rows are which of theirs. */
#ifndef ANEMONE_MEASURE_COMMUNITY_H
#define ANEMONE_MEASURE_COMMUNITY_H

#include "anemone/error.h"

#include <jansson.h>

/* A submission of schema version 1 as a results document; `path` stands in reports. NULL with a report: of another version,
 * or a member of the wrong type. Members that a submission lacks (they are all optional but chip) are left out. */
json_t *ane_community_document(const json_t *submission, const char *path, ane_error *e);

/* community_results.json: appends one document for each machine in training_results. Ranges [low, high] become their
 * middle. */
bool ane_community_machines(json_t *documents, const json_t *all, const char *path, ane_error *e);

/* A results document as a submission of schema version 1: rows of peak, sram-fine and train (static, static-ane), and the
 * summary. What was modelled says so: "modelled": true, in every entry, and in the chip's name, which every reader shows. */
json_t *ane_community_submission(const json_t *results, ane_error *e);

#endif
