/* surface.h - memory that the engine and the host share: an IOSurface and the object that stands for it in requests. */
#ifndef ANEMONE_DEVICE_ANE_SURFACE_H
#define ANEMONE_DEVICE_ANE_SURFACE_H

#include "device/ane/objc.h"

typedef struct ane_surface {
    const ane_framework *fw;
    objc_id surface, object; /* IOSurface, _ANEIOSurfaceObject */
    size_t bytes;
} ane_surface;

/* Zeroed. NULL on failure. */
ane_surface *ane_surface_new(const ane_framework *fw, size_t bytes, ane_error *e);
void ane_surface_free(ane_surface *s); /* NULL is fine */
/* Its memory, until unlocked with the same `read_only`; NULL on failure. */
void *ane_surface_lock(ane_surface *s, bool read_only, ane_error *e);
bool ane_surface_unlock(ane_surface *s, bool read_only, ane_error *e);

#endif
