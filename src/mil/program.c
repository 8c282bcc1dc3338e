/* program.c - programs and functions: making, finding, copying, dialects. */
#include "base/arena.h"
#include "mil/function.h"

#include <stdlib.h>
#include <string.h>

typedef struct dialect_row {
    const char *version, *opset;
    bool scalars_as_tensors;
} dialect_row;

static const dialect_row dialects[] = {
    [MIL_IOS16] = {"1.0", "ios16", true},
    [MIL_IOS17] = {"1.3", "ios17", false},
    [MIL_IOS18] = {"1.3", "ios18", false},
    [MIL_IOS18_15] = {"1.5", "ios18", false},
};

/* What compatible generators write; Apple's compiler wants the keys, not these values. */
#define COMPILER "coremlc-version"
static const mil_attribute build_info[] = {
    {"coremlc-component-MIL", "3510.2.1"},
    {COMPILER, "3505.4.1"},
    {"coremltools-component-milinternal", ""},
    {"coremltools-version", "9.0"},
};

/* The public struct and what only this file needs. */
typedef struct program_storage {
    mil_program program;
    const char *opset; /* of functions still to come */
    int32_t function_capacity;
} program_storage;

bool mil_no_memory(ane_error *e, const char *where) {
    return ane_fail(e, ANE_ERROR_MEMORY, where, "out of memory");
}

bool mil_grow(ane_arena *arena, void *array, int32_t *capacity, int32_t n, size_t size) {
    if (n < *capacity) return true;
    if (n >= INT32_MAX / 2) return false;
    int32_t larger = n < 8 ? 16 : 2 * n;
    void *fresh = ane_arena_array(arena, (size_t)larger, size), *old;
    if (!fresh) return false;
    memcpy(&old, array, sizeof old);
    if (n) memcpy(fresh, old, (size_t)n * size);
    memcpy(array, &fresh, sizeof fresh);
    *capacity = larger;
    return true;
}

bool mil_program_add_build_info(mil_program *p, ane_error *e) {
    for (int i = 0; i < p->n_build_info; i++)
        if (strcmp(p->build_info[i].key, COMPILER) == 0) return true;
    size_t n = sizeof build_info / sizeof *build_info;
    mil_attribute *info = ane_arena_array(p->arena, n, sizeof *info);
    if (!info) return mil_no_memory(e, "buildInfo");
    memcpy(info, build_info, sizeof build_info);
    p->build_info = info;
    p->n_build_info = (int32_t)n;
    return true;
}

mil_program *mil_program_new(mil_dialect dialect, ane_error *e) {
    if ((unsigned)dialect >= sizeof dialects / sizeof *dialects) {
        ane_fail(e, ANE_ERROR_ARGUMENT, "mil_program_new", "dialect %d is unknown", (int)dialect);
        return NULL;
    }
    program_storage *s = calloc(1, sizeof *s);
    ane_arena *arena = ane_arena_new();
    if (s) s->program = (mil_program){.arena = arena};
    if (!s || !arena || !mil_program_add_build_info(&s->program, e)) {
        free(s);
        ane_arena_free(arena);
        mil_no_memory(e, "mil_program_new");
        return NULL;
    }
    mil_program_set_dialect(&s->program, dialect);
    return &s->program;
}

void mil_program_free(mil_program *p) {
    if (!p) return;
    ane_arena_free(p->arena);
    free(p);
}

void mil_program_set_dialect(mil_program *p, mil_dialect dialect) {
    if ((unsigned)dialect >= sizeof dialects / sizeof *dialects) return;
    const dialect_row *row = &dialects[dialect];
    p->version = row->version;
    p->scalars_as_tensors = row->scalars_as_tensors;
    ((program_storage *)p)->opset = row->opset;
    for (int i = 0; i < p->n_functions; i++) p->functions[i]->opset = row->opset;
}

mil_function *mil_function_blank(mil_program *p, const char *name, const char *opset, ane_error *e) {
    mil_function *f = ane_arena_alloc(p->arena, sizeof *f);
    mil_builder *b = ane_arena_alloc(p->arena, sizeof *b);
    if (f && b)
        *f = (mil_function){
            .program = p, .name = ane_arena_strdup(p->arena, name), .opset = opset, .builder = b};
    if (f && b && f->name) return f;
    mil_no_memory(e, "mil_function_new");
    return NULL;
}

static bool append_function(mil_program *p, mil_function *f, ane_error *e) {
    program_storage *s = (program_storage *)p;
    if (!mil_grow(p->arena, &p->functions, &s->function_capacity, p->n_functions, sizeof *p->functions))
        return mil_no_memory(e, f->name);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): mil_grow has made room */
    p->functions[p->n_functions++] = f;
    return true;
}

mil_function *mil_function_new(mil_program *p, const char *name) {
    if (!p || p->error.code) return NULL;
    if (!name || !name[0]) {
        ane_fail(&p->error, ANE_ERROR_ARGUMENT, "mil_function_new", "a function needs a name");
        return NULL;
    }
    for (int i = 0; i < p->n_functions; i++)
        if (strcmp(p->functions[i]->name, name) == 0) {
            ane_fail(&p->error, ANE_ERROR_ARGUMENT, name, "the program has a function of this name already");
            return NULL;
        }
    mil_function *f = mil_function_blank(p, name, ((program_storage *)p)->opset, &p->error);
    return f && append_function(p, f, &p->error) ? f : NULL;
}

mil_function *mil_program_function(const mil_program *p, const char *name) {
    if (!name && p->n_functions == 1) return p->functions[0];
    for (int i = 0; i < p->n_functions; i++)
        if (strcmp(p->functions[i]->name, name ? name : "main") == 0) return p->functions[i];
    return NULL;
}

const mil_type *mil_type_of(const mil_function *f, mil_value v) {
    static const mil_type none = {0}; /* so that code which reads shapes survives an earlier error */
    return f && v >= 0 && v < f->n_values ? &f->values[v].type : &none;
}

bool mil_program_ok(const mil_program *p, ane_error *e) {
    if (p->error.code) {
        if (e && !e->code) *e = p->error;
        return false;
    }
    return mil_verify(p, e);
}

/* ---- copying ------------------------------------------------------------------------------------------- */

static void *copy_bytes(ane_arena *arena, const void *data, size_t n) {
    void *copy = ane_arena_alloc(arena, n ? n : 1);
    if (copy && n) memcpy(copy, data, n);
    return copy;
}

static mil_constant *copy_constant(ane_arena *arena, const mil_type *type, const mil_constant *from) {
    mil_constant *c = copy_bytes(arena, from, sizeof *from);
    if (!c) return NULL;
    int64_t bytes = mil_type_bytes(type);
    size_t n = type->dtype == MIL_STRING && from->data ? strlen(from->data) + 1
               : bytes < 0                             ? 0
                                                       : (size_t)bytes;
    if (from->data && !(c->data = copy_bytes(arena, from->data, n))) return NULL;
    if (from->blob_path && !(c->blob_path = ane_arena_strdup(arena, from->blob_path))) return NULL;
    return c;
}

static bool copy_value(mil_function *to, const mil_value_info *from) {
    ane_arena *arena = to->program->arena;
    mil_builder *b = to->builder;
    if (!mil_grow(arena, &to->values, &b->value_capacity, to->n_values, sizeof *to->values)) return false;
    mil_value_info *v = &to->values[to->n_values++];
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): mil_grow has made room */
    *v = *from;
    mil_name_entry *entry = mil_name_entry_of(to, from->name);
    if (!entry) return false;
    entry->value = to->n_values - 1;
    v->name = entry->name;
    return !from->constant || (v->constant = copy_constant(arena, &from->type, from->constant));
}

static bool copy_operation(mil_function *to, const mil_operation *from) {
    ane_arena *arena = to->program->arena;
    mil_builder *b = to->builder;
    if (!mil_grow(arena, &to->ops, &b->op_capacity, to->n_ops, sizeof *to->ops)) return false;
    mil_operation *op = &to->ops[to->n_ops++];
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): mil_grow has made room */
    *op = *from;
    if (!(op->results = copy_bytes(arena, from->results, (size_t)from->n_results * sizeof *op->results)))
        return false;
    if (from->label && !(op->label = ane_arena_strdup(arena, from->label))) return false;
    if (!(op->args = copy_bytes(arena, from->args, (size_t)from->info->n_params * sizeof *op->args)))
        return false;
    for (int i = 0; i < from->info->n_params; i++) {
        const mil_arg *arg = &from->args[i];
        if (!(op->args[i].values = copy_bytes(arena, arg->values, (size_t)arg->n * sizeof *arg->values)))
            return false;
    }
    return true;
}

static bool copy_function(mil_program *to, const mil_function *from, ane_error *e) {
    mil_function *f = mil_function_blank(to, from->name, ane_arena_strdup(to->arena, from->opset), e);
    if (!f || !f->opset) return mil_no_memory(e, from->name);
    mil_builder *b = f->builder;
    bool ok = true;
    for (int i = 0; ok && i < from->n_values; i++) ok = copy_value(f, &from->values[i]);
    for (int i = 0; ok && i < from->n_ops; i++) ok = copy_operation(f, &from->ops[i]);
    f->inputs = copy_bytes(to->arena, from->inputs, (size_t)from->n_inputs * sizeof *f->inputs);
    f->outputs = copy_bytes(to->arena, from->outputs, (size_t)from->n_outputs * sizeof *f->outputs);
    if (!ok || !f->inputs || !f->outputs) return mil_no_memory(e, from->name);
    f->n_inputs = b->input_capacity = from->n_inputs;
    f->n_outputs = b->output_capacity = from->n_outputs;
    return append_function(to, f, e);
}

static bool copy_header(mil_program *to, const mil_program *from) {
    to->version = ane_arena_strdup(to->arena, from->version);
    to->scalars_as_tensors = from->scalars_as_tensors;
    to->n_build_info = from->n_build_info;
    to->build_info =
        copy_bytes(to->arena, from->build_info, (size_t)from->n_build_info * sizeof *from->build_info);
    to->error = from->error;
    for (int i = 0; to->build_info && i < from->n_build_info; i++) {
        mil_attribute *a = &to->build_info[i];
        a->key = ane_arena_strdup(to->arena, a->key);
        a->value = ane_arena_strdup(to->arena, a->value);
        if (!a->key || !a->value) return false;
    }
    return to->version && to->build_info;
}

mil_program *mil_program_clone(const mil_program *p, ane_error *e) {
    mil_program *copy = mil_program_new(MIL_IOS18, e);
    if (!copy) return NULL;
    ((program_storage *)copy)->opset = ((const program_storage *)p)->opset;
    bool ok = copy_header(copy, p) || mil_no_memory(e, "mil_program_clone");
    for (int i = 0; ok && i < p->n_functions; i++) ok = copy_function(copy, p->functions[i], e);
    if (ok) return copy;
    mil_program_free(copy);
    return NULL;
}
