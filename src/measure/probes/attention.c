/* attention.c - causal attention in pieces: products on the device, scale, mask and softmax on the host. */
#include "measure/probes/computed.h"
#include "measure/probes/families.h"

#include <math.h>
#include <stdlib.h>

enum { HEADS = 12, SIZE = 64, POSITIONS = 64, CHANNELS = HEADS * SIZE, SCORES = HEADS * POSITIONS };
enum { KEY_STREAM = 11, VALUE_STREAM = 12 };

/* Rows of scores [HEADS][queries][keys], or [HEADS][keys][queries]: softmax over the keys up to the query's own. */
static void causal_softmax(float *s, bool keys_first) {
    const ptrdiff_t per_key = keys_first ? POSITIONS : 1, per_query = keys_first ? 1 : POSITIONS;
    const double scale = 1 / sqrt((double)SIZE);
    for (ptrdiff_t h = 0; h < HEADS; h++)
        for (ptrdiff_t q = 0; q < POSITIONS; q++) {
            float *row = s + h * POSITIONS * POSITIONS + q * per_query;
            double highest = -INFINITY, total = 0;
            for (ptrdiff_t k = 0; k <= q; k++) {
                const double score = (double)row[k * per_key] * scale;
                if (score > highest) highest = score; /* fmax here breaks gcc 12 for aarch64 */
            }
            for (ptrdiff_t k = 0; k <= q; k++) total += exp((double)row[k * per_key] * scale - highest);
            for (ptrdiff_t k = 0; k < POSITIONS; k++)
                row[k * per_key] =
                    k <= q ? (float)(exp((double)row[k * per_key] * scale - highest) / total) : 0;
        }
}

/* What both should give: attention of q, k, v [HEADS, POSITIONS, SIZE], position by position, in double. */
static void attend(const float *q, const float *k, const float *v, double *out) {
    for (ptrdiff_t h = 0; h < HEADS; h++)
        for (ptrdiff_t i = 0; i < POSITIONS; i++) {
            const ptrdiff_t head = h * POSITIONS * SIZE;
            double p[POSITIONS], total = 0, *y = out + head + i * SIZE;
            for (ptrdiff_t j = 0; j <= i; j++) {
                double dot = 0;
                for (ptrdiff_t c = 0; c < SIZE; c++)
                    dot += (double)q[head + i * SIZE + c] * (double)k[head + j * SIZE + c];
                total += p[j] = exp(dot / sqrt((double)SIZE));
            }
            for (ptrdiff_t c = 0; c < SIZE; c++) {
                y[c] = 0;
                for (ptrdiff_t j = 0; j <= i; j++) y[c] += p[j] / total * (double)v[head + j * SIZE + c];
            }
        }
}

/* Two programs, the host's softmax between them. */
typedef struct pieces {
    ane_computed scores, values;
} pieces;

/* Run the first; softmax; run the second on it. The probabilities are the last input of the second. */
static bool run_pieces(pieces *p, bool keys_first, ane_error *e) {
    float *probabilities = p->values.x[p->values.f->n_inputs - 1];
    if (!ane_computed_run(&p->scores, e)) return false;
    for (int64_t i = 0; i < ane_computed_count(&p->scores, false, 0); i++)
        probabilities[i] = p->scores.y[0][i];
    causal_softmax(probabilities, keys_first);
    return ane_computed_run(&p->values, e);
}

static void report(ane_asking *a, const pieces *p, const ane_distance *d) {
    static const ane_distance none = {0, 0};
    ane_computed_report(a, "scores", &p->scores, &none);
    ane_computed_report(a, "values", &p->values, d);
    ane_asking_agreement(a, d, 0.02, 0.02);
}

/* ---- matmul ------------------------------------------------------------------------------------------------------- */

static bool build_matmuls(pieces *p, ane_device *device, ane_error *e) {
    static const int64_t heads[] = {1, HEADS, POSITIONS, SIZE}, scores[] = {1, HEADS, POSITIONS, POSITIONS};
    ane_computed *s = &p->scores, *v = &p->values;
    if (!ane_computed_begin(s, device, e) || !ane_computed_begin(v, device, e)) return false;
    mil_value k = ane_computed_input_as(s, "k", 4, heads), q = ane_computed_input_as(s, "q", 4, heads);
    mil_output(s->f, "scores", mil_matmul(s->f, q, k, false, true));
    mil_value value = ane_computed_input_as(v, "a_v", 4, heads),
              w = ane_computed_input_as(v, "b_p", 4, scores);
    mil_output(v->f, "y", mil_matmul(v->f, w, value, false, false));
    return ane_computed_compile(s, e) && ane_computed_compile(v, e);
}

bool ane_ask_causal_attention(ane_asking *a, ane_error *e) {
    pieces p = {0};
    double *expected = malloc(sizeof(double) * CHANNELS * POSITIONS);
    ane_asking_did(a,
        "%d heads of %d, %d positions: Q K^T on the device, scale, causal mask and softmax on the host, P V "
        "on "
        "the device",
        HEADS, SIZE, POSITIONS);
    bool ok =
        (expected || ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory")) && build_matmuls(&p, a->device, e);
    if (ok) {
        ane_computed_fill(&p.scores, 0, 1, KEY_STREAM);
        ane_computed_fill(&p.scores, 1, 1, 10);
        ane_computed_fill(&p.values, 0, 1, VALUE_STREAM);
        attend(p.scores.x[1], p.scores.x[0], p.values.x[0], expected);
        ok = run_pieces(&p, false, e);
    }
    if (ok) {
        ane_distance d = ane_distance_of(p.values.y[0], expected, (int64_t)CHANNELS * POSITIONS);
        report(a, &p, &d);
    }
    free(expected);
    ane_computed_end(&p.scores);
    ane_computed_end(&p.values);
    return ok;
}

/* ---- grouped convolutions with constant keys and values ------------------------------------------------------------- */

/* A constant given as [HEADS][rows][columns], stored so, or each head transposed: the weight of a grouped convolution. */
static mil_value heads_constant(
    ane_computed *c, const float *x, int rows, int columns, bool transpose, ane_error *e) {
    float *w = malloc(sizeof(float) * HEADS * (size_t)rows * (size_t)columns);
    if (!w) {
        ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory for keys and values");
        return MIL_NONE;
    }
    for (ptrdiff_t h = 0; h < HEADS; h++)
        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t k = 0; k < columns; k++) {
                ptrdiff_t head = h * rows * columns;
                w[head + (transpose ? k * rows + r : r * columns + k)] = x[head + r * columns + k];
            }
    int64_t outputs = transpose ? columns : rows, inputs = transpose ? rows : columns;
    const int64_t dim[] = {HEADS * outputs, inputs, 1, 1};
    mil_value v = mil_const_floats(c->f, mil_tensor(c->dtype, 4, dim), w);
    free(w);
    return v;
}

/* scores [HEADS*keys, queries] = K q, y [CHANNELS, queries] = V^T p, head by head. */
static bool build_convs(pieces *p, ane_device *device, const float *k, const float *v, ane_error *e) {
    const mil_conv_options grouped = {
        .stride = {1, 1}, .dilation = {1, 1}, .groups = HEADS, .bias = MIL_NONE};
    ane_computed *s = &p->scores, *y = &p->values;
    if (!ane_computed_begin(s, device, e) || !ane_computed_begin(y, device, e)) return false;
    mil_value keys = heads_constant(s, k, POSITIONS, SIZE, false, e);
    mil_output(
        s->f, "scores", mil_conv_with(s->f, ane_computed_input(s, "q", CHANNELS, POSITIONS), keys, &grouped));
    mil_value values = heads_constant(y, v, POSITIONS, SIZE, true, e);
    mil_output(
        y->f, "y", mil_conv_with(y->f, ane_computed_input(y, "p", SCORES, POSITIONS), values, &grouped));
    return ane_computed_compile(s, e) && ane_computed_compile(y, e);
}

/* [HEADS, POSITIONS, SIZE] and [HEADS, SIZE, POSITIONS] hold the same: the one of the other. */
static void transpose_heads(const float *x, float *y) {
    for (ptrdiff_t h = 0; h < HEADS; h++)
        for (ptrdiff_t i = 0; i < POSITIONS; i++)
            for (ptrdiff_t c = 0; c < SIZE; c++)
                y[(h * SIZE + c) * POSITIONS + i] = x[(h * POSITIONS + i) * SIZE + c];
}

/* q, k, v [HEADS, POSITIONS, SIZE]; `scratch` as large. */
static bool attend_by_convs(ane_asking *a, const float *q, const float *k, const float *v, float *scratch,
    double *expected, ane_error *e) {
    pieces p = {0};
    attend(q, k, v, expected);
    bool ok = build_convs(&p, a->device, k, v, e);
    if (ok) {
        transpose_heads(q, p.scores.x[0]);
        ok = run_pieces(&p, true, e);
    }
    if (ok) { /* y is [HEADS, SIZE, POSITIONS] */
        for (ptrdiff_t h = 0; h < HEADS; h++)
            for (ptrdiff_t c = 0; c < SIZE; c++)
                for (ptrdiff_t i = 0; i < POSITIONS; i++)
                    scratch[(h * POSITIONS + i) * SIZE + c] = p.values.y[0][(h * SIZE + c) * POSITIONS + i];
        ane_distance d = ane_distance_of(scratch, expected, (int64_t)CHANNELS * POSITIONS);
        report(a, &p, &d);
    }
    ane_computed_end(&p.scores);
    ane_computed_end(&p.values);
    return ok;
}

bool ane_ask_conv_attention(ane_asking *a, ane_error *e) {
    enum { N = CHANNELS * POSITIONS };
    ane_asking_did(a,
        "%d heads of %d, %d positions: grouped convolutions with keys and values as constants, scale, causal "
        "mask "
        "and softmax on the host between them",
        HEADS, SIZE, POSITIONS);
    float *x[4] = {0};
    bool ok = true;
    for (int i = 0; ok && i < 4; i++) ok = (x[i] = ane_computed_numbers(N, 1, 10 + (uint64_t)i, e)) != NULL;
    double *expected = malloc(sizeof(double) * N);
    ok = ok && (expected || ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory")) &&
         attend_by_convs(a, x[0], x[1], x[2], x[3], expected, e);
    for (int i = 0; i < 4; i++) free(x[i]);
    free(expected);
    return ok;
}
