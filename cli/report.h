/* report.h - the one place where the program speaks about errors. */
#ifndef ANEMONE_CLI_REPORT_H
#define ANEMONE_CLI_REPORT_H

#include "anemone/error.h"

#include <stdio.h>

/* "anemone: WHERE: MESSAGE" and a line with the hint, on stderr; coloured on a terminal unless NO_COLOR is
 * set. */
void cli_report(const ane_error *e);
/* "anemone: warning: TEXT" on stderr. */
void cli_warn(const char *text);
/* May `f` be sent colours? */
bool cli_colours(FILE *f);

#endif
