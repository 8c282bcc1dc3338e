/* _ANEClient: the other way to programs, and to real-time, direct and chained evaluation. */
#include "emulator/classes.h"
#include "emulator/state.h"

#include <pthread.h>

typedef struct client {
    Class isa;
    BOOL restricted;
} client;

static id shared_client;
static pthread_once_t shared_once = PTHREAD_ONCE_INIT;

static void make_shared(void) {
    shared_client = em_alloc(em_class("_ANEClient"));
}

id em_shared_client(void) {
    pthread_once(&shared_once, make_shared);
    return shared_client;
}

static id client_shared(Class class, SEL selector) {
    (void)class, (void)selector;
    return em_shared_client();
}

static id client_init(client *c, SEL selector, BOOL restricted) {
    (void)selector;
    c->restricted = restricted;
    return (id)c;
}

/* Programs on disk are Espresso's: what MIL compiles to is not one. */
static BOOL client_needs_espresso(client *c, SEL selector, id model, id options, unsigned qos, id *error) {
    (void)c, (void)selector, (void)options, (void)qos;
    em_model *m = em_model_of(model);
    if (m && m->state == EM_STATE_LOADED) return YES;
    em_error(error, EM_DOMAIN_COMPILER, EM_CODE_COMPILER,
        "_ANECompiler : ANECCompile() FAILED: err=(model.espresso.net is not there)");
    return NO;
}

static BOOL client_load_instance(
    client *c, SEL selector, id model, id options, id parameters, unsigned qos, id *error) {
    (void)parameters;
    return client_needs_espresso(c, selector, model, options, qos, error);
}

static BOOL client_unload(client *c, SEL selector, id model, id options, unsigned qos, id *error) {
    (void)c, (void)selector, (void)options, (void)qos;
    em_model *m = em_model_of(model);
    if (m && m->state == EM_STATE_LOADED) {
        em_model_set_program(m, NULL);
        return YES;
    }
    em_error(error, EM_DOMAIN, EM_CODE_LOAD, "Program unload failure: the model is not loaded");
    return NO;
}

static BOOL client_evaluate(
    client *c, SEL selector, id model, id options, id request, unsigned qos, id *error) {
    (void)c, (void)selector, (void)options, (void)qos;
    return em_evaluate(model, request, error);
}

static BOOL client_evaluate_real_time(client *c, SEL selector, id model, id options, id request, id *error) {
    (void)c, (void)selector, (void)options;
    return em_evaluate(model, request, error);
}

static BOOL client_real_time_task(client *c, SEL selector) {
    (void)c, (void)selector;
    return em_quirk_value(EM_QUIRK_REAL_TIME) == EM_WORK;
}

static BOOL client_map(client *c, SEL selector, id model, id request, BOOL cache, id *error) {
    (void)c, (void)selector, (void)cache;
    em_model *m = em_model_of(model);
    if (m && m->state == EM_STATE_LOADED && em_is_kind_of(request, "_ANERequest")) return YES;
    em_error(error, EM_DOMAIN, EM_CODE_INFERENCE, "the model is not loaded, or the request is nil");
    return NO;
}

static void client_unmap(client *c, SEL selector, id model, id request) {
    (void)c, (void)selector, (void)model, (void)request;
}

static BOOL chaining_failed(id *error) {
    em_error(error, EM_DOMAIN, EM_CODE_CHAINING, "ANEProgramChainingPrepare Failed");
    return NO;
}

static BOOL client_chain(
    client *c, SEL selector, id model, id options, id chaining, unsigned qos, id *error) {
    (void)c, (void)selector, (void)model, (void)options, (void)chaining, (void)qos;
    return chaining_failed(error);
}

static BOOL client_chain_next(
    client *c, SEL selector, id model, id set, id options, unsigned qos, id *error) {
    (void)c, (void)selector, (void)model, (void)set, (void)options, (void)qos;
    return chaining_failed(error);
}

static BOOL client_hint(client *c, SEL selector, id model, id hint, id options, id report, id *error) {
    (void)c, (void)selector, (void)model, (void)hint, (void)options, (void)report, (void)error;
    return YES;
}

static BOOL client_exists(client *c, SEL selector, id model) {
    (void)c, (void)selector, (void)model;
    return NO;
}

static void client_purge(client *c, SEL selector, id model) {
    (void)c, (void)selector, (void)model;
}

static BOOL client_echo(client *c, SEL selector, id payload) {
    (void)c, (void)selector;
    return payload != nil;
}

static const em_ivar client_ivars[] = {
    EM_IVAR(client, "_allowRestrictedAccess", "C", restricted),
    {0},
};
static const em_method client_methods[] = {
    EM_CLASS_METHOD("sharedConnection", client_shared, "@@:"),
    EM_CLASS_METHOD("sharedPrivateConnection", client_shared, "@@:"),
    EM_METHOD("initWithRestrictedAccessAllowed:", client_init, "@@:C"),
    EM_METHOD("compileModel:options:qos:error:", client_needs_espresso, "C@:@@I^@"),
    EM_METHOD("loadModel:options:qos:error:", client_needs_espresso, "C@:@@I^@"),
    EM_METHOD("doLoadModel:options:qos:error:", client_needs_espresso, "C@:@@I^@"),
    EM_METHOD("loadRealTimeModel:options:qos:error:", client_needs_espresso, "C@:@@I^@"),
    EM_METHOD("loadModelNewInstance:options:modelInstParams:qos:error:", client_load_instance, "C@:@@@I^@"),
    EM_METHOD("unloadModel:options:qos:error:", client_unload, "C@:@@I^@"),
    EM_METHOD("doUnloadModel:options:qos:error:", client_unload, "C@:@@I^@"),
    EM_METHOD("unloadRealTimeModel:options:qos:error:", client_unload, "C@:@@I^@"),
    EM_METHOD("evaluateWithModel:options:request:qos:error:", client_evaluate, "C@:@@@I^@"),
    EM_METHOD("doEvaluateDirectWithModel:options:request:qos:error:", client_evaluate, "C@:@@@I^@"),
    EM_METHOD("evaluateRealTimeWithModel:options:request:error:", client_evaluate_real_time, "C@:@@@^@"),
    EM_METHOD("beginRealTimeTask", client_real_time_task, "C@:"),
    EM_METHOD("endRealTimeTask", client_real_time_task, "C@:"),
    EM_METHOD("mapIOSurfacesWithModel:request:cacheInference:error:", client_map, "C@:@@C^@"),
    EM_METHOD("unmapIOSurfacesWithModel:request:", client_unmap, "v@:@@"),
    EM_METHOD("prepareChainingWithModel:options:chainingReq:qos:error:", client_chain, "C@:@@@I^@"),
    EM_METHOD("buffersReadyWithModel:inputBuffers:options:qos:error:", client_chain_next, "C@:@@@I^@"),
    EM_METHOD("enqueueSetsWithModel:outputSet:options:qos:error:", client_chain_next, "C@:@@@I^@"),
    EM_METHOD("sessionHintWithModel:hint:options:report:error:", client_hint, "C@:@@@@^@"),
    EM_METHOD("compiledModelExistsFor:", client_exists, "C@:@"),
    EM_METHOD("compiledModelExistsMatchingHash:", client_exists, "C@:@"),
    EM_METHOD("purgeCompiledModel:", client_purge, "v@:@"),
    EM_METHOD("purgeCompiledModelMatchingHash:", client_purge, "v@:@"),
    EM_METHOD("echo:", client_echo, "C@:@"),
    {0},
};

const em_class_info em_client_classes[] = {
    {"_ANEClient", client_ivars, client_methods},
    {0},
};
