/* The public functions: check what was given, then let the device do it. */
#include "device/device_impl.h"

#include "base/clock.h"
#include "base/half.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ane_device_ops *const devices[] = {&ane_cpu_device, &ane_engine_device};
enum { N_DEVICES = sizeof devices / sizeof *devices };

static const char *const precision_names[] = {
    [ANE_FP32] = "fp32", [ANE_BF16] = "bf16", [ANE_INT8] = "int8", [ANE_FP16] = "fp16"};
enum { N_PRECISIONS = sizeof precision_names / sizeof *precision_names };

const char *ane_precision_name(ane_precision precision) {
    return (unsigned)precision < N_PRECISIONS ? precision_names[precision] : "unknown";
}

bool ane_precision_from_name(ane_precision *precision, const char *name, ane_error *e) {
    for (int i = 0; i < N_PRECISIONS; i++)
        if (strcmp(name, precision_names[i]) == 0) {
            *precision = (ane_precision)i;
            return true;
        }
    return ane_fail(
        e, ANE_ERROR_ARGUMENT, NULL, "there is no precision \"%s\"; known: fp32, bf16, int8, fp16", name);
}

/* ---- devices ------------------------------------------------------------------------------------------- */

static ane_device *opened(ane_device *d, ane_error *e) {
    if (!d || pthread_mutex_init(&d->counts_lock, NULL) == 0) return d;
    d->ops->close(d);
    ane_fail(e, ANE_ERROR_MEMORY, NULL, "no memory for a lock");
    return NULL;
}

ane_device *ane_device_open(const char *spec, ane_error *e) {
    size_t n = spec ? strcspn(spec, ":") : 0;
    char known[128] = "";
    for (int i = 0; i < N_DEVICES; i++) {
        if (spec && strlen(devices[i]->name) == n && strncmp(spec, devices[i]->name, n) == 0)
            return opened(devices[i]->open(spec[n] ? spec + n + 1 : "", e), e);
        snprintf(
            known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", devices[i]->name);
    }
    ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "there is no device \"%.*s\"; known: %s", (int)n, spec ? spec : "",
        known);
    return NULL;
}

void ane_device_close(ane_device *d) {
    if (!d) return;
    pthread_mutex_destroy(&d->counts_lock);
    d->ops->close(d);
}

const ane_capabilities *ane_device_capabilities(const ane_device *d) {
    return &d->capabilities;
}

ane_memory_stats ane_device_memory(const ane_device *d) {
    return d->ops->memory(d);
}

/* ---- kernels ------------------------------------------------------------------------------------------- */

ane_kernel *ane_device_compile(ane_device *d, const mil_program *p, const char *function, ane_error *e) {
    if (!mil_program_ok(p, e)) return NULL;
    const mil_function *f = mil_program_function(p, function);
    if (!f) {
        ane_fail(e, ANE_ERROR_ARGUMENT, function, "the program has no function \"%s\"",
            function ? function : "main");
        return NULL;
    }
    double start = ane_clock_ms();
    ane_kernel *k = d->ops->compile(d, p, f, e);
    const ane_device_counts more = {.compiles = !d->ops->counts && k, .compiling_ms = ane_clock_ms() - start};
    ane_device_count(d, &more);
    return k;
}

void ane_kernel_free(ane_kernel *k) {
    if (k) k->device->ops->kernel_free(k);
}

int ane_kernel_inputs(const ane_kernel *k) {
    return k->n_inputs;
}

int ane_kernel_outputs(const ane_kernel *k) {
    return k->n_outputs;
}

int ane_kernel_weights(const ane_kernel *k) {
    return k->n_weights;
}

static const char *port(const ane_kernel *k, int first, int count, int index, mil_type *type) {
    if (index < 0 || index >= count) return NULL;
    if (type) *type = k->ports[first + index].type;
    return k->ports[first + index].name;
}

const char *ane_kernel_input(const ane_kernel *k, int index, mil_type *type) {
    return port(k, 0, k->n_inputs, index, type);
}

const char *ane_kernel_output(const ane_kernel *k, int index, mil_type *type) {
    return port(k, k->n_inputs, k->n_outputs, index, type);
}

const char *ane_kernel_weight(const ane_kernel *k, int index, mil_type *type) {
    return port(k, k->n_inputs + k->n_outputs, k->n_weights, index, type);
}

double ane_kernel_flops(const ane_kernel *k) {
    return k->flops;
}

char *ane_kernel_describe(const ane_kernel *k) {
    return k->device->ops->kernel_describe(k);
}

int ane_device_profile(ane_device *d, ane_step_profile *steps, int max) {
    return d->ops->profile ? d->ops->profile(d, steps, max) : 0;
}

void ane_device_profile_reset(ane_device *d) {
    if (d->ops->profile_reset) d->ops->profile_reset(d);
}

/* ---- buffers ------------------------------------------------------------------------------------------- */

ane_buffer *ane_buffer_new(ane_device *d, mil_type type, ane_error *e) {
    bool shaped =
        type.rank >= 0 && type.rank <= MIL_MAX_RANK && type.dtype > MIL_VOID && type.dtype < MIL_STRING;
    for (int i = 0; shaped && i < type.rank; i++) shaped = type.dim[i] > 0;
    if (!shaped || mil_type_bytes(&type) < 0) {
        ane_fail(e, ANE_ERROR_ARGUMENT, NULL,
            "a buffer needs a numeric type and at most %d positive dimensions", MIL_MAX_RANK);
        return NULL;
    }
    ane_buffer *b = d->ops->buffer_new(d, &type, e);
    if (!b) return NULL;
    b->device = d;
    b->type = type;
    return b; // cppcheck-suppress returnDanglingLifetime ; the device copies nothing but the type's value
}

void ane_buffer_free(ane_buffer *b) {
    if (b) b->device->ops->buffer_free(b);
}

const mil_type *ane_buffer_type(const ane_buffer *b) {
    return &b->type;
}

void *ane_buffer_map(ane_buffer *b, ane_access access, ane_error *e) {
    return b->device->ops->buffer_map(b, access, e);
}

bool ane_buffer_unmap(ane_buffer *b, ane_error *e) {
    return b->device->ops->buffer_unmap(b, e);
}

static void int32_from_f32(void *to, const void *from, size_t n) {
    const float *x = from;
    int32_t *y = to;
    for (size_t i = 0; i < n; i++) /* what does not fit saturates; NaN is 0 */
        y[i] = isnan(x[i]) ? 0 : x[i] >= 0x1p31f ? INT32_MAX : x[i] < -0x1p31f ? INT32_MIN : (int32_t)x[i];
}

static void f32_from_int32(void *to, const void *from, size_t n) {
    const int32_t *x = from;
    float *y = to;
    for (size_t i = 0; i < n; i++) y[i] = (float)x[i];
}

static void f32_from_f32(void *to, const void *from, size_t n) {
    memcpy(to, from, n * sizeof(float));
}

static void f16_from_f32(void *to, const void *from, size_t n) {
    ane_f16_array_from_f32(to, from, n);
}

static void f32_from_f16(void *to, const void *from, size_t n) {
    ane_f32_array_from_f16(to, from, n);
}

static void bf16_from_f32(void *to, const void *from, size_t n) {
    ane_bf16_array_from_f32(to, from, n);
}

static void f32_from_bf16(void *to, const void *from, size_t n) {
    ane_f32_array_from_bf16(to, from, n);
}

static const struct conversion {
    mil_dtype dtype;
    void (*write)(void *to, const void *from, size_t n), (*read)(void *to, const void *from, size_t n);
} conversions[] = {
    {MIL_FP32, f32_from_f32, f32_from_f32},
    {MIL_FP16, f16_from_f32, f32_from_f16},
    {MIL_BF16, bf16_from_f32, f32_from_bf16},
    {MIL_INT32, int32_from_f32, f32_from_int32},
};

static const struct conversion *conversion_of(const ane_buffer *b, int64_t count, ane_error *e) {
    int64_t expected = mil_type_count(&b->type);
    if (count != expected) {
        ane_fail(e, ANE_ERROR_SHAPE, NULL, "the buffer holds %lld elements, found %lld", (long long)expected,
            (long long)count);
        return NULL;
    }
    for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++)
        if (conversions[i].dtype == b->type.dtype) return &conversions[i];
    ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL, "buffers of %s are not converted to or from fp32",
        mil_dtype_name(b->type.dtype));
    ane_hint(e, "Map the buffer instead.");
    return NULL;
}

bool ane_buffer_write_f32(ane_buffer *b, const float *x, int64_t count, ane_error *e) {
    const struct conversion *c = conversion_of(b, count, e);
    void *to = c ? ane_buffer_map(b, ANE_WRITE, e) : NULL;
    if (!to) return false;
    c->write(to, x, (size_t)count);
    return ane_buffer_unmap(b, e);
}

bool ane_buffer_read_f32(ane_buffer *b, float *x, int64_t count, ane_error *e) {
    const struct conversion *c = conversion_of(b, count, e);
    const void *from = c ? ane_buffer_map(b, ANE_READ, e) : NULL;
    if (!from) return false;
    c->read(x, from, (size_t)count);
    return ane_buffer_unmap(b, e);
}

/* ---- bindings ------------------------------------------------------------------------------------------ */

ane_binding *ane_binding_new(ane_kernel *k, ane_error *e) {
    bool *bound =
        calloc((size_t)k->n_inputs + (size_t)k->n_outputs + (size_t)k->n_weights + 1, sizeof *bound);
    ane_binding *b = bound ? k->device->ops->binding_new(k, e) : NULL;
    if (!b) {
        free(bound);
        ane_fail(e, ANE_ERROR_MEMORY, NULL, "no memory for a binding");
        return NULL;
    }
    b->kernel = k;
    b->bound = bound;
    return b;
}

void ane_binding_free(ane_binding *b) {
    if (!b) return;
    free(b->bound);
    b->kernel->device->ops->binding_free(b);
}

/* Index among ports [first, first + count) by name; -1 and a report that lists the known ones. */
static int find_port(
    const ane_kernel *k, int first, int count, const char *name, const char *what, ane_error *e) {
    for (int i = 0; i < count; i++)
        if (strcmp(k->ports[first + i].name, name) == 0) return first + i;
    char list[512] = "";
    for (int i = 0; i < count && strlen(list) < sizeof list - 2; i++)
        snprintf(
            list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", k->ports[first + i].name);
    ane_fail(e, ANE_ERROR_ARGUMENT, name, "the kernel has no %s \"%s\"; it has: %s", what, name,
        count ? list : "none");
    return -1;
}

bool ane_bind(ane_binding *b, const char *name, ane_buffer *buffer, int flags, ane_error *e) {
    const ane_kernel *k = b->kernel;
    int slot = find_port(k, 0, k->n_inputs + k->n_outputs, name, "input or output", e);
    if (slot < 0) return false;
    const mil_type *expected = &k->ports[slot].type;
    if (buffer->device != k->device)
        return ane_fail(e, ANE_ERROR_ARGUMENT, name, "the buffer for %s belongs to another device", name);
    if (!mil_type_equal(expected, &buffer->type)) {
        char wanted[128], found[128];
        return ane_fail(e, expected->dtype == buffer->type.dtype ? ANE_ERROR_SHAPE : ANE_ERROR_TYPE, name,
            "%s is %s, but the buffer is %s", name, mil_type_print(expected, wanted, sizeof wanted),
            mil_type_print(&buffer->type, found, sizeof found));
    }
    if (flags & ~ANE_ACCUMULATE)
        return ane_fail(e, ANE_ERROR_ARGUMENT, name, "unknown flags %#x", (unsigned)flags);
    if (flags & ANE_ACCUMULATE && slot < k->n_inputs)
        return ane_fail(e, ANE_ERROR_ARGUMENT, name, "%s is an input: only outputs accumulate", name);
    if (flags & ANE_ACCUMULATE && !k->device->capabilities.accumulates)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, name, "the device \"%s\" cannot accumulate into outputs",
            k->device->capabilities.device);
    if (!k->device->ops->bind(b, slot, buffer, flags, e)) return false;
    b->bound[slot] = true;
    return true;
}

bool ane_bind_weight(ane_binding *b, const char *name, const float *master, int64_t count, ane_error *e) {
    const ane_kernel *k = b->kernel;
    int first = k->n_inputs + k->n_outputs, slot = find_port(k, first, k->n_weights, name, "weight", e);
    if (slot < 0) return false;
    int64_t expected = mil_type_count(&k->ports[slot].type);
    if (!master) return ane_fail(e, ANE_ERROR_ARGUMENT, name, "the weight %s was given no data", name);
    if (count != expected)
        return ane_fail(e, ANE_ERROR_SHAPE, name, "the weight %s has %lld elements, found %lld", name,
            (long long)expected, (long long)count);
    if (!k->device->ops->bind_weight(b, slot - first, master, e)) return false;
    b->bound[slot] = true;
    return true;
}

void ane_binding_keep_weights(ane_binding *b) {
    b->keeps_weights = true;
}

bool ane_weights_changed(ane_binding *b, ane_error *e) {
    return b->kernel->device->ops->weights_changed(b, e);
}

bool ane_run(ane_binding *b, ane_run_stats *stats, ane_error *e) {
    const ane_kernel *k = b->kernel;
    for (int i = 0; i < k->n_inputs + k->n_outputs + k->n_weights; i++)
        if (!b->bound[i])
            return ane_fail(e, ANE_ERROR_ARGUMENT, k->ports[i].name,
                "%s was not bound: everything must be before a run", k->ports[i].name);
    ane_run_stats own = {0};
    if (!k->device->ops->run(b, &own, e)) return false;
    const ane_device_counts more = {.runs = 1,
        .flops = k->flops,
        .device_ms = own.device_ms,
        .modelled = own.modelled,
        .evaluating_ms = k->device->ops->counts ? 0 : own.host_ms};
    ane_device_count(k->device, &more);
    if (stats) *stats = own;
    return true;
}
