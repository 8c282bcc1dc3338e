/* Things of some hundred kilobytes side by side in larger pieces of memory: whole huge pages, which memory is read faster
 * from. A piece is freed when all that lay in it is. */
#include "device/cpu/device.h"

#include <stdlib.h>

struct cpu_slab {
    char *data;
    int64_t bytes, taken;
    int uses; /* things in it */
    struct cpu_slab *next;
};

enum { THINGS_PER_SLAB = 8, LARGEST_SLAB = 32 << 20, HUGE_PAGE = 2 << 20, WORTH_ONE = 256 << 10 };

static cpu_slab *new_slab(cpu_device *d, int64_t bytes) {
    int64_t size = THINGS_PER_SLAB * bytes < LARGEST_SLAB ? THINGS_PER_SLAB * bytes : LARGEST_SLAB;
    if (size < bytes) size = bytes;
    if (size >= WORTH_ONE) size = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    cpu_slab *s = malloc(sizeof *s);
    void *data = s ? ane_cpu_memory_new(d, size) : NULL;
    if (!data) {
        free(s);
        return NULL;
    }
    *s = (cpu_slab){.data = data, .bytes = size, .next = d->slabs};
    d->slabs = s;
    return s;
}

/* In the newest piece or in a new one. */
static void *take(cpu_device *d, int64_t bytes, cpu_slab **slab) {
    cpu_slab *s = d->slabs;
    bytes = (bytes + 63) / 64 * 64;
    if (!s || s->bytes - s->taken < bytes) s = new_slab(d, bytes);
    if (!s) return NULL;
    void *data = s->data + s->taken;
    s->taken += bytes;
    s->uses++;
    *slab = s;
    return data;
}

void *ane_cpu_slab_take(cpu_device *d, int64_t bytes, cpu_slab **slab) {
    pthread_mutex_lock(&d->slabs_lock);
    void *data = take(d, bytes, slab);
    pthread_mutex_unlock(&d->slabs_lock);
    return data;
}

void ane_cpu_slab_drop(cpu_device *d, cpu_slab *slab) {
    pthread_mutex_lock(&d->slabs_lock);
    if (--slab->uses == 0) {
        cpu_slab **at = &d->slabs;
        while (*at != slab) at = &(*at)->next;
        *at = slab->next;
        ane_cpu_memory_free(d, slab->data, slab->bytes);
        free(slab);
    }
    pthread_mutex_unlock(&d->slabs_lock);
}
