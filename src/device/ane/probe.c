/* probe.c - see probe.h. */
#include "device/ane/probe.h"

#include "base/half.h"

#include <stdlib.h>
#include <string.h>

enum { UNTOUCHED = -1 };

bool engine_probe_begin(engine_probe *t, engine_device *d, ane_error *e) {
    *t = (engine_probe){.d = d, .n_inputs = 1, .n_outputs = 1};
    for (int i = 0; i < ENGINE_PROBE_PORTS; i++) t->in[i].bytes = t->out[i].bytes = ENGINE_PROBE_BYTES;
    t->program = mil_program_new(d->facts.dialect, e);
    t->f = t->program ? mil_function_new(t->program, "main") : NULL;
    return t->f || ane_fail(e, ANE_ERROR_MEMORY, "self-test", "no memory for a program");
}

void engine_probe_end(engine_probe *t) {
    ane_program_free(t->compiled);
    mil_program_free(t->program);
    for (int i = 0; i < ENGINE_PROBE_PORTS; i++) {
        ane_surface_free(t->inputs[i]);
        ane_surface_free(t->outputs[i]);
    }
}

/* ---- building ---------------------------------------------------------------------------------------------------- */

mil_value engine_probe_input(engine_probe *t, const char *name, int64_t channels) {
    const int64_t dim[] = {1, channels, 1, ENGINE_PROBE_WIDTH};
    return mil_input(t->f, name, mil_tensor(MIL_FP16, 4, dim));
}

mil_value engine_probe_rows(engine_probe *t, mil_value x, int32_t row, int32_t rows, int32_t width) {
    const int32_t from[] = {0, row, 0, 0}, size[] = {1, rows, 1, width};
    return mil_slice_by_size(t->f, x, from, size);
}

mil_value engine_probe_matrix(engine_probe *t, mil_value x, int64_t rows, int64_t width) {
    return mil_reshape(t->f, x, 3, (int64_t[]){1, rows, width});
}

/* ---- compiling --------------------------------------------------------------------------------------------------- */

/* With its name: what it is compiled from is what others may make a second model from. */
char *engine_probe_text(engine_probe *t, mil_value y, ane_error *e) {
    if (y != MIL_NONE) mil_output(t->f, "result", y);
    if (!mil_program_ok(t->program, e)) return NULL;
    t->f->ops[t->f->n_ops - 1].label = ANE_PROGRAM_IDENTITY;
    char *text = mil_print(t->program, e), *own = text ? ane_program_text(&t->d->budget, text, e) : NULL;
    t->f->ops[t->f->n_ops - 1].label = NULL;
    free(text);
    return own;
}

bool engine_probe_compile_text(
    engine_probe *t, const char *text, int n_files, const ane_weight_file *files, ane_error *e) {
    t->compiled = ane_program_new(&t->d->budget, text, n_files, files, false, e);
    return t->compiled != NULL;
}

bool engine_probe_compile(
    engine_probe *t, mil_value y, int n_files, const ane_weight_file *files, ane_error *e) {
    char *text = engine_probe_text(t, y, e);
    bool ok = text && engine_probe_compile_text(t, text, n_files, files, e);
    free(text);
    return ok;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static bool fill(ane_surface *s, const engine_slot *slot, float value, ane_error *e) {
    uint16_t *data = ane_surface_lock(s, false, e), half = ane_f16_from_f32(value);
    if (!data) return false;
    int64_t n = slot->n < slot->bytes / 2 ? slot->n : slot->bytes / 2;
    for (int64_t i = 0; i < slot->bytes / 2; i++) data[i] = half;
    if (slot->data) ane_f16_array_from_f32(data, slot->data, (size_t)n);
    return ane_surface_unlock(s, false, e);
}

static bool prepare(
    engine_probe *t, int n, const engine_slot *slots, ane_surface **surfaces, bool input, ane_error *e) {
    for (int i = 0; i < n; i++) {
        if (!surfaces[i]) surfaces[i] = ane_surface_new(&t->d->fw, (size_t)slots[i].bytes, e);
        if (surfaces[i] && slots[i].shared) continue;
        if (!surfaces[i] || !fill(surfaces[i], &slots[i], input ? slots[i].fill : UNTOUCHED, e)) return false;
    }
    return true;
}

bool engine_probe_run(engine_probe *t, ane_error *e) {
    return prepare(t, t->n_inputs, t->in, t->inputs, true, e) &&
           prepare(t, t->n_outputs, t->out, t->outputs, false, e) &&
           ane_program_run(t->compiled, t->n_inputs, t->inputs, t->n_outputs, t->outputs, &t->device_ms, e);
}

bool engine_probe_read(const engine_probe *t, int output, float *y, int64_t n, ane_error *e) {
    const uint16_t *data = ane_surface_lock(t->outputs[output], true, e);
    if (data) ane_f32_array_from_f16(y, data, (size_t)n);
    return data && ane_surface_unlock(t->outputs[output], true, e);
}

bool engine_probe_holds(const engine_probe *t, int output, float expected, int64_t n, ane_error *e) {
    const uint16_t *data = ane_surface_lock(t->outputs[output], true, e);
    uint16_t wanted = ane_f16_from_f32(expected);
    int64_t i = 0;
    if (!data) return false;
    while (i < n && data[i] == wanted) i++;
    float found = i < n ? ane_f32_from_f16(data[i]) : expected;
    if (!ane_surface_unlock(t->outputs[output], true, e)) return false;
    return i == n || ane_fail(e, ANE_ERROR_DEVICE, "self-test", "element %lld is %g, expected %g",
                         (long long)i, (double)found, (double)expected);
}

bool engine_probe_gives(engine_probe *t, mil_value y, float expected, int64_t n, ane_error *e) {
    return engine_probe_compile(t, y, 0, NULL, e) && engine_probe_run(t, e) &&
           engine_probe_holds(t, 0, expected, n, e);
}

bool engine_try(engine_device *d, engine_attempt *attempt, void *context, ane_error *e) {
    ane_error first = {0};
    for (int i = 0; i < 2; i++) {
        engine_probe t;
        ane_error why = {0};
        bool ok = engine_probe_begin(&t, d, &why) && attempt(&t, context, &why);
        engine_probe_end(&t);
        if (ok) return true;
        if (!first.code) first = why;
        if (strcmp(why.where, "compile") == 0) break;
    }
    ane_fail(e, first.code, first.where, "%s", first.message);
    return ane_hint(e, "%s", first.hint);
}
