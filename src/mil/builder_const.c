/* builder_const.c - constants. */
#include "base/arena.h"
#include "mil/function.h"

#include <string.h>

mil_value mil_emit_constant(mil_function *f, const mil_type *type, mil_constant *constant) {
    mil_value v = mil_emit_leaf(f, MIL_OP_CONST, type);
    if (v != MIL_NONE) f->values[v].constant = constant;
    return v;
}

/* A constant with room for `bytes` bytes; NULL when building has stopped or memory ran out. */
static mil_constant *new_constant(mil_function *f, int64_t bytes, void **data) {
    if (!f || f->program->error.code) return NULL;
    mil_constant *c = ane_arena_alloc(f->program->arena, sizeof *c);
    *data = c && bytes >= 0 ? ane_arena_alloc(f->program->arena, (size_t)bytes + 1) : NULL;
    if (!*data) {
        mil_no_memory(&f->program->error, "const");
        return NULL;
    }
    c->data = *data;
    return c;
}

mil_value mil_const_data(mil_function *f, mil_type type, const void *bytes) {
    if (!f || f->program->error.code || !mil_type_check(&type, "const", &f->program->error)) return MIL_NONE;
    if (!bytes) {
        ane_fail(&f->program->error, ANE_ERROR_ARGUMENT, "const", "a constant needs data; found NULL");
        return MIL_NONE;
    }
    if (type.dtype == MIL_STRING) return mil_const_string(f, bytes);
    void *data;
    int64_t n = mil_type_bytes(&type);
    mil_constant *c = new_constant(f, n, &data);
    if (!c) return MIL_NONE;
    memcpy(data, bytes, (size_t)n);
    return mil_emit_constant(f, &type, c);
}

mil_value mil_const_blob(mil_function *f, mil_type type, const char *path, uint64_t offset) {
    if (!f || f->program->error.code) return MIL_NONE;
    ane_error *e = &f->program->error;
    if (!path || type.dtype == MIL_STRING) {
        ane_fail(
            e, ANE_ERROR_ARGUMENT, "const", "a blob constant needs a path and an element type of known size");
        return MIL_NONE;
    }
    mil_constant *c = ane_arena_alloc(f->program->arena, sizeof *c);
    const char *copy = c ? ane_arena_strdup(f->program->arena, path) : NULL;
    if (!copy) {
        mil_no_memory(e, "const");
        return MIL_NONE;
    }
    *c = (mil_constant){.blob_path = copy, .blob_offset = offset};
    return mil_emit_constant(f, &type, c);
}

mil_value mil_const_float(mil_function *f, mil_dtype dtype, double x) {
    mil_type type = mil_scalar(dtype);
    void *data;
    if (!f || f->program->error.code || !mil_type_check(&type, "const", &f->program->error)) return MIL_NONE;
    mil_constant *c = new_constant(f, mil_type_bytes(&type), &data);
    if (!c) return MIL_NONE;
    mil_constant_set(&type, data, 0, x);
    return mil_emit_constant(f, &type, c);
}

mil_value mil_const_floats(mil_function *f, mil_type type, const float *x) {
    void *data;
    if (!f || f->program->error.code || !mil_type_check(&type, "const", &f->program->error)) return MIL_NONE;
    mil_constant *c = new_constant(f, mil_type_bytes(&type), &data);
    if (!c) return MIL_NONE;
    int64_t n = mil_type_count(&type);
    for (int64_t i = 0; i < n; i++) mil_constant_set(&type, data, i, (double)x[i]);
    return mil_emit_constant(f, &type, c);
}

mil_value mil_const_int(mil_function *f, int32_t x) {
    return mil_const_data(f, mil_scalar(MIL_INT32), &x);
}

mil_value mil_const_ints(mil_function *f, int n, const int32_t *x) {
    return mil_const_data(f, mil_tensor(MIL_INT32, 1, (int64_t[]){n}), x);
}

mil_value mil_const_bool(mil_function *f, bool x) {
    uint8_t byte = x;
    return mil_const_data(f, mil_scalar(MIL_BOOL), &byte);
}

mil_value mil_const_string(mil_function *f, const char *s) {
    void *data;
    size_t n = s ? strlen(s) + 1 : 0;
    mil_constant *c = n ? new_constant(f, (int64_t)n, &data) : NULL;
    if (!c) return MIL_NONE;
    memcpy(data, s, n);
    mil_type type = mil_scalar(MIL_STRING);
    return mil_emit_constant(f, &type, c);
}
