/* vector.h - inner loops over contiguous fp32, once per instruction set (vector.inc), chosen at run time.
 *
 * The transcendental functions are branch-free polynomials. Largest errors seen over their whole range
 * against double, in units of the last fp32 place: exp 1, log 1, tanh 2, erf 2, sigmoid 2.5, silu 3,
 * rsqrt 1.5; pow, sin and cos are the C library's.
 */
#ifndef ANEMONE_DEVICE_CPU_VECTOR_H
#define ANEMONE_DEVICE_CPU_VECTOR_H

#include <stdbool.h>
#include <stdint.h>

/* d[i] = op(a[i], b[i], c[i], p). Comparisons and logic give 0 or 1. */
typedef enum cpu_map {
    CPU_COPY,
    /* two operands */
    CPU_ADD,
    CPU_SUB,
    CPU_MUL,
    CPU_DIV,
    CPU_MAX,
    CPU_MIN,
    CPU_POW,
    CPU_EQUAL,
    CPU_NOT_EQUAL,
    CPU_GREATER,
    CPU_GREATER_EQUAL,
    CPU_LESS,
    CPU_LESS_EQUAL,
    /* one operand; p is epsilon where MIL has one */
    CPU_EXP,
    CPU_LOG,
    CPU_SQRT,
    CPU_RSQRT,
    CPU_INVERSE,
    CPU_ABS,
    CPU_SIN,
    CPU_COS,
    CPU_SIGMOID,
    CPU_SILU,
    CPU_TANH,
    CPU_RELU,
    CPU_ERF,
    CPU_NOT,
    CPU_NONZERO,
    CPU_GELU_EXACT,
    CPU_GELU_TANH,
    CPU_GELU_SIGMOID,
    CPU_SQUARE,
    CPU_INVERSE_SQRT, /* pow(x, 2) and pow(x, -0.5) */
    CPU_SCALE,
    CPU_ROUND_BF16, /* p * a; a as bf16 */
    CPU_SCALE_ADD,  /* p * a + b */
    /* three operands */
    CPU_SELECT,
    CPU_MAP_COUNT
} cpu_map;

/* Which operands are one number instead of n: a, b. */
enum { CPU_SCALAR_A = 1, CPU_SCALAR_B = 2 };

typedef void cpu_map_fn(
    float *restrict d, const float *a, const float *b, const float *c, float p, int64_t n);

/* c [m, n] (+)= a [m, k] b [k, n], element (i, p) of a at a[i * am + p * ak], rows of b and c `ld` apart. */
typedef void cpu_product_fn(int64_t m, int64_t n, int64_t k, const float *a, int64_t am, int64_t ak,
    const float *b, float *c, int64_t ld, bool add);

typedef struct cpu_vectors {
    const char *name; /* "avx512" */
    /* Binary operations exist for every set of scalar operands but both; others at 0 alone. */
    cpu_map_fn *map[CPU_MAP_COUNT][3];
    float (*sum)(const float *x, int64_t n);
    float (*max)(const float *x, int64_t n);                               /* NaN when there is one */
    void (*add_to)(float *restrict y, const float *restrict x, int64_t n); /* y += x */
    void (*max_to)(float *restrict y, const float *restrict x, int64_t n); /* y = max(y, x) */
    void (*scale)(float *y, float a, int64_t n);                           /* y *= a */
    /* d = x past the caches: memory need not be read before it is written. Other threads see it after `streamed`. */
    void (*stream)(float *restrict d, const float *restrict x, int64_t n);
    void (*streamed)(void);
    float (*exp_sum)(
        float *d, const float *x, float shift, int64_t n); /* d = exp(x - shift), its sum; d == x is fine */
    void (*exp_sum_to)(float *restrict d, const float *x, const float *shift, float *restrict sum, int64_t n);
    void (*round_f16)(float *x, int64_t n); /* to the nearest fp16, kept as fp32 */
    void (*transpose)(float *restrict d, int64_t ldd, const float *restrict x, int64_t ldx, int64_t rows,
        int64_t columns);    /* d[j, i] = x[i, j] */
    cpu_product_fn *product; /* m a multiple of 4, n of 16 */
    /* Blocks [64, 64]. In those on the diagonal rows 16 q to 16 q + 15 are zeros before column 16 q, whatever was there.
     * Columns of s as softmax goes on: `highest` so far and `sum` of powers are updated, s becomes 2^(s - highest), factor
     * 2^(highest before - highest now). */
    void (*softmax_block)(float *restrict s, bool diagonal, float *restrict highest, float *restrict sum,
        float *restrict factor);
    /* s = 2^(s - shift[column]) */
    void (*exp_block)(float *restrict s, bool diagonal, const float *restrict shift);
    /* d = p (d - mean[column]) */
    void (*softmax_gradient_block)(
        float *restrict d, const float *restrict p, bool diagonal, const float *restrict mean);
    /* Positions [0, n) of the head at `x` ([size] rows, `stride` apart), times `scale`: to [rows, 64], zeros elsewhere. */
    void (*load_block)(float *restrict to, int64_t rows, const float *restrict x, int64_t size,
        int64_t stride, int64_t n, float scale);
    /* Back, each column times its own. */
    void (*store_block)(float *restrict x, int64_t size, int64_t stride, int64_t n,
        const float *restrict from, const float *restrict scales);
    /* sum[i] = x[:, i] . y[:, i], of x [size, 64] and the head at `y` */
    void (*dot_block)(float *restrict sum, const float *restrict x, const float *restrict y, int64_t size,
        int64_t stride, int64_t n);
    /* y [rows, 64] *= factor[column] */
    void (*scale_columns)(float *restrict y, int64_t rows, const float *restrict factor);
} cpu_vectors;

/* `name`: "avx512", "avx2", "baseline"; NULL: the best that this processor has. NULL when there is no such
 * path here. */
const cpu_vectors *ane_cpu_vectors(const char *name);
/* Names of the paths that this processor can run, best first; returns how many. */
int ane_cpu_vector_names(const char *names[4]);
const char *ane_cpu_map_name(cpu_map op);
/* How many operands. */
int ane_cpu_map_operands(cpu_map op);

#endif
