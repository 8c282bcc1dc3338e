/* modelled.h - what the emulator says that compiling and loading would have taken: it does them as fast as it can. */
#ifndef ANEMONE_MEASURE_MODELLED_H
#define ANEMONE_MEASURE_MODELLED_H

#include "measure/harness.h"

typedef struct ane_modelled {
    double device_ms, compile_ms, load_ms; /* of the process, since the emulator was set up */
} ane_modelled;

/* False when the benchmark's device is not emulated, or its emulator does not tell. */
bool ane_modelled_get(const ane_bench *b, ane_modelled *m);

#endif
