/* counts.c - what a device has done. */
#include "device/device_impl.h"

#include <stdio.h>
#include <string.h>

/* a += sign * b, part by part; `modelled` is a property, not a sum. */
static void add(ane_device_counts *a, const ane_device_counts *b, int sign) {
    a->runs += sign * b->runs;
    a->surface_bytes += sign * b->surface_bytes;
    a->copied_bytes += sign * b->copied_bytes;
    a->compiles += sign * b->compiles;
    a->loads += sign * b->loads;
    a->evictions += sign * b->evictions;
    a->retries += sign * b->retries;
    a->cache_hits += sign * b->cache_hits;
    a->cache_misses += sign * b->cache_misses;
    a->cache_failures += sign * b->cache_failures;
    a->flops += sign * b->flops;
    a->device_ms += sign * b->device_ms;
    a->modelled |= b->modelled;
    a->staging_ms += sign * b->staging_ms;
    a->copying_ms += sign * b->copying_ms;
    a->compiling_ms += sign * b->compiling_ms;
    a->evaluating_ms += sign * b->evaluating_ms;
}

void ane_device_count(ane_device *d, const ane_device_counts *more) {
    pthread_mutex_lock(&d->counts_lock);
    add(&d->counts, more, 1);
    pthread_mutex_unlock(&d->counts_lock);
}

ane_device_counts ane_device_counts_get(ane_device *d) {
    pthread_mutex_lock(&d->counts_lock);
    ane_device_counts counts = d->counts;
    pthread_mutex_unlock(&d->counts_lock);
    if (d->ops->counts) d->ops->counts(d, &counts);
    return counts;
}

ane_device_counts ane_device_counts_since(const ane_device_counts *later, const ane_device_counts *earlier) {
    ane_device_counts difference = *later;
    add(&difference, earlier, -1);
    return difference;
}

void ane_device_note(void *device, const char *text) {
    ane_device *d = device;
    pthread_mutex_lock(&d->counts_lock);
    if (d->n_notices == ANE_NOTICES)
        memmove(d->notices, d->notices + 1, sizeof *d->notices * (size_t)--d->n_notices);
    snprintf(d->notices[d->n_notices++], sizeof *d->notices, "%s", text);
    pthread_mutex_unlock(&d->counts_lock);
}

bool ane_device_take_notice(ane_device *d, char *text, size_t size) {
    pthread_mutex_lock(&d->counts_lock);
    bool any = d->n_notices > 0;
    if (any) {
        snprintf(text, size, "%s", d->notices[0]);
        memmove(d->notices, d->notices + 1, sizeof *d->notices * (size_t)--d->n_notices);
    }
    pthread_mutex_unlock(&d->counts_lock);
    return any;
}
