/* backward.c - RMSNorm's way back, and the fused way back through a feed-forward block's two inputs. */
#include "measure/probes/computed.h"
#include "measure/probes/families.h"

/* r (dy w - x c), c = r^2 mean(dy w x), r = (mean x^2 + eps)^-1/2, over channels; dy and x stand one above the other in the one
 * input. w is between 0.75 and 1.25. */
static mil_value rmsnorm_backward(ane_computed *c, int64_t channels, int64_t positions) {
    static const int32_t axis = 1;
    mil_function *f = c->f;
    mil_value in = ane_computed_input(c, "dy_x", 2 * channels, positions);
    mil_value dy = ane_computed_part(c, in, 0, channels, 0, positions),
              x = ane_computed_part(c, in, channels, channels, 0, positions);
    mil_value w = mil_add_scalar(f, ane_computed_constant(c, 4, (int64_t[]){1, channels, 1, 1}, 0.25, 1), 1);
    double mean = 1 / (double)channels;
    mil_value square = mil_reduce_sum(f, mil_mul(f, x, x), 1, &axis, true); /* [1, 1, 1, S] */
    mil_value r = mil_pow_scalar(f, mil_add_scalar(f, mil_mul_scalar(f, square, mean), 1e-5), -0.5);
    mil_value dyw = mil_mul(f, dy, w);
    mil_value dot = mil_mul_scalar(f, mil_reduce_sum(f, mil_mul(f, dyw, x), 1, &axis, true), mean);
    mil_value xc = mil_mul(f, x, mil_mul(f, mil_mul(f, r, r), dot));
    return mil_mul(f, r, mil_sub(f, dyw, xc));
}

bool ane_ask_rmsnorm_backward(ane_asking *a, ane_error *e) {
    enum { CHANNELS = 768, POSITIONS = 256 };
    ane_computed c;
    ane_distance d;
    ane_asking_did(a,
        "dx = r (dy w - x c) of %d channels and %d positions, x within 0.5, dy within 0.1, beside the "
        "reference",
        CHANNELS, POSITIONS);
    bool ok = ane_computed_begin(&c, a->device, e);
    if (ok) mil_output(c.f, "dx", rmsnorm_backward(&c, CHANNELS, POSITIONS));
    ok = ok && ane_computed_compile(&c, e);
    if (ok) {
        ane_computed_fill(&c, 0, 0.5, 2);
        for (int64_t i = 0; i < (int64_t)CHANNELS * POSITIONS; i++) c.x[0][i] *= 0.2f; /* dy */
    }
    ok = ok && ane_computed_run(&c, e) && ane_computed_compare(&c, &d, e);
    if (ok) {
        ane_computed_report(a, "dx", &c, &d);
        ane_asking_agreement(a, &d, 0.05, 0.01);
    }
    ane_computed_end(&c);
    return ok;
}

/* dx = W1^T dh1 + W3^T dh3, both in one input: two slices, two convolutions, a sum. */
bool ane_ask_fused_backward(ane_asking *a, ane_error *e) {
    enum { WIDTH = 768, HIDDEN = 2048, POSITIONS = 64 };
    static const int64_t shape[] = {WIDTH, HIDDEN, 1, 1};
    ane_computed c;
    ane_distance d;
    ane_asking_did(a,
        "one program: two slices of [1, %d, 1, %d], a convolution to %d channels of each, their sum",
        2 * HIDDEN, POSITIONS, WIDTH);
    bool ok = ane_computed_begin(&c, a->device, e);
    if (ok) {
        mil_value in = ane_computed_input(&c, "dh1_dh3", (int64_t)2 * HIDDEN, POSITIONS), part[2];
        for (int i = 0; i < 2; i++) {
            mil_value dh = ane_computed_part(&c, in, (int64_t)i * HIDDEN, HIDDEN, 0, POSITIONS);
            part[i] = mil_conv(c.f, dh, ane_computed_constant(&c, 4, shape, 0.03, 1 + (uint64_t)i));
        }
        mil_output(c.f, "dx", mil_add(c.f, part[0], part[1]));
    }
    ok = ok && ane_computed_check(&c, 1, &d, e);
    if (ok) {
        ane_computed_report(a, "dx", &c, &d);
        ane_asking_agreement(a, &d, 0.02, 0.01);
    }
    ane_computed_end(&c);
    return ok;
}
