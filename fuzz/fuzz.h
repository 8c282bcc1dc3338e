/* fuzz.h - what the fuzz targets share. Each target hands hostile bytes to one parser; what it accepts must
 * then behave. */
#ifndef ANEMONE_FUZZ_FUZZ_H
#define ANEMONE_FUZZ_FUZZ_H

#include "anemone/error.h"

#include <stddef.h>
#include <stdint.h>

/* The input as a file called `name`, for parsers that take a path; the path, good until the next call. */
const char *fuzz_file(const char *name, const uint8_t *data, size_t size);
/* The private folder that these files lie in. */
const char *fuzz_folder(void);
/* A parser either succeeds or reports; anything else stops the fuzzer. */
void fuzz_report_is(bool succeeded, const ane_error *e);
/* Stop the fuzzer, saying why, unless `truth`. */
void fuzz_assert(bool truth, const char *why);

#endif
