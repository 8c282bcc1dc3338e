/* asked.c - see asked.h. */
#include "measure/probes/asked.h"

#include "base/half.h"
#include "device/ane/program.h"
#include "mil/blob.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool ane_asked_said(const engine_reply *r, const char *stage, ane_error *e) {
    if (r->said == ENGINE_YES) return true;
    ane_fail(
        e, ANE_ERROR_DEVICE, stage, "%s%s%s", engine_said_name(r->said), r->text[0] ? ": " : "", r->text);
    return ane_hint(e, "Run `anemone doctor`.");
}

/* ---- building ----------------------------------------------------------------------------------------------------- */

bool ane_asked_begin(ane_asked *r, ane_device *device, ane_error *e) {
    *r = (ane_asked){.x = engine_explore(device, e), .capabilities = ane_device_capabilities(device)};
    r->program = r->x ? mil_program_new(engine_dialect(r->x), e) : NULL;
    r->f = r->program ? mil_function_new(r->program, "main") : NULL;
    return r->f != NULL;
}

void ane_asked_end(ane_asked *r) {
    engine_request_free(r->request);
    engine_explored_free(r->explored);
    mil_program_free(r->program);
    for (int i = 0; i < ANE_ASKED_PORTS; i++) {
        ane_surface_free(r->in[i]);
        ane_surface_free(r->out[i]);
    }
}

mil_value ane_asked_input(ane_asked *r, const char *name, int64_t channels) {
    return mil_input(r->f, name, mil_tensor(MIL_FP16, 4, (int64_t[]){1, channels, 1, ANE_ASKED_WIDTH}));
}

mil_value ane_asked_constant(ane_asked *r, const char *path, int rank, const int64_t *dim) {
    return mil_const_blob(r->f, mil_tensor(MIL_FP16, rank, dim), path, sizeof(mil_blob_header));
}

/* Rows of the widest alignment, and no surface smaller than what somebody needed. */
static size_t largest_port(const ane_asked *r, int n, const mil_value *ports) {
    size_t largest = ANE_ASKED_SURFACE;
    for (int i = 0; i < n; i++) {
        const mil_type *t = mil_type_of(r->f, ports[i]);
        size_t bytes = (size_t)(mil_type_count(t) / t->dim[t->rank - 1]) * 2 * ANE_ASKED_WIDTH;
        if (bytes > largest) largest = bytes;
    }
    return largest;
}

static bool make_surfaces(ane_asked *r, ane_error *e) {
    r->n_in = r->f->n_inputs;
    r->n_out = r->f->n_outputs;
    size_t in = largest_port(r, r->n_in, r->f->inputs), out = largest_port(r, r->n_out, r->f->outputs);
    for (int i = 0; i < r->n_in; i++)
        if (!(r->in[i] = engine_explore_surface(r->x, in, e))) return false;
    for (int i = 0; i < r->n_out; i++)
        if (!(r->out[i] = engine_explore_surface(r->x, out, e))) return false;
    return true;
}

bool ane_asked_compile(
    ane_asked *r, mil_value y, int n_files, const ane_weight_file *files, unsigned qos, ane_error *e) {
    mil_output(r->f, "result", y);
    if (!mil_program_ok(r->program, e)) return false;
    r->flops = mil_flops(r->f);
    r->f->ops[r->f->n_ops - 1].label = ANE_PROGRAM_IDENTITY;
    char *text = mil_print(r->program, e);
    r->f->ops[r->f->n_ops - 1].label = NULL;
    if (!text) return false;
    r->explored = engine_explored_new(r->x, text, n_files, files, qos, &r->built);
    free(text);
    if (!r->explored) return ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory for a program");
    return ane_asked_said(&r->built.model, "model", e) && ane_asked_said(&r->built.compile, "compile", e) &&
           ane_asked_said(&r->built.load, "load", e) && make_surfaces(r, e);
}

/* ---- running ------------------------------------------------------------------------------------------------------ */

bool ane_asked_write(ane_asked *r, int input, const float *x, int64_t n, ane_error *e) {
    uint16_t *data = ane_surface_lock(r->in[input], false, e);
    if (data) ane_f16_array_from_f32(data, x, (size_t)n);
    return data && ane_surface_unlock(r->in[input], false, e);
}

bool ane_asked_read(const ane_asked *r, int output, float *y, int64_t n, ane_error *e) {
    const uint16_t *data = ane_surface_lock(r->out[output], true, e);
    if (data) ane_f32_array_from_f16(y, data, (size_t)n);
    return data && ane_surface_unlock(r->out[output], true, e);
}

/* What is not written is not a number. */
static bool spoil(ane_surface *s, ane_error *e) {
    uint16_t *data = ane_surface_lock(s, false, e);
    for (size_t i = 0; data && i < s->bytes / 2; i++) data[i] = 0x7e00;
    return data && ane_surface_unlock(s, false, e);
}

bool ane_asked_request(ane_asked *r, const engine_choices *how, ane_error *e) {
    engine_request_free(r->request);
    r->ran = (engine_reply){.said = ENGINE_NOT_REACHED, .device_ms = -1};
    r->request = engine_request_new(r->explored, r->n_in, r->in, r->n_out, r->out, how, &r->made);
    return ane_asked_said(&r->made, "request", e) &&
           (r->request || ane_fail(e, ANE_ERROR_MEMORY, "request", "no memory for a request"));
}

double ane_asked_ms(const ane_asked *r) {
    return r->ran.device_ms >= 0 ? r->ran.device_ms : r->ran.host_ms;
}

bool ane_asked_run(ane_asked *r, ane_error *e) {
    for (int i = 0; i < r->n_out; i++)
        if (!spoil(r->out[i], e)) return false;
    r->ran = engine_request_run(r->request);
    return ane_asked_said(&r->ran, "evaluate", e) &&
           ane_probe_possible(r->capabilities, r->flops, ane_asked_ms(r), e);
}

/* ---- blob files --------------------------------------------------------------------------------------------------- */

ane_weight_file ane_asked_file(const char *path, const float *w, size_t n, ane_error *e) {
    const size_t begin = sizeof(mil_blob_header) + sizeof(mil_blob_metadata),
                 size = mil_blob_align(begin + 2 * n);
    unsigned char *data = calloc(size, 1);
    if (!data) {
        ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory for a weight file");
        return (ane_weight_file){path, NULL, 0};
    }
    const mil_blob_header header = {.count = 1, .version = MIL_BLOB_VERSION};
    const mil_blob_metadata metadata = {.sentinel = MIL_BLOB_SENTINEL,
        .type = mil_blob_type_code(MIL_FP16),
        .bytes = 2 * n,
        .data_offset = begin};
    memcpy(data, &header, sizeof header);
    memcpy(data + sizeof header, &metadata, sizeof metadata);
    for (size_t i = 0; i < n; i++) {
        uint16_t half = ane_f16_from_f32(w[i]);
        memcpy(data + begin + 2 * i, &half, sizeof half);
    }
    return (ane_weight_file){path, data, size};
}
