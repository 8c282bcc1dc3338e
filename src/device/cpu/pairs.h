/* pairs.h - products of bf16 pairs, where the processor has an instruction for them. */
#ifndef ANEMONE_DEVICE_CPU_PAIRS_H
#define ANEMONE_DEVICE_CPU_PAIRS_H

#include "device/cpu/vector.h"

/* A pair is two bf16 in the room of a float, the first in the low half. */
typedef struct cpu_pairs {
    const char *name; /* "amx": as the kernel of products (packed.h) */
    int64_t multiple; /* m, n and 2 k are multiples of it */
    int64_t part;     /* triangles are multiplied in parts of so many rows or columns */
    /* Around all else, on every thread. */
    void (*begin)(void);
    void (*end)(void);
    /* c [m, n] (+)= a [m, 2 k] b [2 k, n]: a is rows of k pairs, `am` apart (ak is 1); row p of b holds the pairs of rows
     * 2 p and 2 p + 1. */
    cpu_product_fn *product;
    /* Rows 2 r and 2 r + 1 of x [rows, n] in pairs: row r of d [rows / 2, n]; n a multiple of 16; d == x is fine. */
    void (*down)(float *d, const float *x, int64_t rows, int64_t n);
    /* x[2 i] and x[2 i + 1] in d[i]; n pairs, a multiple of 16; d == x is fine. */
    void (*across)(float *d, const float *x, int64_t n);
} cpu_pairs;

/* `name`: NULL for the best. NULL where the processor, the system, or these vectors have none. */
const cpu_pairs *ane_cpu_pairs(const cpu_vectors *v, const char *name);

/* For processors with avx512bf16, which those with tiles are. */
void ane_cpu_pairs_down(float *d, const float *x, int64_t rows, int64_t n);
void ane_cpu_pairs_across(float *d, const float *x, int64_t n);

#endif
