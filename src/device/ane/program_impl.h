/* program_impl.h - what program.c and program_run.c share. */
#ifndef ANEMONE_DEVICE_ANE_PROGRAM_IMPL_H
#define ANEMONE_DEVICE_ANE_PROGRAM_IMPL_H

#include "device/ane/program.h"
#include "device/ane/program_call.h"

struct ane_program {
    ane_budget *budget;
    ane_program *next;
    objc_id model;
    char *folder;
    bool loaded;
    int users; /* evaluations going on: it must stay */
    int64_t last_use;
    bool hung;    /* a call did not come back: it must not be called again */
    double flops; /* of an evaluation; 0: unknown */
};

/* Under the budget's lock: load unless it is loaded, unloading others where that makes room. */
bool ane_program_load(ane_program *p, ane_error *e);

#endif
