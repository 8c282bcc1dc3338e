/* processor.c - the tiles' registers are asked for. See processor.h. */
#include "base/processor.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

bool ane_processor_grants_tiles(void) {
    enum { BF16 = 1 << 22, TILES = 1 << 24, XGETBV = 1 << 27, TILE_STATE = 3 << 17 };
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* arch_prctl(2), for the whole process */
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & BF16) || !(d & TILES)) return false;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & XGETBV)) return false;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (a & TILE_STATE) == TILE_STATE && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#else
bool ane_processor_grants_tiles(void) {
    return false;
}
#endif
