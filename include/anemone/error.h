/* error.h - how anemone reports what went wrong.
 *
 * Every function that can fail returns `bool` (false on failure) or a pointer (NULL on failure) and takes an
 * `ane_error *` as its last parameter. The library never prints, never exits and never aborts on bad input.
 */
#ifndef ANEMONE_ERROR_H
#define ANEMONE_ERROR_H

#include <stdbool.h>

#if defined(__GNUC__)
#define ANE_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
#else
#define ANE_PRINTF(format_index, first_argument)
#endif

/* What kind of failure. The kind decides what a program may do about it; the text is for people. */
typedef enum ane_code {
    ANE_OK = 0,
    ANE_ERROR_ARGUMENT,    /* a call or an option is wrong: sizes, names, combinations */
    ANE_ERROR_IO,          /* the operating system said no: open, read, write, disk full */
    ANE_ERROR_FORMAT,      /* a file or a text does not say what its format demands */
    ANE_ERROR_MEMORY,      /* an allocation failed */
    ANE_ERROR_SHAPE,       /* shapes do not fit each other */
    ANE_ERROR_TYPE,        /* element types do not fit each other or the operation */
    ANE_ERROR_UNSUPPORTED, /* understood, but this build, device or operation cannot do it */
    ANE_ERROR_DEVICE,      /* the device or its framework failed */
    ANE_ERROR_NUMERIC,     /* NaN or infinity where a number was needed */
    ANE_ERROR_INTERRUPTED, /* stopped on request */
    ANE_ERROR_EXHAUSTED,   /* this process has used up what the system gives it; a new process can go on */
} ane_code;

/* A report. All strings are complete sentences or empty; nothing in it needs freeing. */
typedef struct ane_error {
    ane_code code;
    char where[256];   /* file, file:line:column, or the thing concerned; may be empty */
    char message[640]; /* what was expected and what was found */
    char hint[320];    /* what to do about it; may be empty */
} ane_error;

/* Fill in `e` and return false, so that callers write `return ane_fail(e, ...)`. The first report is kept: a call
 * on an `e` that already holds one changes nothing. `e` may be NULL. `where` may be NULL. */
bool ane_fail(ane_error *e, ane_code code, const char *where, const char *format, ...) ANE_PRINTF(4, 5);

/* Add what to do to the report in `e` unless it has a hint already. Returns false. */
bool ane_hint(ane_error *e, const char *format, ...) ANE_PRINTF(2, 3);

/* Put `where` into the report in `e` unless it has a place already; for callers that know the file's name. Returns
 * false. */
bool ane_at(ane_error *e, const char *where);

/* Forget the report. An ane_error must start as zero: `ane_error e = {0};` */
void ane_error_clear(ane_error *e);

/* The code's name, for example "io". Static storage. */
const char *ane_code_name(ane_code code);

/* Static analysers see one file at a time: tell them that these return false. */
#if defined(__clang_analyzer__) && !defined(ANEMONE_ERROR_IMPLEMENTATION)
#define ane_fail(...) (ane_fail(__VA_ARGS__), false)
#define ane_hint(...) (ane_hint(__VA_ARGS__), false)
#define ane_at(...) (ane_at(__VA_ARGS__), false)
#endif

#endif
