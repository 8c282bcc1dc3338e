/* client.c - what goes through the shared client: events, chains, real time. */
#include "measure/probes/asked.h"
#include "measure/probes/families.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- steps ---------------------------------------------------------------------------------------------------------- */

static void put_steps(ane_asking *a, const engine_step *steps, int n) {
    json_t *list = json_array();
    for (int i = 0; list && i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:s}", "step", steps[i].name, "said",
                                        engine_said_name(steps[i].reply.said), "code",
                                        (json_int_t)steps[i].reply.code, "text", steps[i].reply.text));
    ane_asking_put(a, "steps", list);
}

static const engine_reply *step_of(const engine_step *steps, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (strcmp(steps[i].name, name) == 0) return &steps[i].reply;
    return NULL;
}

/* ---- events shared with the GPU --------------------------------------------------------------------------------------- */

bool ane_ask_shared_events(ane_asking *a, ane_error *e) {
    static const char *const classes[] = {"_ANESharedEvents", "_ANESharedSignalEvent", "_ANESharedWaitEvent"};
    enum { N = sizeof classes / sizeof *classes };
    engine_step steps[ENGINE_MOST_STEPS];
    ane_asked r;
    int there = 0, nil = 0;
    ane_asking_did(a, "made _ANESharedEvents, _ANESharedSignalEvent and _ANESharedWaitEvent by alloc/init; "
                      "then an event, a signal "
                      "and a wait of it, a request with both, and an evaluation of that");
    bool ok = ane_scaling_begin(&r, a->device, 64, 2, ENGINE_QOS, e);
    for (int i = 0; ok && i < N; i++) {
        engine_reply reply = engine_explore_plain(r.x, classes[i]);
        there += reply.said == ENGINE_YES || reply.said == ENGINE_NO;
        nil += reply.said == ENGINE_NO;
        ane_asking_text(a, classes[i], engine_said_name(reply.said));
    }
    if (ok) {
        put_steps(a, steps, engine_explore_events(r.explored, r.in[0], r.out[0], steps));
        ane_asking_answer(a, "%d of %d classes; alloc/init: %s", there, N,
            nil == there ? "nil"
            : nil        ? "some nil"
                         : "objects");
    }
    ane_asked_end(&r);
    return ok;
}

/* ---- chains --------------------------------------------------------------------------------------------------------- */

bool ane_ask_chaining(ane_asking *a, ane_error *e) {
    engine_step steps[ENGINE_MOST_STEPS];
    ane_asked r;
    ane_asking_did(a, "buffers, an output set and a chaining request of a convolution's surfaces, validated; "
                      "then prepareChaining, "
                      "and what follows it");
    bool ok = ane_scaling_begin(&r, a->device, 64, 2, ENGINE_QOS, e);
    int n = ok ? engine_explore_chaining(r.explored, r.in[0], r.out[0], steps) : 0;
    ane_asked_end(&r);
    if (!ok) return false;
    put_steps(a, steps, n);
    const engine_reply *validated = step_of(steps, n, "validate"),
                       *prepared = step_of(steps, n, "prepareChaining");
    if (!validated || !prepared || prepared->said == ENGINE_LATE)
        return ane_fail(
            e, ANE_ERROR_DEVICE, "chaining", "prepareChaining was not asked, or did not come back");
    char how[48];
    if (prepared->said == ENGINE_NO)
        snprintf(how, sizeof how, "fails with Code=%ld", prepared->code);
    else
        snprintf(how, sizeof how, "%s", engine_said_name(prepared->said));
    ane_asking_answer(
        a, "validate: %s; prepareChaining: %s", validated->said == ENGINE_YES ? "YES" : "NO", how);
    return true;
}

/* ---- real time ------------------------------------------------------------------------------------------------------- */

bool ane_ask_real_time(ane_asking *a, ane_error *e) {
    ane_asked r;
    float ratio = 0;
    engine_choices how = engine_usual_choices;
    how.path = ENGINE_PATH_REAL_TIME;
    ane_asking_did(a, "evaluated a convolution of 64 channels through evaluateRealTimeWithModel:, between "
                      "beginRealTimeTask and "
                      "endRealTimeTask of the shared client");
    bool ok = ane_scaling_begin(&r, a->device, 64, 2, ENGINE_QOS, e) && ane_scaling_usual(&r, &ratio, e);
    if (ok) ane_asking_number(a, "standard_ms", ane_asked_ms(&r));
    engine_reply begun = ok ? engine_real_time_begin(r.x) : (engine_reply){0};
    ane_verdict verdict = ok ? ane_scaling_with(&r, &how, &ratio, e) : ANE_TROUBLE;
    if (ok) {
        engine_reply ended = engine_real_time_end(r.x);
        ane_asking_text(a, "beginRealTimeTask", engine_said_name(begun.said));
        ane_asking_text(a, "endRealTimeTask", engine_said_name(ended.said));
        ane_asking_number(a, "real_time_ms", ane_asked_ms(&r));
    }
    ok = verdict != ANE_TROUBLE;
    if (ok && verdict == ANE_WORKS && fabsf(ratio - 2) >= 0.1f)
        ok = ane_fail(e, ANE_ERROR_DEVICE, "evaluate", "it multiplied with %g", (double)ratio);
    if (ok)
        ane_asking_answer(a, "evaluation: %s; task: %s", verdict == ANE_WORKS ? "works" : "refused",
            begun.said == ENGINE_YES ? "granted" : "refused");
    ane_asked_end(&r);
    return ok;
}
