/* chart_bars.c - horizontal bars, whole or in parts. */
#include "measure/chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One of the two drawings: on phones, the label stands over its bar. */
typedef struct drawing {
    const char *kind;
    double width, left, right, row, bar;
    int letters, ticks;
} drawing;

static const drawing wide = {"wide", 760, 246, 74, 26, 16, 32, 7};
static const drawing narrow = {"narrow", 380, 8, 60, 38, 14, 48, 5};

enum { TOP = 30, BOTTOM = 40 };

ane_bar *ane_bars_add(ane_bars *b, const char *label) {
    if (b->n == b->capacity) {
        int capacity = b->capacity ? 2 * b->capacity : 8;
        ane_bar *bars = realloc(b->bars, (size_t)capacity * sizeof *bars);
        b->failed = b->failed || !bars;
        if (!bars) return NULL;
        b->bars = bars;
        b->capacity = capacity;
    }
    ane_bar *bar = &b->bars[b->n++];
    memset(bar, 0, sizeof *bar);
    snprintf(bar->label, sizeof bar->label, "%s", label);
    return bar;
}

void ane_bar_part_add(ane_bar *bar, const char *name, double value) {
    if (!bar || bar->n == ANE_BAR_PARTS || !ane_can_draw(value, false) || value <= 0) return;
    ane_bar_part *part = &bar->parts[bar->n++];
    snprintf(part->name, sizeof part->name, "%s", name);
    part->value = value;
}

void ane_bars_free(ane_bars *b) {
    free(b->bars);
    *b = (ane_bars){0};
}

static double total(const ane_bar *bar) {
    double sum = 0;
    for (int i = 0; i < bar->n; i++) sum += bar->parts[i].value;
    return sum;
}

/* The names of all parts, in the order in which they first come. */
typedef struct names {
    const char *name[64];
    int n;
} names;

static int place_of(names *all, const char *name) {
    int i = 0;
    while (i < all->n && strcmp(all->name[i], name) != 0) i++;
    if (i == all->n && i < (int)(sizeof all->name / sizeof *all->name)) all->name[all->n++] = name;
    return i;
}

static void draw_part(
    ane_page *p, const ane_bar *bar, const ane_bar_part *part, int colour, double at[3], double height) {
    bool hatched = bar->modelled && (bar->n == 1 || strcmp(part->name, ANE_MODELLED_PART) == 0);
    char text[ANE_NUMBER_TEXT];
    ane_page_printf(p,
        "<rect class=\"%s%d%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"2\"><title>",
        bar->faint ? "bar r" : "bar c", colour % ANE_PART_COLOURS, hatched ? " hatched" : "", at[0], at[2],
        fmax(at[1] - at[0], 0.8), height);
    ane_page_escapedf(p, "%s%s%s: %s", bar->label, part->name[0] ? ", " : "", part->name,
        ane_number_text(part->value, text));
    ane_page_put(p, "</title></rect>");
}

static void draw_bar(ane_page *p, const ane_bars *b, const ane_bar *bar, names *all, const drawing *d,
    const ane_scale *x, double y) {
    bool beside = d->left > 20;
    double top = y + (beside ? (d->row - d->bar) / 2 : 17), sum = 0;
    char text[ANE_NUMBER_TEXT];
    ane_page_printf(p, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\"%s>", bar->faint ? "label faint" : "label",
        beside ? d->left - 10 : d->left, beside ? top + d->bar - 3.5 : y + 12,
        beside ? " text-anchor=\"end\"" : "");
    ane_page_escapedf(
        p, "%.*s%s", d->letters, bar->label, strlen(bar->label) > (size_t)d->letters ? "..." : "");
    ane_page_put(p, "</text>");
    for (int i = 0; i < bar->n; i++) {
        double at[3] = {ane_scale_at(x, sum), ane_scale_at(x, sum + bar->parts[i].value), top};
        draw_part(
            p, bar, &bar->parts[i], b->stacked ? place_of(all, bar->parts[i].name) : bar->colour, at, d->bar);
        sum += bar->parts[i].value;
    }
    ane_page_printf(p, "<text class=\"value\" x=\"%.1f\" y=\"%.1f\">%s%s</text>\n", ane_scale_at(x, sum) + 6,
        top + d->bar - 3.5, ane_number_text(sum, text), bar->suspect ? " ?" : "");
}

static bool any_modelled(const ane_bars *b) {
    for (int i = 0; i < b->n; i++)
        if (b->bars[i].modelled) return true;
    return false;
}

static void draw(ane_page *p, const ane_bars *b, names *all, const drawing *d) {
    double most = 0, height = TOP + BOTTOM + b->n * d->row;
    char text[ANE_NUMBER_TEXT];
    for (int i = 0; i < b->n; i++) most = fmax(most, total(&b->bars[i]));
    ane_scale x = ane_scale_of(0, most, false, d->left, d->width - d->right, d->ticks);
    ane_page_printf(p, "<svg class=\"%s\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", d->kind,
        d->width, height);
    ane_page_escaped(p, b->summary);
    ane_page_put(p, "\">\n");
    for (int i = 0; i < x.n_ticks; i++) {
        double at = ane_scale_at(&x, x.ticks[i]);
        ane_page_printf(p, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.1f\"/>", at, at,
            TOP - 4, height - BOTTOM);
        ane_page_printf(p, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>", at,
            height - BOTTOM + 16, ane_number_text(x.ticks[i], text));
    }
    ane_page_printf(p, "<text class=\"title\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
        (d->left + d->width - d->right) / 2, height - 6);
    ane_page_escaped(p, b->unit);
    ane_page_put(p, "</text>\n");
    for (int i = 0; i < b->n; i++) draw_bar(p, b, &b->bars[i], all, d, &x, TOP + i * d->row);
    if (any_modelled(b)) ane_modelled_badge(p, d->width - 6, 4);
    ane_page_put(p, "</svg>\n");
}

void ane_bars_draw(ane_page *p, const ane_bars *b) {
    names all = {.n = 0};
    ane_page_put(p, "<figure>\n");
    for (int i = 0; b->stacked && i < b->n; i++)
        for (int k = 0; k < b->bars[i].n; k++) place_of(&all, b->bars[i].parts[k].name);
    draw(p, b, &all, &wide);
    draw(p, b, &all, &narrow);
    if (b->stacked) {
        ane_page_put(p, "<ul class=\"legend\">");
        for (int i = 0; i < all.n; i++) {
            ane_page_printf(p,
                "<li><svg viewBox=\"0 0 24 12\" aria-hidden=\"true\"><rect class=\"bar c%d\" x=\"4\" "
                "width=\"16\" "
                "height=\"12\" rx=\"2\"/></svg>",
                i % ANE_PART_COLOURS);
            ane_page_escaped(p, all.name[i]);
            ane_page_put(p, "</li>");
        }
        ane_page_put(p, "</ul>\n");
    }
    ane_page_put(p, "</figure>\n");
    p->failed = p->failed || b->failed;
}
