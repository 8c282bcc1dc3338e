/* Whether this processor multiplies tiles of bf16 pairs. */
#include "device/cpu/pairs.h"

#include <stddef.h>
#include <string.h>

#if defined(ANEMONE_X86_VECTORS) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

extern const cpu_pairs ane_cpu_pairs_amx;

/* Linux gives the tiles' registers to processes that ask (Documentation/arch/x86/xstate.rst). */
enum { ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };

static bool has_amx(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    bool bf16 = d >> 22 & 1, tiles = d >> 24 & 1;
    if (!bf16 || !tiles || !__get_cpuid_count(7, 1, &a, &b, &c, &d)) return false;
    bool conversions = a >> 5 & 1; /* AVX512_BF16 */
    return conversions && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0;
}

const cpu_pairs *ane_cpu_pairs(const cpu_vectors *v) {
    return strcmp(v->name, "avx512") == 0 && has_amx() ? &ane_cpu_pairs_amx : NULL;
}
#else
const cpu_pairs *ane_cpu_pairs(const cpu_vectors *v) {
    (void)v;
    return NULL;
}
#endif
