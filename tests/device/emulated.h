/* emulated.h - tests of the Neural Engine device on the emulated framework, where that was built. */
#ifndef ANEMONE_TESTS_EMULATED_H
#define ANEMONE_TESTS_EMULATED_H

#include "support/support.h"

#include "anemone/device.h"

#include <stdio.h>
#include <string.h>

/* "ane:emulator,threads=1[,options]" opened; skips the test where there is no emulator, fails it on other errors. */
static inline ane_device *open_emulated(const char *options) {
    char spec[512];
    ane_error e = {0};
    snprintf(spec, sizeof spec, "ane:emulator,threads=1%s%s", *options ? "," : "", options);
    ane_device *d = ane_device_open(spec, &e);
    if (!d && strstr(e.message, "cannot be loaded")) {
        print_message("%s; %s\n", e.message, e.hint);
        skip();
    }
    assert_ok(d != NULL, &e);
    return d;
}

#endif
