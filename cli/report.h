/* report.h - the one place where the program speaks about errors. */
#ifndef ANEMONE_CLI_REPORT_H
#define ANEMONE_CLI_REPORT_H

#include "anemone/error.h"

#include <stdint.h>
#include <stdio.h>

/* "anemone: WHERE: MESSAGE" and a line with the hint, on stderr; coloured on a terminal unless NO_COLOR is
 * set. */
void cli_report(const ane_error *e);
/* "anemone: warning: TEXT" on stderr. */
void cli_warn(const char *text);
/* Is `f` a terminal on which a line can be drawn again? */
bool cli_draws(FILE *f);
/* A line drawn again: "[=====>   ] 3/12  " and `text`, cut off at the terminal's edge. */
void cli_draw_bar(FILE *f, int64_t done, int64_t total, const char *text);

#endif
