/* help.c - `--help` and the overview, from the tables; and the command `help`, which also makes man page and
 * completions. */
#include "cli/commands.h"

#include <string.h>

enum { COLUMN = 28, WIDTH = 100 };

bool cli_command_group(const cli_command *c, char *group, size_t size) {
    size_t n = strcspn(c->name, " ");
    if (!c->name[n]) return false;
    snprintf(group, size, "%.*s", (int)n, c->name);
    return true;
}

const char *cli_option_spelling(const cli_option *o, char *text, size_t size) {
    char letter[8] = "";
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(text, size, "%s--%s%s%s%s", letter, o->name, o->kind == CLI_FLAG ? "" : " ",
        o->kind == CLI_FLAG ? "" : o->value, o->kind == CLI_FILES ? "..." : "");
    return text;
}

/* Print `text` with lines of at most WIDTH columns, beginning in column `at` and indented by `indent`. */
static void print_wrapped(FILE *out, const char *text, int at, int indent) {
    bool first = true;
    for (const char *word = text; *word;) {
        if (*word == '\n') {
            fputs("\n", out);
            for (word++; *word == '\n'; word++) fputs("\n", out);
            fprintf(out, "%*s", indent, "");
            at = indent;
            first = true;
            continue;
        }
        int n = (int)strcspn(word, " \n");
        if (!first && at + 1 + n > WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
            first = true;
        }
        at += fprintf(out, "%s%.*s", first ? "" : " ", n, word);
        first = false;
        word += n;
        while (*word == ' ') word++;
    }
    fputs("\n", out);
}

static void print_option(FILE *out, const cli_option *o) {
    char spelling[128], help[1024], indent[8];
    snprintf(indent, sizeof indent, "%s", o->letter ? "  " : "      ");
    int at = fprintf(out, "%s%s", indent, cli_option_spelling(o, spelling, sizeof spelling));
    bool fallback = o->fallback && o->fallback[0];
    snprintf(help, sizeof help, "%s%s%s%s%s%s", o->help, o->choices ? ": " : "", o->choices ? o->choices : "",
        fallback ? " (default " : "", fallback ? o->fallback : "", fallback ? ")" : "");
    if (at + 2 > COLUMN) {
        fputs("\n", out);
        at = 0;
    }
    fprintf(out, "%*s", COLUMN - at, "");
    print_wrapped(out, help, COLUMN, COLUMN);
}

void cli_print_help(FILE *out, const cli_command *c) {
    for (int i = 0; c->synopsis[i]; i++)
        fprintf(out, "%s anemone %s %s\n", i ? "      " : "Usage:", c->name, c->synopsis[i]);
    fputs("\n", out);
    print_wrapped(out, c->description, 0, 0);
    if (c->options[0].kind != CLI_HEADING) fputs("\nOptions:\n", out);
    for (const cli_option *o = c->options; o->name; o++)
        if (o->kind == CLI_HEADING)
            fprintf(out, "\n%s:\n", o->name);
        else
            print_option(out, o);
    print_option(out, &(cli_option){.name = "help", .letter = 'h', .kind = CLI_FLAG, .help = "this text"});
    if (c->examples[0]) fputs("\nExamples:\n", out);
    for (int i = 0; c->examples[i]; i += 2)
        fprintf(out, "  # %s\n  %s\n", c->examples[i + 1], c->examples[i]);
}

static void print_summary(FILE *out, const cli_command *c) {
    fprintf(out, "  %-18s %s\n", c->name, c->summary);
}

/* Where a chapter of the overview begins in the table of commands. */
static const struct {
    const char *first, *title;
} chapters[] = {
    {"train", "Models"}, {"run", "Programs"}, {"info", "The machine"}, {"version", "This program"}};

static const char *chapter_at(const cli_command *c) {
    for (size_t i = 0; i < sizeof chapters / sizeof *chapters; i++)
        if (!strcmp(chapters[i].first, c->name)) return chapters[i].title;
    return NULL;
}

void cli_print_overview(FILE *out) {
    fputs("anemone trains and runs transformers: on Apple's Neural Engine, and on any CPU.\n\n"
          "Usage: anemone COMMAND [options]\n",
        out);
    for (int i = 0; cli_commands[i]; i++) {
        const char *title = chapter_at(cli_commands[i]);
        if (title) fprintf(out, "\n%s:\n", title);
        print_summary(out, cli_commands[i]);
    }
    fputs("\nTo begin: something to read, a small model that reads it, and what it has to tell:\n"
          "  anemone data synth --out stories.txt --size 4M\n"
          "  anemone train --model stories260k --data stories.txt --out runs/first\n"
          "  anemone generate --model runs/first --prompt \"Once upon a time\"\n\n"
          "\"anemone COMMAND --help\" tells all about one, with examples.\n",
        out);
}

bool cli_print_group(FILE *out, const char *name) {
    char group[32];
    bool any = false;
    for (int i = 0; cli_commands[i]; i++) {
        if (!cli_command_group(cli_commands[i], group, sizeof group) || strcmp(group, name)) continue;
        if (!any) fprintf(out, "Usage: anemone %s COMMAND [options]\n\n", name);
        print_summary(out, cli_commands[i]);
        any = true;
    }
    if (any) fprintf(out, "\n\"anemone %s COMMAND --help\" tells all about one, with examples.\n", name);
    return any;
}

static int run(const cli_args *args, ane_error *e) {
    const char *shell = cli_string(args, "completion");
    if (cli_flag(args, "man"))
        cli_print_man(stdout);
    else if (shell && !strcmp(shell, "bash"))
        cli_print_completion_bash(stdout);
    else if (shell)
        cli_print_completion_zsh(stdout);
    else if (!args->n_words)
        cli_print_overview(stdout);
    else {
        int used;
        const cli_command *c = cli_find_command(args->n_words, (char **)args->words, &used);
        if (!c && args->n_words == 1 && cli_print_group(stdout, args->words[0])) return CLI_OK;
        if (!c) {
            cli_usage_error(e, "help", "there is no command \"%s\"", args->words[0]);
            ane_hint(e, "\"anemone help\" lists the commands");
            return CLI_USAGE;
        }
        cli_print_help(stdout, c);
    }
    return CLI_OK;
}

static const cli_option options[] = {
    {.name = "man", .kind = CLI_FLAG, .help = "print the man page (roff)"},
    {.name = "completion",
        .kind = CLI_CHOICE,
        .value = "SHELL",
        .choices = "bash|zsh",
        .help = "print the completions for a shell"},
    {0},
};

const cli_command cli_help = {
    .name = "help",
    .summary = "help on a command; man page and shell completions",
    .synopsis = (const char *const[]){"[COMMAND]", "--man | --completion bash|zsh", NULL},
    .max_words = 2,
    .description =
        "Tells about a command, or prints the man page or the shell completions; all of it comes from the "
        "tables that the program itself reads its command line by.",
    .options = options,
    .examples =
        (const char *const[]){"anemone help train", "all about training", "anemone help --man | man -l -",
            "the man page", "source <(anemone help --completion bash)", "completions in this shell", NULL},
    .run = run,
};
