/* Blocks of attention: loading, storing, and as operands of products. */
#include "device/cpu/attention.h"

#include <math.h>
#include <string.h>

cpu_operands ane_cpu_operands(const cpu_run *r, const cpu_attention *a) {
    return (cpu_operands){r->v, a->pairs, a->bf16 && !a->pairs};
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
    bool other = p->a_transposed && !o->pairs;
    int64_t unit = o->pairs ? 2 : 1, am = other ? 1 : p->k / unit, ak = other ? CPU_BLOCK : 1;
    cpu_product_fn *product = o->pairs ? o->pairs->product : o->v->product;
    product(m - row, n - column, (k - l) / unit, p->a + row * am + l / unit * ak, am, ak,
        p->b + l / unit * p->n + column, p->c + row * p->n + column, p->n, p->add);
}

void ane_cpu_block_multiply(const cpu_operands *o, const cpu_block_product *p) {
    const int64_t part = o->pairs ? o->pairs->part : CPU_STAIR, wide = part < 32 ? 32 : part;
    if (p->triangle == CPU_NO_TRIANGLE) {
        multiply_part(o, p, 0, p->m, 0, p->n, 0, p->k);
        return;
    }
    for (int64_t at = 0; at < CPU_BLOCK; at += p->triangle == CPU_TRIANGLE_B ? wide : part)
        switch (p->triangle) {
        case CPU_TRIANGLE_A: multiply_part(o, p, at, at + part, 0, p->n, at, p->k); break;
        case CPU_TRIANGLE_B: multiply_part(o, p, 0, p->m, at, at + wide, 0, at + wide); break;
        default: multiply_part(o, p, at, at + part, at, p->n, 0, p->k);
        }
}

void ane_cpu_block_mask(float *scores) {
    for (int64_t j = 1; j < CPU_BLOCK; j++)
        for (int64_t i = j / CPU_STAIR * CPU_STAIR; i < j; i++) scores[j * CPU_BLOCK + i] = -INFINITY;
}
