/* binding.c - a kernel tied to buffers and weights, and running it. */
#include "base/clock.h"
#include "base/half.h"
#include "device/ane/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- making ------------------------------------------------------------------------------------------------------ */

static bool make_inputs(engine_binding *b, ane_error *e) {
    const engine_kernel *k = (const engine_kernel *)b->base.kernel;
    engine_device *d = (engine_device *)k->base.device;
    const mil_lowering *l = k->lowering;
    for (int32_t i = 0; i < l->n_pieces; i++) {
        const mil_piece *p = &l->pieces[i];
        bool input =
            p->kind == MIL_PIECE_INPUT || p->kind == MIL_PIECE_GUARD_IN || p->kind == MIL_PIECE_WEIGHT;
        if (!input || p->port == MIL_NONE || b->inputs[p->port] || engine_is_direct(l, p)) continue;
        b->inputs[p->port] = engine_surface_new(d, engine_surface_bytes(d, l, true, p->port), e);
        if (!b->inputs[p->port]) return false;
    }
    return true;
}

ane_binding *engine_binding_new(ane_kernel *kernel, ane_error *e) {
    const mil_lowering *l = ((engine_kernel *)kernel)->lowering;
    engine_binding *b = calloc(1, sizeof *b);
    if (b) {
        b->base.kernel = kernel;
        b->stale = true;
        b->buffers =
            calloc((size_t)kernel->n_inputs + (size_t)kernel->n_outputs + 1, sizeof(engine_buffer *));
        b->masters = calloc((size_t)kernel->n_weights + 1, sizeof(float *));
        b->inputs = calloc((size_t)l->n_inputs + 1, sizeof(ane_surface *));
    }
    if (b && b->buffers && b->masters && b->inputs && make_inputs(b, e)) return &b->base;
    if (b) engine_binding_free(&b->base);
    ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for a binding");
    return NULL;
}

void engine_binding_free(ane_binding *binding) {
    engine_binding *b = (engine_binding *)binding;
    engine_device *d = (engine_device *)binding->kernel->device;
    const mil_lowering *l = ((const engine_kernel *)binding->kernel)->lowering;
    engine_drop_next(b);
    ane_program_free(b->program);
    for (int32_t i = 0; b->inputs && i < l->n_inputs; i++) engine_surface_free(d, b->inputs[i]);
    free(b->inputs);
    free(b->masters);
    free(b->buffers);
    free(b);
}

bool engine_bind(ane_binding *b, int slot, ane_buffer *buffer, int flags, ane_error *e) {
    (void)flags, (void)e; /* ANE_ACCUMULATE is refused before this: the device does not offer it */
    ((engine_binding *)b)->buffers[slot] = (engine_buffer *)buffer;
    return true;
}

bool engine_bind_weight(ane_binding *b, int weight, const float *master, ane_error *e) {
    (void)e;
    engine_drop_next((engine_binding *)b);
    ((engine_binding *)b)->masters[weight] = master;
    ((engine_binding *)b)->stale = true;
    return true;
}

/* Staged at the next run: an evaluation between two changes needs one staging, not two. */
bool engine_weights_changed(ane_binding *binding, ane_error *e) {
    engine_binding *b = (engine_binding *)binding;
    const engine_device *d = (const engine_device *)binding->kernel->device;
    if (d->async && b->program) return engine_bake_beside(b, e);
    return b->stale = true;
}

/* ---- the guard --------------------------------------------------------------------------------------------------- */

enum { TURNS = 1024 }; /* turn + element + 1 stays exact in fp16 */

/* Bindings of one kernel share the surface that the guard comes back in: no two evaluations in a row have the same turn. */
static uint32_t next_turn(engine_kernel *k) {
    return k->turn = (k->turn + 1) % TURNS;
}

static void put_guard(uint16_t *row, uint32_t turn) {
    for (int i = 0; i < MIL_GUARD_WIDTH; i++) row[i] = ane_f16_from_f32((float)(turn + (uint32_t)i));
}

/* What came back says whether this evaluation wrote it. */
static bool check_guard(const uint16_t *row, uint32_t turn, ane_error *e) {
    int right = 0, zero = 0, nan = 0;
    for (int i = 0; i < MIL_GUARD_WIDTH; i++) {
        float x = ane_f32_from_f16(row[i]);
        right += x == (float)(turn + (uint32_t)i + 1);
        zero += x == 0;
        nan += x != x || x > 65504 || x < -65504;
    }
    if (right == MIL_GUARD_WIDTH) return true;
    const char *found = zero == MIL_GUARD_WIDTH  ? "zeros"
                        : nan == MIL_GUARD_WIDTH ? "NaN or infinity"
                                                 : "what an earlier evaluation wrote, or other numbers";
    ane_fail(e, ANE_ERROR_DEVICE, "evaluate",
        "the Neural Engine reported success, but its output holds %s: the evaluation did not compute what "
        "was asked",
        found);
    return ane_hint(e, "The step's results were not used. Run `anemone doctor`; if it passes, start again.");
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

typedef struct run {
    ane_device_counts *counts; /* of this run */
    engine_binding *b;
    engine_kernel *k;
    const mil_lowering *l;
    uint32_t turn;
} run;

static ane_surface *surface_of(const run *r, const mil_piece *p, int32_t index) {
    bool out = p->kind == MIL_PIECE_OUTPUT || p->kind == MIL_PIECE_GUARD_OUT;
    if (engine_is_direct(r->l, p)) return r->b->buffers[r->k->slot[index]]->surface;
    return out ? r->k->outputs[p->port] : r->b->inputs[p->port];
}

static int64_t piece_bytes(const mil_piece *p) {
    return p->rows * p->width * (int64_t)sizeof(uint16_t);
}

/* Activations, and the guard, into their rows. */
static bool put_piece(const run *r, int32_t index, ane_error *e) {
    const mil_piece *p = &r->l->pieces[index];
    if (p->kind != MIL_PIECE_GUARD_IN && p->kind != MIL_PIECE_INPUT) return true;
    if (engine_is_direct(r->l, p)) return true;
    ane_surface *s = surface_of(r, p, index);
    uint16_t *data = ane_surface_lock(s, false, e);
    if (!data) return false;
    const engine_rows rows = {data, r->l->inputs[p->port].width};
    bool ok = true;
    if (p->kind == MIL_PIECE_GUARD_IN)
        put_guard(data + p->row * rows.stride, r->turn);
    else
        ok = engine_put(
            &rows, p, r->b->buffers[r->k->slot[index]], r->k->base.device->capabilities.threads, e);
    r->counts->copied_bytes += piece_bytes(p);
    return ane_surface_unlock(s, false, e) && ok;
}

static bool get_piece(const run *r, int32_t index, bool guard, ane_error *e) {
    const mil_piece *p = &r->l->pieces[index];
    if (p->kind != (guard ? MIL_PIECE_GUARD_OUT : MIL_PIECE_OUTPUT) || engine_is_direct(r->l, p)) return true;
    ane_surface *s = surface_of(r, p, index);
    uint16_t *data = ane_surface_lock(s, true, e);
    if (!data) return false;
    const engine_rows rows = {data, r->l->outputs[p->port].width};
    bool ok = guard ? check_guard(data + p->row * rows.stride, r->turn, e)
                    : engine_get(&rows, p, r->b->buffers[r->k->slot[index]],
                          r->k->base.device->capabilities.threads, e);
    r->counts->copied_bytes += piece_bytes(p);
    return ane_surface_unlock(s, true, e) && ok;
}

static bool evaluate(const run *r, double *device_ms, ane_error *e) {
    const mil_lowering *l = r->l;
    size_t n = (size_t)l->n_inputs + (size_t)l->n_outputs;
    ane_surface **surfaces = calloc(n + 1, sizeof *surfaces);
    if (!surfaces) return ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for a request");
    for (int32_t i = 0; i < l->n_pieces; i++) {
        const mil_piece *p = &l->pieces[i];
        bool out = p->kind == MIL_PIECE_OUTPUT || p->kind == MIL_PIECE_GUARD_OUT;
        if (p->port != MIL_NONE) surfaces[out ? l->n_inputs + p->port : p->port] = surface_of(r, p, i);
    }
    for (size_t i = 0; i < n; i++) r->counts->surface_bytes += surfaces[i] ? (int64_t)surfaces[i]->bytes : 0;
    ane_program *program = r->b->program ? r->b->program : r->k->program;
    bool ok =
        ane_program_run(program, l->n_inputs, surfaces, l->n_outputs, surfaces + l->n_inputs, device_ms, e);
    free(surfaces);
    return ok;
}

/* Add the time since *mark and start anew. */
static void lap(double *mark, double *timer) {
    double now = ane_clock_ms();
    *timer += now - *mark;
    *mark = now;
}

static bool run_locked(const run *r, double *device_ms, ane_error *e) {
    if (!engine_stage_weights(r->b, r->counts, e)) return false;
    double mark = ane_clock_ms();
    for (int32_t i = 0; i < r->l->n_pieces; i++)
        if (!put_piece(r, i, e)) return false;
    lap(&mark, &r->counts->copying_ms);
    if (!evaluate(r, device_ms, e)) return false;
    lap(&mark, &r->counts->evaluating_ms);
    for (int32_t i = 0; i < r->l->n_pieces; i++)
        if (!get_piece(r, i, true, e)) return false;
    for (int32_t i = 0; i < r->l->n_pieces; i++)
        if (!get_piece(r, i, false, e)) return false;
    lap(&mark, &r->counts->copying_ms);
    return true;
}

/* A trouble may pass: what failed is made once more, from the same buffers. */
static bool run_twice(run *r, double *device_ms, ane_error *e) {
    ane_error first = {0}, second = {0};
    if (run_locked(r, device_ms, &first)) return true;
    const ane_program *p = r->b->program ? r->b->program : r->k->program;
    bool again = first.code == ANE_ERROR_DEVICE && p && !ane_program_is_hung(p);
    if (again) {
        r->counts->retries++;
        r->turn = next_turn(r->k);
        again = run_locked(r, device_ms, &second);
    }
    if (!again) {
        if (e && e->code == ANE_OK) *e = first;
        return false;
    }
    char text[sizeof first.message + 128];
    snprintf(text, sizeof text, "An evaluation of the Neural Engine failed once and was made again: %s",
        first.message);
    ane_device_note(r->k->base.device, text);
    return true;
}

bool engine_run(ane_binding *binding, ane_run_stats *stats, ane_error *e) {
    engine_binding *b = (engine_binding *)binding;
    engine_kernel *k = (engine_kernel *)binding->kernel;
    engine_device *d = (engine_device *)k->base.device;
    double start = ane_clock_ms(), device_ms = -1;
    pthread_mutex_lock(&k->run_lock);
    ane_device_counts counts = {0};
    run r = {&counts, b, k, k->lowering, next_turn(k)};
    bool ok = run_twice(&r, &device_ms, e);
    pthread_mutex_unlock(&k->run_lock);
    ane_device_count(&d->base, &counts);
    double ms = ane_clock_ms() - start;
    if (stats)
        *stats = (ane_run_stats){ms, device_ms >= 0 ? device_ms : ms, d->fw.emulated && device_ms >= 0};
    return ok;
}
