/* device.h - the Neural Engine device's own structs. */
#ifndef ANEMONE_DEVICE_ANE_DEVICE_H
#define ANEMONE_DEVICE_ANE_DEVICE_H

#include "base/background.h"
#include "device/ane/facts.h"
#include "device/ane/program_cache.h"
#include "device/device_impl.h"
#include "mil/lower.h"

#include <stdatomic.h>

typedef struct engine_device {
    ane_device base;
    ane_framework fw;
    ane_budget budget;
    ane_machine machine;
    ane_facts facts;
    mil_weight_mode weights;
    bool reload; /* baked, and new weights come in by files alone */
    bool async;  /* baked, and new weights are compiled beside the work with the old ones */
    ane_background background;
    ane_program_cache cache;
    bool keep_baked;    /* programs with weights of their own are kept in it, too */
    bool several_ports; /* several inputs and outputs, each of its own size */
    atomic_llong bytes, peak_bytes, allocations;
} engine_device;

typedef struct engine_buffer {
    ane_buffer base;
    ane_surface *surface;
    ane_access mapped;
} engine_buffer;

typedef struct engine_kernel {
    ane_kernel base;
    mil_lowering *lowering;
    char *text;
    ane_program *program;     /* shared by all bindings; NULL where each bakes its own */
    ane_surface **outputs;    /* per lowered output; NULL where the bound buffer's surface is used */
    int32_t *slot;            /* per piece: index into base.ports; MIL_NONE for the guard */
    pthread_mutex_t run_lock; /* bindings share the output surfaces */
    uint32_t turn;            /* what the guard is given */
} engine_kernel;

/* A set of weights on its way into a program, compiled beside the work. */
typedef struct engine_baking {
    ane_job job;
    struct engine_binding *binding;
    int n_files;
    ane_weight_file *files; /* a copy of the weights as they were */
    ane_program *program;
    ane_error error;
    double ms;
} engine_baking;

typedef struct engine_binding {
    ane_binding base;
    engine_buffer **buffers; /* inputs, then outputs */
    const float **masters;
    ane_surface **inputs; /* per lowered input; NULL where the bound buffer's surface is used */
    ane_program *program; /* baked */
    engine_baking *next;  /* the program of the weights that came last; NULL: none is being compiled */
    bool stale;           /* the weights in surfaces or program are older than the masters */
} engine_binding;

/* An ane_surface counted in the device's memory. */
ane_surface *engine_surface_new(engine_device *d, int64_t bytes, ane_error *e);
void engine_surface_free(engine_device *d, ane_surface *s);
/* Bytes that the surface of `rows` rows of fp16 must have. */
int64_t engine_port_bytes(const engine_device *d, int64_t rows, int64_t width, int64_t element);
/* The same for a port of a lowered program: where sizes must be equal, that of the largest of its kind. */
int64_t engine_surface_bytes(const engine_device *d, const mil_lowering *l, bool input, int32_t port);
/* True when the bound buffer's surface is the port: the piece is all of it, in its type. */
bool engine_is_direct(const mil_lowering *l, const mil_piece *p);

ane_kernel *engine_compile(ane_device *d, const mil_program *p, const mil_function *f, ane_error *e);
void engine_kernel_free(ane_kernel *k);
char *engine_kernel_describe(const ane_kernel *k);

ane_binding *engine_binding_new(ane_kernel *k, ane_error *e);
void engine_binding_free(ane_binding *b);
bool engine_bind(ane_binding *b, int slot, ane_buffer *buffer, int flags, ane_error *e);
bool engine_bind_weight(ane_binding *b, int weight, const float *master, ane_error *e);
bool engine_weights_changed(ane_binding *b, ane_error *e);
bool engine_run(ane_binding *b, ane_run_stats *stats, ane_error *e);

/* takes.c: refuse what the machine cannot take, and say why. */
bool engine_takes(const engine_device *d, const mil_function *f, ane_error *e);

/* weights.c: masters into input surfaces, or into a program of the binding's own; what it took is added to `counts`. */
bool engine_stage_weights(engine_binding *b, ane_device_counts *counts, ane_error *e);
/* weights_async.c: at a change of weights, the program of the change before comes in and the next one is begun: runs
 * use weights that are one change old. A compilation that failed is reported here. */
bool engine_bake_beside(engine_binding *b, ane_error *e);
/* Wait for what is being compiled and drop it. */
void engine_drop_next(engine_binding *b);
/* The files of a lowering: its tables, and the weights of `b` (NULL: there are none). */
ane_weight_file *engine_weight_files(const mil_lowering *l, const engine_binding *b, int *n, ane_error *e);
void engine_weight_files_free(ane_weight_file *files, int n);

/* transfer.c: tensors between buffers and ports. `rows` points at the port's first row. */
typedef struct engine_rows {
    uint16_t *data; /* the port's memory */
    int64_t stride; /* its width, in elements */
} engine_rows;
void engine_put_f32(const engine_rows *port, const mil_piece *p, const float *x, int threads);
bool engine_put(const engine_rows *port, const mil_piece *p, engine_buffer *from, int threads, ane_error *e);
bool engine_get(const engine_rows *port, const mil_piece *p, engine_buffer *to, int threads, ane_error *e);

/* selftest_header.c: whether a tiny program still compiles and runs; `device` is an engine_device. */
bool engine_still_works(void *device);

#endif
