/* selftest_weights.c - the ways in which weights can reach a program. */
#include "base/half.h"
#include "device/ane/probe.h"
#include "device/ane/selftest.h"
#include "mil/blob.h"

#include <stddef.h>

static const char blob_path[] = "@model_path/weights/w.bin";

/* A file of two constants of one element each. */
typedef struct blob {
    mil_blob_header header;
    struct {
        mil_blob_metadata metadata;
        uint16_t data[MIL_BLOB_ALIGN / 2];
    } entry[2];
} blob;

static blob blob_of(uint32_t n, float first, float second) {
    const float value[2] = {first, second};
    blob b = {.header = {.count = n, .version = MIL_BLOB_VERSION}};
    for (uint32_t i = 0; i < n; i++) {
        b.entry[i].metadata = (mil_blob_metadata){.sentinel = MIL_BLOB_SENTINEL,
            .type = mil_blob_type_code(MIL_FP16),
            .bytes = sizeof(uint16_t),
            .data_offset = offsetof(blob, entry[i].data)};
        b.entry[i].data[0] = ane_f16_from_f32(value[i]);
    }
    return b;
}

static ane_weight_file file_of(const blob *b, uint32_t n) {
    return (ane_weight_file){blob_path, b, sizeof b->header + n * sizeof b->entry[0]};
}

/* x by a weight [1, 1, 1, 1] that stands in the file. */
static mil_value times(engine_probe *t, mil_value x, uint32_t entry) {
    const mil_type type = mil_tensor(MIL_FP16, 4, (int64_t[]){1, 1, 1, 1});
    return mil_conv(t->f, x, mil_const_blob(t->f, type, blob_path, offsetof(blob, entry[entry].metadata)));
}

static bool baked(engine_probe *t, void *context, ane_error *e) {
    (void)context;
    const blob b = blob_of(1, 2, 0);
    const ane_weight_file file = file_of(&b, 1);
    t->in[0].fill = 1.5f;
    mil_value y = times(t, engine_probe_input(t, "anemone_x", 1), 0);
    return engine_probe_compile(t, y, 1, &file, e) && engine_probe_run(t, e) &&
           engine_probe_holds(t, 0, 3, ENGINE_PROBE_WIDTH, e);
}

engine_outcome engine_ask_baked_weights(engine_device *d, engine_finding *found) {
    d->facts.baked_weights = engine_try(d, baked, NULL, &found->error);
    return engine_answer(found, d->facts.baked_weights, "work", "fail");
}

static bool two_in_one_file(engine_probe *t, void *context, ane_error *e) {
    (void)context;
    const blob b = blob_of(2, 2, 3);
    const ane_weight_file file = file_of(&b, 2);
    t->in[0].fill = 1.5f;
    mil_value y = times(t, times(t, engine_probe_input(t, "anemone_x", 1), 0), 1);
    return engine_probe_compile(t, y, 1, &file, e) && engine_probe_run(t, e) &&
           engine_probe_holds(t, 0, 9, ENGINE_PROBE_WIDTH, e);
}

engine_outcome engine_ask_shared_blobs(engine_device *d, engine_finding *found) {
    d->facts.shared_blobs = engine_try(d, two_in_one_file, NULL, &found->error);
    return engine_answer(found, d->facts.shared_blobs, "work", "one file for each");
}

/* Activations and weights side by side in one input [1, 64, 1, 64]: rows 0 to 31 times rows 32 to 63. */
static bool packed(engine_probe *t, void *context, ane_error *e) {
    enum { N = 32 };
    (void)context;
    t->in[0].fill = 2;
    mil_value in = engine_probe_input(t, "anemone_x", (int64_t)2 * N);
    mil_value x =
        engine_probe_matrix(t, engine_probe_rows(t, in, 0, N, ENGINE_PROBE_WIDTH), N, ENGINE_PROBE_WIDTH);
    mil_value w =
        engine_probe_matrix(t, engine_probe_rows(t, in, N, N, ENGINE_PROBE_WIDTH), N, ENGINE_PROBE_WIDTH);
    mil_value y = mil_matmul(t->f, w, x, true, false); /* [1, 64, 64] */
    y = mil_reshape(t->f, y, 4, (int64_t[]){1, ENGINE_PROBE_WIDTH, 1, ENGINE_PROBE_WIDTH});
    return engine_probe_gives(t, y, 4 * N, (int64_t)ENGINE_PROBE_WIDTH * ENGINE_PROBE_WIDTH, e);
}

engine_outcome engine_ask_matmul_weights(engine_device *d, engine_finding *found) {
    d->facts.matmul_weights = engine_try(d, packed, NULL, &found->error);
    return engine_answer(found, d->facts.matmul_weights, "work", "fail");
}

static bool run_time_conv(engine_probe *t, void *context, ane_error *e) {
    enum { N = 32 };
    (void)context;
    t->in[0].fill = 1;
    mil_value x = engine_probe_input(t, "anemone_x", N);
    mil_value w = mil_reshape(t->f, engine_probe_rows(t, x, 0, N, N), 4, (int64_t[]){N, N, 1, 1});
    return engine_probe_gives(t, mil_conv(t->f, x, w), N, (int64_t)N * ENGINE_PROBE_WIDTH, e);
}

engine_outcome engine_ask_conv_weights(engine_device *d, engine_finding *found) {
    d->facts.conv_weights = engine_try(d, run_time_conv, NULL, &found->error);
    return engine_answer(found, d->facts.conv_weights, "work", "ignored or refused");
}

/* The weight is 2, then 3. */
static bool reloads(engine_probe *t, void *context, ane_error *e) {
    (void)context;
    const blob before = blob_of(1, 2, 0), after = blob_of(1, 3, 0);
    const ane_weight_file first = file_of(&before, 1), second = file_of(&after, 1);
    t->in[0].fill = 1;
    mil_value y = times(t, engine_probe_input(t, "anemone_x", 1), 0);
    return engine_probe_compile(t, y, 1, &first, e) && engine_probe_run(t, e) &&
           engine_probe_holds(t, 0, 2, ENGINE_PROBE_WIDTH, e) &&
           ane_program_reload(t->compiled, 1, &second, e) && engine_probe_run(t, e) &&
           engine_probe_holds(t, 0, 3, ENGINE_PROBE_WIDTH, e);
}

engine_outcome engine_ask_reload(engine_device *d, engine_finding *found) {
    d->facts.reload = engine_try(d, reloads, NULL, &found->error);
    return engine_answer(found, d->facts.reload, "new weights count", "ignored");
}
