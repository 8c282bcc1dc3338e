/* doctor_cpu.h - what `anemone doctor` asks of the CPU and of the emulator's library. */
#ifndef ANEMONE_CLI_DOCTOR_CPU_H
#define ANEMONE_CLI_DOCTOR_CPU_H

#include <jansson.h>
#include <stdbool.h>

/* {"ok", "processor", "vectors", "products", "threads", "message"}: a small product on the CPU device, on one thread and
 * on all, beside the reference. NULL when out of memory. */
json_t *cli_examine_cpu(void);
/* {"found", "message"}: whether the emulator of Apple's framework can be loaded. */
json_t *cli_examine_emulator(void);

#endif
