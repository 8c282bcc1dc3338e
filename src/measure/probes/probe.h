/* probe.h - questions to a device: what it does, not how fast.
 *
 * A probe is one row of the table in table.c. It says what it asks, does it, and gives an answer: a short text that stays the
 * same as long as the machine behaves the same, so that it can be compared with what others recorded
 * (data/recorded_probes.json). What was measured on the way goes into its details.
 */
#ifndef ANEMONE_MEASURE_PROBES_PROBE_H
#define ANEMONE_MEASURE_PROBES_PROBE_H

#include "anemone/device.h"

#include <jansson.h>

/* One asking. */
typedef struct ane_asking {
    ane_device *device;
    int loaded;    /* programs that are loaded beside the probe's own: the control experiment's */
    bool engine;   /* the Neural Engine, or the emulator; else a CPU */
    char did[512]; /* one sentence or two: what was done */
    char answer[160];
    json_t *details; /* an object */
} ane_asking;

typedef struct ane_probe {
    const char *name, *question;
    /* Fill in `did`, `answer` and details. False with a report: there is no answer. With ANE_ERROR_UNSUPPORTED: this device
     * cannot be asked. */
    bool (*ask)(ane_asking *a, ane_error *e);
    bool engine;   /* asks about Apple's framework: only the Neural Engine can be asked */
    bool exhausts; /* afterwards this process may not be able to compile any more */
} ane_probe;

extern const ane_probe ane_probes[]; /* table.c; in the order in which all are run */
extern const int ane_n_probes;
/* NULL with a report that names the nearest. */
const ane_probe *ane_probe_find(const char *name, ane_error *e);

/* ---- asking ------------------------------------------------------------------------------------------------------- */

/* A device to ask, and the control experiment on it. */
typedef struct ane_prober {
    ane_device *device;
    bool engine;
    struct ane_control *control; /* NULL: not needed yet */
    bool exhausted; /* programs compiled before, and do not any more: a new process may have answers */
} ane_prober;

bool ane_prober_open(ane_prober *p, const char *spec, ane_error *e);
void ane_prober_close(ane_prober *p);
/* Ask: an entry of "probes" of docs/results.md, which is the caller's. NULL when out of memory. */
json_t *ane_prober_ask(ane_prober *p, const ane_probe *probe);

/* ---- what is recorded (recorded.c) -------------------------------------------------------------------------------- */

/* What others found, as an object {"probe", "answer", "chip", "os", "source"}; borrowed from `all`. That of the same chip if
 * there is one, else that of any. NULL: nothing is recorded of such a device. */
const json_t *ane_probe_recorded(const json_t *all, const char *probe, const char *chip, bool engine);
/* All of them, a new reference. */
json_t *ane_probe_records(ane_error *e);
/* What others found in the framework: {"counted": how many classes, "names": [those that were published], "selectors": {class:
 * ["+of the class", "-of its objects"]}}; borrowed from `all`. */
const json_t *ane_probe_recorded_classes(const json_t *all);

/* False with a report: a time that the device cannot reach, for that many operations in one evaluation. (The bound is that of
 * measure/timing.c.) */
bool ane_probe_possible(const ane_capabilities *c, double flops, double ms, ane_error *e);

/* ---- details ------------------------------------------------------------------------------------------------------ */

void ane_asking_did(ane_asking *a, const char *format, ...) ANE_PRINTF(2, 3);
void ane_asking_answer(ane_asking *a, const char *format, ...) ANE_PRINTF(2, 3);
void ane_asking_number(ane_asking *a, const char *name, double x); /* what is not finite is left out */
void ane_asking_text(ane_asking *a, const char *name, const char *text);
void ane_asking_numbers(ane_asking *a, const char *name, const float *x, int n);
void ane_asking_put(ane_asking *a, const char *name, json_t *value); /* takes `value` over */

#endif
