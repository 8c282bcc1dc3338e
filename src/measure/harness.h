/* harness.h - one honest way to measure: what every benchmark is made with.
 *
 * A benchmark is one row of the table in benchmarks.c: it lists cases, and runs one. For most, running one is: build a
 * program, ane_bench_program(). Others time something of their own: ane_bench_time(). In both every call's status is
 * checked, results faster than the device can be are refused, and a failure leaves no number in the row.
 */
#ifndef ANEMONE_MEASURE_HARNESS_H
#define ANEMONE_MEASURE_HARNESS_H

#include "anemone/measure.h"
#include "measure/row.h"

/* One benchmark. */
typedef struct ane_benchmark {
    ane_benchmark_info info;
    /* Append the cases (ane_case_add) that are run on this device; fewer and smaller when options.quick. */
    void (*cases)(ane_bench *b, json_t *cases);
    /* Measure one into its row, which holds benchmark, case and config. False with a report: the row fails. With
     * ANE_ERROR_UNSUPPORTED it is skipped: this device cannot do it. */
    bool (*run)(ane_bench *b, json_t *row, ane_error *e);
    /* When all cases are there, one thing more from all rows (an array); NULL: nothing. A row that it wants to add, it
     * returns; NULL: none. */
    json_t *(*conclude)(ane_bench *b, const json_t *rows);
} ane_benchmark;

extern const ane_benchmark *const ane_benchmarks[]; /* benchmarks.c; ended by NULL */

struct ane_bench {
    char *spec;
    ane_bench_options options; /* with defaults filled in */
    ane_device *device;
    ane_device *reference; /* ane_reference_spec; opened when it is wanted */
    const ane_capabilities *capabilities;
    bool emulated;
    double peak_gflops; /* of the device: recorded for the chip, measured on the CPU; 0: unknown */
    json_t *results;
};

/* GFLOP/s of so many threads in fp32: together by the clock, or, where others kept the processor busy meanwhile, of one by the
 * time that it had it, times their number. */
double ane_bench_cpu_peak(int threads);

/* The device that says what large programs give. For the Neural Engine the CPU in fp16; for a CPU the same precision by other
 * ways: plain vectors, and the library's products (for bf16 and int8: in fp32). */
const char *ane_reference_spec(const ane_bench *b);

/* ---- times ------------------------------------------------------------------------------------------------------- */

/* What is timed. `run` does it once and fills in the times. */
typedef struct ane_subject {
    bool (*run)(void *context, ane_run_stats *stats, ane_error *e);
    void *context;
    double flops,
        bytes; /* of one run, on the device: nothing can do them faster than its physical bound; 0: not bounded */
    double speedup;  /* how much faster than fp16 its arithmetic may be (int8: 2); 0: 1 */
    int evaluations; /* dispatches in one run; 0: 1 */
    bool on_host;    /* the device has no part in it: its bound is no bound here */
} ane_subject;

typedef struct ane_times {
    ane_stats device, host;
    bool modelled;
} ane_times;

/* Warm-up, then repetitions until the confidence interval is narrow or the time is up. Modelled times are always the same:
 * three are taken, or one when computing it takes long. */
bool ane_bench_time(ane_bench *b, const ane_subject *s, ane_times *t, ane_error *e);
/* Warm-up alone: a run or a few. */
bool ane_bench_warm(ane_bench *b, const ane_subject *s, ane_error *e);
/* The same without warm-up. */
bool ane_bench_repeat(ane_bench *b, const ane_subject *s, ane_times *t, ane_error *e);
/* device_ms, host_ms, modelled; with flops also metrics gflop, tflops and peak_percent. */
void ane_bench_put_times(ane_bench *b, json_t *row, const ane_times *t, double flops);
/* The shortest time in ms that the device could take; 0: unknown. */
double ane_bench_bound_ms(const ane_bench *b, const ane_subject *s);
/* For times that come otherwise than through ane_bench_time: false with a report when they are impossible. */
bool ane_bench_possible(ane_bench *b, const ane_subject *s, double ms, ane_error *e);

/* ---- programs ---------------------------------------------------------------------------------------------------- */

typedef struct ane_trial_options {
    double tolerance;   /* of the relative error (root mean square) of all outputs; 0: 0.02 */
    double speedup;     /* as in ane_subject */
    double input_scale; /* inputs are normal with this deviation; 0: 1 */
    ane_device *device; /* NULL: the benchmark's */
} ane_trial_options;

/* A program compiled on the device, its buffers with random numbers in them. */
typedef struct ane_trial ane_trial;
/* The program is needed until the trial is freed. Parameters get weights: normal, divided by the root of their last
 * dimensions' count (all but the first). */
ane_trial *ane_trial_new(ane_bench *b, const mil_program *p, const ane_trial_options *o, ane_error *e);
void ane_trial_free(ane_trial *t); /* NULL is fine */
double ane_trial_compile_ms(const ane_trial *t);
double ane_trial_flops(const ane_trial *t);
/* Run once: an ane_subject's `run`, the trial is its context. */
bool ane_trial_run(void *trial, ane_run_stats *stats, ane_error *e);
ane_subject ane_trial_subject(ane_trial *t);
ane_binding *ane_trial_binding(ane_trial *t);
/* Other numbers in all inputs, and NaN in all outputs: what is found there afterwards was computed from these. */
bool ane_trial_refresh(ane_trial *t, uint64_t seed, ane_error *e);
/* Run on the inputs as they are, or look at the outputs as they are (`run` false): compare with the reference, put
 * `verified` into the row; false with a report when it is wrong. The reference: the interpreter (for fp16 with every result
 * rounded) for small programs, ane_reference_spec for large ones. */
bool ane_trial_verify(ane_trial *t, bool run, json_t *row, ane_error *e);
/* Run on the same inputs and give the relative error against the reference of another program with the same ports: what
 * quantization costs. */
bool ane_trial_error_against(ane_trial *t, const mil_program *exact, double *error, ane_error *e);
/* Warm up on zeros, other inputs, time, verify the last run; puts everything into the row, compile_ms too. */
bool ane_trial_measure(ane_trial *t, json_t *row, ane_error *e);
/* The input's or output's buffer by name; its memory. NULL when there is none. */
ane_buffer *ane_trial_buffer(ane_trial *t, const char *name);
/* The numbers of an input as the reference gets them: whoever writes into its buffer writes them here, too. */
float *ane_trial_numbers(ane_trial *t, const char *name);

/* ane_trial_new and ane_trial_measure. */
bool ane_bench_program(
    ane_bench *b, const mil_program *p, const ane_trial_options *o, json_t *row, ane_error *e);

/* Another device of the same kind with an option more ("weights=packed"), where the spec takes it; NULL with a report. The
 * caller closes it. On the CPU, weight modes make no difference: the option is left out. */
ane_device *ane_bench_open_with(ane_bench *b, const char *option, ane_error *e);

#endif
