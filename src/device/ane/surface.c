/* surface.c - see surface.h. */
#include "device/ane/surface.h"

#include "device/ane/foundation.h"

#include <stdlib.h>
#include <string.h>

enum { LOCK_READ_ONLY = 1 };

/* One row of bytes: what everybody in the field uses. The order is that of ane_framework.surface_key. */
static objc_id properties(const ane_framework *fw, size_t bytes, ane_error *e) {
    const uint64_t numbers[ANE_SURFACE_KEYS] = {bytes, 1, 1, bytes, bytes, 0};
    objc_id keys[ANE_SURFACE_KEYS], values[ANE_SURFACE_KEYS];
    for (int i = 0; i < ANE_SURFACE_KEYS; i++) {
        keys[i] = *fw->surface_key[i];
        values[i] = ane_ns_number(fw, numbers[i], e);
    }
    return ane_ns_dictionary(fw, keys, values, ANE_SURFACE_KEYS, e);
}

static bool make(ane_surface *s, ane_error *e) {
    const ane_framework *fw = s->fw;
    objc_id wanted = properties(fw, s->bytes, e);
    if (!wanted) return false;
    s->surface = fw->surface_create(wanted);
    if (!s->surface)
        return ane_fail(
                   e, ANE_ERROR_DEVICE, "surface", "no IOSurface of %zu bytes could be made", s->bytes) ||
               ane_hint(e, "Memory may be short: use a smaller batch, or close other programs.");
    size_t bytes = fw->surface_bytes(s->surface);
    if (bytes < s->bytes || !fw->surface_base(s->surface))
        return ane_fail(e, ANE_ERROR_DEVICE, "surface",
            "an IOSurface of %zu bytes was asked for, one of %zu came", s->bytes, bytes);
    ane_message m;
    if (!ane_message_find(fw, ane_class(fw, "_ANEIOSurfaceObject", e), "objectWithIOSurface:", &m, e))
        return false;
    s->object = ane_retain(fw, ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id), s->surface));
    return s->object || ane_fail(e, ANE_ERROR_DEVICE, "surface",
                            "the framework does not take an IOSurface of %zu bytes", s->bytes);
}

ane_surface *ane_surface_new(const ane_framework *fw, size_t bytes, ane_error *e) {
    ane_surface *s = calloc(1, sizeof *s);
    if (!s) {
        ane_fail(e, ANE_ERROR_MEMORY, "surface", "no memory for a surface");
        return NULL;
    }
    s->fw = fw;
    s->bytes = bytes;
    void *pool = ane_pool_push(fw);
    bool ok = make(s, e);
    ane_pool_pop(fw, pool);
    void *base = ok ? ane_surface_lock(s, false, e) : NULL;
    if (base) memset(base, 0, bytes);
    if (base && ane_surface_unlock(s, false, e)) return s;
    ane_surface_free(s);
    return NULL;
}

void ane_surface_free(ane_surface *s) {
    if (!s) return;
    ane_release(s->fw, s->object);
    if (s->surface) s->fw->release(s->surface);
    free(s);
}

void *ane_surface_lock(ane_surface *s, bool read_only, ane_error *e) {
    int status = s->fw->surface_lock(s->surface, read_only ? LOCK_READ_ONLY : 0, NULL);
    if (status == 0) return s->fw->surface_base(s->surface);
    ane_fail(e, ANE_ERROR_DEVICE, "surface", "an IOSurface of %zu bytes cannot be locked: status %#x",
        s->bytes, (unsigned)status);
    return NULL;
}

bool ane_surface_unlock(ane_surface *s, bool read_only, ane_error *e) {
    int status = s->fw->surface_unlock(s->surface, read_only ? LOCK_READ_ONLY : 0, NULL);
    return status == 0 ||
           ane_fail(e, ANE_ERROR_DEVICE, "surface",
               "an IOSurface of %zu bytes cannot be unlocked: status %#x", s->bytes, (unsigned)status);
}
