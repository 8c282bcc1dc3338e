/* program_call.c - see program_call.h. */
#include "device/ane/program_call.h"

#include "device/ane/foundation.h"

#include <stdlib.h>

enum { QOS_DEFAULT = 21 };

/* A call that is left behind outlives whoever asked for it: it has everything of its own. */
typedef struct pending {
    ane_timed_call base;
    ane_framework fw;
    ane_model_call call;
    objc_id model;
    bool ok;
    ane_error why;
} pending;

static bool send(pending *p) {
    const ane_framework *fw = &p->fw;
    ane_message m;
    objc_id error = NULL, options = ane_ns_dictionary(fw, NULL, NULL, 0, &p->why);
    if (!options || !ane_message_find(fw, p->model, p->call.selector, &m, &p->why)) return false;
    objc_bool ok =
        p->call.request
            ? ANE_SEND(m, objc_bool, (objc_id, objc_selector, unsigned, objc_id, objc_id, objc_id *),
                  QOS_DEFAULT, options, p->call.request, &error)
            : ANE_SEND(m, objc_bool, (objc_id, objc_selector, unsigned, objc_id, objc_id *), QOS_DEFAULT,
                  options, &error);
    return ok || ane_ns_report(fw, p->call.stage, error, &p->why);
}

static void make(ane_timed_call *base) {
    pending *p = (pending *)base;
    void *pool = ane_pool_push(&p->fw);
    p->ok = send(p);
    ane_pool_pop(&p->fw, pool);
}

static void free_pending(ane_timed_call *base) {
    pending *p = (pending *)base;
    void *pool = ane_pool_push(&p->fw);
    ane_release(&p->fw, p->call.request);
    ane_release(&p->fw, p->model);
    ane_pool_pop(&p->fw, pool);
    free(p);
}

static bool report_late(const ane_model_call *call, ane_error *e) {
    ane_fail(e, ANE_ERROR_DEVICE, call->stage, "the Neural Engine's %s did not come back within %g seconds",
        call->stage, call->seconds);
    return ane_hint(
        e, "Try again in a new process; a longer time can be given: --device ane:timeout=SECONDS.");
}

bool ane_model_call_make(ane_timed *t, const ane_framework *fw, objc_id model, const ane_model_call *call,
    bool *hung, ane_error *e) {
    pending *p = calloc(1, sizeof *p);
    if (!p) return ane_fail(e, ANE_ERROR_MEMORY, call->stage, "no memory for a call");
    *p = (pending){.base = {make, free_pending}, .fw = *fw, .call = *call};
    p->model = ane_retain(fw, model);
    p->call.request = ane_retain(fw, call->request);
    ane_timed_end end = ane_timed_run(t, &p->base, call->seconds);
    if (end == ANE_TIMED_LATE) {
        *hung = true;
        return report_late(call, e);
    }
    bool ok = end == ANE_TIMED_DONE && p->ok;
    if (end == ANE_TIMED_FAILED) ane_fail(&p->why, ANE_ERROR_MEMORY, call->stage, "no thread for a call");
    if (!ok && e && e->code == ANE_OK) *e = p->why;
    free_pending(&p->base);
    return ok;
}
