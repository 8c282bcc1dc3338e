#include "cli/commands.h"

static int run(const cli_args *args, ane_error *e) {
    (void)args, (void)e;
    puts("anemone " ANEMONE_VERSION);
    return CLI_OK;
}

static const cli_option options[] = {{0}};

const cli_command cli_version = {
    .name = "version",
    .summary = "the program's version",
    .synopsis = (const char *const[]){"", NULL},
    .description = "Prints the version. \"anemone info\" tells more: device, libraries, measured peak.",
    .options = options,
    .examples = (const char *const[]){"anemone version", "for example, in a bug report", NULL},
    .run = run,
};
