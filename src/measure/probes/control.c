/* control.c - see control.h. */
#include "measure/probes/control.h"

#include "measure/probes/asked.h"

#include <math.h>
#include <stdlib.h>

struct ane_control {
    ane_asked raw;
};

enum { CHANNELS = 64 };
static const float FACTOR = 1.5f;

ane_control *ane_control_new(ane_device *device, ane_error *e) {
    ane_control *c = calloc(1, sizeof *c);
    if (!c) {
        ane_fail(e, ANE_ERROR_MEMORY, "control", "no memory for the control experiment");
        return NULL;
    }
    if (ane_scaling_begin(&c->raw, device, CHANNELS, FACTOR, ENGINE_QOS, e)) return c;
    ane_hint(e, "The control experiment, a convolution, failed; nothing else was asked.");
    ane_control_free(c);
    return NULL;
}

void ane_control_free(ane_control *c) {
    if (!c) return;
    ane_asked_end(&c->raw);
    free(c);
}

bool ane_control_run(ane_control *c, ane_error *e) {
    float ratio;
    if (!ane_scaling_usual(&c->raw, &ratio, e)) return false;
    return fabsf(ratio - FACTOR) < 0.01f ||
           ane_fail(e, ANE_ERROR_DEVICE, "control", "a convolution by %g multiplied with %g", (double)FACTOR,
               (double)ratio);
}
