/* ask.h - asking for memory ahead of reading it, where the processor's own guesses are not enough or come too late. */
#ifndef ANEMONE_BASE_ASK_H
#define ANEMONE_BASE_ASK_H

#include <stdbool.h>

/* Whether to ask into the second cache instead of the first one. On Zen 4 products with a vector take 3 to 36 % longer with the
 * first, most where memory is fast: what is asked for stands in the way of what is read. On Sapphire Rapids the first is
 * faster. */
static inline bool ane_asks_second_cache(void) {
#if defined(ANEMONE_X86_VECTORS)
    return __builtin_cpu_is("amd");
#else
    return false;
#endif
}

/* For one line. */
static inline __attribute__((always_inline)) void ane_ask_for(const char *line, bool second) {
    if (second)
        __builtin_prefetch(line, 0, 2);
    else
        __builtin_prefetch(line);
}

#endif
