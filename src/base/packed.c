/* packed.c - the loops around the kernels, and which kernel there is. See packed.h. */
#include "base/packed.h"

#include "base/packed_impl.h"
#include "base/parallel.h"

#include <string.h>
#if defined(ANEMONE_AMX)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

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
/* The processor has tiles, the system saves them, and lets this process use them when asked. */
static bool has_amx(void) {
    enum { BF16 = 1 << 22, TILES = 1 << 24, XGETBV = 1 << 27, TILE_STATE = 3 << 17 };
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & BF16) || !(d & TILES)) return false;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & XGETBV)) return false;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    if ((a & TILE_STATE) != TILE_STATE) return false;
#if defined(__linux__)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* arch_prctl(2), for the whole process */
    return has_avx512bf16() && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
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

static void pack_panels(void *context, int64_t begin, int64_t end) {
    const pack_job *j = context;
    int64_t columns = j->kernel->columns;
    for (int64_t p = begin; p < end; p++)
        j->kernel->pack_b(j->to + p * j->panel_bytes, j->b->x + p * columns * j->b->stride, j->b->stride,
            j->b->k_stride, least(columns, j->n - p * columns), j->k);
}

void ane_packed_pack(const ane_packed_kernel *kernel, void *to, const ane_packed_source *b, int64_t n,
    int64_t k, int threads) {
    pack_job j = {kernel, to, b, n, k, panel_bytes(kernel, k)};
    ane_parallel_for((n + kernel->columns - 1) / kernel->columns, 1, threads, pack_panels, &j);
}

/* ---- multiplying --------------------------------------------------------------------------------------- */

enum { MOST_ROWS = 32, MOST_COLUMNS = 32 };

/* Blocks over the edge of C are made beside it. */
static void edge_block(const ane_packed_kernel *kernel, const void *a, const void *b, int64_t k, float *c,
    int64_t ldc, int64_t rows, int64_t columns, bool add) {
    _Alignas(64) float whole[MOST_ROWS * MOST_COLUMNS];
    kernel->block(a, b, k, whole, kernel->columns, false);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            float x = whole[i * kernel->columns + j];
            c[i * ldc + j] = add ? c[i * ldc + j] + x : x;
        }
}

/* A share of the next panel of A comes into the second cache while blocks of this one are made: columns [begin, end) of
 * its k. */
static void ask_for(const ane_packed_source *a, int64_t rows, int64_t begin, int64_t end) {
    enum { LINE = 64 / sizeof(float) };
    bool along = a->k_stride == 1;
    int64_t outer = along ? rows : end - begin, inner = along ? end - begin : rows;
    const float *x = a->x + begin * a->k_stride;
    for (int64_t i = 0; i < outer; i++)
        for (int64_t j = 0; j < inner; j += LINE)
            __builtin_prefetch(x + i * (along ? a->stride : a->k_stride) + j, 0, 2);
}

/* Part of the work: the panel of A that begins with this row, k numbers from the l-th, against columns [first, last)
 * of B. */
typedef struct strip {
    int64_t row, l, k, first, last;
} strip;

static ane_packed_source panel_source(const ane_packed_product *p, int64_t row, int64_t l) {
    return (ane_packed_source){p->a.x + row * p->a.stride + l * p->a.k_stride, p->a.stride, p->a.k_stride};
}

static void row_of_blocks(const ane_packed_product *p, const strip *s, const void *a, int64_t rows_of_next) {
    const ane_packed_kernel *kernel = p->kernel;
    int64_t rows = least(kernel->rows, p->m - s->row), panel = panel_bytes(kernel, p->k),
            width = s->last - s->first;
    const char *b = (const char *)p->b + s->l * kernel->columns * kernel->bytes;
    ane_packed_source next = panel_source(p, s->row + kernel->rows, s->l);
    for (int64_t column = s->first; column < s->last; column += kernel->columns) {
        const char *from = b + column / kernel->columns * panel;
        float *c = p->c + s->row * p->ldc + column;
        int64_t columns = least(kernel->columns, p->n - column), done = column - s->first;
        if (rows_of_next > 0)
            ask_for(&next, rows_of_next, s->k * done / width, s->k * (done + columns) / width);
        bool add = p->add || s->l > 0;
        if (rows == kernel->rows && columns == kernel->columns)
            kernel->block(a, from, s->k, c, p->ldc, add);
        else
            edge_block(kernel, a, from, s->k, c, p->ldc, rows, columns, add);
    }
}

/* Chunks of k of about the same length. */
static int64_t chunk_of(const ane_packed_kernel *kernel, int64_t k) {
    int64_t chunks = (k + kernel->k_chunk - 1) / kernel->k_chunk;
    return round_up((k + chunks - 1) / chunks, kernel->k_step);
}

static void panels_of_a(void *context, int64_t begin, int64_t end) {
    const ane_packed_product *p = context;
    const ane_packed_kernel *kernel = p->kernel;
    _Alignas(64) char a[ANE_PACKED_A_BYTES];
    int64_t chunk = chunk_of(kernel, p->k), first_row = begin * kernel->rows,
            last_row = least(end * kernel->rows, p->m);
    if (kernel->begin) kernel->begin();
    for (int64_t first = 0; first < p->n; first += kernel->n_chunk)
        for (int64_t l = 0; l < p->k; l += chunk)
            for (int64_t row = first_row; row < last_row; row += kernel->rows) {
                strip s = {row, l, least(chunk, p->k - l), first, least(first + kernel->n_chunk, p->n)};
                ane_packed_source from = panel_source(p, row, l);
                kernel->pack_a(a, from.x, from.stride, from.k_stride, least(kernel->rows, p->m - row), s.k);
                row_of_blocks(p, &s, a, least(kernel->rows, last_row - row - kernel->rows));
            }
    if (kernel->end) kernel->end();
}

void ane_packed_run(const ane_packed_product *p, int threads) {
    ane_packed_product copy = *p;
    ane_parallel_for((p->m + p->kernel->rows - 1) / p->kernel->rows, 1, threads, panels_of_a, &copy);
}
