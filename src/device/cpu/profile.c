/* How long every step of every kernel takes, when the device was opened with profile=on. */
#include "device/cpu/device.h"

#include "base/clock.h"

#include <stdio.h>

bool ane_cpu_profile_add(cpu_kernel *k, ane_error *e) {
    cpu_device *d = (cpu_device *)k->base.device;
    k->step_ms = ane_arena_array(k->plan.arena, (size_t)k->plan.n_steps + 1, sizeof *k->step_ms);
    if (!k->step_ms) return ane_fail(e, ANE_ERROR_MEMORY, k->plan.f->name, "no memory to profile the kernel");
    pthread_mutex_lock(&d->kernels_lock);
    cpu_kernel **end = &d->kernels;
    while (*end) end = &(*end)->next;
    *end = k;
    pthread_mutex_unlock(&d->kernels_lock);
    return true;
}

void ane_cpu_profile_remove(cpu_kernel *k) {
    cpu_device *d = (cpu_device *)k->base.device;
    if (!k->step_ms) return;
    pthread_mutex_lock(&d->kernels_lock);
    cpu_kernel **at = &d->kernels;
    while (*at && *at != k) at = &(*at)->next;
    if (*at) *at = k->next;
    pthread_mutex_unlock(&d->kernels_lock);
}

bool ane_cpu_run_step(const cpu_kernel *k, int32_t i, const cpu_run *r, ane_error *e) {
    const cpu_step *s = &k->plan.steps[i];
    if (!k->step_ms) return s->type->run(s->data, r, e);
    double start = ane_clock_ms();
    bool ok = s->type->run(s->data, r, e);
    k->step_ms[i] += ane_clock_ms() - start;
    return ok;
}

static ane_step_profile profile_of(const cpu_kernel *k, int index, int32_t i) {
    const cpu_step *s = &k->plan.steps[i];
    cpu_work work = s->type->work(s->data);
    if (k->runs) work.bytes -= ane_cpu_gemm_spared(s, k->bases); /* as in the last run */
    ane_step_profile p = {.kernel = k->base.n_outputs ? k->base.ports[k->base.n_inputs].name : "",
        .kind = s->type->name,
        .kernel_index = index,
        .step = i,
        .flops = work.flops,
        .bytes = work.bytes,
        .ms = k->step_ms[i],
        .runs = k->runs};
    s->type->describe(s->data, p.what, sizeof p.what);
    return p;
}

int ane_cpu_profile(ane_device *device, ane_step_profile *steps, int max) {
    cpu_device *d = (cpu_device *)device;
    int n = 0, index = 0;
    pthread_mutex_lock(&d->kernels_lock);
    for (const cpu_kernel *k = d->kernels; k; k = k->next, index++)
        for (int32_t i = 0; i < k->plan.n_steps; i++, n++)
            if (n < max) steps[n] = profile_of(k, index, i);
    pthread_mutex_unlock(&d->kernels_lock);
    return n;
}

void ane_cpu_profile_reset(ane_device *device) {
    cpu_device *d = (cpu_device *)device;
    pthread_mutex_lock(&d->kernels_lock);
    for (cpu_kernel *k = d->kernels; k; k = k->next) {
        k->runs = 0;
        for (int32_t i = 0; i < k->plan.n_steps; i++) k->step_ms[i] = 0;
    }
    pthread_mutex_unlock(&d->kernels_lock);
}
