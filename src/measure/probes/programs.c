/* programs.c - compiled programs: kept for later, and compiled beside others that run. */
#include "base/background.h"
#include "base/clock.h"
#include "base/file.h"
#include "device/ane/device.h"
#include "device/ane/explore.h"
#include "device/ane/probe.h"
#include "measure/probes/asked.h"
#include "measure/probes/families.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the cache of compiled programs -------------------------------------------------------------------------------- */

/* Compile a doubling, or take it from the device's cache, and run it on `fill`; *ms: until it was loaded. */
static bool compile_and_run(engine_device *d, float fill, double *ms, ane_error *e) {
    engine_probe t;
    bool ok = engine_probe_begin(&t, d, e);
    if (ok) {
        mil_output(t.f, "result", mil_mul_scalar(t.f, engine_probe_input(&t, "anemone_x", 16), 2));
        ok = mil_program_ok(t.program, e);
        t.in[0].fill = fill;
    }
    char *text = ok ? mil_print(t.program, e) : NULL;
    double start = ane_clock_ms();
    if (text) t.compiled = ane_program_new(&d->budget, text, 0, NULL, true, e);
    *ms = ane_clock_ms() - start;
    ok = t.compiled && engine_probe_run(&t, e) &&
         engine_probe_holds(&t, 0, 2 * fill, (int64_t)16 * ENGINE_PROBE_WIDTH, e);
    engine_probe_end(&t);
    free(text);
    return ok;
}

/* A cache of its own below the system's temporary folder, in place of the device's while it is asked. */
static bool ask_cache(ane_asking *a, engine_device *d, char *folder, ane_error *e) {
    ane_program_cache *usual = d->budget.cache;
    ane_program_cache own = {.store = {.folder = folder, .max_bytes = 1 << 24}, .machine = "probe"};
    double compile_ms = 0, recall_ms = 0;
    d->budget.cache = &own;
    bool ok = compile_and_run(d, 1.5f, &compile_ms, e) && compile_and_run(d, 2.5f, &recall_ms, e);
    d->budget.cache = usual;
    ane_asking_number(a, "compile_ms", compile_ms);
    ane_asking_number(a, "recall_ms", recall_ms);
    if (!ok) return false;
    ane_asking_number(a, "hits", (double)atomic_load(&own.hits));
    if (atomic_load(&own.misses) < 1)
        return ane_fail(e, ANE_ERROR_DEVICE, "cache", "an empty cache had the program");
    bool hit = atomic_load(&own.hits) == 1 && atomic_load(&own.failures) == 0;
    ane_asking_answer(a, "%s", hit ? "loads without compiling" : "must be compiled again");
    return true;
}

bool ane_ask_cache(ane_asking *a, ane_error *e) {
    char folder[256];
    const char *base = getenv("TMPDIR");
    engine_device *d = engine_explore(a->device, e);
    ane_asking_did(a, "compiled a program, kept what the compiler left in its folder (net.plist, data), put "
                      "that into the folder of an "
                      "equal program, loaded it without compiling, evaluated it on other numbers");
    snprintf(folder, sizeof folder, "%s/anemone-probe-XXXXXX", base && *base ? base : "/tmp");
    if (!d) return false;
    if (!mkdtemp(folder)) return ane_fail(e, ANE_ERROR_IO, folder, "cannot make a folder");
    bool ok = ask_cache(a, d, folder, e);
    ane_remove_tree(folder, NULL);
    return ok;
}

/* ---- two threads ----------------------------------------------------------------------------------------------------- */

enum { CHANNELS = 128, ALONE = 20, BESIDE = 20, MOST = 100000, PROGRAMS = 3 };

/* Programs compiled by another thread, each evaluated there when it is loaded. */
typedef struct compiling {
    ane_job job;
    ane_device *device;
    atomic_bool done;
    bool ok;
    double ms;
    ane_error error;
} compiling;

static bool is_near(float x, float y) {
    return fabsf(x - y) < 0.1f;
}

static void compile(ane_job *job) {
    compiling *c = (compiling *)job;
    c->ok = true;
    for (int i = 0; c->ok && i < PROGRAMS; i++) {
        ane_asked r;
        float ratio = 0;
        c->ok = ane_scaling_begin(&r, c->device, CHANNELS, (float)(i + 2), ENGINE_QOS, &c->error) &&
                ane_scaling_usual(&r, &ratio, &c->error);
        if (c->ok && !is_near(ratio, (float)(i + 2)))
            c->ok = ane_fail(
                &c->error, ANE_ERROR_DEVICE, "evaluate", "a new program multiplied with %g", (double)ratio);
        c->ms += r.built.compile.host_ms;
        ane_asked_end(&r);
    }
    atomic_store(&c->done, true);
}

/* Evaluate at least `least` times, and until the other thread is done: how often, and the mean time. */
static bool evaluate(ane_asked *r, compiling *c, int least, int *times, double *mean, ane_error *e) {
    double sum = 0;
    float ratio;
    int n = 0;
    for (; n < least || (c && n < MOST && !atomic_load(&c->done)); n++) {
        double start = ane_clock_ms();
        if (!ane_scaling_run(r, &ratio, e)) return false;
        sum += ane_clock_ms() - start;
        if (!is_near(ratio, 1))
            return ane_fail(e, ANE_ERROR_DEVICE, "evaluate", "identity multiplied with %g", (double)ratio);
    }
    *times = n;
    *mean = sum / n;
    return true;
}

static bool both(ane_asking *a, ane_asked *r, ane_background *background, ane_error *e) {
    compiling c = {.job = {.work = compile}, .device = a->device};
    int alone, beside;
    double alone_ms, beside_ms;
    atomic_init(&c.done, false);
    if (!evaluate(r, NULL, ALONE, &alone, &alone_ms, e) || !ane_background_submit(background, &c.job, e))
        return false;
    bool ok = evaluate(r, &c, BESIDE, &beside, &beside_ms, e);
    ane_background_wait(background, &c.job);
    if (!ok) return false;
    if (!c.ok) return ane_fail(e, c.error.code, c.error.where, "%s", c.error.message);
    ane_asking_number(a, "evaluations_beside_compiling", beside);
    ane_asking_number(a, "compiling_ms", c.ms);
    ane_asking_number(a, "evaluation_alone_ms", alone_ms);
    ane_asking_number(a, "evaluation_beside_ms", beside_ms);
    ane_asking_answer(a, "both right at once");
    return true;
}

bool ane_ask_concurrency(ane_asking *a, ane_error *e) {
    ane_asked r;
    ane_background background;
    ane_asking_did(a,
        "evaluated a convolution of %d channels while another thread compiled %d others and evaluated each; "
        "all results "
        "checked",
        CHANNELS, PROGRAMS);
    if (!ane_background_init(&background, e)) return false;
    bool ok = ane_scaling_begin(&r, a->device, CHANNELS, 1, ENGINE_QOS, e) &&
              ane_asked_request(&r, &engine_usual_choices, e) && both(a, &r, &background, e);
    ane_asked_end(&r);
    ane_background_destroy(&background);
    return ok;
}
