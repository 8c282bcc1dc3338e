/* raw.h - a program on the raw framework, for what the device interface does not offer: other paths, other QoS, operations as
 * they are written. */
#ifndef ANEMONE_MEASURE_RAW_H
#define ANEMONE_MEASURE_RAW_H

#include "device/ane/explore.h"
#include "measure/harness.h"

typedef struct ane_raw {
    ane_bench *bench;
    engine_device *x;
    const mil_program *program;
    engine_explored *explored;
    engine_build built;
    ane_surface *in, *out;
    engine_request *request;
    int64_t n_in, n_out;
    float *input; /* as it was written, rounded to fp16 */
    double flops;
    bool reported; /* the last run's time on the device is one */
} ane_raw;

/* Whether the benchmark's device has a raw framework under it. */
bool ane_raw_is_possible(const ane_bench *b);
/* Compile and load: a program of one fp16 input and one fp16 output, constants only (no parameters), widths multiples of 32.
 * The program is needed until ane_raw_close, which is called in any case. */
bool ane_raw_open(ane_raw *r, ane_bench *b, const mil_program *p, unsigned qos, ane_error *e);
void ane_raw_close(ane_raw *r);
/* From now on evaluations go this way. */
bool ane_raw_choose(ane_raw *r, const engine_choices *how, ane_error *e);
/* Other numbers into the input. */
bool ane_raw_refresh(ane_raw *r, uint64_t seed, ane_error *e);
/* An ane_subject's `run`: what is there afterwards was written by it. Where the framework reports no time on the device, that
 * is the call's. */
bool ane_raw_run(void *raw, ane_run_stats *stats, ane_error *e);
ane_subject ane_raw_subject(ane_raw *r);
/* Warm up, refresh, time, verify; everything goes into the row. */
bool ane_raw_measure(ane_raw *r, json_t *row, ane_error *e);
/* All of it, the usual way. */
bool ane_raw_program(ane_bench *b, const mil_program *p, json_t *row, ane_error *e);
/* False with what the reply says: ANE_ERROR_UNSUPPORTED where the framework has no such thing. */
bool ane_raw_accept(const engine_reply *reply, const char *what, ane_error *e);

#endif
