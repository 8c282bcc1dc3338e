/* parallel.h - one way to use all cores: OpenMP, libdispatch on macOS, plain threads elsewhere. */
#ifndef ANEMONE_BASE_PARALLEL_H
#define ANEMONE_BASE_PARALLEL_H

#include <stdbool.h>
#include <stdint.h>

/* Called once per part with [begin, end) of the range. */
typedef void ane_range_fn(void *context, int64_t begin, int64_t end);

/* Split [0, n) into at most `threads` contiguous parts, each a multiple of `grain` long (the last one may be shorter),
 * and run them beside each other; returns when all are done. The split depends only on (n, grain, threads), so
 * results that depend on it are the same in every run. Nested calls run serially. threads <= 1 runs in the caller. */
void ane_parallel_for(int64_t n, int64_t grain, int threads, ane_range_fn *body, void *context);

/* Cores this process may use, as they were when it was first asked. */
int ane_cpu_count(void);

/* Tie each of `threads` threads of ane_parallel_for, the caller first, to a core of its own, so that two that wait for each
 * other never share one. For programs, not for libraries. Nothing happens when there are fewer threads than cores (others
 * may want the rest), when the environment has placed them (OMP_PROC_BIND, GOMP_CPU_AFFINITY), or where the system
 * cannot. True when it was done. */
bool ane_parallel_place(int threads);

#endif
