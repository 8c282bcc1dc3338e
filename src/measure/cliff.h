/* cliff.h - whether times over sizes show the edge of a memory, or only dips. */
#ifndef ANEMONE_MEASURE_CLIFF_H
#define ANEMONE_MEASURE_CLIFF_H

#include <stdbool.h>

typedef struct ane_cliff_point {
    double mb, ms;
    int channels;
    enum { ANE_CLIFF_USED, ANE_CLIFF_DIP, ANE_CLIFF_LIKE_DIP, ANE_CLIFF_NOISE } kind; /* filled in */
} ane_cliff_point;

typedef struct ane_cliff {
    bool enough; /* points to judge by */
    bool edge;   /* weights beyond some size are slower */
    double low,
        high; /* it lies between these MB: the last point before and the first behind it, of all breaks that explain
                            the times about as well as the best */
    double
        largest; /* MB that were looked at: without an edge, the memory holds at least these, or holds none of them */
    double slope_before, slope_after; /* ms a MB */
    int dips;
} ane_cliff;

/* The rule. Points are in the order of their sizes.
 * 1. A *dip* is a power of two of channels that takes more than 1.5 times as long as the line between its neighbours says,
 *    while the next larger one takes less time: more data in less time cannot be a matter of capacity. Multiples of its
 *    channels are under the same suspicion and not used.
 * 2. A point that takes 10 % longer than a larger one is noise and not used.
 * 3. One straight line (ms over MB) is fitted to the others, and two lines for every break that leaves three points on each
 *    side; errors are relative. There is an *edge* when two lines halve the error of one (root mean square, and it is more
 *    than 5 %), and from the break on take at least 1.25 times what the first says, with a steeper slope.
 * 4. The edge lies between the neighbours of the break; breaks whose error is within 1.2 times the best's widen that. */
ane_cliff ane_cliff_find(ane_cliff_point *points, int n);

#endif
