#include "cli/report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool cli_draws(FILE *f) {
    const char *term = getenv("TERM");
    return isatty(fileno(f)) && term && *term && strcmp(term, "dumb") != 0;
}

static bool takes_colours(FILE *f) {
    const char *no_colour = getenv("NO_COLOR");
    return cli_draws(f) && !(no_colour && *no_colour);
}

void cli_draw_bar(FILE *f, int64_t done, int64_t total, const char *text) {
    enum { CELLS = 24 };
    char cells[CELLS + 1];
    const int64_t full = total > 0 ? CELLS * done / total : 0;
    for (int i = 0; i < CELLS; i++) cells[i] = i < full ? '=' : i == full ? '>' : ' ';
    cells[CELLS] = 0;
    /* ?7: whether a line goes on in the next one; two could not be drawn again. */
    fprintf(f, "\r\033[K\033[?7l[%s] %lld/%lld  %s\033[?7h", cells, (long long)done, (long long)total, text);
    fflush(f);
}

void cli_report(const ane_error *e) {
    bool colours = takes_colours(stderr);
    fflush(stdout);
    fprintf(stderr, "%sanemone:%s ", colours ? "\033[1;31m" : "", colours ? "\033[0m" : "");
    if (e->where[0]) fprintf(stderr, "%s: ", e->where);
    fprintf(stderr, "%s\n", e->message[0] ? e->message : ane_code_name(e->code));
    if (e->hint[0])
        fprintf(stderr, "  %shint:%s %s\n", colours ? "\033[1m" : "", colours ? "\033[0m" : "", e->hint);
}

void cli_warn(const char *text) {
    bool colours = takes_colours(stderr);
    fflush(stdout);
    fprintf(
        stderr, "%sanemone: warning:%s %s\n", colours ? "\033[1;33m" : "", colours ? "\033[0m" : "", text);
}
