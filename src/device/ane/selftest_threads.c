/* selftest_threads.c - evaluating on one thread while another compiles: baked weights with two sets want that. */
#include "base/clock.h"
#include "base/decimal.h"
#include "device/ane/probe.h"
#include "device/ane/selftest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { ROWS = 16, ELEMENTS = ROWS * ENGINE_PROBE_WIDTH, ALONE = 8, BESIDE = 2, MOST = 4096 };

typedef struct compiler {
    engine_device *d;
    atomic_bool done;
    bool ok;
    ane_error error;
} compiler;

static bool doubles(engine_probe *t, void *context, ane_error *e) {
    (void)context;
    t->in[0].fill = 1.5f;
    mil_value x = engine_probe_input(t, "anemone_x", ROWS);
    return engine_probe_gives(t, mil_mul_scalar(t->f, x, 2), 3, ELEMENTS, e);
}

static void *compile_some(void *context) {
    compiler *c = context;
    c->ok = true;
    for (int i = 0; c->ok && i < BESIDE; i++) c->ok = engine_try(c->d, doubles, NULL, &c->error);
    atomic_store(&c->done, true);
    return NULL;
}

/* Evaluate again; *ms: how long it took. */
static bool again(engine_probe *t, double *ms, ane_error *e) {
    double start = ane_clock_ms();
    bool ok = engine_probe_run(t, e) && engine_probe_holds(t, 0, 3, ELEMENTS, e);
    *ms = ane_clock_ms() - start;
    return ok;
}

/* At least ALONE evaluations beside `c`, and until it is done; *ms: the mean time. */
static bool evaluate_beside(engine_probe *t, const compiler *c, double *ms, ane_error *e) {
    double one, sum = 0;
    int n = 0;
    for (; n < ALONE || (n < MOST && !atomic_load(&c->done)); n++) {
        if (!again(t, &one, e)) return false;
        sum += one;
    }
    *ms = sum / n;
    return true;
}

/* *slower: the time of an evaluation beside a compilation, in units of the time alone. */
static bool both(engine_probe *t, void *slower, ane_error *e) {
    compiler c = {.d = t->d};
    pthread_t thread;
    double alone, beside;
    atomic_init(&c.done, true);
    if (!doubles(t, NULL, e) || !evaluate_beside(t, &c, &alone, e)) return false;
    atomic_store(&c.done, false);
    if (pthread_create(&thread, NULL, compile_some, &c) != 0)
        return ane_fail(e, ANE_ERROR_MEMORY, "self-test", "no second thread");
    bool ok = evaluate_beside(t, &c, &beside, e);
    pthread_join(thread, NULL);
    *(double *)slower = beside / (alone > 0 ? alone : 1);
    return ok && (c.ok || ane_fail(e, c.error.code, c.error.where, "%s", c.error.message));
}

engine_outcome engine_ask_concurrent(engine_device *d, engine_finding *found) {
    double slower = 0;
    d->facts.concurrent = engine_try(d, both, &slower, &found->error);
    ane_print(found->answer, sizeof found->answer, "yes, in %.1f times the time", slower);
    return d->facts.concurrent ? engine_answer(found, true, NULL, NULL)
                               : engine_answer(found, false, "", "not proven");
}
