/* machine.h - which machine this is: what facts and compiled programs are kept under. */
#ifndef ANEMONE_DEVICE_ANE_MACHINE_H
#define ANEMONE_DEVICE_ANE_MACHINE_H

#include "device/ane/framework.h"

typedef struct ane_machine {
    bool emulated;
    char chip[64];       /* "M4 Max"; "" when unknown */
    char sub_type[32];   /* what the framework calls it: "h16c" */
    char os_build[64];   /* "25D125" */
    char framework[160]; /* Apple's version, or which build of the emulator */
    char settings[2048]; /* of the emulator: every quirk's value; "" on a Mac */
    int faults;          /* of the emulator: how many are set */
    bool without_engine; /* the framework says so: a virtual machine, or an Intel processor */
} ane_machine;

/* What cannot be found out stays empty. */
void ane_machine_identify(const ane_framework *fw, ane_machine *m);
/* False with a report where the framework is there, but no engine. */
bool ane_machine_check(const ane_machine *m, ane_error *e);

#endif
