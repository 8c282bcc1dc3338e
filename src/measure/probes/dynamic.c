/* dynamic.c - weights that come with the input: activations in its first columns, the matrix behind them. */
#include "measure/probes/computed.h"
#include "measure/probes/families.h"

#include <math.h>
#include <stdio.h>

/* x [1, in, 1, S + out] -> y [1, out, 1, S] = W x, where W^T [in, out] stands behind the S columns of activations. */
static bool build(
    ane_computed *c, ane_device *device, int64_t in, int64_t out, int64_t positions, ane_error *e) {
    static const int32_t last_two[] = {0, 2, 1};
    if (!ane_computed_begin(c, device, e)) return false;
    mil_function *f = c->f;
    mil_value x = ane_computed_input(c, "x", in, positions + out);
    mil_value a =
        mil_reshape(f, ane_computed_part(c, x, 0, in, 0, positions), 3, (int64_t[]){1, in, positions});
    mil_value w = mil_reshape(f, ane_computed_part(c, x, 0, in, positions, out), 3, (int64_t[]){1, in, out});
    mil_value y = mil_matmul(f, mil_transpose(f, a, last_two), w, false, false); /* [1, S, out] */
    mil_output(f, "y", mil_reshape(f, mil_transpose(f, y, last_two), 4, (int64_t[]){1, out, 1, positions}));
    return ane_computed_compile(c, e);
}

/* 64 x 64 with the matrix `scale` times identity: how far y is from scale x. One program, run with several matrices. */
static bool scaled(ane_computed *c, float scale, ane_distance *d, ane_error *e) {
    enum { N = 64, ROW = 2 * N };
    float expected[N * N];
    ane_computed_fill(c, 0, 1, 100 + (uint64_t)scale);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            expected[i * N + k] = scale * c->x[0][i * ROW + k];
            c->x[0][i * ROW + N + k] = i == k ? scale : 0;
        }
    if (!ane_computed_run(c, e)) return false;
    *d = ane_distance_of_f32(c->y[0], expected, (int64_t)N * N);
    return true;
}

static bool check_small(ane_asking *a, ane_distance *worst, ane_error *e) {
    ane_computed c;
    ane_distance d;
    bool ok = build(&c, a->device, 64, 64, 64, e);
    for (int scale = 1; ok && scale <= 2; scale++) {
        ok = scaled(&c, (float)scale, &d, e);
        if (ok) worst->max = fmax(worst->max, d.max), worst->mean = fmax(worst->mean, d.mean);
    }
    if (ok) ane_computed_report(a, "64x64x64, identity and twice it", &c, worst);
    ane_computed_end(&c);
    return ok;
}

/* in x out of 768 x 768 in tiles of `out`: one program, as many runs; the first tile is compared. */
static bool check_tile(ane_asking *a, int out, ane_distance *worst, ane_error *e) {
    enum { IN = 768, ALL = 768, POSITIONS = 256 };
    char name[64];
    ane_computed c;
    ane_distance d;
    bool ok = build(&c, a->device, IN, out, POSITIONS, e);
    double ms = 0;
    for (int first = 0; ok && first < ALL; first += out) {
        ane_computed_fill(&c, 0, 0.5, 200 + (uint64_t)first);
        ok = ane_computed_run(&c, e);
        ms += c.device_ms;
    }
    ok = ok && ane_computed_compare(&c, &d, e);
    if (ok) {
        snprintf(name, sizeof name, "768x768x256 in tiles of %d", out);
        c.device_ms = ms;
        ane_computed_report(a, name, &c, &d);
        worst->max = fmax(worst->max, d.max);
        worst->mean = fmax(worst->mean, d.mean);
    }
    ane_computed_end(&c);
    return ok;
}

bool ane_ask_dynamic_matmul(ane_asking *a, ane_error *e) {
    static const int tiles[] = {64, 256, 768};
    ane_distance worst = {0, 0};
    ane_asking_did(a, "a matrix that comes with the activations in one input: identity, then twice it, "
                      "through one program of "
                      "64x64x64; then 768x768x256, whole and in tiles of its outputs");
    if (!check_small(a, &worst, e)) return false;
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++)
        if (!check_tile(a, tiles[i], &worst, e)) return false;
    ane_asking_agreement(a, &worst, 0.01, 0.01);
    return true;
}
