#include "train/paths.h"

#include <stdarg.h>
#include <stdio.h>

bool ane_path_set(ane_path *path, ane_error *e, const char *format, ...) {
    va_list args;
    va_start(args, format);
    /* cppcheck-suppress ctuuninitvar; written here, whatever it holds */
    int n = vsnprintf(path->text, sizeof path->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof path->text) return true;
    return ane_fail(e, ANE_ERROR_ARGUMENT, path->text, "The path is too long: at most %d bytes are taken.",
        ANE_PATH_BYTES - 1);
}
