#include "cli/options.h"
#include "base/nearest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int cli_usage_error(ane_error *e, const char *where, const char *format, ...) {
    char message[sizeof e->message];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    ane_fail(e, ANE_ERROR_ARGUMENT, where, "%s", message);
    return CLI_USAGE;
}

/* ---- looking options up -------------------------------------------------------------------------------- */

static int find_option(const cli_command *c, const char *name, size_t length) {
    for (int i = 0; c->options[i].name; i++)
        if (c->options[i].kind != CLI_HEADING && strlen(c->options[i].name) == length &&
            !memcmp(c->options[i].name, name, length))
            return i;
    return -1;
}

static int find_letter(const cli_command *c, char letter) {
    for (int i = 0; c->options[i].name; i++)
        if (c->options[i].kind != CLI_HEADING && c->options[i].letter == letter) return i;
    return -1;
}

static int n_options(const cli_command *c) {
    int n = 0;
    while (c->options[n].name) n++;
    return n;
}

static const cli_value *value_of(const cli_args *args, const char *name) {
    int i = find_option(args->command, name, strlen(name));
    if (i < 0) {
        fprintf(stderr, "anemone: the table of \"%s\" has no option \"%s\"\n", args->command->name, name);
        abort();
    }
    return &args->values[i];
}

bool cli_given(const cli_args *args, const char *name) {
    return value_of(args, name)->given;
}

bool cli_flag(const cli_args *args, const char *name) {
    return value_of(args, name)->given;
}

const char *cli_string(const cli_args *args, const char *name) {
    const cli_value *v = value_of(args, name);
    return v->n ? v->texts[v->n - 1] : NULL;
}

const cli_value *cli_list(const cli_args *args, const char *name) {
    return value_of(args, name);
}

bool cli_missing(const cli_args *args, const char *name, ane_error *e) {
    const cli_value *v = value_of(args, name);
    if (v->n) return false;
    int i = find_option(args->command, name, strlen(name));
    cli_usage_error(e, args->command->name, "--%s %s is missing: %s", name, args->command->options[i].value,
        args->command->options[i].help);
    ane_hint(e, "\"anemone %s --help\" shows examples", args->command->name);
    return true;
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

/* A whole number with an optional factor behind it (K, M, G; only when `size`). */
static bool read_int(const char *text, bool size, int64_t *out) {
    char *end;
    errno = 0;
    long long x = strtoll(text, &end, 10);
    if (end == text || errno) return false;
    int shift = 0;
    if (size && *end) {
        shift = *end == 'K' || *end == 'k' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : -1;
        if (shift < 0) return false;
        end++;
    }
    if (*end || x > (INT64_MAX >> shift) || x < (INT64_MIN >> shift)) return false;
    *out = x * ((int64_t)1 << shift);
    return true;
}

static bool read_float(const char *text, double *out) {
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

int64_t cli_int(const cli_args *args, const char *name) {
    const char *text = cli_string(args, name);
    int64_t x = 0;
    if (text) read_int(text, true, &x); /* checked by cli_parse */
    return x;
}

double cli_float(const cli_args *args, const char *name) {
    const char *text = cli_string(args, name);
    double x = 0;
    if (text) read_float(text, &x);
    return x;
}

/* "a whole number of at least 1", for messages */
static void describe_expected(const cli_option *o, char *text, size_t size) {
    const char *what = o->kind == CLI_INT     ? "a whole number"
                       : o->kind == CLI_SIZE  ? "a size like 500K, 2M or 1G"
                       : o->kind == CLI_FLOAT ? "a number"
                                              : "a path";
    if (o->kind == CLI_CHOICE)
        snprintf(text, size, "one of %s", o->choices);
    else if (o->min == 0 && o->max == 0)
        snprintf(text, size, "%s", what);
    else if (o->max >= INT32_MAX)
        snprintf(text, size, "%s of at least %g", what, o->min);
    else
        snprintf(text, size, "%s from %g to %g", what, o->min, o->max);
}

static bool is_choice(const char *choices, const char *text) {
    size_t n = strlen(text);
    for (const char *c = choices; *c;) {
        size_t length = strcspn(c, "|");
        if (length == n && !memcmp(c, text, n)) return true;
        c += length + (c[length] == '|');
    }
    return false;
}

/* Does `text` suit the option? */
static bool acceptable(const cli_option *o, const char *text) {
    double x = 0;
    int64_t whole = 0;
    switch (o->kind) {
    case CLI_CHOICE: return is_choice(o->choices, text);
    case CLI_FLOAT:
        if (!read_float(text, &x)) return false;
        break;
    case CLI_INT:
    case CLI_SIZE:
        if (!read_int(text, o->kind == CLI_SIZE, &whole)) return false;
        x = (double)whole;
        break;
    case CLI_PATH:
    case CLI_FILES:
    case CLI_REPEAT: return text[0] != 0;
    default: return true;
    }
    return (o->min == 0 && o->max == 0) || (x >= o->min && x <= o->max);
}

/* ---- parsing ------------------------------------------------------------------------------------------- */

static bool unknown_option(const cli_command *c, const char *typed, size_t length, ane_error *e) {
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)(length < 100 ? length : 100), typed);
    const char **names = calloc((size_t)n_options(c) + 2, sizeof *names);
    int n = 0;
    for (int i = 0; names && c->options[i].name; i++)
        if (c->options[i].kind != CLI_HEADING) names[n++] = c->options[i].name;
    if (names) names[n] = "help";
    const char *near = names ? ane_nearest(name, names) : NULL;
    cli_usage_error(e, c->name, "unknown option --%s", name);
    if (near) ane_hint(e, "did you mean --%s? \"anemone %s --help\" lists all options", near, c->name);
    ane_hint(e, "\"anemone %s --help\" lists the options", c->name);
    free(names);
    return false;
}

static bool add_text(cli_value *v, const char *text, ane_error *e) {
    const char **grown = realloc(v->texts, ((size_t)v->n + 1) * sizeof *grown);
    if (!grown) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "out of memory");
    v->texts = grown;
    v->texts[v->n++] = text;
    return true;
}

/* Take `text` as a value of option `i`: checked, and replacing an earlier one unless several are wanted. */
static bool take_value(cli_args *args, int i, const char *text, ane_error *e) {
    const cli_option *o = &args->command->options[i];
    cli_value *v = &args->values[i];
    if (!acceptable(o, text)) {
        char expected[256];
        describe_expected(o, expected, sizeof expected);
        cli_usage_error(e, args->command->name, "--%s: expected %s, found \"%s\"", o->name, expected, text);
        return ane_hint(e, "--%s: %s", o->name, o->help);
    }
    if (o->kind != CLI_REPEAT && o->kind != CLI_FILES) v->n = 0;
    v->given = true;
    return add_text(v, text, e);
}

static bool looks_like_option(const char *word) {
    return word[0] == '-' && word[1] == '-';
}

/* Option `i` was met at argv[*at] with `attached` text (NULL: none) behind it: take its values, moving *at.
 */
static bool take_option(
    cli_args *args, int i, const char *attached, int argc, char **argv, int *at, ane_error *e) {
    const cli_option *o = &args->command->options[i];
    if (o->kind == CLI_FLAG) {
        if (attached) {
            cli_usage_error(e, args->command->name, "--%s takes no value, found \"%s\"", o->name, attached);
            return false;
        }
        args->values[i].given = true;
        return true;
    }
    if (attached) return take_value(args, i, attached, e);
    if (*at + 1 >= argc || looks_like_option(argv[*at + 1])) {
        cli_usage_error(e, args->command->name, "--%s needs a value: --%s %s", o->name, o->name, o->value);
        return ane_hint(e, "--%s: %s", o->name, o->help);
    }
    do {
        if (!take_value(args, i, argv[++*at], e)) return false;
    } while (o->kind == CLI_FILES && *at + 1 < argc && argv[*at + 1][0] != '-');
    return true;
}

static bool parse_long(cli_args *args, int argc, char **argv, int *at, ane_error *e) {
    const char *name = argv[*at] + 2;
    size_t length = strcspn(name, "=");
    int i = find_option(args->command, name, length);
    if (i < 0) return unknown_option(args->command, name, length, e);
    return take_option(args, i, name[length] ? name + length + 1 : NULL, argc, argv, at, e);
}

/* -o VALUE, -oVALUE; flags one at a time */
static bool parse_short(cli_args *args, int argc, char **argv, int *at, ane_error *e) {
    const char *word = argv[*at];
    int i = find_letter(args->command, word[1]);
    if (i < 0) {
        cli_usage_error(e, args->command->name, "unknown option %s", word);
        return ane_hint(e, "\"anemone %s --help\" lists the options", args->command->name);
    }
    return take_option(args, i, word[2] ? word + 2 : NULL, argc, argv, at, e);
}

static bool check_words(const cli_args *args, ane_error *e) {
    const cli_command *c = args->command;
    if (args->n_words >= c->min_words && args->n_words <= c->max_words) return true;
    if (args->n_words > c->max_words)
        cli_usage_error(e, c->name, "unexpected argument \"%s\"", args->words[c->max_words]);
    else
        cli_usage_error(
            e, c->name, "something is missing: expected \"anemone %s %s\"", c->name, c->synopsis[0]);
    return ane_hint(e, "\"anemone %s --help\" shows examples", c->name);
}

static bool add_fallbacks(cli_args *args, ane_error *e) {
    for (int i = 0; args->command->options[i].name; i++) {
        const cli_option *o = &args->command->options[i];
        if (!args->values[i].given && o->fallback && o->kind != CLI_HEADING)
            if (!add_text(&args->values[i], o->fallback, e)) return false;
    }
    return true;
}

/* Everything up to the end of argv; "--" ends the options, "-" alone is an argument. */
static bool parse_words(cli_args *args, int argc, char **argv, ane_error *e) {
    bool only_words = false;
    for (int at = 0; at < argc; at++) {
        char *word = argv[at];
        bool ok = true;
        if (!word[0])
            ok = cli_usage_error(e, args->command->name, "found an empty argument") == CLI_OK;
        else if (only_words || word[0] != '-' || !word[1])
            args->words[args->n_words++] = word;
        else if (!strcmp(word, "--"))
            only_words = true;
        else if (word[1] == '-')
            ok = parse_long(args, argc, argv, &at, e);
        else
            ok = parse_short(args, argc, argv, &at, e);
        if (!ok) return false;
    }
    return true;
}

static bool asks_for_help(int argc, char **argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return true;
    return false;
}

bool cli_parse(cli_args *args, const cli_command *command, int argc, char **argv, ane_error *e) {
    *args = (cli_args){.command = command};
    args->help = asks_for_help(argc, argv);
    if (args->help) return true;
    args->values = calloc((size_t)n_options(command) + 1, sizeof *args->values);
    args->words = calloc((size_t)argc + 1, sizeof *args->words);
    if (!args->values || !args->words) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "out of memory");
    return parse_words(args, argc, argv, e) && check_words(args, e) && add_fallbacks(args, e);
}

void cli_args_free(cli_args *args) {
    for (int i = 0; args->values && args->command->options[i].name; i++) free(args->values[i].texts);
    free(args->values);
    free(args->words);
    *args = (cli_args){0};
}
