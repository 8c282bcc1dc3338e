#include "base/random.h"

#include <math.h>

/* splitmix64 and xoshiro256** after Blackman and Vigna, https://prng.di.unimi.it (public domain algorithms).
 */
static uint64_t splitmix(uint64_t *x) {
    uint64_t z = *x += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t rotate(uint64_t x, int k) {
    return x << k | x >> (64 - k);
}

ane_rng ane_rng_new(uint64_t seed, uint64_t stream) {
    uint64_t mixed = stream;
    uint64_t x = seed ^ splitmix(&mixed);
    ane_rng rng;
    for (int i = 0; i < 4; i++) rng.state[i] = splitmix(&x);
    return rng;
}

uint64_t ane_rng_u64(ane_rng *rng) {
    uint64_t *s = rng->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t ane_rng_below(ane_rng *rng, uint64_t n) {
    uint64_t limit = UINT64_MAX - UINT64_MAX % n; /* a multiple of n: no remainder is likelier than another */
    uint64_t x;
    do x = ane_rng_u64(rng);
    while (x >= limit);
    return x % n;
}

double ane_rng_uniform(ane_rng *rng) {
    return (double)(ane_rng_u64(rng) >> 11) * 0x1p-53;
}

double ane_rng_normal(ane_rng *rng) {
    double u, v, s;
    do {
        u = 2 * ane_rng_uniform(rng) - 1;
        v = 2 * ane_rng_uniform(rng) - 1;
        s = u * u + v * v;
    } while (s >= 1 || s == 0);
    return u * sqrt(-2 * log(s) / s);
}
