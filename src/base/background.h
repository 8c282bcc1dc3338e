/* background.h - one thread that does jobs in their order, beside whoever asks for them. */
#ifndef ANEMONE_BASE_BACKGROUND_H
#define ANEMONE_BASE_BACKGROUND_H

#include "anemone/error.h"

#include <pthread.h>

typedef struct ane_job {
    void (*work)(struct ane_job *job);
    struct ane_job *next;
    bool done;
} ane_job;

/* The thread starts with the first job. */
typedef struct ane_background {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool started, ends;
    ane_job *first, **last;
} ane_background;

bool ane_background_init(ane_background *b, ane_error *e);
void ane_background_destroy(ane_background *b); /* when every job has been waited for */
/* `job` stays the caller's, and must stay where it is until it was waited for. */
bool ane_background_submit(ane_background *b, ane_job *job, ane_error *e);
void ane_background_wait(ane_background *b, ane_job *job);

#endif
