/* One token from logits. Top-k and top-p are found by selection on the bits of the floats, a digit at a time,
 * as in a radix sort of which only the needed part is done: O(vocab), no memory, no sort. */
#include "anemone/generate.h"

#include "base/half.h"

#include <float.h>
#include <math.h>

enum { DIGIT_BITS = 11, DIGITS = 3, BUCKETS = 1 << DIGIT_BITS };

/* Unsigned integers in the order of the floats they stand for. */
static uint32_t ordered(float x) {
    uint32_t bits = ane_bits_from_f32(x);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* How much an element counts towards what is kept: itself (a probability), or one. */
static double measure(float x, bool by_value) {
    return by_value ? (double)x : 1.0;
}

/* The largest threshold for which elements >= threshold measure up to `target` > 0, or the smallest element
 * when rounding leaves the target out of reach; *above gets the measure of those strictly larger. */
static uint32_t threshold(const float *x, int32_t n, double target, bool by_value, double *above) {
    uint32_t prefix = 0, known = 0; /* bits of the threshold found so far, and which they are */
    *above = 0;
    for (int digit = DIGITS - 1; digit >= 0; digit--) {
        int shift = digit * DIGIT_BITS;
        uint32_t mask = digit == DIGITS - 1 ? 0xffffffffu >> shift : BUCKETS - 1, lowest = mask;
        double sum[BUCKETS] = {0};
        for (int32_t i = 0; i < n; i++) {
            uint32_t key = ordered(x[i]), bucket = key >> shift & mask;
            if ((key & known) != prefix) continue;
            sum[bucket] += measure(x[i], by_value);
            if (bucket < lowest) lowest = bucket;
        }
        uint32_t chosen = mask;
        while (chosen > lowest && *above + sum[chosen] < target) *above += sum[chosen--];
        prefix |= chosen << shift;
        known |= mask << shift;
    }
    return prefix;
}

/* Keep the largest elements until they measure up to `target`, equal ones in order; the rest becomes
 * `excluded`. */
static void keep_largest(float *x, int32_t n, double target, bool by_value, float excluded) {
    double kept;
    if (!(target > 0)) target = DBL_MIN; /* the largest is always kept */
    uint32_t limit = threshold(x, n, target, by_value, &kept);
    for (int32_t i = 0; i < n; i++) {
        uint32_t key = ordered(x[i]);
        if (key > limit) continue;
        bool keep = key == limit && kept < target;
        if (keep)
            kept += measure(x[i], by_value);
        else
            x[i] = excluded;
    }
}

/* The first of the largest. */
static int32_t most_likely(const float *x, int32_t n) {
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* logits -> exp((logits - max) / temperature); returns the sum. */
static double exponentials(float *x, int32_t n, float max, double temperature) {
    double sum = 0;
    for (int32_t i = 0; i < n; i++) {
        x[i] = expf((float)(((double)x[i] - max) / temperature));
        sum += x[i];
    }
    return sum;
}

/* The element in which `point` of the total lies. */
static int32_t pick(const float *p, int32_t n, double point) {
    double sum = 0;
    int32_t last = 0;
    for (int32_t i = 0; i < n; i++) {
        if (p[i] <= 0) continue;
        sum += p[i];
        last = i;
        if (point < sum) break;
    }
    return last;
}

int32_t ane_sample(float *logits, int32_t vocab, const ane_sampling *s, double random) {
    for (int32_t i = 0; i < vocab; i++)
        if (isnan(logits[i])) logits[i] = -INFINITY; /* what is not a number is never chosen */
    int32_t best = most_likely(logits, vocab);
    float max = logits[best];
    if (!(s->temperature > 0) || !isfinite(max)) return best;
    if (s->top_k > 0 && s->top_k < vocab) keep_largest(logits, vocab, s->top_k, false, -INFINITY);
    double sum = exponentials(logits, vocab, max, s->temperature);
    if (s->top_p < 1) {
        keep_largest(logits, vocab, s->top_p * sum, true, 0);
        sum = 0;
        for (int32_t i = 0; i < vocab; i++) sum += logits[i];
    }
    return pick(logits, vocab, random * sum);
}
