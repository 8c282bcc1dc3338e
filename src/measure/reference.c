/* reference.c - what a trial's outputs should be, and whether they are. */
#include "measure/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Up to this many operations the interpreter takes a fraction of a second. */
static const double INTERPRETED_FLOPS = 3e7;

static bool no_memory(ane_error *e) {
    return ane_fail(e, ANE_ERROR_MEMORY, "bench", "out of memory");
}

/* ---- by the interpreter ------------------------------------------------------------------------------------------ */

static bool widen(mil_array *a, const ane_tensor *t, ane_error *e) {
    a->type = t->type;
    a->data = malloc((size_t)t->count * sizeof *a->data);
    if (!a->data) return no_memory(e);
    for (int64_t i = 0; i < t->count; i++) a->data[i] = t->x[i];
    return true;
}

static void narrow(float *y, const mil_array *a) {
    int64_t n = a->data ? mil_type_count(&a->type) : 0;
    for (int64_t k = 0; k < n; k++) y[k] = (float)a->data[k];
}

static bool interpret(ane_trial *t, float *const *y, ane_error *e) {
    int n = t->n_inputs + t->n_outputs;
    mil_array *arrays = calloc((size_t)n + 1, sizeof *arrays);
    mil_named_array *weights = calloc((size_t)t->n_weights + 1, sizeof *weights);
    bool ok = arrays && weights;
    if (!ok) no_memory(e);
    for (int i = 0; ok && i < t->n_inputs; i++) ok = widen(&arrays[i], &t->tensors[i], e);
    for (int i = 0; ok && i < t->n_weights; i++) {
        weights[i].name = t->tensors[n + i].name;
        ok = widen(&weights[i].array, &t->tensors[n + i], e);
    }
    mil_rounding rounding =
        ane_device_capabilities(t->device)->precision == ANE_FP16 ? MIL_ROUND_FP16 : MIL_EXACT;
    ok = ok && mil_evaluate(t->function, rounding, arrays, t->n_weights, weights, arrays + t->n_inputs, e);
    for (int i = 0; ok && i < t->n_outputs; i++) narrow(y[i], &arrays[t->n_inputs + i]);
    for (int i = 0; arrays && i < n; i++) free(arrays[i].data);
    for (int i = 0; weights && i < t->n_weights; i++) free(weights[i].array.data);
    free(arrays);
    free(weights);
    return ok;
}

/* ---- by the CPU device ------------------------------------------------------------------------------------------- */

const char *ane_reference_spec(const ane_bench *b) {
    static const char *const by_precision[] = {[ANE_FP32] = "cpu:vectors=baseline,products=library",
        [ANE_FP16] = "cpu:precision=fp16,vectors=baseline,products=library",
        [ANE_BF16] = "cpu:precision=bf16,vectors=baseline,products=library",
        [ANE_INT8] = "cpu:precision=int8,vectors=baseline,products=library"};
    bool engine = strcmp(b->capabilities->device, "cpu") != 0;
    return engine ? "cpu:precision=fp16" : by_precision[b->capabilities->precision];
}

static bool open_reference(ane_bench *b, ane_error *e) {
    if (!b->reference) b->reference = ane_device_open(ane_reference_spec(b), e);
    return b->reference != NULL;
}

static bool run_tensor(
    ane_device *d, ane_binding *binding, const ane_tensor *t, ane_buffer **buffer, ane_error *e) {
    *buffer = ane_buffer_new(d, t->type, e);
    return *buffer && (!t->x || ane_buffer_write_f32(*buffer, t->x, t->count, e)) &&
           ane_bind(binding, t->name, *buffer, 0, e);
}

static bool compute(ane_trial *t, float *const *y, ane_error *e) {
    ane_device *d = t->bench->reference;
    int n = t->n_inputs + t->n_outputs;
    ane_kernel *kernel = ane_device_compile(d, t->program, NULL, e);
    ane_binding *binding = kernel ? ane_binding_new(kernel, e) : NULL;
    ane_buffer **buffers = calloc((size_t)n, sizeof(ane_buffer *));
    bool ok = binding && (buffers || no_memory(e));
    for (int i = 0; ok && i < n; i++) ok = run_tensor(d, binding, &t->tensors[i], &buffers[i], e);
    for (int i = n; ok && i < n + t->n_weights; i++)
        ok = ane_bind_weight(binding, t->tensors[i].name, t->tensors[i].x, t->tensors[i].count, e);
    ok = ok && ane_run(binding, NULL, e);
    for (int i = 0; ok && i < t->n_outputs; i++)
        ok = ane_buffer_read_f32(buffers[t->n_inputs + i], y[i], t->tensors[t->n_inputs + i].count, e);
    ane_binding_free(binding);
    for (int i = 0; buffers && i < n; i++) ane_buffer_free(buffers[i]);
    free(buffers);
    ane_kernel_free(kernel);
    return ok;
}

/* What the outputs should be, into y[n_outputs], each of its count. *against says what computed them. */
static bool right_outputs(ane_trial *t, float *const *y, const char **against, ane_error *e) {
    if (t->flops <= INTERPRETED_FLOPS) {
        *against = "interpreter";
        return interpret(t, y, e);
    }
    if (!open_reference(t->bench, e)) return false;
    *against = ane_reference_spec(t->bench);
    return compute(t, y, e);
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

/* |y - right| / |right|, both as root mean squares. What is not a number stays so. */
static double relative_error(const float *y, const float *right, int64_t n) {
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)y[i] - (double)right[i];
        difference += d * d;
        size += (double)right[i] * (double)right[i];
    }
    if (size == 0) return difference == 0 ? 0 : INFINITY;
    return sqrt(difference / size);
}

/* Of all outputs the largest. */
static bool errors(ane_trial *t, float *const *y, float *const *right, double *worst, ane_error *e) {
    *worst = 0;
    for (int i = 0; i < t->n_outputs; i++) {
        const ane_tensor *out = &t->tensors[t->n_inputs + i];
        if (!ane_buffer_read_f32(out->buffer, y[i], out->count, e)) return false;
        double x = relative_error(y[i], right[i], out->count);
        if (!(x <= *worst)) *worst = x;
    }
    return true;
}

static bool judge(ane_trial *t, const char *against, double error, json_t *row, ane_error *e) {
    if (error <= t->options.tolerance) {
        ane_row_verified(row, against, error, t->options.tolerance);
        return true;
    }
    return ane_fail(e, ANE_ERROR_NUMERIC, "bench",
        "the output differs from the reference (%s) by %.3g of its size, allowed %.3g: this was not computed "
        "rightly",
        against, error, t->options.tolerance);
}

/* Room for all outputs twice: y[0 .. n_outputs) and behind them the reference's. One allocation for each, freed together. */
static float **make_room(const ane_trial *t, ane_error *e) {
    float **y = calloc(2 * (size_t)t->n_outputs, sizeof *y);
    bool ok = y != NULL;
    for (int i = 0; ok && i < 2 * t->n_outputs; i++)
        ok = (y[i] = calloc((size_t)t->tensors[t->n_inputs + i % t->n_outputs].count, sizeof **y)) != NULL;
    if (ok) return y;
    no_memory(e);
    return y;
}

static void free_room(const ane_trial *t, float **y) {
    for (int i = 0; y && i < 2 * t->n_outputs; i++) free(y[i]);
    free(y);
}

static bool room_is_whole(const ane_trial *t, float *const *y) {
    return y && y[2 * t->n_outputs - 1];
}

bool ane_trial_verify(ane_trial *t, bool run, json_t *row, ane_error *e) {
    if (run && !ane_run(t->binding, NULL, e)) return false;
    float **y = make_room(t, e);
    const char *against = "";
    double worst = INFINITY;
    bool ok = room_is_whole(t, y) && right_outputs(t, y + t->n_outputs, &against, e) &&
              errors(t, y, y + t->n_outputs, &worst, e) && judge(t, against, worst, row, e);
    free_room(t, y);
    return ok;
}

bool ane_trial_error_against(ane_trial *t, const mil_program *exact, double *error, ane_error *e) {
    if (!ane_run(t->binding, NULL, e)) return false;
    ane_trial other = *t; /* the same numbers, another program */
    other.program = exact;
    other.function = mil_program_function(exact, NULL);
    float **y = make_room(t, e);
    const char *against;
    bool ok = room_is_whole(t, y) && right_outputs(&other, y + t->n_outputs, &against, e) &&
              errors(t, y, y + t->n_outputs, error, e);
    free_room(t, y);
    return ok;
}
