/* program.h - what the commands on MIL files share. */
#ifndef ANEMONE_CLI_PROGRAM_H
#define ANEMONE_CLI_PROGRAM_H

#include "anemone/mil.h"
#include "cli/options.h"

/* Rows of an option table. */
#define CLI_FUNCTION_OPTION                                                                                  \
    {                                                                                                        \
        .name = "function", .kind = CLI_STRING, .value = "NAME",                                             \
        .help = "which function (default: the only one, or main)"                                            \
    }

/* Parse and verify the command's first argument: MIL text, or a Core ML package. With `weights`, read its BLOBFILE constants from that
 * folder, or from the one that the program lies in when --weights is not given. */
mil_program *cli_read_program(const cli_args *args, bool weights, ane_error *e);
/* --function of `p`; reports the known names when there is none of that one. */
mil_function *cli_find_function(const cli_args *args, const mil_program *p, ane_error *e);

#endif
