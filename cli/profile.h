/* profile.h - where a training step's time goes, against what this machine can do. */
#ifndef ANEMONE_CLI_PROFILE_H
#define ANEMONE_CLI_PROFILE_H

#include "anemone/device.h"

#include <jansson.h>

/* What the host does in a step beside the device's plans. */
typedef struct cli_host_work {
    const char *what;
    double flops, bytes, ms;
} cli_host_work;

/* Make a device spec one that profiles; false with a report when the device cannot. */
bool cli_profile_spec(char *spec, size_t size, ane_error *e);
/* Every plan step of a device that ran `steps` training steps of `step_ms`, and the host's work, per training step;
 * peak rate and memory bandwidth are measured now. Sorted by time lost: what a row took beyond the time in which
 * the machine could do its operations, or move its bytes, whichever is longer. NULL with a report on failure. */
json_t *cli_profile(
    ane_device *d, int64_t steps, double step_ms, int n_host, const cli_host_work *host, ane_error *e);
/* As a table on stdout. */
void cli_profile_print(const json_t *profile);

#endif
