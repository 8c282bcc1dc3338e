/* Bindings: what a kernel's storages are in memory, and running. */
#include "device/cpu/device.h"

#include "base/parallel.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static cpu_kernel *kernel_of(const cpu_binding *b) {
    return (cpu_kernel *)b->base.kernel;
}

static cpu_device *device_of(const cpu_binding *b) {
    return (cpu_device *)b->base.kernel->device;
}

static const ane_port *weight_port(const cpu_binding *b, int weight) {
    const ane_kernel *k = b->base.kernel;
    return &k->ports[k->n_inputs + k->n_outputs + weight];
}

ane_binding *ane_cpu_binding_new(ane_kernel *k, ane_error *e) {
    size_t n_buffers = (size_t)k->n_inputs + (size_t)k->n_outputs, n_weights = (size_t)k->n_weights;
    cpu_binding *b = calloc(1, sizeof *b);
    if (b) {
        b->base.kernel = k;
        b->buffers = calloc(n_buffers + 1, sizeof *b->buffers);
        b->accumulates = calloc((size_t)k->n_outputs + 1, sizeof *b->accumulates);
        b->masters = calloc(n_weights + 1, sizeof *b->masters);
        b->staged = calloc(n_weights + 1, sizeof *b->staged);
        b->late = calloc(n_weights + 1, sizeof *b->late);
        b->small = calloc(n_weights + 1, sizeof(cpu_small *));
        ane_cpu_count_allocations((cpu_device *)k->device, 7);
    }
    if (b && b->buffers && b->accumulates && b->masters && b->staged && b->late && b->small) return &b->base;
    if (b) ane_cpu_binding_free(&b->base);
    ane_fail(e, ANE_ERROR_MEMORY, "cpu", "no memory for a binding");
    return NULL;
}

void ane_cpu_binding_free(ane_binding *binding) {
    cpu_binding *b = (cpu_binding *)binding;
    for (int i = 0; b->staged && b->late && i < b->base.kernel->n_weights; i++) {
        int64_t bytes = 4 * mil_type_count(&weight_port(b, i)->type);
        ane_cpu_memory_free(device_of(b), b->staged[i], bytes);
        ane_cpu_memory_free(device_of(b), b->late[i], bytes);
    }
    for (int i = 0; b->small && i < b->base.kernel->n_weights; i++)
        ane_cpu_small_drop(device_of(b), b->small[i]);
    free(b->small);
    free(b->buffers);
    free(b->accumulates);
    free(b->masters);
    free(b->staged);
    free(b->late);
    free(b);
}

bool ane_cpu_bind(ane_binding *binding, int slot, ane_buffer *buffer, int flags, ane_error *e) {
    cpu_binding *b = (cpu_binding *)binding;
    const ane_kernel *k = b->base.kernel;
    int output = slot - k->n_inputs;
    if (flags & ANE_ACCUMULATE && k->ports[slot].type.dtype != MIL_FP32)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, k->ports[slot].name,
            "%s is %s: only fp32 outputs accumulate", k->ports[slot].name,
            mil_dtype_name(k->ports[slot].type.dtype));
    b->buffers[slot] = (cpu_buffer *)buffer;
    if (output >= 0) b->accumulates[output] = flags & ANE_ACCUMULATE;
    return true;
}

/* ---- weights ------------------------------------------------------------------------------------------- */

typedef struct stage_job {
    const cpu_vectors *v;
    ane_precision precision;
    const float *from;
    float *to;
} stage_job;

static void stage_part(void *context, int64_t begin, int64_t end) {
    const stage_job *j = context;
    bool bf16 = j->precision == ANE_BF16 || j->precision == ANE_INT8;
    j->v->map[bf16 ? CPU_ROUND_BF16 : CPU_COPY][0](
        j->to + begin, j->from + begin, NULL, NULL, 0, end - begin);
    if (j->precision == ANE_FP16) j->v->round_f16(j->to + begin, end - begin);
}

/* Convert the master into `copies[weight]`, which is made when it is not there. */
static bool stage(cpu_binding *b, float **copies, int weight, ane_error *e) {
    cpu_device *d = device_of(b);
    const ane_port *port = weight_port(b, weight);
    int64_t count = mil_type_count(&port->type);
    if (!kernel_of(b)->plan.staged[weight]) return true;
    if (!copies[weight]) copies[weight] = ane_cpu_memory_new(d, 4 * count);
    if (!copies[weight])
        return ane_fail(e, ANE_ERROR_MEMORY, port->name,
            "no memory for a copy of %s in the device's precision", port->name);
    stage_job j = {d->v, d->base.capabilities.precision, b->masters[weight], copies[weight]};
    ane_parallel_for(count, 65536, d->threads, stage_part, &j);
    return true;
}

static bool take_small(cpu_binding *b, int weight, ane_error *e) {
    cpu_device *d = device_of(b);
    const ane_port *port = weight_port(b, weight);
    const cpu_plan *plan = &kernel_of(b)->plan;
    int64_t rows = plan->small_rows[weight];
    ane_cpu_small_drop(d, b->small[weight]);
    b->small[weight] = NULL;
    if (!rows || !(plan->needs_small[weight] || b->base.keeps_weights)) return true;
    b->small[weight] = ane_cpu_small_take(
        d, b->masters[weight], ane_cpu_small_format(plan), rows, mil_type_count(&port->type) / rows);
    return b->small[weight] ||
           ane_fail(e, ANE_ERROR_MEMORY, port->name, "no memory for a small copy of %s", port->name);
}

bool ane_cpu_bind_weight(ane_binding *binding, int weight, const float *master, ane_error *e) {
    cpu_binding *b = (cpu_binding *)binding;
    b->masters[weight] = master;
    return stage(b, b->staged, weight, e) && take_small(b, weight, e);
}

bool ane_cpu_weights_changed(ane_binding *binding, ane_error *e) {
    cpu_binding *b = (cpu_binding *)binding;
    bool late = device_of(b)->late;
    for (int i = 0; i < b->base.kernel->n_weights; i++) {
        if (late && b->late[i]) { /* what came last comes in, and makes room for what comes now */
            float *in_use = b->staged[i];
            b->staged[i] = b->late[i];
            b->late[i] = in_use;
        }
        if (b->masters[i] && !stage(b, late ? b->late : b->staged, i, e)) return false;
        if (b->small[i]) ane_cpu_small_refresh(device_of(b), b->small[i]);
    }
    return true;
}

/* ---- running ------------------------------------------------------------------------------------------- */

/* An output that accumulates, and that no gemm adds to by itself, is made in scratch behind the plan's own,
 * then added. */
static bool is_redirected(const cpu_binding *b, int output) {
    return b->accumulates[output] && !kernel_of(b)->plan.gemm_output[output];
}

static int64_t aligned(int64_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static int64_t scratch_needed(const cpu_binding *b) {
    const cpu_plan *plan = &kernel_of(b)->plan;
    int64_t bytes = aligned(plan->scratch_bytes);
    for (int o = 0; o < b->base.kernel->n_outputs; o++)
        if (is_redirected(b, o)) bytes += aligned(plan->storages[plan->output_storage[o]].bytes);
    return bytes;
}

static void find_bases(const cpu_binding *b) {
    cpu_kernel *k = kernel_of(b);
    const cpu_plan *plan = &k->plan;
    char *scratch = device_of(b)->scratch, *behind = scratch + aligned(plan->scratch_bytes);
    for (int32_t i = 0; i < plan->n_storages; i++) {
        const cpu_storage *s = &plan->storages[i];
        char *base = NULL;
        switch (s->place) {
        case CPU_SCRATCH: base = s->offset >= 0 ? scratch + s->offset : NULL; break;
        case CPU_INPUT: base = b->buffers[s->index]->data; break;
        case CPU_OUTPUT: base = b->buffers[k->base.n_inputs + s->index]->data; break;
        case CPU_WEIGHT: base = (char *)(uintptr_t)b->masters[s->index]; break; /* only read */
        case CPU_WEIGHT_STAGED: base = (char *)b->staged[s->index]; break;
        case CPU_WEIGHT_SMALL: base = b->small[s->index] ? b->small[s->index]->data : NULL; break;
        case CPU_CONSTANT: base = (char *)(uintptr_t)s->data; break; /* only read */
        }
        k->bases[i] = base;
    }
    for (int o = 0; o < k->base.n_outputs; o++) {
        k->accumulate[o] = b->accumulates[o];
        if (!is_redirected(b, o)) continue;
        k->bases[plan->output_storage[o]] = behind;
        behind += aligned(plan->storages[plan->output_storage[o]].bytes);
    }
}

typedef struct add_job {
    const cpu_vectors *v;
    float *to;
    const float *from;
} add_job;

static void add_part(void *context, int64_t begin, int64_t end) {
    const add_job *j = context;
    j->v->add_to(j->to + begin, j->from + begin, end - begin);
}

static void add_redirected(const cpu_binding *b) {
    const cpu_kernel *k = kernel_of(b);
    cpu_device *d = device_of(b);
    for (int o = 0; o < k->base.n_outputs; o++) {
        if (!is_redirected(b, o)) continue;
        int32_t s = k->plan.output_storage[o];
        add_job j = {d->v, (float *)(void *)b->buffers[k->base.n_inputs + o]->data,
            (const float *)(void *)k->bases[s]};
        ane_parallel_for(k->plan.storages[s].count, 32768, d->threads, add_part, &j);
    }
}

static bool run_steps(const cpu_binding *b, ane_error *e) {
    cpu_kernel *k = kernel_of(b);
    cpu_device *d = device_of(b);
    if (!ane_cpu_scratch_reserve(d, scratch_needed(b), e)) return false;
    find_bases(b);
    cpu_run r = {
        .device = d, .v = d->v, .threads = d->threads, .base = k->bases, .accumulate = k->accumulate};
    for (int32_t i = 0; i < k->plan.n_steps; i++)
        if (!ane_cpu_run_step(k, i, &r, e)) return false;
    add_redirected(b);
    k->runs++;
    return true;
}

static double milliseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

bool ane_cpu_run(ane_binding *binding, ane_run_stats *stats, ane_error *e) {
    const cpu_binding *b = (const cpu_binding *)binding;
    cpu_device *d = device_of(b);
    double start = milliseconds();
    pthread_mutex_lock(&d->run_lock);
    bool ok = run_steps(b, e);
    pthread_mutex_unlock(&d->run_lock);
    double ms = milliseconds() - start;
    if (stats) *stats = (ane_run_stats){.host_ms = ms, .device_ms = ms, .modelled = false};
    return ok;
}
