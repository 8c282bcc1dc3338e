/* random.h - the random numbers of anemone: xoshiro256**, the same on every machine, with a state that can be saved. */
#ifndef ANEMONE_BASE_RANDOM_H
#define ANEMONE_BASE_RANDOM_H

#include <stdint.h>

typedef struct ane_rng {
    uint64_t state[4];
} ane_rng;

/* Independent streams for one seed: the same (seed, stream) always gives the same numbers. */
ane_rng ane_rng_new(uint64_t seed, uint64_t stream);
uint64_t ane_rng_u64(ane_rng *rng);
/* Uniform in [0, n), without bias; n > 0. */
uint64_t ane_rng_below(ane_rng *rng, uint64_t n);
/* Uniform in [0, 1), 53 bits. */
double ane_rng_uniform(ane_rng *rng);
/* Standard normal (polar Box-Muller; no value is kept between calls). */
double ane_rng_normal(ane_rng *rng);

#endif
