/* Finding the emulator. */
#include "device/emulator.h"
#include "base/file.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char library[] = "libanemone_emulator.so";

/* Where it was built, where it was installed. */
static bool beside_program(char *path, size_t size) {
    static const char *const places[] = {"", "/..", "/../lib", "/../lib/anemone"};
    char folder[1024];
    ssize_t n = readlink("/proc/self/exe", folder, sizeof folder - 1);
    if (n <= 0) return false;
    folder[n] = 0;
    char *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int length = snprintf(path, size, "%s%s/%s", folder, places[i], library);
        if (length > 0 && (size_t)length < size && ane_path_exists(path)) return true;
    }
    return false;
}

void *ane_emulator_open(ane_error *e) {
    const char *given = getenv("ANEMONE_EMULATOR_LIBRARY");
    char found[1200];
    const char *path = given && *given ? given : beside_program(found, sizeof found) ? found : library;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle) return handle;
    ane_fail(e, ANE_ERROR_DEVICE, "emulator", "the emulator cannot be loaded: %s", dlerror());
    ane_hint(
        e, "build it (scripts/setup --emulator installs GNUstep), or name it in ANEMONE_EMULATOR_LIBRARY");
    return NULL;
}
