#include "measure/update.h"

#include "base/clock.h"
#include "base/half.h"
#include "base/random.h"
#include "measure/programs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SET_SEED = 11 };

/* ---- sets -------------------------------------------------------------------------------------------------------- */

static float element_of(const ane_update *u, int set, int64_t i) {
    const void *data = u->sets[set];
    return u->element == sizeof(uint16_t) ? ane_f32_from_f16(((const uint16_t *)data)[i])
                                          : ((const float *)data)[i];
}

/* Uniform, of deviation 1 / sqrt(dim). */
static bool make_set(ane_update *u, int set, ane_error *e) {
    const int64_t n = u->dim * u->dim;
    const double limit = sqrt(3.0 / (double)u->dim);
    void *data = u->sets[set] = malloc((size_t)n * u->element);
    if (!data) return ane_fail(e, ANE_ERROR_MEMORY, "bench", "no memory for a set of weights");
    ane_rng rng = ane_rng_new(SET_SEED, (uint64_t)set);
    for (int64_t i = 0; i < n; i++) {
        float x = (float)(limit * (2 * ane_rng_uniform(&rng) - 1));
        if (u->element == sizeof(uint16_t))
            ((uint16_t *)data)[i] = ane_f16_from_f32(x);
        else
            ((float *)data)[i] = x;
    }
    return true;
}

bool ane_update_open(
    ane_update *u, ane_bench *b, int64_t dim, int64_t positions, bool packed, int n_sets, ane_error *e) {
    const mil_dtype dtype = b->capabilities->activation_dtype;
    *u = (ane_update){.bench = b,
        .dim = dim,
        .positions = positions,
        .packed = packed,
        .element = (size_t)mil_dtype_bits(dtype) / 8,
        .n_sets = n_sets,
        .last = -1};
    u->sets = calloc((size_t)n_sets, sizeof *u->sets);
    bool ok = u->sets || ane_fail(e, ANE_ERROR_MEMORY, "bench", "out of memory");
    for (int i = 0; ok && i < n_sets; i++) ok = make_set(u, i, e);
    u->program = ok ? ane_program_dynamic(dim, positions, packed, dtype, e) : NULL;
    u->trial = u->program ? ane_trial_new(b, u->program, NULL, e) : NULL;
    if (u->trial) return true;
    ane_update_close(u);
    return false;
}

void ane_update_close(ane_update *u) {
    ane_trial_free(u->trial);
    mil_program_free(u->program);
    for (int i = 0; u->sets && i < u->n_sets; i++) free(u->sets[i]);
    free(u->sets);
    *u = (ane_update){.last = -1};
}

/* ---- into the input ---------------------------------------------------------------------------------------------- */

static const char *input(const ane_update *u) {
    return u->packed ? "x" : "w";
}

/* Elements from one row of W to the next in the input, and where the first begins. */
static int64_t stride(const ane_update *u) {
    return u->packed ? u->positions + u->dim : u->dim;
}

static int64_t begin(const ane_update *u) {
    return u->packed ? u->positions : 0;
}

bool ane_update_put(ane_update *u, int set, ane_error *e) {
    ane_buffer *buffer = ane_trial_buffer(u->trial, input(u));
    char *to = ane_buffer_map(buffer, u->packed ? ANE_READ_WRITE : ANE_WRITE, e);
    if (!to) return false;
    const char *from = u->sets[set];
    const size_t row = (size_t)u->dim * u->element;
    if (!u->packed)
        memcpy(to, from, row * (size_t)u->dim);
    else
        for (int64_t i = 0; i < u->dim; i++)
            memcpy(to + (size_t)(i * stride(u) + begin(u)) * u->element, from + (size_t)i * row, row);
    u->last = set;
    return ane_buffer_unmap(buffer, e);
}

static bool put_next(void *context, ane_run_stats *stats, ane_error *e) {
    ane_update *u = context;
    double start = ane_clock_ms();
    bool ok = ane_update_put(u, (u->last + 1) % u->n_sets, e);
    stats->host_ms = stats->device_ms = ane_clock_ms() - start;
    return ok;
}

ane_subject ane_update_subject(ane_update *u) {
    return (ane_subject){.run = put_next, .context = u, .on_host = true};
}

bool ane_update_verify(ane_update *u, bool run, json_t *row, ane_error *e) {
    float *x = ane_trial_numbers(u->trial, input(u));
    for (int64_t i = 0; u->last >= 0 && i < u->dim; i++)
        for (int64_t k = 0; k < u->dim; k++)
            x[i * stride(u) + begin(u) + k] = element_of(u, u->last, i * u->dim + k);
    return ane_trial_verify(u->trial, run, row, e);
}

double ane_update_bytes(const ane_update *u) {
    return (double)u->dim * (double)u->dim * (double)u->element;
}
