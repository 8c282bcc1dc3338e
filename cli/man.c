/* man.c - anemone(1) as roff, from the tables. */
#include "cli/options.h"

#include <ctype.h>
#include <string.h>

/* Text with roff's special characters escaped; a new line after an empty line begins a paragraph. */
static void put_text(FILE *out, const char *text) {
    bool line_start = true;
    for (const char *c = text; *c; c++) {
        if (c[0] == '\n' && c[1] == '\n') {
            fputs("\n.PP\n", out);
            while (c[1] == '\n') c++;
            line_start = true;
            continue;
        }
        if (line_start && (*c == '.' || *c == '\'')) fputs("\\&", out);
        if (*c == '\\')
            fputs("\\e", out);
        else if (*c == '-')
            fputs("\\-", out);
        else
            fputc(*c, out);
        line_start = *c == '\n';
    }
}

static void put_option(FILE *out, const cli_option *o) {
    char spelling[128];
    if (o->kind == CLI_HEADING) {
        fputs(".PP\n", out);
        put_text(out, o->name);
        fputs(":\n", out);
        return;
    }
    fputs(".TP\n.B ", out);
    put_text(out, cli_option_spelling(o, spelling, sizeof spelling));
    fputs("\n", out);
    put_text(out, o->help);
    if (o->choices) fputs(": ", out), put_text(out, o->choices);
    if (o->fallback && o->fallback[0]) fputs(" (default ", out), put_text(out, o->fallback), fputs(")", out);
    fputs("\n", out);
}

static void put_upper(FILE *out, const char *text) {
    for (; *text; text++) fputc(toupper((unsigned char)*text), out);
}

static void put_command(FILE *out, const cli_command *c) {
    fputs(".SH \"ANEMONE ", out);
    put_upper(out, c->name);
    fputs("\"\n", out);
    for (int i = 0; c->synopsis[i]; i++) {
        fputs(i ? ".br\n.B anemone " : ".B anemone ", out);
        put_text(out, c->name);
        fputs("\n", out);
        put_text(out, c->synopsis[i]);
        fputs("\n", out);
    }
    fputs(".PP\n", out);
    put_text(out, c->description);
    fputs("\n", out);
    for (const cli_option *o = c->options; o->name; o++) put_option(out, o);
    if (c->examples[0]) fputs(".PP\nExamples:\n", out);
    for (int i = 0; c->examples[i]; i += 2) {
        fputs(".TP\n", out);
        put_text(out, c->examples[i + 1]);
        fputs("\n.nf\n", out);
        put_text(out, c->examples[i]);
        fputs("\n.fi\n", out);
    }
}

void cli_print_man(FILE *out) {
    fputs(".TH ANEMONE 1 \"\" \"anemone " ANEMONE_VERSION "\" \"User Commands\"\n"
          ".SH NAME\nanemone \\- train and run transformers on Apple's Neural Engine, and on any CPU\n"
          ".SH SYNOPSIS\n.B anemone\n.I COMMAND\n[options]\n"
          ".SH COMMANDS\n",
        out);
    for (int i = 0; cli_commands[i]; i++) {
        fputs(".TP\n.B ", out);
        put_text(out, cli_commands[i]->name);
        fputs("\n", out);
        put_text(out, cli_commands[i]->summary);
        fputs("\n", out);
    }
    for (int i = 0; cli_commands[i]; i++) put_command(out, cli_commands[i]);
    fputs(".SH \"EXIT STATUS\"\n0: done. 1: something failed; standard error says what. 2: wrong usage. "
          "130: interrupted by Ctrl\\-C.\n"
          ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nwhen set and not empty, nothing is coloured.\n",
        out);
}
