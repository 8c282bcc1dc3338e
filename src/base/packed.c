/* packed.c - the loops around the kernels, and which kernel there is. See packed.h. */
#include "base/packed.h"

#include "base/packed_impl.h"
#include "base/parallel.h"
#include "base/processor.h"

#include <string.h>

static int64_t round_up(int64_t x, int64_t step) {
    return (x + step - 1) / step * step;
}

/* ---- kernels ------------------------------------------------------------------------------------------- */

#if defined(ANEMONE_X86_VECTORS)
static bool has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}

#if defined(ANEMONE_AVX512BF16)
static bool has_avx512bf16(void) {
    return __builtin_cpu_supports("avx512bf16") && has_avx512();
}
#endif

#if defined(ANEMONE_AMX)
static bool has_amx(void) {
    return has_avx512bf16() && ane_processor_grants_tiles();
}
#endif
#endif

const ane_packed_kernel *ane_packed_kernel_find(bool bf16, const char *name) {
#if defined(ANEMONE_X86_VECTORS)
    static const struct {
        const ane_packed_kernel *kernel;
        bool bf16;
        bool (*runs)(void);
    } all[] = {
#if defined(ANEMONE_AMX)
        {&ane_packed_amx, true, has_amx},
        {&ane_packed_fp32_amx, false, has_amx},
#endif
#if defined(ANEMONE_AVX512BF16)
        {&ane_packed_avx512bf16, true, has_avx512bf16},
#endif
        {&ane_packed_avx512, false, has_avx512},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].bf16 == bf16 && (!name || strcmp(name, all[i].kernel->name) == 0) && all[i].runs())
            return all[i].kernel;
#else
    (void)bf16, (void)name;
#endif
    return NULL;
}

/* ---- packing ------------------------------------------------------------------------------------------- */

typedef struct pack_job {
    const ane_packed_kernel *kernel;
    char *to;
    const ane_packed_source *b;
    int64_t n, k, panel_bytes;
} pack_job;

static int64_t panel_bytes(const ane_packed_kernel *kernel, int64_t k) {
    return round_up(k, kernel->k_step) * kernel->columns * kernel->bytes;
}

int64_t ane_packed_bytes(const ane_packed_kernel *kernel, int64_t n, int64_t k) {
    return (n + kernel->columns - 1) / kernel->columns * panel_bytes(kernel, k);
}

/* k numbers from the k-th on, of one panel. */
static void pack_panel(const pack_job *j, int64_t p, int64_t k, int64_t n) {
    int64_t columns = j->kernel->columns;
    j->kernel->pack_b(j->to + p * j->panel_bytes + k * columns * j->kernel->bytes,
        j->b->x + p * columns * j->b->stride + k * j->b->k_stride, j->b->stride, j->b->k_stride,
        ane_least(columns, j->n - p * columns), n);
}

static void pack_panels(void *context, int64_t begin, int64_t end) {
    const pack_job *j = context;
    for (int64_t p = begin; p < end; p++) pack_panel(j, p, 0, j->k);
}

/* Rows of B are read from end to end, for all panels side by side. */
static void pack_rows(void *context, int64_t begin, int64_t end) {
    const pack_job *j = context;
    int64_t step = j->kernel->k_square, panels = ane_panels_in(j->n, j->kernel->columns);
    for (int64_t k = begin * step; k < end * step; k += step)
        for (int64_t p = 0; p < panels; p++) pack_panel(j, p, k, ane_least(step, j->k - k));
}

void ane_packed_pack(const ane_packed_kernel *kernel, void *to, const ane_packed_source *b, int64_t n,
    int64_t k, int threads) {
    pack_job j = {kernel, to, b, n, k, panel_bytes(kernel, k)};
    if (b->k_stride == 1)
        ane_parallel_pieces(ane_panels_in(n, kernel->columns), 1, threads, pack_panels, &j);
    else
        ane_parallel_pieces(ane_panels_in(k, kernel->k_square), 1, threads, pack_rows, &j);
}

/* ---- multiplying --------------------------------------------------------------------------------------- */

enum {
    STRIP = 288 << 10, /* bytes of A packed at once, on the stack */
    MOST_K = 1536,     /* so that a panel of any kernel fits a strip */
    ACROSS = 4, /* panels that are packed on the way, of a transposed A: 12 rows each make whole lines */
};

void ane_packed_edge_block(ane_packed_block *block, int64_t rows, int64_t columns, const void *a,
    const void *b, int64_t k, float *c, int64_t ldc, bool add, ane_packed_stream *next) {
    _Alignas(64) float whole[ANE_PACKED_SIDE * ANE_PACKED_SIDE];
    block(a, b, k, whole, ANE_PACKED_SIDE, ANE_PUT, next);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            float x = whole[i * ANE_PACKED_SIDE + j];
            c[i * ldc + j] = add ? c[i * ldc + j] + x : x;
        }
}

double ane_packed_sum_of_squares(const float *c, int64_t ldc, int64_t rows, int64_t columns) {
    double sum = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) sum += (double)c[i * ldc + j] * c[i * ldc + j];
    return sum;
}

static bool is_along(const ane_packed_product *p) {
    return p->a.k_stride == 1;
}

int64_t ane_packed_blocks(const ane_packed_kernel *kernel, int64_t m, int64_t n) {
    return ane_panels_in(m, kernel->rows) * ane_panels_in(n, kernel->columns);
}

/* How the loops are cut, from the outside in: columns of C; k, as long as that much of B stays in the second cache;
 * panels of A that are packed side by side; k, as long as a panel of A stays in the first cache.
 *
 * Memory is read in long runs, which the processor foresees: rows of A one panel after the other, each to its end; of a
 * transposed A, as many panels side by side as there is room for, or as make whole lines where a kernel packs them on the way. */
typedef struct cut {
    int64_t columns, k, panels, k_inner;
} cut;

static cut cut_of(const ane_packed_product *p) {
    const ane_packed_kernel *kernel = p->kernel;
    bool along = is_along(p);
    cut c = {.columns = ane_part_of(p->n, kernel->n_chunk, kernel->columns)};
    c.k = ane_part_of(p->k, ane_least(kernel->b_bytes / kernel->bytes / c.columns, MOST_K), kernel->k_step);
    c.k_inner = ane_part_of(c.k, along ? kernel->k_chunk : kernel->k_across, kernel->k_step);
    c.panels = along ? 1 : kernel->stream ? ACROSS : STRIP / (c.k_inner * kernel->rows * kernel->bytes);
    if (!along) c.k = c.k_inner;
    return c;
}

/* A part of the work: columns [first, last) of C, k numbers from the l-th, rows [row, last_row), of which k_inner numbers
 * make a panel. */
typedef struct part {
    int64_t first, last, l, k, row, last_row, k_inner;
} part;

/* Where the panel of A from `row` and the k-th number of the part on lies in its strip. */
static int64_t panel_at(const ane_packed_product *p, const part *s, int64_t row, int64_t k) {
    const ane_packed_kernel *kernel = p->kernel;
    int64_t panels = (row - s->row) / kernel->rows;
    if (is_along(p) && kernel->row_bytes)
        return (panels * ane_panels_in(s->k, s->k_inner) + k / s->k_inner) * kernel->rows * kernel->row_bytes;
    int64_t element = (int64_t)kernel->rows * kernel->bytes;
    return panels * round_up(s->k, kernel->k_step) * element + k * element;
}

/* A block whose products are complete with these: what it becomes is squared and added up on the way. Returns the sum. */
static double last_block(const ane_packed_product *p, ane_packed_block *block, int64_t rows, int64_t columns,
    const void *a, const void *b, int64_t k, float *c, ane_packed_store store, ane_packed_stream *next) {
    const ane_packed_kernel *kernel = p->kernel;
    if (rows == kernel->rows && columns == kernel->columns) {
        _Alignas(64) float whole[ANE_PACKED_SIDE * ANE_PACKED_SIDE];
        block(a, b, k, whole, ANE_PACKED_SIDE, ANE_PUT, next);
        return kernel->finish(c, p->ldc, whole, store);
    }
    ane_packed_edge_block(block, rows, columns, a, b, k, c, p->ldc, store == ANE_ADD, next);
    return ane_packed_sum_of_squares(c, p->ldc, rows, columns);
}

/* The blocks of one panel of A: k numbers from the part's l-th on. */
static void row_of_blocks(const ane_packed_product *p, const part *s, int64_t row, int64_t l, int64_t k,
    const void *a, ane_packed_stream *next) {
    const ane_packed_kernel *kernel = p->kernel;
    int64_t rows = ane_least(kernel->rows, p->m - row), panel = panel_bytes(kernel, p->k);
    const char *b = (const char *)p->b + l * kernel->columns * kernel->bytes;
    ane_packed_block *block = is_along(p) ? kernel->block_of_rows : kernel->block;
    ane_packed_store store = l > 0 ? ANE_ADD : k == p->k || p->store != ANE_STREAM ? p->store : ANE_PUT;
    bool complete = l + k == p->k;
    double *squares = complete && p->squares ? p->squares + row / kernel->rows * p->squares_pitch : NULL;
    for (int64_t column = s->first; column < s->last; column += kernel->columns) {
        const char *from = b + column / kernel->columns * panel;
        float *c = p->c + row * p->ldc + column;
        int64_t columns = ane_least(kernel->columns, p->n - column);
        if (squares)
            squares[column / kernel->columns] =
                last_block(p, block, rows, columns, a, from, k, c, store, next);
        else if (rows == kernel->rows && columns == kernel->columns)
            block(a, from, k, c, p->ldc, store, next);
        else
            ane_packed_edge_block(block, rows, columns, a, from, k, c, p->ldc, store == ANE_ADD, next);
    }
}

/* The part's rows of A, packed a few numbers along k at a time. */
static void pack_strip(const ane_packed_product *p, const part *s, char *a) {
    const ane_packed_kernel *kernel = p->kernel;
    int64_t step = is_along(p) ? s->k_inner : kernel->k_square;
    for (int64_t k = 0; k < s->k; k += step)
        for (int64_t i = s->row; i < s->last_row; i += kernel->rows)
            kernel->pack_a(a + panel_at(p, s, i, k), p->a.x + i * p->a.stride + (s->l + k) * p->a.k_stride,
                p->a.stride, p->a.k_stride, ane_least(kernel->rows, p->m - i), ane_least(step, s->k - k));
}

static void strip(const ane_packed_product *p, const part *s) {
    _Alignas(64) char a[STRIP];
    pack_strip(p, s, a);
    for (int64_t i = s->row; i < s->last_row; i += p->kernel->rows)
        for (int64_t k = 0; k < s->k; k += s->k_inner)
            row_of_blocks(p, s, i, s->l + k, ane_least(s->k_inner, s->k - k), a + panel_at(p, s, i, k), NULL);
}

/* Rows [row, last_row), columns up to `last`, in parts. */
typedef struct walk {
    const ane_packed_product *p;
    cut cut;
    int64_t row, last_row, last;
} walk;

/* Of one panel along k where a kernel packs on the way, else of all that stays in the second cache. */
static part part_at(const walk *w, int64_t first, int64_t l, int64_t row) {
    const ane_packed_kernel *kernel = w->p->kernel;
    const cut *c = &w->cut;
    int64_t left = ane_least(l / c->k * c->k + c->k, w->p->k) - l;
    return (part){first, ane_least(first + c->columns, w->last), l,
        ane_least(kernel->stream ? c->k_inner : c->k, left), row,
        ane_least(row + c->panels * kernel->rows, w->last_row), c->k_inner};
}

/* Along k to where the second cache is full first, then rows, then further along k, then columns. False behind the last. */
static bool next_part(const walk *w, part *s) {
    int64_t behind = s->l + s->k;
    if (behind % w->cut.k != 0 && behind < w->p->k)
        *s = part_at(w, s->first, behind, s->row);
    else if (s->last_row < w->last_row)
        *s = part_at(w, s->first, s->l / w->cut.k * w->cut.k, s->last_row);
    else if (behind < w->p->k)
        *s = part_at(w, s->first, behind, w->row);
    else if (s->last < w->last)
        *s = part_at(w, s->last, 0, w->row);
    else
        return false;
    return true;
}

/* A part to be packed step by step; at once where there are no steps to take. */
static ane_packed_stream stream_of(const ane_packed_product *p, const part *s, char *to) {
    const ane_packed_kernel *kernel = p->kernel;
    int64_t rows = s->last_row - s->row;
    ane_packed_stream stream = {.to = to,
        .x = p->a.x + s->row * p->a.stride + s->l * p->a.k_stride,
        .stride = p->a.stride,
        .k_stride = p->a.k_stride,
        .k = s->k,
        .panels = rows / kernel->rows,
        .panel_bytes = panel_at(p, s, s->row + kernel->rows, 0)};
    stream.left = rows % kernel->rows == 0 ? kernel->stream_steps(&stream) : 0;
    if (stream.left == 0) pack_strip(p, s, to);
    return stream;
}

/* While a part is multiplied the next one is packed. */
static void multiply_streaming(const walk *w, part s) {
    enum { PART = 40 << 10 }; /* bytes of ACROSS panels, or of one of rows */
    const ane_packed_product *p = w->p;
    const ane_packed_kernel *kernel = p->kernel;
    _Alignas(64) char packed[2][PART];
    part next = s;
    ane_packed_stream stream = stream_of(p, &s, packed[0]);
    kernel->stream(&stream);
    bool more = true;
    for (int turn = 0; more; turn = !turn, s = next) {
        more = next_part(w, &next);
        if (more) stream = stream_of(p, &next, packed[!turn]);
        for (int64_t row = s.row; row < s.last_row; row += kernel->rows)
            row_of_blocks(
                p, &s, row, s.l, s.k, packed[turn] + panel_at(p, &s, row, 0), more ? &stream : NULL);
        kernel->stream(&stream); /* what its blocks left of it */
    }
}

/* Panels of A [begin, end), of B [left, right). */
static void multiply_panels(
    const ane_packed_product *p, int64_t begin, int64_t end, int64_t left, int64_t right) {
    const ane_packed_kernel *kernel = p->kernel;
    const walk w = {p, cut_of(p), begin * kernel->rows, ane_least(end * kernel->rows, p->m),
        ane_least(right * kernel->columns, p->n)};
    if (begin == end || left == right) return;
    part s = part_at(&w, left * kernel->columns, 0, w.row);
    if (kernel->stream)
        multiply_streaming(&w, s);
    else
        do strip(p, &s);
        while (next_part(&w, &s));
}

typedef struct shares {
    ane_packed_product p;
    int64_t threads;
} shares;

/* A thread's share: as many whole panels of A as the others have; what is left of them by columns. */
static void multiply_shares(void *context, int64_t begin, int64_t end) {
    const shares *s = context;
    const ane_packed_product *p = &s->p;
    int64_t panels = ane_panels_in(p->m, p->kernel->rows), each = panels / s->threads,
            columns = ane_panels_in(p->n, p->kernel->columns);
    if (p->kernel->begin) p->kernel->begin();
    multiply_panels(p, begin * each, end * each, 0, columns);
    multiply_panels(p, s->threads * each, panels, columns * begin / s->threads, columns * end / s->threads);
    if (p->kernel->end) p->kernel->end();
}

/* What is not told, and what cannot be. */
static ane_packed_product settled(const ane_packed_product *given) {
    ane_packed_product p = *given;
    if (p.squares_pitch == 0) p.squares_pitch = ane_panels_in(p.n, p.kernel->columns);
    if (p.store == ANE_STREAM && ((uintptr_t)p.c % 64 != 0 || p.ldc % 16 != 0)) p.store = ANE_PUT;
    return p;
}

void ane_packed_run(const ane_packed_product *p, int threads) {
    shares s = {settled(p), threads};
    ane_parallel_for(threads, 1, threads, multiply_shares, &s);
}

/* ---- all of A packed --------------------------------------------------------------------------------------- */

static part all_of(const ane_packed_product *p) {
    return (part){0, p->n, 0, p->k, 0, p->m, p->k};
}

int64_t ane_packed_left_bytes(const ane_packed_product *p) {
    const part s = all_of(p);
    return panel_at(p, &s, round_up(p->m, p->kernel->rows), 0);
}

void ane_packed_pack_left(const ane_packed_product *p, void *to) {
    const part s = all_of(p);
    pack_strip(p, &s, to);
}

void ane_packed_run_left(const ane_packed_product *given, const void *a) {
    ane_packed_product p = settled(given);
    const part s = all_of(&p);
    if (p.kernel->begin) p.kernel->begin();
    for (int64_t row = 0; row < p.m; row += p.kernel->rows)
        row_of_blocks(&p, &s, row, 0, p.k, (const char *)a + panel_at(&p, &s, row, 0), NULL);
    if (p.kernel->end) p.kernel->end();
}
