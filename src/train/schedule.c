#include "anemone/train.h"

#include <math.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

static double clamp01(double x) {
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* What part of the way from the peak to min_lr is left, for steps behind the warm-up. */
typedef double remaining_fn(const ane_schedule *s, int64_t step);

static double cosine(const ane_schedule *s, int64_t step) {
    int64_t length = s->total - s->warmup;
    double done = length > 0 ? clamp01((double)(step - s->warmup) / (double)length) : 1;
    return 0.5 * (1 + cos(PI * done));
}

static double constant(const ane_schedule *s, int64_t step) {
    (void)s;
    (void)step;
    return 1;
}

/* Warm-up, stable, decay (Hu et al. 2024, arXiv:2404.06395): linear over the last `decay` steps. */
static double wsd(const ane_schedule *s, int64_t step) {
    int64_t left = s->total - 1 - step;
    return s->decay > 0 ? clamp01((double)left / (double)s->decay) : 1;
}

static const struct {
    const char *name;
    remaining_fn *remaining;
} schedules[] = {
    [ANE_COSINE] = {"cosine", cosine},
    [ANE_CONSTANT] = {"constant", constant},
    [ANE_WSD] = {"wsd", wsd},
};
enum { SCHEDULES = sizeof schedules / sizeof *schedules };

double ane_schedule_lr(const ane_schedule *s, int64_t step) {
    if (step < s->warmup) return s->lr * (double)(step + 1) / (double)s->warmup;
    return s->min_lr + (s->lr - s->min_lr) * schedules[s->kind].remaining(s, step);
}

bool ane_schedule_from_name(ane_schedule_kind *kind, const char *name, ane_error *e) {
    for (int i = 0; i < SCHEDULES; i++) {
        if (strcmp(name, schedules[i].name)) continue;
        *kind = (ane_schedule_kind)i;
        return true;
    }
    return ane_fail(
        e, ANE_ERROR_ARGUMENT, NULL, "Unknown schedule \"%s\": expected cosine, constant or wsd.", name);
}

const char *ane_schedule_name(ane_schedule_kind kind) {
    return (unsigned)kind < SCHEDULES ? schedules[kind].name : "unknown";
}
