/* packed_slabs.c - products whose right operand is packed a slab at a time, right before it is used. See packed.h. */
#include "base/packed.h"
#include "base/packed_impl.h"
#include "base/parallel.h"

#include <stddef.h>

/* Packing a number of A takes about as long as multiplying it with PACKED_FOR columns. */
enum { FEW_THREADS = 4, PACKED_FOR = 100 };

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

bool ane_packed_in_slabs(int threads) {
    return threads <= FEW_THREADS;
}

/* Columns and numbers along k of a slab. They do not depend on how many threads there are, nor do the sums. C is passed over
 * once with each slab: where it is large they are as large as the second cache allows. */
typedef struct slab {
    int64_t columns, k;
} slab;

static slab slab_of(const ane_packed_product *p) {
    enum { MANY_ROWS = 4096 };
    const ane_packed_kernel *kernel = p->kernel;
    int64_t columns = ane_part_of(p->n, kernel->n_chunk, kernel->columns),
            most = p->m > MANY_ROWS ? kernel->b_bytes / kernel->bytes / columns : kernel->slab;
    return (slab){columns, ane_part_of(p->k, most, kernel->k_step)};
}

static int64_t bytes_of(const ane_packed_kernel *kernel, slab s) {
    return ane_packed_bytes(kernel, s.columns, s.k);
}

int64_t ane_packed_slab_bytes(const ane_packed_product *p, int threads) {
    return bytes_of(p->kernel, slab_of(p)) * (ane_packed_in_slabs(threads) ? threads : 1);
}

typedef struct share {
    ane_packed_product p;
    ane_packed_source b;
    slab slab;
} share;

static void narrow_rows(share *s, int64_t first, int64_t last) {
    s->p.m = last - first;
    s->p.a.x += first * s->p.a.stride;
    s->p.c += first * s->p.ldc;
    if (s->p.squares) s->p.squares += first / s->p.kernel->rows * s->p.squares_pitch;
}

static void narrow_columns(share *s, int64_t first, int64_t last) {
    s->p.n = last - first;
    s->b.x += first * s->b.stride;
    s->p.c += first;
    if (s->p.squares) s->p.squares += first / s->p.kernel->columns;
}

/* All slabs along k of columns that fit one. */
static void run_columns(const share *s, void *room, int threads) {
    for (int64_t l = 0; l < s->p.k; l += s->slab.k) {
        ane_packed_product part = s->p;
        const ane_packed_source from = {s->b.x + l * s->b.k_stride, s->b.stride, s->b.k_stride};
        part.k = least(s->slab.k, s->p.k - l);
        part.a.x += l * s->p.a.k_stride;
        part.b = room;
        if (part.store == ANE_STREAM && part.k < s->p.k) part.store = ANE_PUT;
        if (l > 0) part.store = ANE_ADD;
        if (l + part.k < s->p.k) part.squares = NULL;
        ane_packed_pack(part.kernel, room, &from, part.n, part.k, threads);
        ane_packed_run(&part, threads);
    }
}

static void run_share(const share *s, void *room, int threads) {
    for (int64_t first = 0; first < s->p.n; first += s->slab.columns) {
        share columns = *s;
        narrow_columns(&columns, first, least(first + s->slab.columns, s->p.n));
        run_columns(&columns, room, threads);
    }
}

typedef struct shares {
    share all;
    char *room;
    int threads;
    bool by_rows;
} shares;

/* Shares by rows pack all of B each, shares by columns all of A: what takes less in all. */
static bool shares_rows(const ane_packed_product *p, int64_t threads) {
    int64_t rows = ane_panels_in(ane_panels_in(p->m, p->kernel->rows), threads) * p->kernel->rows,
            columns = ane_panels_in(ane_panels_in(p->n, p->kernel->columns), threads) * p->kernel->columns;
    return rows * (p->n + PACKED_FOR) + p->n * PACKED_FOR <=
           p->m * (columns + PACKED_FOR) + columns * PACKED_FOR;
}

static void run_shares(void *context, int64_t begin, int64_t end) {
    const shares *s = context;
    const ane_packed_product *p = &s->all.p;
    int64_t n = s->by_rows ? p->m : p->n, panel = s->by_rows ? p->kernel->rows : p->kernel->columns,
            panels = ane_panels_in(n, panel), bytes = bytes_of(p->kernel, s->all.slab);
    for (int64_t i = begin; i < end; i++) {
        int64_t first = panels * i / s->threads * panel,
                last = least(panels * (i + 1) / s->threads * panel, n);
        share mine = s->all;
        (s->by_rows ? narrow_rows : narrow_columns)(&mine, first, last);
        if (first < last) run_share(&mine, s->room + i * bytes, 1);
    }
}

void ane_packed_run_slabs(const ane_packed_product *p, const ane_packed_source *b, void *room, int threads) {
    shares s = {{*p, *b, slab_of(p)}, room, threads, shares_rows(p, threads)};
    if (p->squares_pitch == 0) s.all.p.squares_pitch = ane_panels_in(p->n, p->kernel->columns);
    if (ane_packed_in_slabs(threads))
        ane_parallel_for(threads, 1, threads, run_shares, &s);
    else
        run_share(&s.all, room, threads);
}
