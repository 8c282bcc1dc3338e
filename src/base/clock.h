/* clock.h - time that only goes forward. */
#ifndef ANEMONE_BASE_CLOCK_H
#define ANEMONE_BASE_CLOCK_H

#include <time.h>

/* Milliseconds since some fixed moment. */
static inline double ane_clock_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* The same of this thread's own work: it stands still while others have the processor. */
static inline double ane_thread_clock_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

#endif
