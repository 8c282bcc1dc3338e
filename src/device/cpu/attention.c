/* Blocks of attention: loading, storing, and as operands of products. */
#include "device/cpu/attention.h"

#include <math.h>
#include <string.h>

cpu_operands ane_cpu_operands(const cpu_run *r, bool bf16) {
    const cpu_pairs *pairs = bf16 ? r->pairs : NULL;
    return (cpu_operands){r->v, pairs, bf16 && !pairs};
}

static void as_floats(const cpu_operands *o, float *to, const float *from, int64_t count) {
    for (int64_t i = 0; o->round && i < count; i += CPU_BLOCK) { /* maps do not work in place */
        float rounded[CPU_BLOCK];
        o->v->map[CPU_ROUND_BF16][0](rounded, from + i, NULL, NULL, 0, CPU_BLOCK);
        memcpy(to + i, rounded, sizeof rounded);
    }
    if (!o->round && to != from) memcpy(to, from, (size_t)count * sizeof *to);
}

void ane_cpu_operand_right(const cpu_operands *o, float *to, const float *from, int64_t rows, int64_t width) {
    if (o->pairs)
        o->pairs->down(to, from, rows, width);
    else
        as_floats(o, to, from, rows * width);
}

void ane_cpu_operand_left(const cpu_operands *o, float *to, const float *from, int64_t rows, int64_t width) {
    if (o->pairs)
        o->pairs->across(to, from, rows * width / 2);
    else
        as_floats(o, to, from, rows * width);
}

/* Floats stay as they are: their product reads them with other strides. In place is fine then. */
void ane_cpu_operand_left_transposed(const cpu_operands *o, float *to, const float *from, int64_t rows) {
    if (!o->pairs) {
        as_floats(o, to, from, rows * CPU_BLOCK);
        return;
    }
    o->v->transpose(to, rows, from, CPU_BLOCK, rows, CPU_BLOCK);
    o->pairs->across(to, to, CPU_BLOCK * rows / 2);
}

/* Rows [row, m), columns [column, n), summed from l to k. */
static void multiply_part(const cpu_operands *o, const cpu_block_product *p, int64_t row, int64_t m,
    int64_t column, int64_t n, int64_t l, int64_t k) {
    int64_t am = p->a_transposed ? 1 : p->k, ak = p->a_transposed ? CPU_BLOCK : 1;
    o->v->product(m - row, n - column, k - l, p->a + row * am + l * ak, am, ak, p->b + l * p->n + column,
        p->c + row * p->n + column, p->n, p->add);
}

void ane_cpu_block_multiply(const cpu_operands *o, const cpu_block_product *p) {
    const int64_t half = CPU_BLOCK / 2;
    if (o->pairs) {
        o->pairs->product(p->m, p->n, p->k / 2, p->a, p->b, p->c, p->add);
        return;
    }
    switch (p->triangle) {
    case CPU_TRIANGLE_A:
        multiply_part(o, p, 0, half, 0, p->n, 0, p->k);
        multiply_part(o, p, half, p->m, 0, p->n, half, p->k);
        break;
    case CPU_TRIANGLE_B:
        multiply_part(o, p, 0, p->m, 0, half, 0, half);
        multiply_part(o, p, 0, p->m, half, p->n, 0, p->k);
        break;
    case CPU_TRIANGLE_C:
        multiply_part(o, p, 0, half, 0, p->n, 0, p->k);
        multiply_part(o, p, half, p->m, half, p->n, 0, p->k);
        break;
    default: multiply_part(o, p, 0, p->m, 0, p->n, 0, p->k);
    }
}

void ane_cpu_block_mask(float *scores) {
    for (int64_t j = 1; j < CPU_BLOCK; j++)
        for (int64_t i = 0; i < j; i++) scores[j * CPU_BLOCK + i] = -INFINITY;
}
