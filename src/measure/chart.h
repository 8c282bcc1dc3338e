/* chart.h - plots as inline SVG, whose colours are the page's style (report_style.c): classes c0..c7 (the reader's own), r0..r7
 * (recorded), dashed or hatched where modelled. Each is drawn twice, for wide windows and for phones; the style shows one.
 * Texts may come from files: all are escaped. */
#ifndef ANEMONE_MEASURE_CHART_H
#define ANEMONE_MEASURE_CHART_H

#include "measure/page.h"

enum { ANE_CHART_COLOURS = 8, ANE_PART_COLOURS = 12, ANE_CHART_NAME = 96, ANE_BAR_PARTS = 24 };
/* Of a modelled step's parts, the only one that is: the host's are measured. */
#define ANE_MODELLED_PART "device"

/* ---- curves ------------------------------------------------------------------------------------------------------ */

typedef struct ane_chart_point {
    double x, y;
    char tip[ANE_CHART_NAME]; /* shown where the pointer rests */
} ane_chart_point;

typedef struct ane_chart_curve {
    char name[ANE_CHART_NAME];
    int colour;    /* from 0; wraps */
    bool faint;    /* recorded by others: thin, behind the rest */
    bool modelled; /* dashed */
    bool line, dots;
    int n, capacity;
    ane_chart_point *points;
} ane_chart_curve;

typedef struct ane_chart_axis {
    const char *title;
    bool logarithmic;
} ane_chart_axis;

typedef struct ane_chart {
    const char *summary; /* read to who cannot see the plot */
    ane_chart_axis x, y;
    int n, capacity;
    ane_chart_curve *curves;
    double band_low, band_high; /* of x; shaded where high > low */
    char band_name[ANE_CHART_NAME];
    bool failed; /* out of memory */
} ane_chart;

/* NULL when out of memory. Good until the next call. */
ane_chart_curve *ane_chart_add(ane_chart *c, const char *name, int colour);
/* Points that cannot be drawn on the axes (not finite, absurdly large, not positive on a logarithmic axis) are left out. */
void ane_chart_point_add(ane_chart *c, ane_chart_curve *curve, double x, double y, const char *tip);
/* Remove curves without points; returns how many points are left in all. */
int ane_chart_tidy(ane_chart *c);
/* Figure, both drawings and legend. */
void ane_chart_draw(ane_page *p, const ane_chart *c);
void ane_chart_free(ane_chart *c);

/* ---- bars -------------------------------------------------------------------------------------------------------- */

typedef struct ane_bar_part {
    char name[48];
    double value;
} ane_bar_part;

typedef struct ane_bar {
    char label[ANE_CHART_NAME];
    int colour; /* when it has one part; parts have colours by their name's place in the legend */
    bool faint, modelled;
    bool suspect; /* a question mark behind its value */
    int n;
    ane_bar_part parts[ANE_BAR_PARTS];
} ane_bar;

typedef struct ane_bars {
    const char *summary, *unit;
    bool stacked; /* parts have names, colours and a legend */
    int n, capacity;
    ane_bar *bars;
    bool failed;
} ane_bars;

ane_bar *ane_bars_add(ane_bars *b, const char *label);
/* What is no positive number is left out. */
void ane_bar_part_add(ane_bar *bar, const char *name, double value);
void ane_bars_draw(ane_page *p, const ane_bars *b);
void ane_bars_free(ane_bars *b);

/* ---- what both are made of (chart_axis.c) ------------------------------------------------------------------------ */

typedef struct ane_scale {
    double low, high;   /* of the values */
    double start, stop; /* in the drawing */
    bool logarithmic;
    int n_ticks;
    double ticks[16];
} ane_scale;

/* From values of low to high, onto start to stop, with at most `most` ticks. */
ane_scale ane_scale_of(double low, double high, bool logarithmic, double start, double stop, int most);
double ane_scale_at(const ane_scale *s, double value);
/* About how wide a text is, in the drawing's units, in letters of `size`. */
double ane_text_width(const char *text, double size);
/* Is it a number that can be drawn? */
bool ane_can_draw(double x, bool logarithmic);
void ane_modelled_badge(ane_page *p, double right, double y);

#endif
