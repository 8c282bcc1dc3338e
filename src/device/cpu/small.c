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

static cpu_small *make(cpu_device *d, const cpu_small *wanted) {
    cpu_small *s = malloc(sizeof *s);
    if (!s) return NULL;
    *s = *wanted;
    s->data = ane_cpu_slab_take(d, ane_gemv_bytes(s->format, s->rows, s->k), &s->slab);
    if (!s->data) {
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
        ane_cpu_slab_drop(d, s->slab);
        free(s);
    }
    pthread_mutex_unlock(&d->kernels_lock);
}

void ane_cpu_small_refresh(const cpu_device *d, cpu_small *s) {
    ane_gemv_store(s->format, s->data, s->master, s->rows, s->k, d->threads);
}
