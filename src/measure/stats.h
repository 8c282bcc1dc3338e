/* stats.h - what repeated times come to. */
#ifndef ANEMONE_MEASURE_STATS_H
#define ANEMONE_MEASURE_STATS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ane_stats {
    int n;
    double min, median, p95, p99;
    double low, high; /* 95 % confidence interval of the median */
    double ci;        /* half its width, relative to the median */
} ane_stats;

/* Of n > 0 numbers, which get sorted. The interval is that of order statistics: the ranks j and n + 1 - j with the largest j
 * for which P(Binomial(n, 1/2) < j) <= 2.5 %, free of assumptions about the distribution; below 6 numbers there is no such j,
 * and it is all of them. Percentiles: nearest rank. */
ane_stats ane_stats_of(double *x, int n);

/* The rank j, from 1. */
int ane_stats_rank(int n);

/* A list that grows. */
typedef struct ane_samples {
    double *x;
    int n, capacity;
} ane_samples;
bool ane_samples_add(ane_samples *s, double x); /* false: out of memory */

#endif
