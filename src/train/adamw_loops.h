/* adamw_loops.h - what AdamW does to each number, compiled once per instruction set; every set gives the same bits. */
#ifndef ANEMONE_TRAIN_ADAMW_LOOPS_H
#define ANEMONE_TRAIN_ADAMW_LOOPS_H

#include <stdint.h>

/* One update's factors:
 *     g' = clip g;  m += toward (g' - m);  v = beta2 v + fresh g'^2
 *     w = keep w - step m / (root sqrt(v) + epsilon) */
typedef struct ane_adamw_factors {
    float clip, toward, beta2, fresh, keep, step, root, epsilon;
} ane_adamw_factors;

typedef struct ane_adamw_loops {
    const char *name; /* "avx512" */
    double (*sum_of_squares)(const float *x, int64_t n);
    void (*update)(const ane_adamw_factors *f, float *w, const float *g, float *m, float *v, int64_t n);
} ane_adamw_loops;

/* Those that this processor can run, the fastest first, plain C last; returns how many. */
int ane_adamw_loops_here(const ane_adamw_loops *loops[4]);

#endif
