/* Compiling a function into a kernel, and saying what it does. */
#include "base/decimal.h"
#include "device/cpu/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the copy; which passes run follows from what the plan can do: composites it lowers itself. */
static bool simplify(mil_program *p, ane_error *e) {
    static const mil_pass passes[] = {MIL_PASS_FOLD_CONSTANTS, MIL_PASS_CSE, MIL_PASS_DEAD_CODE};
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++)
        if (!mil_run_pass(p, passes[i], e)) return false;
    return true;
}

static bool set_port(cpu_kernel *k, ane_port *port, const mil_value_info *v) {
    *port = (ane_port){ane_arena_strdup(k->plan.arena, v->name), v->type};
    return port->name != NULL;
}

/* Of the function as it was given: simplifying it may drop parameters that it does not need. */
static bool fill_ports(cpu_kernel *k, const mil_function *f, ane_error *e) {
    ane_kernel *b = &k->base;
    b->n_inputs = f->n_inputs;
    b->n_outputs = f->n_outputs;
    for (int32_t i = 0; i < f->n_ops; i++) b->n_weights += f->ops[i].opcode == MIL_OP_PARAMETER;
    size_t n = (size_t)b->n_inputs + (size_t)b->n_outputs + (size_t)b->n_weights;
    b->ports = ane_arena_array(k->plan.arena, n + 1, sizeof *b->ports);
    bool ok = b->ports != NULL;
    ane_port *port = b->ports;
    for (int32_t i = 0; ok && i < f->n_inputs; i++) ok = set_port(k, port++, &f->values[f->inputs[i]]);
    for (int32_t i = 0; ok && i < f->n_outputs; i++) ok = set_port(k, port++, &f->values[f->outputs[i]]);
    k->plan.n_weights = b->n_weights;
    k->plan.weights = port;
    for (int32_t i = 0; ok && i < f->n_ops; i++)
        if (f->ops[i].opcode == MIL_OP_PARAMETER) ok = set_port(k, port++, &f->values[f->ops[i].results[0]]);
    return ok || ane_fail(e, ANE_ERROR_MEMORY, f->name, "no memory for the kernel's ports");
}

static bool build(cpu_kernel *k, const mil_function *f, ane_error *e) {
    cpu_device *d = (cpu_device *)k->base.device;
    if (!ane_cpu_plan_build(&k->plan, f, e)) return false;
    k->bases = ane_arena_array(k->plan.arena, (size_t)k->plan.n_storages + 1, sizeof *k->bases);
    k->accumulate = ane_arena_array(k->plan.arena, (size_t)f->n_outputs + 1, sizeof *k->accumulate);
    if (!k->bases || !k->accumulate)
        return ane_fail(e, ANE_ERROR_MEMORY, f->name, "no memory for the kernel");
    k->base.flops = mil_flops(f);
    pthread_mutex_lock(&d->run_lock);
    bool ok = ane_cpu_scratch_reserve(d, k->plan.scratch_bytes, e);
    pthread_mutex_unlock(&d->run_lock);
    return ok && (!d->profiles || ane_cpu_profile_add(k, e));
}

ane_kernel *ane_cpu_compile(ane_device *device, const mil_program *p, const mil_function *f, ane_error *e) {
    cpu_kernel *k = calloc(1, sizeof *k);
    if (!k) {
        ane_fail(e, ANE_ERROR_MEMORY, f->name, "no memory for the kernel");
        return NULL;
    }
    k->base.device = device;
    ane_cpu_count_allocations((cpu_device *)device, 1);
    k->plan.precision = device->capabilities.precision;
    k->plan.copies_weights = ((cpu_device *)device)->late;
    k->plan.packed = ((cpu_device *)device)->packed;
    k->plan.pairs = ((cpu_device *)device)->pairs;
    k->plan.threads = ((cpu_device *)device)->threads;
    k->plan.arena = ane_arena_new();
    k->program = mil_program_clone(p, e);
    bool ok = k->plan.arena ? k->program && fill_ports(k, f, e) && simplify(k->program, e)
                            : ane_fail(e, ANE_ERROR_MEMORY, f->name, "no memory for the kernel");
    if (ok && build(k, mil_program_function(k->program, f->name), e)) return &k->base;
    ane_cpu_kernel_free(&k->base);
    return NULL;
}

void ane_cpu_kernel_free(ane_kernel *kernel) {
    cpu_kernel *k = (cpu_kernel *)kernel;
    ane_cpu_profile_remove(k);
    mil_program_free(k->program);
    ane_arena_free(k->plan.arena);
    free(k);
}

char *ane_cpu_kernel_describe(const ane_kernel *kernel) {
    const cpu_kernel *k = (const cpu_kernel *)kernel;
    const cpu_plan *plan = &k->plan;
    char line[800];
    size_t size = 256 + (size_t)plan->n_steps * 1100, n = 0;
    char *text = malloc(size);
    if (!text) return NULL;
    n += (size_t)ane_print(text, size, "%d steps, %.4g GFLOP, %.4g MB of scratch\n", plan->n_steps,
        k->base.flops * 1e-9, (double)plan->scratch_bytes * 1e-6);
    for (int32_t i = 0; i < plan->n_steps && n < size; i++) {
        const cpu_step *s = &plan->steps[i];
        cpu_work work = s->type->work(s->data);
        s->type->describe(s->data, line, sizeof line);
        n += (size_t)snprintf(text + n, size - n, "%3d %-8s %s;", i, s->type->name, line);
        if (work.flops > 0 && n < size)
            n += (size_t)ane_print(text + n, size - n, " %.4g GFLOP,", work.flops * 1e-9);
        if (n < size) n += (size_t)ane_print(text + n, size - n, " %.4g MB\n", work.bytes * 1e-6);
    }
    return text;
}
