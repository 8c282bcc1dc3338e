/* control.h - the control experiment: a product of known numbers, before every probe. A machine that does not answer it, or not
 * rightly, or sooner than it can, is not asked anything else. */
#ifndef ANEMONE_MEASURE_PROBES_CONTROL_H
#define ANEMONE_MEASURE_PROBES_CONTROL_H

#include "anemone/device.h"

typedef struct ane_control ane_control;

ane_control *ane_control_new(ane_device *device, ane_error *e); /* of the Neural Engine; NULL on failure */
void ane_control_free(ane_control *c);                          /* NULL is fine */
bool ane_control_run(ane_control *c, ane_error *e);             /* with other numbers each time */

#endif
