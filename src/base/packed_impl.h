/* packed_impl.h - the kernels behind packed.h, each in a file that is compiled for its instruction set. */
#ifndef ANEMONE_BASE_PACKED_IMPL_H
#define ANEMONE_BASE_PACKED_IMPL_H

#include "base/packed.h"

extern const ane_packed_kernel ane_packed_avx512, ane_packed_avx512bf16, ane_packed_amx, ane_packed_fp32_amx;

enum { ANE_PACKED_SIDE = 32 }; /* rows and columns of a block, at most */

/* So few that each packs slabs of its own. */
static inline bool ane_packed_by_few(int threads) {
    return threads <= 4;
}

static inline int64_t ane_least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The length of parts of n, all about as long, of at most `most`, multiples of `step`. */
static inline int64_t ane_part_of(int64_t n, int64_t most, int64_t step) {
    int64_t parts = (n + most - 1) / most;
    return ((n + parts - 1) / parts + step - 1) / step * step;
}

/* Panels of so many rows or columns that n of them take. */
static inline int64_t ane_panels_in(int64_t n, int64_t panel) {
    return (n + panel - 1) / panel;
}

static inline int64_t ane_whole_lines(int64_t bytes) {
    return (bytes + 63) / 64 * 64;
}

/* What of an operand lies from the l-th number along k on. */
static inline ane_packed_source ane_packed_from(const ane_packed_source *s, int64_t l) {
    return (ane_packed_source){s->x + l * s->k_stride, s->stride, s->k_stride};
}

/* Columns first to last of the product, which begin with a panel, and of its B. */
static inline void ane_packed_narrow_columns(
    ane_packed_product *p, ane_packed_source *b, int64_t first, int64_t last) {
    p->n = last - first;
    b->x += first * b->stride;
    p->c += first;
    if (p->squares) p->squares += first / p->kernel->columns;
}

/* Of a block of C. */
double ane_packed_sum_of_squares(const float *c, int64_t ldc, int64_t rows, int64_t columns);

/* A block over the edge of C, by way of a whole one beside it. */
void ane_packed_edge_block(ane_packed_block *block, int64_t rows, int64_t columns, const void *a,
    const void *b, int64_t k, float *c, int64_t ldc, bool add, ane_packed_stream *next);

/* All of A packed, for p->k numbers that no kernel cuts (ane_packed_kernel.slab), and the product of it with packed B. */
int64_t ane_packed_left_bytes(const ane_packed_product *p);
void ane_packed_pack_left(const ane_packed_product *p, void *to);
void ane_packed_run_left(const ane_packed_product *p, const void *a);

/* Packing a number takes about as long as multiplying it with so many others. */
enum { ANE_PACKED_FOR = 50 };

/* packed_split.c: products that take less time when k is cut, by their shape; what ane_packed_run_slabs does with them. */
bool ane_packed_is_split(const ane_packed_product *p);
int64_t ane_packed_split_bytes(const ane_packed_product *p, int threads);
void ane_packed_run_split(const ane_packed_product *p, const ane_packed_source *b, void *room, int threads);

/* packed_small_avx512bf16.c: k numbers of two panels of rows of a matrix that is kept small (gemm_impl.h; NULL: of zeros) as tiles
 * [k / 32][32 rows][32]; 0 beyond. */
struct ane_gemv_pair;
void ane_packed_tiles_of_bf16(char *to, const struct ane_gemv_pair *const p[2], int64_t k);
struct ane_gemv_panel;
void ane_packed_tiles_of_int8(char *to, const struct ane_gemv_panel *const p[2], int64_t k);

#endif
