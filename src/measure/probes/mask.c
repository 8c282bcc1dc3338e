/* mask.c - whether scaled_dot_product_attention minds its mask, given in four ways. On the Neural Engine the operation itself is
 * asked, as text: the device would take it apart. */
#include "measure/probes/asked.h"
#include "measure/probes/computed.h"
#include "measure/probes/families.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADS = 2,
    SIZE = 64,
    POSITIONS = ANE_ASKED_WIDTH,
    N = HEADS * POSITIONS * SIZE,
    MASK = HEADS * POSITIONS * POSITIONS
};
enum { PORTS = 4 }; /* query, key, value, mask */
typedef enum manner { NONE, INLINE, BLOBFILE, RUN_TIME, N_MANNERS } manner;
static const char *const manner_names[N_MANNERS] = {"none", "inline", "BLOBFILE", "run-time"};
/* In the order of the alphabet, which then is everybody's order. */
static const char *const port_names[PORTS] = {"a_query", "b_key", "c_value", "d_mask"};

/* The numbers of all four ports. */
typedef struct numbers {
    float x[3][N], mask[MASK];
    double masked[N], open[N]; /* what attention gives with the mask, and without */
    float found[N];
} numbers;

/* ---- building ------------------------------------------------------------------------------------------------------- */

typedef mil_value make_input(void *context, const char *name, int64_t channels);

/* Ports are [1, rows, 1, 64]; heads are [1, HEADS, POSITIONS, SIZE] of them, the mask [1, HEADS, POSITIONS, POSITIONS]: all are of one size. */
static mil_value build(mil_function *f, manner m, mil_dtype dtype, const float *mask, make_input *input,
    void *context, mil_value blob) {
    mil_value port[PORTS], how = MIL_NONE;
    static const int64_t square[] = {1, HEADS, POSITIONS, POSITIONS};
    for (int i = 0; i < 3; i++)
        port[i] = mil_reshape(f, input(context, port_names[i], (int64_t)HEADS * POSITIONS), 4,
            (int64_t[]){1, HEADS, POSITIONS, SIZE});
    if (m == INLINE) how = mil_const_floats(f, mil_tensor(dtype, 4, square), mask);
    if (m == BLOBFILE) how = blob;
    if (m == RUN_TIME)
        how = mil_reshape(f, input(context, port_names[3], (int64_t)HEADS * POSITIONS), 4, square);
    mil_value y = mil_scaled_dot_product_attention(f, port[0], port[1], port[2], how);
    return mil_reshape(f, y, 4, (int64_t[]){1, (int64_t)HEADS * POSITIONS, 1, SIZE});
}

static mil_value computed_input(void *context, const char *name, int64_t channels) {
    return ane_computed_input(context, name, channels, SIZE);
}

static mil_value raw_input(void *context, const char *name, int64_t channels) {
    return ane_asked_input(context, name, channels);
}

/* ---- what it should give ------------------------------------------------------------------------------------------------ */

static void attend(const numbers *n, bool masked, double *out) {
    for (int row = 0; row < HEADS * POSITIONS; row++) {
        const ptrdiff_t head = (ptrdiff_t)(row / POSITIONS) * POSITIONS * SIZE;
        const float *q = n->x[0] + (ptrdiff_t)row * SIZE;
        double p[POSITIONS], total = 0;
        for (int k = 0; k < POSITIONS; k++) {
            double dot = masked ? (double)n->mask[(ptrdiff_t)row * POSITIONS + k] : 0;
            for (int c = 0; c < SIZE; c++)
                dot += (double)q[c] * (double)n->x[1][head + (ptrdiff_t)k * SIZE + c] / sqrt((double)SIZE);
            total += p[k] = exp(dot);
        }
        for (int c = 0; c < SIZE; c++) {
            double sum = 0;
            for (int k = 0; k < POSITIONS; k++)
                sum += p[k] / total * (double)n->x[2][head + (ptrdiff_t)k * SIZE + c];
            out[(ptrdiff_t)row * SIZE + c] = sum;
        }
    }
}

static numbers *make_numbers(ane_error *e) {
    numbers *n = calloc(1, sizeof *n);
    if (!n) ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory for a program's numbers");
    for (int i = 0; n && i < 3; i++) {
        float *x = ane_computed_numbers(N, 1, 30 + (uint64_t)i, e);
        if (x) memcpy(n->x[i], x, sizeof n->x[i]);
        free(x);
    }
    for (int i = 0; n && i < MASK; i++) n->mask[i] = i % POSITIONS <= i / POSITIONS % POSITIONS ? 0 : -65504;
    if (!n) return NULL;
    attend(n, true, n->masked);
    attend(n, false, n->open);
    return n;
}

/* ---- on the device -------------------------------------------------------------------------------------------------------- */

static bool run_computed(ane_asking *a, manner m, numbers *n, ane_error *e) {
    ane_computed c;
    bool ok = ane_computed_begin(&c, a->device, e);
    if (ok) {
        mil_output(c.f, "y", build(c.f, m, c.dtype, n->mask, computed_input, &c, MIL_NONE));
        ok = ane_computed_compile(&c, e);
    }
    for (int i = 0; ok && i < c.f->n_inputs; i++)
        memcpy(c.x[i], i < 3 ? n->x[i] : n->mask, i < 3 ? sizeof n->x[i] : sizeof n->mask);
    ok = ok && ane_computed_run(&c, e);
    if (ok) memcpy(n->found, c.y[0], sizeof n->found);
    ane_computed_end(&c);
    return ok;
}

/* *refused: the compiler says no. */
static bool run_raw(ane_asking *a, manner m, numbers *n, bool *refused, ane_error *e) {
    static const char path[] = "@model_path/weights/mask.bin";
    ane_asked r;
    bool ok = ane_asked_begin(&r, a->device, e);
    ane_weight_file file = ane_asked_file(path, n->mask, MASK, e);
    if (ok && file.data) {
        mil_value blob = m == BLOBFILE
                             ? ane_asked_constant(&r, path, 4, (int64_t[]){1, HEADS, POSITIONS, POSITIONS})
                             : MIL_NONE;
        mil_value y = build(r.f, m, MIL_FP16, n->mask, raw_input, &r, blob);
        ok = ane_asked_compile(&r, y, m == BLOBFILE, &file, ENGINE_QOS, e);
        *refused = !ok && r.built.compile.said == ENGINE_NO;
    }
    for (int i = 0; ok && i < r.n_in; i++)
        ok = ane_asked_write(&r, i, i < 3 ? n->x[i] : n->mask, i < 3 ? N : MASK, e);
    ok = ok && ane_asked_request(&r, &engine_usual_choices, e) && ane_asked_run(&r, e) &&
         ane_asked_read(&r, 0, n->found, N, e);
    free((void *)file.data);
    ane_asked_end(&r);
    return ok;
}

static bool run(ane_asking *a, manner m, numbers *n, bool *refused, ane_error *e) {
    *refused = false;
    return a->engine ? run_raw(a, m, n, refused, e) : run_computed(a, m, n, e);
}

/* ---- asking --------------------------------------------------------------------------------------------------------------- */

/* Which of the two it was: "ignored", "minded", or neither. */
static const char *judge(ane_asking *a, manner m, const numbers *n) {
    ane_distance masked = ane_distance_of(n->found, n->masked, N),
                 open = ane_distance_of(n->found, n->open, N);
    ane_asking_put(a, manner_names[m],
        json_pack("{s:f, s:f}", "from_masked", fmin(masked.max, 1e9), "from_unmasked", fmin(open.max, 1e9)));
    bool is_masked = ane_distance_is_small(&masked, 0.05, 0.02),
         is_open = ane_distance_is_small(&open, 0.05, 0.02);
    return is_masked == is_open ? "neither" : is_masked ? "minded" : "ignored";
}

static bool ask_all(ane_asking *a, numbers *n, ane_error *e) {
    const char *said[N_MANNERS] = {0};
    bool refused;
    if (!run(a, NONE, n, &refused, e)) return false;
    if (strcmp(judge(a, NONE, n), "ignored") != 0) /* without a mask it must be right */
        return ane_fail(
            e, ANE_ERROR_DEVICE, "evaluate", "attention without a mask is far from the reference");
    for (manner m = INLINE; m < N_MANNERS; m++) {
        ane_error why = {0};
        said[m] = "not asked"; /* devices have no files of their own, but for the Neural Engine */
        if (m == BLOBFILE && !a->engine) continue;
        bool ok = run(a, m, n, &refused, &why);
        if (!ok && !refused) return ane_fail(e, why.code, why.where, "%s", why.message);
        said[m] = ok ? judge(a, m, n) : "refused";
    }
    ane_asking_answer(
        a, "inline: %s; BLOBFILE: %s; run-time: %s", said[INLINE], said[BLOBFILE], said[RUN_TIME]);
    return true;
}

bool ane_ask_sdpa_mask(ane_asking *a, ane_error *e) {
    numbers *n = make_numbers(e);
    ane_asking_did(a,
        "%d heads of %d, %d positions: no mask, and a causal one as a constant in the text, in a file, and "
        "as an input; "
        "each beside attention with and without it",
        HEADS, SIZE, POSITIONS);
    bool ok = n && ask_all(a, n, e);
    free(n);
    return ok;
}
