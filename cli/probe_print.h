/* probe_print.h - answers for people to read. */
#ifndef ANEMONE_CLI_PROBE_PRINT_H
#define ANEMONE_CLI_PROBE_PRINT_H

#include <jansson.h>
#include <stdbool.h>

/* One entry of a results document's probes: question, what was done, the answer, and the recorded one; with `details` what was
 * measured on the way. */
void cli_print_probe(const json_t *probe, bool details);
/* All of them, one line each. */
void cli_print_probes(const json_t *probes);
/* "equal", "differs", "answered" (nothing is recorded), "skipped", "failed". */
const char *cli_probe_verdict(const json_t *probe);

#endif
