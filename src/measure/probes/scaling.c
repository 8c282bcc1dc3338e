/* scaling.c - y = s x through a convolution with constant weights: the program of most probes of the framework (asked.h). */
#include "measure/probes/asked.h"

#include <math.h>
#include <stdlib.h>

static const char path[] = "@model_path/weights/weight.bin";

ane_weight_file ane_scaling_file(int channels, float s, ane_error *e) {
    size_t n = (size_t)channels * (size_t)channels;
    float *w = calloc(n, sizeof *w);
    ane_weight_file file = {path, NULL, 0};
    if (!w) {
        ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory for a weight file");
        return file;
    }
    for (int i = 0; i < channels; i++) w[(size_t)i * (size_t)channels + (size_t)i] = s;
    file = ane_asked_file(path, w, n, e);
    free(w);
    return file;
}

bool ane_scaling_begin(ane_asked *r, ane_device *device, int channels, float s, unsigned qos, ane_error *e) {
    if (!ane_asked_begin(r, device, e)) return false;
    ane_weight_file file = ane_scaling_file(channels, s, e);
    mil_value x = ane_asked_input(r, "anemone_x", channels);
    mil_value w = ane_asked_constant(r, path, 4, (int64_t[]){channels, channels, 1, 1});
    bool ok = file.data && ane_asked_compile(r, mil_conv(r->f, x, w), 1, &file, qos, e);
    free((void *)file.data);
    return ok;
}

/* Column t of every row is 0.01 (t mod 8 + 1), as in the field's programs, times the turn's own factor. */
static void fill(float *x, int64_t n, int turn) {
    for (int64_t i = 0; i < n; i++) x[i] = 0.01f * (float)(i % 8 + 1) * (1 + 0.25f * (float)(turn % 32));
}

/* Within what rounding to fp16 may do. */
bool ane_scaling_is_multiple(const float *x, const float *y, int64_t n, float *ratio, ane_error *e) {
    *ratio = y[7] / x[7];
    if (!isfinite(*ratio) || *ratio == 0)
        return ane_fail(e, ANE_ERROR_DEVICE, "evaluate", "the output is %s: nothing was computed",
            *ratio == 0 ? "zero" : "not finite");
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(y[i] - *ratio * x[i]) <= 0.01f * fabsf(*ratio * x[i])))
            return ane_fail(e, ANE_ERROR_DEVICE, "evaluate",
                "element %lld of the output is %g for %g: it is no multiple of the input", (long long)i,
                (double)y[i], (double)x[i]);
    return true;
}

bool ane_scaling_run(ane_asked *r, float *ratio, ane_error *e) {
    int64_t n = mil_type_count(mil_type_of(r->f, r->f->inputs[0]));
    float *x = malloc(2 * sizeof *x * (size_t)n);
    if (!x) return ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory for a program's numbers");
    float *y = x + n;
    fill(x, n, r->turn++);
    bool ok = ane_asked_write(r, 0, x, n, e) && ane_asked_run(r, e) && ane_asked_read(r, 0, y, n, e) &&
              ane_scaling_is_multiple(x, y, n, ratio, e);
    free(x);
    return ok;
}

bool ane_scaling_usual(ane_asked *r, float *ratio, ane_error *e) {
    return ane_asked_request(r, &engine_usual_choices, e) && ane_scaling_run(r, ratio, e);
}

/* Whether it was refused: the request is nil, or the evaluation NO. What else goes wrong is trouble. */
static ane_verdict attempt(ane_asked *r, const engine_choices *how, float *ratio, ane_error *e) {
    if (ane_asked_request(r, how, e) && ane_scaling_run(r, ratio, e)) return ANE_WORKS;
    const engine_reply *last = r->made.said == ENGINE_YES ? &r->ran : &r->made;
    return last->said == ENGINE_NO ? ANE_REFUSED : ANE_TROUBLE;
}

ane_verdict ane_scaling_with(ane_asked *r, const engine_choices *how, float *ratio, ane_error *e) {
    ane_error first = {0}, second = {0};
    float usual;
    ane_verdict verdict = attempt(r, how, ratio, &first);
    if (verdict == ANE_REFUSED) {
        if (!ane_scaling_usual(r, &usual, e)) return ANE_TROUBLE;
        if (attempt(r, how, ratio, &second) == ANE_REFUSED) return ANE_REFUSED;
        verdict = ANE_TROUBLE;
    }
    if (verdict == ANE_TROUBLE) ane_fail(e, first.code, first.where, "%s", first.message);
    return verdict;
}
