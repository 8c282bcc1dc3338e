/* team.h - threads that stand by for the loops of one that leads them (ane_parallel_hold). */
#ifndef ANEMONE_BASE_TEAM_H
#define ANEMONE_BASE_TEAM_H

#include "base/parallel.h"

/* [0, n) in `parts` parts of whole grains, spread evenly. */
typedef struct ane_loop {
    int64_t n, grain, parts;
    ane_range_fn *body;
    void *context;
} ane_loop;

/* Run part i. */
void ane_loop_run(const ane_loop *l, int64_t i);
/* The same beside the other parts: loops that it starts in turn run serially. */
void ane_loop_run_nested(const ane_loop *l, int64_t i);
/* Whether the calling thread runs a part of a loop. */
bool ane_loop_is_nested(void);

#if !defined(_OPENMP)
/* run(context, i) for every i below n, each but the first on a thread of its own; one that gets none runs in the calling thread,
 * behind the first. */
typedef void ane_thread_fn(void *context, int64_t i);
void ane_threads_run(int64_t n, ane_thread_fn *run, void *context);
#endif

/* Run the loop with the team that the calling thread leads; false: it leads none, or one that is too small. */
bool ane_team_run(const ane_loop *l);

#endif
