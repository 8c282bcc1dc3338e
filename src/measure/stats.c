/* stats.c - order statistics. */
#include "measure/stats.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int ane_stats_rank(int n) {
    double sum = 0;
    int j = 0;
    /* sum of choose(n, k) / 2^n for k < j + 1, by logarithms: 2^n overflows */
    for (; j < n / 2; j++) {
        sum += exp(lgamma(n + 1.0) - lgamma(j + 1.0) - lgamma(n - j + 1.0) - n * log(2));
        if (sum > 0.025) break;
    }
    return j > 0 ? j : 1;
}

static double percentile(const double *x, int n, double part) {
    int rank = (int)ceil(part * n);
    return x[rank > 0 ? rank - 1 : 0];
}

ane_stats ane_stats_of(double *x, int n) {
    qsort(x, (size_t)n, sizeof *x, compare);
    ane_stats s = {.n = n, .min = x[0], .p95 = percentile(x, n, 0.95), .p99 = percentile(x, n, 0.99)};
    int j = ane_stats_rank(n);
    s.median = n % 2 ? x[n / 2] : 0.5 * (x[n / 2 - 1] + x[n / 2]);
    s.low = x[j - 1];
    s.high = x[n - j];
    s.ci = s.median > 0 ? 0.5 * (s.high - s.low) / s.median : 0;
    return s;
}

bool ane_samples_add(ane_samples *s, double x) {
    if (s->n == s->capacity) {
        int capacity = s->capacity ? 2 * s->capacity : 64;
        double *grown = realloc(s->x, (size_t)capacity * sizeof *grown);
        if (!grown) return false;
        s->x = grown;
        s->capacity = capacity;
    }
    s->x[s->n++] = x;
    return true;
}
