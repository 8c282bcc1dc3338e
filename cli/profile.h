/* profile.h - where the time of a training step, a prompt or a token goes, against what this machine can do. */
#ifndef ANEMONE_CLI_PROFILE_H
#define ANEMONE_CLI_PROFILE_H

#include "anemone/device.h"

#include <jansson.h>

/* What the host does beside the device's plans. */
typedef struct cli_host_work {
    const char *what;
    double flops, bytes, ms;
} cli_host_work;

/* Make a device spec one that profiles; false with a report when the device cannot. */
bool cli_profile_spec(char *spec, size_t size, ane_error *e);
/* Every plan step of a device that did `count` times what takes `ms` (a training step, a prompt, a token) since its profile
 * was reset, and the host's work, each per time; peak rate and memory bandwidth are measured now. Sorted by time lost: what a row took beyond the time in which
 * the machine could do its operations, or move its bytes, whichever is longer. NULL with a report on failure. */
json_t *cli_profile(
    ane_device *d, int64_t count, double ms, int n_host, const cli_host_work *host, ane_error *e);
/* As a table on stdout. `one`: what was done, "training step". */
void cli_profile_print(const json_t *profile, const char *one);

#endif
