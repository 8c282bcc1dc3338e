/* package_model.c - a specification (model.mlmodel) made into a program. What a program cannot hold is refused by name:
 * other kinds of models, flexible shapes, blocks in operations, states, lists. */
#include "base/arena.h"
#include "mil/function.h"
#include "mil/lexer.h"
#include "mil/package.h"

#include <string.h>

const mil_package_opset mil_package_opsets[MIL_PACKAGE_OPSETS] = {
    {"ios15", "CoreML5", 6, MIL_IOS16},
    {"ios16", "CoreML6", 7, MIL_IOS16},
    {"ios17", "CoreML7", 8, MIL_IOS17},
    {"ios18", "CoreML8", 9, MIL_IOS18},
};

typedef struct reader {
    mil_program *program;
    mil_function *f;
    mil_blob_loader blobs;
    ane_error *e;
} reader;

/* ---- names and types ------------------------------------------------------------------------------------------------ */

static bool check_text(const reader *r, const char *name) {
    return mil_is_name(name) ||
           ane_fail(r->e, ANE_ERROR_UNSUPPORTED, name,
               "expected a name of letters, digits and underscores, found \"%.80s\"", name);
}

/* Generated names make way for it; a name of the model's own is given once. */
static bool check_name(const reader *r, const char *name) {
    if (!check_text(r, name)) return false;
    mil_value v = mil_find(r->f, name);
    return v == MIL_NONE || !r->f->values[v].used_name ||
           ane_fail(r->e, ANE_ERROR_FORMAT, name, "\"%.80s\" is defined twice", name);
}

/* A name and its type. */
static bool get_named(reader *r, mil_wire message, const char **name, mil_type *type) {
    mil_wire_field field;
    mil_wire type_at = {0};
    *name = NULL;
    while (mil_wire_next(&message, &field, r->e)) {
        if (field.kind != MIL_WIRE_BYTES) continue;
        if (field.number == NAMED_NAME && !mil_package_get_text(field.bytes, r->program->arena, name, r->e))
            return false;
        if (field.number == NAMED_TYPE) type_at = field.bytes;
    }
    if (r->e->code) return false;
    if (!*name) return ane_fail(r->e, ANE_ERROR_FORMAT, NULL, "expected a value's name, found none");
    return mil_package_get_type(type_at, type, r->e) || ane_at(r->e, *name);
}

/* A map's entry. */
static bool get_entry(reader *r, mil_wire message, const char **key, mil_wire *value) {
    mil_wire_field field;
    *key = NULL;
    *value = (mil_wire){0};
    while (mil_wire_next(&message, &field, r->e)) {
        if (field.kind != MIL_WIRE_BYTES) continue;
        if (field.number == MAP_KEY && !mil_package_get_text(field.bytes, r->program->arena, key, r->e))
            return false;
        if (field.number == MAP_VALUE) *value = field.bytes;
    }
    if (r->e->code) return false;
    return *key || ane_fail(r->e, ANE_ERROR_FORMAT, NULL, "expected a map's key, found none");
}

/* ---- operations ----------------------------------------------------------------------------------------------------- */

typedef struct operation {
    const char *type, *label;
    const mil_op_info *info;
    mil_arg *args;
    int32_t n_results;
    mil_wire message;
} operation;

/* A const operation for a value that is written where it is used. */
static bool constant_of(reader *r, mil_wire message, mil_value *out) {
    mil_type type;
    mil_constant *c;
    if (!mil_package_get_value(message, r->program->arena, &r->blobs, &type, &c, r->e)) return false;
    *out = mil_emit_constant(r->f, &type, c);
    return *out != MIL_NONE;
}

static bool get_binding(reader *r, mil_wire message, mil_value *out) {
    mil_wire_field field;
    const char *name;
    while (mil_wire_next(&message, &field, r->e)) {
        if (field.kind != MIL_WIRE_BYTES) continue;
        if (field.number == BINDING_VALUE) return constant_of(r, field.bytes, out);
        if (field.number != BINDING_NAME) continue;
        if (!mil_package_get_text(field.bytes, r->program->arena, &name, r->e)) return false;
        *out = mil_find(r->f, name);
        return *out != MIL_NONE ||
               ane_fail(r->e, ANE_ERROR_FORMAT, name, "\"%.80s\" is used before it is defined", name);
    }
    return ane_fail(r->e, ANE_ERROR_FORMAT, NULL, "expected a value's name or a constant, found neither");
}

static bool find_param(const reader *r, const operation *o, const char *key, int *index) {
    *index = mil_param_index(o->info, key);
    if (*index < 0)
        return ane_fail(
            r->e, ANE_ERROR_UNSUPPORTED, o->type, "parameter \"%.80s\" of %s is not supported", key, o->type);
    return o->args[*index].n == 0 || ane_fail(r->e, ANE_ERROR_FORMAT, o->type,
                                         "parameter \"%.80s\" of %s is given twice", key, o->type);
}

static bool add_value(reader *r, const operation *o, int index, int32_t *capacity, mil_value v) {
    mil_arg *arg = &o->args[index];
    if (arg->n == 1 && o->info->params[index].kind != MIL_LIST)
        return ane_fail(r->e, ANE_ERROR_UNSUPPORTED, o->type,
            "expected one value for \"%s\" of %s, found several", o->info->params[index].name, o->type);
    if (!mil_grow(r->program->arena, &arg->values, capacity, arg->n, sizeof *arg->values))
        return mil_no_memory(r->e, o->type);
    arg->values[arg->n++] = v;
    return true;
}

static bool get_input(reader *r, const operation *o, mil_wire entry) {
    const char *key;
    mil_wire argument;
    mil_wire_field field;
    int index;
    int32_t capacity = 0;
    if (!get_entry(r, entry, &key, &argument) || !find_param(r, o, key, &index)) return false;
    while (mil_wire_next(&argument, &field, r->e)) {
        mil_value v = MIL_NONE;
        if (field.number != ARGUMENT_BINDING || field.kind != MIL_WIRE_BYTES) continue;
        if (!get_binding(r, field.bytes, &v) || !add_value(r, o, index, &capacity, v)) return false;
    }
    return r->e->code == ANE_OK;
}

/* The label, or, in older packages, a constexpr's parameter. */
static bool get_attribute(reader *r, operation *o, mil_wire entry) {
    const char *key;
    mil_wire message;
    mil_type type;
    mil_constant *c;
    int index;
    int32_t capacity = 0;
    mil_value v = MIL_NONE;
    if (!get_entry(r, entry, &key, &message)) return false;
    if (strcmp(key, "name") == 0) {
        if (!mil_package_get_value(message, r->program->arena, &r->blobs, &type, &c, r->e)) return false;
        if (type.dtype == MIL_STRING) o->label = c->data;
        return true;
    }
    if (mil_param_index(o->info, key) < 0) return true; /* says nothing about what is computed */
    return find_param(r, o, key, &index) && constant_of(r, message, &v) &&
           add_value(r, o, index, &capacity, v);
}

static bool get_arguments(reader *r, operation *o) {
    mil_wire message = o->message;
    mil_wire_field field;
    o->args = ane_arena_array(r->program->arena, (size_t)o->info->n_params + 1, sizeof *o->args);
    if (!o->args) return mil_no_memory(r->e, o->type);
    while (mil_wire_next(&message, &field, r->e)) {
        if (field.kind != MIL_WIRE_BYTES) continue;
        if (field.number == OPERATION_INPUT && !get_input(r, o, field.bytes)) return false;
        if (field.number == OPERATION_ATTRIBUTE && !get_attribute(r, o, field.bytes)) return false;
    }
    return r->e->code == ANE_OK;
}

/* const's value is its attribute "val". */
static bool get_const(reader *r, const operation *o, mil_value *out) {
    mil_wire message = o->message;
    mil_wire_field field;
    const char *key;
    mil_wire value;
    while (mil_wire_next(&message, &field, r->e)) {
        if (field.number != OPERATION_ATTRIBUTE || field.kind != MIL_WIRE_BYTES) continue;
        if (!get_entry(r, field.bytes, &key, &value)) return false;
        if (strcmp(key, "val") == 0) return constant_of(r, value, out);
    }
    return ane_fail(r->e, ANE_ERROR_FORMAT, o->type, "expected const to have an attribute \"val\"");
}

static bool emit(reader *r, operation *o, mil_value *results) {
    if (o->info->opcode == MIL_OP_CONST)
        return o->n_results == 1 ? get_const(r, o, results)
                                 : ane_fail(r->e, ANE_ERROR_FORMAT, o->type, "const has one result, found %d",
                                       (int)o->n_results);
    if (!get_arguments(r, o)) return false;
    mil_emit(r->f, o->info->opcode, o->args, o->n_results, results);
    return r->program->error.code == ANE_OK;
}

/* What the model says of a result must be what inference says. */
static bool name_result(reader *r, const operation *o, mil_wire message, mil_value v) {
    const char *name;
    mil_type said;
    char text[2][128];
    if (!get_named(r, message, &name, &said) || !check_name(r, name)) return false;
    const mil_type *type = mil_type_of(r->f, v);
    if (!mil_type_equal(type, &said))
        return ane_fail(r->e, ANE_ERROR_SHAPE, name, "%s makes %s, but the model says %s", o->type,
            mil_type_print(type, text[0], sizeof text[0]), mil_type_print(&said, text[1], sizeof text[1]));
    return mil_name_exact(r->f, v, name, r->e);
}

static bool name_results(reader *r, const operation *o, const mil_value *results) {
    mil_wire message = o->message;
    mil_wire_field field;
    int32_t i = 0;
    while (mil_wire_next(&message, &field, r->e))
        if (field.number == OPERATION_OUTPUT && field.kind == MIL_WIRE_BYTES &&
            !name_result(r, o, field.bytes, results[i++]))
            return false;
    r->f->ops[r->f->n_ops - 1].label = o->label;
    return true;
}

/* What kind it is, and what of it is refused. */
static bool inspect(reader *r, operation *o) {
    mil_wire message = o->message;
    mil_wire_field field;
    bool blocks = false;
    while (mil_wire_next(&message, &field, r->e)) {
        if (field.kind != MIL_WIRE_BYTES) continue;
        if (field.number == OPERATION_TYPE &&
            !mil_package_get_text(field.bytes, r->program->arena, &o->type, r->e))
            return false;
        o->n_results += field.number == OPERATION_OUTPUT;
        blocks |= field.number == OPERATION_BLOCK;
    }
    if (r->e->code) return false;
    if (!o->type) return ane_fail(r->e, ANE_ERROR_FORMAT, NULL, "expected an operation's type, found none");
    o->info = mil_op_find(o->type);
    if (o->info && o->info->opcode != MIL_OP_PARAMETER && !blocks) return true;
    ane_fail(r->e, ANE_ERROR_UNSUPPORTED, o->type, "the operation \"%.80s\" is not supported", o->type);
    return ane_hint(r->e, "docs/adding-an-operation.md tells how to add one.");
}

static bool read_operation(reader *r, mil_wire message) {
    operation o = {.message = message};
    if (!inspect(r, &o)) return false;
    mil_value *results = ane_arena_array(r->program->arena, (size_t)o.n_results + 1, sizeof *results);
    if (!results) return mil_no_memory(r->e, o.type);
    return emit(r, &o, results) && name_results(r, &o, results);
}

/* ---- functions ------------------------------------------------------------------------------------------------------ */

static bool read_input(reader *r, mil_wire message) {
    const char *name;
    mil_type type;
    return get_named(r, message, &name, &type) && check_name(r, name) &&
           mil_input(r->f, name, type) != MIL_NONE;
}

static bool read_output(reader *r, mil_wire bytes) {
    const char *name;
    if (!mil_package_get_text(bytes, r->program->arena, &name, r->e)) return false;
    mil_value v = mil_find(r->f, name);
    if (v == MIL_NONE)
        return ane_fail(r->e, ANE_ERROR_FORMAT, name, "the output \"%.80s\" is not defined", name);
    for (int32_t i = 0; i < r->f->n_outputs; i++)
        if (r->f->outputs[i] == v)
            return ane_fail(r->e, ANE_ERROR_FORMAT, name, "the output \"%.80s\" is given twice", name);
    return mil_append_output(r->f, v);
}

/* Operations first: an output may stand before them. */
static bool read_block(reader *r, mil_wire block) {
    static const uint32_t order[] = {BLOCK_OPERATION, BLOCK_OUTPUT};
    for (int i = 0; i < 2; i++) {
        mil_wire message = block;
        mil_wire_field field;
        while (mil_wire_next(&message, &field, r->e)) {
            if (field.number != order[i] || field.kind != MIL_WIRE_BYTES) continue;
            if (!(i == 0 ? read_operation(r, field.bytes) : read_output(r, field.bytes))) return false;
        }
    }
    return r->e->code == ANE_OK;
}

static bool find_opset(reader *r, const char *name) {
    for (int i = 0; i < MIL_PACKAGE_OPSETS; i++) {
        if (strcmp(mil_package_opsets[i].package, name) != 0) continue;
        mil_program_set_dialect(r->program, mil_package_opsets[i].dialect);
        r->f->opset = mil_package_opsets[i].text;
        return true;
    }
    return ane_fail(r->e, ANE_ERROR_UNSUPPORTED, r->f->name,
        "expected operations of CoreML5 to CoreML8, found \"%.80s\"", name);
}

/* The block of the function's own set of operations. */
static bool find_block(reader *r, mil_wire function, const char *opset, mil_wire *block) {
    mil_wire_field field;
    const char *key;
    while (mil_wire_next(&function, &field, r->e)) {
        if (field.number != FUNCTION_BLOCKS || field.kind != MIL_WIRE_BYTES) continue;
        if (!get_entry(r, field.bytes, &key, block)) return false;
        if (strcmp(key, opset) == 0) return true;
    }
    return ane_fail(r->e, ANE_ERROR_FORMAT, r->f->name, "expected a block for %.80s, found none", opset);
}

static bool read_function(reader *r, mil_wire entry) {
    const char *name, *opset = NULL;
    mil_wire function, message, block;
    mil_wire_field field;
    if (!get_entry(r, entry, &name, &function) || !check_text(r, name)) return false;
    r->f = mil_function_new(r->program, name);
    if (!r->f) return false;
    message = function;
    while (mil_wire_next(&message, &field, r->e)) {
        if (field.kind != MIL_WIRE_BYTES) continue;
        if (field.number == FUNCTION_OPSET &&
            !mil_package_get_text(field.bytes, r->program->arena, &opset, r->e))
            return false;
        if (field.number == FUNCTION_INPUT && !read_input(r, field.bytes)) return false;
    }
    if (r->e->code) return false;
    if (!opset) return ane_fail(r->e, ANE_ERROR_FORMAT, name, "expected a set of operations, found none");
    return find_opset(r, opset) && find_block(r, function, opset, &block) && read_block(r, block);
}

/* ---- the model ------------------------------------------------------------------------------------------------------ */

static bool read_program(reader *r, mil_wire message) {
    mil_wire_field field;
    while (mil_wire_next(&message, &field, r->e))
        if (field.number == PROGRAM_FUNCTIONS && field.kind == MIL_WIRE_BYTES &&
            !read_function(r, field.bytes))
            return false;
    return r->e->code == ANE_OK;
}

static bool find_program(mil_wire model, mil_wire *program, ane_error *e) {
    mil_wire_field field;
    uint32_t other = 0;
    size_t size = model.size;
    while (mil_wire_next(&model, &field, e)) {
        if (field.number == MODEL_ML_PROGRAM && field.kind == MIL_WIRE_BYTES) {
            *program = field.bytes;
            return true;
        }
        if (field.number >= MODEL_FIRST_KIND) other = field.number;
    }
    if (other) {
        ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL,
            "expected an ML program, found a model of another kind (field %u)", (unsigned)other);
        return ane_hint(e, "Convert the model with minimum_deployment_target iOS15 or later.");
    }
    return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected a Core ML model, found none in %zu bytes", size);
}

/* The reader's report, else the builder's. */
static bool finish(reader *r, bool ok) {
    const ane_error *builder = &r->program->error;
    if (!ok && r->e->code == ANE_OK) *r->e = *builder;
    return ok && mil_program_ok(r->program, r->e);
}

mil_program *mil_package_parse(const void *data, size_t size, const char *folder, ane_error *e) {
    ane_error error = {0};
    mil_wire program;
    reader r = {.e = &error};
    bool ok = find_program((mil_wire){data, size}, &program, &error) &&
              (r.program = mil_program_new(MIL_IOS18, &error)) != NULL;
    if (ok) {
        r.blobs = (mil_blob_loader){.arena = r.program->arena, .folder = folder};
        ok = finish(&r, read_program(&r, program));
        mil_blob_loader_close(&r.blobs);
    }
    if (ok) return r.program;
    if (e && e->code == ANE_OK) *e = error;
    mil_program_free(r.program);
    return NULL;
}
