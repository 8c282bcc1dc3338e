/* computed.c - see computed.h. */
#include "measure/probes/computed.h"

#include "base/clock.h"
#include "base/half.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>

static bool no_memory(ane_error *e) {
    return ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory for a program's numbers");
}

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

static void uniform(float *x, int64_t n, double scale, uint64_t stream) {
    ane_rng rng = ane_rng_new(42, stream);
    for (int64_t i = 0; i < n; i++) x[i] = (float)((2 * ane_rng_uniform(&rng) - 1) * scale);
}

float *ane_computed_numbers(int64_t n, double scale, uint64_t stream, ane_error *e) {
    float *x = malloc((size_t)n * sizeof *x);
    if (x)
        uniform(x, n, scale, stream);
    else
        no_memory(e);
    return x;
}

typedef struct sums {
    double worst, largest, difference, size;
} sums;

static void add_pair(sums *s, double found, double expected) {
    double difference = fabs(found - expected);
    if (!(difference <= s->worst)) s->worst = isfinite(difference) ? difference : INFINITY;
    s->largest = fmax(s->largest, fabs(expected));
    s->difference += difference;
    s->size += fabs(expected);
}

static ane_distance distance(const sums *s) {
    if (s->worst == 0) return (ane_distance){0, 0};
    return (ane_distance){s->worst / s->largest, isfinite(s->worst) ? s->difference / s->size : INFINITY};
}

ane_distance ane_distance_of(const float *found, const double *expected, int64_t n) {
    sums s = {0};
    for (int64_t i = 0; i < n; i++) add_pair(&s, (double)found[i], expected[i]);
    return distance(&s);
}

ane_distance ane_distance_of_f32(const float *found, const float *expected, int64_t n) {
    sums s = {0};
    for (int64_t i = 0; i < n; i++) add_pair(&s, (double)found[i], (double)expected[i]);
    return distance(&s);
}

bool ane_distance_is_small(const ane_distance *d, double max, double mean) {
    return d->max <= max && d->mean <= mean;
}

/* ---- building ----------------------------------------------------------------------------------------------------- */

bool ane_computed_begin(ane_computed *c, ane_device *device, ane_error *e) {
    *c = (ane_computed){.device = device, .dtype = ane_device_capabilities(device)->activation_dtype};
    c->program = mil_program_new(MIL_IOS18, e);
    c->f = c->program ? mil_function_new(c->program, "main") : NULL;
    return c->f || no_memory(e);
}

void ane_computed_end(ane_computed *c) {
    ane_binding_free(c->binding);
    ane_kernel_free(c->kernel);
    mil_program_free(c->program);
    for (int i = 0; i < ANE_COMPUTED_PORTS; i++) {
        ane_buffer_free(c->in[i]);
        ane_buffer_free(c->out[i]);
        free(c->x[i]);
        free(c->y[i]);
    }
}

mil_value ane_computed_input_as(ane_computed *c, const char *name, int rank, const int64_t *dim) {
    return mil_input(c->f, name, mil_tensor(c->dtype, rank, dim));
}

mil_value ane_computed_input(ane_computed *c, const char *name, int64_t channels, int64_t width) {
    return ane_computed_input_as(c, name, 4, (int64_t[]){1, channels, 1, width});
}

mil_value ane_computed_constant(
    ane_computed *c, int rank, const int64_t *dim, double scale, uint64_t stream) {
    mil_type type = mil_tensor(c->dtype, rank, dim);
    size_t n = (size_t)mil_type_count(&type);
    float *x = ane_computed_numbers((int64_t)n, scale, stream, &c->program->error);
    uint16_t *half = x && c->dtype == MIL_FP16 ? malloc(n * sizeof *half) : NULL;
    mil_value v = MIL_NONE;
    if (half) {
        ane_f16_array_from_f32(half, x, n);
        v = mil_const_data(c->f, type, half);
    } else if (x && c->dtype != MIL_FP16) {
        v = mil_const_floats(c->f, type, x);
    } else {
        no_memory(&c->program->error);
    }
    free(half);
    free(x);
    return v;
}

mil_value ane_computed_part(
    ane_computed *c, mil_value x, int64_t channel, int64_t channels, int64_t column, int64_t width) {
    const int32_t begin[] = {0, (int32_t)channel, 0, (int32_t)column},
                  size[] = {1, (int32_t)channels, 1, (int32_t)width};
    return mil_slice_by_size(c->f, x, begin, size);
}

/* ---- running ------------------------------------------------------------------------------------------------------ */

static const mil_type *port(const ane_computed *c, bool input, int index) {
    return mil_type_of(c->f, input ? c->f->inputs[index] : c->f->outputs[index]);
}

static const char *port_name(const ane_computed *c, bool input, int index) {
    return c->f->values[input ? c->f->inputs[index] : c->f->outputs[index]].name;
}

int64_t ane_computed_count(const ane_computed *c, bool input, int index) {
    return mil_type_count(port(c, input, index));
}

static bool bind(ane_computed *c, bool input, int index, ane_error *e) {
    ane_buffer **buffer = input ? &c->in[index] : &c->out[index];
    float **numbers = input ? &c->x[index] : &c->y[index];
    *buffer = ane_buffer_new(c->device, *port(c, input, index), e);
    *numbers = calloc((size_t)ane_computed_count(c, input, index), sizeof **numbers);
    if (!*numbers) return no_memory(e);
    return *buffer && ane_bind(c->binding, port_name(c, input, index), *buffer, 0, e);
}

bool ane_computed_compile(ane_computed *c, ane_error *e) {
    if (!mil_program_ok(c->program, e)) return false;
    if (c->f->n_inputs > ANE_COMPUTED_PORTS || c->f->n_outputs > ANE_COMPUTED_PORTS)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "probe", "a probe's program has at most %d inputs and outputs",
            ANE_COMPUTED_PORTS);
    double start = ane_clock_ms();
    c->kernel = ane_device_compile(c->device, c->program, NULL, e);
    c->binding = c->kernel ? ane_binding_new(c->kernel, e) : NULL;
    bool ok = c->binding != NULL;
    for (int i = 0; ok && i < c->f->n_inputs; i++) ok = bind(c, true, i, e);
    for (int i = 0; ok && i < c->f->n_outputs; i++) ok = bind(c, false, i, e);
    c->compile_ms = ane_clock_ms() - start;
    return ok;
}

void ane_computed_fill(ane_computed *c, int index, double scale, uint64_t stream) {
    int64_t n = ane_computed_count(c, true, index);
    uniform(c->x[index], n, scale, stream);
    if (c->dtype == MIL_FP16) ane_round_to_f16(c->x[index], c->x[index], (size_t)n);
}

bool ane_computed_run(ane_computed *c, ane_error *e) {
    ane_run_stats stats;
    for (int i = 0; i < c->f->n_inputs; i++)
        if (!ane_buffer_write_f32(c->in[i], c->x[i], ane_computed_count(c, true, i), e)) return false;
    for (int i = 0; i < c->f->n_outputs; i++) {
        int64_t n = ane_computed_count(c, false, i);
        for (int64_t k = 0; k < n; k++) c->y[i][k] = NAN;
        if (!ane_buffer_write_f32(c->out[i], c->y[i], n, e)) return false;
    }
    if (!ane_run(c->binding, &stats, e)) return false;
    if (!ane_probe_possible(
            ane_device_capabilities(c->device), ane_kernel_flops(c->kernel), stats.device_ms, e))
        return false;
    c->device_ms = stats.device_ms;
    c->host_ms = stats.host_ms;
    c->modelled = stats.modelled;
    for (int i = 0; i < c->f->n_outputs; i++)
        if (!ane_buffer_read_f32(c->out[i], c->y[i], ane_computed_count(c, false, i), e)) return false;
    return true;
}

/* ---- comparing ---------------------------------------------------------------------------------------------------- */

static bool widen(const ane_computed *c, mil_array *in, ane_error *e) {
    for (int i = 0; i < c->f->n_inputs; i++) {
        int64_t n = ane_computed_count(c, true, i);
        in[i] = (mil_array){.type = *port(c, true, i), .data = malloc((size_t)n * sizeof(double))};
        if (!in[i].data) return no_memory(e);
        for (int64_t k = 0; k < n; k++) in[i].data[k] = (double)c->x[i][k];
    }
    return true;
}

bool ane_computed_compare(const ane_computed *c, ane_distance *worst, ane_error *e) {
    mil_array in[ANE_COMPUTED_PORTS] = {0}, out[ANE_COMPUTED_PORTS] = {0};
    bool ok = widen(c, in, e) && mil_evaluate(c->f, MIL_EXACT, in, 0, NULL, out, e);
    *worst = (ane_distance){0, 0};
    for (int i = 0; ok && i < c->f->n_outputs; i++) {
        ane_distance d = ane_distance_of(c->y[i], out[i].data, ane_computed_count(c, false, i));
        worst->max = fmax(worst->max, d.max);
        worst->mean = fmax(worst->mean, d.mean);
    }
    for (int i = 0; i < ANE_COMPUTED_PORTS; i++) {
        free(in[i].data);
        free(out[i].data);
    }
    return ok;
}

bool ane_computed_check(ane_computed *c, double scale, ane_distance *worst, ane_error *e) {
    if (!ane_computed_compile(c, e)) return false;
    for (int i = 0; i < c->f->n_inputs; i++) ane_computed_fill(c, i, scale, 100 + (uint64_t)i);
    return ane_computed_run(c, e) && ane_computed_compare(c, worst, e);
}

/* ---- telling ------------------------------------------------------------------------------------------------------ */

static json_t *rounded(double x) {
    return isfinite(x) ? json_real(x) : json_string("not finite");
}

void ane_computed_report(ane_asking *a, const char *name, const ane_computed *c, const ane_distance *d) {
    ane_asking_put(a, name,
        json_pack("{s:o, s:o, s:f, s:f, s:b, s:f}", "largest_error", rounded(d->max), "mean_error",
            rounded(d->mean), "compile_ms", c->compile_ms, "device_ms", c->device_ms, "modelled", c->modelled,
            "gflop", ane_kernel_flops(c->kernel) * 1e-9));
}

void ane_asking_agreement(ane_asking *a, const ane_distance *d, double max, double mean) {
    ane_asking_put(a, "tolerance", json_pack("{s:f, s:f}", "largest", max, "mean", mean));
    ane_asking_answer(a, ane_distance_is_small(d, max, mean) ? "agrees" : "differs");
}
