/* packed_split.c - products that are cut along k: threads that share the rows or the columns of C pack one operand each for
 * itself, threads that share k pack every number once. Every part of k has sums of its own, which are added up in their
 * order behind it, so they are the same whoever makes them. See packed.h. */
#include "base/packed_impl.h"
#include "base/parallel.h"

#include <string.h>

enum { MANY_PARTS = 16, SLABS = 4 /* of each, at least */ };

static int64_t sum_bytes(const ane_packed_product *p) {
    return ane_whole_lines(p->m * p->n * (int64_t)sizeof(float));
}

/* What one of two threads does for each number along k, in multiply-adds: half of k, and the sums of both halves are added up, each for as
 * long as ADDED_FOR multiply-adds; or half of the larger of m and n, with all of the other one packed by both. */
static bool pays_in_two(const ane_packed_product *p) {
    enum { ADDED_FOR = 45 };
    static const double least = 8e6; /* multiply-adds: threads are started once more */
    const double m = (double)p->m, n = (double)p->n, k = (double)p->k, products = m * n / 2,
                 larger = m > n ? m : n, smaller = m + n - larger;
    return products * k > least && products + ANE_PACKED_FOR * (m + n) / 2 + products * ADDED_FOR / k <
                                       0.99 * (products + ANE_PACKED_FOR * (smaller + larger / 2));
}

/* How many parts: they depend on the product's shape alone. */
static int64_t parts_of(const ane_packed_product *p) {
    if (p->k >= (int64_t)MANY_PARTS * SLABS * p->kernel->slab) return MANY_PARTS;
    return pays_in_two(p) ? 2 : 1;
}

/* As long along k as slabs of a part are. */
static ane_packed_product slab_of(const ane_packed_product *p) {
    ane_packed_product slab = *p;
    slab.k = ane_part_of(ane_panels_in(p->k, parts_of(p)), p->kernel->slab, p->kernel->k_step);
    return slab;
}

/* A slab of A and one of B behind it. */
static int64_t slab_bytes(const ane_packed_product *slab) {
    return ane_whole_lines(ane_packed_left_bytes(slab)) + ane_packed_bytes(slab->kernel, slab->n, slab->k);
}

/* Sums and slabs must fit the second cache, of which many parts leave more to others. */
bool ane_packed_is_split(const ane_packed_product *p) {
    const ane_packed_product slab = slab_of(p);
    int64_t parts = parts_of(p), room = (int64_t)p->kernel->b_bytes * (parts == MANY_PARTS ? 8 : 6) / 5;
    return parts > 1 && sum_bytes(p) + slab_bytes(&slab) <= room;
}

int64_t ane_packed_split_bytes(const ane_packed_product *p, int threads) {
    const ane_packed_product slab = slab_of(p);
    return slab_bytes(&slab) * (ane_packed_by_few(threads) ? threads : 1) + sum_bytes(p) * (parts_of(p) - 1);
}

/* Parts of k times groups of columns are units, which threads take. */
typedef struct work {
    ane_packed_product p;
    ane_packed_source b;
    int64_t parts, groups, slab, slab_bytes, sum_bytes;
    char *slabs, *sums; /* of each thread; of each part but the first, whose sums are C */
    ane_pieces units;
} work;

static float *sums_of(const work *w, int64_t part) {
    return (float *)(void *)(w->sums + (part - 1) * w->sum_bytes);
}

/* ---- multiplying --------------------------------------------------------------------------------------------------- */

/* The product's columns of group `group`, into the sums of the part. */
static ane_packed_product sums_product(const work *w, int64_t part, int64_t group, ane_packed_source *b) {
    ane_packed_product p = w->p;
    int64_t columns = p.kernel->columns, panels = ane_panels_in(p.n, columns),
            first = panels * group / w->groups * columns,
            last = ane_least(panels * (group + 1) / w->groups * columns, p.n);
    if (part > 0) p.c = sums_of(w, part), p.ldc = p.n;
    p.store = part == 0 && p.store == ANE_ADD ? ANE_ADD : ANE_PUT;
    p.squares = NULL;
    *b = w->b;
    ane_packed_narrow_columns(&p, b, first, last);
    return p;
}

static void multiply_slab(const ane_packed_product *p, const ane_packed_source *b, char *room, int threads) {
    ane_packed_product slab = *p;
    if (threads > 1 || slab.kernel->stream) { /* side by side; A on the way, or strip by strip */
        slab.b = room;
        ane_packed_pack(slab.kernel, room, b, slab.n, slab.k, threads);
        ane_packed_run(&slab, threads);
        return;
    }
    char *packed = room + ane_whole_lines(ane_packed_left_bytes(&slab));
    slab.b = packed;
    ane_packed_pack_left(&slab, room);
    ane_packed_pack(slab.kernel, packed, b, slab.n, slab.k, 1);
    ane_packed_run_left(&slab, room);
}

static void multiply_part(const work *w, int64_t part, int64_t group, char *room, int threads) {
    ane_packed_source b;
    ane_packed_product p = sums_product(w, part, group, &b), slab = p;
    int64_t step = p.kernel->k_step, steps = ane_panels_in(p.k, step), first = steps * part / w->parts * step,
            last = ane_least(steps * (part + 1) / w->parts * step, p.k);
    for (int64_t l = first; l < last; l += w->slab) {
        const ane_packed_source from = ane_packed_from(&b, l);
        slab.k = ane_least(w->slab, last - l);
        slab.a = ane_packed_from(&p.a, l);
        multiply_slab(&slab, &from, room, threads);
        slab.store = ANE_ADD;
    }
}

static void multiply_units(void *context, int64_t begin, int64_t end) {
    work *w = context;
    for (int64_t thread = begin, unit, last; thread < end; thread++)
        while (ane_pieces_next(&w->units, thread, &unit, &last))
            multiply_part(w, unit / w->groups, unit % w->groups, w->slabs + thread * w->slab_bytes, 1);
}

/* Groups of columns, of which each packs its part of A: as few as give every thread as much. */
static int64_t groups_of(int64_t parts, int threads) {
    if (threads <= parts) return 1;
    return threads % parts == 0 ? threads / parts : threads;
}

static void multiply_by_few(work *w, int threads) {
    int64_t panels = ane_panels_in(w->p.n, w->p.kernel->columns);
    w->groups = ane_least(groups_of(w->parts, threads), panels);
    ane_pieces_start(&w->units, w->parts * w->groups, 1, threads);
    ane_parallel_for(threads, 1, threads, multiply_units, w);
}

/* ---- adding up ----------------------------------------------------------------------------------------------------- */

/* to[rows, columns], side by side, = the sums of all parts but the first of a block of C. */
static void gather_block(
    const work *w, float *to, int64_t row, int64_t column, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; i++) {
        const int64_t at = (row + i) * w->p.n + column;
        float *restrict sum = to + i * columns;
        memcpy(sum, sums_of(w, 1) + at, (size_t)columns * sizeof *sum);
        for (int64_t part = 2; part < w->parts; part++) {
            const float *restrict from = sums_of(w, part) + at;
            for (int64_t j = 0; j < columns; j++) sum[j] += from[j];
        }
    }
}

/* The same is added to C; returns the sum of the squares of what it becomes. */
static double finish_block(const work *w, int64_t row, int64_t column) {
    const ane_packed_kernel *kernel = w->p.kernel;
    _Alignas(64) float block[ANE_PACKED_SIDE * ANE_PACKED_SIDE];
    int64_t rows = ane_least(kernel->rows, w->p.m - row),
            columns = ane_least(kernel->columns, w->p.n - column);
    float *c = w->p.c + row * w->p.ldc + column;
    gather_block(w, block, row, column, rows, columns);
    if (rows == kernel->rows && columns == kernel->columns)
        return kernel->finish(c, w->p.ldc, block, ANE_ADD);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) c[i * w->p.ldc + j] += block[i * columns + j];
    return ane_packed_sum_of_squares(c, w->p.ldc, rows, columns);
}

static void finish_rows(void *context, int64_t begin, int64_t end) {
    const work *w = context;
    const ane_packed_product *p = &w->p;
    for (int64_t row = begin; row < end; row++)
        for (int64_t j = 0; j < ane_panels_in(p->n, p->kernel->columns); j++) {
            double squares = finish_block(w, row * p->kernel->rows, j * p->kernel->columns);
            if (p->squares) p->squares[row * p->squares_pitch + j] = squares;
        }
}

void ane_packed_run_split(const ane_packed_product *p, const ane_packed_source *b, void *room, int threads) {
    const ane_packed_product slab = slab_of(p);
    work w = {.p = *p,
        .b = *b,
        .parts = parts_of(p),
        .groups = 1,
        .slab = slab.k,
        .slab_bytes = slab_bytes(&slab),
        .sum_bytes = sum_bytes(p),
        .slabs = room};
    w.sums = w.slabs + w.slab_bytes * (ane_packed_by_few(threads) ? threads : 1);
    if (ane_packed_by_few(threads))
        multiply_by_few(&w, threads);
    else
        for (int64_t part = 0; part < w.parts; part++) multiply_part(&w, part, 0, w.slabs, threads);
    ane_parallel_pieces(ane_panels_in(p->m, p->kernel->rows), 1, threads, finish_rows, &w);
}
