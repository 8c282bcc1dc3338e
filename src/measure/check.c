/* check.c - see check.h. */
#include "measure/check.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_PORTS = 8 };

float *ane_buffer_copy(ane_buffer *b, ane_error *e) {
    int64_t n = mil_type_count(ane_buffer_type(b));
    float *x = calloc((size_t)n, sizeof *x);
    if (x && ane_buffer_read_f32(b, x, n, e)) return x;
    if (!x) ane_fail(e, ANE_ERROR_MEMORY, "check", "out of memory");
    free(x);
    return NULL;
}

bool ane_check_numbers(const char *against, const float *wanted, const float *y, int64_t n, double tolerance,
    json_t *row, ane_error *e) {
    double off = 0, size = 0;
    if (tolerance <= 0) tolerance = 0.02;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(y[i]))
            return ane_fail(
                e, ANE_ERROR_NUMERIC, "verification", "element %lld is %g", (long long)i, (double)y[i]);
        off += ((double)y[i] - wanted[i]) * ((double)y[i] - wanted[i]);
        size += (double)wanted[i] * wanted[i];
    }
    double error = size > 0 ? sqrt(off / size) : sqrt(off);
    ane_row_verified(row, against, error, tolerance);
    if (error <= tolerance) return true;
    return ane_fail(e, ANE_ERROR_NUMERIC, "verification",
        "the result is %.3g off what %s gives (root mean square, relative); at most %.3g was expected", error,
        against, tolerance);
}

/* ---- one run on the reference -------------------------------------------------------------------------------------- */

typedef struct reference {
    ane_device *device;
    ane_kernel *kernel;
    ane_binding *binding;
    int n;
    ane_buffer *buffers[MOST_PORTS]; /* inputs, then outputs */
} reference;

static bool bind_port(reference *r, const char *name, const mil_type *type, const float *x, ane_error *e) {
    if (r->n == MOST_PORTS)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, "verification", "more than %d ports", MOST_PORTS);
    ane_buffer *b = r->buffers[r->n] = ane_buffer_new(r->device, *type, e);
    r->n += b != NULL;
    return b && (!x || ane_buffer_write_f32(b, x, mil_type_count(type), e)) &&
           ane_bind(r->binding, name, b, 0, e);
}

static bool run_reference(
    reference *r, const char *spec, const mil_program *p, const float *const *inputs, ane_error *e) {
    mil_type type;
    r->device = ane_device_open(spec, e);
    r->kernel = r->device ? ane_device_compile(r->device, p, NULL, e) : NULL;
    r->binding = r->kernel ? ane_binding_new(r->kernel, e) : NULL;
    if (!r->binding) return false;
    for (int i = 0; i < ane_kernel_inputs(r->kernel); i++) {
        const char *name = ane_kernel_input(r->kernel, i, &type);
        if (!bind_port(r, name, &type, inputs[i], e)) return false;
    }
    for (int i = 0; i < ane_kernel_outputs(r->kernel); i++) {
        const char *name = ane_kernel_output(r->kernel, i, &type);
        if (!bind_port(r, name, &type, NULL, e)) return false;
    }
    return ane_run(r->binding, NULL, e);
}

static void free_reference(reference *r) {
    ane_binding_free(r->binding);
    for (int i = 0; i < r->n; i++) ane_buffer_free(r->buffers[i]);
    ane_kernel_free(r->kernel);
    ane_device_close(r->device);
}

bool ane_check_output(const ane_bench *b, const mil_program *p, const float *const *inputs, const float *y,
    double tolerance, json_t *row, ane_error *e) {
    const char *against = ane_reference_spec(b);
    reference r = {0};
    float *wanted = NULL;
    bool ok = run_reference(&r, against, p, inputs, e);
    if (ok) {
        ane_buffer *first = r.buffers[ane_kernel_inputs(r.kernel)];
        wanted = ane_buffer_copy(first, e);
        ok = wanted &&
             ane_check_numbers(against, wanted, y, mil_type_count(ane_buffer_type(first)), tolerance, row, e);
    }
    free(wanted);
    free_reference(&r);
    return ok;
}
