/* Whether this processor multiplies tiles of bf16 pairs. */
#include "device/cpu/pairs.h"

#include "base/processor.h"

#include <stddef.h>
#include <string.h>

#if defined(ANEMONE_AMX)
extern const cpu_pairs ane_cpu_pairs_amx;

const cpu_pairs *ane_cpu_pairs(const cpu_vectors *v) {
    bool runs = strcmp(v->name, "avx512") == 0 && __builtin_cpu_supports("avx512bf16") &&
                ane_processor_grants_tiles();
    return runs ? &ane_cpu_pairs_amx : NULL;
}
#else
const cpu_pairs *ane_cpu_pairs(const cpu_vectors *v) {
    (void)v;
    return NULL;
}
#endif
