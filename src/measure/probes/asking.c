/* asking.c - what a probe writes down. */
#include "base/decimal.h"
#include "measure/probes/probe.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void ane_asking_did(ane_asking *a, const char *format, ...) {
    va_list args;
    va_start(args, format);
    ane_print_list(a->did, sizeof a->did, format, args);
    va_end(args);
}

void ane_asking_answer(ane_asking *a, const char *format, ...) {
    va_list args;
    va_start(args, format);
    ane_print_list(a->answer, sizeof a->answer, format, args);
    va_end(args);
}

void ane_asking_put(ane_asking *a, const char *name, json_t *value) {
    if (value) json_object_set_new(a->details, name, value);
}

void ane_asking_number(ane_asking *a, const char *name, double x) {
    if (isfinite(x)) ane_asking_put(a, name, json_real(x));
}

void ane_asking_text(ane_asking *a, const char *name, const char *text) {
    ane_asking_put(a, name, json_string(text));
}

void ane_asking_numbers(ane_asking *a, const char *name, const float *x, int n) {
    json_t *list = json_array();
    for (int i = 0; list && i < n; i++)
        json_array_append_new(list, isfinite(x[i]) ? json_real((double)x[i]) : json_null());
    ane_asking_put(a, name, list);
}

/* ---- too fast to be true ------------------------------------------------------------------------------------------ */

/* A recorded peak is what someone reached, not what the chip can do; a tenth of a recorded dispatch nobody ever saw. */
static const double FASTER_THAN_RECORDED = 2, SHORTER_DISPATCH = 0.1;

bool ane_probe_possible(const ane_capabilities *c, double flops, double ms, ane_error *e) {
    double rate = c->device_gflops * FASTER_THAN_RECORDED, arithmetic = rate > 0 ? flops / rate * 1e-6 : 0;
    double bound = fmax(arithmetic, c->device_dispatch_ms * SHORTER_DISPATCH);
    if (isfinite(ms) && ms >= bound) return true;
    ane_fail(e, ANE_ERROR_DEVICE, "evaluate",
        "%.3g ms for %.3g MFLOP: this chip needs at least %.3g ms, so nothing was computed", ms, flops * 1e-6,
        bound);
    return ane_hint(e, "There is no answer. Run `anemone doctor`.");
}
