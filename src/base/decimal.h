/* decimal.h - numbers as text, with a point for the decimal point whatever locale the program that uses the library has set.
 * What holds a fraction and goes to a file, or comes from one, goes through here. */
#ifndef ANEMONE_BASE_DECIMAL_H
#define ANEMONE_BASE_DECIMAL_H

#include "anemone/error.h"

#include <stdarg.h>
#include <stdio.h>

/* snprintf, vsnprintf, vfprintf */
int ane_print(char *text, size_t size, const char *format, ...) ANE_PRINTF(3, 4);
int ane_print_list(char *text, size_t size, const char *format, va_list list) ANE_PRINTF(3, 0);
int ane_print_file(FILE *file, const char *format, va_list list) ANE_PRINTF(2, 0);

/* strtod */
double ane_read_decimal(const char *text, char **end);

#endif
