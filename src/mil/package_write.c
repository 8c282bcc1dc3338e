/* package_write.c - a program as a Core ML package. Large constants go into the package's one blob file; the folder is
 * made under another name and put in place when it is whole. */
#include "base/file.h"
#include "mil/function.h"
#include "mil/package.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SMALLEST_BLOB = 10 }; /* elements; coremltools' bound */

typedef struct writer {
    const mil_function *f;
    mil_wire_buffer model;
    mil_blob_writer *blobs;
    int32_t n_blobs;
    bool older; /* before iOS 18: a constexpr's parameters are attributes */
    ane_error *e;
} writer;

/* ---- what can be written -------------------------------------------------------------------------------------------- */

static bool check_port(const mil_function *f, mil_value v, ane_error *e) {
    const mil_value_info *info = &f->values[v];
    const mil_package_type *form = mil_package_type_of(info->type.dtype);
    if (form && form->array && info->type.rank > 0) return true;
    char type[128];
    ane_fail(e, ANE_ERROR_UNSUPPORTED, info->name,
        "expected an input or output of a package to be a tensor of fp16, fp32, int32 or int8, found %s",
        mil_type_print(&info->type, type, sizeof type));
    return ane_hint(e, "Cast or reshape it in the program.");
}

static bool check_op(const mil_function *f, const mil_operation *op, ane_error *e) {
    const mil_value_info *result = &f->values[op->results[0]];
    if (op->opcode == MIL_OP_PARAMETER) {
        ane_fail(
            e, ANE_ERROR_UNSUPPORTED, result->name, "the parameter \"%.80s\" has no value", result->name);
        return ane_hint(e, "A package holds constants: give the parameter a value first.");
    }
    if (op->opcode == MIL_OP_CONST && !result->constant->data) {
        ane_fail(e, ANE_ERROR_ARGUMENT, result->name,
            "the value of \"%.80s\" was not read from its blob file", result->name);
        return ane_hint(e, "Call mil_program_load_blobs first.");
    }
    bool attributes = (op->info->traits & MIL_TRAIT_CONSTEXPR) && strcmp(f->opset, "ios18") != 0;
    for (int k = 0; attributes && k < op->info->n_params; k++)
        if (op->args[k].n > 0 && !f->values[op->args[k].values[0]].constant)
            return ane_fail(e, ANE_ERROR_UNSUPPORTED, result->name,
                "before iOS 18 a package's constexpr operations take constants only, found a computed \"%s\"",
                op->info->params[k].name);
    for (int32_t i = 0; i < op->n_results; i++)
        if (!mil_package_type_of(f->values[op->results[i]].type.dtype))
            return ane_fail(e, ANE_ERROR_UNSUPPORTED, f->values[op->results[i]].name,
                "packages cannot hold %s", mil_dtype_name(f->values[op->results[i]].type.dtype));
    return true;
}

static const mil_package_opset *opset_of(const mil_program *p, ane_error *e) {
    for (int i = 0; i < MIL_PACKAGE_OPSETS; i++)
        if (p->n_functions > 0 && strcmp(mil_package_opsets[i].text, p->functions[0]->opset) == 0)
            return &mil_package_opsets[i];
    ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL, "packages hold operations of ios15 to ios18, found %s",
        p->n_functions > 0 ? p->functions[0]->opset : "no function");
    return NULL;
}

static bool check(const mil_program *p, ane_error *e) {
    if (!mil_program_ok(p, e) || !opset_of(p, e)) return false;
    for (int32_t i = 0; i < p->n_functions; i++) {
        const mil_function *f = p->functions[i];
        for (int32_t k = 0; k < f->n_inputs; k++)
            if (!check_port(f, f->inputs[k], e)) return false;
        for (int32_t k = 0; k < f->n_outputs; k++)
            if (!check_port(f, f->outputs[k], e)) return false;
        for (int32_t k = 0; k < f->n_ops; k++)
            if (!check_op(f, &f->ops[k], e)) return false;
    }
    return true;
}

/* ---- values ---------------------------------------------------------------------------------------------------------- */

static void put_constant(writer *w, uint32_t number, mil_value v) {
    const mil_value_info *info = &w->f->values[v];
    mil_dtype dtype = info->type.dtype;
    bool fits =
        mil_blob_type_code(dtype) && (!w->older || mil_dtype_is_float(dtype) || mil_dtype_bits(dtype) == 8);
    int64_t count = dtype == MIL_STRING ? 1 : mil_type_count(&info->type);
    if (!fits || count < SMALLEST_BLOB) {
        mil_package_put_value(&w->model, number, &info->type, info->constant->data);
        return;
    }
    uint64_t offset = mil_blob_writer_add(w->blobs, dtype, count, info->constant->data);
    w->n_blobs++;
    mil_package_put_blob(&w->model, number, &info->type, offset);
}

static void put_text_value(mil_wire_buffer *b, uint32_t number, const char *text) {
    const mil_type type = mil_scalar(MIL_STRING);
    mil_package_put_value(b, number, &type, text);
}

static void put_named(const writer *w, mil_wire_buffer *b, uint32_t number, mil_value v) {
    size_t named = mil_wire_begin(b, number);
    mil_wire_put_text(b, NAMED_NAME, w->f->values[v].name);
    mil_package_put_type(b, NAMED_TYPE, &w->f->values[v].type);
    mil_wire_end(b, named);
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */

static void put_name_attribute(writer *w, const mil_operation *op) {
    size_t entry = mil_wire_begin(&w->model, OPERATION_ATTRIBUTE);
    mil_wire_put_text(&w->model, MAP_KEY, "name");
    put_text_value(&w->model, MAP_VALUE, op->label ? op->label : w->f->values[op->results[0]].name);
    mil_wire_end(&w->model, entry);
}

static void put_constant_attribute(writer *w, const char *key, mil_value v) {
    size_t entry = mil_wire_begin(&w->model, OPERATION_ATTRIBUTE);
    mil_wire_put_text(&w->model, MAP_KEY, key);
    put_constant(w, MAP_VALUE, v);
    mil_wire_end(&w->model, entry);
}

/* A constexpr's constants are written where they are used; everything else has a name. */
static void put_argument(writer *w, const char *key, const mil_arg *arg, bool in_place) {
    mil_wire_buffer *b = &w->model;
    size_t entry = mil_wire_begin(b, OPERATION_INPUT);
    mil_wire_put_text(b, MAP_KEY, key);
    size_t argument = mil_wire_begin(b, MAP_VALUE);
    for (int32_t i = 0; i < arg->n; i++) {
        size_t binding = mil_wire_begin(b, ARGUMENT_BINDING);
        if (in_place && w->f->values[arg->values[i]].constant)
            put_constant(w, BINDING_VALUE, arg->values[i]);
        else
            mil_wire_put_text(b, BINDING_NAME, w->f->values[arg->values[i]].name);
        mil_wire_end(b, binding);
    }
    mil_wire_end(b, argument);
    mil_wire_end(b, entry);
}

static void put_operation(writer *w, const mil_operation *op) {
    size_t operation = mil_wire_begin(&w->model, BLOCK_OPERATION);
    bool constexpr_ = (op->info->traits & MIL_TRAIT_CONSTEXPR) != 0;
    mil_wire_put_text(&w->model, OPERATION_TYPE, op->info->name);
    for (int i = 0; i < op->info->n_params; i++) {
        if (op->args[i].n == 0) continue;
        if (constexpr_ && w->older)
            put_constant_attribute(w, op->info->params[i].name, op->args[i].values[0]);
        else
            put_argument(w, op->info->params[i].name, &op->args[i], constexpr_);
    }
    for (int32_t i = 0; i < op->n_results; i++) put_named(w, &w->model, OPERATION_OUTPUT, op->results[i]);
    if (op->opcode == MIL_OP_CONST) put_constant_attribute(w, "val", op->results[0]);
    put_name_attribute(w, op);
    mil_wire_end(&w->model, operation);
}

/* Constants that only constexprs use are not written twice. */
static bool *find_needed(const mil_function *f, ane_error *e) {
    bool *needed = calloc((size_t)f->n_values + 1, sizeof *needed);
    if (!needed) {
        mil_no_memory(e, f->name);
        return NULL;
    }
    for (int32_t i = 0; i < f->n_ops; i++)
        for (int k = 0; k < f->ops[i].info->n_params && !(f->ops[i].info->traits & MIL_TRAIT_CONSTEXPR); k++)
            for (int32_t j = 0; j < f->ops[i].args[k].n; j++) needed[f->ops[i].args[k].values[j]] = true;
    for (int32_t i = 0; i < f->n_outputs; i++) needed[f->outputs[i]] = true;
    return needed;
}

static bool put_function(writer *w, const mil_package_opset *opset) {
    mil_wire_buffer *b = &w->model;
    bool *needed = find_needed(w->f, w->e);
    if (!needed) return false;
    size_t entry = mil_wire_begin(b, PROGRAM_FUNCTIONS);
    mil_wire_put_text(b, MAP_KEY, w->f->name);
    size_t function = mil_wire_begin(b, MAP_VALUE);
    for (int32_t i = 0; i < w->f->n_inputs; i++) put_named(w, b, FUNCTION_INPUT, w->f->inputs[i]);
    mil_wire_put_text(b, FUNCTION_OPSET, opset->package);
    size_t blocks = mil_wire_begin(b, FUNCTION_BLOCKS);
    mil_wire_put_text(b, MAP_KEY, opset->package);
    size_t block = mil_wire_begin(b, MAP_VALUE);
    for (int32_t i = 0; i < w->f->n_outputs; i++)
        mil_wire_put_text(b, BLOCK_OUTPUT, w->f->values[w->f->outputs[i]].name);
    for (int32_t i = 0; i < w->f->n_ops; i++)
        if (w->f->ops[i].opcode != MIL_OP_CONST || needed[w->f->ops[i].results[0]])
            put_operation(w, &w->f->ops[i]);
    mil_wire_end(b, block);
    mil_wire_end(b, blocks);
    mil_wire_end(b, function);
    mil_wire_end(b, entry);
    free(needed);
    return true;
}

/* ---- the model ------------------------------------------------------------------------------------------------------- */

static void put_feature(writer *w, uint32_t number, mil_value v) {
    mil_wire_buffer *b = &w->model;
    const mil_value_info *info = &w->f->values[v];
    size_t feature = mil_wire_begin(b, number);
    mil_wire_put_text(b, FEATURE_NAME, info->name);
    size_t type = mil_wire_begin(b, FEATURE_TYPE), array = mil_wire_begin(b, FEATURE_TYPE_ARRAY);
    for (int32_t i = 0; i < info->type.rank; i++)
        mil_wire_put_varint(b, ARRAY_SHAPE, (uint64_t)info->type.dim[i]);
    mil_wire_put_varint(b, ARRAY_DATA_TYPE, mil_package_type_of(info->type.dtype)->array);
    mil_wire_end(b, array);
    mil_wire_end(b, type);
    mil_wire_end(b, feature);
}

static void put_features(writer *w, uint32_t input, uint32_t output) {
    for (int32_t i = 0; i < w->f->n_inputs; i++) put_feature(w, input, w->f->inputs[i]);
    for (int32_t i = 0; i < w->f->n_outputs; i++) put_feature(w, output, w->f->outputs[i]);
}

/* One function "main" is the model itself; others are described one by one. */
static void put_description(writer *w, const mil_program *p) {
    mil_wire_buffer *b = &w->model;
    size_t description = mil_wire_begin(b, MODEL_DESCRIPTION);
    bool several = p->n_functions > 1 || strcmp(p->functions[0]->name, "main") != 0;
    for (int32_t i = 0; i < p->n_functions; i++) {
        w->f = p->functions[i];
        if (!several) {
            put_features(w, DESCRIPTION_INPUT, DESCRIPTION_OUTPUT);
            continue;
        }
        size_t function = mil_wire_begin(b, DESCRIPTION_FUNCTION);
        mil_wire_put_text(b, FUNCTION_DESCRIPTION_NAME, w->f->name);
        put_features(w, FUNCTION_DESCRIPTION_INPUT, FUNCTION_DESCRIPTION_OUTPUT);
        mil_wire_end(b, function);
    }
    const mil_function *first = mil_program_function(p, NULL);
    if (several)
        mil_wire_put_text(b, DESCRIPTION_DEFAULT_FUNCTION, first ? first->name : p->functions[0]->name);
    mil_wire_end(b, description);
}

static bool put_model(writer *w, const mil_program *p) {
    const mil_package_opset *opset = opset_of(p, w->e);
    w->older = opset->version < 9;
    mil_wire_put_varint(&w->model, MODEL_VERSION, opset->version);
    put_description(w, p);
    size_t program = mil_wire_begin(&w->model, MODEL_ML_PROGRAM);
    mil_wire_put_varint(&w->model, PROGRAM_VERSION, 1);
    for (int32_t i = 0; i < p->n_functions; i++) {
        w->f = p->functions[i];
        if (!put_function(w, opset)) return false;
    }
    mil_wire_end(&w->model, program);
    return !w->model.failed || mil_no_memory(w->e, NULL);
}

/* ---- the folder ------------------------------------------------------------------------------------------------------ */

/* Identifiers must differ inside a package only. */
static const char model_id[] = "5B1C6A50-0000-4000-8000-000000000001";
static const char weights_id[] = "5B1C6A50-0000-4000-8000-000000000002";

static json_t *manifest_of(bool weights) {
    json_t *m =
        json_pack("{s:s, s:{s:{s:s, s:s, s:s, s:s}}, s:s}", "fileFormatVersion", "1.0.0", "itemInfoEntries",
            model_id, "author", "com.apple.CoreML", "description", "CoreML Model Specification", "name",
            "model.mlmodel", "path", MIL_PACKAGE_MODEL, "rootModelIdentifier", model_id);
    if (m && weights)
        json_object_set_new(json_object_get(m, "itemInfoEntries"), weights_id,
            json_pack("{s:s, s:s, s:s, s:s}", "author", "com.apple.CoreML", "description",
                "CoreML Model Weights", "name", "weights", "path", MIL_PACKAGE_WEIGHTS));
    return m;
}

static bool write_text(const char *folder, const char *name, const void *data, size_t size, ane_error *e) {
    char *path = ane_join_path(folder, name);
    bool ok = path && ane_write_file(path, data, size, e);
    free(path);
    return ok || mil_no_memory(e, folder);
}

static bool write_manifest(const char *folder, bool weights, ane_error *e) {
    json_t *m = manifest_of(weights);
    char *text = m ? json_dumps(m, JSON_INDENT(4) | JSON_SORT_KEYS) : NULL;
    bool ok = text ? write_text(folder, "Manifest.json", text, strlen(text), e) : mil_no_memory(e, folder);
    free(text);
    json_decref(m);
    return ok;
}

/* Model and weights below `folder`; the blob file is not committed before the model is known to be right. */
static bool write_parts(const mil_program *p, const char *folder, ane_error *e) {
    char *weights = ane_join_path(folder, "Data/" MIL_PACKAGE_WEIGHTS);
    char *blob = weights ? ane_join_path(weights, "weight.bin") : NULL;
    writer w = {.e = e};
    if (!blob) mil_no_memory(e, folder);
    bool ok = blob && ane_make_folders(weights, e) && (w.blobs = mil_blob_writer_open(blob, e)) != NULL;
    ok = ok && put_model(&w, p);
    if (ok)
        ok = mil_blob_writer_commit(w.blobs, e);
    else
        mil_blob_writer_abort(w.blobs);
    ok = ok && write_text(folder, "Data/" MIL_PACKAGE_MODEL, w.model.data, w.model.size, e) &&
         (w.n_blobs > 0 || ane_remove_tree(weights, e)) && write_manifest(folder, w.n_blobs > 0, e);
    free(w.model.data);
    free(blob);
    free(weights);
    return ok;
}

/* What is replaced must be a package: nothing else is lost. */
static bool check_place(const char *path, ane_error *e) {
    char *manifest = ane_join_path(path, "Manifest.json");
    bool free_or_package = !ane_path_exists(path) || (manifest && ane_path_exists(manifest));
    free(manifest);
    if (free_or_package) return true;
    ane_fail(e, ANE_ERROR_IO, path, "something that is no package stands there already");
    return ane_hint(e, "Choose another name.");
}

static bool put_in_place(const char *made, const char *path, const char *old, ane_error *e) {
    bool replaces = ane_path_exists(path);
    if ((!replaces || (ane_remove_tree(old, e) && rename(path, old) == 0)) && rename(made, path) == 0)
        return !replaces || ane_remove_tree(old, e);
    ane_fail(e, ANE_ERROR_IO, path, "cannot put the package in place: %s", strerror(errno));
    if (replaces && !ane_path_exists(path) && rename(old, path) != 0)
        ane_hint(e, "The package that stood there is now %s.", old);
    return false;
}

bool mil_package_write(const mil_program *p, const char *path, ane_error *e) {
    if (!check(p, e) || !check_place(path, e)) return false;
    size_t n = strlen(path), room = n + 40;
    while (n > 1 && path[n - 1] == '/') n--;
    char *target = strndup(path, n), *made = malloc(2 * room), *old = made ? made + room : NULL;
    bool ok = target && made;
    if (ok) {
        snprintf(made, room, "%s.new-%ld", target, (long)getpid());
        snprintf(old, room, "%s.old-%ld", target, (long)getpid());
        /* A process of the same number may have been killed over them. */
        ok = ane_remove_tree(made, e) && write_parts(p, made, e) && put_in_place(made, target, old, e);
        if (!ok) ane_remove_tree(made, NULL);
    } else {
        mil_no_memory(e, path);
    }
    free(target);
    free(made);
    return ok;
}
