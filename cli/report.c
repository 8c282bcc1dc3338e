#include "cli/report.h"

#include <stdlib.h>
#include <unistd.h>

bool cli_colours(FILE *f) {
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fileno(f)) && !(no_colour && *no_colour) && term && *term;
}

void cli_report(const ane_error *e) {
    bool colours = cli_colours(stderr);
    fflush(stdout);
    fprintf(stderr, "%sanemone:%s ", colours ? "\033[1;31m" : "", colours ? "\033[0m" : "");
    if (e->where[0]) fprintf(stderr, "%s: ", e->where);
    fprintf(stderr, "%s\n", e->message[0] ? e->message : ane_code_name(e->code));
    if (e->hint[0])
        fprintf(stderr, "  %shint:%s %s\n", colours ? "\033[1m" : "", colours ? "\033[0m" : "", e->hint);
}

void cli_warn(const char *text) {
    bool colours = cli_colours(stderr);
    fflush(stdout);
    fprintf(
        stderr, "%sanemone: warning:%s %s\n", colours ? "\033[1;33m" : "", colours ? "\033[0m" : "", text);
}
