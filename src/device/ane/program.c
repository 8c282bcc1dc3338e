/* program.c - see program.h. The order of calls is that of everybody who got this far:
 *
 *     descriptor -> model -> identifier -> files on disk -> compile -> load -> (request -> evaluate)* -> unload */
#include "device/ane/program.h"

#include "device/ane/folder.h"
#include "device/ane/foundation.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QOS_DEFAULT = 21, RETRY_PAUSE_MS = 100 };

struct ane_program {
    ane_budget *budget;
    ane_program *next;
    objc_id model;
    char *folder;
    bool loaded;
    int users; /* evaluations going on: it must stay */
    int64_t last_use;
};

bool ane_budget_init(ane_budget *b, const ane_framework *fw, ane_error *e) {
    *b = (ane_budget){.fw = fw};
    return pthread_mutex_init(&b->lock, NULL) == 0 ||
           ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for a lock");
}

void ane_budget_destroy(ane_budget *b) {
    pthread_mutex_destroy(&b->lock);
}

/* The emulator's troubles do not pass with time. */
static void pause_ms(const ane_budget *b, long ms) {
    if (b->fw->emulated) return;
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* ---- descriptor and model ------------------------------------------------------------------------------------ */

/* {path: {"offset": 0, "data": bytes}}; empty, never nil, without files: nil crashes. */
static objc_id weights_of(const ane_framework *fw, int n, const ane_weight_file *files, ane_error *e) {
    objc_id *keys = calloc(2 * (size_t)n + 1, sizeof *keys);
    if (!keys) {
        ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for a dictionary");
        return NULL;
    }
    objc_id *values = keys + n;
    const objc_id names[2] = {ane_ns_string(fw, "offset", e), ane_ns_string(fw, "data", e)};
    for (int i = 0; i < n; i++) {
        const objc_id entry[2] = {ane_ns_number(fw, 0, e), ane_ns_data(fw, files[i].data, files[i].size, e)};
        keys[i] = ane_ns_string(fw, files[i].path, e);
        values[i] = ane_ns_dictionary(fw, names, entry, 2, e);
    }
    objc_id weights = ane_ns_dictionary(fw, keys, values, (unsigned long)n, e);
    free(keys);
    return weights;
}

static objc_id descriptor_of(const ane_framework *fw, const char *text, objc_id weights, ane_error *e) {
    ane_message m;
    objc_id data = ane_ns_data(fw, text, strlen(text), e);
    objc_id class = ane_class(fw, "_ANEInMemoryModelDescriptor", e);
    if (!weights || !data || !ane_message_find(fw, class, "modelWithMILText:weights:optionsPlist:", &m, e))
        return NULL;
    objc_id descriptor =
        ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id, objc_id, objc_id), data, weights, NULL);
    if (!descriptor) {
        ane_fail(e, ANE_ERROR_DEVICE, "descriptor", "the framework made no descriptor of the program");
        ane_hint(e, "Run `anemone doctor`.");
    }
    return descriptor;
}

static objc_id model_of(const ane_framework *fw, objc_id descriptor, ane_error *e) {
    ane_message m;
    objc_id class = ane_class(fw, "_ANEInMemoryModel", e);
    if (!descriptor || !ane_message_find(fw, class, "inMemoryModelWithDescriptor:", &m, e)) return NULL;
    objc_id model = ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id), descriptor);
    if (!model) ane_fail(e, ANE_ERROR_DEVICE, "model", "the framework made no model of a descriptor");
    return model;
}

static bool write_weights(const ane_program *p, int n, const ane_weight_file *files, ane_error *e) {
    static const char prefix[] = "@model_path/";
    for (int i = 0; i < n; i++)
        if (!ane_folder_write(p->folder, files[i].path + sizeof prefix - 1, files[i].data, files[i].size, e))
            return false;
    return true;
}

/* The compiler reads files, though it was given the same bytes. */
static bool write_files(
    const ane_program *p, const char *text, int n, const ane_weight_file *files, ane_error *e) {
    return ane_folder_make(p->folder, e) && ane_folder_write(p->folder, "model.mil", text, strlen(text), e) &&
           write_weights(p, n, files, e);
}

/* ---- compile, load, unload ----------------------------------------------------------------------------------- */

/* compileWithQoS:options:error: and loadWithQoS:options:error: */
static bool order(ane_program *p, const char *selector, const char *stage, ane_error *e) {
    const ane_framework *fw = p->budget->fw;
    ane_message m;
    objc_id error = NULL, options = ane_ns_dictionary(fw, NULL, NULL, 0, e);
    if (!options || !ane_message_find(fw, p->model, selector, &m, e)) return false;
    objc_bool ok = ANE_SEND(
        m, objc_bool, (objc_id, objc_selector, unsigned, objc_id, objc_id *), QOS_DEFAULT, options, &error);
    return ok || ane_ns_report(fw, stage, error, e);
}

static void unload(ane_program *p) {
    ane_message m;
    objc_id error = NULL;
    if (p->loaded && ane_message_find(p->budget->fw, p->model, "unloadWithQoS:error:", &m, NULL))
        (void)ANE_SEND(m, objc_bool, (objc_id, objc_selector, unsigned, objc_id *), QOS_DEFAULT, &error);
    p->loaded = false;
}

/* A program that is refused will be refused again; everything else may have been a passing trouble. */
static bool compile(ane_program *p, ane_error *e) {
    ane_error first = {0};
    if (order(p, "compileWithQoS:options:error:", "compile", &first)) return true;
    if (!strstr(first.message, "InvalidMILProgram")) {
        pthread_mutex_lock(&p->budget->lock);
        p->budget->retries++;
        pthread_mutex_unlock(&p->budget->lock);
        pause_ms(p->budget, RETRY_PAUSE_MS);
        ane_error second = {0};
        if (order(p, "compileWithQoS:options:error:", "compile", &second)) return true;
    }
    ane_fail(e, first.code, first.where, "%s", first.message);
    return ane_hint(e, "%s", first.hint);
}

/* Unload the program that rested longest; false when all are at work. */
static bool evict(ane_budget *b, const ane_program *but) {
    ane_program *oldest = NULL;
    for (ane_program *p = b->programs; p; p = p->next)
        if (p != but && p->loaded && p->users == 0 && (!oldest || p->last_use < oldest->last_use)) oldest = p;
    if (!oldest) return false;
    unload(oldest);
    b->evictions++;
    return true;
}

/* Under the budget's lock. Room is made by evicting; without anything to evict, a pause may free a slot. */
static bool load(ane_program *p, ane_error *e) {
    ane_budget *b = p->budget;
    ane_error first = {0};
    if (p->loaded) return true;
    p->loaded = order(p, "loadWithQoS:options:error:", "load", &first);
    if (!p->loaded) {
        b->retries++;
        if (!evict(b, p)) pause_ms(b, RETRY_PAUSE_MS);
        ane_error second = {0};
        p->loaded = order(p, "loadWithQoS:options:error:", "load", &second);
    }
    b->loads += p->loaded;
    if (p->loaded) return true;
    ane_fail(e, first.code, first.where, "%s", first.message);
    return ane_hint(e, "%s", first.hint);
}

/* ---- making and freeing -------------------------------------------------------------------------------------- */

static bool build(ane_program *p, const char *text, int n, const ane_weight_file *files, ane_error *e) {
    /* One setup made no descriptor without weights (imperatormk): a file that the text does not name changes nothing. */
    static const ane_weight_file unused = {"@model_path/weights/unused.bin", "", 1};
    const ane_framework *fw = p->budget->fw;
    ane_error none = {0};
    objc_id descriptor = descriptor_of(fw, text, weights_of(fw, n, files, e), n ? e : &none);
    if (!descriptor && n == 0) {
        files = &unused;
        n = 1;
        descriptor = descriptor_of(fw, text, weights_of(fw, n, files, e), e);
    }
    p->model = ane_retain(fw, model_of(fw, descriptor, e));
    if (!p->model) return false;
    const char *hex = ane_ns_text(fw, ane_send(fw, p->model, "hexStringIdentifier", e));
    if (!*hex || strchr(hex, '/'))
        return ane_fail(
            e, ANE_ERROR_DEVICE, "model", "the model's identifier \"%s\" cannot be a folder's name", hex);
    p->folder = ane_folder_path(fw, hex, e);
    if (!p->folder || !write_files(p, text, n, files, e) || !compile(p, e)) return false;
    ane_budget *b = p->budget;
    pthread_mutex_lock(&b->lock);
    b->compiles++;
    p->last_use = ++b->clock;
    bool ok = load(p, e);
    p->next = b->programs;
    b->programs = p;
    pthread_mutex_unlock(&b->lock);
    return ok;
}

/* The limit is told by nothing but the same error that a bad program gets (ane-spec 1.8): so a program that is known to
 * be good is tried. */
static bool is_exhausted(ane_budget *b, const ane_error *why) {
    bool compiler = strcmp(why->where, "compile") == 0 || strcmp(why->where, "load") == 0;
    if (!compiler || strstr(why->message, "InvalidMILProgram") || !b->works ||
        atomic_exchange(&b->asking, true))
        return false;
    bool works = b->works(b->works_context);
    atomic_store(&b->asking, false);
    return !works;
}

static void tell_why(ane_budget *b, const ane_error *why, ane_error *e) {
    if (!is_exhausted(b, why)) {
        if (e && e->code == ANE_OK) *e = *why;
        return;
    }
    ane_fail(e, ANE_ERROR_EXHAUSTED, why->where,
        "after %lld programs this process can compile and load no more: %s", (long long)b->compiles,
        why->message);
    ane_hint(
        e, "A new process can: `anemone train` goes on in one by itself; weights=packed needs few programs.");
}

ane_program *ane_program_new(
    ane_budget *b, const char *text, int n_files, const ane_weight_file *files, ane_error *e) {
    ane_program *p = calloc(1, sizeof *p);
    if (!p) {
        ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for a program");
        return NULL;
    }
    p->budget = b;
    void *pool = ane_pool_push(b->fw);
    ane_error why = {0};
    bool ok = build(p, text, n_files, files, &why);
    ane_pool_pop(b->fw, pool);
    if (ok) return p;
    ane_program_free(p);
    tell_why(b, &why, e);
    return NULL;
}

void ane_program_free(ane_program *p) {
    if (!p) return;
    ane_budget *b = p->budget;
    void *pool = ane_pool_push(b->fw);
    pthread_mutex_lock(&b->lock);
    for (ane_program **at = &b->programs; *at; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    unload(p);
    pthread_mutex_unlock(&b->lock);
    ane_release(b->fw, p->model);
    ane_pool_pop(b->fw, pool);
    ane_folder_remove(p->folder);
    free(p->folder);
    free(p);
}

objc_id ane_program_model(const ane_program *p) {
    return p->model;
}

bool ane_program_reload(ane_program *p, int n_files, const ane_weight_file *files, ane_error *e) {
    ane_budget *b = p->budget;
    void *pool = ane_pool_push(b->fw);
    pthread_mutex_lock(&b->lock);
    unload(p);
    bool ok = write_weights(p, n_files, files, e) && load(p, e);
    pthread_mutex_unlock(&b->lock);
    ane_pool_pop(b->fw, pool);
    return ok;
}

/* ---- evaluating ---------------------------------------------------------------------------------------------- */

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
    const ane_framework *fw = p->budget->fw;
    ane_message m;
    objc_id error = NULL, options = ane_ns_dictionary(fw, NULL, NULL, 0, e);
    if (!options || !ane_message_find(fw, p->model, "evaluateWithQoS:options:request:error:", &m, e))
        return false;
    objc_bool ok = ANE_SEND(m, objc_bool, (objc_id, objc_selector, unsigned, objc_id, objc_id, objc_id *),
        QOS_DEFAULT, options, request, &error);
    return ok || ane_ns_report(fw, "evaluate", error, e);
}

/* Loaded, and not to be evicted until `leave`. */
static bool enter(ane_program *p, ane_error *e) {
    ane_budget *b = p->budget;
    pthread_mutex_lock(&b->lock);
    p->last_use = ++b->clock;
    bool ok = load(p, e);
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
        ok = request && evaluate(p, request, e);
        *device_ms = ok ? time_of(fw, stats) : -1;
        leave(p);
    }
    ane_pool_pop(fw, pool);
    return ok;
}
