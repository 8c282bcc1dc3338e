/* support.h - what tests share. Include it instead of cmocka.h: it brings the headers that cmocka wants. */
#ifndef ANEMONE_TESTS_SUPPORT_H
#define ANEMONE_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "anemone/error.h"

/* Fail the test, printing the report, unless `ok`. */
#define assert_ok(ok, error)                                                                                 \
    do {                                                                                                     \
        if (!(ok)) fail_msg("%s: %s (%s)", (error)->where, (error)->message, (error)->hint);                 \
    } while (0)

/* The report must have this code and its message (or place, or hint) must contain `part`. Clears it. */
void assert_error(ane_error *e, ane_code code, const char *part);

/* A fresh private folder, removed when the test program ends. */
const char *test_folder(void);
/* "<root>/../shared/data/NAME", or NULL when it is not there: then skip(). */
const char *shared_data(const char *name);
/* "<root>/tests/data/NAME" */
const char *test_data(const char *name);

/* The program's numbers get commas, as in Germany: a locale of the machine, else one that localedef makes. False, with a
 * message, where there is neither: then skip(). */
bool comma_locale(void);
void plain_locale(void); /* back to "C" */

/* |a - b| <= tolerance * max(1, |b|) for all; reports the worst index otherwise. */
void assert_close(const float *a, const float *b, int64_t n, double tolerance);

#endif
