/* packed_small.c - the loops around the kernels. See packed_small.h. */
#include "base/packed_small.h"

#include "base/gemm_impl.h"
#include "base/packed_impl.h"
#include "base/parallel.h"

#include <stddef.h>

enum {
    ROWS = 32,     /* of a panel of A: two of an int8 matrix's */
    UNIT = 64,     /* numbers along k that A is unpacked in */
    MOST_K = 2048, /* of a panel of A, unpacked on the stack: whole ones, so that C is not added to */
};

bool ane_packed_takes_small(const ane_packed_kernel *kernel, ane_gemv_format format) {
#if defined(ANEMONE_AMX)
    return kernel == &ane_packed_amx && (format == ANE_GEMV_BF16 || format == ANE_GEMV_INT8);
#else
    (void)kernel, (void)format;
    return false;
#endif
}

#if defined(ANEMONE_AMX)
/* A panel of 16 rows; NULL where there are none. */
static const void *panel_of(const ane_packed_small *p, int64_t row) {
    return row < p->m ? (const char *)p->matrix + ane_gemv_bytes(p->format, row, p->k) : NULL;
}

/* k numbers from the l-th on of the rows from `row` on, as tiles; what is not there is 0. */
static void unpack(const ane_packed_small *p, char *to, int64_t row, int64_t l, int64_t k) {
    const void *first = panel_of(p, row), *second = panel_of(p, row + ANE_GEMV_PANEL);
    if (p->format == ANE_GEMV_BF16) {
        const ane_gemv_pair *a = first, *b = second;
        ane_packed_tiles_of_bf16(to, (const ane_gemv_pair *const[]){a + l / 2, b ? b + l / 2 : NULL}, k);
    } else {
        const ane_gemv_panel *a = first, *b = second;
        int64_t group = l / ANE_GEMV_GROUP;
        ane_packed_tiles_of_int8(to, (const ane_gemv_panel *const[]){a + group, b ? b + group : NULL}, k);
    }
}

/* The blocks of a panel of A: numbers [l, l + k) along k times columns [first, last). */
static void row_of_blocks(const ane_packed_small *p, const char *a, int64_t row, int64_t l, int64_t k,
    int64_t first, int64_t last) {
    const ane_packed_kernel *kernel = p->kernel;
    int64_t rows = ane_least(ROWS, p->m - row), panel = ane_packed_bytes(kernel, 1, p->k);
    const char *b = (const char *)p->b + l * kernel->columns * kernel->bytes;
    bool add = p->add || l > 0;
    for (int64_t column = first; column < last; column += kernel->columns) {
        const char *from = b + column / kernel->columns * panel;
        float *c = p->c + row * p->ldc + column;
        int64_t columns = ane_least(kernel->columns, p->n - column);
        if (rows == ROWS && columns == kernel->columns)
            kernel->block(a, from, k, c, p->ldc, add ? ANE_ADD : ANE_PUT, NULL);
        else
            ane_packed_edge_block(kernel->block, rows, columns, a, from, k, c, p->ldc, add, NULL);
    }
}

static void panels(void *context, int64_t begin, int64_t end) {
    const ane_packed_small *p = context;
    const ane_packed_kernel *kernel = p->kernel;
    _Alignas(64) char a[ROWS * MOST_K * 2];
    int64_t columns = ane_part_of(p->n, kernel->n_chunk, kernel->columns),
            part = ane_part_of(p->k, ane_least(kernel->b_bytes / kernel->bytes / columns, MOST_K), UNIT);
    if (kernel->begin) kernel->begin();
    for (int64_t first = 0; first < p->n; first += columns)
        for (int64_t l = 0; l < p->k; l += part)
            for (int64_t i = begin; i < end; i++) {
                int64_t k = ane_least(part, p->k - l);
                unpack(p, a, i * ROWS, l, k);
                row_of_blocks(p, a, i * ROWS, l, k, first, ane_least(first + columns, p->n));
            }
    if (kernel->end) kernel->end();
}

void ane_packed_run_small(const ane_packed_small *p, int threads) {
    ane_packed_small copy = *p;
    ane_parallel_for((p->m + ROWS - 1) / ROWS, 1, threads, panels, &copy);
}
#else
void ane_packed_run_small(const ane_packed_small *p, int threads) {
    (void)p, (void)threads;
}
#endif
