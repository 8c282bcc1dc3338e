/* attention.h - causal attention in blocks of queries and keys, the softmax online: nothing of S x S is kept.
 *
 * A block of scores stands transposed, keys down and queries across: then the softmax of a query runs down a
 * column, all columns side by side in vectors, and every product has queries (or the head's elements) along its rows.
 */
#ifndef ANEMONE_DEVICE_CPU_ATTENTION_H
#define ANEMONE_DEVICE_CPU_ATTENTION_H

#include "device/cpu/pairs.h"
#include "device/cpu/plan.h"

#define CPU_BLOCK INT64_C(64) /* queries and keys of a block */
#define CPU_STAIR INT64_C(16) /* queries and keys of a step on the diagonal */

typedef enum cpu_attention_view {
    CPU_QUERY,
    CPU_KEY,
    CPU_VALUE,
    CPU_RESULT,
    CPU_STATISTICS,
    CPU_D_RESULT,
    CPU_D_QUERY,
    CPU_D_KEY,
    CPU_D_VALUE,
    CPU_ATTENTION_VIEWS
} cpu_attention_view;

/* All views are [B, K, R, E, S], contiguous along S; those of keys and values have R = 1, statistics E = 1. */
typedef struct cpu_attention {
    cpu_view view[CPU_ATTENTION_VIEWS];
    int32_t scratch; /* storage: `room` floats for each of `threads` */
    int64_t room;
    int threads;
    int64_t batch, groups, group, size, length; /* B, K, R, E, S */
    float scale;
    bool bf16;              /* operands of products */
    const cpu_pairs *pairs; /* by which bf16 is multiplied; NULL: as floats */
} cpu_attention;

/* Of one new position behind a cache [1, K, room, E] of fp32 or bf16 numbers, as it is bound. Views as above; S is 1. */
typedef struct cpu_cached {
    cpu_view query, key, value, result; /* contiguous along E */
    int32_t cache[2], length;           /* storages: keys, values; how many positions are there */
    int32_t scratch;                    /* storage: room + 1 floats for each head */
    ane_gemv_format format;
    int64_t groups, group, size, room;
    float scale;
} cpu_cached;

/* Floats of scratch that a thread needs. */
int64_t ane_cpu_attention_room(const cpu_attention *a, bool gradient);
int64_t ane_cpu_attention_gradient_room(int64_t blocks, int64_t matrix);
bool ane_cpu_run_attention_gradient(const void *data, const cpu_run *r, ane_error *e);

/* How operands of products are held: fp32; fp32 rounded to bf16; or pairs of bf16 along what is summed, where the
 * processor multiplies such pairs. */
typedef struct cpu_operands {
    const cpu_vectors *v;
    const cpu_pairs *pairs; /* NULL: floats */
    bool round;
} cpu_operands;

cpu_operands ane_cpu_operands(const cpu_run *r, const cpu_attention *a);
/* `from` [rows, width] as the right operand of a product, whose sum runs down its columns. In place is fine. */
void ane_cpu_operand_right(const cpu_operands *o, float *to, const float *from, int64_t rows, int64_t width);
/* `from` [rows, width] as a left operand, whose sum runs along its rows. In place is fine. */
void ane_cpu_operand_left(const cpu_operands *o, float *to, const float *from, int64_t rows, int64_t width);
/* Whether floats are operands as they are. */
static inline bool cpu_operands_are_floats(const cpu_operands *o) {
    return !o->pairs && !o->round;
}
/* The transpose of `from` [rows, CPU_BLOCK] as a left operand. `to` is another block, unless operands are floats. */
void ane_cpu_operand_left_transposed(const cpu_operands *o, float *to, const float *from, int64_t rows);
/* What of a block of scores on the diagonal is not hidden: columns (queries) from the row (key) on. What is hidden is left
 * alone in steps of CPU_STAIR where the block is the result of a product, and zeros where it is an operand. */
typedef enum cpu_triangle { CPU_NO_TRIANGLE, CPU_TRIANGLE_A, CPU_TRIANGLE_B, CPU_TRIANGLE_C } cpu_triangle;
/* c [m, n] (+)= a [m, k] b [k, n] */
typedef struct cpu_block_product {
    int64_t m, n, k;
    const float *a;
    bool a_transposed; /* made by _left_transposed: m is CPU_BLOCK */
    const float *b;
    float *c;
    bool add;
    cpu_triangle triangle;
} cpu_block_product;
void ane_cpu_block_multiply(const cpu_operands *o, const cpu_block_product *p);

/* Scores of keys behind their queries, in a block on the diagonal: -infinity, where the softmax reads them. */
void ane_cpu_block_mask(float *scores);
/* Scores are in units of ln 2, for powers of two are had with fewer operations than those of e. */
static const float cpu_log2_e = 0x1.715476p+0f, cpu_ln_2 = 0x1.62e43p-1f;

static inline int64_t cpu_blocks(int64_t length) {
    return (length + CPU_BLOCK - 1) / CPU_BLOCK;
}

/* A head's elements with zeros behind them, as products take them. */
static inline int64_t cpu_padded_size(const cpu_attention *a) {
    int64_t multiple = a->pairs ? a->pairs->multiple : 16;
    return (a->size + multiple - 1) / multiple * multiple;
}

/* The address of head (b, k, r)'s first element. */
static inline float *cpu_head(
    const cpu_attention *a, const cpu_run *r, cpu_attention_view which, int64_t b, int64_t k, int64_t head) {
    const cpu_view *v = &a->view[which];
    return (float *)r->base[v->storage] + v->offset + b * v->stride[0] + k * v->stride[1] +
           head * v->stride[2];
}

#endif
