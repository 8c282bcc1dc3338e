/* timed.h - calls into the framework that may never come back.
 *
 * A call is made by a thread kept for that; who asked for it waits, but not longer than it said. A call that is late is
 * left behind with its thread: neither can be ended from outside. */
#ifndef ANEMONE_DEVICE_ANE_TIMED_H
#define ANEMONE_DEVICE_ANE_TIMED_H

#include "anemone/error.h"

#include <pthread.h>

struct ane_timed_worker;

typedef struct ane_timed {
    pthread_mutex_t lock;
    struct ane_timed_worker *idle; /* as many as there were calls at once */
} ane_timed;

/* What a call is made with, at the begin of a larger struct. After a late call it is the thread's: `free` is called there,
 * when the call has come back at last. */
typedef struct ane_timed_call {
    void (*call)(struct ane_timed_call *c);
    void (*free)(struct ane_timed_call *c);
} ane_timed_call;

typedef enum ane_timed_end { ANE_TIMED_DONE, ANE_TIMED_LATE, ANE_TIMED_FAILED } ane_timed_end;

bool ane_timed_init(ane_timed *t, ane_error *e);
void ane_timed_destroy(ane_timed *t);
/* DONE: `c` is the caller's again. LATE: it is not. FAILED: there is no thread; `c` is the caller's, nothing was called. */
ane_timed_end ane_timed_run(ane_timed *t, ane_timed_call *c, double seconds);

#endif
