/* bench_single_layer.c - how one layer's training step became fast (seed 002's table), stage by stage. */
#include "base/clock.h"
#include "measure/check.h"
#include "measure/layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct stage {
    const char *name;
    bool quick;
    ane_layer_ways ways;
} stages[] = {
    {"baseline", true, {.host_norms = true, .token_first = true, .plain_norms = true}},
    {"channel-first", false, {.host_norms = true, .plain_norms = true}},
    {"vdsp-rmsnorm", false, {.host_norms = true}},
    {"async-cblas", false, {.host_norms = true, .beside = true}},
    {"ane-rmsnorm", false, {.beside = true}},
    {"wo-fusion", false, {.beside = true, .whole = true}},
    {"deferred-wait", true, {.beside = true, .whole = true, .deferred = true}},
};
enum { N_STAGES = sizeof stages / sizeof *stages };

typedef struct measured {
    ane_bench *bench;
    ane_layer layer;
    ane_device_counts counts; /* of the last step */
} measured;

/* An ane_subject's `run`. */
static bool run_step(void *context, ane_run_stats *stats, ane_error *e) {
    measured *m = context;
    const ane_device_counts before = ane_device_counts_get(m->bench->device);
    const double start = ane_clock_ms();
    if (!ane_layer_step(&m->layer, e)) return false;
    stats->host_ms = ane_clock_ms() - start;
    const ane_device_counts after = ane_device_counts_get(m->bench->device);
    m->counts = ane_device_counts_since(&after, &before);
    stats->modelled = m->counts.modelled;
    stats->device_ms = m->counts.device_ms;
    return true;
}

/* ---- verifying ------------------------------------------------------------------------------------------------------ */

/* d(x), then the gradients of all the block's weights, of one step with fresh numbers. Caller frees. */
static float *gradients_of(ane_layer *l, int64_t *n, ane_error *e) {
    const int64_t dx = mil_type_count(ane_buffer_type(l->d[0]));
    *n = dx + l->gradients->count;
    float *all = calloc((size_t)*n, sizeof *all);
    bool ok = all != NULL || ane_fail(e, ANE_ERROR_MEMORY, "single-layer", "out of memory");
    ok = ok && ane_layer_refresh(l, 1, e) && ane_layer_step(l, e) && ane_layer_finish(l, e) &&
         ane_buffer_read_f32(l->d[0], all, dx, e);
    if (ok) memcpy(all + dx, l->gradients->data, (size_t)l->gradients->count * sizeof *all);
    if (ok) return all;
    free(all);
    return NULL;
}

/* The last stage, on the reference, says what every stage must give. */
static bool verify(measured *m, json_t *row, ane_error *e) {
    int64_t n = 0, count = 0;
    ane_layer reference = {0};
    const char *against = ane_reference_spec(m->bench);
    ane_device *cpu = ane_device_open(against, e);
    float *found = gradients_of(&m->layer, &n, e), *wanted = NULL;
    if (found && cpu &&
        ane_layer_open(
            &reference, cpu, &m->layer.weights->config, m->layer.positions, &stages[N_STAGES - 1].ways, e))
        wanted = gradients_of(&reference, &count, e);
    bool ok = wanted && ane_check_numbers(against, wanted, found, n, 0, row, e);
    free(wanted);
    free(found);
    ane_layer_close(&reference);
    ane_device_close(cpu);
    return ok;
}

/* ---- measuring ------------------------------------------------------------------------------------------------------ */

/* A step of an emulated machine: its modelled part and the host's, as measured on this computer. */
static void put_step(const measured *m, const ane_times *t, json_t *row) {
    const ane_layer_times *times = &m->layer.times;
    const double host =
        times->crossing + times->norms + times->products + times->waiting + m->counts.copying_ms;
    const double step = t->modelled ? t->device.median + host : t->host.median;
    ane_row_part(row, "device", t->device.median);
    ane_row_part(row, "copying", m->counts.copying_ms);
    ane_row_part(row, "crossing", times->crossing);
    ane_row_part(row, "norms", times->norms);
    ane_row_part(row, "weight gradients", times->products);
    ane_row_part(row, "waiting", times->waiting);
    ane_row_metric(row, "step_ms", step);
    ane_row_metric(row, "dispatches", (double)m->counts.runs);
    ane_row_metric(row, "device_tflops", m->counts.flops / step * 1e-9);
    if (m->bench->peak_gflops > 0)
        ane_row_metric(row, "utilisation_percent", 1e-4 * m->counts.flops / step / m->bench->peak_gflops);
}

static bool measure(measured *m, json_t *row, ane_error *e) {
    ane_subject s = {.run = run_step, .context = m};
    ane_times t;
    ane_run_stats first = {0};
    if (!ane_layer_refresh(&m->layer, 0, e) || !run_step(m, &first, e)) return false;
    s.flops = m->counts.flops;
    s.evaluations = (int)m->counts.runs;
    if (!ane_bench_repeat(m->bench, &s, &t, e) || !ane_layer_finish(&m->layer, e)) return false;
    ane_bench_put_times(m->bench, row, &t, s.flops);
    put_step(m, &t, row);
    return verify(m, row, e);
}

/* Nothing but the block's own weights is trained; the embedding is as small as it can be. */
static ane_model_config config_of(const json_t *row) {
    return (ane_model_config){.dim = (int32_t)ane_row_int(row, "dim"),
        .hidden_dim = (int32_t)ane_row_int(row, "hidden"),
        .n_layers = 1,
        .n_heads = (int32_t)ane_row_int(row, "heads"),
        .n_kv_heads = (int32_t)ane_row_int(row, "heads"),
        .head_dim = (int32_t)(ane_row_int(row, "dim") / ane_row_int(row, "heads")),
        .vocab_size = 2,
        .max_seq = (int32_t)ane_row_int(row, "positions"),
        .norm_eps = 1e-5f,
        .rope_theta = 10000,
        .tied = true,
        .bos_id = -1,
        .eos_id = -1};
}

static bool run(ane_bench *b, json_t *row, ane_error *e) {
    measured m = {.bench = b};
    const ane_model_config c = config_of(row);
    const char *name = ane_row_text(row, "stage");
    int i = 0;
    while (i < N_STAGES && strcmp(stages[i].name, name) != 0) i++;
    if (i == N_STAGES)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "single-layer", "there is no stage \"%s\"", name);
    bool ok =
        ane_layer_open(&m.layer, b->device, &c, (int32_t)ane_row_int(row, "positions"), &stages[i].ways, e) &&
        measure(&m, row, e);
    ane_layer_close(&m.layer);
    return ok;
}

/* As recorded; quick: a small layer. */
static void cases(ane_bench *b, json_t *list) {
    const bool quick = b->options.quick;
    for (int i = 0; i < N_STAGES; i++) {
        if (quick && !stages[i].quick) continue;
        json_t *config =
            json_pack("{s:s, s:i, s:i, s:i, s:i}", "stage", stages[i].name, "dim", quick ? 256 : 768,
                "hidden", quick ? 512 : 2048, "heads", quick ? 4 : 12, "positions", quick ? 128 : 512);
        ane_case_add(list, config, quick ? "%s-256x128" : "%s", stages[i].name);
    }
}

const ane_benchmark ane_bench_single_layer = {
    .info = {"single-layer", "one layer's training step, optimization by optimization", "seed 002's table"},
    .cases = cases,
    .run = run,
};
