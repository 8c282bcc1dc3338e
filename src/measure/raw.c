/* raw.c - see raw.h. */
#include "measure/raw.h"

#include "base/half.h"
#include "base/random.h"
#include "device/ane/device.h"
#include "measure/check.h"

#include <stdlib.h>
#include <string.h>

enum { FP16_NAN = 0x7e00 };

bool ane_raw_is_possible(const ane_bench *b) {
    return strcmp(b->capabilities->device, "ane") == 0;
}

bool ane_raw_accept(const engine_reply *reply, const char *what, ane_error *e) {
    if (reply->said == ENGINE_YES) return true;
    if (reply->said == ENGINE_ABSENT)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, what, "this framework has no such call");
    return ane_fail(e, ANE_ERROR_DEVICE, what, "the framework said %s: %s", engine_said_name(reply->said),
        reply->text[0] ? reply->text : "no reason given");
}

/* ---- compiling ----------------------------------------------------------------------------------------------------- */

/* A program that is refused where a tiny one is, too, is not at fault: the process has used up what it gets. */
static bool is_built(ane_raw *r, ane_error *e) {
    ane_error why = {0};
    if (ane_raw_accept(&r->built.model, "model", &why) &&
        ane_raw_accept(&r->built.compile, "compile", &why) && ane_raw_accept(&r->built.load, "load", &why))
        return true;
    if (!engine_still_works(r->x)) why.code = ANE_ERROR_EXHAUSTED;
    if (e && e->code == ANE_OK) *e = why;
    return false;
}

/* The text, with constants in blob files of their own. */
static bool build(ane_raw *r, mil_lowering *l, unsigned qos, ane_error *e) {
    if (!mil_pass_blob_constants(l, e)) return false;
    mil_program_set_dialect(l->program, engine_dialect(r->x));
    int n = 0;
    char *text = mil_print(l->program, e);
    ane_weight_file *files = text ? engine_weight_files(l, NULL, &n, e) : NULL;
    if (files) r->explored = engine_explored_new(r->x, text, n, files, qos, &r->built);
    if (files && !r->explored) ane_fail(e, ANE_ERROR_MEMORY, "raw program", "out of memory");
    engine_weight_files_free(files, n);
    free(text);
    return r->explored && is_built(r, e);
}

static bool compile(ane_raw *r, unsigned qos, ane_error *e) {
    mil_lowering l = {.program = mil_program_clone(r->program, e)};
    if (!l.program) return false;
    l.f = mil_program_function(l.program, NULL);
    bool ok = build(r, &l, qos, e);
    mil_program_free(l.program);
    return ok;
}

static ane_surface *surface(ane_raw *r, const mil_type *type, int64_t *count, ane_error *e) {
    const int64_t width = type->dim[type->rank - 1];
    *count = mil_type_count(type);
    return engine_explore_surface(r->x, (size_t)engine_port_bytes(r->x, *count / width, width, 2), e);
}

bool ane_raw_open(ane_raw *r, ane_bench *b, const mil_program *p, unsigned qos, ane_error *e) {
    *r = (ane_raw){.bench = b, .program = p, .x = engine_explore(b->device, e)};
    const mil_function *f = mil_program_function(p, NULL);
    if (!r->x || !compile(r, qos, e)) return false;
    r->flops = mil_flops(f);
    r->in = surface(r, mil_type_of(f, f->inputs[0]), &r->n_in, e);
    r->out = r->in ? surface(r, mil_type_of(f, f->outputs[0]), &r->n_out, e) : NULL;
    if (!r->out) return false;
    r->input = calloc((size_t)r->n_in, sizeof *r->input);
    if (!r->input) return ane_fail(e, ANE_ERROR_MEMORY, "raw program", "out of memory");
    engine_choices how = engine_usual_choices;
    how.qos = qos;
    return ane_raw_choose(r, &how, e);
}

void ane_raw_close(ane_raw *r) {
    engine_request_free(r->request);
    engine_explored_free(r->explored);
    ane_surface_free(r->in);
    ane_surface_free(r->out);
    free(r->input);
    *r = (ane_raw){0};
}

bool ane_raw_choose(ane_raw *r, const engine_choices *how, ane_error *e) {
    engine_reply made;
    engine_request_free(r->request);
    r->request = engine_request_new(r->explored, 1, &r->in, 1, &r->out, how, &made);
    if (!r->request) return ane_fail(e, ANE_ERROR_MEMORY, "raw program", "out of memory");
    return ane_raw_accept(&made, "request", e);
}

/* ---- running ------------------------------------------------------------------------------------------------------- */

bool ane_raw_refresh(ane_raw *r, uint64_t seed, ane_error *e) {
    ane_rng rng = ane_rng_new(seed, 0);
    uint16_t *x = ane_surface_lock(r->in, false, e);
    if (!x) return false;
    for (int64_t i = 0; i < r->n_in; i++) {
        x[i] = ane_f16_from_f32((float)ane_rng_normal(&rng));
        r->input[i] = ane_f32_from_f16(x[i]);
    }
    return ane_surface_unlock(r->in, false, e);
}

/* NaN at the output's ends, or whether it is still there: an evaluation that wrote nothing. */
static bool mark(ane_raw *r, ane_error *e) {
    uint16_t *y = ane_surface_lock(r->out, false, e);
    if (!y) return false;
    y[0] = y[r->n_out - 1] = FP16_NAN;
    return ane_surface_unlock(r->out, false, e);
}

static bool was_written(ane_raw *r, ane_error *e) {
    const uint16_t *y = ane_surface_lock(r->out, true, e);
    if (!y) return false;
    bool written = y[0] != FP16_NAN && y[r->n_out - 1] != FP16_NAN;
    return ane_surface_unlock(r->out, true, e) &&
           (written ||
               ane_fail(e, ANE_ERROR_DEVICE, "evaluate", "it was said to have worked, but wrote nothing"));
}

bool ane_raw_run(void *raw, ane_run_stats *stats, ane_error *e) {
    ane_raw *r = raw;
    if (!mark(r, e)) return false;
    const engine_reply ran = engine_request_run(r->request);
    if (!ane_raw_accept(&ran, "evaluate", e) || !was_written(r, e)) return false;
    r->reported = ran.device_ms >= 0;
    *stats = (ane_run_stats){.host_ms = ran.host_ms,
        .device_ms = r->reported ? ran.device_ms : ran.host_ms,
        .modelled = r->reported && r->bench->emulated};
    return true;
}

ane_subject ane_raw_subject(ane_raw *r) {
    return (ane_subject){.run = ane_raw_run, .context = r, .flops = r->flops};
}

static bool verify(ane_raw *r, json_t *row, ane_error *e) {
    const uint16_t *from = ane_surface_lock(r->out, true, e);
    float *y = from ? calloc((size_t)r->n_out, sizeof *y) : NULL;
    for (int64_t i = 0; y && i < r->n_out; i++) y[i] = ane_f32_from_f16(from[i]);
    bool ok = from && ane_surface_unlock(r->out, true, e);
    if (ok && !y) ok = ane_fail(e, ANE_ERROR_MEMORY, "raw program", "out of memory");
    const float *const inputs[] = {r->input};
    ok = ok && ane_check_output(r->bench, r->program, inputs, y, 0, row, e);
    free(y);
    return ok;
}

bool ane_raw_measure(ane_raw *r, json_t *row, ane_error *e) {
    const ane_subject s = ane_raw_subject(r);
    ane_times times;
    if (!ane_bench_warm(r->bench, &s, e) || !ane_raw_refresh(r, 1, e) ||
        !ane_bench_repeat(r->bench, &s, &times, e) || !verify(r, row, e))
        return false;
    ane_bench_put_times(r->bench, row, &times, r->flops);
    ane_row_metric(row, "compile_ms", r->built.compile.host_ms);
    ane_row_metric(row, "load_ms", r->built.load.host_ms);
    return true;
}

bool ane_raw_program(ane_bench *b, const mil_program *p, json_t *row, ane_error *e) {
    ane_raw r;
    bool ok = ane_raw_open(&r, b, p, ENGINE_QOS, e) && ane_raw_measure(&r, row, e);
    ane_raw_close(&r);
    return ok;
}
