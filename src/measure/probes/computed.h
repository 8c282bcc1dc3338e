/* computed.h - a program that a probe builds, run on the device, and beside it the reference interpreter on the same numbers. */
#ifndef ANEMONE_MEASURE_PROBES_COMPUTED_H
#define ANEMONE_MEASURE_PROBES_COMPUTED_H

#include "measure/probes/probe.h"

enum { ANE_COMPUTED_PORTS = 6 };

typedef struct ane_computed {
    ane_device *device;
    mil_dtype dtype; /* of everything in it: the device's */
    mil_program *program;
    mil_function *f;
    ane_kernel *kernel;
    ane_binding *binding;
    ane_buffer *in[ANE_COMPUTED_PORTS], *out[ANE_COMPUTED_PORTS];
    float *x[ANE_COMPUTED_PORTS], *y[ANE_COMPUTED_PORTS]; /* inputs and outputs, in the program's order */
    double compile_ms, device_ms, host_ms;                /* of the compilation and the last run */
    bool modelled;
} ane_computed;

/* How far two sets of numbers are apart: the largest difference in units of the largest number, and the mean of all
 * differences in units of the mean of all numbers. Infinite when something is not finite. */
typedef struct ane_distance {
    double max, mean;
} ane_distance;
ane_distance ane_distance_of(const float *found, const double *expected, int64_t n);
ane_distance ane_distance_of_f32(const float *found, const float *expected, int64_t n);

bool ane_computed_begin(ane_computed *c, ane_device *device, ane_error *e);
void ane_computed_end(ane_computed *c);

/* An input [1, channels, 1, width], or of any shape. */
mil_value ane_computed_input(ane_computed *c, const char *name, int64_t channels, int64_t width);
mil_value ane_computed_input_as(ane_computed *c, const char *name, int rank, const int64_t *dim);
/* Constants of that shape, uniform between -scale and scale; the same for the same `stream`. */
mil_value ane_computed_constant(ane_computed *c, int rank, const int64_t *dim, double scale, uint64_t stream);
/* The numbers of such a constant: n of them (free()). */
float *ane_computed_numbers(int64_t n, double scale, uint64_t stream, ane_error *e);
/* [1, channels, 1, width] of x, from that channel and column on. */
mil_value ane_computed_part(
    ane_computed *c, mil_value x, int64_t channel, int64_t channels, int64_t column, int64_t width);

/* Compile what was built; then inputs have memory, zeros. */
bool ane_computed_compile(ane_computed *c, ane_error *e);
/* Input `index`: uniform between -scale and scale. */
void ane_computed_fill(ane_computed *c, int index, double scale, uint64_t stream);
int64_t ane_computed_count(const ane_computed *c, bool input, int index);
/* Run on c->x; outputs, NaN before, are in c->y. */
bool ane_computed_run(ane_computed *c, ane_error *e);
/* How far each output is from the reference; `worst` of all of them. */
bool ane_computed_compare(const ane_computed *c, ane_distance *worst, ane_error *e);
/* Compile, fill all inputs between -scale and scale, run, compare. */
bool ane_computed_check(ane_computed *c, double scale, ane_distance *worst, ane_error *e);

/* "agrees" or "differs by ..." into the answer, and the distance and times into the details under `name`. */
bool ane_distance_is_small(const ane_distance *d, double max, double mean);
void ane_computed_report(ane_asking *a, const char *name, const ane_computed *c, const ane_distance *d);
void ane_asking_agreement(ane_asking *a, const ane_distance *d, double max, double mean);

#endif
