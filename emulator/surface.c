/* IOSurface and the little of CoreFoundation that goes with it. As on macOS, an IOSurface is an object. */
#include "emulator/classes.h"
#include "emulator/state.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 16384 }; /* Apple silicon's */
/* IOKit's return codes. */
enum { CANNOT_LOCK = (int)0xe00002cc, NOT_LOCKED = (int)0xe00002cd, BAD_ARGUMENT = (int)0xe00002c2 };

typedef struct em_surface {
    Class isa;
    void *base;
    size_t size, width, height, row_bytes, element_bytes;
    uint32_t pixel_format, identity;
    atomic_int locks, uses;
    atomic_uint seed;
} em_surface;

EM_EXPORT id kIOSurfaceWidth, kIOSurfaceHeight, kIOSurfaceBytesPerElement, kIOSurfaceBytesPerRow,
    kIOSurfaceAllocSize, kIOSurfacePixelFormat, kIOSurfaceIsGlobal, kIOSurfaceOffset, kIOSurfaceCacheMode,
    kIOSurfaceElementWidth, kIOSurfaceElementHeight, kIOSurfaceName;

void em_surface_start(void);
void em_surface_start(void) {
    const struct {
        id *constant;
        const char *text;
    } constants[] = {
        {&kIOSurfaceWidth, "IOSurfaceWidth"},
        {&kIOSurfaceHeight, "IOSurfaceHeight"},
        {&kIOSurfaceBytesPerElement, "IOSurfaceBytesPerElement"},
        {&kIOSurfaceBytesPerRow, "IOSurfaceBytesPerRow"},
        {&kIOSurfaceAllocSize, "IOSurfaceAllocSize"},
        {&kIOSurfacePixelFormat, "IOSurfacePixelFormat"},
        {&kIOSurfaceIsGlobal, "IOSurfaceIsGlobal"},
        {&kIOSurfaceOffset, "IOSurfaceOffset"},
        {&kIOSurfaceCacheMode, "IOSurfaceCacheMode"},
        {&kIOSurfaceElementWidth, "IOSurfaceElementWidth"},
        {&kIOSurfaceElementHeight, "IOSurfaceElementHeight"},
        {&kIOSurfaceName, "IOSurfaceName"},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        *constants[i].constant = em_string_new(constants[i].text);
}

static void count_surface(anemone_emulator_counts *counts, const void *change) {
    counts->surfaces += *(const int *)change;
}

static size_t property(id properties, id key, size_t otherwise) {
    id number = em_get_object(properties, key);
    return number ? (size_t)em_number_value(number) : otherwise;
}

EM_EXPORT id IOSurfaceCreate(id properties);
id IOSurfaceCreate(id properties) {
    static atomic_uint identities;
    if (em_state_enter(EM_STAGE_SURFACE, NULL) != EM_FAULT_NONE || !properties) return nil;
    size_t width = property(properties, kIOSurfaceWidth, 0),
           height = property(properties, kIOSurfaceHeight, 0);
    size_t element = property(properties, kIOSurfaceBytesPerElement, 1);
    size_t row = property(properties, kIOSurfaceBytesPerRow, 0),
           size = property(properties, kIOSurfaceAllocSize, 0);
    if (width == 0 || height == 0 || element == 0 || width > SIZE_MAX / element) return nil;
    if (row == 0) row = width * element;
    if (row < width * element || height > SIZE_MAX / row) return nil;
    if (size == 0) size = row * height;
    if (size < row * height || size > SIZE_MAX - PAGE) return nil;
    void *base = NULL;
    if (posix_memalign(&base, PAGE, (size + PAGE - 1) / PAGE * PAGE) != 0) return nil;
    memset(base, 0, (size + PAGE - 1) / PAGE * PAGE);
    em_surface *s = (em_surface *)em_alloc(em_class("IOSurface"));
    s->base = base;
    s->size = size;
    s->width = width;
    s->height = height;
    s->row_bytes = row;
    s->element_bytes = element;
    s->pixel_format = (uint32_t)property(properties, kIOSurfacePixelFormat, 0);
    s->identity = atomic_fetch_add(&identities, 1) + 1;
    em_state_count(count_surface, &(int){1});
    return (id)s;
}

static void surface_dealloc(em_surface *s, SEL selector) {
    (void)selector;
    if (s->base) em_state_count(count_surface, &(int){-1});
    free(s->base);
    em_super_dealloc((id)s);
}

EM_EXPORT int IOSurfaceLock(em_surface *s, uint32_t options, uint32_t *seed);
int IOSurfaceLock(em_surface *s, uint32_t options, uint32_t *seed) {
    if (!s) return BAD_ARGUMENT;
    (void)options;
    if (em_state_enter(EM_STAGE_LOCK, NULL) != EM_FAULT_NONE) return CANNOT_LOCK;
    atomic_fetch_add(&s->locks, 1);
    if (seed) *seed = atomic_load(&s->seed);
    return 0;
}

EM_EXPORT int IOSurfaceUnlock(em_surface *s, uint32_t options, uint32_t *seed);
int IOSurfaceUnlock(em_surface *s, uint32_t options, uint32_t *seed) {
    enum { READ_ONLY = 1 };
    if (!s) return BAD_ARGUMENT;
    if (atomic_fetch_sub(&s->locks, 1) <= 0) {
        atomic_fetch_add(&s->locks, 1);
        return NOT_LOCKED;
    }
    if (!(options & READ_ONLY)) atomic_fetch_add(&s->seed, 1);
    if (seed) *seed = atomic_load(&s->seed);
    return 0;
}

#define GETTER(type, name, value)                                                                            \
    EM_EXPORT type name(em_surface *s);                                                                      \
    type name(em_surface *s) {                                                                               \
        return s ? value : 0;                                                                                \
    }
GETTER(void *, IOSurfaceGetBaseAddress, s->base)
GETTER(size_t, IOSurfaceGetAllocSize, s->size)
GETTER(size_t, IOSurfaceGetWidth, s->width)
GETTER(size_t, IOSurfaceGetHeight, s->height)
GETTER(size_t, IOSurfaceGetBytesPerRow, s->row_bytes)
GETTER(size_t, IOSurfaceGetBytesPerElement, s->element_bytes)
GETTER(uint32_t, IOSurfaceGetPixelFormat, s->pixel_format)
GETTER(uint32_t, IOSurfaceGetID, s->identity)
GETTER(uint32_t, IOSurfaceGetSeed, atomic_load(&s->seed))
GETTER(int32_t, IOSurfaceGetUseCount, atomic_load(&s->uses))
GETTER(unsigned char, IOSurfaceIsInUse, atomic_load(&s->uses) > 0)
#undef GETTER

EM_EXPORT void IOSurfaceIncrementUseCount(em_surface *s);
void IOSurfaceIncrementUseCount(em_surface *s) {
    if (s) atomic_fetch_add(&s->uses, 1);
}

EM_EXPORT void IOSurfaceDecrementUseCount(em_surface *s);
void IOSurfaceDecrementUseCount(em_surface *s) {
    if (s) atomic_fetch_sub(&s->uses, 1);
}

/* An event that only carries a value: fences between GPU and ANE are recorded not to work for MIL models. */
EM_EXPORT id IOSurfaceSharedEventCreate(void);
id IOSurfaceSharedEventCreate(void) {
    return em_alloc(em_class("IOSurfaceSharedEvent"));
}

EM_EXPORT id CFRetain(id object);
id CFRetain(id object) {
    return em_retain(object);
}

EM_EXPORT void CFRelease(id object);
void CFRelease(id object) {
    em_release(object);
}

bool em_surface_memory(id wrapper, em_memory *memory) {
    id surface = em_is_kind_of(wrapper, "_ANEIOSurfaceObject") ? em_surface_of_wrapper(wrapper) : wrapper;
    if (!em_is_kind_of(surface, "IOSurface")) return false;
    *memory = (em_memory){((em_surface *)surface)->base, ((em_surface *)surface)->size};
    return true;
}

static const em_ivar surface_ivars[] = {
    EM_IVAR(em_surface, "_base", "^v", base),
    EM_IVAR(em_surface, "_size", "Q", size),
    EM_IVAR(em_surface, "_width", "Q", width),
    EM_IVAR(em_surface, "_height", "Q", height),
    EM_IVAR(em_surface, "_rowBytes", "Q", row_bytes),
    EM_IVAR(em_surface, "_elementBytes", "Q", element_bytes),
    EM_IVAR(em_surface, "_pixelFormat", "I", pixel_format),
    EM_IVAR(em_surface, "_identity", "I", identity),
    EM_IVAR(em_surface, "_locks", "i", locks),
    EM_IVAR(em_surface, "_uses", "i", uses),
    EM_IVAR(em_surface, "_seed", "I", seed),
    {0},
};

static size_t surface_allocation(em_surface *s, SEL selector) {
    (void)selector;
    return s->size;
}

static void *surface_base(em_surface *s, SEL selector) {
    (void)selector;
    return s->base;
}

static const em_method surface_methods[] = {
    EM_METHOD("dealloc", surface_dealloc, "v@:"),
    EM_METHOD("allocationSize", surface_allocation, "Q@:"),
    EM_METHOD("baseAddress", surface_base, "^v@:"),
    {0},
};

const em_class_info em_surface_classes[] = {
    {"IOSurface", surface_ivars, surface_methods},
    {"IOSurfaceSharedEvent", NULL, NULL},
    {0},
};
