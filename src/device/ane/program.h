/* program.h - a program in the engine: compiled, loaded, evaluated, unloaded. Programs of one device share a budget:
 * where no more can be loaded, the one that rested longest is unloaded, and loaded again when it is wanted. */
#ifndef ANEMONE_DEVICE_ANE_PROGRAM_H
#define ANEMONE_DEVICE_ANE_PROGRAM_H

#include "device/ane/model.h"
#include "device/ane/surface.h"
#include "device/ane/timed.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct ane_program ane_program;
typedef struct ane_program_cache ane_program_cache;

typedef struct ane_budget {
    const ane_framework *fw;
    pthread_mutex_t lock;
    ane_program *programs; /* a list */
    int64_t clock;         /* counts uses */
    uint64_t begun;        /* when, in nanoseconds: a part of every program's name */
    int64_t named;
    ane_program_cache *cache; /* of compiled programs; NULL: none */
    /* Whether this process can compile and load at all: asked after a failure, to tell a bad program from a process that
     * has used up what it gets. NULL: not asked. */
    bool (*works)(void *context);
    void *works_context;
    atomic_bool asking;
    ane_timed timed;
    double compile_seconds,
        evaluate_seconds; /* a call must come back within; that of compile is load's, too */
    double peak_gflops;   /* no result can be faster; 0: unknown */
    void (*note)(void *context, const char *text); /* told of what went wrong and then right; NULL: nobody */
    void *note_context;
    int64_t compiles, loads, evictions, retries;
    int64_t most_loaded; /* more were refused once; 0: that never happened */
} ane_budget;

bool ane_budget_init(ane_budget *b, const ane_framework *fw, ane_error *e);
void ane_budget_destroy(ane_budget *b);

/* Stands in a text where its program's name shall be. No other program, of this process or another, gets the same:
 * none shares its folder, whatever their text and weights. */
#define ANE_PROGRAM_IDENTITY "anemone_name_of_this_program"
/* The text with such a name, as ane_program_new makes it of texts that have none; caller frees. */
char *ane_program_text(ane_budget *b, const char *text, ane_error *e);

/* Compile and load; with `kept`, what is compiled is kept in the budget's cache, and taken from there. The text and the
 * files are not needed afterwards. NULL on failure: ANE_ERROR_EXHAUSTED when nothing compiles any more in this process. */
ane_program *ane_program_new(
    ane_budget *b, const char *text, int n_files, const ane_weight_file *files, bool kept, ane_error *e);
/* Floating-point operations of an evaluation, by which impossible times are told. */
void ane_program_expect(ane_program *p, double flops);
bool ane_program_is_hung(const ane_program *p);  /* a call has not come back */
void ane_program_free(ane_program *p);           /* NULL is fine */
objc_id ane_program_model(const ane_program *p); /* its _ANEInMemoryModel */
/* Write other weight files and load again without compiling. Whether that changes anything is the machine's secret. */
bool ane_program_reload(ane_program *p, int n_files, const ane_weight_file *files, ane_error *e);

/* Evaluate on surfaces in the order of the program's ports. *device_ms: the time on the device where the framework
 * reports one, else -1. */
bool ane_program_run(ane_program *p, int n_inputs, ane_surface *const *inputs, int n_outputs,
    ane_surface *const *outputs, double *device_ms, ane_error *e);

#endif
