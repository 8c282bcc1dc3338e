/* A team stands by while one thread, its leader, runs a function that starts many short loops. Starting one is a number that
 * the others watch, and so is its end: some 0.3 us each, instead of several us for a parallel region. Whoever watches in
 * vain for a while sleeps.
 *
 * Every part of a loop is claimed before it is run: thread i claims part i, then what nobody has claimed yet. So nobody
 * waits for a thread that sleeps, has not begun or was given no processor, unless it is in the midst of a part. */
#include "base/team.h"

#include "base/clock.h"

#if defined(_OPENMP)
#include <omp.h>
#endif
#include <pthread.h>
#include <stdatomic.h>

enum { MOST_THREADS = 256, LINE = 64, ROUNDS = 64 };
static const double watch_ms = 0.1; /* before sleeping: longer than what lies between the loops of a token */

/* A number that others wait for to change. */
typedef struct gate {
    _Alignas(LINE) atomic_uint number;
    atomic_int asleep;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} gate;

typedef struct team {
    gate begun, ended; /* the number of the newest loop; of the newest that is done */
    _Alignas(
        LINE) atomic_uint claims[MOST_THREADS]; /* twice the number of the loop, and 1 when it is taken */
    atomic_int left;                            /* parts that are not done */
    atomic_bool over;                           /* no more loops */
    unsigned n_loops;                           /* so far */
    int threads;
    ane_loop loop; /* stands still while a part of it is claimed and not done */
} team;

static _Thread_local struct {
    team *leads;
    bool nested;
} self;

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void gate_make(gate *g) {
    atomic_init(&g->number, 0);
    atomic_init(&g->asleep, 0);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
}

static void gate_destroy(gate *g) {
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->changed);
}

static void gate_set(gate *g, unsigned number) {
    atomic_store(&g->number, number);
    if (atomic_load(&g->asleep) == 0) return; /* who sleeps from now on sees the number first */
    pthread_mutex_lock(&g->lock);
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static unsigned gate_sleep(gate *g, unsigned old) {
    unsigned now;
    pthread_mutex_lock(&g->lock);
    atomic_fetch_add(&g->asleep, 1);
    while ((now = atomic_load(&g->number)) == old) pthread_cond_wait(&g->changed, &g->lock);
    atomic_fetch_sub(&g->asleep, 1);
    pthread_mutex_unlock(&g->lock);
    return now;
}

/* The number, once it is another one than `old`. */
static unsigned gate_wait(gate *g, unsigned old) {
    double start = 0;
    for (;;) {
        for (int i = 0; i < ROUNDS; i++) {
            unsigned now = atomic_load_explicit(&g->number, memory_order_acquire);
            if (now != old) return now;
            relax();
        }
        double now = ane_clock_ms();
        if (start == 0) start = now;
        if (now - start > watch_ms) return gate_sleep(g, old);
    }
}

/* ---- loops ------------------------------------------------------------------------------------------------------- */

void ane_loop_run(const ane_loop *l, int64_t i) {
    int64_t grains = (l->n + l->grain - 1) / l->grain, begin = grains * i / l->parts * l->grain,
            end = grains * (i + 1) / l->parts * l->grain;
    if (end > l->n) end = l->n;
    if (begin < end) l->body(l->context, begin, end);
}

void ane_loop_run_nested(const ane_loop *l, int64_t i) {
    self.nested = true; /* was not: a nested loop has no parts beside each other */
    ane_loop_run(l, i);
    self.nested = false;
}

bool ane_loop_is_nested(void) {
    return self.nested;
}

/* Thread `thread`'s part of a loop, and those that nobody has claimed. If the loop is over none of them can be claimed. */
static void run_parts(team *t, unsigned number, int thread) {
    for (int k = 0; k < t->threads; k++) {
        int i = (thread + k) % t->threads;
        unsigned free = 2 * number;
        if (!atomic_compare_exchange_strong(&t->claims[i], &free, free + 1)) continue;
        ane_loop_run_nested(&t->loop, i);
        if (atomic_fetch_sub(&t->left, 1) == 1) gate_set(&t->ended, number);
    }
}

bool ane_team_run(const ane_loop *l) {
    team *t = self.leads;
    if (!t || self.nested || l->parts > t->threads) return false;
    unsigned number = ++t->n_loops;
    t->loop = *l;
    atomic_store_explicit(&t->left, (int)l->parts, memory_order_relaxed);
    for (int64_t i = 0; i < l->parts; i++)
        atomic_store_explicit(&t->claims[i], 2 * number, memory_order_release);
    gate_set(&t->begun, number);
    run_parts(t, number, 0);
    gate_wait(&t->ended, number - 1);
    return true;
}

static void stand_by(team *t, int thread) {
    for (unsigned seen = 0;;) {
        seen = gate_wait(&t->begun, seen);
        if (atomic_load(&t->over)) return;
        run_parts(t, seen, thread);
    }
}

static void lead(team *t, ane_held_fn *body, void *context) {
    self.leads = t;
    body(context);
    self.leads = NULL;
    atomic_store(&t->over, true);
    gate_set(&t->begun, t->n_loops + 1);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

#if defined(_OPENMP)
static bool is_beside_others(void) {
    return omp_in_parallel();
}

static void gather(team *t, ane_held_fn *body, void *context) {
#pragma omp parallel num_threads(t->threads)
    {
        int thread = omp_get_thread_num();
        if (thread == 0)
            lead(t, body, context);
        else
            stand_by(t, thread);
    }
}
#else
static bool is_beside_others(void) {
    return self.nested;
}

typedef struct worker {
    ane_thread_fn *run;
    void *context;
    int64_t i;
} worker;

static void *run_worker(void *argument) {
    const worker *w = argument;
    w->run(w->context, w->i);
    return NULL;
}

void ane_threads_run(int64_t n, ane_thread_fn *run, void *context) {
    pthread_t threads[MOST_THREADS];
    worker workers[MOST_THREADS];
    bool runs[MOST_THREADS] = {false};
    int64_t threaded = n < MOST_THREADS ? n : MOST_THREADS;
    for (int64_t i = 1; i < threaded; i++) {
        workers[i] = (worker){run, context, i};
        runs[i] = pthread_create(&threads[i], NULL, run_worker, &workers[i]) == 0;
    }
    for (int64_t i = 0; i < n; i++)
        if (i >= threaded || !runs[i]) run(context, i);
    for (int64_t i = 1; i < threaded; i++)
        if (runs[i]) pthread_join(threads[i], NULL);
}

typedef struct gathering {
    team *team;
    ane_held_fn *body;
    void *context;
} gathering;

/* Who got no thread stands by behind the leader, when all is over. */
static void take_place(void *context, int64_t thread) {
    const gathering *g = context;
    if (thread == 0)
        lead(g->team, g->body, g->context);
    else
        stand_by(g->team, (int)thread);
}

static void gather(team *t, ane_held_fn *body, void *context) {
    gathering g = {t, body, context};
    ane_threads_run(t->threads, take_place, &g);
}
#endif

void ane_parallel_hold(int threads, ane_held_fn *body, void *context) {
    if (threads < 2 || threads > MOST_THREADS || self.leads || is_beside_others()) {
        body(context);
        return;
    }
    team t = {.threads = threads};
    gate_make(&t.begun);
    gate_make(&t.ended);
    gather(&t, body, context);
    gate_destroy(&t.begun);
    gate_destroy(&t.ended);
}
