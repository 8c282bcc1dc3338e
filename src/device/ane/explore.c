/* explore.c - see explore.h: replies, and programs. */
#include "device/ane/explore_impl.h"

#include "base/clock.h"
#include "base/decimal.h"
#include "device/ane/folder.h"
#include "device/ane/foundation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the device -------------------------------------------------------------------------------------------------- */

engine_device *engine_explore(ane_device *d, ane_error *e) {
    if (d->ops == &ane_engine_device) return (engine_device *)d;
    ane_fail(e, ANE_ERROR_UNSUPPORTED, d->ops->name, "the device \"%s\" is no Neural Engine", d->ops->name);
    ane_hint(e, "Use --device ane on a Mac, --device ane:emulator anywhere.");
    return NULL;
}

mil_dialect engine_dialect(const engine_device *x) {
    return x->facts.dialect;
}

ane_surface *engine_explore_surface(engine_device *x, size_t bytes, ane_error *e) {
    return ane_surface_new(&x->fw, bytes, e);
}

/* ---- replies ----------------------------------------------------------------------------------------------------- */

const engine_reply engine_no_reply = {.said = ENGINE_NOT_REACHED, .device_ms = -1};

const char *engine_said_name(engine_said said) {
    static const char *const names[ENGINE_N_SAID] = {"not reached", "yes", "no", "absent", "late"};
    return said < ENGINE_N_SAID ? names[said] : "?";
}

engine_reply engine_reply_of(engine_said said, const ane_error *why) {
    engine_reply r = engine_no_reply;
    r.said = said;
    snprintf(r.text, sizeof r.text, "%s", why->message);
    return r;
}

bool engine_find(
    const ane_framework *fw, objc_id receiver, const char *selector, ane_message *m, engine_reply *r) {
    ane_error why = {0};
    if (ane_message_find(fw, receiver, selector, m, &why)) return true;
    *r = engine_reply_of(receiver ? ENGINE_ABSENT : ENGINE_NOT_REACHED, &why);
    return false;
}

bool engine_find_in_class(
    const ane_framework *fw, const char *class, const char *selector, ane_message *m, engine_reply *r) {
    ane_error why = {0};
    objc_id object = ane_class(fw, class, &why);
    if (object) return engine_find(fw, object, selector, m, r);
    *r = engine_reply_of(ENGINE_ABSENT, &why);
    return false;
}

objc_id engine_made(objc_id object, engine_reply *r) {
    *r = engine_no_reply;
    r->said = object ? ENGINE_YES : ENGINE_NO;
    return object;
}

objc_id engine_ask(const ane_framework *fw, objc_id receiver, const char *selector, engine_reply *r) {
    ane_message m;
    if (!engine_find(fw, receiver, selector, &m, r)) return NULL;
    return engine_made(((objc_id(*)(objc_id, objc_selector))m.function)(m.receiver, m.selector), r);
}

/* ---- calls that take long ---------------------------------------------------------------------------------------- */

static void tell_error(const ane_framework *fw, objc_id error, engine_reply *r) {
    ane_message m;
    if (!error) return;
    if (ane_message_find(fw, error, "code", &m, NULL))
        r->code = ((long (*)(objc_id, objc_selector))m.function)(m.receiver, m.selector);
    snprintf(r->domain, sizeof r->domain, "%s", ane_ns_text(fw, ane_send(fw, error, "domain", NULL)));
    snprintf(
        r->text, sizeof r->text, "%s", ane_ns_text(fw, ane_send(fw, error, "localizedDescription", NULL)));
}

static void call(ane_timed_call *base) {
    engine_call *c = (engine_call *)base;
    const ane_framework *fw = &c->fw;
    void *pool = ane_pool_push(fw);
    ane_message m;
    ane_error why = {0};
    objc_id error = NULL, options = ane_ns_dictionary(fw, NULL, NULL, 0, &why);
    if (!options)
        c->reply = engine_reply_of(ENGINE_ABSENT, &why);
    else if (engine_find(fw, c->receiver, c->selector, &m, &c->reply)) {
        double start = ane_clock_ms();
        objc_bool ok = c->send(c, &m, options, &error);
        c->reply.host_ms = ane_clock_ms() - start;
        c->reply.said = ok ? ENGINE_YES : ENGINE_NO;
        if (!ok) tell_error(fw, error, &c->reply);
    }
    ane_pool_pop(fw, pool);
}

static void free_call(ane_timed_call *base) {
    engine_call *c = (engine_call *)base;
    void *pool = ane_pool_push(&c->fw);
    ane_release(&c->fw, c->receiver);
    for (int i = 0; i < ENGINE_CALL_OBJECTS; i++) ane_release(&c->fw, c->object[i]);
    ane_pool_pop(&c->fw, pool);
    free(c);
}

engine_reply engine_call_make(engine_device *x, const engine_call *wanted, double seconds) {
    engine_reply reply = engine_no_reply;
    engine_call *c = wanted->receiver ? malloc(sizeof *c) : NULL;
    if (!c) return reply;
    *c = *wanted;
    c->base = (ane_timed_call){call, free_call};
    c->fw = x->fw;
    c->reply = engine_no_reply;
    ane_retain(&c->fw, c->receiver);
    for (int i = 0; i < ENGINE_CALL_OBJECTS; i++) ane_retain(&c->fw, c->object[i]);
    ane_timed_end end = ane_timed_run(&x->budget.timed, &c->base, seconds);
    if (end == ANE_TIMED_LATE) {
        reply.said = ENGINE_LATE;
        reply.host_ms = seconds * 1e3;
        ane_print(reply.text, sizeof reply.text, "it did not come back within %g seconds", seconds);
        return reply;
    }
    reply = c->reply;
    free_call(&c->base);
    return reply;
}

/* ---- the client -------------------------------------------------------------------------------------------------- */

objc_id engine_client(const ane_framework *fw, engine_reply *r) {
    ane_message m;
    if (!engine_find_in_class(fw, "_ANEClient", "sharedConnection", &m, r)) return NULL;
    return engine_made(((objc_id(*)(objc_id, objc_selector))m.function)(m.receiver, m.selector), r);
}

objc_id engine_client_model(const engine_explored *p) {
    engine_reply r;
    objc_id inner = engine_ask(&p->x->fw, p->model, "model", &r);
    return inner ? inner : p->model;
}

static objc_bool send_plain(const engine_call *c, const ane_message *m, objc_id options, objc_id *error) {
    (void)c, (void)options, (void)error;
    return ((objc_bool(*)(objc_id, objc_selector))m->function)(m->receiver, m->selector);
}

static engine_reply ask_client(engine_device *x, const char *selector) {
    void *pool = ane_pool_push(&x->fw);
    engine_reply reply;
    const engine_call c = {
        .selector = selector, .receiver = engine_client(&x->fw, &reply), .send = send_plain};
    if (c.receiver) reply = engine_call_make(x, &c, x->budget.evaluate_seconds);
    ane_pool_pop(&x->fw, pool);
    return reply;
}

engine_reply engine_real_time_begin(engine_device *x) {
    return ask_client(x, "beginRealTimeTask");
}

engine_reply engine_real_time_end(engine_device *x) {
    return ask_client(x, "endRealTimeTask");
}

/* ---- programs ---------------------------------------------------------------------------------------------------- */

static objc_bool send_order(const engine_call *c, const ane_message *m, objc_id options, objc_id *error) {
    return ANE_SEND(
        *m, objc_bool, (objc_id, objc_selector, unsigned, objc_id, objc_id *), c->qos, options, error);
}

static objc_bool send_unload(const engine_call *c, const ane_message *m, objc_id options, objc_id *error) {
    (void)options;
    return ANE_SEND(*m, objc_bool, (objc_id, objc_selector, unsigned, objc_id *), c->qos, error);
}

/* To the model itself; nothing is sent to a program that did not come back. */
static engine_reply order(engine_explored *p, engine_call c) {
    engine_reply reply = engine_no_reply;
    c.receiver = p->model;
    if (!p->hung) reply = engine_call_make(p->x, &c, p->x->budget.compile_seconds);
    p->hung = p->hung || reply.said == ENGINE_LATE;
    return reply;
}

static engine_reply load(engine_explored *p, unsigned qos) {
    engine_reply reply =
        order(p, (engine_call){.selector = "loadWithQoS:options:error:", .qos = qos, .send = send_order});
    p->loaded = p->loaded || reply.said == ENGINE_YES;
    return reply;
}

static bool make_model(
    engine_explored *p, const char *text, int n, const ane_weight_file *files, ane_error *e) {
    const ane_framework *fw = &p->x->fw;
    char *own = ane_program_text(&p->x->budget, text, e);
    if (own) p->model = ane_model_new(fw, own, n, files, e);
    if (p->model) p->folder = ane_model_folder(fw, p->model, e);
    bool ok = p->folder && ane_model_write(p->folder, own, n, files, e);
    free(own);
    return ok;
}

engine_explored *engine_explored_new(engine_device *x, const char *text, int n_files,
    const ane_weight_file *files, unsigned qos, engine_build *built) {
    *built = (engine_build){engine_no_reply, engine_no_reply, engine_no_reply};
    engine_explored *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->x = x;
    void *pool = ane_pool_push(&x->fw);
    ane_error why = {0};
    double start = ane_clock_ms();
    bool ok = make_model(p, text, n_files, files, &why);
    built->model = engine_reply_of(ok ? ENGINE_YES : ENGINE_NO, &why);
    built->model.host_ms = ane_clock_ms() - start;
    if (ok)
        built->compile = order(
            p, (engine_call){.selector = "compileWithQoS:options:error:", .qos = qos, .send = send_order});
    if (built->compile.said == ENGINE_YES) built->load = load(p, qos);
    ane_pool_pop(&x->fw, pool);
    return p;
}

void engine_explored_free(engine_explored *p) {
    if (!p) return;
    (void)engine_explored_unload(p);
    ane_release(&p->x->fw, p->model);
    ane_folder_remove(p->folder);
    free(p->folder);
    free(p);
}

engine_reply engine_explored_unload(engine_explored *p) {
    if (!p || !p->loaded) return engine_no_reply;
    p->loaded = false;
    return order(
        p, (engine_call){.selector = "unloadWithQoS:error:", .qos = ENGINE_QOS, .send = send_unload});
}

engine_reply engine_explored_load(engine_explored *p) {
    return p ? load(p, ENGINE_QOS) : engine_no_reply;
}

engine_reply engine_explored_write(engine_explored *p, int n_files, const ane_weight_file *files) {
    ane_error why = {0};
    if (!p || !p->folder) return engine_no_reply;
    double start = ane_clock_ms();
    bool ok = ane_model_write_weights(p->folder, n_files, files, &why);
    engine_reply reply = engine_reply_of(ok ? ENGINE_YES : ENGINE_NO, &why);
    reply.host_ms = ane_clock_ms() - start;
    return reply;
}
