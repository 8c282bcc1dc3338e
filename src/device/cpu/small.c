/* Small copies of weights, for products with a vector: one for all bindings of a device that ask for the same. */
#include "device/cpu/device.h"

#include <stdlib.h>

static bool is_same(const cpu_small *a, const cpu_small *b) {
    return a->master == b->master && a->format == b->format && a->rows == b->rows && a->k == b->k;
}

static cpu_small *find(const cpu_device *d, const cpu_small *wanted) {
    for (cpu_small *s = d->small; s; s = s->next)
        if (is_same(s, wanted)) return s;
    return NULL;
}

/* Copies lie side by side in larger pieces of memory: whole huge pages, which memory is read faster from. */
typedef struct cpu_slab {
    char *data;
    int64_t bytes, taken;
    int uses; /* copies in it */
    struct cpu_slab *next;
} cpu_slab;

enum { COPIES_PER_SLAB = 8, LARGEST_SLAB = 32 << 20, HUGE_PAGE = 2 << 20 };

static cpu_slab *new_slab(cpu_device *d, int64_t bytes) {
    int64_t size = COPIES_PER_SLAB * bytes < LARGEST_SLAB ? COPIES_PER_SLAB * bytes : LARGEST_SLAB;
    if (size < bytes) size = bytes;
    if (size >= HUGE_PAGE) size = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
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

/* Room for a copy, in the newest piece or in a new one. */
static bool place(cpu_device *d, cpu_small *s) {
    int64_t bytes = (s->rows * ane_gemv_row_bytes(s->format, s->k) + 63) / 64 * 64;
    cpu_slab *slab = d->slabs;
    if (!slab || slab->bytes - slab->taken < bytes) slab = new_slab(d, bytes);
    if (!slab) return false;
    s->slab = slab;
    s->data = slab->data + slab->taken;
    slab->taken += bytes;
    slab->uses++;
    return true;
}

static void release(cpu_device *d, cpu_slab *slab) {
    if (--slab->uses) return;
    cpu_slab **at = &d->slabs;
    while (*at != slab) at = &(*at)->next;
    *at = slab->next;
    ane_cpu_memory_free(d, slab->data, slab->bytes);
    free(slab);
}

static cpu_small *make(cpu_device *d, const cpu_small *wanted) {
    cpu_small *s = malloc(sizeof *s);
    if (!s) return NULL;
    *s = *wanted;
    if (!place(d, s)) {
        free(s);
        return NULL;
    }
    s->next = d->small;
    ane_cpu_small_refresh(d, s);
    ane_cpu_count_allocations(d, 1);
    d->small = s;
    return s;
}

cpu_small *ane_cpu_small_take(
    cpu_device *d, const float *master, ane_gemv_format format, int64_t rows, int64_t k) {
    const cpu_small wanted = {.master = master, .format = format, .rows = rows, .k = k};
    pthread_mutex_lock(&d->kernels_lock);
    cpu_small *s = find(d, &wanted);
    if (!s) s = make(d, &wanted);
    if (s) s->uses++;
    pthread_mutex_unlock(&d->kernels_lock);
    return s;
}

void ane_cpu_small_drop(cpu_device *d, cpu_small *s) {
    if (!s) return;
    pthread_mutex_lock(&d->kernels_lock);
    if (--s->uses == 0) {
        cpu_small **at = &d->small;
        while (*at != s) at = &(*at)->next;
        *at = s->next;
        release(d, s->slab);
        free(s);
    }
    pthread_mutex_unlock(&d->kernels_lock);
}

void ane_cpu_small_refresh(const cpu_device *d, cpu_small *s) {
    ane_gemv_store(s->format, s->data, s->master, s->rows, s->k, d->threads);
}
