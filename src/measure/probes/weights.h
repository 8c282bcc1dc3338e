/* weights.h - two ways to change weights without compiling, for the probes that ask about them. */
#ifndef ANEMONE_MEASURE_PROBES_WEIGHTS_H
#define ANEMONE_MEASURE_PROBES_WEIGHTS_H

#include "measure/probes/probe.h"

/* Overwrite the file, unload, load: "unchanged", "new weights", "neither". */
bool ane_try_reload(ane_asking *a, const char **effect, ane_error *e);
/* Give 3 times identity with the request, in a surface and as an _ANEWeight: "no effect", "replaces them", "changes them",
 * "refused". */
bool ane_try_weights_buffer(ane_asking *a, const char **surface, const char **weight, ane_error *e);

#endif
