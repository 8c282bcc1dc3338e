/* selftest.c - the machine's facts, found by tiny programs whose results are known. */
#include "device/ane/device.h"

#include "base/half.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one probe: a program of one input and one output, compiled, run, looked at ------------------------------------- */

typedef struct probe {
    engine_device *d;
    mil_program *program;
    mil_function *f;
} probe;

static bool probe_begin(probe *t, engine_device *d, ane_error *e) {
    *t = (probe){.d = d, .program = mil_program_new(MIL_IOS18, e)};
    t->f = t->program ? mil_function_new(t->program, "main") : NULL;
    return t->f != NULL;
}

/* Run with every element of x equal to `in`; the first element of y. False when anything fails. */
static bool run_once(probe *t, ane_kernel *k, float in, float *out, ane_error *e) {
    mil_type type_x, type_y;
    const char *x = ane_kernel_input(k, 0, &type_x), *y = ane_kernel_output(k, 0, &type_y);
    ane_buffer *bx = ane_buffer_new(&t->d->base, type_x, e),
               *by = bx ? ane_buffer_new(&t->d->base, type_y, e) : NULL;
    ane_binding *b = by ? ane_binding_new(k, e) : NULL;
    bool ok = b != NULL;
    uint16_t *data = ok ? ane_buffer_map(bx, ANE_WRITE, e) : NULL;
    for (int64_t i = 0; data && i < mil_type_count(&type_x); i++) data[i] = ane_f16_from_f32(in);
    ok = data && ane_buffer_unmap(bx, e) && ane_bind(b, x, bx, 0, e) && ane_bind(b, y, by, 0, e) &&
         ane_run(b, NULL, e);
    const uint16_t *result = ok ? ane_buffer_map(by, ANE_READ, e) : NULL;
    if (result) *out = ane_f32_from_f16(result[0]);
    ok = result && ane_buffer_unmap(by, e);
    ane_binding_free(b);
    ane_buffer_free(bx);
    ane_buffer_free(by);
    return ok;
}

static bool probe_end(probe *t, float in, float *out, ane_error *e) {
    ane_kernel *k = ane_device_compile(&t->d->base, t->program, NULL, e);
    bool ok = k && run_once(t, k, in, out, e);
    ane_kernel_free(k);
    mil_program_free(t->program);
    return ok;
}

/* ---- the probes ----------------------------------------------------------------------------------------------------- */

/* y = 2 x in the dialect that is set. */
static bool doubles(engine_device *d, ane_error *e) {
    probe t;
    float y = 0;
    if (!probe_begin(&t, d, e)) return false;
    mil_value x = mil_input(t.f, "x", mil_tensor(MIL_FP16, 4, (int64_t[]){1, 16, 1, 64}));
    mil_output(t.f, "y", mil_mul_scalar(t.f, x, 2));
    if (!probe_end(&t, 1.5f, &y, e)) return false;
    return y == 3 || ane_fail(e, ANE_ERROR_DEVICE, "self-test", "twice 1.5 came out as %g, not 3", (double)y);
}

/* The newest header that is taken. */
static bool find_dialect(engine_device *d, ane_error *e) {
    static const mil_dialect ladder[] = {MIL_IOS18, MIL_IOS17, MIL_IOS16, MIL_IOS18_15};
    ane_error first = {0};
    for (size_t i = 0; i < sizeof ladder / sizeof *ladder; i++) {
        ane_error why = {0};
        d->facts.dialect = ladder[i];
        if (doubles(d, &why)) return true;
        if (!first.code) first = why;
    }
    ane_fail(e, first.code, first.where, "%s", first.message);
    return ane_hint(e, "%s", first.hint);
}

/* Ones [16, 8] times x [8, 64]: an inner dimension that is no multiple of 32. */
static void find_matmul_inner(engine_device *d) {
    probe t;
    float y = 0, ones[16 * 8];
    ane_error e = {0};
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) ones[i] = 1;
    if (!probe_begin(&t, d, &e)) return;
    mil_value x = mil_input(t.f, "x", mil_tensor(MIL_FP16, 4, (int64_t[]){1, 8, 1, 64}));
    mil_value left = mil_mul(t.f, mil_const_floats(t.f, mil_tensor(MIL_FP16, 3, (int64_t[]){1, 16, 8}), ones),
        mil_slice_by_size(
            t.f, mil_reshape(t.f, x, 3, (int64_t[]){1, 8, 64}), (int32_t[]){0, 0, 0}, (int32_t[]){1, 1, 8}));
    mil_output(t.f, "y", mil_matmul(t.f, left, mil_reshape(t.f, x, 3, (int64_t[]){1, 8, 64}), false, false));
    d->facts.matmul_inner = probe_end(&t, 2, &y, &e) && y == 32 ? 1 : 32;
}

bool engine_self_test(engine_device *d, ane_error *e) {
    if (!find_dialect(d, e)) return false;
    find_matmul_inner(d);
    return true;
}
