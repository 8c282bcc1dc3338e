/* weights.c - a binding's weights: into its input surfaces, or into a program of its own. */
#include "base/clock.h"
#include "base/half.h"
#include "base/parallel.h"
#include "device/ane/device.h"
#include "mil/blob.h"

#include <stdlib.h>
#include <string.h>

/* ---- blob files ------------------------------------------------------------------------------------------------ */

enum { BLOB_DATA = 128, /* behind header and metadata */ TILE = 64 };

typedef struct transpose_job {
    const mil_baked *baked;
    const float *from;
    uint16_t *to;
} transpose_job;

/* Columns begin to end become rows, a tile of whole cache lines at a time. */
static void transpose_rows(void *context, int64_t begin, int64_t end) {
    const transpose_job *j = context;
    int64_t rows = j->baked->rows, columns = j->baked->columns;
    for (int64_t tile = 0; tile < rows; tile += TILE) {
        int64_t n = rows - tile < TILE ? rows - tile : TILE;
        for (int64_t column = begin; column < end; column++) {
            float line[TILE];
            for (int64_t i = 0; i < n; i++) line[i] = j->from[(tile + i) * columns + column];
            ane_f16_array_from_f32(j->to + column * rows + tile, line, (size_t)n);
        }
    }
}

static void fill(const mil_baked *baked, const float *master, uint16_t *to, int threads) {
    int64_t n = mil_type_count(&baked->type);
    const transpose_job j = {baked, master, to};
    if (!master)
        memcpy(to, baked->data, (size_t)mil_type_bytes(&baked->type));
    else if (baked->transposed)
        ane_parallel_for(baked->columns, 16, threads, transpose_rows, (void *)(uintptr_t)&j);
    else
        ane_f16_array_from_f32(to, master, (size_t)n);
}

/* One blob, as a file of its own; caller frees. Masters become fp16, constants are as they are. */
static void *blob_file(const mil_baked *baked, const float *master, int threads, size_t *size) {
    uint64_t bytes = (uint64_t)mil_type_bytes(&baked->type);
    *size = (size_t)mil_blob_align(BLOB_DATA + bytes);
    unsigned char *file = calloc(1, *size);
    if (!file) return NULL;
    const mil_blob_header header = {.count = 1, .version = MIL_BLOB_VERSION};
    const mil_blob_metadata metadata = {.sentinel = MIL_BLOB_SENTINEL,
        .type = mil_blob_type_code(baked->type.dtype),
        .bytes = bytes,
        .padding_bits =
            8 * bytes - (uint64_t)mil_type_count(&baked->type) * (uint64_t)mil_dtype_bits(baked->type.dtype),
        .data_offset = BLOB_DATA};
    memcpy(file, &header, sizeof header);
    memcpy(file + sizeof header, &metadata, sizeof metadata);
    fill(baked, master, (uint16_t *)(void *)(file + BLOB_DATA), threads);
    return file;
}

static const float *master_of(const engine_binding *b, const char *param) {
    const ane_kernel *k = b->base.kernel;
    for (int i = 0; i < k->n_weights; i++)
        if (strcmp(k->ports[k->n_inputs + k->n_outputs + i].name, param) == 0) return b->masters[i];
    return NULL;
}

ane_weight_file *engine_weight_files(const mil_lowering *l, const engine_binding *b, int *n, ane_error *e) {
    ane_weight_file *files = calloc((size_t)l->n_baked + 1, sizeof *files);
    int threads = b ? b->base.kernel->device->capabilities.threads : 1;
    *n = 0;
    for (int32_t i = 0; files && i < l->n_baked; i++) {
        const mil_baked *baked = &l->baked[i];
        ane_weight_file *file = &files[(*n)++];
        file->path = baked->path;
        file->data = blob_file(baked, baked->param ? master_of(b, baked->param) : NULL, threads, &file->size);
        if (file->data) continue;
        engine_weight_files_free(files, *n);
        files = NULL;
    }
    if (!files) ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for the program's weight files");
    return files;
}

void engine_weight_files_free(ane_weight_file *files, int n) {
    for (int i = 0; files && i < n; i++)
        free((void *)(uintptr_t)files[i].data); /* ours, const for the others */
    free(files);
}

/* ---- staging --------------------------------------------------------------------------------------------------- */

/* A new program, or, where the machine takes that, new files for the old. The old one stays until the new is there. */
static bool bake(engine_binding *b, ane_device_counts *counts, ane_error *e) {
    const engine_kernel *k = (const engine_kernel *)b->base.kernel;
    engine_device *d = (engine_device *)k->base.device;
    int n = 0;
    double start = ane_clock_ms();
    ane_weight_file *files = engine_weight_files(k->lowering, b, &n, e);
    for (int i = 0; i < n; i++) counts->copied_bytes += (int64_t)files[i].size;
    double filled = ane_clock_ms();
    counts->staging_ms += filled - start;
    if (files && d->reload && b->program) {
        bool ok = ane_program_reload(b->program, n, files, e);
        engine_weight_files_free(files, n);
        counts->compiling_ms += ane_clock_ms() - filled;
        return ok;
    }
    ane_program *program = files ? ane_program_new(&d->budget, k->text, n, files, d->keep_baked, e) : NULL;
    engine_weight_files_free(files, n);
    counts->compiling_ms += ane_clock_ms() - filled;
    if (!program) return false;
    ane_program_expect(program, k->base.flops);
    ane_program_free(b->program);
    b->program = program;
    return true;
}

static bool stage_piece(engine_binding *b, const mil_piece *p, const float *master, ane_error *e) {
    const engine_kernel *k = (const engine_kernel *)b->base.kernel;
    ane_surface *s = b->inputs[p->port];
    uint16_t *data = ane_surface_lock(s, false, e);
    if (!data) return false;
    const engine_rows rows = {data, k->lowering->inputs[p->port].width};
    engine_put_f32(&rows, p, master, k->base.device->capabilities.threads);
    return ane_surface_unlock(s, false, e);
}

bool engine_stage_weights(engine_binding *b, ane_device_counts *counts, ane_error *e) {
    const engine_kernel *k = (const engine_kernel *)b->base.kernel;
    const mil_lowering *l = k->lowering;
    if (!b->stale || k->base.n_weights == 0) return true;
    if (l->options.weights == MIL_WEIGHTS_BAKED) {
        if (!bake(b, counts, e)) return false;
    } else {
        double start = ane_clock_ms();
        int first = k->base.n_inputs + k->base.n_outputs;
        for (int32_t i = 0; i < l->n_pieces; i++) {
            const mil_piece *p = &l->pieces[i];
            if (p->kind != MIL_PIECE_WEIGHT) continue;
            if (!stage_piece(b, p, b->masters[k->slot[i] - first], e)) return false;
            counts->copied_bytes += p->rows * p->width * (int64_t)sizeof(uint16_t);
        }
        counts->staging_ms += ane_clock_ms() - start;
    }
    b->stale = false;
    return true;
}
