/* device_impl.h - what a device implements. The public functions in device.c check arguments, then call these. */
#ifndef ANEMONE_DEVICE_IMPL_H
#define ANEMONE_DEVICE_IMPL_H

#include "anemone/device.h"

#include <pthread.h>

typedef struct ane_device_ops {
    const char *name; /* what stands before the colon in a device spec */
    /* `options` is what stands after the colon, "" when nothing does. */
    ane_device *(*open)(const char *options, ane_error *e);
    void (*close)(ane_device *d);
    ane_kernel *(*compile)(ane_device *d, const mil_program *p, const mil_function *f, ane_error *e);
    void (*kernel_free)(ane_kernel *k);
    char *(*kernel_describe)(const ane_kernel *k);
    ane_buffer *(*buffer_new)(ane_device *d, const mil_type *type, ane_error *e);
    void (*buffer_free)(ane_buffer *b);
    void *(*buffer_map)(ane_buffer *b, ane_access access, ane_error *e);
    bool (*buffer_unmap)(ane_buffer *b, ane_error *e);
    ane_binding *(*binding_new)(ane_kernel *k, ane_error *e);
    void (*binding_free)(ane_binding *b);
    /* `slot` counts inputs, then outputs; names and types were checked. */
    bool (*bind)(ane_binding *b, int slot, ane_buffer *buffer, int flags, ane_error *e);
    bool (*bind_weight)(ane_binding *b, int weight, const float *master, ane_error *e);
    bool (*weights_changed)(ane_binding *b, ane_error *e);
    bool (*run)(ane_binding *b, ane_run_stats *stats, ane_error *e);
    ane_memory_stats (*memory)(const ane_device *d);
    /* Add what the device counts elsewhere; NULL: nothing. */
    void (*counts)(ane_device *d, ane_device_counts *counts);
    /* NULL: the device has no plans. */
    int (*profile)(ane_device *d, ane_step_profile *steps, int max);
    void (*profile_reset)(ane_device *d);
} ane_device_ops;

typedef struct ane_port {
    const char *name;
    mil_type type;
} ane_port;

enum { ANE_NOTICES = 8 };

/* Every device's structs start with these. */
struct ane_device {
    const ane_device_ops *ops;
    ane_capabilities capabilities;
    pthread_mutex_t counts_lock; /* made by ane_device_open once the device is there */
    ane_device_counts counts;
    int n_notices;
    char notices[ANE_NOTICES][512]; /* oldest first */
};
struct ane_kernel {
    ane_device *device;
    int n_inputs, n_outputs, n_weights;
    ane_port *ports; /* inputs, then outputs, then weights */
    double flops;
};
struct ane_buffer {
    ane_device *device;
    mil_type type;
};
struct ane_binding {
    ane_kernel *kernel;
    bool *bound; /* per port */
    bool keeps_weights;
};

/* counts.c: add `more` to what the device has done; any thread. */
void ane_device_count(ane_device *d, const ane_device_counts *more);

/* counts.c: keep a notice; when there are too many, the oldest goes. `d` is an ane_device. */
void ane_device_note(void *d, const char *text);

extern const ane_device_ops ane_cpu_device;    /* cpu/device.c */
extern const ane_device_ops ane_engine_device; /* ane/device.c */

#endif
