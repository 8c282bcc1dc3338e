/* options.h - what the program understands, as tables.
 *
 * A command is one row of the table in main.c; its options are one table in its own file. Parsing, --help,
 * the man page and the shell completions are all made from these tables, so they cannot disagree.
 */
#ifndef ANEMONE_CLI_OPTIONS_H
#define ANEMONE_CLI_OPTIONS_H

#include "anemone/error.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

typedef enum cli_kind {
    CLI_HEADING, /* no option: the title of those that follow */
    CLI_FLAG,    /* takes no value */
    CLI_STRING,
    CLI_PATH,   /* a string for which shells complete file names */
    CLI_CHOICE, /* one of `choices` */
    CLI_INT,
    CLI_FLOAT,
    CLI_SIZE,   /* bytes, with K, M or G for powers of 1024 */
    CLI_REPEAT, /* a path or NAME=PATH; may be given several times */
    CLI_FILES,  /* paths: takes every word up to the next option */
} cli_kind;

typedef struct cli_option {
    const char *name; /* "steps" is --steps; the heading's text; NULL ends a table */
    char letter;      /* 'o' is -o; 0 for none */
    cli_kind kind;
    const char *value;    /* what stands for the value in --help: "N" */
    const char *fallback; /* the value when the option is not given; NULL: none */
    const char *help;
    const char *choices; /* "cosine|constant|wsd" */
    double min, max;     /* of numbers; both 0: any */
} cli_option;

/* Limits of a number, for rows of the table. Open above means: fits in 31 bits, as sizes do. */
#define CLI_AT_LEAST(low) .min = (low), .max = INT32_MAX
#define CLI_BETWEEN(low, high) .min = (low), .max = (high)
#define CLI_ANY_SEED .min = 0, .max = 0x1p63

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 }; /* exit statuses */

typedef struct cli_args cli_args;

typedef struct cli_command {
    const char *name;            /* "train", or two words: "data synth" */
    const char *summary;         /* one line */
    const char *const *synopsis; /* what may follow the name, one line each, ended by NULL */
    int min_words, max_words;    /* arguments that are no options */
    const char *description;     /* paragraphs, separated by empty lines */
    const cli_option *options;   /* ended by a row without a name */
    const char *const *examples; /* command line, what it does, command line, ..., NULL */
    /* Returns an exit status. With a report in `e`, main prints it. */
    int (*run)(const cli_args *args, ane_error *e);
} cli_command;

typedef struct cli_value {
    bool given; /* on the command line: false for a fallback */
    int n;
    const char **texts; /* n of them */
} cli_value;

struct cli_args {
    const cli_command *command;
    cli_value *values; /* one per row of command->options */
    int n_words;
    const char **words; /* arguments that are no options */
    bool help;          /* --help was asked for: nothing else was checked */
};

/* Read argv[0 .. argc) against the command's table. False with a report for unknown options and wrong values.
 * Strings stay in argv. cli_args_free in any case. */
bool cli_parse(cli_args *args, const cli_command *command, int argc, char **argv, ane_error *e);
void cli_args_free(cli_args *args);

/* Values by the option's name. Asking for a name that is not in the table ends the program: a slip in the
 * source. */
bool cli_given(const cli_args *args, const char *name);
bool cli_flag(const cli_args *args, const char *name);
const char *cli_string(const cli_args *args, const char *name); /* NULL when neither given nor defaulted */
int64_t cli_int(const cli_args *args, const char *name);        /* CLI_INT and CLI_SIZE; 0 when absent */
double cli_float(const cli_args *args, const char *name);
const cli_value *cli_list(const cli_args *args, const char *name);

/* Report wrong usage; returns CLI_USAGE. */
int cli_usage_error(ane_error *e, const char *where, const char *format, ...) ANE_PRINTF(3, 4);
/* The option that a command cannot do without is missing: returns true and reports when it is. */
bool cli_missing(const cli_args *args, const char *name, ane_error *e);

/* What main.c's table says, for help and completions; ended by NULL. */
extern const cli_command *const cli_commands[];
/* The command that argv[0] and perhaps argv[1] name; *words gets how many were used. NULL when there is none.
 */
const cli_command *cli_find_command(int argc, char **argv, int *words);

/* help.c, man.c, completion.c */
void cli_print_overview(FILE *out);
/* The commands of a group ("data"); false when there is no such group. */
bool cli_print_group(FILE *out, const char *name);
void cli_print_help(FILE *out, const cli_command *command);
void cli_print_man(FILE *out);
void cli_print_completion_bash(FILE *out);
void cli_print_completion_zsh(FILE *out);
/* "--steps N", "-o, --out RUN" into text. */
const char *cli_option_spelling(const cli_option *o, char *text, size_t size);
/* Is `c` the first command of its group ("data synth" of "data")? `group` gets the first word; false for
 * single words. */
bool cli_command_group(const cli_command *c, char *group, size_t size);

#endif
