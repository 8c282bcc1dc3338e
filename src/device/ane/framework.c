/* framework.c - see framework.h. */
#include "device/ane/framework.h"

#include "device/emulator.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- libraries ----------------------------------------------------------------------------------------------- */

#ifdef __APPLE__
static bool add_library(ane_framework *fw, const char *path, ane_error *e) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) return ane_fail(e, ANE_ERROR_DEVICE, path, "the library cannot be loaded: %s", dlerror());
    fw->libraries[fw->n_libraries++] = library;
    return true;
}

static const char *const apple_libraries[] = {
    "/usr/lib/libobjc.A.dylib",
    "/System/Library/Frameworks/Foundation.framework/Foundation",
    "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation",
    "/System/Library/Frameworks/IOSurface.framework/IOSurface",
    "/System/Library/PrivateFrameworks/AppleNeuralEngine.framework/AppleNeuralEngine",
};

static bool add_system(ane_framework *fw, ane_error *e) {
    for (size_t i = 0; i < sizeof apple_libraries / sizeof *apple_libraries; i++)
        if (!add_library(fw, apple_libraries[i], e))
            return ane_hint(
                e, "The Neural Engine needs macOS 15 on Apple silicon; use --device cpu elsewhere.");
    return true;
}
#else
static bool add_system(ane_framework *fw, ane_error *e) {
    (void)fw;
    ane_fail(e, ANE_ERROR_UNSUPPORTED, "ane",
        "there is no Neural Engine here: this is not macOS on Apple silicon");
    return ane_hint(
        e, "Use --device cpu, or --device ane:emulator to run the same programs on an emulated one.");
}
#endif

static bool add_emulator(ane_framework *fw, ane_error *e) {
    void *library = ane_emulator_open(e);
    fw->emulated = true;
    if (library) fw->libraries[fw->n_libraries++] = library;
    return library != NULL;
}

/* ---- symbols ------------------------------------------------------------------------------------------------- */

static void *find_symbol(const ane_framework *fw, const char *name) {
    for (int i = 0; i < fw->n_libraries; i++) {
        void *symbol = dlsym(fw->libraries[i], name);
        if (symbol) return symbol;
    }
    return NULL;
}

static bool find_symbols(ane_framework *fw, ane_error *e) {
    const struct {
        void *slot; /* a pointer to a function or to data; memcpy, since C does not convert between the two */
        const char *name;
        bool optional;
    } symbols[] = {
        {&fw->get_class, "objc_getClass", false},
        {&fw->register_selector, "sel_registerName", false},
        {&fw->class_of, "object_getClass", false},
        {&fw->implementation, "class_getMethodImplementation", false},
        {&fw->responds, "class_respondsToSelector", false},
        {&fw->class_name, "class_getName", false},
        {&fw->pool_push, "objc_autoreleasePoolPush", true},
        {&fw->pool_pop, "objc_autoreleasePoolPop", true},
        {&fw->surface_create, "IOSurfaceCreate", false},
        {&fw->surface_lock, "IOSurfaceLock", false},
        {&fw->surface_unlock, "IOSurfaceUnlock", false},
        {&fw->surface_base, "IOSurfaceGetBaseAddress", false},
        {&fw->surface_bytes, "IOSurfaceGetAllocSize", false},
        {&fw->release, "CFRelease", false},
        {&fw->temporary_folder, "NSTemporaryDirectory", false},
        {&fw->surface_key[0], "kIOSurfaceWidth", false},
        {&fw->surface_key[1], "kIOSurfaceHeight", false},
        {&fw->surface_key[2], "kIOSurfaceBytesPerElement", false},
        {&fw->surface_key[3], "kIOSurfaceBytesPerRow", false},
        {&fw->surface_key[4], "kIOSurfaceAllocSize", false},
        {&fw->surface_key[5], "kIOSurfacePixelFormat", false},
        {&fw->configure, "anemone_emulator_configure", !fw->emulated},
        {&fw->message, "anemone_emulator_message", !fw->emulated},
        {&fw->describe, "anemone_emulator_describe", !fw->emulated},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *found = find_symbol(fw, symbols[i].name);
        if (!found && !symbols[i].optional)
            return ane_fail(e, ANE_ERROR_DEVICE, "ane", "Apple's libraries have no function %s",
                       symbols[i].name) ||
                   ane_hint(e, "This system is newer or older than those known; please report its version.");
        memcpy(symbols[i].slot, &found, sizeof found);
    }
    return true;
}

/* ---- opening ------------------------------------------------------------------------------------------------- */

static bool configure(const ane_framework *fw, const char *settings, ane_error *e) {
    const char *environment = getenv("ANEMONE_EMULATOR");
    char text[2048];
    bool both = environment && *environment && *settings;
    int n = snprintf(text, sizeof text, "%s%s%s", environment ? environment : "", both ? "," : "", settings);
    if (n < 0 || (size_t)n >= sizeof text)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "ane:emulator", "the settings are longer than %zu characters",
            sizeof text - 1);
    return fw->configure(text) || ane_fail(e, ANE_ERROR_ARGUMENT, "ane:emulator", "%s", fw->message());
}

bool ane_framework_open(ane_framework *fw, const char *emulator, ane_error *e) {
    *fw = (ane_framework){0};
    if (!(emulator ? add_emulator(fw, e) : add_system(fw, e)) || !find_symbols(fw, e)) return false;
    return !emulator || configure(fw, emulator, e);
}
