/* requests.c - what may be given with a request: procedure indices, qualities of service, statistics. */
#include "measure/probes/asked.h"
#include "measure/probes/families.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- procedure indices ---------------------------------------------------------------------------------------------- */

/* Append "3" or ", 3". */
static void list_number(char *list, size_t size, int number) {
    size_t n = strlen(list);
    snprintf(list + n, size - n, "%s%d", n ? ", " : "", number);
}

bool ane_ask_procedure_index(ane_asking *a, ane_error *e) {
    enum { RECORDED = 16, TRIED = 17 };
    ane_asked r;
    char refused[120] = "";
    int n_refused = 0;
    ane_asking_did(a,
        "evaluated a convolution of 64 channels with procedureIndex 0 to %d, each beside what it should give",
        RECORDED - 1);
    bool ok = ane_scaling_begin(&r, a->device, 64, 2, ENGINE_QOS, e);
    for (int i = 0; ok && i < TRIED; i++) {
        engine_choices how = engine_usual_choices;
        float ratio = 0;
        how.procedure = (uint64_t)i;
        ane_verdict verdict = ane_scaling_with(&r, &how, &ratio, e);
        ok = verdict != ANE_TROUBLE &&
             (verdict == ANE_REFUSED || fabsf(ratio - 2) < 0.1f ||
                 ane_fail(e, ANE_ERROR_DEVICE, "evaluate", "index %d multiplied with %g", i, (double)ratio));
        if (i >= RECORDED) { /* beyond what was recorded */
            ane_asking_text(a, "index_16", verdict == ANE_WORKS ? "accepted" : "refused");
        } else if (ok && verdict == ANE_REFUSED) {
            list_number(refused, sizeof refused, i);
            n_refused++;
        }
    }
    if (ok && n_refused) ane_asking_answer(a, "refused: %s", refused);
    if (ok && !n_refused) ane_asking_answer(a, "0 to %d accepted", RECORDED - 1);
    ane_asked_end(&r);
    return ok;
}

/* ---- qualities of service ------------------------------------------------------------------------------------------- */

static const unsigned qualities[] = {0, 1, 5, 10, 15, 17, 19, 21, 25, 31, 33, 40, 47, 50, 55, 60, 63};
enum { N_QUALITIES = sizeof qualities / sizeof *qualities, QOS_CHANNELS = 256, EVALUATIONS = 10 };

/* Times of one quality, in ms. */
typedef struct times {
    double compile, load, first, mean, device;
} times;

static bool measure(ane_asked *r, unsigned qos, times *t, ane_error *e) {
    engine_choices how = engine_usual_choices;
    float ratio;
    how.qos = qos;
    if (!ane_asked_request(r, &how, e) || !ane_scaling_run(r, &ratio, e)) return false;
    *t = (times){r->built.compile.host_ms, r->built.load.host_ms, r->ran.host_ms, 0, r->ran.device_ms};
    for (int i = 0; i < EVALUATIONS; i++) {
        if (!ane_scaling_run(r, &ratio, e)) return false;
        t->mean += r->ran.host_ms / EVALUATIONS;
    }
    return fabsf(ratio - 2) < 0.1f ||
           ane_fail(e, ANE_ERROR_DEVICE, "evaluate", "QoS %u multiplied with %g", qos, (double)ratio);
}

/* Compile, load and evaluate with that quality. */
static bool try_quality(ane_asking *a, unsigned qos, times *t, ane_error *e) {
    ane_asked r;
    bool ok = ane_scaling_begin(&r, a->device, QOS_CHANNELS, 2, qos, e) && measure(&r, qos, t, e);
    ane_asked_end(&r);
    return ok;
}

/* A quality that is refused is tried again, the usual one between. */
static bool is_taken(ane_asking *a, unsigned qos, times *t, bool *taken, ane_error *e) {
    ane_error why = {0}, again = {0};
    times usual;
    *taken = try_quality(a, qos, t, &why);
    if (*taken) return true;
    if (!try_quality(a, ENGINE_QOS, &usual, e)) return false;
    return !try_quality(a, qos, t, &again) || ane_fail(e, why.code, why.where, "%s", why.message);
}

static void put_times(json_t *table, unsigned qos, const times *t) {
    json_array_append_new(table,
        json_pack("{s:i, s:f, s:f, s:f, s:f, s:f}", "qos", (int)qos, "compile_ms", t->compile, "load_ms",
            t->load, "first_ms", t->first, "mean_of_10_ms", t->mean, "device_ms", t->device));
}

bool ane_ask_qos(ane_asking *a, ane_error *e) {
    json_t *table = json_array();
    char refused[120] = "";
    times t;
    double shortest = INFINITY, longest = 0;
    bool ok = table != NULL, taken;
    ane_asking_did(a,
        "compiled, loaded and evaluated (once, then %d times) a convolution of %d channels with each of %d "
        "values",
        EVALUATIONS, QOS_CHANNELS, N_QUALITIES);
    for (int i = 0; ok && i < N_QUALITIES; i++) {
        ok = is_taken(a, qualities[i], &t, &taken, e);
        if (ok && !taken) list_number(refused, sizeof refused, (int)qualities[i]);
        if (!ok || !taken) continue;
        put_times(table, qualities[i], &t);
        shortest = fmin(shortest, t.mean);
        longest = fmax(longest, t.mean);
    }
    ane_asking_put(a, "table", table);
    ane_asking_number(a, "slowest_by_fastest", longest / shortest);
    if (ok && refused[0]) ane_asking_answer(a, "refused: %s", refused);
    if (ok && !refused[0]) ane_asking_answer(a, "all %d values from 0 to 63 accepted", N_QUALITIES);
    return ok;
}

/* ---- statistics ------------------------------------------------------------------------------------------------------ */

static const char *const stats_names[ENGINE_N_STATS] = {[ENGINE_STATS_TIME] = "statsWithHardwareExecutionNS",
    [ENGINE_STATS_BUFFER] = "statsWithRequestPerformanceBuffer",
    [ENGINE_STATS_PLAIN] = "alloc, init"};

/* Make statistics that way and evaluate with them: what they then say. *made: whether there is an object. */
static bool try_stats(
    ane_asking *a, ane_asked *r, engine_stats kind, bool *made, bool *counters, ane_error *e) {
    enum { ALL = 0xff };
    engine_choices how = engine_usual_choices;
    float ratio;
    how.stats = kind;
    how.perf_mask = ALL;
    ane_verdict verdict = ane_scaling_with(r, &how, &ratio, e);
    if (verdict == ANE_TROUBLE) return false;
    *made = verdict == ANE_WORKS;
    json_t *said = *made ? engine_request_stats(r->request) : NULL;
    const json_t *found = json_object_get(said, "performanceCounters");
    *counters = *counters || (found && !json_is_null(found));
    ane_asking_put(a, stats_names[kind], said ? said : json_string("nil"));
    return true;
}

bool ane_ask_perf_stats(ane_asking *a, ane_error *e) {
    ane_asked r;
    bool made[ENGINE_N_STATS] = {false}, counters = false;
    ane_asking_did(a, "made _ANEPerformanceStats by alloc/init and by two factories, set perfStatsMask to "
                      "255, evaluated with "
                      "each, read what it then says");
    bool ok = ane_scaling_begin(&r, a->device, 64, 2, ENGINE_QOS, e);
    for (int kind = ENGINE_STATS_TIME; ok && kind < ENGINE_N_STATS; kind++)
        ok = try_stats(a, &r, (engine_stats)kind, &made[kind], &counters, e);
    if (ok)
        ane_asking_answer(a, "alloc/init: %s; factories: %s; performanceCounters: %s",
            made[ENGINE_STATS_PLAIN] ? "an object" : "nil",
            made[ENGINE_STATS_TIME] && made[ENGINE_STATS_BUFFER] ? "objects" : "nil",
            counters ? "there" : "nil");
    ane_asked_end(&r);
    return ok;
}
