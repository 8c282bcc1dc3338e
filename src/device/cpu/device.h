/* device.h - the CPU device's own structs. */
#ifndef ANEMONE_DEVICE_CPU_DEVICE_H
#define ANEMONE_DEVICE_CPU_DEVICE_H

#include "device/cpu/plan.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct cpu_slab cpu_slab;

/* A weight's copy for products with a vector. */
typedef struct cpu_small {
    const float *master;
    ane_gemv_format format;
    int64_t rows, k;
    void *data;
    cpu_slab *slab; /* that data lies in */
    int uses;       /* by bindings */
    struct cpu_small *next;
} cpu_small;

struct cpu_device {
    ane_device base;
    const cpu_vectors *v;
    const ane_packed_kernel *packed; /* of products; NULL: the library's */
    const cpu_pairs *pairs;          /* NULL: none here */
    bool late;                       /* new weights come in with the change after theirs */
    bool profiles;                   /* every step of every kernel is timed */
    pthread_mutex_t kernels_lock;    /* of the two lists that follow */
    cpu_small *small;
    struct cpu_kernel *kernels; /* all of them, oldest first, when it profiles */
    pthread_mutex_t slabs_lock;
    cpu_slab *slabs; /* newest first */
    int threads;
    pthread_mutex_t
        run_lock; /* kernels run one at a time: each uses all threads, and all share the scratch */
    char *scratch;
    int64_t scratch_bytes;
    atomic_llong bytes, peak_bytes, allocations;
};

typedef struct cpu_kernel {
    ane_kernel base;
    mil_program *program; /* our copy */
    cpu_plan plan;
    void **bases;     /* per storage, filled at each run */
    bool *accumulate; /* per output */
    double *step_ms;  /* per step, all runs together; NULL unless the device profiles */
    int64_t runs;
    struct cpu_kernel *next;
} cpu_kernel;

typedef struct cpu_buffer {
    ane_buffer base;
    char *data;
    int64_t bytes;
    cpu_slab *slab; /* that data lies in; NULL: memory of its own */
} cpu_buffer;

typedef struct cpu_binding {
    ane_binding base;
    cpu_buffer **buffers; /* inputs, then outputs */
    bool *accumulates;    /* per output */
    const float **masters;
    float **staged; /* per weight; NULL where the plan needs none */
    cpu_small **small;
    float **late; /* per weight: what comes in with the next change; NULL unless the device is late */
} cpu_binding;

/* Counted memory: zeroed, aligned to 64, pages touched by all threads. NULL when out of memory. */
void *ane_cpu_memory_new(cpu_device *d, int64_t bytes);
void ane_cpu_memory_free(cpu_device *d, void *memory, int64_t bytes);
void ane_cpu_count_allocations(cpu_device *d, int n);
/* Memory beside other things (slab.c): zeroed, aligned to 64. NULL when out of memory. Every take needs a drop. */
void *ane_cpu_slab_take(cpu_device *d, int64_t bytes, cpu_slab **slab);
void ane_cpu_slab_drop(cpu_device *d, cpu_slab *slab);
/* The device's small copy of this weight, made when there is none yet; NULL when out of memory. Every take needs a drop. */
cpu_small *ane_cpu_small_take(
    cpu_device *d, const float *master, ane_gemv_format format, int64_t rows, int64_t k);
void ane_cpu_small_drop(cpu_device *d, cpu_small *s); /* NULL is fine */
/* From the master again. */
void ane_cpu_small_refresh(const cpu_device *d, cpu_small *s);
/* Make the shared scratch at least this large; the run lock must be held. */
bool ane_cpu_scratch_reserve(cpu_device *d, int64_t bytes, ane_error *e);

ane_kernel *ane_cpu_compile(ane_device *d, const mil_program *p, const mil_function *f, ane_error *e);
void ane_cpu_kernel_free(ane_kernel *k);
char *ane_cpu_kernel_describe(const ane_kernel *k);
ane_binding *ane_cpu_binding_new(ane_kernel *k, ane_error *e);
void ane_cpu_binding_free(ane_binding *b);
bool ane_cpu_bind(ane_binding *b, int slot, ane_buffer *buffer, int flags, ane_error *e);
bool ane_cpu_bind_weight(ane_binding *b, int weight, const float *master, ane_error *e);
bool ane_cpu_weights_changed(ane_binding *b, ane_error *e);
int ane_cpu_profile(ane_device *d, ane_step_profile *steps, int max);
void ane_cpu_profile_reset(ane_device *d);
/* Begin and end to count a kernel among those profiled; false (reported): no memory. */
bool ane_cpu_profile_add(cpu_kernel *k, ane_error *e);
void ane_cpu_profile_remove(cpu_kernel *k);
/* Run step i, and time it when the device profiles. */
bool ane_cpu_run_step(const cpu_kernel *k, int32_t i, const cpu_run *r, ane_error *e);
bool ane_cpu_run(ane_binding *b, ane_run_stats *stats, ane_error *e);

#endif
