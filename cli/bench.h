/* bench.h - running a benchmark of the table, for the commands that do. */
#ifndef ANEMONE_CLI_BENCH_H
#define ANEMONE_CLI_BENCH_H

#include "cli/options.h"

/* Rows of an option table, beside CLI_DEVICE_OPTIONS. */
#define CLI_BENCH_OPTIONS                                                                                    \
    {.name = "out",                                                                                          \
        .letter = 'o',                                                                                       \
        .kind = CLI_PATH,                                                                                    \
        .value = "FILE",                                                                                     \
        .help = "keep the results here, after every case; what is there already is not measured again"},     \
        {.name = "json", .kind = CLI_FLAG, .help = "print the results file instead of tables"},              \
        {.name = "recorded",                                                                                 \
            .kind = CLI_FLAG,                                                                                \
            .help = "print what others have recorded beside it, a column for each machine"},                 \
        {.name = "compare",                                                                                  \
            .kind = CLI_PATH,                                                                                \
            .value = "FILE",                                                                                 \
            .help = "print what changed since these earlier results, and whether that is noise"},            \
        {.name = "quick", .kind = CLI_FLAG, .help = "only cases that take a moment, briefly"},               \
        {.name = "case",                                                                                     \
            .kind = CLI_STRING,                                                                              \
            .value = "TEXT",                                                                                 \
            .help = "only cases whose name contains this"},                                                  \
        {.name = "time",                                                                                     \
            .kind = CLI_FLOAT,                                                                               \
            .value = "S",                                                                                    \
            CLI_BETWEEN(0.001, 86400),                                                                       \
            .help = "seconds of repetitions for each case (default: 2; quick: 0.3)"},                        \
    {                                                                                                        \
        .name = "ci", .kind = CLI_FLOAT, .value = "PERCENT", .fallback = "2", CLI_BETWEEN(0.001, 100),       \
        .help = "or fewer, when half the 95 % confidence interval of the median is below this"               \
    }

/* For a command that times one thing of its own kind as well: options of `own` (ended by NULL) ask for `one`, without any
 * it is the benchmark `name` that runs. Returns the exit status. */
int cli_bench_one_or_run(const cli_args *args, const char *name, const char *const *own,
    int (*one)(const cli_args *args, ane_error *e), ane_error *e);

#endif
