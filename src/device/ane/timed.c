/* timed.c - see timed.h. */
#include "device/ane/timed.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* A thread and what it has to do. The one that finds `left` set frees the worker. */
typedef struct ane_timed_worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    ane_timed_call *call; /* NULL: none */
    bool done, left, ends;
    struct ane_timed_worker *next;
} worker;

bool ane_timed_init(ane_timed *t, ane_error *e) {
    t->idle = NULL;
    return pthread_mutex_init(&t->lock, NULL) == 0 ||
           ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for a lock");
}

static void free_worker(worker *w) {
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static void *work(void *context) {
    worker *w = context;
    pthread_mutex_lock(&w->lock);
    while (!w->ends) {
        while (!w->call && !w->ends) pthread_cond_wait(&w->changed, &w->lock);
        ane_timed_call *c = w->call;
        if (!c) break;
        pthread_mutex_unlock(&w->lock);
        c->call(c);
        pthread_mutex_lock(&w->lock);
        w->call = NULL;
        if (w->left) {
            pthread_mutex_unlock(&w->lock);
            c->free(c);
            free_worker(w);
            return NULL;
        }
        w->done = true;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static worker *new_worker(void) {
    worker *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    if (pthread_mutex_init(&w->lock, NULL) == 0) {
        if (pthread_cond_init(&w->changed, NULL) == 0) {
            if (pthread_create(&w->thread, NULL, work, w) == 0) return w;
            pthread_cond_destroy(&w->changed);
        }
        pthread_mutex_destroy(&w->lock);
    }
    free(w);
    return NULL;
}

static worker *take_worker(ane_timed *t) {
    pthread_mutex_lock(&t->lock);
    worker *w = t->idle;
    if (w) t->idle = w->next;
    pthread_mutex_unlock(&t->lock);
    return w ? w : new_worker();
}

static void give_worker(ane_timed *t, worker *w) {
    pthread_mutex_lock(&t->lock);
    w->next = t->idle;
    t->idle = w;
    pthread_mutex_unlock(&t->lock);
}

static struct timespec deadline(double seconds) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t); /* what pthread_cond_timedwait counts by */
    double whole = (double)(long long)seconds;
    t.tv_sec += (time_t)whole;
    t.tv_nsec += (long)((seconds - whole) * 1e9);
    if (t.tv_nsec >= 1000000000L) {
        t.tv_nsec -= 1000000000L;
        t.tv_sec++;
    }
    return t;
}

ane_timed_end ane_timed_run(ane_timed *t, ane_timed_call *c, double seconds) {
    worker *w = take_worker(t);
    if (!w) return ANE_TIMED_FAILED;
    const struct timespec until = deadline(seconds);
    pthread_mutex_lock(&w->lock);
    w->done = false;
    w->call = c;
    pthread_cond_broadcast(&w->changed);
    int status = 0;
    while (!w->done && status != ETIMEDOUT) status = pthread_cond_timedwait(&w->changed, &w->lock, &until);
    bool late = !w->done;
    if (late) {
        w->left = true;
        pthread_detach(w->thread);
    }
    pthread_mutex_unlock(&w->lock);
    if (late) return ANE_TIMED_LATE;
    give_worker(t, w);
    return ANE_TIMED_DONE;
}

void ane_timed_destroy(ane_timed *t) {
    for (worker *w = t->idle; w;) {
        worker *next = w->next;
        pthread_mutex_lock(&w->lock);
        w->ends = true;
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
        free_worker(w);
        w = next;
    }
    t->idle = NULL;
    pthread_mutex_destroy(&t->lock);
}
