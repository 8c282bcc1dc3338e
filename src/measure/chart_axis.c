/* chart_axis.c - from values to places in a drawing. */
#include "measure/chart.h"

#include <math.h>
#include <string.h>

static const double LARGEST = 1e15, SMALLEST = 1e-12;

bool ane_can_draw(double x, bool logarithmic) {
    return isfinite(x) && fabs(x) < LARGEST && (!logarithmic || x > SMALLEST);
}

static void add_tick(ane_scale *s, double x, int most) {
    double room = (s->high - s->low) * 1e-9;
    if (s->n_ticks < most && x >= s->low - room && x <= s->high + room) s->ticks[s->n_ticks++] = x;
}

/* Multiples of 1, 2 or 5 times a power of ten. */
static void linear_ticks(ane_scale *s, int most) {
    double step = pow(10, floor(log10((s->high - s->low) / most)));
    static const double factors[] = {1, 2, 5, 10, 20};
    int i = 0;
    while (i < 4 && (s->high - s->low) / (step * factors[i]) > most - 1) i++;
    step *= factors[i];
    double first = ceil(s->low / step - 1e-9);
    for (int k = 0; k < most; k++) add_tick(s, (first + k) * step, most);
}

/* Powers of ten and, as there is room, what lies between. */
static void log_ticks(ane_scale *s, int most) {
    static const double sets[][3] = {{1, 2, 5}, {1, 3, 0}, {1, 0, 0}};
    int first = (int)floor(log10(s->low)), last = (int)ceil(log10(s->high)), set = 0;
    double decades = log10(s->high / s->low);
    while (set < 2 && decades * (3 - set) > most - 1) set++;
    int skip = set == 2 ? (int)ceil((decades + 1) / most) : 1;
    for (int k = first; k <= last; k++)
        for (int i = 0; i < 3 && (k - first) % skip == 0; i++)
            if (sets[set][i] > 0) add_tick(s, sets[set][i] * pow(10, k), most);
}

ane_scale ane_scale_of(double low, double high, bool logarithmic, double start, double stop, int most) {
    ane_scale s = {.low = low, .high = high, .start = start, .stop = stop, .logarithmic = logarithmic};
    if (most > (int)(sizeof s.ticks / sizeof *s.ticks)) most = (int)(sizeof s.ticks / sizeof *s.ticks);
    if (logarithmic) {
        double margin = pow(s.high / s.low, 0.04);
        if (margin < 1.02) margin = 1.1; /* one value */
        s.low /= margin;
        s.high *= margin;
        log_ticks(&s, most);
        if (s.n_ticks < 2) s.n_ticks = 0, linear_ticks(&s, most);
        return s;
    }
    if (s.low > 0 && s.low < 0.5 * s.high) s.low = 0;
    double margin = 0.05 * (s.high - s.low);
    if (margin <= fabs(s.high) * 1e-12) margin = fabs(s.high) > 0 ? fabs(s.high) * 0.1 : 1;
    s.high += margin;
    if (s.low != 0) s.low -= margin;
    linear_ticks(&s, most);
    return s;
}

double ane_scale_at(const ane_scale *s, double value) {
    double part =
        s->logarithmic ? log(value / s->low) / log(s->high / s->low) : (value - s->low) / (s->high - s->low);
    return s->start + part * (s->stop - s->start);
}

double ane_text_width(const char *text, double size) {
    double letters = 0;
    for (; *text; text++) letters += ((unsigned char)*text & 0xc0) != 0x80; /* not the rest of a character */
    return letters * size * 0.56;
}

void ane_modelled_badge(ane_page *p, double right, double y) {
    ane_page_printf(p,
        "<g class=\"badge\"><rect x=\"%.1f\" y=\"%.1f\" width=\"88\" height=\"18\" rx=\"9\"/><text "
        "x=\"%.1f\" "
        "y=\"%.1f\" text-anchor=\"middle\">MODELLED</text></g>",
        right - 88, y, right - 44, y + 13);
}
