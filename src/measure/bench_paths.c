/* bench_paths.c - the ways to an evaluation (test_bench_paths) and the qualities of service (test_qos_sweep). */
#include "measure/programs.h"
#include "measure/raw.h"

#include <string.h>

static mil_program *conv(const ane_bench *b, const json_t *row, ane_error *e) {
    const int64_t channels = ane_row_int(row, "channels"), positions = ane_row_int(row, "positions");
    return ane_program_conv(&(ane_conv1){.in = channels,
                                .out = channels,
                                .positions = positions,
                                .dtype = b->capabilities->activation_dtype},
        e);
}

/* ---- paths --------------------------------------------------------------------------------------------------------- */

static const char BRACKET[] =
    "real-time-bracket"; /* standard evaluations between beginRealTimeTask and endRealTimeTask */

typedef struct shape {
    int channels, positions;
    bool quick;
} shape;

static const shape shapes[] = {
    {64, 32, true}, {128, 64, false}, {256, 64, false}, {512, 64, false}, {768, 256, true}};

static void path_case(json_t *list, const shape *s, const char *path) {
    json_t *config =
        json_pack("{s:s, s:i, s:i}", "path", path, "channels", s->channels, "positions", s->positions);
    ane_case_add(list, config, "%s-%dx%d", path, s->channels, s->positions);
}

/* Other devices have one way. */
static void path_cases(ane_bench *b, json_t *list) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (b->options.quick && !shapes[i].quick) continue;
        const int n = ane_raw_is_possible(b) ? ENGINE_N_PATHS : 1;
        for (int path = 0; path < n; path++) path_case(list, &shapes[i], engine_path_name((engine_path)path));
        if (n > 1) path_case(list, &shapes[i], BRACKET);
    }
}

/* The record has times in the bracket though both calls said no (PR 40): so they are taken whatever is said. */
static bool in_bracket(ane_raw *r, json_t *row, ane_error *e) {
    const engine_reply begun = engine_real_time_begin(r->x);
    if (begun.said != ENGINE_YES && begun.said != ENGINE_NO)
        return ane_raw_accept(&begun, "beginRealTimeTask", e);
    bool ok = ane_raw_measure(r, row, e);
    engine_real_time_end(r->x);
    if (ok) ane_row_metric(row, "granted", begun.said == ENGINE_YES);
    return ok;
}

static bool along(ane_raw *r, const char *path, json_t *row, ane_error *e) {
    engine_choices how = engine_usual_choices;
    if (strcmp(path, BRACKET) == 0) return in_bracket(r, row, e);
    for (int i = 0; i < ENGINE_N_PATHS; i++)
        if (strcmp(path, engine_path_name((engine_path)i)) == 0) how.path = (engine_path)i;
    return ane_raw_choose(r, &how, e) && ane_raw_measure(r, row, e);
}

static bool run_path(ane_bench *b, json_t *row, ane_error *e) {
    ane_raw r = {0};
    mil_program *p = conv(b, row, e);
    bool ok = p != NULL;
    if (ok && !ane_raw_is_possible(b))
        ok = ane_bench_program(b, p, NULL, row, e);
    else if (ok)
        ok = ane_raw_open(&r, b, p, ENGINE_QOS, e) && along(&r, ane_row_text(row, "path"), row, e);
    ane_raw_close(&r);
    mil_program_free(p);
    return ok;
}

const ane_benchmark ane_bench_paths = {
    .info = {"paths", "the framework's ways to an evaluation: standard, real-time, direct, process-request",
        "test_bench_paths"},
    .cases = path_cases,
    .run = run_path,
};

/* ---- qualities of service ------------------------------------------------------------------------------------------ */

/* Those of test_qos_sweep. */
static const int qualities[] = {0, 1, 5, 10, 15, 17, 19, 21, 25, 31, 33, 40, 47, 50, 55, 60, 63};
static const int quick_qualities[] = {0, 21, 63};

static void qos_cases(ane_bench *b, json_t *list) {
    const bool quick = b->options.quick || !ane_raw_is_possible(b);
    const int *of = quick ? quick_qualities : qualities;
    const size_t n = quick ? sizeof quick_qualities / sizeof *of : sizeof qualities / sizeof *of;
    for (size_t i = 0; i < n; i++) {
        json_t *config = json_pack("{s:i, s:i, s:i}", "qos", of[i], "channels", 256, "positions", 64);
        ane_case_add(list, config, "qos-%d", of[i]);
    }
}

/* The first evaluation, then all others. */
static bool with_quality(ane_raw *r, json_t *row, ane_error *e) {
    ane_run_stats first = {0};
    const ane_subject s = ane_raw_subject(r);
    if (!ane_raw_refresh(r, 0, e) || !ane_raw_run(r, &first, e) ||
        !ane_bench_possible(r->bench, &s, first.device_ms, e))
        return false;
    ane_row_metric(row, "first_ms", first.host_ms);
    return ane_raw_measure(r, row, e);
}

static bool run_qos(ane_bench *b, json_t *row, ane_error *e) {
    if (!ane_raw_is_possible(b))
        return ane_fail(
            e, ANE_ERROR_UNSUPPORTED, "qos", "only the Neural Engine's calls have a quality of service");
    ane_raw r = {0};
    mil_program *p = conv(b, row, e);
    bool ok = p && ane_raw_open(&r, b, p, (unsigned)ane_row_int(row, "qos"), e) && with_quality(&r, row, e);
    ane_raw_close(&r);
    mil_program_free(p);
    return ok;
}

const ane_benchmark ane_bench_qos = {
    .info = {"qos", "compile, load and evaluate at every quality of service", "test_qos_sweep"},
    .cases = qos_cases,
    .run = run_qos,
};
