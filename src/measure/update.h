/* update.h - weights that reach a program through an input, and new ones between two runs. */
#ifndef ANEMONE_MEASURE_UPDATE_H
#define ANEMONE_MEASURE_UPDATE_H

#include "measure/harness.h"

/* y = x W of ane_program_dynamic, and sets of weights for it as they lie in its input. */
typedef struct ane_update {
    ane_bench *bench;
    mil_program *program;
    ane_trial *trial;
    int64_t dim, positions;
    bool packed;
    size_t element; /* bytes */
    int n_sets;
    void **sets; /* [dim, dim] each, in the input's element type */
    int last;    /* the set in the input; -1: none of them */
} ane_update;

bool ane_update_open(
    ane_update *u, ane_bench *b, int64_t dim, int64_t positions, bool packed, int n_sets, ane_error *e);
void ane_update_close(ane_update *u);
/* Copy a set into the input. */
bool ane_update_put(ane_update *u, int set, ane_error *e);
/* An ane_subject of nothing but the next set being put: host time. */
ane_subject ane_update_subject(ane_update *u);
/* Tell the reference which weights are in the input, and compare the output: as ane_trial_verify. */
bool ane_update_verify(ane_update *u, bool run, json_t *row, ane_error *e);
double ane_update_bytes(const ane_update *u); /* of one set */

#endif
