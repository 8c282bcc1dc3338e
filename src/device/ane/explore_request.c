/* explore_request.c - requests with every choice, and the ways to evaluate them. */
#include "device/ane/explore_impl.h"

#include "device/ane/foundation.h"

#include <stdlib.h>

enum { STATS_BYTES = 4096 }; /* of a performance buffer: more than any driver is known to write */

struct engine_request {
    engine_explored *p;
    engine_path path;
    unsigned qos;
    objc_id request, stats; /* retained; NULL: none */
    void *buffer;           /* of the statistics */
};

const engine_choices engine_usual_choices = {.stats = ENGINE_STATS_TIME, .qos = ENGINE_QOS};

const char *engine_path_name(engine_path path) {
    static const char *const names[ENGINE_N_PATHS] = {"standard", "real-time", "direct", "process-request"};
    return path < ENGINE_N_PATHS ? names[path] : "?";
}

engine_explored *engine_request_program(const engine_request *r) {
    return r->p;
}

objc_id engine_request_stats_object(const engine_request *r) {
    return r->stats;
}

/* ---- what a request is made of ----------------------------------------------------------------------------------- */

static objc_id stats_of_time(engine_request *r, engine_reply *reply) {
    const ane_framework *fw = &r->p->x->fw;
    ane_message m;
    if (!engine_find_in_class(fw, "_ANEPerformanceStats", "statsWithHardwareExecutionNS:", &m, reply))
        return NULL;
    return engine_made(ANE_SEND(m, objc_id, (objc_id, objc_selector, uint64_t), 0), reply);
}

static objc_id stats_of_buffer(engine_request *r, engine_reply *reply) {
    const ane_framework *fw = &r->p->x->fw;
    static const char selector[] = "statsWithRequestPerformanceBuffer:statsBufferSize:";
    ane_message m;
    r->buffer = calloc(1, STATS_BYTES);
    if (!r->buffer || !engine_find_in_class(fw, "_ANEPerformanceStats", selector, &m, reply)) return NULL;
    return engine_made(
        ANE_SEND(m, objc_id, (objc_id, objc_selector, void *, unsigned), r->buffer, STATS_BYTES), reply);
}

static objc_id plain_stats(engine_request *r, engine_reply *reply) {
    const ane_framework *fw = &r->p->x->fw;
    ane_message m;
    if (!engine_find_in_class(fw, "_ANEPerformanceStats", "alloc", &m, reply)) return NULL;
    objc_id object = ((objc_id(*)(objc_id, objc_selector))m.function)(m.receiver, m.selector);
    object = engine_ask(fw, object, "init", reply); /* consumes what alloc gave */
    return object ? ane_send(fw, object, "autorelease", NULL) : NULL;
}

static objc_id (*const stats_makers[ENGINE_N_STATS])(engine_request *, engine_reply *) = {
    [ENGINE_STATS_TIME] = stats_of_time,
    [ENGINE_STATS_BUFFER] = stats_of_buffer,
    [ENGINE_STATS_PLAIN] = plain_stats,
};

static objc_id file_url(const ane_framework *fw, const char *path, engine_reply *reply) {
    ane_message m;
    objc_id text = ane_ns_string(fw, path, NULL);
    if (!engine_find_in_class(fw, "NSURL", "fileURLWithPath:", &m, reply)) return NULL;
    return text ? ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id), text) : NULL;
}

/* What is handed over as weightsBuffer; *ok false: it was wanted and is not there. */
static objc_id weights_of(const ane_framework *fw, const engine_choices *how, engine_reply *reply, bool *ok) {
    ane_message m;
    *ok = true;
    if (how->weights) return how->weights->object;
    if (!how->weights_path) return NULL;
    objc_id url = file_url(fw, how->weights_path, reply);
    objc_id symbol = ane_ns_string(fw, how->weights_symbol ? how->weights_symbol : "", NULL);
    *ok = url && symbol &&
          engine_find_in_class(fw, "_ANEWeight", "weightWithSymbolAndURL:weightURL:", &m, reply);
    if (!*ok) return NULL;
    objc_id made =
        engine_made(ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id, objc_id), symbol, url), reply);
    *ok = made != NULL;
    return made;
}

static objc_id surfaces_of(const ane_framework *fw, int n, ane_surface *const *surfaces, objc_id *indices) {
    objc_id *objects = calloc(2 * (size_t)n + 1, sizeof *objects);
    if (!objects) return NULL;
    for (int i = 0; i < n; i++) {
        objects[i] = surfaces[i] ? surfaces[i]->object : NULL;
        objects[n + i] = ane_ns_number(fw, (uint64_t)i, NULL);
    }
    objc_id array = ane_ns_array(fw, objects, (unsigned long)n, NULL);
    *indices = ane_ns_array(fw, objects + n, (unsigned long)n, NULL);
    free(objects);
    return array;
}

/* ---- making one -------------------------------------------------------------------------------------------------- */

typedef struct parts {
    objc_id in, in_indices, out, out_indices, weights, stats, procedure;
} parts;

static objc_id make(const ane_framework *fw, const parts *q, engine_reply *reply) {
    static const char selector[] =
        "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:procedureIndex:";
    ane_message m;
    if (!q->in || !q->in_indices || !q->out || !q->out_indices || !q->procedure) return NULL;
    if (!engine_find_in_class(fw, "_ANERequest", selector, &m, reply)) return NULL;
    objc_id request = ANE_SEND(m, objc_id,
        (objc_id, objc_selector, objc_id, objc_id, objc_id, objc_id, objc_id, objc_id, objc_id), q->in,
        q->in_indices, q->out, q->out_indices, q->weights, q->stats, q->procedure);
    return engine_made(request, reply);
}

static void set_mask(const ane_framework *fw, objc_id model, unsigned mask) {
    ane_message m;
    if (mask && ane_message_find(fw, model, "setPerfStatsMask:", &m, NULL))
        ((void (*)(objc_id, objc_selector, unsigned))m.function)(m.receiver, m.selector, mask);
}

/* Into `r` what was made; the reply says how far it came. */
static void compose(engine_request *r, int n_inputs, ane_surface *const *inputs, int n_outputs,
    ane_surface *const *outputs, const engine_choices *how, engine_reply *made) {
    const ane_framework *fw = &r->p->x->fw;
    parts q = {.procedure = ane_ns_number(fw, how->procedure, NULL)};
    q.in = surfaces_of(fw, n_inputs, inputs, &q.in_indices);
    q.out = surfaces_of(fw, n_outputs, outputs, &q.out_indices);
    bool ok;
    q.weights = weights_of(fw, how, made, &ok);
    if (!ok) return;
    if (how->stats != ENGINE_STATS_NONE && how->stats < ENGINE_N_STATS) {
        objc_id stats = stats_makers[how->stats](r, made);
        if (!stats) return;
        r->stats = ane_retain(fw, stats);
        q.stats = ane_ns_array(fw, &stats, 1, NULL); /* the driver asks its elements for statType (PR 40) */
    }
    r->request = ane_retain(fw, make(fw, &q, made));
    set_mask(fw, r->p->model, how->perf_mask);
}

engine_request *engine_request_new(engine_explored *p, int n_inputs, ane_surface *const *inputs,
    int n_outputs, ane_surface *const *outputs, const engine_choices *how, engine_reply *made) {
    *made = engine_no_reply;
    engine_request *r = p ? calloc(1, sizeof *r) : NULL;
    if (!r) return NULL;
    *r = (engine_request){.p = p, .path = how->path, .qos = how->qos};
    void *pool = ane_pool_push(&p->x->fw);
    compose(r, n_inputs, inputs, n_outputs, outputs, how, made);
    ane_pool_pop(&p->x->fw, pool);
    return r;
}

void engine_request_free(engine_request *r) {
    if (!r) return;
    const ane_framework *fw = &r->p->x->fw;
    void *pool = ane_pool_push(fw);
    ane_release(fw, r->request);
    ane_release(fw, r->stats);
    ane_pool_pop(fw, pool);
    if (!r->p->hung) free(r->buffer); /* a call that is still going on may write it */
    free(r);
}

/* ---- evaluating -------------------------------------------------------------------------------------------------- */

static objc_bool send_standard(const engine_call *c, const ane_message *m, objc_id options, objc_id *error) {
    return ANE_SEND(*m, objc_bool, (objc_id, objc_selector, unsigned, objc_id, objc_id, objc_id *), c->qos,
        options, c->object[0], error);
}

static objc_bool send_real_time(const engine_call *c, const ane_message *m, objc_id options, objc_id *error) {
    return ANE_SEND(*m, objc_bool, (objc_id, objc_selector, objc_id, objc_id, objc_id, objc_id *),
        c->object[1], options, c->object[0], error);
}

static objc_bool send_direct(const engine_call *c, const ane_message *m, objc_id options, objc_id *error) {
    return ANE_SEND(*m, objc_bool, (objc_id, objc_selector, objc_id, objc_id, objc_id, unsigned, objc_id *),
        c->object[1], options, c->object[0], c->qos, error);
}

static objc_bool send_process(const engine_call *c, const ane_message *m, objc_id options, objc_id *error) {
    objc_bool value = 0;
    objc_bool ok = ANE_SEND(*m, objc_bool,
        (objc_id, objc_selector, objc_id, objc_id, unsigned, int, objc_id, objc_id, objc_bool *, objc_id *),
        c->object[0], c->object[1], c->qos, 0, c->object[2], options, &value, error);
    return ok && value;
}

static objc_id model_of_path(const engine_explored *p, engine_reply *reply) {
    (void)reply;
    return p->model;
}

static objc_id client_of_path(const engine_explored *p, engine_reply *reply) {
    return engine_client(&p->x->fw, reply);
}

static objc_id program_of_path(const engine_explored *p, engine_reply *reply) {
    return engine_ask(&p->x->fw, p->model, "program", reply);
}

static const struct {
    objc_id (*receiver)(const engine_explored *p, engine_reply *reply);
    const char *selector;
    objc_bool (*send)(const engine_call *, const ane_message *, objc_id, objc_id *);
} paths[ENGINE_N_PATHS] = {
    [ENGINE_PATH_STANDARD] = {model_of_path, "evaluateWithQoS:options:request:error:", send_standard},
    [ENGINE_PATH_REAL_TIME] = {client_of_path,
        "evaluateRealTimeWithModel:options:request:error:", send_real_time},
    [ENGINE_PATH_DIRECT] = {client_of_path,
        "doEvaluateDirectWithModel:options:request:qos:error:", send_direct},
    [ENGINE_PATH_PROCESS] = {program_of_path,
        "processRequest:model:qos:qIndex:modelStringID:options:returnValue:error:", send_process},
};

static double time_of(const engine_request *r) {
    const ane_framework *fw = &r->p->x->fw;
    ane_message m;
    if (!r->stats || !ane_message_find(fw, r->stats, "hwExecutionTime", &m, NULL)) return -1;
    uint64_t ns = ((uint64_t(*)(objc_id, objc_selector))m.function)(m.receiver, m.selector);
    return ns > 0 ? (double)ns * 1e-6 : -1;
}

static engine_reply evaluate(engine_explored *p, objc_id request, engine_path path, unsigned qos) {
    engine_reply reply = engine_no_reply;
    engine_call c = {.selector = paths[path].selector, .qos = qos, .send = paths[path].send};
    c.receiver = paths[path].receiver(p, &reply);
    c.object[0] = request;
    c.object[1] = engine_client_model(p);
    c.object[2] = ane_send(&p->x->fw, p->model, "hexStringIdentifier", NULL);
    if (c.receiver) reply = engine_call_make(p->x, &c, p->x->budget.evaluate_seconds);
    p->hung = p->hung || reply.said == ENGINE_LATE;
    return reply;
}

engine_reply engine_evaluate_object(engine_explored *p, objc_id request) {
    return p->hung ? engine_no_reply : evaluate(p, request, ENGINE_PATH_STANDARD, ENGINE_QOS);
}

engine_reply engine_request_run(engine_request *r) {
    engine_reply reply = engine_no_reply;
    if (!r || !r->request || r->p->hung || r->path >= ENGINE_N_PATHS) return reply;
    const ane_framework *fw = &r->p->x->fw;
    void *pool = ane_pool_push(fw);
    reply = evaluate(r->p, r->request, r->path, r->qos);
    if (reply.said == ENGINE_YES) reply.device_ms = time_of(r);
    ane_pool_pop(fw, pool);
    return reply;
}
