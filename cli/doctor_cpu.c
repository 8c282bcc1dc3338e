#include "cli/doctor_cpu.h"

#include "anemone/device.h"
#include "base/gemm.h"
#include "base/peak.h"
#include "device/emulator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 96, COLUMNS = 64, OUT = COLUMNS * COLUMNS };

/* softmax(x^T x / 96) of x [96, 64] */
static mil_program *product(ane_error *e) {
    mil_program *p = mil_program_new(MIL_IOS18, e);
    mil_function *f = p ? mil_function_new(p, "main") : NULL;
    if (!f) return NULL;
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 2, (int64_t[]){ROWS, COLUMNS}));
    mil_value y = mil_mul_scalar(f, mil_matmul(f, x, x, true, false), 1.0 / ROWS);
    mil_output(f, "y", mil_softmax(f, y, -1));
    return p;
}

static bool run(ane_device *d, const mil_program *p, const float *x, float *y, ane_error *e) {
    ane_kernel *k = ane_device_compile(d, p, NULL, e);
    ane_binding *b = k ? ane_binding_new(k, e) : NULL;
    ane_buffer *in = ane_buffer_new(d, mil_tensor(MIL_FP32, 2, (int64_t[]){ROWS, COLUMNS}), e);
    ane_buffer *out = ane_buffer_new(d, mil_tensor(MIL_FP32, 2, (int64_t[]){COLUMNS, COLUMNS}), e);
    bool ok = b && in && out && ane_buffer_write_f32(in, x, (int64_t)ROWS * COLUMNS, e) &&
              ane_bind(b, "x", in, 0, e) && ane_bind(b, "y", out, 0, e) && ane_run(b, NULL, e) &&
              ane_buffer_read_f32(out, y, OUT, e);
    ane_binding_free(b);
    ane_buffer_free(in);
    ane_buffer_free(out);
    ane_kernel_free(k);
    return ok;
}

/* Beside the interpreter in double precision. */
static bool is_right(ane_device *d, ane_error *e) {
    static const double tolerated = 1e-5;
    float x[ROWS * COLUMNS], y[OUT];
    double exact[ROWS * COLUMNS], worst = 0;
    for (int i = 0; i < ROWS * COLUMNS; i++) exact[i] = x[i] = (float)((i * 37 + 11) % 64 - 32) / 16;
    mil_program *p = product(e);
    const mil_array in = {mil_tensor(MIL_FP32, 2, (int64_t[]){ROWS, COLUMNS}), exact};
    mil_array expected = {0};
    bool ok = p && run(d, p, x, y, e) &&
              mil_evaluate(mil_program_function(p, NULL), MIL_EXACT, &in, 0, NULL, &expected, e);
    for (int i = 0; ok && i < OUT; i++) {
        double off = fabs((double)y[i] - expected.data[i]);
        if (!(off <= worst)) worst = off; /* NaN is worst of all */
    }
    free(expected.data);
    mil_program_free(p);
    return ok && (worst <= tolerated || ane_fail(e, ANE_ERROR_NUMERIC, "cpu",
                                            "a product differs from the reference by %g", worst));
}

json_t *cli_examine_cpu(void) {
    static const char *const specs[] = {"cpu:threads=1", "cpu"};
    ane_error e = {0};
    ane_capabilities c = {0};
    for (int i = 0; i < 2; i++) {
        ane_device *d = ane_device_open(specs[i], &e);
        if (!d) break;
        c = *ane_device_capabilities(d);
        is_right(d, &e);
        ane_device_close(d);
    }
    return json_pack("{s:b, s:s, s:s, s:s, s:i, s:s}", "ok", !e.code, "processor", c.chip, "vectors",
        ane_peak_vectors(), "products", ane_gemm_library(), "threads", c.threads, "message", e.message);
}

json_t *cli_examine_emulator(void) {
    ane_error e = {0};
    bool found = ane_emulator_open(&e) != NULL;
    return json_pack("{s:b, s:s}", "found", found, "message", e.message);
}
