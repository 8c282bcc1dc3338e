/* packed.h - products of packed operands, by kernels of our own for the processors that have them.
 *
 *     C[m, n] (+)= A[m, k] B[k, n],   C row-major fp32
 *
 * Operands are fp32. Kernels of bf16 round them as they are packed; that of tiles for fp32 ("amx") splits each into three
 * numbers of bf16 and is as exact as fp32's own multiply-adds, for finite numbers below 3.39e38.
 *
 * B is packed by the caller, once for all products that read it; A is packed a panel at a time into the first cache by
 * the thread that multiplies with it, so that weights need no copy beside their master: at 256 columns that costs less
 * than reading a packed copy and keeping it up to date; next to nothing where the panel before is multiplied meanwhile. Sums are fp32 everywhere. Results do not depend on the number of threads.
 */
#ifndef ANEMONE_BASE_PACKED_H
#define ANEMONE_BASE_PACKED_H

#include <stdbool.h>
#include <stdint.h>

/* What becomes of C: what was there does not count; is added to; does not count, and C is not read soon, so that it goes
 * past the caches (aligned to 64, and its rows). */
typedef enum ane_packed_store { ANE_PUT, ANE_ADD, ANE_STREAM } ane_packed_store;

/* Whole panels of A, side by side and k numbers long, that are packed a step at a time between the multiply-adds of others: so
 * neither memory nor packing is waited for. */
typedef struct ane_packed_stream {
    char *to;       /* panels are panel_bytes apart */
    const float *x; /* element (i, l) at x[i * stride + l * k_stride] */
    int64_t stride, k_stride, k, panels, panel_bytes;
    int64_t l, panel; /* what is next; to and x move on with every row, or number along k */
    int64_t left;     /* steps */
} ane_packed_stream;

/* A block of C (+)= a panel of A times one of B. `next`: NULL, or what a kernel that streams packs on the way. */
typedef void ane_packed_block(const void *a, const void *b, int64_t k, float *c, int64_t ldc,
    ane_packed_store store, ane_packed_stream *next);

/* A kernel makes blocks of rows x columns of C from a panel of A (rows x k) and one of B (k x columns). */
typedef struct ane_packed_kernel {
    const char *name;  /* "avx512", "avx512bf16", "amx" */
    bool shares_b;     /* B is packed once, for all threads (ane_packed_takes_slabs) */
    int rows, columns; /* of a block */
    int bytes;         /* of a packed element */
    int k_step;        /* panels are padded with zeros to a multiple of this */
    int k_chunk;       /* a panel of A this long stays in the first cache */
    int k_across;      /* the same when A is transposed */
    int k_square;      /* what is packed at a time when it is, a multiple of k_step */
    int n_chunk;       /* columns of C that are worked on together */
    int b_bytes;       /* of B that are: they stay in the second cache */
    int slab;          /* numbers along k of a slab, for few rows of A: no more than k_across */
    int row_bytes; /* panels of A that lie along k stay rows, this far apart; 0: they lie as those across do */
    /* One panel: element (i, l) is x[i * stride + l * k_stride], i < n <= rows (or columns), l < k. One of the strides
     * is 1. */
    void (*pack_a)(void *to, const float *x, int64_t stride, int64_t k_stride, int64_t n, int64_t k);
    void (*pack_b)(void *to, const float *x, int64_t stride, int64_t k_stride, int64_t n, int64_t k);
    ane_packed_block *block, *block_of_rows; /* the latter of panels of A that lie along k */
    /* How many steps a stream takes (0: this kernel cannot take these panels), and all that are left of them. NULL: it has none. */
    int64_t (*stream_steps)(const ane_packed_stream *s);
    void (*stream)(ane_packed_stream *s);
    /* C (+)= a block of it, rows x columns side by side and aligned to 64; the sum of squares of what C becomes. */
    double (*finish)(float *c, int64_t ldc, const float *block, ane_packed_store store);
    void (*begin)(void), (*end)(void); /* around blocks, on every thread; NULL: nothing to do */
} ane_packed_kernel;

/* The best kernel that this processor has for fp32 (or bf16) operands; NULL when there is none, as by the name
 * "library". `name`: that one. */
const ane_packed_kernel *ane_packed_kernel_find(bool bf16, const char *name);

/* x as an operand: element (i, l) at x[i * stride + l * k_stride], where one stride is 1 and i counts rows of A or
 * columns of B. */
typedef struct ane_packed_source {
    const float *x;
    int64_t stride, k_stride;
} ane_packed_source;

/* Bytes of B [k, n] when packed; aligned to 64. */
int64_t ane_packed_bytes(const ane_packed_kernel *kernel, int64_t n, int64_t k);
void ane_packed_pack(
    const ane_packed_kernel *kernel, void *to, const ane_packed_source *b, int64_t n, int64_t k, int threads);

typedef struct ane_packed_product {
    const ane_packed_kernel *kernel;
    int64_t m, n, k;
    ane_packed_source a;
    const void *b; /* packed */
    float *c;
    int64_t ldc;
    ane_packed_store store; /* ANE_STREAM is a wish: where C does not allow it, ANE_PUT */
    /* NULL, or the sum of squares of what each block becomes: ane_packed_blocks() of them, row after row of blocks; the next
     * row is squares_pitch further on, or, when that is 0, right behind. */
    double *squares;
    int64_t squares_pitch;
} ane_packed_product;

/* Of C [m, n]. */
int64_t ane_packed_blocks(const ane_packed_kernel *kernel, int64_t m, int64_t n);

void ane_packed_run(const ane_packed_product *p, int threads);

/* ---- a slab of B at a time (packed_slabs.c) --------------------------------------------------------------------------
 *
 * The same from B as it lies (p->b does not count), some numbers along k at a time: of these every thread packs a slab of
 * B, or of A, whichever takes less, that stays in its second cache, and multiplies it with pieces of the other. A thread
 * that is done with its pieces takes some of the others': cores are never equally fast. */

/* Where what another core has packed comes from there so slowly that packing B once for all products that read it takes longer
 * than packing it for each (kernel->shares_b is false), few threads pack what they need of it each for itself. Elsewhere they do
 * so for many more columns than rows: each then keeps all of A, and packs its own columns alone. (Many threads pack slabs of such
 * a product together, so that its sums are the same.) */
bool ane_packed_takes_slabs(const ane_packed_product *p, int threads);

/* Bytes that p needs for slabs (its addresses do not count); aligned to 64. */
int64_t ane_packed_slab_bytes(const ane_packed_product *p, int threads);
void ane_packed_run_slabs(const ane_packed_product *p, const ane_packed_source *b, void *room, int threads);

/* ---- whichever is faster for so many threads ----------------------------------------------------------------------------
 *
 * B is prepared in the room and multiplied with from there; products of one B, one after the other, need it prepared once. */
int64_t ane_packed_room(const ane_packed_product *p, int threads); /* bytes; aligned to 64 */
void ane_packed_prepare(const ane_packed_product *p, const ane_packed_source *b, void *room, int threads);
void ane_packed_multiply(const ane_packed_product *p, const ane_packed_source *b, void *room, int threads);

#endif
