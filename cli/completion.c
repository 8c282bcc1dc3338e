/* completion.c - shell completions, from the tables. */
#include "cli/options.h"

#include <string.h>

/* ---- what is common ------------------------------------------------------------------------------------ */

/* Call `put` for each first word of the commands once, and for each second word of `group` when it is not
 * NULL. */
static void each_word(
    FILE *out, const char *group, void (*put)(FILE *out, const cli_command *c, const char *word)) {
    char last[32] = "", word[32];
    for (int i = 0; cli_commands[i]; i++) {
        const cli_command *c = cli_commands[i];
        bool grouped = cli_command_group(c, word, sizeof word);
        if (group) {
            if (grouped && !strcmp(word, group)) put(out, c, c->name + strlen(group) + 1);
            continue;
        }
        if (grouped && !strcmp(word, last)) continue;
        if (grouped) snprintf(last, sizeof last, "%s", word);
        put(out, c, grouped ? word : c->name);
    }
}

/* Call `put` for each group ("data", "bench") once. */
static void each_group(FILE *out, void (*put)(FILE *out, const char *group)) {
    char last[32] = "", group[32];
    for (int i = 0; cli_commands[i]; i++) {
        if (!cli_command_group(cli_commands[i], group, sizeof group) || !strcmp(group, last)) continue;
        snprintf(last, sizeof last, "%s", group);
        put(out, group);
    }
}

static void put_choices(FILE *out, const char *choices) {
    for (; *choices; choices++) fputc(*choices == '|' ? ' ' : *choices, out);
}

/* ---- bash ---------------------------------------------------------------------------------------------- */

static void bash_word(FILE *out, const cli_command *c, const char *word) {
    (void)c;
    fprintf(out, "%s ", word);
}

static void bash_group(FILE *out, const char *group) {
    fprintf(out, "    %s) words=\"", group);
    each_word(out, group, bash_word);
    fputs("\";;\n", out);
}

static void bash_options(FILE *out, const cli_command *c) {
    fprintf(out, "    \"%s\")\n        options=\"", c->name);
    for (const cli_option *o = c->options; o->name; o++)
        if (o->kind != CLI_HEADING) fprintf(out, "--%s ", o->name);
    fputs("--help\"\n        case \"$previous\" in\n", out);
    for (const cli_option *o = c->options; o->name; o++) {
        if (o->kind == CLI_HEADING || o->kind == CLI_FLAG) continue;
        fprintf(out, "        --%s", o->name);
        if (o->letter) fprintf(out, "|-%c", o->letter);
        if (o->kind == CLI_CHOICE)
            fputs(") choices=\"", out), put_choices(out, o->choices), fputs("\";;\n", out);
        else
            fprintf(out, ") value=%s;;\n", o->kind >= CLI_REPEAT || o->kind == CLI_PATH ? "file" : "other");
    }
    fputs("        *) ;;\n        esac;;\n", out);
}

void cli_print_completion_bash(FILE *out) {
    fputs("# bash completion for anemone, made by \"anemone help --completion bash\"\n"
          "_anemone() {\n"
          "    local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
          "    local command=\"${COMP_WORDS[1]}\" words=\"\" options=\"\" choices=\"\" value=\"\"\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W \"",
        out);
    each_word(out, NULL, bash_word);
    fputs("\" -- \"$current\"))\n        return\n    fi\n    case \"$command\" in\n", out);
    each_group(out, bash_group);
    fputs("    esac\n"
          "    if [ -n \"$words\" ]; then\n"
          "        if [ \"$COMP_CWORD\" -eq 2 ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$current\")); "
          "return; fi\n"
          "        command=\"$command ${COMP_WORDS[2]}\"\n"
          "    fi\n"
          "    case \"$command\" in\n",
        out);
    for (int i = 0; cli_commands[i]; i++) bash_options(out, cli_commands[i]);
    fputs("    esac\n"
          "    if [ -n \"$choices\" ]; then COMPREPLY=($(compgen -W \"$choices\" -- \"$current\"))\n"
          "    elif [ \"$value\" = file ] || { [ -z \"$value\" ] && [ \"${current:0:1}\" != - ]; }; then\n"
          "        COMPREPLY=($(compgen -f -- \"$current\"))\n"
          "    elif [ -z \"$value\" ]; then COMPREPLY=($(compgen -W \"$options\" -- \"$current\"))\n"
          "    fi\n"
          "}\n"
          "complete -o filenames -F _anemone anemone\n",
        out);
}

/* ---- zsh ----------------------------------------------------------------------------------------------- */

/* Inside '...[...]': quotes, brackets and colons are special. */
static void zsh_text(FILE *out, const char *text) {
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:\\", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text == '\n' ? ' ' : *text, out);
    }
}

static void zsh_word(FILE *out, const cli_command *c, const char *word) {
    char group[32];
    bool first = cli_command_group(c, group, sizeof group) && !strcmp(group, word);
    fprintf(out, " '%s:", word);
    zsh_text(out, first ? "several commands" : c->summary);
    fputs("'", out);
}

static void zsh_group(FILE *out, const char *group) {
    fprintf(out, "    %s) words_of=(", group);
    each_word(out, group, zsh_word);
    fputs(" );;\n", out);
}

static void zsh_option(FILE *out, const cli_option *o) {
    if (o->kind == CLI_HEADING) return;
    bool several = o->kind >= CLI_REPEAT;
    fprintf(out, " \\\n            '%s--%s[", several ? "*" : "", o->name);
    zsh_text(out, o->help);
    fputs("]", out);
    if (o->kind != CLI_FLAG) {
        fputs(":", out);
        zsh_text(out, o->value);
        fputs(":", out);
        if (o->choices)
            fputs("(", out), put_choices(out, o->choices), fputs(")", out);
        else if (several || o->kind == CLI_PATH)
            fputs("_files", out);
    }
    fputs("'", out);
}

static void zsh_options(FILE *out, const cli_command *c) {
    fprintf(out, "    \"%s\")\n        _arguments -S", c->name);
    for (const cli_option *o = c->options; o->name; o++) zsh_option(out, o);
    fputs(" \\\n            '--help[help on this command]' '*:file:_files';;\n", out);
}

void cli_print_completion_zsh(FILE *out) {
    fputs("#compdef anemone\n# zsh completion for anemone, made by \"anemone help --completion zsh\"\n"
          "_anemone() {\n"
          "    local -a words_of\n    local command=\"$words[2]\"\n"
          "    if (( CURRENT == 2 )); then\n        words_of=(",
        out);
    each_word(out, NULL, zsh_word);
    fputs(" )\n        _describe command words_of\n        return\n    fi\n    case \"$command\" in\n", out);
    each_group(out, zsh_group);
    fputs("    esac\n"
          "    if (( $#words_of )); then\n"
          "        if (( CURRENT == 3 )); then _describe command words_of; return; fi\n"
          "        command=\"$command $words[3]\"\n"
          "        shift words; (( CURRENT-- ))\n"
          "    fi\n"
          "    shift words; (( CURRENT-- ))\n"
          "    case \"$command\" in\n",
        out);
    for (int i = 0; cli_commands[i]; i++) zsh_options(out, cli_commands[i]);
    fputs("    esac\n}\n_anemone \"$@\"\n", out);
}
