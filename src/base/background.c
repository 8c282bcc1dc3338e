/* background.c - see background.h. */
#include "base/background.h"

bool ane_background_init(ane_background *b, ane_error *e) {
    *b = (ane_background){.started = false};
    if (pthread_mutex_init(&b->lock, NULL) == 0) {
        if (pthread_cond_init(&b->changed, NULL) == 0) return true;
        pthread_mutex_destroy(&b->lock);
    }
    return ane_fail(e, ANE_ERROR_MEMORY, NULL, "no memory for a lock");
}

static void *work(void *context) {
    ane_background *b = context;
    pthread_mutex_lock(&b->lock);
    for (;;) {
        while (!b->first && !b->ends) pthread_cond_wait(&b->changed, &b->lock);
        ane_job *job = b->first;
        if (!job) break;
        b->first = job->next;
        if (!b->first) b->last = &b->first;
        pthread_mutex_unlock(&b->lock);
        job->work(job);
        pthread_mutex_lock(&b->lock);
        job->done = true;
        pthread_cond_broadcast(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

bool ane_background_submit(ane_background *b, ane_job *job, ane_error *e) {
    pthread_mutex_lock(&b->lock);
    if (!b->started) {
        b->last = &b->first;
        b->started = pthread_create(&b->thread, NULL, work, b) == 0;
    }
    bool ok = b->started;
    if (ok) {
        job->done = false;
        job->next = NULL;
        *b->last = job;
        b->last = &job->next;
        pthread_cond_broadcast(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    return ok || ane_fail(e, ANE_ERROR_MEMORY, NULL, "no thread for work beside other work");
}

void ane_background_wait(ane_background *b, ane_job *job) {
    pthread_mutex_lock(&b->lock);
    while (!job->done) pthread_cond_wait(&b->changed, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

void ane_background_destroy(ane_background *b) {
    pthread_mutex_lock(&b->lock);
    b->ends = true;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    if (b->started) pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
}
