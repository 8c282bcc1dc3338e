/* limit.c - how many programs a process gets. What is used up here is gone: this probe comes last. */
#include "measure/probes/asked.h"
#include "measure/probes/families.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 260, CHANNELS = 64 }; /* more than anybody loaded, or compiled without failure (250: PR 23) */

/* One more program, evaluated once. False when it is not compiled or not loaded: then `why` says which. */
static bool add(ane_asked *r, ane_device *device, int number, ane_error *why) {
    float ratio, factor = 1 + 0.125f * (float)(number % 16);
    return ane_scaling_begin(r, device, CHANNELS, factor, ENGINE_QOS, why) &&
           ane_scaling_usual(r, &ratio, why) &&
           (fabsf(ratio - factor) < 0.02f * factor ||
               ane_fail(why, ANE_ERROR_DEVICE, "evaluate", "program %d multiplied with %g instead of %g",
                   number, (double)ratio, (double)factor));
}

/* A limit is refused by the compiler or the loader; what fails otherwise is trouble. */
static bool is_limit(const ane_asked *r) {
    return r->built.compile.said == ENGINE_NO || r->built.load.said == ENGINE_NO;
}

/* Load as many as there can be; *n: how many. *stage: what refused the next one; NULL: nothing did. */
static bool fill_up(ane_device *device, ane_asked *programs, int *n, const char **stage, ane_error *e) {
    ane_error why = {0};
    *stage = NULL;
    for (*n = 0; *n < MOST; (*n)++) {
        if (add(&programs[*n], device, *n, &why)) continue;
        *stage = programs[*n].built.compile.said == ENGINE_NO ? "compile" : "load";
        bool limit = is_limit(&programs[*n]);
        ane_asked_end(&programs[*n]);
        return limit || ane_fail(e, why.code, why.where, "%s", why.message);
    }
    return true;
}

/* With room again, one after the other: how many more until MOST in all; false when something other than a limit stops it. */
static bool go_on(ane_device *device, int compiled, int *more, ane_error *e) {
    for (*more = 0; compiled + *more < MOST; (*more)++) {
        ane_asked r;
        ane_error why = {0};
        bool ok = add(&r, device, *more, &why), limit = !ok && is_limit(&r);
        ane_asked_end(&r);
        if (!ok) return limit || ane_fail(e, why.code, why.where, "%s", why.message);
    }
    return true;
}

bool ane_ask_compile_limit(ane_asking *a, ane_error *e) {
    ane_asked *programs = calloc(MOST, sizeof *programs);
    const char *stage = NULL;
    int n = 0, more = 0;
    ane_asking_did(a,
        "compiled, loaded and evaluated different programs until one was refused, at most %d; unloaded all; "
        "compiled, "
        "loaded and unloaded others, one after the other",
        MOST);
    bool ok = programs ? fill_up(a->device, programs, &n, &stage, e)
                       : ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory for programs");
    for (int i = 0; programs && i < n; i++) ane_asked_end(&programs[i]);
    free(programs);
    ok = ok && go_on(a->device, n, &more, e);
    if (!ok) return false;
    int loaded = n + a->loaded;
    char at_once[32], in_turn[48] = "more";
    snprintf(at_once, sizeof at_once, stage ? "%d" : "%d and more", loaded);
    if (n + more < MOST) snprintf(in_turn, sizeof in_turn, "refused after %d", n + more);
    ane_asking_text(a, "refused_by", stage ? stage : "nothing");
    ane_asking_number(a, "loaded_at_once", loaded);
    ane_asking_number(a, "compiled_in_all", n + more);
    ane_asking_answer(a, "at once: %s; in turn: %s", at_once, in_turn);
    return true;
}
