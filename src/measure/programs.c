/* programs.c - chains of convolutions, and products with weights from inputs. */
#include "measure/programs.h"

#include "base/half.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WEIGHT_SEED = 7, BLOCK = 32 };

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* Uniform in [-limit, limit], four from each draw: there are a hundred million of them. */
static void draw(float *x, int64_t n, uint64_t stream, float limit) {
    ane_rng rng = ane_rng_new(WEIGHT_SEED, stream);
    uint64_t bits = 0;
    for (int64_t i = 0; i < n; i++) {
        bits = i % 4 ? bits >> 16 : ane_rng_u64(&rng);
        x[i] = limit * ((float)(bits & 0xffff) + 0.5f - 32768.f) / 32768.f;
    }
}

static mil_value scalar(mil_function *f, mil_dtype dtype, int rank, double x) {
    const float value = (float)x;
    return mil_const_floats(f, mil_tensor(dtype, rank, (int64_t[]){1, 1, 1, 1, 1, 1}), &value);
}

static mil_value plain(mil_function *f, mil_type type, const float *x, void *room) {
    if (type.dtype != MIL_FP16) return mil_const_floats(f, type, x);
    ane_f16_array_from_f32(room, x, (size_t)mil_type_count(&type));
    return mil_const_data(f, type, room);
}

/* round(x / step), in [-most, most], one a byte. */
static void to_integers(int8_t *q, const float *x, int64_t n, float step, float most) {
    for (int64_t i = 0; i < n; i++) q[i] = (int8_t)fminf(fmaxf(rintf(x[i] / step), -most), most);
}

static mil_value int8(mil_function *f, mil_type type, const float *x, void *room, float limit) {
    mil_type stored = type;
    stored.dtype = MIL_INT8;
    const int8_t zero = 0;
    to_integers(room, x, mil_type_count(&type), limit / 127, 127);
    mil_value q = mil_const_data(f, stored, room), w = MIL_NONE;
    mil_value origin = mil_const_data(f, mil_scalar(MIL_INT8), &zero),
              scale = mil_const_float(f, type.dtype, limit / 127), axis = mil_const_int(f, 0);
    mil_call(f, "constexpr_affine_dequantize", 4,
        (mil_named_arg[]){
            {"quantized_data", 1, &q}, {"zero_point", 1, &origin}, {"scale", 1, &scale}, {"axis", 1, &axis}},
        1, &w);
    return w;
}

/* Two to a byte, low bits first. */
static void pack4(uint8_t *packed, const int8_t *q, int64_t n) {
    for (int64_t i = 0; i < n; i += 2)
        packed[i / 2] = (uint8_t)((q[i] & 15) | (i + 1 < n ? (q[i + 1] & 15) << 4 : 0));
}

static mil_value int4(mil_function *f, mil_type type, const float *x, void *room, float limit, bool blocks) {
    int64_t n = mil_type_count(&type),
            n_blocks = blocks && type.dim[1] % BLOCK == 0 ? type.dim[1] / BLOCK : 1;
    mil_type stored = type;
    stored.dtype = MIL_INT4;
    to_integers(room, x, n, limit / 7, 7);
    pack4(room, room, n);
    mil_value q = mil_const_data(f, stored, room), scale, w = MIL_NONE;
    if (n_blocks > 1) {
        int64_t count = type.dim[0] * n_blocks;
        float *scales = room; /* what was there has been copied */
        for (int64_t i = 0; i < count; i++) scales[i] = limit / 7;
        scale =
            mil_const_floats(f, mil_tensor(type.dtype, 4, (int64_t[]){type.dim[0], n_blocks, 1, 1}), scales);
    } else
        scale = scalar(f, type.dtype, 4, limit / 7);
    mil_call(f, "constexpr_blockwise_shift_scale", 2,
        (mil_named_arg[]){{"data", 1, &q}, {"scale", 1, &scale}}, 1, &w);
    return w;
}

/* The table: 16 steps from -limit to limit. */
static mil_value lut4(mil_function *f, mil_type type, const float *x, void *room, float limit) {
    enum { ENTRIES = 16 };
    int64_t n = mil_type_count(&type);
    mil_type stored = type;
    stored.dtype = MIL_UINT4;
    float table[ENTRIES];
    for (int i = 0; i < ENTRIES; i++) table[i] = limit * (2 * (float)i / (ENTRIES - 1) - 1);
    int8_t *index = room;
    for (int64_t i = 0; i < n; i++)
        index[i] = (int8_t)fminf(fmaxf(rintf((x[i] / limit + 1) / 2 * (ENTRIES - 1)), 0), ENTRIES - 1);
    pack4(room, room, n);
    mil_value q = mil_const_data(f, stored, room), w = MIL_NONE;
    mil_value lut =
        mil_const_floats(f, mil_tensor(type.dtype, 6, (int64_t[]){1, 1, 1, 1, ENTRIES, 1}), table);
    mil_call(f, "constexpr_lut_to_dense", 2, (mil_named_arg[]){{"indices", 1, &q}, {"lut", 1, &lut}}, 1, &w);
    return w;
}

static mil_value stored_as(
    mil_function *f, mil_type type, const char *kind, const float *x, void *room, float limit) {
    if (strcmp(kind, "fp16") == 0) return plain(f, type, x, room);
    if (strcmp(kind, "int8") == 0) return int8(f, type, x, room, limit);
    if (strcmp(kind, "int4") == 0) return int4(f, type, x, room, limit, false);
    if (strcmp(kind, "int4-block") == 0) return int4(f, type, x, room, limit, true);
    if (strcmp(kind, "lut4") == 0) return lut4(f, type, x, room, limit);
    ane_fail(&f->program->error, ANE_ERROR_ARGUMENT, "bench", "there are no weights \"%s\"", kind);
    return MIL_NONE;
}

mil_value ane_program_weight(
    mil_function *f, int64_t out, int64_t in, mil_dtype dtype, const char *weights, uint64_t stream) {
    const mil_type type = mil_tensor(dtype, 4, (int64_t[]){out, in, 1, 1});
    const float limit = sqrtf(3.f / (float)in); /* deviation 1 / sqrt(in) */
    size_t n = (size_t)(out * in);
    float *x = calloc(n, sizeof *x);
    void *room = malloc(n * sizeof(float)); /* used where they are stored in another way */
    mil_value w = MIL_NONE;
    if (!x || !room)
        ane_fail(&f->program->error, ANE_ERROR_MEMORY, "bench", "no memory for %zu weights", n);
    else {
        draw(x, (int64_t)n, stream, limit);
        w = stored_as(f, type, weights ? weights : "fp16", x, room, limit);
    }
    free(x);
    free(room);
    return w;
}

/* ---- programs ---------------------------------------------------------------------------------------------------- */

static mil_program *finished(mil_program *p, ane_error *e) {
    if (p && mil_program_ok(p, e)) return p;
    mil_program_free(p);
    return NULL;
}

/* Activations of deviation 1 are cut at 4 of them. */
static mil_value through_int8(mil_function *f, mil_value x, mil_dtype dtype) {
    const mil_value scale = mil_const_float(f, dtype, 4.0 / 127);
    return mil_dequantize(f, mil_quantize(f, x, MIL_INT8, scale, MIL_NONE), scale, MIL_NONE);
}

mil_program *ane_program_chain(const ane_chain *c, ane_error *e) {
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return NULL;
    mil_function *f = mil_function_new(p, "main");
    mil_value x =
        mil_input(f, "x", mil_tensor(c->dtype, 4, (int64_t[]){1, c->channels, c->height, c->width}));
    for (int64_t i = 0; i < c->depth && !p->error.code; i++) {
        x = mil_conv(
            f, x, ane_program_weight(f, c->channels, c->channels, c->dtype, c->weights, (uint64_t)i));
        if (c->quantized && i + 1 < c->depth) x = through_int8(f, x, c->dtype);
    }
    mil_output(f, "y", x);
    return finished(p, e);
}

mil_program *ane_program_conv(const ane_conv1 *c, ane_error *e) {
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return NULL;
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(c->dtype, 4, (int64_t[]){1, c->in, 1, c->positions}));
    mil_output(f, "y", mil_conv(f, x, ane_program_weight(f, c->out, c->in, c->dtype, c->weights, 0)));
    return finished(p, e);
}

mil_program *ane_program_dynamic(int64_t dim, int64_t positions, bool packed, mil_dtype dtype, ane_error *e) {
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return NULL;
    mil_function *f = mil_function_new(p, "main");
    mil_value x, w;
    if (packed) {
        const int32_t d = (int32_t)dim, s = (int32_t)positions;
        mil_value in = mil_input(f, "x", mil_tensor(dtype, 4, (int64_t[]){1, dim, 1, positions + dim}));
        x = mil_slice_by_size(f, in, (int32_t[]){0, 0, 0, 0}, (int32_t[]){1, d, 1, s}); /* [1, D, 1, S] */
        w = mil_slice_by_size(f, in, (int32_t[]){0, 0, 0, s}, (int32_t[]){1, d, 1, d}); /* [1, D, 1, D] */
        x = mil_reshape(f, x, 4, (int64_t[]){1, 1, dim, positions});
        w = mil_reshape(f, w, 4, (int64_t[]){1, 1, dim, dim});
    } else {
        x = mil_input(f, "x", mil_tensor(dtype, 4, (int64_t[]){1, 1, positions, dim}));
        w = mil_input(f, "w", mil_tensor(dtype, 4, (int64_t[]){1, 1, dim, dim}));
    }
    mil_output(f, "y", mil_matmul(f, x, w, packed, false)); /* [1, 1, S, D] */
    return finished(p, e);
}
