/* fused.c - one program instead of several: three projections, and a whole block. */
#include "measure/probes/computed.h"
#include "measure/probes/families.h"

#include <math.h>
#include <string.h>

enum { HEADS = 12, SIZE = 64, CHANNELS = HEADS * SIZE, HIDDEN = 2048, POSITIONS = 64 };

/* W x, W [out, in] */
static mil_value project(ane_computed *c, mil_value x, int64_t out, int64_t in, uint64_t stream) {
    const int64_t dim[] = {out, in, 1, 1};
    return mil_conv(c->f, x, ane_computed_constant(c, 4, dim, sqrt(3 / (double)in), stream));
}

/* ---- query, key, value ---------------------------------------------------------------------------------------------- */

/* n projections of x, from number `first` on, one above the other. */
static bool build_projections(ane_computed *c, ane_device *device, int first, int n, ane_error *e) {
    mil_value part[3];
    if (!ane_computed_begin(c, device, e)) return false;
    mil_value x = ane_computed_input(c, "x", CHANNELS, POSITIONS);
    for (int i = 0; i < n; i++) part[i] = project(c, x, CHANNELS, CHANNELS, 1 + (uint64_t)(first + i));
    mil_output(c->f, "y", n > 1 ? mil_concat(c->f, n, part, 1) : part[0]);
    if (!ane_computed_compile(c, e)) return false;
    ane_computed_fill(c, 0, 1, 100);
    return ane_computed_run(c, e);
}

static void keep_worst(ane_distance *worst, const ane_distance *d) {
    worst->max = fmax(worst->max, d->max);
    worst->mean = fmax(worst->mean, d->mean);
}

/* How far each part of the fused program's output is from that of a program of its own; *ms: of all three. */
static bool compare_alone(
    ane_asking *a, const ane_computed *fused, ane_distance *worst, double *ms, ane_error *e) {
    enum { N = CHANNELS * POSITIONS };
    bool ok = true;
    for (int i = 0; ok && i < 3; i++) {
        ane_computed alone = {0};
        ok = build_projections(&alone, a->device, i, 1, e);
        if (ok) {
            ane_distance d = ane_distance_of_f32(fused->y[0] + (ptrdiff_t)i * N, alone.y[0], N);
            keep_worst(worst, &d);
            *ms += alone.device_ms;
        }
        ane_computed_end(&alone);
    }
    return ok;
}

bool ane_ask_fused_qkv(ane_asking *a, ane_error *e) {
    ane_computed fused = {0};
    ane_distance reference = {0, 0}, worst = {0, 0};
    double ms = 0;
    ane_asking_did(a,
        "three convolutions of %d channels and a concat in one program, and the same in three programs; %d "
        "positions; the fused one beside the reference, too",
        CHANNELS, POSITIONS);
    bool ok = build_projections(&fused, a->device, 0, 3, e) && ane_computed_compare(&fused, &reference, e) &&
              compare_alone(a, &fused, &worst, &ms, e);
    if (ok) {
        ane_computed_report(a, "fused", &fused, &reference);
        ane_asking_put(a, "from_three_programs",
            json_pack("{s:f, s:f}", "largest", fmin(worst.max, 1e9), "mean", fmin(worst.mean, 1e9)));
        ane_asking_number(a, "three_programs_ms", ms);
        ane_asking_number(a, "speedup", ms / fused.device_ms);
        ane_asking_agreement(a, &worst, 0.005, 0.001);
        if (!ane_distance_is_small(&reference, 0.02, 0.02))
            ane_asking_answer(a, "differs from the reference");
    }
    ane_computed_end(&fused);
    return ok;
}

/* ---- a whole block -------------------------------------------------------------------------------------------------- */

/* [1, CHANNELS, 1, S] -> [1, HEADS, S, SIZE] */
static mil_value split_heads(ane_computed *c, mil_value x) {
    static const int32_t last_two[] = {0, 1, 3, 2};
    return mil_transpose(c->f, mil_reshape(c->f, x, 4, (int64_t[]){1, HEADS, SIZE, POSITIONS}), last_two);
}

/* 0 up to the query's own key, else what fp16's lowest is: added to scores */
static mil_value causal_mask(ane_computed *c) {
    float mask[POSITIONS * POSITIONS];
    for (int q = 0; q < POSITIONS; q++)
        for (int k = 0; k < POSITIONS; k++) mask[q * POSITIONS + k] = k <= q ? 0 : -65504;
    return mil_const_floats(c->f, mil_tensor(c->dtype, 4, (int64_t[]){1, 1, POSITIONS, POSITIONS}), mask);
}

/* Wo softmax(q k^T / sqrt(SIZE) + mask) v */
static mil_value attention(ane_computed *c, mil_value x) {
    static const int32_t last_two[] = {0, 1, 3, 2};
    mil_function *f = c->f;
    mil_value head[3];
    for (int i = 0; i < 3; i++) head[i] = split_heads(c, project(c, x, CHANNELS, CHANNELS, 1 + (uint64_t)i));
    mil_value scores =
        mil_mul_scalar(f, mil_matmul(f, head[0], head[1], false, true), 1 / sqrt((double)SIZE));
    mil_value p = mil_softmax(f, mil_add(f, scores, causal_mask(c)), -1);
    mil_value y =
        mil_transpose(f, mil_matmul(f, p, head[2], false, false), last_two); /* [1, HEADS, SIZE, S] */
    return project(c, mil_reshape(f, y, 4, (int64_t[]){1, CHANNELS, 1, POSITIONS}), CHANNELS, CHANNELS, 4);
}

/* W2 (silu(W1 x) W3 x) */
static mil_value feed_forward(ane_computed *c, mil_value x) {
    mil_value gate = mil_silu(c->f, project(c, x, HIDDEN, CHANNELS, 5)),
              up = project(c, x, HIDDEN, CHANNELS, 6);
    return project(c, mil_mul(c->f, gate, up), CHANNELS, HIDDEN, 7);
}

static bool check(ane_asking *a, const char *name, mil_value (*build)(ane_computed *c, mil_value x),
    ane_distance *worst, ane_error *e) {
    ane_computed c;
    ane_distance d;
    bool ok = ane_computed_begin(&c, a->device, e);
    if (ok) mil_output(c.f, "y", build(&c, ane_computed_input(&c, "x", CHANNELS, POSITIONS)));
    ok = ok && ane_computed_check(&c, 1, &d, e);
    if (ok) {
        ane_computed_report(a, name, &c, &d);
        keep_worst(worst, &d);
    }
    ane_computed_end(&c);
    return ok;
}

bool ane_ask_full_fused(ane_asking *a, ane_error *e) {
    ane_distance worst = {0, 0};
    ane_asking_did(a,
        "one program for attention (four projections, %d heads, causal mask by addition) and one for the "
        "feed-forward part (%d channels, %d hidden), %d positions",
        HEADS, CHANNELS, HIDDEN, POSITIONS);
    if (!check(a, "attention", attention, &worst, e) || !check(a, "feed-forward", feed_forward, &worst, e))
        return false;
    ane_asking_agreement(a, &worst, 0.02, 0.01);
    return true;
}
