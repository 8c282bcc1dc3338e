/* framework.h - Apple's libraries, or the emulator that stands for them, reached by dlopen: one table of functions. */
#ifndef ANEMONE_DEVICE_ANE_FRAMEWORK_H
#define ANEMONE_DEVICE_ANE_FRAMEWORK_H

#include "anemone/error.h"

#include <stddef.h>
#include <stdint.h>

typedef void *objc_id;
typedef void *objc_selector;
typedef void *objc_class;
typedef void (*objc_function)(void);
/* Objective-C's BOOL. Read it through ane_is_yes: its size is all that a caller may assume. */
#if defined(__APPLE__) && !defined(__aarch64__)
typedef signed char objc_bool;
#elif defined(__APPLE__)
typedef _Bool objc_bool;
#else
typedef unsigned char objc_bool;
#endif

enum { ANE_MOST_LIBRARIES = 5, ANE_SURFACE_KEYS = 6 };

typedef struct ane_framework {
    bool emulated;
    int n_libraries;
    void *libraries[ANE_MOST_LIBRARIES]; /* stay loaded: classes cannot be taken back */
    objc_class (*get_class)(const char *name);
    objc_selector (*register_selector)(const char *name);
    objc_class (*class_of)(objc_id object);
    objc_function (*implementation)(objc_class class, objc_selector selector);
    objc_bool (*responds)(objc_class class, objc_selector selector);
    const char *(*class_name)(objc_class class);
    void *(*pool_push)(void); /* NULL on GNUstep: NSAutoreleasePool then */
    void (*pool_pop)(void *pool);
    objc_id (*surface_create)(objc_id properties);
    int (*surface_lock)(objc_id surface, uint32_t options, uint32_t *seed);
    int (*surface_unlock)(objc_id surface, uint32_t options, uint32_t *seed);
    void *(*surface_base)(objc_id surface);
    size_t (*surface_bytes)(objc_id surface);
    void (*release)(const void *object); /* CFRelease */
    objc_id (*temporary_folder)(void);
    objc_id
        *surface_key[ANE_SURFACE_KEYS]; /* width, height, bytes per element, bytes per row, size, format */
    /* the emulator's own; NULL on a Mac */
    bool (*configure)(const char *settings);
    const char *(*message)(void);
    char *(*describe)(void);
} ane_framework;

/* On macOS the system's; `emulator` NULL. With `emulator` the emulator, set up by that text ("chip=m4,...") behind
 * what the environment variable ANEMONE_EMULATOR says. */
bool ane_framework_open(ane_framework *fw, const char *emulator, ane_error *e);

#endif
