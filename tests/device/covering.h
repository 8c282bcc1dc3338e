/* covering.h - rows that hold every pair of values of every two factors at least once. */
#ifndef ANEMONE_TESTS_COVERING_H
#define ANEMONE_TESTS_COVERING_H

#include <stdbool.h>
#include <string.h>

enum { MOST_FACTORS = 40, MOST_VALUES = 8, MOST_ROWS = 120 };

typedef struct covering {
    int n_factors, n_values[MOST_FACTORS];
    int n_rows, row[MOST_ROWS][MOST_FACTORS];
    bool covered[MOST_FACTORS][MOST_VALUES][MOST_FACTORS][MOST_VALUES];
} covering;

/* How many pairs that no row holds `value` of `factor` would make with what is chosen (>= 0) in `row`. */
static inline int covering_gain(const covering *c, const int *row, int factor, int value) {
    int gain = 0;
    for (int other = 0; other < c->n_factors; other++)
        gain += other != factor && row[other] >= 0 && !c->covered[factor][value][other][row[other]];
    return gain;
}

/* Two values that no row holds together; false when there are none. */
static inline bool covering_seed(const covering *c, int *row) {
    for (int a = 0; a < c->n_factors; a++)
        for (int b = 0; b < a; b++)
            for (int i = 0; i < c->n_values[a]; i++)
                for (int j = 0; j < c->n_values[b]; j++)
                    if (!c->covered[a][i][b][j]) {
                        row[a] = i;
                        row[b] = j;
                        return true;
                    }
    return false;
}

static inline void covering_keep(covering *c, const int *row) {
    for (int a = 0; a < c->n_factors; a++)
        for (int b = 0; b < c->n_factors; b++)
            if (a != b) c->covered[a][row[a]][b][row[b]] = true;
    memcpy(c->row[c->n_rows++], row, sizeof c->row[0]);
}

/* Greedy: a pair that is missing, then for each factor the value that adds most; ties turn with the row, so that values
 * are used evenly. n_factors and n_values are given. */
static inline void covering_build(covering *c) {
    while (c->n_rows < MOST_ROWS) {
        int row[MOST_FACTORS];
        for (int f = 0; f < MOST_FACTORS; f++) row[f] = -1;
        if (!covering_seed(c, row)) return;
        for (int f = 0; f < c->n_factors; f++) {
            int best = -1;
            for (int i = 0; i < c->n_values[f] && row[f] < 0; i++) {
                int value = (i + c->n_rows) % c->n_values[f], gain = covering_gain(c, row, f, value);
                if (best < 0 || gain > covering_gain(c, row, f, best)) best = value;
            }
            if (row[f] < 0) row[f] = best;
        }
        covering_keep(c, row);
    }
}

#endif
