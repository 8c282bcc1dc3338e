/* convert_program.h - `anemone convert` between MIL text and Core ML packages. */
#ifndef ANEMONE_CLI_CONVERT_PROGRAM_H
#define ANEMONE_CLI_CONVERT_PROGRAM_H

#include "cli/options.h"

/* True for names of programs: they end in .mil or .mlpackage. */
bool cli_is_program(const char *path);
/* The command's two words, both names of programs. Returns an exit status. */
int cli_convert_program(const cli_args *args, ane_error *e);

#endif
