/* selftest_numbers.c - what is computed: ordinary arithmetic beside the reference, and the corners of fp16. Every
 * program also computes something ordinary, so that a run which went wrong is not taken for an answer. */
#include "base/decimal.h"
#include "base/half.h"
#include "device/ane/probe.h"
#include "device/ane/selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { W = ENGINE_PROBE_WIDTH, INNER = 32 };

static bool wrong(ane_error *e, const char *what, float found) {
    return ane_fail(
        e, ANE_ERROR_DEVICE, "self-test", "%s gave %g, which nobody reported", what, (double)found);
}

/* Compile, run, and read the first n elements; the last of them must be `control`. */
static bool compute(
    engine_probe *t, mil_value y, float *found, int64_t n, float control, const char *what, ane_error *e) {
    if (!engine_probe_compile(t, y, 0, NULL, e) || !engine_probe_run(t, e) ||
        !engine_probe_read(t, 0, found, n, e))
        return false;
    return found[n - 1] == control || wrong(e, what, found[n - 1]);
}

/* ---- ordinary arithmetic ------------------------------------------------------------------------------------------ */

/* softmax(x^T x / 32) of x [32, 64], silu'd before: products, sums, exponentials. */
static mil_value ordinary(engine_probe *t) {
    mil_value x = engine_probe_input(t, "anemone_x", INNER);
    mil_value a = engine_probe_matrix(t, mil_silu(t->f, x), INNER, W);
    mil_value scores =
        mil_mul_scalar(t->f, mil_matmul(t->f, a, a, true, false), 1.0 / INNER); /* [1, 64, 64] */
    mil_value sum = mil_add(t->f, mil_softmax(t->f, scores, -1), scores);
    return mil_reshape(t->f, sum, 4, (int64_t[]){1, W, 1, W});
}

/* In units of the last place of fp16 at the reference's size. */
static double worst_difference(const float *found, const double *expected, int64_t n) {
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        int exponent;
        frexp(expected[i], &exponent);
        double unit = ldexp(1, (exponent < -13 ? -13 : exponent) - 11);
        double ulp = fabs((double)found[i] - expected[i]) / unit;
        if (!(ulp <= worst)) worst = ulp; /* NaN, too */
    }
    return worst;
}

static bool beside_reference(engine_probe *t, void *context, ane_error *e) {
    enum { TOLERATED = 64 };
    static const int64_t n = (int64_t)W * W;
    double x[INNER * W], *worst = context;
    float given[INNER * W], found[W * W];
    for (int i = 0; i < INNER * W; i++) x[i] = given[i] = (float)((i * 37 + 11) % 64 - 32) / 16;
    t->in[0].data = given;
    t->in[0].n = (int64_t)INNER * W;
    mil_value y = ordinary(t);
    const mil_array in = {mil_tensor(MIL_FP16, 4, (int64_t[]){1, INNER, 1, W}), x};
    mil_array expected = {0};
    bool ok = engine_probe_compile(t, y, 0, NULL, e) && engine_probe_run(t, e) &&
              engine_probe_read(t, 0, found, n, e) &&
              mil_evaluate(t->f, MIL_ROUND_FP16, &in, 0, NULL, &expected, e);
    if (ok) *worst = worst_difference(found, expected.data, n);
    free(expected.data);
    return ok && (*worst <= TOLERATED ||
                     ane_fail(e, ANE_ERROR_NUMERIC, "self-test",
                         "a softmax of products is %g units of the last place from the reference", *worst));
}

engine_outcome engine_ask_arithmetic(engine_device *d, engine_finding *found) {
    double worst = -1;
    if (!engine_try(d, beside_reference, &worst, &found->error))
        return engine_answer(found, false, "", "far from the reference");
    d->facts.worst_ulp = worst;
    ane_print(found->answer, sizeof found->answer, "within %.3g units of the last place", worst);
    return engine_answer(found, true, NULL, NULL);
}

/* ---- corners of elementwise operations ----------------------------------------------------------------------------- */

/* 2x, where x is NaN and, in the next row, 1.5. */
static bool nan_out(engine_probe *t, void *context, ane_error *e) {
    float x[2 * W], y[2 * W];
    for (int i = 0; i < 2 * W; i++) x[i] = i < W ? NAN : 1.5f;
    t->in[0].data = x;
    t->in[0].n = (int64_t)2 * W;
    mil_value in = engine_probe_input(t, "anemone_x", 2);
    if (!compute(t, mil_mul_scalar(t->f, in, 2), y, (int64_t)2 * W, 3, "2 * NaN", e)) return false;
    ane_nan_results *result = context;
    *result = isnan(y[0]) ? ANE_NAN_KEPT : y[0] == INFINITY ? ANE_NAN_INFINITY : ANE_NAN_UNKNOWN;
    return *result || wrong(e, "2 * NaN", y[0]);
}

engine_outcome engine_ask_nan_results(engine_device *d, engine_finding *found) {
    bool proven = engine_try(d, nan_out, &d->facts.nan_results, &found->error);
    return engine_answer(found, proven, d->facts.nan_results == ANE_NAN_KEPT ? "NaN" : "infinity", "unknown");
}

/* Row 0 less row 1, and row 2 less row 3: infinity less infinity, and 5 less 2. */
static bool infinities(engine_probe *t, void *context, ane_error *e) {
    float x[4 * W], y[2 * W];
    for (int i = 0; i < 4 * W; i++) x[i] = i / W % 2 ? (i / W == 1 ? INFINITY : 2) : (i / W ? 5 : INFINITY);
    t->in[0].data = x;
    t->in[0].n = (int64_t)4 * W;
    mil_value in = mil_reshape(t->f, engine_probe_input(t, "anemone_x", 4), 4, (int64_t[]){1, 2, 2, W});
    const int32_t first[] = {0, 0, 0, 0}, second[] = {0, 0, 1, 0}, size[] = {1, 2, 1, W};
    mil_value a = mil_slice_by_size(t->f, in, first, size), b = mil_slice_by_size(t->f, in, second, size);
    if (!compute(t, mil_sub(t->f, a, b), y, (int64_t)2 * W, 3, "infinity less infinity", e)) return false;
    ane_inf_minus_inf *result = context;
    *result = y[0] == 0 ? ANE_INF_MINUS_INF_ZERO : ANE_INF_MINUS_INF_NAN;
    return y[0] == 0 || isnan(y[0]) || y[0] == INFINITY || wrong(e, "infinity less infinity", y[0]);
}

engine_outcome engine_ask_inf_minus_inf(engine_device *d, engine_finding *found) {
    ane_inf_minus_inf result = ANE_INF_MINUS_INF_UNKNOWN;
    bool proven = engine_try(d, infinities, &result, &found->error);
    if (proven) d->facts.inf_minus_inf = result;
    return engine_answer(found, proven, result == ANE_INF_MINUS_INF_ZERO ? "0" : "NaN", "unknown");
}

/* log 0, and log 1 = 0 in the next row; one is added to keep it apart from zeros that nobody computed. */
static bool logarithm(engine_probe *t, void *context, ane_error *e) {
    float x[2 * W], y[2 * W];
    for (int i = 0; i < 2 * W; i++) x[i] = i < W ? 0 : 1;
    t->in[0].data = x;
    t->in[0].n = (int64_t)2 * W;
    mil_value in = engine_probe_input(t, "anemone_x", 2);
    mil_value y1 = mil_add_scalar(t->f, mil_log(t->f, in, 0), 1);
    if (!compute(t, y1, y, (int64_t)2 * W, 1, "log 0", e)) return false;
    ane_log_zero *result = context;
    *result = isinf(y[0]) ? ANE_LOG_ZERO_INFINITY : ANE_LOG_ZERO_FINITE;
    return y[0] < -10000 || wrong(e, "log 0", y[0]);
}

engine_outcome engine_ask_log_zero(engine_device *d, engine_finding *found) {
    ane_log_zero result = ANE_LOG_ZERO_UNKNOWN;
    bool proven = engine_try(d, logarithm, &result, &found->error);
    if (proven) d->facts.log_zero = result;
    return engine_answer(
        found, proven, result == ANE_LOG_ZERO_FINITE ? "a large negative number" : "-infinity", "unknown");
}

/* ---- products ------------------------------------------------------------------------------------------------------ */

/* y = x^T x of x [32, 64], only whose first row is not zero: y[i][j] = row[i] * row[j]. */
static mil_value squares(engine_probe *t, float *x, const float *row) {
    memset(x, 0, sizeof(float) * INNER * W);
    memcpy(x, row, sizeof(float) * W);
    t->in[0].data = x;
    t->in[0].n = (int64_t)INNER * W;
    mil_value in = engine_probe_matrix(t, engine_probe_input(t, "anemone_x", INNER), INNER, W);
    return mil_reshape(t->f, mil_matmul(t->f, in, in, true, false), 4, (int64_t[]){1, W, 1, W});
}

/* 2^-20 * 2^10, beside 1 * 2^10. */
static bool small_operand(engine_probe *t, void *context, ane_error *e) {
    float x[INNER * W], row[W], y[2 * W];
    for (int i = 0; i < W; i++) row[i] = 1024;
    row[0] = 0x1p-20f;
    row[1] = 1;
    if (!compute(t, squares(t, x, row), y, (int64_t)2 * W, 1024, "a product", e)) return false;
    ane_denormals *result = context;
    *result = y[W - 1] == 0 ? ANE_DENORMALS_FLUSHED : ANE_DENORMALS_KEPT;
    return y[W - 1] == 0 || y[W - 1] == 0x1p-10f || wrong(e, "2^-20 * 2^10", y[W - 1]);
}

engine_outcome engine_ask_denormals(engine_device *d, engine_finding *found) {
    ane_denormals result = ANE_DENORMALS_UNKNOWN;
    bool proven = engine_try(d, small_operand, &result, &found->error);
    if (proven) d->facts.denormals = result;
    return engine_answer(found, proven, result == ANE_DENORMALS_FLUSHED ? "flushed to 0" : "kept", "unknown");
}

/* 1, 2^(1/4), 2^(1/2), ... 2^(63/4) = 55,109 */
static void ladder(float *x) {
    for (int i = 0; i < W; i++) x[i] = ane_f32_from_f16(ane_f16_from_f32(exp2f((float)i / 4)));
}

/* The largest of the ladder that came back as itself; all above must be infinite. */
static bool largest(const float *y, const float *x, double *result, const char *what, ane_error *e) {
    int n = 0;
    while (n < W && y[n] == x[n]) n++;
    for (int i = n; i < W; i++)
        if (!isinf(y[i])) return wrong(e, what, y[i]);
    *result = n ? (double)x[n - 1] : 0;
    return n > 0 || wrong(e, what, y[0]);
}

static bool large_products(engine_probe *t, void *context, ane_error *e) {
    float x[INNER * W], row[W], y[W];
    ladder(row);
    mil_value out = squares(t, x, row);
    return engine_probe_compile(t, out, 0, NULL, e) && engine_probe_run(t, e) &&
           engine_probe_read(t, 0, y, W, e) && largest(y, row, context, "a product by 1", e);
}

/* Columns 64 to 127 of [1, 64, 1, 128], each row of which holds one number of the ladder. */
static bool large_slices(engine_probe *t, void *context, ane_error *e) {
    float x[W * 2 * W], row[W], out[W * W], y[W];
    ladder(row);
    for (int i = 0; i < W * 2 * W; i++) x[i] = row[i / (2 * W)];
    t->in[0].data = x;
    t->in[0].n = (int64_t)W * 2 * W;
    const int32_t from[] = {0, 0, 0, W}, size[] = {1, W, 1, W};
    mil_value in =
        mil_input(t->f, "anemone_x", mil_tensor(MIL_FP16, 4, (int64_t[]){1, W, 1, (int64_t)2 * W}));
    mil_value part = mil_slice_by_size(t->f, in, from, size);
    if (!engine_probe_compile(t, mil_mul_scalar(t->f, part, 1), 0, NULL, e) || !engine_probe_run(t, e) ||
        !engine_probe_read(t, 0, out, (int64_t)W * W, e))
        return false;
    for (int i = 0; i < W; i++) y[i] = out[(size_t)i * W];
    return largest(y, row, context, "a slice inside the last axis", e);
}

static engine_outcome say_largest(engine_finding *found, bool proven, double largest) {
    snprintf(found->answer, sizeof found->answer, "finite up to %.0f%s", largest,
        largest > 50000 ? ", as fp16 is" : "");
    return proven ? engine_answer(found, true, NULL, NULL) : engine_answer(found, false, "", "unknown");
}

engine_outcome engine_ask_matmul_finite(engine_device *d, engine_finding *found) {
    bool proven = engine_try(d, large_products, &d->facts.matmul_finite, &found->error);
    return say_largest(found, proven, d->facts.matmul_finite);
}

engine_outcome engine_ask_width_slice(engine_device *d, engine_finding *found) {
    bool proven = engine_try(d, large_slices, &d->facts.width_slice_finite, &found->error);
    return say_largest(found, proven, d->facts.width_slice_finite);
}
