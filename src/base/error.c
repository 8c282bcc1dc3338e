#define ANEMONE_ERROR_IMPLEMENTATION
#include "anemone/error.h"

#include "base/decimal.h"

#include <stdarg.h>
#include <stdio.h>

bool ane_fail(ane_error *e, ane_code code, const char *where, const char *format, ...) {
    if (!e || e->code != ANE_OK) return false;
    e->code = code;
    if (where && !e->where[0]) snprintf(e->where, sizeof e->where, "%s", where);
    va_list args;
    va_start(args, format);
    ane_print_list(e->message, sizeof e->message, format, args);
    va_end(args);
    return false;
}

bool ane_hint(ane_error *e, const char *format, ...) {
    if (!e || e->code == ANE_OK || e->hint[0]) return false;
    va_list args;
    va_start(args, format);
    ane_print_list(e->hint, sizeof e->hint, format, args);
    va_end(args);
    return false;
}

bool ane_at(ane_error *e, const char *where) {
    if (e && e->code != ANE_OK && !e->where[0]) snprintf(e->where, sizeof e->where, "%s", where);
    return false;
}

void ane_error_clear(ane_error *e) {
    if (e) *e = (ane_error){0};
}

const char *ane_code_name(ane_code code) {
    static const char *const names[] = {"ok", "argument", "io", "format", "memory", "shape", "type",
        "unsupported", "device", "numeric", "interrupted", "exhausted"};
    return (unsigned)code < sizeof names / sizeof *names ? names[code] : "unknown";
}
