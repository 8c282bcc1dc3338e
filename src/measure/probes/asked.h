/* asked.h - a small program on the raw framework (device/ane/explore.h), with surfaces of its own. Failures are reported, never
 * tried again. */
#ifndef ANEMONE_MEASURE_PROBES_ASKED_H
#define ANEMONE_MEASURE_PROBES_ASKED_H

#include "device/ane/explore.h"
#include "measure/probes/probe.h"

enum {
    ANE_ASKED_PORTS = 4,
    ANE_ASKED_WIDTH = 64,      /* columns of every port: rows of 128 bytes, which every chip takes */
    ANE_ASKED_SURFACE = 49152, /* bytes that nobody found too few */
};

typedef struct ane_asked {
    engine_device *x;
    const ane_capabilities *capabilities;
    mil_program *program;
    mil_function *f;
    double flops; /* of an evaluation */
    engine_build built;
    engine_explored *explored;
    int n_in, n_out;
    ane_surface *in[ANE_ASKED_PORTS], *out[ANE_ASKED_PORTS];
    engine_request *request;
    engine_reply made, ran; /* of the last request and evaluation */
    int turn;               /* counts evaluations of a scaling: none has the input of another */
} ane_asked;

/* True when it was said "yes"; else a report of that stage. */
bool ane_asked_said(const engine_reply *r, const char *stage, ane_error *e);

/* A program with nothing in it, in the header that this machine takes. */
bool ane_asked_begin(ane_asked *r, ane_device *device, ane_error *e);
void ane_asked_end(ane_asked *r);
/* An input [1, channels, 1, ANE_ASKED_WIDTH]. Several must be declared in the alphabetical order of their names: that is also
 * the order of their surfaces, whichever way the machine binds them. */
mil_value ane_asked_input(ane_asked *r, const char *name, int64_t channels);
/* A constant in the file `path`, which holds nothing else. */
mil_value ane_asked_constant(ane_asked *r, const char *path, int rank, const int64_t *dim);
/* Compile and load what was built, with `y` as its output, and make surfaces, all of one size. */
bool ane_asked_compile(
    ane_asked *r, mil_value y, int n_files, const ane_weight_file *files, unsigned qos, ane_error *e);
/* The first n numbers of an input. */
bool ane_asked_write(ane_asked *r, int input, const float *x, int64_t n, ane_error *e);
/* A new request in place of the last one. */
bool ane_asked_request(ane_asked *r, const engine_choices *how, ane_error *e);
/* Evaluate it, with NaN in all outputs before. False when the framework says no, or when it is too fast to be true. */
bool ane_asked_run(ane_asked *r, ane_error *e);
bool ane_asked_read(const ane_asked *r, int output, float *y, int64_t n, ane_error *e);
/* The device's time where it is reported, else the call's. */
double ane_asked_ms(const ane_asked *r);

/* ---- blob files --------------------------------------------------------------------------------------------------- */

/* A file of one fp16 tensor of n numbers; free((void *)file.data). data is NULL when out of memory. */
ane_weight_file ane_asked_file(const char *path, const float *w, size_t n, ane_error *e);

/* ---- y = s x ------------------------------------------------------------------------------------------------------ */

/* A convolution of `channels` channels whose weight file holds s times identity. */
bool ane_scaling_begin(ane_asked *r, ane_device *device, int channels, float s, unsigned qos, ane_error *e);
/* Its file with another s. */
ane_weight_file ane_scaling_file(int channels, float s, ane_error *e);
/* Evaluate the request on numbers that no evaluation had before: *ratio is what the input was multiplied with. False when the
 * output is no multiple of this input, or zero: then it was not computed from it. */
bool ane_scaling_run(ane_asked *r, float *ratio, ane_error *e);
/* A usual request, and that. */
bool ane_scaling_usual(ane_asked *r, float *ratio, ane_error *e);
/* y is a multiple of x, and not zero. */
bool ane_scaling_is_multiple(const float *x, const float *y, int64_t n, float *ratio, ane_error *e);

/* What a machine says to a choice. One that is refused is asked again, with a usual evaluation between: a refusal that does not
 * come back, or comes with usual choices, too, is trouble and no answer. */
typedef enum ane_verdict { ANE_WORKS, ANE_REFUSED, ANE_TROUBLE } ane_verdict;
/* *ratio: of ANE_WORKS; the report is of ANE_TROUBLE. */
ane_verdict ane_scaling_with(ane_asked *r, const engine_choices *how, float *ratio, ane_error *e);

#endif
