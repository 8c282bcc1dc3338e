/* What the processor at hand can do, where the compiler's own question does not reach. */
#ifndef ANEMONE_BASE_PROCESSOR_H
#define ANEMONE_BASE_PROCESSOR_H

#include <stdbool.h>

/* Whether products of bf16 tiles (Intel AMX) may run in this process: the processor has them, the system saves their
 * registers and grants them when asked, which this does (Linux; elsewhere no). Source: Intel SDM volume 1, chapter 18;
 * Linux Documentation/arch/x86/xstate.rst. */
bool ane_processor_grants_tiles(void);

#endif
