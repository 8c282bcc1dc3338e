/* patch.c - the legitimate ways to change what a compiled program multiplies with. */
#include "measure/probes/asked.h"
#include "measure/probes/families.h"
#include "measure/probes/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 64, WIDTH = ANE_ASKED_WIDTH, ACTIVATIONS = CHANNELS * WIDTH };

/* The first CHANNELS rows of the input are activations; what comes behind changes what they are multiplied with. */
typedef struct way {
    const char *name;
    int rows;         /* behind the activations */
    float factors[2]; /* what two evaluations multiply with */
    mil_value (*build)(ane_asked *r, mil_value x);
    void (*fill)(float *behind, float factor);
} way;

static mil_value rows_of(ane_asked *r, mil_value x, int32_t first, int32_t n) {
    const int32_t begin[] = {0, first, 0, 0}, size[] = {1, n, 1, WIDTH};
    return mil_slice_by_size(r->f, x, begin, size);
}

static const char identity_path[] = "@model_path/weights/weight.bin";

/* (W x) s, W identity, s one row of the input */
static mil_value build_scale(ane_asked *r, mil_value x) {
    mil_value w = ane_asked_constant(r, identity_path, 4, (int64_t[]){CHANNELS, CHANNELS, 1, 1});
    mil_value y = mil_conv(r->f, rows_of(r, x, 0, CHANNELS), w);
    return mil_mul(r->f, y, rows_of(r, x, CHANNELS, 1));
}

static void fill_scale(float *behind, float factor) {
    for (int i = 0; i < WIDTH; i++) behind[i] = factor;
}

static mil_value matrix(ane_asked *r, mil_value x, int32_t first) {
    return mil_reshape(r->f, rows_of(r, x, first, CHANNELS), 3, (int64_t[]){1, CHANNELS, WIDTH});
}

/* W^T x, W [CHANNELS, CHANNELS] the rest of the input */
static mil_value build_matmul(ane_asked *r, mil_value x) {
    mil_value y = mil_matmul(r->f, matrix(r, x, CHANNELS), matrix(r, x, 0), true, false);
    return mil_reshape(r->f, y, 4, (int64_t[]){1, CHANNELS, 1, WIDTH});
}

static void fill_matmul(float *behind, float factor) {
    memset(behind, 0, sizeof(float) * CHANNELS * WIDTH);
    for (int i = 0; i < CHANNELS; i++) behind[i * WIDTH + i] = factor;
}

static const way ways[] = {
    {"input scale", 1, {2, 5}, build_scale, fill_scale},
    {"run-time matmul", CHANNELS, {1, 2}, build_matmul, fill_matmul},
};

/* Whether one program multiplies with both factors, one after the other. */
static bool run_way(ane_asked *r, const way *w, ane_error *e, float found[2]) {
    enum { MOST = 2 * ACTIVATIONS };
    float *x = calloc(MOST + ACTIVATIONS, sizeof *x);
    if (!x) return ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory for a program's numbers");
    float *y = x + MOST;
    bool ok = ane_asked_request(r, &engine_usual_choices, e);
    for (int i = 0; ok && i < 2; i++) {
        for (int k = 0; k < ACTIVATIONS; k++) x[k] = 0.01f * (float)(k % 8 + 1) * (float)(1 + i);
        w->fill(x + ACTIVATIONS, w->factors[i]);
        ok = ane_asked_write(r, 0, x, (int64_t)(CHANNELS + w->rows) * WIDTH, e) && ane_asked_run(r, e) &&
             ane_asked_read(r, 0, y, ACTIVATIONS, e) &&
             ane_scaling_is_multiple(x, y, ACTIVATIONS, &found[i], e);
    }
    free(x);
    return ok;
}

static bool try_way(ane_asking *a, const way *w, const char **answer, ane_error *e) {
    ane_asked r;
    float found[2] = {0};
    bool ok = ane_asked_begin(&r, a->device, e);
    ane_weight_file file = ane_scaling_file(CHANNELS, 1, e);
    mil_value x = ok ? ane_asked_input(&r, "anemone_x", CHANNELS + w->rows) : MIL_NONE;
    ok = ok && file.data &&
         ane_asked_compile(&r, w->build(&r, x), w->build == build_scale, &file, ENGINE_QOS, e) &&
         run_way(&r, w, e, found);
    if (ok) ane_asking_numbers(a, w->name, found, 2);
    *answer =
        fabsf(found[0] - w->factors[0]) < 0.1f && fabsf(found[1] - w->factors[1]) < 0.1f ? "works" : "fails";
    free((void *)file.data);
    ane_asked_end(&r);
    return ok;
}

bool ane_ask_weight_patch(ane_asking *a, ane_error *e) {
    const char *disk, *surface, *weight, *answer[2];
    ane_asking_did(a, "four ways: file overwritten and loaded again; weightsBuffer; an input row that scales "
                      "the output (2, 5); a "
                      "matrix in the input (identity, 2 times)");
    if (!ane_try_reload(a, &disk, e) || !ane_try_weights_buffer(a, &surface, &weight, e)) return false;
    for (int i = 0; i < 2; i++)
        if (!try_way(a, &ways[i], &answer[i], e)) return false;
    ane_asking_answer(a, "disk: %s; weightsBuffer: %s; input scale: %s; run-time matmul: %s", disk, surface,
        answer[0], answer[1]);
    return true;
}
