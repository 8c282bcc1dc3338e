/* emulator.h - finding the emulator of Apple's framework, a library of its own. */
#ifndef ANEMONE_DEVICE_EMULATOR_H
#define ANEMONE_DEVICE_EMULATOR_H

#include "anemone/error.h"

/* What dlopen gives for libanemone_emulator: the one that ANEMONE_EMULATOR_LIBRARY names, else one beside the program,
 * in the folder above it or in ../lib, else where the system looks. It stays loaded. NULL with a report. */
void *ane_emulator_open(ane_error *e);

#endif
