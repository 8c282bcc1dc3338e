/* selftest_limits.c - the largest dimensions, and how many programs stay loaded. */
#include "device/ane/foundation.h"
#include "device/ane/probe.h"
#include "device/ane/selftest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- dimensions -------------------------------------------------------------------------------------------------- */

/* One row of that width. */
static bool is_wide(engine_probe *t, void *context, ane_error *e) {
    int64_t width = *(const int64_t *)context, bytes = 2 * width, least = t->d->facts.min_surface;
    t->in[0].fill = 1.5f;
    t->in[0].bytes = t->out[0].bytes = bytes > least ? bytes : least;
    mil_value x = mil_input(t->f, "anemone_x", mil_tensor(MIL_FP16, 4, (int64_t[]){1, 1, 1, width}));
    return engine_probe_gives(t, mil_mul_scalar(t->f, x, 2), 3, width, e);
}

/* As many channels, of the narrowest rows. */
static bool is_deep(engine_probe *t, void *context, ane_error *e) {
    int64_t channels = *(const int64_t *)context, width = t->d->facts.row_alignment / 2;
    t->in[0].fill = 1.5f;
    t->in[0].bytes = t->out[0].bytes = channels * t->d->facts.row_alignment;
    mil_value x = mil_input(t->f, "anemone_x", mil_tensor(MIL_FP16, 4, (int64_t[]){1, channels, 1, width}));
    return engine_probe_gives(t, mil_mul_scalar(t->f, x, 2), 3, channels * width, e);
}

/* Down the ladder to the first that works. */
static engine_outcome find_largest(
    engine_device *d, engine_attempt *works, int64_t *largest, engine_finding *found) {
    static const int64_t ladder[] = {65536, 32768, 16384, 8192, 4096};
    bool proven = false;
    for (size_t i = 0; !proven && i < sizeof ladder / sizeof *ladder; i++) {
        int64_t n = ladder[i];
        proven = engine_try(d, works, &n, &found->error);
        *largest = n;
    }
    snprintf(found->answer, sizeof found->answer, "%lld", (long long)*largest);
    return engine_answer(found, proven, NULL, NULL);
}

engine_outcome engine_ask_max_width(engine_device *d, engine_finding *found) {
    return find_largest(d, is_wide, &d->facts.max_width, found);
}

engine_outcome engine_ask_max_channels(engine_device *d, engine_finding *found) {
    return find_largest(d, is_deep, &d->facts.max_channels, found);
}

/* ---- loaded programs ---------------------------------------------------------------------------------------------- */

enum { MOST_COPIES = 128, QOS = 21 };

/* Models of one program that was compiled: each is loaded from the files that compiling left, so that no compilation
 * is used up. */
typedef struct copies {
    const ane_framework *fw;
    objc_id descriptor, options;
    int n;
    objc_id model[MOST_COPIES];
} copies;

static bool order(const copies *c, objc_id model, const char *selector, ane_error *e) {
    ane_message m;
    objc_id error = NULL;
    if (!ane_message_find(c->fw, model, selector, &m, e)) return false;
    objc_bool ok = ANE_SEND(
        m, objc_bool, (objc_id, objc_selector, unsigned, objc_id, objc_id *), QOS, c->options, &error);
    return ok || ane_ns_report(c->fw, "load", error, e);
}

static void drop(copies *c) {
    ane_message m;
    objc_id error = NULL, model = c->model[--c->n];
    if (ane_message_find(c->fw, model, "unloadWithQoS:error:", &m, NULL))
        (void)ANE_SEND(m, objc_bool, (objc_id, objc_selector, unsigned, objc_id *), QOS, &error);
    ane_release(c->fw, model);
}

/* One more. */
static bool add(copies *c, ane_error *e) {
    ane_message m;
    objc_id class = ane_class(c->fw, "_ANEInMemoryModel", e), model = NULL;
    if (class && ane_message_find(c->fw, class, "inMemoryModelWithDescriptor:", &m, e))
        model = ane_retain(c->fw, ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id), c->descriptor));
    if (!model) return ane_fail(e, ANE_ERROR_DEVICE, "self-test", "no second model of one program");
    if (order(c, model, "loadWithQoS:options:error:", e)) {
        c->model[c->n++] = model;
        return true;
    }
    ane_release(c->fw, model);
    return false;
}

/* A limit is what comes back: no more can be loaded, one less can, and then no more again. */
static bool is_limit(copies *c, ane_error *e) {
    ane_error why = {0};
    if (c->n == 0) return ane_fail(e, ANE_ERROR_DEVICE, "self-test", "no program can be loaded twice");
    drop(c);
    if (!add(c, e)) return false;
    return !add(c, &why) || ane_fail(e, ANE_ERROR_DEVICE, "self-test", "loading failed once, and then not");
}

/* *count: how many were loaded; *ended: by a limit. */
typedef struct loading {
    int count;
    bool ended;
} loading;

static bool fill_up(copies *c, loading *result, ane_error *e) {
    ane_error why = {0};
    int failures = 0; /* in a row: one may pass */
    while (c->n < MOST_COPIES - 1 && failures < 2) failures = add(c, &why) ? 0 : failures + 1;
    result->ended = failures > 0;
    result->count = 1 + c->n; /* and the one that was compiled */
    return !result->ended || is_limit(c, e);
}

static bool count_copies(engine_probe *t, void *context, ane_error *e) {
    ane_message m;
    copies c = {.fw = &t->d->fw};
    mil_value x = engine_probe_input(t, "anemone_x", 1);
    char *text = engine_probe_text(t, mil_mul_scalar(t->f, x, 2), e);
    bool ok = text && engine_probe_compile_text(t, text, 0, NULL, e);
    void *pool = ane_pool_push(c.fw);
    objc_id class = ok ? ane_class(c.fw, "_ANEInMemoryModelDescriptor", e) : NULL;
    objc_id data = class ? ane_ns_data(c.fw, text, strlen(text), e) : NULL;
    c.options = ane_ns_dictionary(c.fw, NULL, NULL, 0, e);
    if (data && c.options && ane_message_find(c.fw, class, "modelWithMILText:weights:optionsPlist:", &m, e))
        c.descriptor =
            ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id, objc_id, objc_id), data, c.options, NULL);
    ok = c.descriptor ? fill_up(&c, context, e)
                      : ane_fail(e, ANE_ERROR_DEVICE, "self-test", "no descriptor for a second model");
    while (c.n) drop(&c);
    ane_pool_pop(c.fw, pool);
    free(text);
    return ok;
}

engine_outcome engine_ask_loaded_programs(engine_device *d, engine_finding *found) {
    loading result = {0, false};
    if (!engine_try(d, count_copies, &result, &found->error))
        return engine_answer(found, false, "", "unknown");
    d->facts.loaded_programs = result.count;
    snprintf(found->answer, sizeof found->answer, "%d%s", result.count, result.ended ? "" : " and more");
    return engine_answer(found, true, NULL, NULL);
}

engine_outcome engine_ask_max_compiles(engine_device *d, engine_finding *found) {
    (void)d;
    strcpy(found->answer, "not asked: it would be used up");
    return ENGINE_NOT_ASKED;
}
