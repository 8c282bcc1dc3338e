/* Which inner loops this processor can run. */
#include "device/cpu/vector.h"

#include <stddef.h>
#include <string.h>

extern const cpu_vectors ane_cpu_vectors_baseline;
#if defined(ANEMONE_X86_VECTORS)
extern const cpu_vectors ane_cpu_vectors_avx2, ane_cpu_vectors_avx512;

static bool has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

#if defined(ANEMONE_NEON_VECTORS)
extern const cpu_vectors ane_cpu_vectors_neon;
#endif

static bool always(void) {
    return true;
}

typedef struct path {
    const cpu_vectors *vectors;
    bool (*runs_here)(void);
} path;

static const path paths[] = {
#if defined(ANEMONE_X86_VECTORS)
    {&ane_cpu_vectors_avx512, has_avx512},
    {&ane_cpu_vectors_avx2, has_avx2},
#endif
#if defined(ANEMONE_NEON_VECTORS)
    {&ane_cpu_vectors_neon, always},
#endif
    {&ane_cpu_vectors_baseline, always},
};

const cpu_vectors *ane_cpu_vectors(const char *name) {
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (paths[i].runs_here() && (!name || strcmp(name, paths[i].vectors->name) == 0))
            return paths[i].vectors;
    return NULL;
}

int ane_cpu_vector_names(const char *names[4]) {
    int n = 0;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (paths[i].runs_here()) names[n++] = paths[i].vectors->name;
    return n;
}

typedef struct map_info {
    const char *name;
    int operands;
} map_info;

static const map_info maps[CPU_MAP_COUNT] = {
    [CPU_COPY] = {"copy", 1},
    [CPU_ADD] = {"add", 2},
    [CPU_SUB] = {"sub", 2},
    [CPU_MUL] = {"mul", 2},
    [CPU_DIV] = {"div", 2},
    [CPU_MAX] = {"max", 2},
    [CPU_MIN] = {"min", 2},
    [CPU_POW] = {"pow", 2},
    [CPU_EQUAL] = {"equal", 2},
    [CPU_NOT_EQUAL] = {"not_equal", 2},
    [CPU_GREATER] = {"greater", 2},
    [CPU_GREATER_EQUAL] = {"greater_equal", 2},
    [CPU_LESS] = {"less", 2},
    [CPU_LESS_EQUAL] = {"less_equal", 2},
    [CPU_EXP] = {"exp", 1},
    [CPU_LOG] = {"log", 1},
    [CPU_SQRT] = {"sqrt", 1},
    [CPU_RSQRT] = {"rsqrt", 1},
    [CPU_INVERSE] = {"inverse", 1},
    [CPU_ABS] = {"abs", 1},
    [CPU_SIN] = {"sin", 1},
    [CPU_COS] = {"cos", 1},
    [CPU_SIGMOID] = {"sigmoid", 1},
    [CPU_SILU] = {"silu", 1},
    [CPU_TANH] = {"tanh", 1},
    [CPU_RELU] = {"relu", 1},
    [CPU_ERF] = {"erf", 1},
    [CPU_NOT] = {"not", 1},
    [CPU_NONZERO] = {"nonzero", 1},
    [CPU_GELU_EXACT] = {"gelu", 1},
    [CPU_GELU_TANH] = {"gelu_tanh", 1},
    [CPU_GELU_SIGMOID] = {"gelu_sigmoid", 1},
    [CPU_SQUARE] = {"square", 1},
    [CPU_INVERSE_SQRT] = {"inverse_sqrt", 1},
    [CPU_SCALE] = {"scale", 1},
    [CPU_ROUND_BF16] = {"round_bf16", 1},
    [CPU_SCALE_ADD] = {"scale_add", 2},
    [CPU_SELECT] = {"select", 3},
};

const char *ane_cpu_map_name(cpu_map op) {
    return maps[op].name;
}

int ane_cpu_map_operands(cpu_map op) {
    return maps[op].operands;
}
