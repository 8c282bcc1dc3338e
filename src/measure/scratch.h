/* scratch.h - a private folder for what a benchmark or probe writes and reads back. */
#ifndef ANEMONE_MEASURE_SCRATCH_H
#define ANEMONE_MEASURE_SCRATCH_H

#include "anemone/error.h"

/* Below TMPDIR; NULL with a report. */
char *ane_scratch_new(ane_error *e);
void ane_scratch_free(char *folder); /* and everything in it; NULL is fine */

#endif
