/* selftest_surfaces.c - how large a surface must be, and how rows lie in it. */
#include "device/ane/probe.h"
#include "device/ane/selftest.h"

#include <stdio.h>

/* Rows of a multiple of 128 bytes, in surfaces of `*bytes`. */
static bool fits(engine_probe *t, void *context, ane_error *e) {
    t->in[0].fill = 1.5f;
    t->in[0].bytes = t->out[0].bytes = *(const int64_t *)context;
    mil_value x = engine_probe_input(t, "anemone_x", 1);
    return engine_probe_gives(t, mil_mul_scalar(t->f, x, 2), 3, ENGINE_PROBE_WIDTH, e);
}

engine_outcome engine_ask_min_surface(engine_device *d, engine_finding *found) {
    static const int64_t sizes[] = {ENGINE_PROBE_ROW, 2048, 16384};
    bool proven = false;
    for (size_t i = 0; !proven && i < sizeof sizes / sizeof *sizes; i++) {
        int64_t size = sizes[i];
        proven = engine_try(d, fits, &size, &found->error);
        if (proven) d->facts.min_surface = size;
    }
    snprintf(found->answer, sizeof found->answer, "%lld bytes are enough", (long long)d->facts.min_surface);
    return engine_answer(found, proven, NULL, NULL);
}

/* Rows of 64 bytes, as many as make the smallest surface, and no byte more. */
static bool half_rows(engine_probe *t, void *context, ane_error *e) {
    enum { WIDTH = ENGINE_PROBE_WIDTH / 2, BYTES = 2 * WIDTH, LEAST = 32 };
    (void)context;
    int64_t rows = t->d->facts.min_surface / BYTES;
    if (rows < LEAST) rows = LEAST;
    t->in[0].fill = 1.5f;
    t->in[0].bytes = t->out[0].bytes = rows * BYTES;
    mil_value x = mil_input(t->f, "anemone_x", mil_tensor(MIL_FP16, 4, (int64_t[]){1, rows, 1, WIDTH}));
    return engine_probe_gives(t, mil_mul_scalar(t->f, x, 2), 3, rows * WIDTH, e);
}

engine_outcome engine_ask_row_alignment(engine_device *d, engine_finding *found) {
    bool proven = engine_try(d, half_rows, NULL, &found->error);
    if (proven) d->facts.row_alignment = ENGINE_PROBE_ROW / 2;
    return engine_answer(found, proven, "64 bytes a row", "128 bytes a row");
}

/* Rows of 32 bytes whose elements count up through the surface: packed, the second row is at element 16; strided, the
 * first 16 elements of each 64 or 128 bytes are a row. *strided gets which. */
static bool narrow_rows(engine_probe *t, void *context, ane_error *e) {
    enum { WIDTH = 16, ROWS = 32, TOLD = 128 };
    bool *strided = context;
    float x[TOLD], y[TOLD];
    for (int i = 0; i < TOLD; i++) x[i] = (float)(1 + i);
    t->in[0].data = x;
    t->in[0].n = TOLD;
    mil_value in = mil_input(t->f, "anemone_x", mil_tensor(MIL_FP16, 4, (int64_t[]){1, ROWS, 1, WIDTH}));
    if (!engine_probe_compile(t, mil_mul_scalar(t->f, in, 2), 0, NULL, e) || !engine_probe_run(t, e) ||
        !engine_probe_read(t, 0, y, TOLD, e))
        return false;
    bool first = true, second = true, gap = true, after = true;
    for (int i = 0; i < WIDTH; i++) {
        first &= y[i] == 2 * x[i];
        second &= y[WIDTH + i] == 2 * x[WIDTH + i];
        gap &= y[WIDTH + i] <= 0; /* nothing was written there */
        after &= y[TOLD / 4 + i] == 2 * x[TOLD / 4 + i] || y[TOLD / 2 + i] == 2 * x[TOLD / 2 + i];
    }
    *strided = gap;
    return (first && (second != gap) && after) ||
           ane_fail(
               e, ANE_ERROR_DEVICE, "self-test", "rows of 32 bytes came back neither packed nor strided");
}

engine_outcome engine_ask_strided_rows(engine_device *d, engine_finding *found) {
    bool strided = false, proven = engine_try(d, narrow_rows, &strided, &found->error);
    if (proven) d->facts.strided_rows = strided;
    return engine_answer(found, proven, strided ? "strided" : "packed", "unknown");
}

static bool column(engine_probe *t, void *context, ane_error *e) {
    (void)context;
    t->in[0].fill = 1.5f;
    mil_value x = mil_input(t->f, "anemone_x", mil_tensor(MIL_FP16, 4, (int64_t[]){1, 64, 1, 1}));
    return engine_probe_gives(t, mil_mul_scalar(t->f, x, 2), 3, 1, e);
}

engine_outcome engine_ask_innermost_one(engine_device *d, engine_finding *found) {
    d->facts.innermost_one = engine_try(d, column, NULL, &found->error);
    return engine_answer(found, d->facts.innermost_one, "works", "fails");
}
