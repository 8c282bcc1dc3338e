/* format.c - `anemone format`: a MIL program, printed anew, perhaps in another dialect. */
#include "cli/commands.h"
#include "cli/program.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    mil_dialect dialect;
} dialects[] = {
    {"ios16", MIL_IOS16}, {"ios17", MIL_IOS17}, {"ios18", MIL_IOS18}, {"ios18-1.5", MIL_IOS18_15}};

static void set_dialect(mil_program *p, const char *name) {
    for (size_t i = 0; name && i < sizeof dialects / sizeof *dialects; i++)
        if (!strcmp(dialects[i].name, name)) mil_program_set_dialect(p, dialects[i].dialect);
}

static int run(const cli_args *args, ane_error *e) {
    const char *out = cli_flag(args, "in-place") ? args->words[0] : cli_string(args, "out");
    mil_program *p = cli_read_program(args, false, e);
    if (!p) return CLI_FAILED;
    set_dialect(p, cli_string(args, "dialect"));
    char *text = mil_print(p, e);
    bool ok = text != NULL;
    if (ok && out)
        ok = ane_write_file(out, text, strlen(text), e);
    else if (ok)
        fputs(text, stdout);
    free(text);
    mil_program_free(p);
    return ok ? CLI_OK : CLI_FAILED;
}

static const cli_option options[] = {
    {.name = "dialect",
        .kind = CLI_CHOICE,
        .value = "D",
        .choices = "ios16|ios17|ios18|ios18-1.5",
        .help = "header and spelling to write (default: the file's own)"},
    {.name = "out",
        .letter = 'o',
        .kind = CLI_PATH,
        .value = "FILE",
        .help = "write here, not to standard output"},
    {.name = "in-place", .letter = 'i', .kind = CLI_FLAG, .help = "replace the file"},
    {0},
};

const cli_command cli_format = {
    .name = "format",
    .summary = "print a MIL program anew, perhaps in another dialect",
    .synopsis = (const char *const[]){"FILE.mil [--dialect D] [-o FILE | --in-place]", NULL},
    .min_words = 1,
    .max_words = 1,
    .description =
        "Reads a program, checks it, and prints it in one form. Nothing is lost: floats are written in hex.",
    .options = options,
    .examples = (const char *const[]){"anemone format model.mil --dialect ios16 -o old.mil",
        "for older systems", "anemone format --in-place model.mil", "tidy up", NULL},
    .run = run,
};
