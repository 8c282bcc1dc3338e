/* selftest_header.c - which header the compiler takes, and what is told about a program that runs. */
#include "device/ane/foundation.h"
#include "device/ane/probe.h"
#include "device/ane/selftest.h"

#include <stdio.h>

static bool doubles(engine_probe *t, void *context, ane_error *e) {
    (void)context;
    t->in[0].fill = 1.5f;
    mil_value x = engine_probe_input(t, "anemone_x", 16);
    return engine_probe_gives(t, mil_mul_scalar(t->f, x, 2), 3, (int64_t)16 * ENGINE_PROBE_WIDTH, e);
}

bool engine_still_works(void *device) {
    engine_probe t;
    ane_error why = {0};
    bool ok = engine_probe_begin(&t, device, &why) && doubles(&t, NULL, &why);
    engine_probe_end(&t);
    return ok;
}

/* The first that compiles and computes. */
engine_outcome engine_ask_dialect(engine_device *d, engine_finding *found) {
    static const mil_dialect ladder[] = {MIL_IOS18, MIL_IOS17, MIL_IOS16, MIL_IOS18_15};
    for (size_t i = 0; i < sizeof ladder / sizeof *ladder; i++) {
        d->facts.dialect = ladder[i];
        if (!engine_try(d, doubles, NULL, &found->error)) continue;
        found->error = (ane_error){0};
        return engine_answer(found, true, ane_dialect_name(ladder[i]), "");
    }
    return engine_answer(found, false, "", "none that is known");
}

/* modelAttributes -> NetworkStatusList, of a program that was just loaded. */
static bool has_attributes(engine_probe *t, void *context, ane_error *e) {
    const ane_framework *fw = &t->d->fw;
    ane_message get;
    if (!doubles(t, context, e)) return false;
    objc_id model = ane_program_model(t->compiled), status = NULL;
    void *pool = ane_pool_push(fw);
    objc_id attributes = ane_send(fw, model, "modelAttributes", e);
    objc_id key = ane_ns_string(fw, "NetworkStatusList", e);
    if (attributes && key && ane_message_find(fw, attributes, "objectForKey:", &get, e))
        status = ANE_SEND(get, objc_id, (objc_id, objc_selector, objc_id), key);
    ane_pool_pop(fw, pool);
    return status || ane_fail(e, ANE_ERROR_DEVICE, "self-test", "the model's attributes name no ports");
}

engine_outcome engine_ask_attributes(engine_device *d, engine_finding *found) {
    d->facts.attributes = engine_try(d, has_attributes, NULL, &found->error);
    return engine_answer(found, d->facts.attributes, "readable", "empty");
}

static bool is_timed(engine_probe *t, void *context, ane_error *e) {
    if (!doubles(t, context, e)) return false;
    return t->device_ms > 0 || ane_fail(e, ANE_ERROR_DEVICE, "self-test", "no time on the device came back");
}

/* On a Mac runs are given no statistics to fill, since nil is what everybody's working code passes (ane-spec 1.7). */
engine_outcome engine_ask_hardware_time(engine_device *d, engine_finding *found) {
    if (!d->fw.emulated) {
        snprintf(found->answer, sizeof found->answer, "not asked: runs pass no statistics object");
        return ENGINE_NOT_ASKED;
    }
    d->facts.hardware_time = engine_try(d, is_timed, NULL, &found->error);
    return engine_answer(
        found, d->facts.hardware_time, "reported (modelled: this is the emulator)", "not reported");
}
