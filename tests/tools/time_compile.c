/* time_compile PRESET SEQ: milliseconds to derive one block's backward and to compile both programs for the CPU, the
 * median of several times. scripts/bench asks it. */
#include "anemone/device.h"
#include "anemone/mil.h"
#include "anemone/model.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { TIMES = 9 };

static bool compile_once(ane_device *d, const ane_model_config *c, int32_t seq, double *ms, ane_error *e) {
    const ane_block_shape shape = {.batch = 1, .seq = seq, .dtype = MIL_FP32};
    const char *const wrt[] = {"x"};
    const mil_grad_options options = {.n_wrt = 1, .wrt = wrt, .recompute_cheap = true};
    double start = ane_clock_ms();
    mil_program *p = mil_program_new(MIL_IOS18, e);
    mil_gradient *g = p && ane_llama_block(p, c, &shape)
                          ? mil_differentiate(mil_program_function(p, NULL), &options, e)
                          : NULL;
    ane_kernel *forward = g ? ane_device_compile(d, g->forward, NULL, e) : NULL;
    ane_kernel *backward = forward ? ane_device_compile(d, g->backward, NULL, e) : NULL;
    *ms = ane_clock_ms() - start;
    if (p && !g) mil_program_ok(p, e);
    if (forward) ane_kernel_free(forward);
    if (backward) ane_kernel_free(backward);
    mil_gradient_free(g);
    mil_program_free(p);
    return backward != NULL;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    ane_error e = {0};
    ane_model_config c;
    double ms[TIMES] = {0};
    ane_device *d = argc == 3 && ane_model_preset(&c, argv[1], &e) ? ane_device_open("cpu", &e) : NULL;
    bool ok = d != NULL;
    for (int i = 0; i < TIMES && ok; i++) ok = compile_once(d, &c, atoi(argv[2]), &ms[i], &e);
    qsort(ms, TIMES, sizeof *ms, ascending);
    if (ok)
        printf(
            "{\"compile_ms\": %.3f, \"least\": %.3f, \"most\": %.3f}\n", ms[TIMES / 2], ms[0], ms[TIMES - 1]);
    if (!ok) fprintf(stderr, "usage: time_compile PRESET SEQ\n%s: %s\n", e.where, e.message);
    ane_device_close(d);
    return ok ? 0 : 1;
}
