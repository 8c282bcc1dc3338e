/* weights_async.c - new weights compiled beside the work with the old ones (PR 23's double buffer, without its races:
 * ane-spec 4.9).
 *
 *     change k:  the program of change k-1 comes in (waited for if need be); the compilation of change k begins
 *
 * So every run between changes k and k+1 uses the weights of change k-1: one change old, whatever the compiler's speed. */
#include "base/clock.h"
#include "device/ane/device.h"

#include <stdlib.h>

static void compile(ane_job *job) {
    engine_baking *n = (engine_baking *)job;
    const engine_kernel *k = (const engine_kernel *)n->binding->base.kernel;
    engine_device *d = (engine_device *)k->base.device;
    double start = ane_clock_ms();
    n->program = ane_program_new(&d->budget, k->text, n->n_files, n->files, d->keep_baked, &n->error);
    n->ms = ane_clock_ms() - start;
}

static void free_baking(engine_baking *n) {
    ane_program_free(n->program);
    engine_weight_files_free(n->files, n->n_files);
    free(n);
}

static engine_device *device_of(const engine_binding *b) {
    return (engine_device *)b->base.kernel->device;
}

void engine_drop_next(engine_binding *b) {
    if (!b->next) return;
    ane_background_wait(&device_of(b)->background, &b->next->job);
    free_baking(b->next);
    b->next = NULL;
}

/* The program that was being compiled takes the place of the one in use. */
static bool take_next(engine_binding *b, ane_device_counts *counts, ane_error *e) {
    engine_baking *n = b->next;
    if (!n) return true;
    double start = ane_clock_ms();
    ane_background_wait(&device_of(b)->background, &n->job);
    counts->compiling_ms += ane_clock_ms() - start; /* only what was waited for */
    b->next = NULL;
    bool ok = n->program != NULL;
    if (ok) {
        ane_program_free(b->program);
        b->program = n->program;
        ane_program_expect(b->program, b->base.kernel->flops);
        n->program = NULL;
    } else if (e && e->code == ANE_OK) {
        *e = n->error;
    }
    free_baking(n);
    return ok;
}

/* The weights are copied now: the optimizer may change them while the compiler works. */
static bool begin_next(engine_binding *b, ane_device_counts *counts, ane_error *e) {
    const engine_kernel *k = (const engine_kernel *)b->base.kernel;
    engine_baking *n = calloc(1, sizeof *n);
    if (!n) return ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for the next program");
    double start = ane_clock_ms();
    n->job.work = compile;
    n->binding = b;
    n->files = engine_weight_files(k->lowering, b, &n->n_files, e);
    for (int i = 0; i < n->n_files; i++) counts->copied_bytes += (int64_t)n->files[i].size;
    counts->staging_ms += ane_clock_ms() - start;
    if (n->files && ane_background_submit(&device_of(b)->background, &n->job, e)) {
        b->next = n;
        return true;
    }
    free_baking(n);
    return false;
}

bool engine_bake_beside(engine_binding *b, ane_error *e) {
    ane_device_counts counts = {0};
    bool ok = take_next(b, &counts, e) && begin_next(b, &counts, e);
    ane_device_count(b->base.kernel->device, &counts);
    return ok;
}
