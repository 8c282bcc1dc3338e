/* bench_eval.c - probe_v2 (PR 23): one program again and again, two in turn, twenty compiled one after another and all loaded,
 * and a compilation beside evaluations. */
#include "base/background.h"
#include "base/clock.h"
#include "measure/modelled.h"
#include "measure/programs.h"
#include "measure/sequence.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 128, POSITIONS = 64, MODELS = 20, QUICK_MODELS = 5 };

/* y = scale * (W x): programs that differ in one constant. */
static mil_program *scaled(ane_bench *b, double scale, ane_error *e) {
    const mil_dtype dtype = b->capabilities->activation_dtype;
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return NULL;
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(dtype, 4, (int64_t[]){1, CHANNELS, 1, POSITIONS}));
    mil_value y = mil_conv(f, x, ane_program_weight(f, CHANNELS, CHANNELS, dtype, NULL, 1));
    mil_output(f, "y", mil_mul_scalar(f, y, scale));
    if (mil_program_ok(p, e)) return p;
    mil_program_free(p);
    return NULL;
}

/* ---- one, and two in turn ------------------------------------------------------------------------------------------ */

static bool evaluation(ane_bench *b, json_t *row, ane_error *e) {
    mil_program *p = scaled(b, 1, e);
    bool ok = p && ane_bench_program(b, p, NULL, row, e);
    mil_program_free(p);
    return ok;
}

static bool ping_pong(ane_bench *b, json_t *row, ane_error *e) {
    ane_sequence q = {.bench = b};
    bool ok = ane_sequence_add(&q, scaled(b, 1, e), e) && ane_sequence_add(&q, scaled(b, 0.5, e), e) &&
              ane_sequence_time(&q, row, e) && ane_sequence_verify(&q, row, e);
    const json_t *device = json_object_get(row, "device_ms");
    if (ok)
        ane_row_metric(row, "ms_per_evaluation", json_number_value(json_object_get(device, "median")) / 2);
    ane_sequence_free(&q);
    return ok;
}

/* ---- twenty ---------------------------------------------------------------------------------------------------------- */

/* The compilations of n programs since `before`. */
static void put_compiles(
    ane_bench *b, ane_device *d, const ane_modelled *before, double *ms, int n, json_t *row) {
    ane_modelled now;
    ane_row_series(row, "compile_ms", ms, n);
    const ane_stats s = ane_stats_of(ms, n);
    const ane_device_counts counts = ane_device_counts_get(d);
    ane_row_times(row, "host_ms", &s);
    ane_row_metric(row, "loaded_at_once", n - (double)counts.evictions);
    if (!ane_modelled_get(b, &now)) return;
    ane_row_metric(row, "modelled_compile_ms", (now.compile_ms - before->compile_ms) / n);
    ane_row_metric(row, "modelled_load_ms", (now.load_ms - before->load_ms) / n);
}

/* Each one's output is looked at when all are there: none took another's place. */
static bool check_all(ane_trial *const *trials, int n, json_t *row, ane_error *e) {
    for (int i = 0; i < n; i++)
        if (!ane_trial_refresh(trials[i], (uint64_t)i, e) || !ane_trial_verify(trials[i], true, row, e))
            return false;
    return true;
}

static bool compiles(ane_bench *b, json_t *row, ane_error *e) {
    ane_trial *trials[MODELS] = {0};
    mil_program *programs[MODELS] = {0};
    double ms[MODELS];
    ane_modelled before = {0};
    const int n = (int)ane_row_int(row, "models");
    ane_device *d = ane_bench_open_with(b, "cache=off", e);
    bool ok = d != NULL;
    ane_modelled_get(b, &before);
    for (int i = 0; i < n && ok; i++) {
        programs[i] = scaled(b, 1 + i / 16.0, e);
        trials[i] = ane_trial_new(b, programs[i], &(ane_trial_options){.device = d}, e);
        ok = trials[i] != NULL;
        if (ok) ms[i] = ane_trial_compile_ms(trials[i]);
    }
    if (ok) put_compiles(b, d, &before, ms, n, row);
    ok = ok && check_all(trials, n, row, e);
    for (int i = 0; i < n; i++) {
        ane_trial_free(trials[i]);
        mil_program_free(programs[i]);
    }
    ane_device_close(d);
    return ok;
}

/* ---- beside ------------------------------------------------------------------------------------------------------------ */

typedef struct beside {
    ane_job job;
    ane_bench *bench;
    ane_device *device;
    mil_program *program;
    ane_trial *trial;
    ane_error error;
    double ms;
    atomic_bool done;
} beside;

static void compile(ane_job *job) {
    beside *c = (beside *)job;
    const double start = ane_clock_ms();
    c->trial = ane_trial_new(c->bench, c->program, &(ane_trial_options){.device = c->device}, &c->error);
    c->ms = ane_clock_ms() - start;
    atomic_store(&c->done, true);
}

/* Evaluations from begin to end of the compilation: how many, and the median of their times in the call. */
static bool evaluate_meanwhile(beside *c, ane_trial *t, ane_stats *host, ane_error *e) {
    const ane_subject s = ane_trial_subject(t);
    ane_samples samples = {0};
    bool ok = true;
    do {
        ane_run_stats stats = {0};
        ok = ane_trial_run(t, &stats, e) && ane_bench_possible(c->bench, &s, stats.device_ms, e) &&
             (ane_samples_add(&samples, stats.host_ms) ||
                 ane_fail(e, ANE_ERROR_MEMORY, "eval", "out of memory"));
    } while (ok && !atomic_load(&c->done));
    if (ok) *host = ane_stats_of(samples.x, samples.n);
    free(samples.x);
    return ok;
}

/* Times of evaluations while something is compiled, beside those that t's row already has. */
static bool overlap(beside *c, ane_trial *t, json_t *row, ane_error *e) {
    ane_background thread;
    ane_stats during = {0};
    if (!ane_background_init(&thread, e)) return false;
    bool ok = ane_background_submit(&thread, &c->job, e);
    if (ok) {
        ok = evaluate_meanwhile(c, t, &during, e);
        ane_background_wait(&thread, &c->job);
    }
    ane_background_destroy(&thread);
    if (!ok) return false;
    if (!c->trial) {
        *e = c->error;
        return false;
    }
    const json_t *host = json_object_get(row, "host_ms");
    const double alone = json_number_value(json_object_get(host, "median"));
    ane_row_metric(row, "compile_beside_ms", c->ms);
    ane_row_metric(row, "evaluations_beside", during.n);
    ane_row_metric(row, "call_beside_ms", during.median);
    ane_row_metric(row, "slowdown", during.median / alone);
    return true;
}

/* What was compiled beside is right, and so is what ran meanwhile. */
static bool measure_overlap(beside *c, ane_trial *t, json_t *row, ane_error *e) {
    const ane_subject s = ane_trial_subject(t);
    ane_times times;
    if (!ane_bench_warm(c->bench, &s, e) || !ane_trial_refresh(t, 1, e) ||
        !ane_bench_repeat(c->bench, &s, &times, e))
        return false;
    ane_bench_put_times(c->bench, row, &times, ane_trial_flops(t));
    ane_row_metric(row, "compile_alone_ms", ane_trial_compile_ms(t));
    return ane_trial_refresh(t, 2, e) && overlap(c, t, row, e) && ane_trial_verify(t, false, row, e) &&
           ane_trial_refresh(c->trial, 3, e) && ane_trial_verify(c->trial, true, row, e);
}

static bool compile_beside(ane_bench *b, json_t *row, ane_error *e) {
    beside c = {.job = {.work = compile}, .bench = b, .device = ane_bench_open_with(b, "cache=off", e)};
    mil_program *p = c.device ? scaled(b, 1, e) : NULL;
    c.program = p ? scaled(b, 2, e) : NULL;
    ane_trial *t = c.program ? ane_trial_new(b, p, &(ane_trial_options){.device = c.device}, e) : NULL;
    bool ok = t && measure_overlap(&c, t, row, e);
    ane_trial_free(c.trial);
    ane_trial_free(t);
    mil_program_free(c.program);
    mil_program_free(p);
    ane_device_close(c.device);
    return ok;
}

/* ---- the cases ---------------------------------------------------------------------------------------------------------- */

static const struct way {
    const char *name;
    bool (*run)(ane_bench *b, json_t *row, ane_error *e);
} ways[] = {
    {"evaluation", evaluation},
    {"ping-pong", ping_pong},
    {"compiles", compiles},
    {"compile-beside", compile_beside},
};
enum { N_WAYS = sizeof ways / sizeof *ways };

static void cases(ane_bench *b, json_t *list) {
    for (int i = 0; i < N_WAYS; i++) {
        json_t *config =
            json_pack("{s:s, s:i, s:i}", "way", ways[i].name, "channels", CHANNELS, "positions", POSITIONS);
        if (ways[i].run == compiles)
            json_object_set_new(config, "models", json_integer(b->options.quick ? QUICK_MODELS : MODELS));
        ane_case_add(list, config, "%s", ways[i].name);
    }
}

static bool run(ane_bench *b, json_t *row, ane_error *e) {
    for (int i = 0; i < N_WAYS; i++)
        if (strcmp(ways[i].name, ane_row_text(row, "way")) == 0) return ways[i].run(b, row, e);
    return ane_fail(e, ANE_ERROR_ARGUMENT, "eval", "there is no way \"%s\"", ane_row_text(row, "way"));
}

const ane_benchmark ane_bench_eval = {
    .info = {"eval", "evaluating one program and two in turn; compiling twenty; compiling beside",
        "probe_v2"},
    .cases = cases,
    .run = run,
};
