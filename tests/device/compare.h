/* compare.h - run a program on a device and hold every output against the reference interpreter. */
#ifndef ANEMONE_TESTS_DEVICE_COMPARE_H
#define ANEMONE_TESTS_DEVICE_COMPARE_H

#include "anemone/device.h"
#include "anemone/mil.h"
#include "base/random.h"
#include "mil/ops.h"
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COMPARE_PORTS = 16 };

/* How inputs are drawn: uniform in [low, high); integers are whole. */
typedef struct compare_range {
    double low, high;
} compare_range;

typedef struct compare_run {
    mil_program *program;
    const mil_function *f;
    ane_device *device;
    ane_kernel *kernel;
    ane_binding *binding;
    ane_buffer *buffers[2 * COMPARE_PORTS]; /* inputs, then outputs */
    float *weights[COMPARE_PORTS];
    mil_array inputs[COMPARE_PORTS], outputs[COMPARE_PORTS];
    mil_named_array params[COMPARE_PORTS];
} compare_run;

static inline double compare_draw(ane_rng *rng, mil_dtype dtype, compare_range range) {
    double x = range.low + (range.high - range.low) * ane_rng_uniform(rng);
    return dtype == MIL_BOOL           ? x > (range.low + range.high) / 2
           : mil_dtype_is_float(dtype) ? (double)(float)x
                                       : floor(x);
}

/* Fill a buffer of any type, and the double array beside it with what the buffer holds. */
static inline void compare_fill(ane_buffer *b, mil_array *a, ane_rng *rng, compare_range range) {
    const mil_type *t = ane_buffer_type(b);
    int64_t n = mil_type_count(t);
    void *data = ane_buffer_map(b, ANE_WRITE, NULL);
    *a = (mil_array){*t, malloc(sizeof(double) * (size_t)n)};
    for (int64_t i = 0; i < n; i++) {
        mil_constant_set(t, data, i, compare_draw(rng, t->dtype, range));
        a->data[i] = mil_constant_at(t, data, i);
    }
    ane_buffer_unmap(b, NULL);
}

/* Compile, bind and fill; `range` for inputs and weights. */
static inline void compare_prepare(
    compare_run *r, mil_program *p, const char *spec, uint64_t seed, compare_range range) {
    ane_error e = {0};
    ane_rng rng = ane_rng_new(seed, 0);
    *r = (compare_run){.program = p};
    assert_ok(mil_program_ok(p, &e), &e);
    r->f = mil_program_function(p, NULL);
    r->device = ane_device_open(spec, &e);
    assert_ok(r->device, &e);
    r->kernel = ane_device_compile(r->device, p, NULL, &e);
    assert_ok(r->kernel, &e);
    r->binding = ane_binding_new(r->kernel, &e);
    assert_ok(r->binding, &e);
    mil_type t;
    for (int i = 0; i < ane_kernel_inputs(r->kernel); i++) {
        const char *name = ane_kernel_input(r->kernel, i, &t);
        r->buffers[i] = ane_buffer_new(r->device, t, &e);
        compare_fill(r->buffers[i], &r->inputs[i], &rng, range);
        assert_ok(ane_bind(r->binding, name, r->buffers[i], 0, &e), &e);
    }
    for (int i = 0; i < ane_kernel_outputs(r->kernel); i++) {
        const char *name = ane_kernel_output(r->kernel, i, &t);
        r->buffers[COMPARE_PORTS + i] = ane_buffer_new(r->device, t, &e);
        assert_ok(ane_bind(r->binding, name, r->buffers[COMPARE_PORTS + i], 0, &e), &e);
    }
    for (int i = 0; i < ane_kernel_weights(r->kernel); i++) {
        const char *name = ane_kernel_weight(r->kernel, i, &t);
        int64_t n = mil_type_count(&t);
        r->weights[i] = malloc(sizeof(float) * (size_t)n);
        r->params[i] = (mil_named_array){name, {t, malloc(sizeof(double) * (size_t)n)}};
        for (int64_t k = 0; k < n; k++)
            r->params[i].array.data[k] = r->weights[i][k] = (float)compare_draw(&rng, MIL_FP32, range);
        assert_ok(ane_bind_weight(r->binding, name, r->weights[i], n, &e), &e);
    }
}

static inline void compare_free(compare_run *r) {
    for (int i = 0; i < 2 * COMPARE_PORTS; i++) ane_buffer_free(r->buffers[i]);
    for (int i = 0; i < COMPARE_PORTS; i++) {
        free(r->weights[i]);
        free(r->params[i].array.data);
        free(r->inputs[i].data);
        free(r->outputs[i].data);
    }
    ane_binding_free(r->binding);
    ane_kernel_free(r->kernel);
    ane_device_close(r->device);
}

/* |x - y| <= tolerance * max(1, |y|), or both NaN, or equal infinities. */
static inline bool compare_close(double x, double y, double tolerance) {
    if (isnan(x) || isnan(y)) return isnan(x) && isnan(y);
    if (isinf(x) || isinf(y)) return x == y;
    return fabs(x - y) <= tolerance * fmax(1, fabs(y));
}

/* Evaluate by the reference and hold every output against it. */
static inline void compare_outputs(
    compare_run *r, mil_rounding rounding, double tolerance, const char *what) {
    ane_error e = {0};
    for (int i = 0; i < COMPARE_PORTS; i++) free(r->outputs[i].data);
    memset(r->outputs, 0, sizeof r->outputs);
    assert_ok(
        mil_evaluate(r->f, rounding, r->inputs, ane_kernel_weights(r->kernel), r->params, r->outputs, &e),
        &e);
    for (int i = 0; i < ane_kernel_outputs(r->kernel); i++) {
        ane_buffer *b = r->buffers[COMPARE_PORTS + i];
        const mil_type *t = ane_buffer_type(b);
        const void *data = ane_buffer_map(b, ANE_READ, &e);
        for (int64_t k = 0; k < mil_type_count(t); k++) {
            double found = mil_constant_at(t, data, k), expected = r->outputs[i].data[k];
            if (compare_close(found, expected, mil_dtype_is_float(t->dtype) ? tolerance : 0)) continue;
            char *text = mil_print(r->program, &e), *plan = ane_kernel_describe(r->kernel);
            fail_msg("%s: %s[%lld] is %.9g, expected %.9g\n%s\n%s", what,
                ane_kernel_output(r->kernel, i, NULL), (long long)k, found, expected, text ? text : "",
                plan ? plan : "");
        }
    }
}

/* All of it; frees the program. */
static inline void compare_program(mil_program *p, const char *spec, uint64_t seed, compare_range range,
    mil_rounding rounding, double tolerance) {
    ane_error e = {0};
    compare_run r;
    compare_prepare(&r, p, spec, seed, range);
    assert_ok(ane_run(r.binding, NULL, &e), &e);
    compare_outputs(&r, rounding, tolerance, spec);
    compare_free(&r);
    mil_program_free(p);
}

#endif
