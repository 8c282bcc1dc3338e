/* device.h - where programs run.
 *
 *     open -> capabilities -> compile(program) -> kernel -> binding(buffers, weights) -> run -> close
 *
 * A *buffer* is a tensor in memory that the device can use; an output buffer of one kernel can be the input of the
 * next. A *kernel* is a compiled program. A *binding* ties a kernel to its buffers and weights; a kernel has many
 * bindings (one per layer). All functions report errors through ane_error; none aborts.
 *
 * Threads: a device may be used by several threads; ane_device_compile may run beside ane_run. One binding is run by
 * one thread at a time.
 */
#ifndef ANEMONE_DEVICE_H
#define ANEMONE_DEVICE_H

#include "anemone/error.h"
#include "anemone/mil.h"

typedef struct ane_device ane_device;
typedef struct ane_kernel ane_kernel;
typedef struct ane_buffer ane_buffer;
typedef struct ane_binding ane_binding;

typedef enum ane_precision {
    ANE_FP32, /* compute in fp32, whatever float type the program declares */
    ANE_BF16, /* products of bf16 operands, accumulated in fp32; everything else in fp32 */
    ANE_INT8, /* for generating: where a weight is multiplied with one vector, it is held as int8 with a scale for each 64 of
                 a row; everything else as in ANE_BF16 */
    ANE_FP16, /* every operation's result rounded to fp16, products accumulated in fp32: the Neural Engine's numerics */
} ane_precision;

const char *ane_precision_name(ane_precision precision); /* "fp32" */
bool ane_precision_from_name(ane_precision *precision, const char *name, ane_error *e);

/* What a device can take: data, so that passes and trainers ask instead of assuming. */
typedef struct ane_capabilities {
    char device[64];       /* "cpu", "ane" */
    char description[160]; /* processor or chip, libraries */
    ane_precision precision;
    mil_dtype activation_dtype; /* float type that programs for this device should declare */
    bool accumulates;           /* an output can be bound with ANE_ACCUMULATE */
    bool fuses_attention;       /* causal_attention runs as one step: programs should hold it */
    bool runs_beside_host;      /* host work can overlap a run */
    int max_inputs, max_outputs;
    int64_t max_dim, max_width; /* of any axis, of the last two */
    int64_t min_surface_bytes, row_alignment_bytes;
    int threads;       /* host threads used */
    char products[16]; /* kernel of the host's products: "amx", ..., "library"; "": the best there is */
    /* Which machine: "M4 Max", or the processor; "25D125"; the version of Apple's framework, or the library that
     * multiplies. "" when unknown. */
    char chip[64], os_build[64], framework[160];
    /* By which defaults are chosen, as recorded for the chip (data/ane_chips.json); 0: unknown. Peak rate of products,
     * time of an empty run, speed of memory, how many times longer products with weights that are no constants take, rate
     * of the host's products. */
    double device_gflops, device_dispatch_ms, device_bandwidth_gbs, device_matmul_factor, host_gflops;
} ane_capabilities;

/* "cpu" with options after a colon: "cpu:threads=2,precision=fp16". Unknown devices and options are refused with
 * the list of known ones. */
ane_device *ane_device_open(const char *spec, ane_error *e);
void ane_device_close(ane_device *d); /* after everything made with it was freed; NULL is fine */
const ane_capabilities *ane_device_capabilities(const ane_device *d);

/* Compile one function of a program (NULL: "main"). The program is copied; it may hold mil_params, which become
 * weights of the kernel's bindings. */
ane_kernel *ane_device_compile(ane_device *d, const mil_program *p, const char *function, ane_error *e);
void ane_kernel_free(ane_kernel *k);
/* Inputs and outputs in the program's order; names live as long as the kernel. */
int ane_kernel_inputs(const ane_kernel *k);
int ane_kernel_outputs(const ane_kernel *k);
const char *ane_kernel_input(const ane_kernel *k, int index, mil_type *type);
const char *ane_kernel_output(const ane_kernel *k, int index, mil_type *type);
int ane_kernel_weights(const ane_kernel *k);
const char *ane_kernel_weight(const ane_kernel *k, int index, mil_type *type);
double ane_kernel_flops(const ane_kernel *k);
/* The plan as text, one step a line: what runs, on what, how large. Caller frees. */
char *ane_kernel_describe(const ane_kernel *k);

/* One step of a kernel's plan: what it must do at each run, and how long all runs took together. */
typedef struct ane_step_profile {
    const char *kernel, *kind; /* the kernel's first output; "gemm", "chain", ... */
    int kernel_index, step;    /* kernels in order of compilation; steps in order of the plan */
    char what[128];            /* shapes */
    double flops, bytes;       /* of one run: of its products, 2 per multiply-add; read and written once */
    double ms;
    int64_t runs; /* by all bindings */
} ane_step_profile;
/* The steps of every kernel of a CPU device that was opened with "profile=on"; 0 on any other. Fills at most `max` and
 * returns how many there are. `kernel` lives as long as its kernel. No run may be under way. */
int ane_device_profile(ane_device *d, ane_step_profile *steps, int max);
void ane_device_profile_reset(ane_device *d);

/* A buffer holds mil_type_bytes(type) bytes, zeroed, row-major and packed, aligned to 64. */
ane_buffer *ane_buffer_new(ane_device *d, mil_type type, ane_error *e);
void ane_buffer_free(ane_buffer *b);
const mil_type *ane_buffer_type(const ane_buffer *b);
typedef enum ane_access { ANE_READ = 1, ANE_WRITE = 2, ANE_READ_WRITE = 3 } ane_access;
/* The buffer's memory, for the host, until unmapped. NULL on failure. Mapping costs nothing on the CPU. */
void *ane_buffer_map(ane_buffer *b, ane_access access, ane_error *e);
bool ane_buffer_unmap(ane_buffer *b, ane_error *e);
/* Copy `count` floats in or out, converted from or to the buffer's element type (fp32, fp16, bf16, int32). */
bool ane_buffer_write_f32(ane_buffer *b, const float *x, int64_t count, ane_error *e);
bool ane_buffer_read_f32(ane_buffer *b, float *x, int64_t count, ane_error *e);

enum {
    ANE_ACCUMULATE = 1, /* for an output: add to what the buffer holds (only where capabilities say so) */
};

/* A binding holds no buffer of its own: what is bound must outlive it. Everything must be bound before a run. */
ane_binding *ane_binding_new(ane_kernel *k, ane_error *e);
void ane_binding_free(ane_binding *b);
/* Bind an input or output by name. Types must be equal. A buffer may serve several names, but an output's buffer must
 * not be bound to anything else in the same binding. */
bool ane_bind(ane_binding *b, const char *name, ane_buffer *buffer, int flags, ane_error *e);
/* Tie a weight to its fp32 master copy (row-major, `count` elements = the declared shape). The device reads it where
 * it lies or stages a copy of its own; after changing the master, call ane_weights_changed. */
bool ane_bind_weight(ane_binding *b, const char *name, const float *master, int64_t count, ane_error *e);
bool ane_weights_changed(ane_binding *b, ane_error *e);
/* Before weights are bound: they will change seldom or never, so that the device may make copies of them in the form that
 * it multiplies fastest. Without this it makes those alone that pay off in a single run. */
void ane_binding_keep_weights(ane_binding *b);

typedef struct ane_run_stats {
    double host_ms;   /* wall time of the call */
    double device_ms; /* time on the device; equals host_ms on the CPU */
    bool modelled;    /* device_ms comes from a model, not from a clock */
} ane_run_stats;

/* Run once; false with a report on any failure. `stats` may be NULL. */
bool ane_run(ane_binding *b, ane_run_stats *stats, ane_error *e);

/* What a device has done since it was opened. The parts of the host's time do not overlap; on the CPU all work is
 * evaluation. */
typedef struct ane_device_counts {
    int64_t runs;          /* evaluations: dispatches to the device */
    int64_t surface_bytes; /* of all memory handed to evaluations, inputs and outputs; 0 on the CPU */
    int64_t copied_bytes;  /* moved by the host between buffers, master weights and surfaces */
    int64_t compiles, loads, evictions, retries;
    /* Programs found compiled in the cache, compiled since they were not there, and times that the cache itself failed. */
    int64_t cache_hits, cache_misses, cache_failures;
    double flops;     /* of all runs: 2 for each multiply-add of a product */
    double device_ms; /* the device's time, all runs together */
    bool modelled;    /* device_ms comes from a model, not from a clock */
    double staging_ms, copying_ms, compiling_ms,
        evaluating_ms; /* the host's time: weights into surfaces, tensors in and
                                                                   out, compiling and loading, waiting for the device */
} ane_device_counts;
ane_device_counts ane_device_counts_get(ane_device *d);
/* later - earlier, part by part. */
ane_device_counts ane_device_counts_since(const ane_device_counts *later, const ane_device_counts *earlier);

/* What went wrong and then right (a call that failed and was made again), oldest first, one sentence each; a few are kept.
 * False when there is none. */
bool ane_device_take_notice(ane_device *d, char *text, size_t size);

/* Bytes that the library has taken for buffers, kernels and scratch, and how often it asked: the second must not move
 * during a run. */
typedef struct ane_memory_stats {
    int64_t bytes, peak_bytes, allocations;
} ane_memory_stats;
ane_memory_stats ane_device_memory(const ane_device *d);

#endif
