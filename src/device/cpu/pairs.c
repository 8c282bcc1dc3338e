/* By what this processor multiplies bf16 pairs. */
#include "device/cpu/pairs.h"

#include "base/processor.h"

#include <stddef.h>
#include <string.h>

#if defined(ANEMONE_AVX512BF16)
extern const cpu_pairs ane_cpu_pairs_amx, ane_cpu_pairs_avx512bf16;

static bool always(void) {
    return true;
}

static const struct {
    const cpu_pairs *pairs;
    bool (*runs_here)(void);
} paths[] = {
#if defined(ANEMONE_AMX)
    {&ane_cpu_pairs_amx, ane_processor_grants_tiles},
#endif
    {&ane_cpu_pairs_avx512bf16, always},
};

const cpu_pairs *ane_cpu_pairs(const cpu_vectors *v, const char *name) {
    if (strcmp(v->name, "avx512") != 0 || !__builtin_cpu_supports("avx512bf16")) return NULL;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if ((!name || strcmp(name, paths[i].pairs->name) == 0) && paths[i].runs_here()) return paths[i].pairs;
    return NULL;
}
#else
const cpu_pairs *ane_cpu_pairs(const cpu_vectors *v, const char *name) {
    (void)v, (void)name;
    return NULL;
}
#endif
