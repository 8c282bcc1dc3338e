/* packed_slabs.c - products whose operands are both packed right before they are used. See packed.h. */
#include "base/packed.h"
#include "base/packed_impl.h"
#include "base/parallel.h"

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

enum { MOST_PIECES = 512 };

static bool in_slabs(const ane_packed_product *p, int threads) {
    return ane_packed_by_few(threads) && !p->kernel->shares_b;
}

bool ane_packed_takes_slabs(const ane_packed_product *p, int threads) {
    enum { WIDE = 4 };
    return p->kernel->shares_b ? p->n > WIDE * p->m : ane_packed_by_few(threads);
}

/* Columns and numbers along k of a slab of B. They do not depend on how many threads there are, nor do the sums. C is passed
 * over once with each slab: where it has many rows, or is larger than the second cache and one slab less would do, they are as
 * large as that allows. */
typedef struct slab {
    int64_t columns, k;
} slab;

static bool has_few_slabs(const ane_packed_product *p) {
    enum { MANY_ROWS = 4096, MANY_SUMS = 1 << 19 };
    int64_t slab = p->kernel->slab;
    return p->m > MANY_ROWS || (p->m * p->n > MANY_SUMS && p->k > slab && p->k <= 2 * slab);
}

static slab slab_of(const ane_packed_product *p) {
    const ane_packed_kernel *kernel = p->kernel;
    int64_t columns = ane_part_of(p->n, kernel->n_chunk, kernel->columns),
            most = has_few_slabs(p) ? kernel->b_bytes / kernel->bytes / columns : kernel->slab;
    return (slab){columns, ane_part_of(p->k, most, kernel->k_step)};
}

static ane_packed_product slab_product(const ane_packed_product *p, int64_t l, int64_t k) {
    ane_packed_product part = *p;
    part.k = ane_least(k, p->k - l);
    part.a.x += l * p->a.k_stride;
    if (part.store == ANE_STREAM && part.k < p->k) part.store = ANE_PUT;
    if (l > 0) part.store = ANE_ADD;
    if (l + part.k < p->k) part.squares = NULL;
    return part;
}

static void narrow_rows(ane_packed_product *p, int64_t first, int64_t last) {
    p->m = last - first;
    p->a.x += first * p->a.stride;
    p->c += first * p->ldc;
    if (p->squares) p->squares += first / p->kernel->rows * p->squares_pitch;
}

/* ---- few threads --------------------------------------------------------------------------------------------------- */

/* How the work is cut: every thread keeps a slab of A, or of B, and multiplies it with pieces of the other. */
typedef struct cut {
    slab slab;
    bool keeps_a;
    int64_t piece, pieces; /* rows of A or columns of B in each but the last */
    int64_t bytes;         /* that a thread needs */
} cut;

/* Of panels shared by threads as evenly as they can be, the most that one gets, in rows or columns. */
static int64_t largest_share(int64_t n, int64_t panel, int threads) {
    return ane_panels_in(ane_panels_in(n, panel), threads) * panel;
}

/* What a thread does for each number along k, in multiply-adds. */
static int64_t cost_of_keeping_a(const ane_packed_product *p, int threads) {
    int64_t columns = largest_share(p->n, p->kernel->columns, threads);
    return p->m * columns + ANE_PACKED_FOR * (p->m + columns);
}

static int64_t cost_of_keeping_b(const ane_packed_product *p, int64_t slab_columns, int threads) {
    int64_t rows = largest_share(p->m, p->kernel->rows, threads), slabs = ane_panels_in(p->n, slab_columns);
    return rows * p->n + ANE_PACKED_FOR * (rows * slabs + p->n);
}

/* At least so many pieces for each thread, of no more than `most` panels. */
static void cut_pieces(cut *c, int64_t n, int64_t panel, int64_t most, int64_t for_each_thread, int threads) {
    int64_t panels = ane_panels_in(n, panel), each = ane_least(panels / (for_each_thread * threads), most),
            fewest = ane_panels_in(panels, MOST_PIECES);
    if (each < 1) each = 1;
    c->piece = (each > fewest ? each : fewest) * panel;
    c->pieces = ane_panels_in(n, c->piece);
}

static cut cut_of(const ane_packed_product *p, int threads) {
    const ane_packed_kernel *kernel = p->kernel;
    cut c = {.slab = slab_of(p)};
    const ane_packed_product left = slab_product(p, 0, c.slab.k);
    int64_t left_bytes = ane_packed_left_bytes(&left);
    c.keeps_a = !has_few_slabs(p) && left_bytes <= kernel->b_bytes &&
                cost_of_keeping_a(p, threads) < cost_of_keeping_b(p, c.slab.columns, threads);
    if (c.keeps_a) {
        cut_pieces(&c, p->n, kernel->columns, 16, 2, threads);
        c.bytes = ane_whole_lines(left_bytes) + ane_packed_bytes(kernel, c.piece, c.slab.k);
    } else {
        bool along = p->a.k_stride == 1; /* else memory is read in runs as long as a piece has rows */
        cut_pieces(&c, p->m, kernel->rows, along ? 8 : 16, along ? 4 : 2, threads);
        c.bytes = ane_packed_bytes(kernel, c.slab.columns, c.slab.k);
    }
    return c;
}

/* state[i] is 2 s when piece i is done up to step s, 2 s + 1 while a thread is at step s of it. */
typedef struct work {
    ane_packed_product p;
    ane_packed_source b;
    cut cut;
    char *room;
    int threads;
    atomic_int state[MOST_PIECES];
} work;

/* A piece at a step: ours to take when it is done up to there. Its own thread waits when another is still at an earlier step. */
static bool claim(atomic_int *state, int step, bool own) {
    int found = atomic_load_explicit(state, memory_order_acquire);
    while (own && found < 2 * step) {
        sched_yield(); /* the other may be waiting for this core */
        found = atomic_load_explicit(state, memory_order_acquire);
    }
    return found == 2 * step && atomic_compare_exchange_strong_explicit(
                                    state, &found, found + 1, memory_order_acquire, memory_order_relaxed);
}

static void run_piece(
    const work *w, const ane_packed_product *step, const ane_packed_source *b, char *kept, int64_t i) {
    ane_packed_product p = *step;
    int64_t first = i * w->cut.piece;
    if (!w->cut.keeps_a) {
        narrow_rows(&p, first, ane_least(first + w->cut.piece, p.m));
        p.b = kept;
        ane_packed_run(&p, 1);
        return;
    }
    ane_packed_source columns = *b;
    char *room = kept + w->cut.bytes - ane_packed_bytes(p.kernel, w->cut.piece, w->cut.slab.k);
    ane_packed_narrow_columns(&p, &columns, first, ane_least(first + w->cut.piece, p.n));
    p.b = room;
    ane_packed_pack(p.kernel, room, &columns, p.n, p.k, 1);
    ane_packed_run_left(&p, kept);
}

/* Numbers along k from the l-th on, of columns that fit a slab. */
static void run_step(work *w, int64_t thread, int step, int64_t column, int64_t l) {
    const cut *c = &w->cut;
    ane_packed_product p = slab_product(&w->p, l, c->slab.k);
    ane_packed_source b = ane_packed_from(&w->b, l);
    char *kept = w->room + thread * c->bytes;
    int64_t first = c->pieces * thread / w->threads, last = c->pieces * (thread + 1) / w->threads;
    if (c->keeps_a) {
        ane_packed_pack_left(&p, kept);
    } else {
        ane_packed_narrow_columns(&p, &b, column, ane_least(column + c->slab.columns, p.n));
        ane_packed_pack(p.kernel, kept, &b, p.n, p.k, 1);
    }
    for (int64_t k = 0; k < c->pieces; k++) {
        int64_t i = (first + k) % c->pieces;
        if (!claim(&w->state[i], step, i >= first && i < last)) continue;
        run_piece(w, &p, &b, kept, i);
        atomic_store_explicit(&w->state[i], 2 * (step + 1), memory_order_release);
    }
}

static void run_threads(void *context, int64_t begin, int64_t end) {
    work *w = context;
    int64_t columns = w->cut.keeps_a ? w->p.n : w->cut.slab.columns;
    for (int64_t thread = begin; thread < end; thread++) {
        int step = 0;
        for (int64_t column = 0; column < w->p.n; column += columns)
            for (int64_t l = 0; l < w->p.k; l += w->cut.slab.k) run_step(w, thread, step++, column, l);
    }
}

static void run_few(const ane_packed_product *p, const ane_packed_source *b, void *room, int threads) {
    work w = {.p = *p, .b = *b, .cut = cut_of(p, threads), .room = room, .threads = threads};
    for (int64_t i = 0; i < w.cut.pieces; i++) atomic_init(&w.state[i], 0);
    ane_parallel_for(threads, 1, threads, run_threads, &w);
}

/* ---- many threads: all pack a slab of B together ------------------------------------------------------------------------- */

static void run_many(const ane_packed_product *p, const ane_packed_source *b, void *room, int threads) {
    slab s = slab_of(p);
    for (int64_t first = 0; first < p->n; first += s.columns)
        for (int64_t l = 0; l < p->k; l += s.k) {
            ane_packed_product part = slab_product(p, l, s.k);
            ane_packed_source from = ane_packed_from(b, l);
            ane_packed_narrow_columns(&part, &from, first, ane_least(first + s.columns, p->n));
            part.b = room;
            ane_packed_pack(part.kernel, room, &from, part.n, part.k, threads);
            ane_packed_run(&part, threads);
        }
}

int64_t ane_packed_slab_bytes(const ane_packed_product *p, int threads) {
    if (ane_packed_is_split(p)) return ane_packed_split_bytes(p, threads);
    slab s = slab_of(p);
    return ane_packed_by_few(threads) ? cut_of(p, threads).bytes * threads
                                      : ane_packed_bytes(p->kernel, s.columns, s.k);
}

void ane_packed_run_slabs(
    const ane_packed_product *given, const ane_packed_source *b, void *room, int threads) {
    ane_packed_product p = *given;
    if (p.squares_pitch == 0) p.squares_pitch = ane_panels_in(p.n, p.kernel->columns);
    if (ane_packed_is_split(&p))
        ane_packed_run_split(&p, b, room, threads);
    else
        (ane_packed_by_few(threads) ? run_few : run_many)(&p, b, room, threads);
}

/* ---- whichever is faster ----------------------------------------------------------------------------------------------- */

int64_t ane_packed_room(const ane_packed_product *p, int threads) {
    return in_slabs(p, threads) ? ane_packed_slab_bytes(p, threads) : ane_packed_bytes(p->kernel, p->n, p->k);
}

void ane_packed_prepare(const ane_packed_product *p, const ane_packed_source *b, void *room, int threads) {
    if (!in_slabs(p, threads)) ane_packed_pack(p->kernel, room, b, p->n, p->k, threads);
}

void ane_packed_multiply(
    const ane_packed_product *given, const ane_packed_source *b, void *room, int threads) {
    ane_packed_product p = *given;
    p.b = room;
    if (in_slabs(&p, threads))
        ane_packed_run_slabs(&p, b, room, threads);
    else
        ane_packed_run(&p, threads);
}
