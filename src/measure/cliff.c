/* cliff.c - see cliff.h for the rule. */
#include "measure/cliff.h"

#include <math.h>

static const double DIP = 1.5, NOISE = 1.1, BETTER = 0.5, WORTH_EXPLAINING = 0.05, SLOWER = 1.25,
                    AS_GOOD = 1.2;
enum { SIDE = 3, MOST = 256 };

typedef struct line {
    double at0, slope; /* ms, ms a MB */
    double error;      /* sum of squared relative errors */
} line;

/* Least squares of relative errors: weights 1 / ms^2. */
static line fit(const ane_cliff_point *const *p, int n) {
    double w = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (int i = 0; i < n; i++) {
        double k = 1 / (p[i]->ms * p[i]->ms);
        w += k, x += k * p[i]->mb, y += k * p[i]->ms;
        xx += k * p[i]->mb * p[i]->mb, xy += k * p[i]->mb * p[i]->ms;
    }
    double determinant = w * xx - x * x;
    line l = {.slope = determinant > 0 ? (w * xy - x * y) / determinant : 0};
    l.at0 = (y - l.slope * x) / w;
    for (int i = 0; i < n; i++) {
        double d = (l.at0 + l.slope * p[i]->mb) / p[i]->ms - 1;
        l.error += d * d;
    }
    return l;
}

static bool is_power_of_two(int x) {
    return x > 0 && (x & (x - 1)) == 0;
}

static bool is_dip(const ane_cliff_point *p, int n, int i) {
    if (i == 0 || i + 1 == n || !is_power_of_two(p[i].channels) || p[i].ms <= p[i + 1].ms) return false;
    double part = (p[i].mb - p[i - 1].mb) / (p[i + 1].mb - p[i - 1].mb);
    return p[i].ms > DIP * (p[i - 1].ms + part * (p[i + 1].ms - p[i - 1].ms));
}

static int mark_dips(ane_cliff_point *p, int n) {
    int dips = 0;
    for (int i = 0; i < n; i++) {
        if (!is_dip(p, n, i)) continue;
        p[i].kind = ANE_CLIFF_DIP;
        dips++;
        for (int k = i + 1; k < n; k++)
            if (p[k].channels % p[i].channels == 0) p[k].kind = ANE_CLIFF_LIKE_DIP;
    }
    return dips;
}

static void mark_noise(ane_cliff_point *p, int n) {
    for (int i = 0; i < n; i++)
        for (int k = i + 1; k < n; k++)
            if (p[i].kind == ANE_CLIFF_USED && p[k].kind == ANE_CLIFF_USED && p[i].ms > NOISE * p[k].ms)
                p[i].kind = ANE_CLIFF_NOISE;
}

static bool is_edge(const ane_cliff_point *const *p, int n, int at, double error, double single) {
    line before = fit(p, at), after = fit(p + at, n - at);
    bool better = sqrt(error / n) < BETTER * sqrt(single / n) && sqrt(single / n) > WORTH_EXPLAINING;
    double here = p[at]->mb, last = p[n - 1]->mb;
    bool slower = after.at0 + after.slope * here > SLOWER * (before.at0 + before.slope * here) ||
                  after.at0 + after.slope * last > SLOWER * (before.at0 + before.slope * last);
    return better && slower && after.slope > before.slope;
}

/* The break between p[at - 1] and p[at]. */
static double break_error(const ane_cliff_point *const *p, int n, int at) {
    return fit(p, at).error + fit(p + at, n - at).error;
}

static void find_break(ane_cliff *c, const ane_cliff_point *const *p, int n) {
    int best = SIDE;
    for (int at = SIDE; at <= n - SIDE; at++)
        if (break_error(p, n, at) < break_error(p, n, best)) best = at;
    double error = break_error(p, n, best);
    c->slope_before = fit(p, best).slope;
    c->slope_after = fit(p + best, n - best).slope;
    c->edge = is_edge(p, n, best, error, fit(p, n).error);
    c->low = p[best - 1]->mb;
    c->high = p[best]->mb;
    for (int at = SIDE; at <= n - SIDE; at++) {
        if (break_error(p, n, at) > AS_GOOD * AS_GOOD * error) continue;
        c->low = fmin(c->low, p[at - 1]->mb);
        c->high = fmax(c->high, p[at]->mb);
    }
}

ane_cliff ane_cliff_find(ane_cliff_point *points, int n) {
    const ane_cliff_point *used[MOST];
    int count = 0;
    for (int i = 0; i < n; i++) points[i].kind = ANE_CLIFF_USED;
    ane_cliff c = {.dips = mark_dips(points, n)};
    mark_noise(points, n);
    for (int i = 0; i < n && count < MOST; i++)
        if (points[i].kind == ANE_CLIFF_USED) used[count++] = &points[i];
    if (count) c.largest = used[count - 1]->mb;
    c.enough = count >= 2 * SIDE;
    if (c.enough) find_break(&c, used, count);
    return c;
}
