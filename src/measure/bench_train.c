/* bench_train.c - a training step by the designs of the field, with the efficiency report: how long, at what rate, how much of
 * the chip, how much of it compiling, and every component (train_large, train_large_ane, train_double_buffer, the dynamic
 * pipeline, PR 22). */
#include "measure/harness.h"
#include "measure/modelled.h"
#include "measure/training.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VERIFIED_STEPS = 2, RECORDED_ACCUMULATION = 10, OPTIMIZER_RUNS = 3 };
static const double TOLERANCE = 0.005; /* of a loss, relative */

/* A step is a micro-step and its share of the update behind every few of them. */
typedef struct measured {
    ane_bench *bench;
    ane_training t;
    ane_training_times micro; /* with the weights where they should be already */
    int accumulate;
    double optimizer_ms, staging_ms, compile_ms; /* of one update */
    bool device_head, device_norms;
} measured;

static bool on_cpu(const ane_bench *b) {
    return strcmp(b->capabilities->device, "cpu") == 0;
}

/* ---- the same steps on the reference ------------------------------------------------------------------------------- */

static bool two_losses(ane_training *t, double *loss, ane_error *e) {
    ane_training_times ignored;
    if (!ane_training_micro_step(t, &ignored, e)) return false;
    loss[0] = t->loss;
    if (!ane_training_optimize(t, &ignored, e) || !ane_training_tell(t, &ignored, e) ||
        !ane_training_micro_step(t, &ignored, e))
        return false;
    loss[1] = t->loss;
    return true;
}

/* On the reference; weights one update old where the recipe has them so, but for a head on the host. */
static bool compare(
    const measured *m, const ane_recipe *recipe, const double *loss, json_t *row, ane_error *e) {
    const bool late = recipe && strcmp(recipe->weights, "baked-async") == 0;
    char spec[96];
    snprintf(spec, sizeof spec, "%s%s", ane_reference_spec(m->bench), late ? ",weights=late" : "");
    ane_training reference;
    double wanted[VERIFIED_STEPS], worst = 0;
    bool ok = ane_training_open(&reference, spec, &m->t.weights->config, m->t.batch, m->t.seq,
                  late ? &recipe->placement : NULL, e) &&
              two_losses(&reference, wanted, e);
    ane_training_close(&reference);
    if (!ok) return false;
    for (int i = 0; i < VERIFIED_STEPS; i++) worst = fmax(worst, fabs(loss[i] / wanted[i] - 1));
    ane_row_verified(row, spec, worst, TOLERANCE);
    ane_row_series(row, "loss", loss, VERIFIED_STEPS);
    if (worst <= TOLERANCE) return true;
    return ane_fail(e, ANE_ERROR_NUMERIC, "verification",
        "losses %.5f and, after an update, %.5f; %s gives %.5f and %.5f", loss[0], loss[1], spec, wanted[0],
        wanted[1]);
}

/* ---- the report ---------------------------------------------------------------------------------------------------- */

typedef struct component {
    const char *name;
    double ms; /* of a step */
} component;

/* Where the device is the host, by what is computed. */
static int cpu_components(const measured *m, component *c) {
    const ane_network_timers *n = &m->micro.network;
    const component all[] = {{"embedding", n->embedding}, {"forward", n->forward}, {"head", n->head},
        {"loss", n->loss}, {"backward", n->backward + n->norms},
        {"weight gradients", n->products + n->waiting}, {"scatter", n->scatter},
        {"optimizer", m->optimizer_ms / m->accumulate}};
    memcpy(c, all, sizeof all);
    return (int)(sizeof all / sizeof *all);
}

/* Else by who works: the device, and what the host does for it and beside it. Calls: what a real device's evaluations take
 * beyond its own time; an emulator's are its computing. */
static int engine_components(const measured *m, component *c) {
    const ane_network_timers *n = &m->micro.network;
    const ane_device_counts *d = &m->micro.device;
    const component all[] = {{"device", d->device_ms},
        {"calls", d->modelled ? 0 : d->evaluating_ms - d->device_ms}, {"copying", d->copying_ms},
        {"staging", m->staging_ms / m->accumulate}, {"embedding", n->embedding},
        {"head", m->device_head ? 0 : n->head}, {"loss", n->loss}, {"norms", m->device_norms ? 0 : n->norms},
        {"weight gradients", n->products + n->waiting}, {"scatter", n->scatter},
        {"optimizer", m->optimizer_ms / m->accumulate}};
    memcpy(c, all, sizeof all);
    return (int)(sizeof all / sizeof *all);
}

/* A step of an emulated machine is the sum of its parts, some modelled, some measured on this computer; any other is what the
 * clock says, and what no part accounts for is "other". */
static double put_parts(const measured *m, double micro_ms, json_t *row) {
    component c[16];
    const int n = on_cpu(m->bench) ? cpu_components(m, c) : engine_components(m, c);
    double sum = 0, step = micro_ms + (m->optimizer_ms + m->staging_ms) / m->accumulate;
    for (int i = 0; i < n; i++) {
        ane_row_part(row, c[i].name, c[i].ms);
        sum += c[i].ms;
    }
    if (m->micro.device.modelled) return sum;
    ane_row_part(row, "other", fmax(0, step - sum));
    return step;
}

static void put_report(const measured *m, double micro_ms, bool compiles_beside, json_t *row) {
    const double step = put_parts(m, micro_ms, row), device_flops = m->micro.device.flops;
    const double updates = m->compile_ms + m->accumulate * step; /* from one to the next */
    const double tokens = (double)m->t.batch * m->t.seq;
    ane_row_metric(row, "step_ms", step);
    ane_row_metric(row, "tokens_per_second", 1e3 * tokens / step);
    ane_row_metric(row, "total_tflops", ane_network_step_flops(m->t.network) / step * 1e-9);
    ane_row_metric(row, "device_tflops", device_flops / step * 1e-9);
    if (m->bench->peak_gflops > 0)
        ane_row_metric(row, "utilisation_percent", 1e-4 * device_flops / step / m->bench->peak_gflops);
    ane_row_metric(row, "dispatches", (double)m->micro.device.runs);
    ane_row_metric(row, "update_ms", m->optimizer_ms + m->staging_ms);
    if (on_cpu(m->bench)) return;
    ane_row_metric(row, "compile_ms", m->compile_ms);
    if (compiles_beside) {
        const double stall = fmax(0, m->compile_ms - m->accumulate * step);
        ane_row_metric(row, "stall_ms", stall);
        ane_row_metric(row, "compile_percent", 100 * stall / (stall + m->accumulate * step));
    } else
        ane_row_metric(row, "compile_percent", 100 * m->compile_ms / updates);
}

/* ---- running ------------------------------------------------------------------------------------------------------- */

/* An ane_subject's `run`. */
static bool run_micro(void *context, ane_run_stats *stats, ane_error *e) {
    measured *m = context;
    if (!ane_training_micro_step(&m->t, &m->micro, e)) return false;
    const bool host = on_cpu(m->bench);
    *stats = (ane_run_stats){.host_ms = m->micro.ms,
        .device_ms = host ? m->micro.ms : m->micro.device.device_ms,
        .modelled = m->micro.device.modelled};
    return true;
}

/* The first step compiles what the weights are baked into: so does every update. */
static bool first_steps(measured *m, const ane_recipe *recipe, json_t *row, ane_error *e) {
    ane_training_times first;
    ane_modelled before = {0}, after = {0};
    double loss[VERIFIED_STEPS];
    bool modelled = ane_modelled_get(m->bench, &before);
    if (!ane_training_micro_step(&m->t, &first, e)) return false;
    loss[0] = m->t.loss;
    m->compile_ms = first.device.compiling_ms;
    if (modelled && ane_modelled_get(m->bench, &after))
        m->compile_ms = after.compile_ms - before.compile_ms + after.load_ms - before.load_ms;
    ane_training_times told;
    if (!ane_training_optimize(&m->t, &first, e) || !ane_training_tell(&m->t, &told, e) ||
        !ane_training_micro_step(&m->t, &m->micro, e))
        return false;
    loss[1] = m->t.loss;
    m->staging_ms = told.device.staging_ms + m->micro.device.staging_ms;
    return compare(m, recipe, loss, row, e);
}

/* Behind everything else: what it does to the weights, nobody sees. Not the first time, which touches new memory. */
static bool time_optimizer(measured *m, ane_error *e) {
    double ms[OPTIMIZER_RUNS];
    for (int i = 0; i < OPTIMIZER_RUNS; i++) {
        ane_training_times times;
        if (!ane_training_optimize(&m->t, &times, e)) return false;
        ms[i] = times.ms;
    }
    m->optimizer_ms = ane_stats_of(ms, OPTIMIZER_RUNS).median;
    return true;
}

static bool measure(measured *m, const ane_recipe *recipe, json_t *row, ane_error *e) {
    const ane_placement placed = ane_network_placement(m->t.network);
    m->device_head = placed.head == ANE_PLACE_DEVICE;
    m->device_norms = placed.norms_backward == ANE_PLACE_DEVICE;
    if (!first_steps(m, recipe, row, e)) return false;
    const ane_subject s = {.run = run_micro, .context = m, .flops = m->micro.device.flops};
    ane_times times;
    if (!ane_bench_repeat(m->bench, &s, &times, e)) return false;
    if (!time_optimizer(m, e)) return false;
    ane_bench_put_times(m->bench, row, &times, m->micro.device.flops);
    put_report(m, times.host.median, recipe && strcmp(recipe->weights, "baked-async") == 0, row);
    return true;
}

static bool run(ane_bench *b, json_t *row, ane_error *e) {
    measured m = {.bench = b, .accumulate = (int)ane_row_int(row, "accumulate")};
    const ane_recipe *recipe = ane_recipe_find(ane_row_text(row, "recipe"));
    ane_model_config c;
    char spec[1024];
    if (!ane_model_preset(&c, ane_row_text(row, "model"), e)) return false;
    snprintf(spec, sizeof spec, recipe ? "%.900s%cweights=%s" : "%.900s", b->spec,
        strchr(b->spec, ':') ? ',' : ':', recipe ? recipe->weights : "");
    bool ok = ane_training_open(&m.t, spec, &c, (int32_t)ane_row_int(row, "batch"),
                  (int32_t)ane_row_int(row, "seq"), recipe ? &recipe->placement : NULL, e) &&
              measure(&m, recipe, row, e);
    ane_training_close(&m.t);
    return ok;
}

/* ---- the cases ------------------------------------------------------------------------------------------------------ */

static json_t *config(const char *model, int seq, int accumulate) {
    return json_pack(
        "{s:s, s:i, s:i, s:i}", "model", model, "batch", 1, "seq", seq, "accumulate", accumulate);
}

static void recipe_cases(const char *model, int seq, bool quick, json_t *list) {
    int n;
    const ane_recipe *recipes = ane_recipes(&n);
    for (int i = 0; i < n; i++) {
        if (quick && strcmp(recipes[i].name, "static") != 0 && strcmp(recipes[i].name, "packed") != 0)
            continue;
        json_t *c = config(model, seq, RECORDED_ACCUMULATION);
        json_object_set_new(c, "recipe", json_string(recipes[i].name));
        ane_case_add(list, c, "%s-%s", recipes[i].name, model);
    }
}

static void cases(ane_bench *b, json_t *list) {
    static const struct {
        const char *name;
        int seq;
        bool quick;
    } models[] = {{"stories260k", 64, true}, {"stories15m", 256, false}, {"stories110m", 256, false}};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        if (b->options.quick != models[i].quick) continue;
        if (on_cpu(b))
            ane_case_add(list, config(models[i].name, models[i].seq, 1), "%s", models[i].name);
        else
            recipe_cases(models[i].name, models[i].seq, models[i].quick, list);
    }
}

const ane_benchmark ane_bench_train = {
    .info = {"train", "a training step by the designs of the field, and where its time goes",
        "train_large, train_large_ane, train_double_buffer, training_dynamic"},
    .cases = cases,
    .run = run,
};
