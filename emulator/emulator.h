/* emulator.h - what libanemone_emulator exports besides Apple's classes and functions.
 *
 * The library is loaded with dlopen(), as Apple's framework is, and these are found with dlsym(). It behaves as the
 * hardware was recorded to; environment variable ANEMONE_EMULATOR, read when the library is loaded, sets chip, quirks
 * and faults: "chip=m4,quirk=order:declared,quirk=min-surface:49152,fault=eval:7". When that text is wrong, every
 * descriptor, compile and load fails and anemone_emulator_message() says what was expected.
 *
 * Times are modelled, never measured, and never slept.
 */
#ifndef ANEMONE_EMULATOR_H
#define ANEMONE_EMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EM_EXPORT __attribute__((visibility("default")))

/* Why the settings are refused; "" when they are not. Static storage until the next configure. */
EM_EXPORT const char *anemone_emulator_message(void);
/* Replace all settings by `text` (NULL: the defaults) and start every count again. False when refused. */
EM_EXPORT bool anemone_emulator_configure(const char *text);
/* JSON {"chips": [...], "quirks": [...], "faults": [...], "settings": {...}}; caller frees. NULL: out of memory. */
EM_EXPORT char *anemone_emulator_describe(void);
/* JSON: every recorded single-program measurement beside the time model's value, with errors per row and overall;
 * and the recorded designs' training steps, which the model was not fitted to. Caller frees. */
EM_EXPORT char *anemone_emulator_calibrate(void);

typedef struct anemone_emulator_counts {
    int64_t descriptors, compiles, loads, evaluations; /* calls that succeeded */
    int64_t loaded_programs;                           /* now */
    int64_t surfaces;                                  /* alive now */
    int64_t surface_bytes;                             /* read and written by evaluations */
    double modelled_device_ms, modelled_compile_ms, modelled_load_ms;
} anemone_emulator_counts;
/* Since loading or the last configure. */
EM_EXPORT void anemone_emulator_counts_get(anemone_emulator_counts *counts);

/* How often the stage of a fault ("eval-zero") was called since then: what the fault's N counts. -1: no such fault. */
EM_EXPORT int64_t anemone_emulator_calls(const char *fault);

#endif
