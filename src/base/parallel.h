/* parallel.h - one way to use all cores: OpenMP, libdispatch on macOS, plain threads elsewhere. */
#ifndef ANEMONE_BASE_PARALLEL_H
#define ANEMONE_BASE_PARALLEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Called once per part with [begin, end) of the range. */
typedef void ane_range_fn(void *context, int64_t begin, int64_t end);

/* Split [0, n) into at most `threads` contiguous parts, each a multiple of `grain` long (the last one may be shorter),
 * and run them beside each other; returns when all are done. The split depends only on (n, grain, threads), so
 * results that depend on it are the same in every run. Nested calls run serially. threads <= 1 runs in the caller. */
void ane_parallel_for(int64_t n, int64_t grain, int threads, ane_range_fn *body, void *context);

/* The same range where no result depends on how it is split: every part in pieces, each a multiple of `grain` long. A thread
 * that is done with its own part takes pieces of the others': cores are never equally fast (the system, other programs and
 * memory slow now one and now the other), and the slowest would decide. */
void ane_parallel_pieces(int64_t n, int64_t grain, int threads, ane_range_fn *body, void *context);

/* The same for bodies that are called once per part, by ane_parallel_for(parts, 1, ...). */
enum { ANE_QUEUES = 64 };
typedef struct ane_pieces {
    int64_t n, piece;
    int queues; /* one for each part, but no more than there is room for */
    struct {
        _Alignas(64) atomic_llong next; /* on a line of its own */
        int64_t end;                    /* both count pieces */
    } queue[ANE_QUEUES];
} ane_pieces;
void ane_pieces_start(ane_pieces *p, int64_t n, int64_t piece, int parts);
/* The next piece for a part; false when there is none left in any. */
bool ane_pieces_next(ane_pieces *p, int64_t part, int64_t *begin, int64_t *end);

/* Run body(context) in the calling thread while the others of `threads` stand by for loops that it starts: one of at most so
 * many parts then begins and ends in less than a microsecond. For many short loops with little between them: who stands
 * by watches for 0.1 ms, then sleeps. Other parallel work (a library's) runs on one thread meanwhile. Nothing is
 * gathered within a loop, or within another such call. */
typedef void ane_held_fn(void *context);
void ane_parallel_hold(int threads, ane_held_fn *body, void *context);

/* Cores this process may use, as they were when it was first asked. */
int ane_cpu_count(void);

/* Tie each of `threads` threads of ane_parallel_for, the caller first, to a core of its own, so that two that wait for each
 * other never share one. For programs, not for libraries. Nothing happens when there are fewer threads than cores (others
 * may want the rest), when the environment has placed them (OMP_PROC_BIND, GOMP_CPU_AFFINITY), or where the system
 * cannot. True when it was done. */
bool ane_parallel_place(int threads);

#endif
