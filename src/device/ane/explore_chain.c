/* explore_chain.c - buffers, chaining requests and shared events: objects made one of another, to the one that fails. */
#include "device/ane/explore_impl.h"
#include "device/ane/foundation.h"

#include <dlfcn.h>
#include <string.h>

/* What a chain is made of; `n` steps are written. */
typedef struct chain {
    engine_explored *p;
    const ane_framework *fw;
    engine_step *steps;
    int n;
    objc_id client, model;
} chain;

static engine_reply *step(chain *c, const char *name) {
    c->steps[c->n] = (engine_step){name, engine_no_reply};
    return &c->steps[c->n++].reply;
}

static objc_id one(const ane_framework *fw, objc_id object) {
    return object ? ane_ns_array(fw, &object, 1, NULL) : NULL;
}

/* A call of the client that takes a model, an object, options, a QoS: prepareChaining and what follows it. */
static objc_bool send_chaining(const engine_call *c, const ane_message *m, objc_id options, objc_id *error) {
    return ANE_SEND(*m, objc_bool, (objc_id, objc_selector, objc_id, objc_id, objc_id, unsigned, objc_id *),
        c->object[0], options, c->object[1], c->qos, error);
}

static objc_bool send_set(const engine_call *c, const ane_message *m, objc_id options, objc_id *error) {
    return ANE_SEND(*m, objc_bool, (objc_id, objc_selector, objc_id, objc_id, objc_id, unsigned, objc_id *),
        c->object[0], c->object[1], options, c->qos, error);
}

static void ask_client(chain *c, const char *name, const char *selector, objc_id object,
    objc_bool (*send)(const engine_call *, const ane_message *, objc_id, objc_id *)) {
    engine_reply *r = step(c, name);
    if (!object || !c->client || c->p->hung) return;
    const engine_call call = {.selector = selector,
        .receiver = c->client,
        .object = {c->model, object},
        .qos = ENGINE_QOS,
        .send = send};
    *r = engine_call_make(c->p->x, &call, c->p->x->budget.evaluate_seconds);
    c->p->hung = r->said == ENGINE_LATE;
}

/* ---- chaining ---------------------------------------------------------------------------------------------------- */

enum { SOURCE_ENGINE = 0, SOURCE_OUTPUT = 1, STATS_SURFACE = 64 };

static objc_id buffer(chain *c, const char *name, const ane_surface *s, int64_t source) {
    ane_message m;
    engine_reply *r = step(c, name);
    objc_id symbol = ane_ns_number(c->fw, 0, NULL);
    if (!s || !symbol ||
        !engine_find_in_class(c->fw, "_ANEBuffer", "bufferWithIOSurfaceObject:symbolIndex:source:", &m, r))
        return NULL;
    return engine_made(
        ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id, objc_id, int64_t), s->object, symbol, source),
        r);
}

static objc_id output_set(chain *c, const ane_surface *stats, objc_id output) {
    ane_message m;
    engine_reply *r = step(c, "output set");
    if (!output || !stats ||
        !engine_find_in_class(c->fw, "_ANEIOSurfaceOutputSets", "objectWithstatsSurRef:outputBuffer:", &m, r))
        return NULL;
    return engine_made(
        ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id, objc_id), stats->surface, one(c->fw, output)),
        r);
}

/* nil for the loop-back symbols and the procedure: numbers there crash (ane-spec 1.9). */
static objc_id chaining_request(chain *c, objc_id input, objc_id set) {
    static const char selector[] =
        "chainingRequestWithInputs:outputSets:lbInputSymbolId:lbOutputSymbolId:procedureIndex:signalEvents:"
        "transactionHandle:fwEnqueueDelay:memoryPoolId:";
    ane_message m;
    engine_reply *r = step(c, "chaining request");
    objc_id zero = ane_ns_number(c->fw, 0, NULL), none = ane_ns_array(c->fw, NULL, 0, NULL);
    if (!input || !set || !zero || !none ||
        !engine_find_in_class(c->fw, "_ANEChainingRequest", selector, &m, r))
        return NULL;
    return engine_made(ANE_SEND(m, objc_id,
                           (objc_id, objc_selector, objc_id, objc_id, objc_id, objc_id, objc_id, objc_id,
                               objc_id, objc_id, objc_id),
                           one(c->fw, input), one(c->fw, set), NULL, NULL, NULL, none, zero, zero, zero),
        r);
}

static void validate(chain *c, objc_id request) {
    ane_message m;
    engine_reply *r = step(c, "validate");
    if (!engine_find(c->fw, request, "validate", &m, r)) return;
    *r = engine_no_reply;
    r->said =
        ((objc_bool(*)(objc_id, objc_selector))m.function)(m.receiver, m.selector) ? ENGINE_YES : ENGINE_NO;
}

static objc_id input_ready(chain *c) {
    static const char selector[] =
        "inputBuffersWithProcedureIndex:inputBufferInfoIndex:inputFreeValue:executionDelay:";
    ane_message m;
    engine_reply *r = step(c, "input ready");
    objc_id zeros = one(c->fw, ane_ns_number(c->fw, 0, NULL));
    if (!zeros || !engine_find_in_class(c->fw, "_ANEInputBuffersReady", selector, &m, r)) return NULL;
    return engine_made(ANE_SEND(m, objc_id, (objc_id, objc_selector, unsigned, objc_id, objc_id, uint64_t), 0,
                           zeros, zeros, 0),
        r);
}

static objc_id output_enqueue(chain *c) {
    static const char selector[] =
        "outputSetWithProcedureIndex:setIndex:signalValue:signalNotRequired:isOpenLoop:";
    ane_message m;
    engine_reply *r = step(c, "output enqueue");
    if (!engine_find_in_class(c->fw, "_ANEOutputSetEnqueue", selector, &m, r)) return NULL;
    return engine_made(
        ANE_SEND(m, objc_id, (objc_id, objc_selector, unsigned, unsigned, uint64_t, objc_bool, objc_bool), 0,
            0, 0, 1, 0),
        r);
}

static chain begin(engine_explored *p, engine_step *steps) {
    chain c = {.p = p, .fw = &p->x->fw, .steps = steps};
    c.client = engine_client(c.fw, step(&c, "shared client"));
    c.model = engine_client_model(p);
    return c;
}

int engine_explore_chaining(
    engine_explored *p, ane_surface *input, ane_surface *output, engine_step steps[ENGINE_MOST_STEPS]) {
    if (!p) return 0;
    void *pool = ane_pool_push(&p->x->fw);
    chain c = begin(p, steps);
    ane_error why = {0};
    ane_surface *stats = ane_surface_new(c.fw, STATS_SURFACE, &why);
    objc_id in = buffer(&c, "input buffer", input, SOURCE_ENGINE);
    objc_id out = buffer(&c, "output buffer", output, SOURCE_OUTPUT);
    objc_id set = output_set(&c, stats, out), request = chaining_request(&c, in, set);
    validate(&c, request);
    ask_client(&c, "prepareChaining", "prepareChainingWithModel:options:chainingReq:qos:error:", request,
        send_chaining);
    ask_client(&c, "buffersReady", "buffersReadyWithModel:inputBuffers:options:qos:error:", input_ready(&c),
        send_set);
    ask_client(
        &c, "enqueueSets", "enqueueSetsWithModel:outputSet:options:qos:error:", output_enqueue(&c), send_set);
    ane_surface_free(stats);
    ane_pool_pop(c.fw, pool);
    return c.n;
}

/* ---- shared events ----------------------------------------------------------------------------------------------- */

/* IOSurfaceSharedEventCreate(): found here, since nothing else needs it. The caller's. */
static objc_id shared_event(chain *c) {
    engine_reply *r = step(c, "shared event");
    void *symbol = NULL;
    for (int i = 0; !symbol && i < c->fw->n_libraries; i++)
        symbol = dlsym(c->fw->libraries[i], "IOSurfaceSharedEventCreate");
    if (!symbol) {
        ane_error why = {0};
        ane_fail(&why, ANE_ERROR_DEVICE, "events", "Apple's libraries have no IOSurfaceSharedEventCreate");
        *r = engine_reply_of(ENGINE_ABSENT, &why);
        return NULL;
    }
    objc_id (*create)(void);
    memcpy(&create, &symbol, sizeof create);
    return engine_made(create(), r);
}

static objc_id signal_event(chain *c, objc_id event) {
    ane_message m;
    engine_reply *r = step(c, "signal event");
    if (!event || !engine_find_in_class(c->fw, "_ANESharedSignalEvent",
                      "signalEventWithValue:symbolIndex:eventType:sharedEvent:", &m, r))
        return NULL;
    return engine_made(
        ANE_SEND(m, objc_id, (objc_id, objc_selector, uint64_t, uint32_t, int64_t, objc_id), 1, 0, 0, event),
        r);
}

static objc_id wait_event(chain *c, objc_id event) {
    ane_message m;
    engine_reply *r = step(c, "wait event");
    if (!event ||
        !engine_find_in_class(c->fw, "_ANESharedWaitEvent", "waitEventWithValue:sharedEvent:", &m, r))
        return NULL;
    return engine_made(ANE_SEND(m, objc_id, (objc_id, objc_selector, uint64_t, objc_id), 0, event), r);
}

static objc_id events(chain *c, objc_id signal, objc_id wait) {
    ane_message m;
    engine_reply *r = step(c, "shared events");
    if (!signal || !wait ||
        !engine_find_in_class(c->fw, "_ANESharedEvents", "sharedEventsWithSignalEvents:waitEvents:", &m, r))
        return NULL;
    return engine_made(ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id, objc_id), one(c->fw, signal),
                           one(c->fw, wait)),
        r);
}

static objc_id request_with_events(
    chain *c, const ane_surface *input, const ane_surface *output, objc_id all) {
    static const char selector[] =
        "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:procedureIndex:"
        "sharedEvents:transactionHandle:";
    ane_message m;
    engine_reply *r = step(c, "request");
    objc_id zero = ane_ns_number(c->fw, 0, NULL), indices = one(c->fw, zero);
    if (!all || !input || !output || !indices || !engine_find_in_class(c->fw, "_ANERequest", selector, &m, r))
        return NULL;
    return engine_made(ANE_SEND(m, objc_id,
                           (objc_id, objc_selector, objc_id, objc_id, objc_id, objc_id, objc_id, objc_id,
                               objc_id, objc_id, objc_id),
                           one(c->fw, input->object), indices, one(c->fw, output->object), indices, NULL,
                           NULL, zero, all, zero),
        r);
}

int engine_explore_events(
    engine_explored *p, ane_surface *input, ane_surface *output, engine_step steps[ENGINE_MOST_STEPS]) {
    if (!p) return 0;
    void *pool = ane_pool_push(&p->x->fw);
    chain c = begin(p, steps);
    objc_id event = shared_event(&c);
    objc_id all = events(&c, signal_event(&c, event), wait_event(&c, event));
    objc_id request = request_with_events(&c, input, output, all);
    engine_reply *evaluated = step(&c, "evaluate");
    if (request) *evaluated = engine_evaluate_object(p, request);
    if (event) c.fw->release(event);
    ane_pool_pop(c.fw, pool);
    return c.n;
}
