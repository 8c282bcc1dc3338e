/* state.h - what an emulated machine remembers between calls. There is one in a process, as there is one framework. */
#ifndef ANEMONE_EMULATOR_STATE_H
#define ANEMONE_EMULATOR_STATE_H

#include "emulator/emulator.h"
#include "emulator/settings.h"

#include "anemone/device.h"

/* Read chips and environment; called once, when the library is loaded. */
void em_state_start(void);
/* True when the settings are refused: then `anemone_emulator_message` says why. */
bool em_state_refused(void);
const em_settings *em_state_settings(void);
const em_chips *em_state_chips(void);
int64_t em_quirk_value(em_quirk quirk);

/* Count a call of `stage` and say what shall go wrong with it (EM_FAULT_NONE: nothing); *amount gets seconds. */
em_fault_kind em_state_enter(em_stage stage, double *amount);

/* The CPU device that computes; opened at the first use. */
ane_device *em_state_device(ane_error *e);

/* A program more, or less: the machine stays as long as there are any. */
void em_state_programs(int change);

/* Counting; each returns false when a limit is reached. */
bool em_state_compile_begin(void);
bool em_state_load_begin(void);
void em_state_load_end(void); /* unloaded, or the load failed */
void em_state_count(
    void (*update)(anemone_emulator_counts *counts, const void *context), const void *context);

/* After tile has run, nothing does. */
void em_state_poison(void);
bool em_state_poisoned(void);

#endif
