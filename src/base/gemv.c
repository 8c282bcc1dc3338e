/* Products with a vector. Decoding is made of them, and they are bound by reading the matrix once, so every
 * row is read in order and the rows are shared among the threads. */
#include "base/gemm_impl.h"
#include "base/half.h"
#include "base/parallel.h"

#include <stddef.h>
#include <string.h>

enum { CHUNK = 1024 };

/* What products with matrices of floats are made of, and those of int8. */
typedef struct kernels {
    const ane_gemv_kernels *floats;
    const ane_gemv_int8_kernels *int8;
} kernels;

/* The best that this processor has and `vectors` allows: "avx512" is with VNNI where there is, "avx512bw" without. */
static kernels kernels_of(const char *vectors) {
#if defined(ANEMONE_X86_VECTORS)
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"),
         best = !vectors || strcmp(vectors, "avx512") == 0;
    if (avx512 && best && __builtin_cpu_supports("avx512vnni"))
        return (kernels){&ane_gemv_avx512, &ane_gemv_int8_avx512vnni};
    if (avx512 && (best || strcmp(vectors, "avx512bw") == 0))
        return (kernels){&ane_gemv_avx512, &ane_gemv_int8_avx512};
    if (avx2 && (!vectors || strcmp(vectors, "avx2") == 0))
        return (kernels){&ane_gemv_avx2, &ane_gemv_int8_avx2};
#else
    (void)vectors;
#endif
    return (kernels){&ane_gemv_baseline, &ane_gemv_int8_baseline};
}

/* y[rows] = beta * y + alpha * M x, or the same with M transposed (fp32 alone). */
typedef struct gemv {
    const ane_gemv_kernels *kernels;
    bool by_rows; /* M's rows are contiguous along the sum; else along the result */
    int64_t rows, k;
    const void *matrix;
    const float *x;
    int64_t row_bytes, x_stride, y_stride;
    float alpha, beta, *y;
} gemv;

static void finish(const gemv *v, int64_t row, float sum, bool first) {
    float *y = &v->y[row * v->y_stride];
    float before = !first ? *y : v->beta == 0 ? 0 : v->beta * *y;
    *y = before + v->alpha * sum;
}

static const float *chunk_of_x(const gemv *v, int64_t begin, int64_t n, float *chunk) {
    if (v->x_stride == 1) return v->x + begin;
    for (int64_t i = 0; i < n; i++) chunk[i] = v->x[(begin + i) * v->x_stride];
    return chunk;
}

/* Rows (or panels of them) begin to end, in streams of `each` beside each other and what is left: two streams from memory are
 * faster than one, or than four. `steps` is all of it. */
typedef struct streams {
    int64_t begin, end, each, steps;
} streams;

static streams streams_of(int64_t begin, int64_t end) {
    int64_t each = (end - begin) / ANE_GEMV_STREAMS;
    return (streams){begin, end, each, each + (end - begin) % ANE_GEMV_STREAMS};
}

/* The first row of a step, and how many there are, `each` from each other. */
static int64_t rows_of_step(const streams *s, int64_t step, int *n) {
    *n = step < s->each ? ANE_GEMV_STREAMS : 1;
    return step < s->each ? s->begin + step : s->begin + (ANE_GEMV_STREAMS - 1) * s->each + step;
}

/* From the from-th step on: up to `most` that read from as many streams as the first. */
static int64_t steps_alike(const streams *s, int64_t from, int64_t to, int64_t most) {
    if (from < s->each && to > s->each) to = s->each;
    return to - from < most ? to - from : most;
}

static void steps_by_dots(const gemv *v, const streams *s, int64_t from, int64_t to) {
    float chunk[CHUNK], sums[ANE_GEMV_STREAMS][ANE_GEMV_STEPS];
    int64_t width = v->x_stride == 1 ? v->k : CHUNK;
    for (int64_t l = 0; l < v->k; l += width) {
        int64_t n = v->k - l < width ? v->k - l : width, steps;
        const float *x = chunk_of_x(v, l, n, chunk);
        const char *m = (const char *)v->matrix + l * (int64_t)sizeof(float);
        for (int64_t i = from; i < to; i += steps) {
            steps = steps_alike(s, i, to, ANE_GEMV_STEPS);
            ane_gemv_steps some = {
                .row_bytes = v->row_bytes, .apart = s->each * v->row_bytes, .steps = steps};
            int64_t row = rows_of_step(s, i, &some.streams);
            some.matrix = m + row * v->row_bytes;
            v->kernels->dots(&some, x, n, sums);
            for (int t = 0; t < some.streams; t++, row += s->each)
                for (int64_t r = 0; r < steps; r++) finish(v, row + r, sums[t][r], l == 0);
        }
    }
}

static void rows_by_dots(void *context, int64_t begin, int64_t end) {
    streams s = streams_of(begin, end);
    steps_by_dots(context, &s, 0, s.steps);
}

static void columns_by_axpy(void *context, int64_t begin, int64_t end) {
    const gemv *v = context;
    float sum[CHUNK];
    for (int64_t row = begin; row < end; row += CHUNK) {
        int64_t n = end - row < CHUNK ? end - row : CHUNK;
        for (int64_t i = 0; i < n; i++) sum[i] = 0;
        for (int64_t l = 0; l < v->k; l++)
            v->kernels->axpy(
                sum, v->x[l * v->x_stride], (const float *)v->matrix + l * (v->row_bytes / 4) + row, n);
        for (int64_t i = 0; i < n; i++) finish(v, row + i, sum[i], true);
    }
}

static void run(gemv *v, int threads) {
    if ((double)v->rows * (double)v->k < 32768) threads = 1;
    ane_parallel_for(v->rows, 16, threads, v->by_rows ? rows_by_dots : columns_by_axpy, v);
}

void ane_gemv_run(const ane_gemm *g, int threads) {
    gemv v = {.kernels = kernels_of(NULL).floats, .k = g->k, .alpha = g->alpha, .beta = g->beta, .y = g->c};
    if (g->n == 1) { /* C[m, 1] = op(A) b */
        v.by_rows = !g->transpose_a;
        v.rows = g->m, v.matrix = g->a, v.row_bytes = 4 * g->lda, v.y_stride = g->ldc;
        v.x = g->b, v.x_stride = g->transpose_b ? 1 : g->ldb;
    } else { /* C[1, n] = a op(B) */
        v.by_rows = g->transpose_b;
        v.rows = g->n, v.matrix = g->b, v.row_bytes = 4 * g->ldb, v.y_stride = 1;
        v.x = g->a, v.x_stride = g->transpose_a ? g->lda : 1;
    }
    run(&v, threads);
}

/* ---- weights kept small ------------------------------------------------------------------------------------------ */

int64_t ane_gemv_row_bytes(ane_gemv_format format, int64_t k) {
    int64_t groups = (k + ANE_GEMV_GROUP - 1) / ANE_GEMV_GROUP;
    return format == ANE_GEMV_F32    ? 4 * k
           : format == ANE_GEMV_BF16 ? 2 * k
                                     : groups * (ANE_GEMV_GROUP + (int64_t)sizeof(float));
}

static int64_t panel_bytes(ane_gemv_format format, int64_t k) {
    return format == ANE_GEMV_INT8
               ? (k + ANE_GEMV_GROUP - 1) / ANE_GEMV_GROUP * (int64_t)sizeof(ane_gemv_panel)
               : (k + 1) / 2 * (int64_t)sizeof(ane_gemv_pair);
}

static int64_t panels_of(int64_t rows) {
    return (rows + ANE_GEMV_PANEL - 1) / ANE_GEMV_PANEL;
}

int64_t ane_gemv_bytes(ane_gemv_format format, int64_t rows, int64_t k) {
    return format == ANE_GEMV_F32 ? 4 * rows * k : panels_of(rows) * panel_bytes(format, k);
}

typedef struct store_job {
    kernels kernels;
    ane_gemv_format format;
    char *to;
    const float *matrix;
    int64_t rows, k;
} store_job;

static void store_panels(void *context, int64_t begin, int64_t end) {
    const store_job *j = context;
    for (int64_t panel = begin; panel < end; panel++) {
        int64_t row = panel * ANE_GEMV_PANEL, rows = j->rows - row;
        void *to = j->to + panel * panel_bytes(j->format, j->k);
        const float *from = j->matrix + row * j->k;
        if (rows > ANE_GEMV_PANEL) rows = ANE_GEMV_PANEL;
        if (j->format == ANE_GEMV_INT8)
            j->kernels.int8->store(to, from, rows, j->k);
        else
            j->kernels.floats->store_panel(to, from, rows, j->k);
    }
}

void ane_gemv_store(
    ane_gemv_format format, void *to, const float *matrix, int64_t rows, int64_t k, int threads) {
    store_job j = {kernels_of(NULL), format, to, matrix, rows, k};
    if (format == ANE_GEMV_F32)
        memcpy(to, matrix, (size_t)ane_gemv_bytes(format, rows, k));
    else
        ane_parallel_for(panels_of(rows), 1 + 2048 / (k + 1), threads, store_panels, &j);
}

void ane_gemv_round(uint16_t *to, const float *x, int64_t n) {
    kernels_of(NULL).floats->round_bf16(to, x, n);
}

/* Every thread's share of every product, in pieces of so many steps one after the other. */
typedef struct multiply_job {
    const ane_gemv *products;
    int n, shares, pieces; /* shares, pieces of each */
    kernels kernels;
    ane_pieces queues;
} multiply_job;

/* A vector as int8 matrices want it, kept for the next product with the same. */
typedef struct narrowed {
    const float *x;
    int64_t n;
    ane_gemv_narrow to;
} narrowed;

static const ane_gemv_narrow *narrow(
    const ane_gemv_int8_kernels *kernels, narrowed *kept, const float *x, int64_t n) {
    if (kept->x == x && kept->n == n) return &kept->to;
    kernels->narrow(&kept->to, x, n);
    kept->x = x, kept->n = n;
    return &kept->to;
}

/* Rows of the panel whose products with columns from the l-th on are `sums`. */
static void finish_panel(const gemv *v, int64_t panel, const float *sums, int64_t l) {
    for (int64_t i = 0, row = panel * ANE_GEMV_PANEL; i < ANE_GEMV_PANEL && row + i < v->rows; i++)
        finish(v, row + i, sums[i], l == 0);
}

/* `count` panels `apart` from each other, numbers [l, l + n) of every row. */
static void multiply_panels(const multiply_job *j, const ane_gemv *g, int64_t panel, int64_t apart, int count,
    int64_t l, int64_t n, narrowed *x, float *sums) {
    const char *at = (const char *)g->matrix + panel * panel_bytes(g->format, g->k);
    apart *= panel_bytes(g->format, g->k);
    if (g->format == ANE_GEMV_INT8)
        j->kernels.int8->panels((const ane_gemv_panel *)(const void *)at + l / ANE_GEMV_GROUP,
            apart / (int64_t)sizeof(ane_gemv_panel), narrow(j->kernels.int8, x, g->x + l, n),
            (n + ANE_GEMV_GROUP - 1) / ANE_GEMV_GROUP, count, sums);
    else
        j->kernels.floats->panels((const ane_gemv_pair *)(const void *)at + l / 2,
            apart / (int64_t)sizeof(ane_gemv_pair), g->x + l, n, count, sums);
}

/* So many numbers along k at a time: what a vector is narrowed in. */
static void steps_by_panels(const multiply_job *j, const gemv *v, const ane_gemv *g, const streams *s,
    int64_t from, int64_t to, narrowed *x) {
    float sums[ANE_GEMV_STREAMS * ANE_GEMV_PANEL];
    for (int64_t l = 0; l < g->k; l += ANE_NARROW) {
        int64_t n = g->k - l < ANE_NARROW ? g->k - l : ANE_NARROW;
        for (int64_t i = from; i < to; i++) {
            int panels;
            int64_t panel = rows_of_step(s, i, &panels);
            multiply_panels(j, g, panel, s->each, panels, l, n, x, sums);
            for (int p = 0; p < panels; p++)
                finish_panel(v, panel + p * s->each, sums + (ptrdiff_t)p * ANE_GEMV_PANEL, l);
        }
    }
}

/* A thread's share of a product. */
static streams share_of(const multiply_job *j, const ane_gemv *g, int64_t share) {
    int64_t units = g->format == ANE_GEMV_F32 ? g->rows : panels_of(g->rows);
    return streams_of(units * share / j->shares, units * (share + 1) / j->shares);
}

/* Steps from to to of a share, counted through all products. */
static void multiply_steps(const multiply_job *j, int64_t share, int64_t from, int64_t to, narrowed *x) {
    int64_t before = 0;
    for (int i = 0; i < j->n; i++) {
        const ane_gemv *g = &j->products[i];
        const gemv v = {j->kernels.floats, true, g->rows, g->k, g->matrix, g->x, 4 * g->k, 1, g->y_stride, 1,
            g->add ? 1 : 0, g->y};
        streams s = share_of(j, g, share);
        int64_t begin = from > before ? from - before : 0,
                end = to - before < s.steps ? to - before : s.steps;
        if (begin < end && g->format == ANE_GEMV_F32)
            steps_by_dots(&v, &s, begin, end);
        else if (begin < end)
            steps_by_panels(j, &v, g, &s, begin, end, x);
        before += s.steps;
    }
}

/* Where piece i of n begins, of so many steps: every piece is half of what is left, so that who has none left waits for a short
 * one. They are few because claiming one waits for all that is being read. */
static int64_t piece_begin(int64_t i, int64_t n, int64_t steps) {
    return i == n ? steps : steps - (steps >> i);
}

static void multiply_piece(const multiply_job *j, int64_t i, narrowed *x) {
    int64_t share = i / j->pieces, piece = i % j->pieces, steps = 0;
    for (int k = 0; k < j->n; k++) steps += share_of(j, &j->products[k], share).steps;
    multiply_steps(
        j, share, piece_begin(piece, j->pieces, steps), piece_begin(piece + 1, j->pieces, steps), x);
}

static void multiply_pieces(void *context, int64_t begin, int64_t end) {
    multiply_job *j = context;
    narrowed x;
    x.x = NULL, x.n = 0;
    for (int64_t share = begin, first, last; share < end; share++)
        while (ane_pieces_next(&j->queues, share, &first, &last)) multiply_piece(j, first, &x);
}

/* Pieces of a share. */
static int pieces_of(const ane_gemv *products, int n, int shares) {
    enum { LAST_BYTES = 32 << 10, MOST_PIECES = 12 };
    int64_t bytes = 0;
    for (int i = 0; i < n; i++) bytes += ane_gemv_bytes(products[i].format, products[i].rows, products[i].k);
    int pieces = 1;
    while (pieces < MOST_PIECES && bytes / shares >> pieces >= LAST_BYTES) pieces++;
    return pieces;
}

void ane_gemv_multiply(const ane_gemv *products, int n, const char *vectors, int threads) {
    double work = 0;
    for (int i = 0; i < n; i++) work += (double)products[i].rows * (double)products[i].k;
    int shares = work < 32768 || threads < 1 ? 1 : threads;
    multiply_job j;
    j.products = products, j.n = n, j.shares = shares, j.pieces = pieces_of(products, n, shares);
    j.kernels = kernels_of(vectors);
    ane_pieces_start(&j.queues, (int64_t)shares * j.pieces, 1, shares);
    ane_parallel_for(shares, 1, shares, multiply_pieces, &j);
}

void ane_gemv_dots(ane_gemv_format format, const void *matrix, int64_t row_bytes, int64_t rows, int64_t n,
    const float *x, float *out, const char *vectors) {
    kernels_of(vectors).floats->many[format](matrix, row_bytes, x, n, rows, out);
}

void ane_gemv_sums(ane_gemv_format format, const void *matrix, int64_t row_bytes, int64_t rows, int64_t n,
    const float *weights, float *out, const char *vectors) {
    kernels_of(vectors).floats->sums[format](matrix, row_bytes, weights, n, rows, out);
}
