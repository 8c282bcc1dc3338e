/* classifier.c - the head of a 32,000-word vocabulary on the device, in four parts. The whole is computed; the reference computes
 * some of its columns, and of the products some of the rows. */
#include "measure/probes/computed.h"
#include "measure/probes/families.h"

#include <math.h>
#include <stdlib.h>

enum { CHANNELS = 768, POSITIONS = 256, VOCABULARY = 32000, COLUMNS = 4, ROWS = 512 };
enum { EMBEDDING = 1, NORM, PARTS = 4 };

/* One part: it builds its output of an input; `rows` of the output and `positions` are all, or those of the reference. */
typedef struct part {
    const char *name;
    int64_t in, out, sample; /* channels; how many of the output's the reference computes */
    double scale;            /* of the input */
    double tolerance;
    mil_value (*build)(ane_computed *c, mil_value x, int64_t rows);
} part;

/* x (mean x^2 + eps)^-1/2 w */
static mil_value final_norm(ane_computed *c, mil_value x, int64_t rows) {
    static const int32_t axis = 1;
    mil_function *f = c->f;
    mil_value w = mil_add_scalar(f, ane_computed_constant(c, 4, (int64_t[]){1, rows, 1, 1}, 0.25, NORM), 1);
    mil_value square = mil_reduce_sum(f, mil_mul(f, x, x), 1, &axis, true);
    mil_value r = mil_add_scalar(f, mil_mul_scalar(f, square, 1 / (double)CHANNELS), 1e-5);
    return mil_mul(f, mil_mul(f, x, mil_pow_scalar(f, r, -0.5)), w);
}

/* logits = E x: the embedding's first rows */
static mil_value forward(ane_computed *c, mil_value x, int64_t rows) {
    return mil_conv(c->f, x, ane_computed_constant(c, 4, (int64_t[]){rows, CHANNELS, 1, 1}, 0.02, EMBEDDING));
}

static mil_value probabilities(ane_computed *c, mil_value x, int64_t rows) {
    (void)rows;
    return mil_softmax(c->f, x, 1);
}

/* dx = E^T dlogits as a product of matrices: a convolution of 32,000 input channels is refused. The constant is [1, rows, V]. */
static mil_value backward(ane_computed *c, mil_value x, int64_t rows) {
    int64_t positions = mil_type_of(c->f, x)->dim[3];
    mil_value m = mil_reshape(c->f, x, 3, (int64_t[]){1, VOCABULARY, positions});
    mil_value w = ane_computed_constant(c, 3, (int64_t[]){1, rows, VOCABULARY}, 0.02, EMBEDDING);
    return mil_reshape(c->f, mil_matmul(c->f, w, m, false, false), 4, (int64_t[]){1, rows, 1, positions});
}

static const part parts[PARTS] = {
    {"final norm", CHANNELS, CHANNELS, CHANNELS, 1, 0.05, final_norm},
    {"forward", CHANNELS, VOCABULARY, ROWS, 1, 0.02, forward},
    {"softmax", VOCABULARY, VOCABULARY, VOCABULARY, 4, 0.02, probabilities},
    {"backward", VOCABULARY, CHANNELS, ROWS / 8, 0.01, 0.02, backward},
};

/* The part as a program of its first `rows` outputs and `positions`. */
static bool begin(
    ane_computed *c, ane_device *device, const part *p, int64_t rows, int64_t positions, ane_error *e) {
    if (!ane_computed_begin(c, device, e)) return false;
    mil_value x = ane_computed_input(c, "x", p->in, positions);
    mil_output(c->f, "y", p->build(c, x, rows));
    return mil_program_ok(c->program, e);
}

/* The first columns of x [channels, POSITIONS] as doubles [channels, COLUMNS] (free()). */
static double *columns_of(const float *x, int64_t channels, ane_error *e) {
    double *y = malloc((size_t)channels * COLUMNS * sizeof *y);
    for (int64_t i = 0; y && i < channels * COLUMNS; i++)
        y[i] = (double)x[i / COLUMNS * POSITIONS + i % COLUMNS];
    if (!y) ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory for a program's numbers");
    return y;
}

static bool compare(const ane_computed *c, const part *p, ane_distance *d, ane_error *e) {
    ane_computed small = {0};
    mil_array in = {0}, out = {0};
    float *found = malloc((size_t)p->sample * COLUMNS * sizeof *found);
    bool ok = (found || ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory for a program's numbers")) &&
              begin(&small, c->device, p, p->sample, COLUMNS, e);
    if (ok) {
        in = (mil_array){*mil_type_of(small.f, small.f->inputs[0]), columns_of(c->x[0], p->in, e)};
        ok = in.data && mil_evaluate(small.f, MIL_EXACT, &in, 0, NULL, &out, e);
    }
    if (ok) {
        for (int64_t i = 0; i < p->sample * COLUMNS; i++)
            found[i] = c->y[0][i / COLUMNS * POSITIONS + i % COLUMNS];
        *d = ane_distance_of(found, out.data, p->sample * COLUMNS);
    }
    free(found);
    free(in.data);
    free(out.data);
    ane_computed_end(&small);
    return ok;
}

static bool run_part(ane_asking *a, const part *p, bool *agrees, ane_error *e) {
    ane_computed c;
    ane_distance d;
    bool ok = begin(&c, a->device, p, p->out, POSITIONS, e) && ane_computed_compile(&c, e);
    if (ok) ane_computed_fill(&c, 0, p->scale, 100);
    ok = ok && ane_computed_run(&c, e) && compare(&c, p, &d, e);
    if (ok) {
        ane_computed_report(a, p->name, &c, &d);
        *agrees = ane_distance_is_small(&d, p->tolerance, p->tolerance);
    }
    ane_computed_end(&c);
    return ok || ane_hint(e, "part: %s", p->name);
}

bool ane_ask_classifier(ane_asking *a, ane_error *e) {
    int n = 0;
    ane_asking_did(a,
        "final norm of %d channels, logits of %d words, softmax over them, their way back, for %d positions; "
        "the reference "
        "computes %d of them",
        CHANNELS, VOCABULARY, POSITIONS, COLUMNS);
    for (int i = 0; i < PARTS; i++) {
        bool agrees = false;
        if (!run_part(a, &parts[i], &agrees, e)) return false;
        n += agrees;
    }
    ane_asking_answer(a, "%d of %d agree", n, PARTS);
    return true;
}
