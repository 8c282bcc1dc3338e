/* probe_process.h - a probe in a process of its own. */
#ifndef ANEMONE_CLI_PROBE_PROCESS_H
#define ANEMONE_CLI_PROBE_PROCESS_H

#include "anemone/error.h"

#include <jansson.h>

/* What `anemone probe NAME --device DEVICE` writes: its entry, the caller's. NULL with a report when there was none. */
json_t *cli_probe_elsewhere(const char *name, const char *device, ane_error *e);

#endif
