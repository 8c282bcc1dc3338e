/* explore.h - programs on the raw framework, with every choice that it offers: what src/measure asks of a machine.
 *
 * Nothing here retries, evicts, believes or prints. Each call into the framework has a time by which it must have come
 * back, and gives a reply: what was said, the NSError, and how long it took. Memory and calls that are NULL are handled
 * by every function: a chain of calls may go on after a failure and ends with a reply that says so.
 *
 *     engine_device *x = engine_explore(device, e);
 *     engine_build built;
 *     engine_explored *p = engine_explored_new(x, text, n, files, ENGINE_QOS, &built);   built.load.said == ENGINE_YES
 *     ane_surface *in = engine_explore_surface(x, bytes, e), *out = ...;                   fill through ane_surface_lock
 *     engine_choices how = engine_usual_choices;
 *     engine_reply made, ran;
 *     engine_request *r = engine_request_new(p, 1, &in, 1, &out, &how, &made);
 *     ran = engine_request_run(r);                                                         as often as wanted
 *     engine_request_free(r); engine_explored_free(p); ane_surface_free(in), ... */
#ifndef ANEMONE_DEVICE_ANE_EXPLORE_H
#define ANEMONE_DEVICE_ANE_EXPLORE_H

#include "anemone/device.h"
#include "device/ane/model.h"
#include "device/ane/surface.h"

#include <jansson.h>

typedef struct engine_device engine_device;
typedef struct engine_explored engine_explored; /* a program */
typedef struct engine_request engine_request;   /* its surfaces, and how to evaluate */

typedef enum engine_said {
    ENGINE_NOT_REACHED, /* something before it failed */
    ENGINE_YES,         /* YES, or an object */
    ENGINE_NO,          /* NO, or nil */
    ENGINE_ABSENT,      /* this framework has no such class, method or function */
    ENGINE_LATE,        /* it did not come back in time; the program must not be used any more */
    ENGINE_N_SAID
} engine_said;
/* "not reached", "yes", "no", "absent", "late" */
const char *engine_said_name(engine_said said);

typedef struct engine_reply {
    engine_said said;
    long code;                   /* of the NSError; 0: there was none */
    char domain[64], text[1024]; /* "" where nothing was said */
    double host_ms;              /* of this call alone */
    double device_ms; /* an evaluation's time on the device (modelled on the emulator); -1: not reported */
} engine_reply;

/* The device behind `d`; NULL with ANE_ERROR_UNSUPPORTED when that is no Neural Engine. Lives as long as `d`. */
engine_device *engine_explore(ane_device *d, ane_error *e);
mil_dialect engine_dialect(const engine_device *x); /* the header that this machine takes */
/* Zeroed memory that programs can use; ane_surface_free() it. NULL on failure. */
ane_surface *engine_explore_surface(engine_device *x, size_t bytes, ane_error *e);

/* ---- programs ---------------------------------------------------------------------------------------------------- */

enum { ENGINE_QOS = 21 }; /* what everybody gives */

typedef struct engine_build {
    engine_reply model, compile, load; /* host_ms of `model`: descriptor, model and files */
} engine_build;

/* Compile and load MIL text; `files` are whole blob files. ANE_PROGRAM_IDENTITY (program.h) in the text becomes a name
 * of its own; programs of the same text and weights share a folder. NULL when out of memory only: a program that failed is
 * an object, too. */
engine_explored *engine_explored_new(engine_device *x, const char *text, int n_files,
    const ane_weight_file *files, unsigned qos, engine_build *built);
void engine_explored_free(engine_explored *p); /* unloads; NULL is fine */
engine_reply engine_explored_unload(engine_explored *p);
engine_reply engine_explored_load(engine_explored *p);
/* Overwrite files on the disk. ENGINE_NO when that failed. */
engine_reply engine_explored_write(engine_explored *p, int n_files, const ane_weight_file *files);
/* What the framework says of it, each an object; the caller's. NULL and a report when it says nothing.
 * attributes: modelAttributes, as they are. handles: hexStringIdentifier, state, programHandle,
 * intermediateBufferHandle, queueDepth, perfStatsMask, isMILModel, program {programHandle, queueDepth},
 * disk_model {getUUID, inputs, outputs: +[_ANEModel modelAtURL:key:]}; what is absent is null. */
json_t *engine_explored_attributes(engine_explored *p, ane_error *e);
json_t *engine_explored_handles(engine_explored *p, ane_error *e);

/* ---- evaluations ------------------------------------------------------------------------------------------------- */

typedef enum engine_path {
    ENGINE_PATH_STANDARD,  /* -[_ANEInMemoryModel evaluateWithQoS:options:request:error:] */
    ENGINE_PATH_REAL_TIME, /* -[_ANEClient evaluateRealTimeWithModel:options:request:error:] */
    ENGINE_PATH_DIRECT,    /* -[_ANEClient doEvaluateDirectWithModel:options:request:qos:error:] */
    ENGINE_PATH_PROCESS,   /* -[_ANEProgramForEvaluation processRequest:...] */
    ENGINE_N_PATHS
} engine_path;
/* "standard", "real-time", "direct", "process-request" */
const char *engine_path_name(engine_path path);

typedef enum engine_stats {
    ENGINE_STATS_NONE,
    ENGINE_STATS_TIME,   /* +statsWithHardwareExecutionNS: */
    ENGINE_STATS_BUFFER, /* +statsWithRequestPerformanceBuffer:statsBufferSize: */
    ENGINE_STATS_PLAIN,  /* alloc, init: recorded to be nil */
    ENGINE_N_STATS
} engine_stats;

typedef struct engine_choices {
    engine_path path;
    engine_stats stats;
    unsigned qos;
    uint64_t procedure;         /* procedureIndex */
    ane_surface *weights;       /* weightsBuffer; NULL: nil */
    const char *weights_symbol; /* weightsBuffer is an _ANEWeight of this symbol ... */
    const char *weights_path;   /* ... and this file; NULL: it is not */
    unsigned perf_mask;         /* setPerfStatsMask: on the model; 0: not called */
} engine_choices;
/* Standard, with time on the device, QoS 21, procedure 0. */
extern const engine_choices engine_usual_choices;

/* A request on surfaces in the order of the program's ports. NULL without a program or memory; *made says what the framework
 * said: of the statistics or the weights' object where one of these came out nil. */
engine_request *engine_request_new(engine_explored *p, int n_inputs, ane_surface *const *inputs,
    int n_outputs, ane_surface *const *outputs, const engine_choices *how, engine_reply *made);
void engine_request_free(engine_request *r); /* NULL is fine */
engine_reply engine_request_run(engine_request *r);
/* {"object": what the statistics are, or null, "hwExecutionTime": ns, "perfCounterData": bytes, "pStatsRawData": bytes,
 * "performanceCounters": of the model}; what is nil is null. The caller's; NULL when out of memory. */
json_t *engine_request_stats(engine_request *r);

/* beginRealTimeTask, endRealTimeTask of the shared client. */
engine_reply engine_real_time_begin(engine_device *x);
engine_reply engine_real_time_end(engine_device *x);

/* ---- chains of objects, step by step to the one that fails ------------------------------------------------------ */

enum { ENGINE_MOST_STEPS = 16 };
typedef struct engine_step {
    const char *name; /* "prepareChainingWithModel" */
    engine_reply reply;
} engine_step;

/* Buffers, statistics surface, output set, chaining request, its validation, prepareChaining, buffersReady, enqueueSets.
 * Every step is tried whose objects are there. Returns how many steps there are. */
int engine_explore_chaining(
    engine_explored *p, ane_surface *input, ane_surface *output, engine_step steps[ENGINE_MOST_STEPS]);
/* A shared event, a signal and a wait of it, their union, a request with it, and an evaluation of that request. */
int engine_explore_events(
    engine_explored *p, ane_surface *input, ane_surface *output, engine_step steps[ENGINE_MOST_STEPS]);

/* ---- classes ----------------------------------------------------------------------------------------------------- */

/* [{"name", "superclass", "class_methods": [{"selector", "types"}], "methods": ..., "properties": [{"name",
 * "attributes"}], "ivars": [{"name", "type"}]}], by name, of all classes whose names begin with _ANE or ANE. The
 * caller's. */
json_t *engine_explore_classes(engine_device *x, ane_error *e);

/* Whether alloc, init of a class gives an object: ENGINE_NO when it gives nil, ENGINE_ABSENT when there is no such class. */
engine_reply engine_explore_plain(engine_device *x, const char *class);

#endif
