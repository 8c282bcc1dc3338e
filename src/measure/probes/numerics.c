/* numerics.c - the corners of fp16: small programs whose results tell what became of a number. Each also computes something
 * ordinary, so that a run which went wrong is not taken for an answer. */
#include "base/decimal.h"
#include "measure/probes/computed.h"
#include "measure/probes/families.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 64, INNER = 32 };

/* Two inputs a, b [1, rows, 1, 64] of which all but the first row are `ordinary`; the first row is what is asked about. */
typedef struct corner {
    const char *name;
    mil_value (*build)(ane_computed *c, mil_value a, mil_value b);
    int rows;
    float a, b;                   /* of the first row */
    float ordinary_a, ordinary_b; /* of the others */
    float ordinary;               /* what must come of these */
} corner;

static mil_value build_mul(ane_computed *c, mil_value a, mil_value b) {
    return mil_mul(c->f, a, b);
}
static mil_value build_sub(ane_computed *c, mil_value a, mil_value b) {
    return mil_sub(c->f, a, b);
}
static mil_value build_log(ane_computed *c, mil_value a, mil_value b) {
    return mil_sub(c->f, mil_log(c->f, a, 0), b);
}
static mil_value build_exp(ane_computed *c, mil_value a, mil_value b) {
    return mil_mul(c->f, mil_exp(c->f, a), b);
}

/* a^T b, [64, 64], of [INNER, 64] each: only the first row of a counts, with all rows of b */
static mil_value build_product(ane_computed *c, mil_value a, mil_value b) {
    const int64_t shape[] = {1, INNER, WIDTH};
    mil_value y =
        mil_matmul(c->f, mil_reshape(c->f, a, 3, shape), mil_reshape(c->f, b, 3, shape), true, false);
    return mil_reshape(c->f, y, 4, (int64_t[]){1, WIDTH, 1, WIDTH});
}

enum { NOT_A_NUMBER, INFINITIES, LOG_ZERO, TOO_LARGE, TOO_SMALL, DENORMAL, SUM, N_CORNERS };

/* The last two are products: sums over INNER rows. 2^-20 * 2^10: the denormal operand stands in the first row, alone. 4096 and 31
 * times 1: a sum kept in fp16 stays 4096, since 4097 is none of its numbers. */
static const corner corners[N_CORNERS] = {
    [NOT_A_NUMBER] = {"2 * NaN", build_mul, 2, NAN, 2, 1.5f, 2, 3},
    [INFINITIES] = {"infinity - infinity", build_sub, 2, INFINITY, INFINITY, 5, 2, 3},
    [LOG_ZERO] = {"log 0", build_log, 2, 0, 1, 1, 1, -1},
    [TOO_LARGE] = {"60000 * 2", build_mul, 2, 60000, 2, 1.5f, 2, 3},
    [TOO_SMALL] = {"exp -16", build_exp, 2, -16, 1, 0, 3, 3}, /* 1.1e-7: the second denormal of fp16 */
    [DENORMAL] = {"2^-20 * 2^10", build_product, INNER, 0x1p-20f, 0x1p10f, 0, 0, 0},
    [SUM] = {"4096 + 31 * 1", build_product, INNER, 4096, 1, 1, 1, 4127},
};

static void fill(const corner *k, float *a, float *b) {
    for (int i = 0; i < k->rows * WIDTH; i++) {
        bool first = i < WIDTH;
        a[i] = first ? k->a : k->ordinary_a;
        b[i] = first ? k->b : k->ordinary_b;
    }
}

/* What became of it. The products have no row of their own for the ordinary: the first column of `a` is 1. */
static bool compute(ane_asking *asking, const corner *k, float *found, ane_error *e) {
    ane_computed c;
    bool product = k->build == build_product;
    bool ok = ane_computed_begin(&c, asking->device, e);
    if (ok) {
        mil_value a = ane_computed_input(&c, "a", k->rows, WIDTH),
                  b = ane_computed_input(&c, "b", k->rows, WIDTH);
        mil_output(c.f, "y", k->build(&c, a, b));
        ok = ane_computed_compile(&c, e);
    }
    if (ok) {
        fill(k, c.x[0], c.x[1]);
        if (product)
            for (int i = 0; i < k->rows; i++)
                c.x[0][(ptrdiff_t)i * WIDTH] = i == 0; /* b's first row comes out unchanged */
        ok = ane_computed_run(&c, e);
    }
    if (ok) {
        float ordinary = product ? c.y[0][0] : c.y[0][WIDTH], expected = product ? k->b : k->ordinary;
        *found = product ? c.y[0][WIDTH] : c.y[0][0];
        ok = fabsf(ordinary - expected) <= 0.01f * fabsf(expected) ||
             ane_fail(e, ANE_ERROR_DEVICE, "evaluate", "beside %s, %g came out as %g", k->name,
                 (double)expected, (double)ordinary);
    }
    ane_computed_end(&c);
    return ok;
}

static const char *spell(float x, char *text, size_t size) {
    if (isnan(x)) return "NaN";
    if (isinf(x)) return x > 0 ? "infinity" : "-infinity";
    ane_print(text, size, fabsf(x) >= 1000 ? "%.0f" : "%.4g", (double)x);
    return text;
}

/* The largest power of 2^(1/4) times 1 that a product of two numbers gives; they grow from 2^14 on. */
static bool largest_product(ane_asking *asking, double *largest, ane_error *e) {
    ane_computed c;
    bool ok = ane_computed_begin(&c, asking->device, e);
    if (ok) {
        mil_value a = ane_computed_input(&c, "a", INNER, WIDTH),
                  b = ane_computed_input(&c, "b", INNER, WIDTH);
        mil_output(c.f, "y", build_product(&c, a, b));
        ok = ane_computed_compile(&c, e);
    }
    for (int i = 0; ok && i < WIDTH; i++) {
        c.x[0][i] = (float)exp2(7 + 0.25 * (i % 8));
        c.x[1][i] = 128;
    }
    ok = ok && ane_computed_run(&c, e);
    *largest = 0;
    for (int i = 0; ok && i < 8; i++)
        if (isfinite(c.y[0][(ptrdiff_t)i * WIDTH]))
            *largest = fmax(*largest, (double)c.y[0][(ptrdiff_t)i * WIDTH]);
    ane_computed_end(&c);
    return ok;
}

bool ane_ask_numerics(ane_asking *a, ane_error *e) {
    float found[N_CORNERS];
    char text[N_CORNERS][32];
    const char *said[N_CORNERS];
    double largest;
    ane_asking_did(a, "computed NaN, infinity less infinity, log 0, an overflow, an underflow, a denormal "
                      "operand, a long sum and large "
                      "products, each beside something ordinary");
    for (int i = 0; i < N_CORNERS; i++) {
        if (!compute(a, &corners[i], &found[i], e)) return false;
        said[i] = spell(found[i], text[i], sizeof text[i]);
        ane_asking_text(a, corners[i].name, said[i]);
    }
    if (!largest_product(a, &largest, e)) return false;
    ane_asking_number(a, "largest_product", largest);
    ane_asking_text(a, "sums", found[SUM] > 4120 ? "wider than fp16" : "fp16");
    ane_asking_text(a, "underflow", found[TOO_SMALL] > 0 ? "gradual" : "to zero");
    ane_asking_answer(a, "NaN: %s; infinity - infinity: %s; log 0: %s; denormal operands: %s",
        said[NOT_A_NUMBER], said[INFINITIES], said[LOG_ZERO], found[DENORMAL] > 0 ? "kept" : "flushed");
    return true;
}
