/* decimal.c - see decimal.h. This thread takes the locale "C" for the time of the call. */
#include "base/decimal.h"

#include <locale.h>
#include <stdlib.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

typedef struct plain {
    locale_t own, before;
} plain;

/* Without memory for a locale (glibc and musl need none) that of the program stays. */
static plain begin(void) {
    plain p = {newlocale(LC_ALL_MASK, "C", (locale_t)0), (locale_t)0};
    if (p.own) p.before = uselocale(p.own);
    return p;
}

static void end(plain p) {
    if (!p.own) return;
    uselocale(p.before);
    freelocale(p.own);
}

int ane_print_list(char *text, size_t size, const char *format, va_list list) {
    plain p = begin();
    int n = vsnprintf(text, size, format, list);
    end(p);
    return n;
}

int ane_print(char *text, size_t size, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int n = ane_print_list(text, size, format, list);
    va_end(list);
    return n;
}

int ane_print_file(FILE *file, const char *format, va_list list) {
    plain p = begin();
    int n = vfprintf(file, format, list);
    end(p);
    return n;
}

double ane_read_decimal(const char *text, char **rest) {
    plain p = begin();
    double x = strtod(text, rest);
    end(p);
    return x;
}
