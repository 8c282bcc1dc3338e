/* trial.c - a program on the device, its buffers filled, timed and compared. */
#include "measure/trial.h"

#include "base/clock.h"
#include "base/half.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double DEFAULT_TOLERANCE = 0.02;
enum { INPUT_SEED = 1, WEIGHT_SEED = 2 };

static bool no_memory(ane_error *e) {
    return ane_fail(e, ANE_ERROR_MEMORY, "bench", "out of memory");
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static float rounded(float x, mil_dtype dtype) {
    if (dtype == MIL_FP16) return ane_f32_from_f16(ane_f16_from_f32(x));
    return dtype == MIL_FP32 ? x : roundf(x);
}

static void fill(ane_tensor *t, uint64_t seed, uint64_t stream, double scale) {
    ane_rng rng = ane_rng_new(seed, stream);
    for (int64_t i = 0; i < t->count; i++)
        t->x[i] = rounded((float)(ane_rng_normal(&rng) * scale), t->type.dtype);
}

/* 1 / sqrt(fan in): what is summed for one element, which lies behind the first axis. */
static double weight_scale(const mil_type *type) {
    double n = 1;
    for (int32_t i = 1; i < type->rank; i++) n *= (double)type->dim[i];
    return 1 / sqrt(n);
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

static bool make_tensor(ane_trial *t, ane_tensor *x, bool numbers, bool buffer, ane_error *e) {
    x->count = mil_type_count(&x->type);
    if (numbers && !(x->x = calloc((size_t)x->count, sizeof *x->x))) return no_memory(e);
    if (buffer && !(x->buffer = ane_buffer_new(t->device, x->type, e))) return false;
    if (!buffer) return true;
    t->bytes += (double)mil_type_bytes(&x->type);
    return ane_bind(t->binding, x->name, x->buffer, 0, e);
}

static bool make_tensors(ane_trial *t, ane_error *e) {
    t->n_inputs = ane_kernel_inputs(t->kernel);
    t->n_outputs = ane_kernel_outputs(t->kernel);
    t->n_weights = ane_kernel_weights(t->kernel);
    size_t n = (size_t)t->n_inputs + (size_t)t->n_outputs + (size_t)t->n_weights;
    t->tensors = calloc(n, sizeof *t->tensors);
    if (!t->tensors) return no_memory(e);
    ane_tensor *x = t->tensors;
    bool ok = true;
    for (int i = 0; ok && i < t->n_inputs; i++, x++) {
        x->name = ane_kernel_input(t->kernel, i, &x->type);
        ok = make_tensor(t, x, true, true, e);
    }
    for (int i = 0; ok && i < t->n_outputs; i++, x++) {
        x->name = ane_kernel_output(t->kernel, i, &x->type);
        ok = make_tensor(t, x, false, true, e);
    }
    for (int i = 0; ok && i < t->n_weights; i++, x++) {
        x->name = ane_kernel_weight(t->kernel, i, &x->type);
        ok = make_tensor(t, x, true, false, e);
        if (ok) fill(x, WEIGHT_SEED, (uint64_t)i, weight_scale(&x->type));
        ok = ok && ane_bind_weight(t->binding, x->name, x->x, x->count, e);
    }
    return ok;
}

ane_trial *ane_trial_new(ane_bench *b, const mil_program *p, const ane_trial_options *o, ane_error *e) {
    ane_trial *t = p ? calloc(1, sizeof *t) : NULL;
    if (!t) {
        if (p) no_memory(e);
        return NULL;
    }
    t->bench = b;
    t->program = p;
    t->function = mil_program_function(p, NULL);
    if (o) t->options = *o;
    if (t->options.tolerance <= 0) t->options.tolerance = DEFAULT_TOLERANCE;
    if (t->options.input_scale <= 0) t->options.input_scale = 1;
    t->device = t->options.device ? t->options.device : b->device;
    double start = ane_clock_ms();
    t->kernel = ane_device_compile(t->device, p, NULL, e);
    t->compile_ms = ane_clock_ms() - start;
    t->binding = t->kernel ? ane_binding_new(t->kernel, e) : NULL;
    if (t->binding && make_tensors(t, e)) {
        t->flops = ane_kernel_flops(t->kernel);
        return t;
    }
    ane_trial_free(t);
    return NULL;
}

void ane_trial_free(ane_trial *t) {
    if (!t) return;
    for (int i = 0; t->tensors && i < t->n_inputs + t->n_outputs + t->n_weights; i++) free(t->tensors[i].x);
    ane_binding_free(t->binding);
    for (int i = 0; t->tensors && i < t->n_inputs + t->n_outputs; i++) ane_buffer_free(t->tensors[i].buffer);
    ane_kernel_free(t->kernel);
    free(t->tensors);
    free(t);
}

/* ---- using ------------------------------------------------------------------------------------------------------- */

double ane_trial_compile_ms(const ane_trial *t) {
    return t->compile_ms;
}

double ane_trial_flops(const ane_trial *t) {
    return t->flops;
}

ane_binding *ane_trial_binding(ane_trial *t) {
    return t->binding;
}

static ane_tensor *tensor(ane_trial *t, const char *name) {
    for (int i = 0; i < t->n_inputs + t->n_outputs; i++)
        if (strcmp(t->tensors[i].name, name) == 0) return &t->tensors[i];
    return NULL;
}

ane_buffer *ane_trial_buffer(ane_trial *t, const char *name) {
    const ane_tensor *x = tensor(t, name);
    return x ? x->buffer : NULL;
}

float *ane_trial_numbers(ane_trial *t, const char *name) {
    const ane_tensor *x = tensor(t, name);
    return x ? x->x : NULL;
}

bool ane_trial_run(void *trial, ane_run_stats *stats, ane_error *e) {
    return ane_run(((ane_trial *)trial)->binding, stats, e);
}

ane_subject ane_trial_subject(ane_trial *t) {
    return (ane_subject){.run = ane_trial_run,
        .context = t,
        .flops = t->flops,
        .bytes = t->bytes,
        .speedup = t->options.speedup};
}

/* NaN everywhere (0 where the type has none). */
static bool spoil(ane_tensor *y, ane_error *e) {
    float *x = malloc((size_t)y->count * sizeof *x);
    if (!x) return no_memory(e);
    for (int64_t i = 0; i < y->count; i++) x[i] = mil_dtype_is_float(y->type.dtype) ? NAN : 0;
    bool ok = ane_buffer_write_f32(y->buffer, x, y->count, e);
    free(x);
    return ok;
}

bool ane_trial_refresh(ane_trial *t, uint64_t seed, ane_error *e) {
    for (int i = 0; i < t->n_inputs; i++) {
        ane_tensor *x = &t->tensors[i];
        fill(x, INPUT_SEED + 2 * seed, (uint64_t)i, t->options.input_scale);
        if (!ane_buffer_write_f32(x->buffer, x->x, x->count, e)) return false;
    }
    for (int i = 0; i < t->n_outputs; i++)
        if (!spoil(&t->tensors[t->n_inputs + i], e)) return false;
    return true;
}

/* Warm up on zeros: what an evaluation that computes nothing leaves is not what is asked for later. */
bool ane_trial_measure(ane_trial *t, json_t *row, ane_error *e) {
    const ane_subject s = ane_trial_subject(t);
    ane_times times;
    if (!ane_bench_warm(t->bench, &s, e) || !ane_trial_refresh(t, 1, e) ||
        !ane_bench_repeat(t->bench, &s, &times, e) || !ane_trial_verify(t, false, row, e))
        return false;
    ane_bench_put_times(t->bench, row, &times, t->flops);
    if (t->options.speedup > 1) json_object_del(json_object_get(row, "metrics"), "peak_percent"); /* fp16's */
    ane_row_metric(row, "compile_ms", t->compile_ms);
    return true;
}

bool ane_bench_program(
    ane_bench *b, const mil_program *p, const ane_trial_options *o, json_t *row, ane_error *e) {
    ane_trial *t = ane_trial_new(b, p, o, e);
    bool ok = t && ane_trial_measure(t, row, e);
    ane_trial_free(t);
    return ok;
}
