/* The emulated machine. */
#include "emulator/state.h"
#include "base/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    em_chips chips;
    em_settings settings;
    bool refused;
    char message[1400];
    int64_t calls[EM_STAGE_COUNT];
    int64_t compiles; /* tried, for the limit */
    bool poisoned;
    anemone_emulator_counts counts;
    ane_device *device;
    atomic_int programs; /* that there are */
} machine = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void lock(void) {
    pthread_mutex_lock(&machine.lock);
}

static void unlock(void) {
    pthread_mutex_unlock(&machine.lock);
}

static void keep_message(const ane_error *e) {
    machine.refused = e->code != ANE_OK;
    machine.message[0] = 0;
    if (machine.refused)
        snprintf(machine.message, sizeof machine.message, "%s: %s%s%s", e->where, e->message,
            e->hint[0] ? "; " : "", e->hint);
}

/* Everything but what is alive starts again. */
static bool configure(const char *text) {
    ane_error e = {0};
    em_settings settings = {0};
    lock();
    if (em_settings_parse(&settings, &machine.chips, text, &e)) {
        machine.settings = settings;
        memset(machine.calls, 0, sizeof machine.calls);
        machine.compiles = 0;
        machine.poisoned = false;
        machine.counts = (anemone_emulator_counts){
            .loaded_programs = machine.counts.loaded_programs, .surfaces = machine.counts.surfaces};
    }
    keep_message(&e);
    unlock();
    return e.code == ANE_OK;
}

void em_state_start(void) {
    ane_error e = {0};
    const char *environment = getenv("ANEMONE_EMULATOR");
    if (!em_chips_load(&machine.chips, &e)) {
        keep_message(&e);
        return;
    }
    configure(NULL); /* so that there are settings even when those of the environment are refused */
    if (environment) configure(environment);
}

void em_state_programs(int change) {
    atomic_fetch_add(&machine.programs, change);
}

/* The device and the chips' data go with the library, so that a leak check sees only leaks; but not while a program may
 * still be running: a call that came back too late for somebody, who ends the process now. */
__attribute__((destructor)) static void stop(void) {
    if (atomic_load(&machine.programs) > 0) return;
    ane_device_close(machine.device);
    machine.device = NULL;
    em_chips_free(&machine.chips);
}

bool anemone_emulator_configure(const char *text) {
    return machine.chips.n > 0 && configure(text);
}

const char *anemone_emulator_message(void) {
    return machine.message;
}

bool em_state_refused(void) {
    return machine.refused;
}

const em_settings *em_state_settings(void) {
    return &machine.settings;
}

const em_chips *em_state_chips(void) {
    return &machine.chips;
}

int64_t em_quirk_value(em_quirk quirk) {
    return machine.settings.quirk[quirk];
}

/* The plain failure of a stage: what a random fault is. */
static em_fault_kind plain_fault(em_stage stage) {
    for (int kind = 0; kind < EM_FAULT_COUNT; kind++)
        if (em_faults[kind].stage == stage) return (em_fault_kind)kind;
    return EM_FAULT_NONE;
}

static bool strikes(const em_fault *fault, em_stage stage, int64_t call) {
    if (fault->kind == EM_FAULT_RANDOM) {
        ane_rng rng = ane_rng_new(fault->seed, (uint64_t)stage << 48 | (uint64_t)call);
        return ane_rng_uniform(&rng) < fault->amount;
    }
    return em_faults[fault->kind].stage == stage &&
           (call == fault->first || (fault->onwards && call > fault->first));
}

em_fault_kind em_state_enter(em_stage stage, double *amount) {
    em_fault_kind kind = EM_FAULT_NONE;
    lock();
    int64_t call = ++machine.calls[stage];
    for (int i = 0; i < machine.settings.n_faults && kind == EM_FAULT_NONE; i++) {
        const em_fault *fault = &machine.settings.faults[i];
        if (!strikes(fault, stage, call)) continue;
        kind = fault->kind == EM_FAULT_RANDOM ? plain_fault(stage) : fault->kind;
        if (amount) *amount = fault->amount;
    }
    unlock();
    return kind;
}

ane_device *em_state_device(ane_error *e) {
    lock();
    if (!machine.device) machine.device = ane_device_open("cpu:precision=fp16", e);
    ane_device *device = machine.device;
    unlock();
    return device;
}

static bool below(int64_t n, em_quirk limit) {
    return em_quirk_value(limit) == EM_NO_LIMIT || n < em_quirk_value(limit);
}

bool em_state_compile_begin(void) {
    lock();
    bool ok = below(machine.compiles, EM_QUIRK_MAX_COMPILES);
    if (ok) machine.compiles++;
    unlock();
    return ok;
}

bool em_state_load_begin(void) {
    lock();
    bool ok = below(machine.counts.loaded_programs, EM_QUIRK_MAX_LOADED);
    if (ok) machine.counts.loaded_programs++;
    unlock();
    return ok;
}

void em_state_load_end(void) {
    lock();
    machine.counts.loaded_programs--;
    unlock();
}

void em_state_count(
    void (*update)(anemone_emulator_counts *counts, const void *context), const void *context) {
    lock();
    update(&machine.counts, context);
    unlock();
}

void anemone_emulator_counts_get(anemone_emulator_counts *counts) {
    lock();
    *counts = machine.counts;
    unlock();
}

int64_t anemone_emulator_calls(const char *fault) {
    for (int kind = 0; kind < EM_FAULT_COUNT; kind++) {
        if (em_faults[kind].stage >= EM_STAGE_COUNT || strcmp(em_faults[kind].name, fault) != 0) continue;
        lock();
        int64_t calls = machine.calls[em_faults[kind].stage];
        unlock();
        return calls;
    }
    return -1;
}

void em_state_poison(void) {
    lock();
    machine.poisoned = true;
    unlock();
}

bool em_state_poisoned(void) {
    lock();
    bool poisoned = machine.poisoned;
    unlock();
    return poisoned;
}
