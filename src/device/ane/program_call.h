/* program_call.h - the calls of a model that take long: each with a time by which it must have come back. */
#ifndef ANEMONE_DEVICE_ANE_PROGRAM_CALL_H
#define ANEMONE_DEVICE_ANE_PROGRAM_CALL_H

#include "device/ane/objc.h"
#include "device/ane/timed.h"

/* What is called: "compile", compileWithQoS:options:error:, ... */
typedef struct ane_model_call {
    const char *stage, *selector;
    objc_id request; /* of an evaluation; NULL: the selector takes none */
    double seconds;  /* it must come back within */
} ane_model_call;

/* False with a report when the framework says no, or when the call is late: then *hung is set, and the model must not be
 * called again. */
bool ane_model_call_make(ane_timed *t, const ane_framework *fw, objc_id model, const ane_model_call *call,
    bool *hung, ane_error *e);

#endif
