#include "base/team.h"

#if defined(_OPENMP)
#include <omp.h>
#endif
#include <pthread.h>
#if defined(__APPLE__)
#include <dispatch/dispatch.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif
#include <stdlib.h>
#include <unistd.h>

#if !defined(_OPENMP)
#if defined(__APPLE__)
static void run_part(void *loop, size_t i) {
    ane_loop_run_nested(loop, (int64_t)i);
}

static void run_beside(ane_loop *l) {
    dispatch_apply_f((size_t)l->parts, DISPATCH_APPLY_AUTO, l, run_part);
}
#else
static void run_part(void *loop, int64_t i) {
    ane_loop_run_nested(loop, i);
}

static void run_beside(ane_loop *l) {
    ane_threads_run(l->parts, run_part, l);
}
#endif
#endif

void ane_parallel_for(int64_t n, int64_t grain, int threads, ane_range_fn *body, void *context) {
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    int64_t grains = (n + grain - 1) / grain, parts = threads < grains ? threads : grains;
    ane_loop loop = {n, grain, parts < 1 ? 1 : parts, body, context};
    if (parts > 1 && ane_team_run(&loop)) return;
#if defined(_OPENMP)
    if (parts > 1 && !omp_in_parallel()) {
#pragma omp parallel for num_threads((int)parts) schedule(static, 1)
        for (int64_t i = 0; i < parts; i++) ane_loop_run(&loop, i);
        return;
    }
#else
    if (parts > 1 && !ane_loop_is_nested()) {
        run_beside(&loop);
        return;
    }
#endif
    /* The same parts as beside each other, so that a body that works part by part gives the same bits. */
    for (int64_t i = 0; i < loop.parts; i++) ane_loop_run(&loop, i);
}

/* ---- piece by piece ------------------------------------------------------------------------------------ */

void ane_pieces_start(ane_pieces *p, int64_t n, int64_t piece, int parts) {
    int64_t pieces = (n + piece - 1) / piece;
    p->n = n;
    p->piece = piece;
    p->queues = parts < ANE_QUEUES ? parts : ANE_QUEUES;
    for (int i = 0; i < p->queues; i++) {
        atomic_init(&p->queue[i].next, pieces * i / p->queues);
        p->queue[i].end = pieces * (i + 1) / p->queues;
    }
}

bool ane_pieces_next(ane_pieces *p, int64_t part, int64_t *begin, int64_t *end) {
    for (int i = 0; i < p->queues; i++) {
        int q = (int)((part + i) % p->queues);
        if (atomic_load_explicit(&p->queue[q].next, memory_order_relaxed) >= p->queue[q].end) continue;
        int64_t piece = atomic_fetch_add_explicit(&p->queue[q].next, 1, memory_order_relaxed);
        if (piece >= p->queue[q].end) continue;
        *begin = piece * p->piece;
        *end = *begin + p->piece < p->n ? *begin + p->piece : p->n;
        return true;
    }
    return false;
}

typedef struct pieces_job {
    ane_pieces pieces;
    ane_range_fn *body;
    void *context;
} pieces_job;

static void run_pieces(void *context, int64_t begin, int64_t end) {
    pieces_job *j = context;
    for (int64_t part = begin, first, last; part < end; part++)
        while (ane_pieces_next(&j->pieces, part, &first, &last)) j->body(j->context, first, last);
}

void ane_parallel_pieces(int64_t n, int64_t grain, int threads, ane_range_fn *body, void *context) {
    enum { PIECES = 16 }; /* of a part */
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    int64_t grains = (n + grain - 1) / grain;
    int parts = threads < grains ? threads : (int)grains;
    if (parts <= 1) {
        body(context, 0, n);
        return;
    }
    int64_t pieces = (int64_t)parts * PIECES;
    pieces_job j;
    j.body = body, j.context = context;
    ane_pieces_start(&j.pieces, n, (grains + pieces - 1) / pieces * grain, parts);
    ane_parallel_for(parts, 1, parts, run_pieces, &j);
}

static int count_cores(void) {
#if defined(_OPENMP)
    return omp_get_num_procs(); /* knows what was ours before OMP_PROC_BIND tied this thread to one core */
#elif defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

/* Counted once: a thread that was tied to a core sees only that one. */
static pthread_once_t counted_once = PTHREAD_ONCE_INIT;
static int counted;

static void count_once(void) {
    counted = count_cores();
}

int ane_cpu_count(void) {
    pthread_once(&counted_once, count_once);
    return counted;
}

#if defined(__linux__) && defined(_OPENMP)
/* The i-th core of a set; its size when there are not so many. */
static int core_of(const cpu_set_t *set, int i) {
    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, set) && i-- == 0) return core;
    return CPU_SETSIZE;
}

bool ane_parallel_place(int threads) {
    cpu_set_t all;
    if (threads < 2 || threads < ane_cpu_count() || getenv("OMP_PROC_BIND") || getenv("GOMP_CPU_AFFINITY") ||
        sched_getaffinity(0, sizeof all, &all) != 0 || CPU_COUNT(&all) != threads)
        return false;
    int placed = 0;
#pragma omp parallel num_threads(threads) reduction(+ : placed)
    {
        int core = core_of(&all, omp_get_thread_num());
        cpu_set_t one;
        CPU_ZERO(&one);
        if (core < CPU_SETSIZE) CPU_SET(core, &one);
        placed += sched_setaffinity(0, sizeof one, &one) == 0;
    }
    return placed == threads;
}
#else
bool ane_parallel_place(int threads) {
    (void)threads;
    return false;
}
#endif
