/* Memory, counted, and buffers. */
#include "device/cpu/device.h"

#include "base/parallel.h"

#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { CACHE_LINE = 64, HUGE_PAGE = 2 << 20 };

typedef struct clear_job {
    char *memory;
} clear_job;

static void clear_part(void *context, int64_t begin, int64_t end) {
    memset(((clear_job *)context)->memory + begin, 0, (size_t)(end - begin));
}

void ane_cpu_count_allocations(cpu_device *d, int n) {
    atomic_fetch_add(&d->allocations, n);
}

static void count_bytes(cpu_device *d, int64_t bytes) {
    long long now = atomic_fetch_add(&d->bytes, bytes) + bytes, peak = atomic_load(&d->peak_bytes);
    while (now > peak && !atomic_compare_exchange_weak(&d->peak_bytes, &peak, now)) {
    }
}

void *ane_cpu_memory_new(cpu_device *d, int64_t bytes) {
    if (bytes < 0 || (uint64_t)bytes > SIZE_MAX - HUGE_PAGE) return NULL;
    size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : CACHE_LINE,
           size = ((size_t)bytes + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
    void *memory = NULL;
    if (posix_memalign(&memory, alignment, size ? size : CACHE_LINE) != 0) return NULL;
#if defined(__linux__)
    if (bytes >= HUGE_PAGE)
        madvise(memory, size, MADV_HUGEPAGE); /* a wish: fewer page faults and TLB misses */
#endif
    clear_job j = {memory};
    ane_parallel_for(size ? (int64_t)size : CACHE_LINE, HUGE_PAGE, d->threads, clear_part, &j);
    ane_cpu_count_allocations(d, 1);
    count_bytes(d, bytes);
    return memory;
}

void ane_cpu_memory_free(cpu_device *d, void *memory, int64_t bytes) {
    if (!memory) return;
    free(memory);
    count_bytes(d, -bytes);
}

bool ane_cpu_scratch_reserve(cpu_device *d, int64_t bytes, ane_error *e) {
    if (bytes <= d->scratch_bytes) return true;
    ane_cpu_memory_free(d, d->scratch, d->scratch_bytes); /* nothing in it outlives a run */
    d->scratch_bytes = 0;
    d->scratch = ane_cpu_memory_new(d, bytes);
    if (!d->scratch)
        return ane_fail(e, ANE_ERROR_MEMORY, "cpu", "no memory for %lld bytes of scratch", (long long)bytes);
    d->scratch_bytes = bytes;
    return true;
}
