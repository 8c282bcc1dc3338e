/* paths.h - names inside a run folder, in buffers of fixed size: nothing to free. */
#ifndef ANEMONE_TRAIN_PATHS_H
#define ANEMONE_TRAIN_PATHS_H

#include "anemone/error.h"

enum { ANE_PATH_BYTES = 4096 };
typedef struct ane_path {
    char text[ANE_PATH_BYTES];
} ane_path;

/* Like printf; false when the result does not fit. */
bool ane_path_set(ane_path *path, ane_error *e, const char *format, ...) ANE_PRINTF(3, 4);

#endif
