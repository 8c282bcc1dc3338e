/* prober.c - asking: the device, the control experiment, and the answer beside the recorded one. */
#include "measure/probes/probe.h"

#include "base/clock.h"
#include "measure/probes/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ane_prober_open(ane_prober *p, const char *spec, ane_error *e) {
    *p = (ane_prober){.device = ane_device_open(spec, e)};
    if (!p->device) return false;
    p->engine = strcmp(ane_device_capabilities(p->device)->device, "ane") == 0;
    return true;
}

void ane_prober_close(ane_prober *p) {
    ane_control_free(p->control);
    ane_device_close(p->device);
    *p = (ane_prober){0};
}

/* A machine that gives wrong numbers, before a probe or after it, has no answers; neither has one that compiles nothing any more:
 * what it refused may be right. So the control experiment is compiled anew after each. */
static bool in_order(ane_prober *p, bool anew, ane_error *e) {
    if (!p->engine) return true;
    if (anew) {
        ane_control_free(p->control);
        p->control = NULL;
    }
    if (!p->control) p->control = ane_control_new(p->device, e);
    return p->control && ane_control_run(p->control, e);
}

static bool ask(ane_prober *p, const ane_probe *probe, ane_asking *a, ane_error *e) {
    if (probe->engine && !p->engine) {
        ane_fail(e, ANE_ERROR_UNSUPPORTED, probe->name, "needs the Neural Engine");
        return ane_hint(e, "Use --device ane on a Mac, --device ane:emulator anywhere.");
    }
    *a =
        (ane_asking){.device = p->device, .loaded = p->engine, .engine = p->engine, .details = json_object()};
    if (!a->details) return ane_fail(e, ANE_ERROR_MEMORY, probe->name, "no memory for an answer");
    if (!in_order(p, false, e)) return false;
    bool ok = probe->ask(a, e) && in_order(p, !probe->exhausts, e);
    p->exhausted =
        p->exhausted || (!ok && (e->code == ANE_ERROR_EXHAUSTED || strcmp(e->where, "compile") == 0));
    return ok;
}

/* Where it stands in the record: "ok", or why there is no answer. */
static json_t *entry_of(const ane_probe *probe, const ane_asking *a, bool ok, double ms, const ane_error *e) {
    const char *status = ok ? "ok" : e->code == ANE_ERROR_UNSUPPORTED ? "skipped" : "failed";
    char error[sizeof e->where + sizeof e->message + 2] = "";
    if (!ok) snprintf(error, sizeof error, "%s%s%s", e->where, e->where[0] ? ": " : "", e->message);
    json_t *entry = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:n}", "probe", probe->name, "question",
        probe->question, "did", a->did, "status", status, "error", error, "answer", ok ? a->answer : "",
        "host_ms", ms, "equal");
    if (entry && ok) json_object_set(entry, "details", a->details);
    return entry;
}

static void compare(
    json_t *entry, const ane_prober *p, const ane_probe *probe, const ane_asking *a, bool ok) {
    json_t *all = ane_probe_records(NULL);
    const char *chip = ane_device_capabilities(p->device)->chip;
    const json_t *record = ane_probe_recorded(all, probe->name, chip, p->engine);
    if (record) {
        const char *answer = json_string_value(json_object_get(record, "answer"));
        char source[512];
        snprintf(source, sizeof source, "%s (%s, %s)", json_string_value(json_object_get(record, "source")),
            json_string_value(json_object_get(record, "chip")),
            json_string_value(json_object_get(record, "os")));
        json_object_set_new(entry, "recorded", json_string(answer));
        json_object_set_new(entry, "source", json_string(source));
        if (ok) json_object_set_new(entry, "equal", json_boolean(strcmp(answer, a->answer) == 0));
    }
    json_decref(all);
}

json_t *ane_prober_ask(ane_prober *p, const ane_probe *probe) {
    ane_asking a = {0};
    ane_error e = {0};
    double start = ane_clock_ms();
    bool ok = ask(p, probe, &a, &e);
    json_t *entry = entry_of(probe, &a, ok, ane_clock_ms() - start, &e);
    if (entry) compare(entry, p, probe, &a, ok);
    json_decref(a.details);
    return entry;
}
