/* _ANEModel, which holds the loaded program of either kind of model, and _ANEProgramForEvaluation. */
#include "emulator/classes.h"
#include "emulator/state.h"

#include <stdatomic.h>

/* Guards every model's `program`. */
static pthread_mutex_t programs_lock = PTHREAD_MUTEX_INITIALIZER;

em_model *em_model_new(const char *folder, id key) {
    em_model *m = (em_model *)em_new(em_class("_ANEModel"));
    em_set(&m->url, em_url(folder));
    em_set(&m->key, key);
    m->state = EM_STATE_NEW;
    m->queue_depth = 127;
    return m;
}

void em_model_set_program(em_model *m, em_program *program) {
    static atomic_ullong handles;
    pthread_mutex_lock(&programs_lock);
    em_program *old = m->program;
    m->program = program;
    pthread_mutex_unlock(&programs_lock);
    if (old) em_state_load_end();
    em_program_release(old);
    em_set(&m->program_object, nil);
    em_set(&m->attributes, program ? em_attributes(program) : nil);
    m->handle = program ? 0x1000 + atomic_fetch_add(&handles, 1) : 0;
    m->state = program ? EM_STATE_LOADED : EM_STATE_UNLOADED;
}

em_program *em_model_program(em_model *m) {
    pthread_mutex_lock(&programs_lock);
    em_program *program = em_program_retain(m->program);
    pthread_mutex_unlock(&programs_lock);
    return program;
}

static id model_at(Class class, SEL selector, id url, id key) {
    (void)selector;
    if (!em_is_kind_of(url, "NSURL") || !key) return nil;
    em_model *m = (em_model *)em_new(class);
    em_set(&m->url, url);
    em_set(&m->key, key);
    m->state = EM_STATE_NEW;
    m->queue_depth = 127;
    return (id)m;
}

static void model_dealloc(em_model *m, SEL selector) {
    (void)selector;
    if (m->program) em_state_load_end();
    em_program_release(m->program);
    id *owned[] = {&m->url, &m->key, &m->attributes, &m->program_object, &m->uuid};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) em_set(owned[i], nil);
    em_super_dealloc((id)m);
}

/* 0, 1, ... n - 1: what indices mean is said by the attributes. */
static id symbol_indices(em_model *m, bool inputs) {
    em_program *p = em_model_program(m);
    if (!p) return em_array(0, NULL);
    id description = em_get(em_attributes(p), "ANEFModelDescription");
    id procedures = description ? em_get(description, "ANEFModelProcedures") : nil;
    id list = em_count(procedures)
                  ? em_get(em_at(procedures, 0), inputs ? "InputSymbolIndexArray" : "OutputSymbolIndexArray")
                  : nil;
    em_program_release(p);
    return list ? list : em_array(0, NULL);
}

static id model_inputs(em_model *m, SEL selector, unsigned procedure) {
    (void)selector, (void)procedure;
    return symbol_indices(m, true);
}

static id model_outputs(em_model *m, SEL selector, unsigned procedure) {
    (void)selector, (void)procedure;
    return symbol_indices(m, false);
}

static id model_uuid(em_model *m, SEL selector) {
    (void)selector;
    if (!m->uuid) em_set(&m->uuid, em_uuid());
    return m->uuid;
}

#define GETTER(type, name, field)                                                                            \
    static type name(em_model *m, SEL selector) {                                                            \
        (void)selector;                                                                                      \
        return m->field;                                                                                     \
    }
GETTER(id, model_url, url)
GETTER(id, model_key, key)
GETTER(id, model_attributes, attributes)
GETTER(uint64_t, model_state, state)
GETTER(uint64_t, model_handle, handle)
GETTER(uint32_t, model_perf_mask, perf_mask)
GETTER(char, model_queue_depth, queue_depth)
#undef GETTER

static void model_set_perf_mask(em_model *m, SEL selector, uint32_t mask) {
    (void)selector;
    m->perf_mask = mask;
}

static id model_program(em_model *m, SEL selector) {
    (void)selector;
    return em_program_object(m);
}

static const em_ivar model_ivars[] = {
    EM_IVAR(em_model, "_modelURL", "@", url),
    EM_IVAR(em_model, "_key", "@", key),
    EM_IVAR(em_model, "_modelAttributes", "@", attributes),
    EM_IVAR(em_model, "_program", "@", program_object),
    EM_IVAR(em_model, "_uuid", "@", uuid),
    EM_IVAR(em_model, "_programHandle", "Q", handle),
    EM_IVAR(em_model, "_state", "Q", state),
    EM_IVAR(em_model, "_perfStatsMask", "I", perf_mask),
    EM_IVAR(em_model, "_queueDepth", "c", queue_depth),
    EM_IVAR(em_model, "_emulated", "^v", program),
    {0},
};
static const em_method model_methods[] = {
    EM_CLASS_METHOD("modelAtURL:key:", model_at, "@@:@@"),
    EM_METHOD("dealloc", model_dealloc, "v@:"),
    EM_METHOD("modelURL", model_url, "@@:"),
    EM_METHOD("key", model_key, "@@:"),
    EM_METHOD("getUUID", model_uuid, "@@:"),
    EM_METHOD("modelAttributes", model_attributes, "@@:"),
    EM_METHOD("state", model_state, "Q@:"),
    EM_METHOD("programHandle", model_handle, "Q@:"),
    EM_METHOD("perfStatsMask", model_perf_mask, "I@:"),
    EM_METHOD("setPerfStatsMask:", model_set_perf_mask, "v@:I"),
    EM_METHOD("queueDepth", model_queue_depth, "c@:"),
    EM_METHOD("program", model_program, "@@:"),
    EM_METHOD("inputSymbolIndicesForProcedureIndex:", model_inputs, "@@:I"),
    EM_METHOD("outputSymbolIndicesForProcedureIndex:", model_outputs, "@@:I"),
    {0},
};

/* ---- _ANEProgramForEvaluation ---- */

typedef struct evaluation {
    Class isa;
    uint64_t handle, intermediate;
    char queue_depth;
} evaluation;

id em_program_object(em_model *m) {
    if (m->program_object || !m->handle) return m->program_object;
    evaluation *p = (evaluation *)em_new(em_class("_ANEProgramForEvaluation"));
    p->handle = m->handle;
    p->queue_depth = m->queue_depth;
    em_set(&m->program_object, (id)p);
    return (id)p;
}

static BOOL evaluation_process(evaluation *p, SEL selector, id request, id model, unsigned qos, int queue,
    id name, id options, BOOL *value, id *error) {
    (void)p, (void)selector, (void)qos, (void)queue, (void)name, (void)options;
    BOOL ok = em_evaluate(model, request, error);
    if (value) *value = ok;
    return ok;
}

static uint64_t evaluation_handle(evaluation *p, SEL selector) {
    (void)selector;
    return p->handle;
}

static char evaluation_queue_depth(evaluation *p, SEL selector) {
    (void)selector;
    return p->queue_depth;
}

static const em_ivar evaluation_ivars[] = {
    EM_IVAR(evaluation, "_programHandle", "Q", handle),
    EM_IVAR(evaluation, "_intermediateBufferHandle", "Q", intermediate),
    EM_IVAR(evaluation, "_queueDepth", "c", queue_depth),
    {0},
};
static const em_method evaluation_methods[] = {
    EM_METHOD("processRequest:model:qos:qIndex:modelStringID:options:returnValue:error:", evaluation_process,
        "C@:@@Ii@@^C^@"),
    EM_METHOD("programHandle", evaluation_handle, "Q@:"),
    EM_METHOD("queueDepth", evaluation_queue_depth, "c@:"),
    {0},
};

const em_class_info em_disk_model_classes[] = {
    {"_ANEModel", model_ivars, model_methods},
    {"_ANEProgramForEvaluation", evaluation_ivars, evaluation_methods},
    {0},
};
