/* program_run.c - evaluating a program on surfaces. */
#include "base/clock.h"
#include "device/ane/foundation.h"
#include "device/ane/program_impl.h"

#include <stdlib.h>

static objc_id surfaces_of(
    const ane_framework *fw, int n, ane_surface *const *surfaces, objc_id *indices, ane_error *e) {
    objc_id *objects = calloc(2 * (size_t)n + 1, sizeof *objects);
    if (!objects) {
        ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for a request");
        return NULL;
    }
    objc_id *numbers = objects + n;
    for (int i = 0; i < n; i++) {
        objects[i] = surfaces[i]->object;
        numbers[i] = ane_ns_number(fw, (uint64_t)i, e);
    }
    objc_id array = ane_ns_array(fw, objects, (unsigned long)n, e);
    *indices = ane_ns_array(fw, numbers, (unsigned long)n, e);
    free(objects);
    return *indices ? array : NULL;
}

/* Where the time on the device is written: nil where that is not known to work. */
static objc_id stats_of(const ane_framework *fw) {
    ane_message m;
    objc_id class = fw->emulated ? fw->get_class("_ANEPerformanceStats") : NULL;
    if (!class || !ane_message_find(fw, class, "statsWithHardwareExecutionNS:", &m, NULL)) return NULL;
    return ANE_SEND(m, objc_id, (objc_id, objc_selector, uint64_t), 0);
}

static double time_of(const ane_framework *fw, objc_id stats) {
    ane_message m;
    if (!stats || !ane_message_find(fw, stats, "hwExecutionTime", &m, NULL)) return -1;
    uint64_t ns = ((uint64_t(*)(objc_id, objc_selector))m.function)(m.receiver, m.selector);
    return ns > 0 ? (double)ns * 1e-6 : -1;
}

static objc_id request_of(const ane_framework *fw, int n_inputs, ane_surface *const *inputs, int n_outputs,
    ane_surface *const *outputs, objc_id stats, ane_error *e) {
    ane_message m;
    objc_id in_indices = NULL, out_indices = NULL;
    objc_id in = surfaces_of(fw, n_inputs, inputs, &in_indices, e);
    objc_id out = in ? surfaces_of(fw, n_outputs, outputs, &out_indices, e) : NULL;
    objc_id all = stats ? ane_ns_array(fw, &stats, 1, e) : NULL, procedure = ane_ns_number(fw, 0, e);
    static const char selector[] =
        "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:procedureIndex:";
    if (!out || !procedure || !ane_message_find(fw, ane_class(fw, "_ANERequest", e), selector, &m, e))
        return NULL;
    objc_id request = ANE_SEND(m, objc_id,
        (objc_id, objc_selector, objc_id, objc_id, objc_id, objc_id, objc_id, objc_id, objc_id), in,
        in_indices, out, out_indices, NULL, all, procedure);
    if (!request)
        ane_fail(e, ANE_ERROR_DEVICE, "request", "the framework made no request of %d and %d surfaces",
            n_inputs, n_outputs);
    return request;
}

static bool evaluate(ane_program *p, objc_id request, ane_error *e) {
    ane_budget *b = p->budget;
    const ane_model_call call = {
        "evaluate", "evaluateWithQoS:options:request:error:", request, b->evaluate_seconds};
    return ane_model_call_make(&b->timed, b->fw, p->model, &call, &p->hung, e);
}

/* Evaluations that fail unseen look like infinite speed (ane-spec 5.4): nothing is as fast as twice the chip's rate. */
enum { MARGIN = 2 };

static bool is_possible(const ane_program *p, double ms, ane_error *e) {
    double fastest = p->budget->peak_gflops * MARGIN;
    if (fastest <= 0 || p->flops <= 0 || ms < 0 || p->flops <= fastest * ms * 1e6) return true;
    ane_fail(e, ANE_ERROR_DEVICE, "evaluate",
        "%.4g GFLOP in %.4g ms would be %.4g TFLOPS, but this chip has at most %.4g: the evaluation cannot "
        "have "
        "computed what was asked",
        p->flops * 1e-9, ms, p->flops / ms * 1e-9, p->budget->peak_gflops * 1e-3);
    return ane_hint(e, "Its results were not used. Run `anemone doctor`; if it passes, start again.");
}

/* Loaded, and not to be evicted until `leave`. */
static bool enter(ane_program *p, ane_error *e) {
    ane_budget *b = p->budget;
    pthread_mutex_lock(&b->lock);
    p->last_use = ++b->clock;
    bool ok = ane_program_load(p, e);
    p->users += ok;
    pthread_mutex_unlock(&b->lock);
    return ok;
}

static void leave(ane_program *p) {
    pthread_mutex_lock(&p->budget->lock);
    p->users--;
    pthread_mutex_unlock(&p->budget->lock);
}

bool ane_program_run(ane_program *p, int n_inputs, ane_surface *const *inputs, int n_outputs,
    ane_surface *const *outputs, double *device_ms, ane_error *e) {
    const ane_framework *fw = p->budget->fw;
    void *pool = ane_pool_push(fw);
    bool ok = enter(p, e);
    if (ok) {
        objc_id stats = stats_of(fw),
                request = request_of(fw, n_inputs, inputs, n_outputs, outputs, stats, e);
        double start = ane_clock_ms();
        ok = request && evaluate(p, request, e);
        double wall = ane_clock_ms() - start;
        *device_ms = ok ? time_of(fw, stats) : -1;
        ok = ok && is_possible(p, *device_ms >= 0 ? *device_ms : wall, e);
        leave(p);
    }
    ane_pool_pop(fw, pool);
    return ok;
}
