/* chart_curves.c - curves and dots between two axes. */
#include "measure/chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One of the two drawings. */
typedef struct drawing {
    const char *kind; /* class */
    double width, height, left, right, top, bottom;
    int x_ticks, y_ticks;
    bool labels; /* names at the ends of faint lines */
} drawing;

static const drawing wide = {"wide", 760, 390, 58, 150, 40, 50, 10, 7, true};
static const drawing narrow = {"narrow", 380, 320, 46, 14, 40, 48, 5, 6, false};

enum { MOST_LABELS = 12 };
static const double LABEL = 12, LINE = 14;         /* letters, and from one label to the next */
static const double LETTER = 7.2, BOLD_LETTER = 8; /* how wide one is in the widest of the usual fonts */

ane_chart_curve *ane_chart_add(ane_chart *c, const char *name, int colour) {
    if (c->n == c->capacity) {
        int capacity = c->capacity ? 2 * c->capacity : 8;
        ane_chart_curve *curves = realloc(c->curves, (size_t)capacity * sizeof *curves);
        c->failed = c->failed || !curves;
        if (!curves) return NULL;
        c->curves = curves;
        c->capacity = capacity;
    }
    ane_chart_curve *curve = &c->curves[c->n++];
    *curve = (ane_chart_curve){.colour = colour, .line = true, .dots = true};
    snprintf(curve->name, sizeof curve->name, "%s", name);
    return curve;
}

void ane_chart_point_add(ane_chart *c, ane_chart_curve *curve, double x, double y, const char *tip) {
    if (!curve || !ane_can_draw(x, c->x.logarithmic) || !ane_can_draw(y, c->y.logarithmic)) return;
    if (curve->n == curve->capacity) {
        int capacity = curve->capacity ? 2 * curve->capacity : 16;
        ane_chart_point *points = realloc(curve->points, (size_t)capacity * sizeof *points);
        c->failed = c->failed || !points;
        if (!points) return;
        curve->points = points;
        curve->capacity = capacity;
    }
    ane_chart_point *point = &curve->points[curve->n++];
    *point = (ane_chart_point){.x = x, .y = y};
    snprintf(point->tip, sizeof point->tip, "%s", tip);
}

int ane_chart_tidy(ane_chart *c) {
    int kept = 0, points = 0;
    for (int i = 0; i < c->n; i++) {
        if (c->curves[i].n == 0) {
            free(c->curves[i].points);
            continue;
        }
        points += c->curves[i].n;
        c->curves[kept++] = c->curves[i];
    }
    c->n = kept;
    return points;
}

void ane_chart_free(ane_chart *c) {
    for (int i = 0; i < c->n; i++) free(c->curves[i].points);
    free(c->curves);
    *c = (ane_chart){0};
}

/* ---- drawing ----------------------------------------------------------------------------------------------------- */

typedef struct frame {
    const drawing *d;
    ane_scale x, y;
} frame;

static frame frame_of(const ane_chart *c, const drawing *d) {
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (int i = 0; i < c->n; i++)
        for (int k = 0; k < c->curves[i].n; k++) {
            const ane_chart_point *p = &c->curves[i].points[k];
            low[0] = fmin(low[0], p->x), high[0] = fmax(high[0], p->x);
            low[1] = fmin(low[1], p->y), high[1] = fmax(high[1], p->y);
        }
    return (frame){.d = d,
        .x = ane_scale_of(low[0], high[0], c->x.logarithmic, d->left, d->width - d->right, d->x_ticks),
        .y = ane_scale_of(low[1], high[1], c->y.logarithmic, d->height - d->bottom, d->top, d->y_ticks)};
}

static void draw_axes(ane_page *p, const ane_chart *c, const frame *f) {
    const drawing *d = f->d;
    char text[ANE_NUMBER_TEXT];
    for (int i = 0; i < f->y.n_ticks; i++) {
        double y = ane_scale_at(&f->y, f->y.ticks[i]);
        ane_page_printf(p, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", d->left,
            d->width - d->right, y, y);
        ane_page_printf(p, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>", d->left - 8, y + 4,
            ane_number_text(f->y.ticks[i], text));
    }
    for (int i = 0; i < f->x.n_ticks; i++) {
        double x = ane_scale_at(&f->x, f->x.ticks[i]);
        ane_page_printf(p, "<line class=\"tick\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", x, x,
            d->height - d->bottom, d->height - d->bottom + 5);
        ane_page_printf(p, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>", x,
            d->height - d->bottom + 19, ane_number_text(f->x.ticks[i], text));
    }
    ane_page_printf(p, "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", d->left,
        d->width - d->right, d->height - d->bottom, d->height - d->bottom);
    ane_page_printf(p, "<text class=\"title\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
        (d->left + d->width - d->right) / 2, d->height - 8);
    ane_page_escaped(p, c->x.title);
    ane_page_printf(p, "</text><text class=\"title\" x=\"4\" y=\"%.1f\">", d->top - 22);
    ane_page_escaped(p, c->y.title);
    ane_page_put(p, "</text>\n");
}

static void draw_band(ane_page *p, const ane_chart *c, const frame *f) {
    if (!(c->band_high > c->band_low) || !ane_can_draw(c->band_low, c->x.logarithmic)) return;
    double from = fmax(ane_scale_at(&f->x, fmax(c->band_low, f->x.low)), f->x.start),
           to = fmin(ane_scale_at(&f->x, fmin(c->band_high, f->x.high)), f->x.stop);
    if (!(to > from)) return;
    ane_page_printf(p, "<rect class=\"band\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>",
        from, f->y.stop, to - from, f->y.start - f->y.stop);
    ane_page_escaped(p, c->band_name);
    double half = ane_text_width(c->band_name, LABEL) / 2, middle = (from + to) / 2;
    middle = fmin(fmax(middle, f->x.start + half), f->x.stop - half);
    ane_page_printf(p, "</title></rect><text class=\"note\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
        middle, f->y.stop - 4);
    ane_page_escaped(p, c->band_name);
    ane_page_put(p, "</text>\n");
}

static void draw_line(ane_page *p, const ane_chart_curve *curve, const frame *f) {
    ane_page_printf(p, "<path class=\"%s%d%s\" d=\"", curve->faint ? "line r" : "line c",
        curve->colour % ANE_CHART_COLOURS, curve->modelled ? " dashed" : "");
    for (int k = 0; k < curve->n; k++)
        ane_page_printf(p, "%s%.1f %.1f", k ? "L" : "M", ane_scale_at(&f->x, curve->points[k].x),
            ane_scale_at(&f->y, curve->points[k].y));
    ane_page_put(p, "\"><title>");
    ane_page_escaped(p, curve->name);
    ane_page_put(p, "</title></path>\n");
}

static void draw_dots(ane_page *p, const ane_chart_curve *curve, const frame *f) {
    ane_page_printf(
        p, "<g class=\"%s%d\">", curve->faint ? "dots r" : "dots c", curve->colour % ANE_CHART_COLOURS);
    for (int k = 0; k < curve->n; k++) {
        ane_page_printf(p, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"><title>",
            ane_scale_at(&f->x, curve->points[k].x), ane_scale_at(&f->y, curve->points[k].y),
            curve->faint ? "2" : "3.6");
        ane_page_escaped(p, curve->points[k].tip[0] ? curve->points[k].tip : curve->name);
        ane_page_put(p, "</title></circle>");
    }
    ane_page_put(p, "</g>\n");
}

typedef struct label {
    double y, x;
    const ane_chart_curve *curve;
} label;

static int by_height(const void *a, const void *b) {
    double x = ((const label *)a)->y, y = ((const label *)b)->y;
    return (x > y) - (x < y);
}

/* Pushed down from above, then up from below: none covers another, as long as all fit. */
static void spread(label *labels, int n, double top, double bottom) {
    double least = top;
    for (int i = 0; i < n; i++) {
        labels[i].y = fmax(labels[i].y, least);
        least = labels[i].y + LINE;
    }
    double most = bottom;
    for (int i = n - 1; i >= 0; i--) {
        labels[i].y = fmin(labels[i].y, most);
        most = labels[i].y - LINE;
    }
}

/* Several lines of one thing bear one name and colour: it is told once. */
static bool told_before(const ane_chart *c, int i) {
    for (int k = 0; k < i; k++)
        if (c->curves[k].colour == c->curves[i].colour && c->curves[k].faint == c->curves[i].faint &&
            strcmp(c->curves[k].name, c->curves[i].name) == 0)
            return true;
    return false;
}

/* The names of lines, at their right ends. */
static void draw_labels(ane_page *p, const ane_chart *c, const frame *f) {
    label labels[MOST_LABELS] = {{0}};
    int n = 0;
    for (int i = 0; i < c->n; i++) {
        const ane_chart_curve *curve = &c->curves[i];
        if (!curve->line || curve->n < 2 || told_before(c, i)) continue;
        if (n == MOST_LABELS) return; /* the legend has them all */
        const ane_chart_point *end = &curve->points[curve->n - 1];
        labels[n++] =
            (label){.x = ane_scale_at(&f->x, end->x), .y = ane_scale_at(&f->y, end->y), .curve = curve};
    }
    qsort(labels, (size_t)n, sizeof *labels, by_height);
    spread(labels, n, f->y.stop + 4, f->y.start);
    for (int i = 0; i < n; i++) {
        const ane_chart_curve *curve = labels[i].curve;
        int letters = (int)((f->d->right - 14) / (curve->faint ? LETTER : BOLD_LETTER));
        bool cut = (int)strlen(curve->name) > letters;
        ane_page_printf(p, "<text class=\"%s%d\" x=\"%.1f\" y=\"%.1f\">",
            curve->faint ? "end r" : "end own c", curve->colour % ANE_CHART_COLOURS,
            f->d->width - f->d->right + 8, labels[i].y + 4);
        ane_page_escapedf(p, "%.*s%s", cut ? letters - 2 : letters, curve->name, cut ? "..." : "");
        ane_page_put(p, "</text>");
    }
    ane_page_put(p, "\n");
}

static bool any_modelled(const ane_chart *c) {
    for (int i = 0; i < c->n; i++)
        if (c->curves[i].modelled) return true;
    return false;
}

static bool any_line(const ane_chart *c) {
    for (int i = 0; i < c->n; i++)
        if (c->curves[i].line && c->curves[i].n > 1) return true;
    return false;
}

static void draw(ane_page *p, const ane_chart *c, const drawing *as) {
    drawing fitted = *as, *d = &fitted;
    if (!any_line(c)) d->right = narrow.right; /* no room for names */
    const frame f = frame_of(c, d);
    ane_page_printf(p, "<svg class=\"%s\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", d->kind,
        d->width, d->height);
    ane_page_escaped(p, c->summary);
    ane_page_put(p, "\">\n");
    draw_band(p, c, &f);
    draw_axes(p, c, &f);
    for (int pass = 0; pass < 2; pass++) /* recorded ones behind */
        for (int i = 0; i < c->n; i++) {
            const ane_chart_curve *curve = &c->curves[i];
            if (curve->faint != (pass == 0)) continue;
            if (curve->line && curve->n > 1) draw_line(p, curve, &f);
            if (curve->dots || curve->n == 1) draw_dots(p, curve, &f);
        }
    if (d->labels) draw_labels(p, c, &f);
    if (any_modelled(c)) ane_modelled_badge(p, d->width - 6, 4);
    ane_page_put(p, "</svg>\n");
}

static void draw_legend(ane_page *p, const ane_chart *c) {
    ane_page_put(p, "<ul class=\"legend\">");
    for (int pass = 0; pass < 2; pass++) /* one's own first */
        for (int i = 0; i < c->n; i++) {
            const ane_chart_curve *curve = &c->curves[i];
            if (curve->faint != (pass == 1) || told_before(c, i)) continue;
            int colour = curve->colour % ANE_CHART_COLOURS;
            ane_page_put(p, "<li><svg viewBox=\"0 0 24 12\" aria-hidden=\"true\">");
            if (curve->line)
                ane_page_printf(p, "<path class=\"%s%d%s\" d=\"M1 6L23 6\"/>",
                    curve->faint ? "line r" : "line c", colour, curve->modelled ? " dashed" : "");
            if (curve->dots)
                ane_page_printf(p, "<g class=\"%s%d\"><circle cx=\"12\" cy=\"6\" r=\"3\"/></g>",
                    curve->faint ? "dots r" : "dots c", colour);
            ane_page_put(p, "</svg>");
            ane_page_escaped(p, curve->name);
            ane_page_put(p, "</li>");
        }
    ane_page_put(p, "</ul>\n");
}

void ane_chart_draw(ane_page *p, const ane_chart *c) {
    ane_page_put(p, "<figure>\n");
    draw(p, c, &wide);
    draw(p, c, &narrow);
    draw_legend(p, c);
    ane_page_put(p, "</figure>\n");
    p->failed = p->failed || c->failed;
}
