/* probe.h - a tiny program whose result is known, on surfaces of its own: nothing that is still to be found out is used
 * but the header. */
#ifndef ANEMONE_DEVICE_ANE_PROBE_H
#define ANEMONE_DEVICE_ANE_PROBE_H

#include "device/ane/device.h"

enum {
    ENGINE_PROBE_WIDTH = 64,                   /* of a row: two units of 64 bytes, one of 128 */
    ENGINE_PROBE_ROW = 2 * ENGINE_PROBE_WIDTH, /* its bytes */
    ENGINE_PROBE_BYTES = 49152,                /* a surface that no report calls too small */
    ENGINE_PROBE_PORTS = 3,
};

/* One surface, in the order of binding. */
typedef struct engine_slot {
    int64_t bytes;
    float fill;        /* every element of an input */
    const float *data; /* n of them come first */
    int64_t n;
    bool shared; /* another program's output: not filled */
} engine_slot;

typedef struct engine_probe {
    engine_device *d;
    mil_program *program;
    mil_function *f;
    ane_program *compiled;
    int n_inputs, n_outputs;
    engine_slot in[ENGINE_PROBE_PORTS], out[ENGINE_PROBE_PORTS];
    ane_surface *inputs[ENGINE_PROBE_PORTS], *outputs[ENGINE_PROBE_PORTS];
    double device_ms; /* of the last evaluation; -1: not reported */
} engine_probe;

/* A program with nothing in it, one input and one output. */
bool engine_probe_begin(engine_probe *t, engine_device *d, ane_error *e);
void engine_probe_end(engine_probe *t);

/* fp16 [1, channels, 1, ENGINE_PROBE_WIDTH] */
mil_value engine_probe_input(engine_probe *t, const char *name, int64_t channels);
/* Its rows from `row` on, and its columns from 0 to `width`. */
mil_value engine_probe_rows(engine_probe *t, mil_value x, int32_t row, int32_t rows, int32_t width);
/* [channels, width] of it as the matrix [1, channels, width] */
mil_value engine_probe_matrix(engine_probe *t, mil_value x, int64_t rows, int64_t width);

/* Compile what was built; `y` is the one output unless outputs were declared (MIL_NONE then). */
bool engine_probe_compile(
    engine_probe *t, mil_value y, int n_files, const ane_weight_file *files, ane_error *e);
/* Compile a text that somebody changed. */
bool engine_probe_compile_text(
    engine_probe *t, const char *text, int n_files, const ane_weight_file *files, ane_error *e);
/* The program's text, told apart from all others; caller frees. */
char *engine_probe_text(engine_probe *t, mil_value y, ane_error *e);

/* Make the surfaces (those that there are stay), fill them, evaluate. Outputs hold -1 before. */
bool engine_probe_run(engine_probe *t, ane_error *e);
/* The first n elements of an output. */
bool engine_probe_read(const engine_probe *t, int output, float *y, int64_t n, ane_error *e);
/* Each of the first n elements must be `expected`. */
bool engine_probe_holds(const engine_probe *t, int output, float expected, int64_t n, ane_error *e);
/* Compile, run, compare the first n elements. */
bool engine_probe_gives(engine_probe *t, mil_value y, float expected, int64_t n, ane_error *e);

/* What a probe is: false and a report when the machine did not do it. */
typedef bool engine_attempt(engine_probe *t, void *context, ane_error *e);
/* Try it, and once more: what passes is no answer. A compiler that refused was asked twice already. */
bool engine_try(engine_device *d, engine_attempt *attempt, void *context, ane_error *e);

#endif
