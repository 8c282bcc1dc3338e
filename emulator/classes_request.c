/* _ANEIOSurfaceObject, _ANERequest, _ANEPerformanceStats; and evaluating a request. */
#include "emulator/classes.h"
#include "emulator/state.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- _ANEIOSurfaceObject ---- */

typedef struct wrapper {
    Class isa;
    id surface;
    uint64_t offset;
} wrapper;

static id wrapper_make(Class class, id surface, uint64_t offset) {
    if (!em_is_kind_of(surface, "IOSurface")) return nil;
    wrapper *w = (wrapper *)em_new(class);
    em_set(&w->surface, surface);
    w->offset = offset;
    return (id)w;
}

static id wrapper_with(Class class, SEL selector, id surface) {
    (void)selector;
    return wrapper_make(class, surface, 0);
}

static id wrapper_with_offset(Class class, SEL selector, id surface, id offset) {
    (void)selector;
    return wrapper_make(class, surface, em_number_value(offset));
}

static void wrapper_dealloc(wrapper *w, SEL selector) {
    (void)selector;
    em_release(w->surface);
    em_super_dealloc((id)w);
}

static id wrapper_surface(wrapper *w, SEL selector) {
    (void)selector;
    return w->surface;
}

static id wrapper_offset(wrapper *w, SEL selector) {
    (void)selector;
    return em_number((long long)w->offset);
}

id em_surface_of_wrapper(id object) {
    return ((wrapper *)object)->surface;
}

static const em_ivar wrapper_ivars[] = {
    EM_IVAR(wrapper, "_ioSurface", "^v", surface),
    EM_IVAR(wrapper, "_startOffset", "Q", offset),
    {0},
};
static const em_method wrapper_methods[] = {
    EM_CLASS_METHOD("objectWithIOSurface:", wrapper_with, "@@:^v"),
    EM_CLASS_METHOD("objectWithIOSurface:startOffset:", wrapper_with_offset, "@@:^v@"),
    EM_METHOD("dealloc", wrapper_dealloc, "v@:"),
    EM_METHOD("ioSurface", wrapper_surface, "^v@:"),
    EM_METHOD("startOffset", wrapper_offset, "@@:"),
    {0},
};

/* ---- _ANEPerformanceStats: alloc/init gives nil, as recorded; the factories give objects ---- */

typedef struct stats {
    Class isa;
    uint64_t hwExecutionTime; /* nanoseconds; modelled */
    id perfCounterData, pStatsRawData;
    uint32_t statType;
} stats;

static id stats_init(stats *s, SEL selector) {
    (void)selector;
    em_release((id)s);
    return nil;
}

static id stats_with_time(Class class, SEL selector, uint64_t nanoseconds) {
    (void)selector;
    stats *s = (stats *)em_autorelease(em_alloc_only(class));
    s->hwExecutionTime = nanoseconds;
    return (id)s;
}

static id stats_with_buffer(Class class, SEL selector, const void *buffer, unsigned size) {
    (void)selector;
    stats *s = (stats *)em_autorelease(em_alloc_only(class));
    if (buffer) em_set(&s->perfCounterData, em_data(buffer, size));
    return (id)s;
}

static id stats_reconstructed(Class class, SEL selector, id counters, uint64_t nanoseconds, id raw) {
    (void)selector;
    stats *s = (stats *)em_autorelease(em_alloc_only(class));
    em_set(&s->perfCounterData, counters);
    em_set(&s->pStatsRawData, raw);
    s->hwExecutionTime = nanoseconds;
    return (id)s;
}

static uint32_t stats_driver_mask(Class class, SEL selector, uint32_t mask) {
    (void)class, (void)selector;
    return mask;
}

static void stats_dealloc(stats *s, SEL selector) {
    (void)selector;
    em_release(s->perfCounterData);
    em_release(s->pStatsRawData);
    em_super_dealloc((id)s);
}

static uint64_t stats_time(stats *s, SEL selector) {
    (void)selector;
    return s->hwExecutionTime;
}

static void stats_set_time(stats *s, SEL selector, uint64_t nanoseconds) {
    (void)selector;
    s->hwExecutionTime = nanoseconds;
}

static id stats_counters(stats *s, SEL selector) {
    (void)selector;
    return s->perfCounterData;
}

static id stats_raw(stats *s, SEL selector) {
    (void)selector;
    return s->pStatsRawData;
}

/* Recorded by name (m5result.md): no counter was ever seen, so there is nothing to name or to emit. */
static id stats_no_counters(stats *s, SEL selector) {
    (void)s, (void)selector;
    return nil;
}

static id stats_no_name(stats *s, SEL selector, int counter) {
    (void)s, (void)selector, (void)counter;
    return nil;
}

static void stats_emit_nothing(stats *s, SEL selector, id model) {
    (void)s, (void)selector, (void)model;
}

static uint32_t stats_type(stats *s, SEL selector) {
    (void)selector;
    return s->statType;
}

void em_stats_report(id object, uint64_t nanoseconds) {
    if (em_quirk_value(EM_QUIRK_HARDWARE_TIME) == EM_REFUSED) return;
    if (em_is_kind_of(object, "_ANEPerformanceStats")) ((stats *)object)->hwExecutionTime = nanoseconds;
    unsigned long n = em_is_kind_of(object, "NSArray") ? em_count(object) : 0;
    for (unsigned long i = 0; i < n; i++)
        if (em_is_kind_of(em_at(object, i), "_ANEPerformanceStats"))
            ((stats *)em_at(object, i))->hwExecutionTime = nanoseconds;
}

static const em_ivar stats_ivars[] = {
    EM_IVAR(stats, "_hwExecutionTime", "Q", hwExecutionTime),
    EM_IVAR(stats, "_perfCounterData", "@", perfCounterData),
    EM_IVAR(stats, "_pStatsRawData", "@", pStatsRawData),
    EM_IVAR(stats, "_statType", "I", statType),
    {0},
};
static const em_method stats_methods[] = {
    EM_CLASS_METHOD("statsWithHardwareExecutionNS:", stats_with_time, "@@:Q"),
    EM_CLASS_METHOD("statsWithRequestPerformanceBuffer:statsBufferSize:", stats_with_buffer, "@@:^vI"),
    EM_CLASS_METHOD(
        "statsWithReconstructed:hardwareExecutionNS:aneStatsRawData:", stats_reconstructed, "@@:@Q@"),
    EM_CLASS_METHOD("driverMaskForANEFMask:", stats_driver_mask, "I@:I"),
    EM_METHOD("init", stats_init, "@@:"),
    EM_METHOD("dealloc", stats_dealloc, "v@:"),
    EM_METHOD("hwExecutionTime", stats_time, "Q@:"),
    EM_METHOD("setHwExecutionTime:", stats_set_time, "v@:Q"),
    EM_METHOD("perfCounterData", stats_counters, "@@:"),
    EM_METHOD("pStatsRawData", stats_raw, "@@:"),
    EM_METHOD("performanceCounters", stats_no_counters, "@@:"),
    EM_METHOD("stringForPerfCounter:", stats_no_name, "@@:i"),
    EM_METHOD("emitPerfcounterSignpostsWithModelStringID:", stats_emit_nothing, "v@:@"),
    EM_METHOD("statType", stats_type, "I@:"),
    {0},
};

/* ---- _ANERequest ---- */

typedef struct request {
    Class isa;
    id inputs, inputIndices, outputs, outputIndices, weightsBuffer, perfStats, procedureIndex, sharedEvents,
        transactionHandle, completionHandler;
} request;

static bool surfaces_are_right(id surfaces, id indices) {
    if (!em_is_kind_of(surfaces, "NSArray") || !em_is_kind_of(indices, "NSArray") ||
        em_count(surfaces) != em_count(indices))
        return false;
    for (unsigned long i = 0; i < em_count(surfaces); i++)
        if (!em_is_kind_of(em_at(surfaces, i), "_ANEIOSurfaceObject") ||
            !em_is_kind_of(em_at(indices, i), "NSNumber"))
            return false;
    return true;
}

static id request_make(Class class, id inputs, id input_indices, id outputs, id output_indices, id weights,
    id perf, id procedure, id events, id transaction) {
    if (em_state_enter(EM_STAGE_REQUEST, NULL) != EM_FAULT_NONE) return nil;
    if (!surfaces_are_right(inputs, input_indices) || !surfaces_are_right(outputs, output_indices))
        return nil;
    request *r = (request *)em_new(class);
    em_set(&r->inputs, inputs);
    em_set(&r->inputIndices, input_indices);
    em_set(&r->outputs, outputs);
    em_set(&r->outputIndices, output_indices);
    em_set(&r->weightsBuffer, weights);
    em_set(&r->perfStats, perf);
    em_set(&r->procedureIndex, procedure);
    em_set(&r->sharedEvents, events);
    em_set(&r->transactionHandle, transaction);
    return (id)r;
}

static id request_with_all(Class class, SEL selector, id inputs, id input_indices, id outputs,
    id output_indices, id weights, id perf, id procedure, id events, id transaction) {
    (void)selector;
    return request_make(
        class, inputs, input_indices, outputs, output_indices, weights, perf, procedure, events, transaction);
}

static id request_with_stats(Class class, SEL selector, id inputs, id input_indices, id outputs,
    id output_indices, id weights, id perf, id procedure) {
    (void)selector;
    return request_make(
        class, inputs, input_indices, outputs, output_indices, weights, perf, procedure, nil, nil);
}

static id request_with_weights(Class class, SEL selector, id inputs, id input_indices, id outputs,
    id output_indices, id weights, id procedure) {
    (void)selector;
    return request_make(
        class, inputs, input_indices, outputs, output_indices, weights, nil, procedure, nil, nil);
}

static id request_with_procedure(
    Class class, SEL selector, id inputs, id input_indices, id outputs, id output_indices, id procedure) {
    (void)selector;
    return request_make(class, inputs, input_indices, outputs, output_indices, nil, nil, procedure, nil, nil);
}

static void request_dealloc(request *r, SEL selector) {
    (void)selector;
    id *owned[] = {&r->inputs, &r->inputIndices, &r->outputs, &r->outputIndices, &r->weightsBuffer,
        &r->perfStats, &r->procedureIndex, &r->sharedEvents, &r->transactionHandle, &r->completionHandler};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) em_set(owned[i], nil);
    em_super_dealloc((id)r);
}

#define GETTER(name, field)                                                                                  \
    static id name(request *r, SEL selector) {                                                               \
        (void)selector;                                                                                      \
        return r->field;                                                                                     \
    }
GETTER(request_inputs, inputs)
GETTER(request_input_indices, inputIndices)
GETTER(request_outputs, outputs)
GETTER(request_output_indices, outputIndices)
GETTER(request_weights, weightsBuffer)
GETTER(request_perf_stats, perfStats)
GETTER(request_procedure, procedureIndex)
GETTER(request_transaction, transactionHandle)
#undef GETTER

static void request_set_perf_stats(request *r, SEL selector, id perf) {
    (void)selector;
    em_set(&r->perfStats, perf);
}

static BOOL request_validate(request *r, SEL selector) {
    (void)selector;
    return surfaces_are_right(r->inputs, r->inputIndices) && surfaces_are_right(r->outputs, r->outputIndices);
}

static const em_ivar request_ivars[] = {
    EM_IVAR(request, "_inputArray", "@", inputs),
    EM_IVAR(request, "_inputIndexArray", "@", inputIndices),
    EM_IVAR(request, "_outputArray", "@", outputs),
    EM_IVAR(request, "_outputIndexArray", "@", outputIndices),
    EM_IVAR(request, "_weightsBuffer", "@", weightsBuffer),
    EM_IVAR(request, "_perfStats", "@", perfStats),
    EM_IVAR(request, "_procedureIndex", "@", procedureIndex),
    EM_IVAR(request, "_sharedEvents", "@", sharedEvents),
    EM_IVAR(request, "_transactionHandle", "@", transactionHandle),
    EM_IVAR(request, "_completionHandler", "@", completionHandler),
    {0},
};
static const em_method request_methods[] = {
    EM_CLASS_METHOD("requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:"
                    "procedureIndex:sharedEvents:"
                    "transactionHandle:",
        request_with_all, "@@:@@@@@@@@@"),
    EM_CLASS_METHOD(
        "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:procedureIndex:",
        request_with_stats, "@@:@@@@@@@"),
    EM_CLASS_METHOD("requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:procedureIndex:",
        request_with_weights, "@@:@@@@@@"),
    EM_CLASS_METHOD("requestWithInputs:inputIndices:outputs:outputIndices:procedureIndex:",
        request_with_procedure, "@@:@@@@@"),
    EM_METHOD("dealloc", request_dealloc, "v@:"),
    EM_METHOD("inputArray", request_inputs, "@@:"),
    EM_METHOD("inputIndexArray", request_input_indices, "@@:"),
    EM_METHOD("outputArray", request_outputs, "@@:"),
    EM_METHOD("outputIndexArray", request_output_indices, "@@:"),
    EM_METHOD("weightsBuffer", request_weights, "@@:"),
    EM_METHOD("perfStats", request_perf_stats, "@@:"),
    EM_METHOD("setPerfStats:", request_set_perf_stats, "v@:@"),
    EM_METHOD("procedureIndex", request_procedure, "@@:"),
    EM_METHOD("transactionHandle", request_transaction, "@@:"),
    EM_METHOD("validate", request_validate, "C@:"),
    {0},
};

/* ---- evaluating ---- */

void em_inference_error(id *error, int status, const char *detail) {
    char text[1400];
    snprintf(text, sizeof text,
        "ANEProgramProcessRequestDirect() Failed with status=0x%x : statusType=0x9: Program Inference "
        "error%s%s%s",
        (unsigned)status, detail[0] ? " (" : "", detail, detail[0] ? ")" : "");
    em_error(error, EM_DOMAIN, EM_CODE_INFERENCE, text);
}

/* Surfaces of a request in the order of the program's ports; 0, or the status that says why not. */
static int gather(id surfaces, id indices, int n, em_memory *memory) {
    if (em_count(surfaces) != (unsigned long)n) return EM_STATUS_INFERENCE;
    for (int i = 0; i < n; i++) memory[i] = (em_memory){0};
    for (int i = 0; i < n; i++) {
        unsigned long long index = em_number_value(em_at(indices, (unsigned long)i));
        if (index >= (unsigned long long)n || memory[index].base) return EM_STATUS_INDEX;
        if (!em_surface_memory(em_at(surfaces, (unsigned long)i), &memory[index])) return EM_STATUS_INFERENCE;
    }
    return 0;
}

static void wait_seconds(double seconds) {
    struct timespec rest = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
    while (nanosleep(&rest, &rest) != 0) {
    }
}

static void count_evaluation(anemone_emulator_counts *counts, const void *context) {
    const em_cost *cost = context;
    counts->evaluations++;
    counts->surface_bytes += (int64_t)cost->surface_bytes;
    counts->modelled_device_ms += em_model_ms(&em_state_settings()->chip->rates, cost);
}

static em_result result_of(em_fault_kind fault) {
    return fault == EM_FAULT_EVAL_STALE  ? EM_STALE
           : fault == EM_FAULT_EVAL_ZERO ? EM_ZERO
           : fault == EM_FAULT_EVAL_NAN  ? EM_NAN
                                         : EM_COMPUTED;
}

static BOOL evaluate_on(em_program *p, const request *r, em_memory *memory, em_fault_kind fault, id *error) {
    em_memory *inputs = memory, *outputs = memory + p->n_inputs;
    ane_error e = {0};
    int status = gather(r->inputs, r->inputIndices, p->n_inputs, inputs);
    if (!status) status = gather(r->outputs, r->outputIndices, p->n_outputs, outputs);
    if (!status && r->procedureIndex && em_number_value(r->procedureIndex) > 15) status = EM_STATUS_INDEX;
    if (!status && em_state_poisoned()) status = EM_STATUS_INFERENCE;
    if (status) {
        em_inference_error(error, status,
            em_state_poisoned() ? "a program with tile has poisoned the process" : "surfaces or indices");
        return NO;
    }
    if (!em_program_fits(p, inputs, outputs, &e) ||
        !em_program_run(p, inputs, outputs, result_of(fault), &e)) {
        char detail[sizeof e.where + sizeof e.message + 2];
        snprintf(detail, sizeof detail, "%s: %s", e.where, e.message);
        em_inference_error(error, EM_STATUS_INFERENCE, detail);
        return NO;
    }
    if (p->tiles && em_quirk_value(EM_QUIRK_TILE) == 0) em_state_poison();
    em_state_count(count_evaluation, &p->cost);
    double ns = em_model_ms(&em_state_settings()->chip->rates, &p->cost) * 1e6;
    em_stats_report(r->perfStats, fault == EM_FAULT_EVAL_FAST ? 1 : (uint64_t)ns);
    return YES;
}

BOOL em_evaluate(id model, id object, id *error) {
    double seconds = 0;
    em_fault_kind fault = em_state_enter(EM_STAGE_EVAL, &seconds);
    if (fault == EM_FAULT_EVAL_HANG) wait_seconds(seconds);
    em_model *m = em_model_of(model);
    em_program *p = m ? em_model_program(m) : NULL;
    if (fault == EM_FAULT_EVAL || !p || !em_is_kind_of(object, "_ANERequest")) {
        em_inference_error(error, EM_STATUS_INFERENCE,
            fault == EM_FAULT_EVAL ? ""
            : p                    ? "the request is nil"
                                   : "the model is not loaded");
        em_program_release(p);
        return NO;
    }
    em_memory *memory = calloc((size_t)(p->n_inputs + p->n_outputs) + 1, sizeof *memory);
    BOOL ok = memory && evaluate_on(p, (request *)object, memory, fault, error);
    free(memory);
    em_program_release(p);
    return ok;
}

const em_class_info em_request_classes[] = {
    {"_ANEIOSurfaceObject", wrapper_ivars, wrapper_methods},
    {"_ANEPerformanceStats", stats_ivars, stats_methods},
    {"_ANERequest", request_ivars, request_methods},
    {0},
};
