/* print.c - a program as MIL text: one statement a line, in the program's own dialect, nothing lost. */
#include "mil/lexer.h"
#include "mil/literal.h"
#include "mil/ops.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct printer {
    const mil_program *program;
    char *text;
    size_t size, capacity;
    bool no_memory;
    ane_error *error;
} printer;

/* ---- text ---------------------------------------------------------------------------------------------- */

static char *reserve(printer *p, size_t n) {
    if (p->no_memory) return NULL;
    if (n >= p->capacity - p->size) {
        size_t capacity = 2 * p->capacity + n + 1;
        char *grown = realloc(p->text, capacity);
        if (!grown) {
            p->no_memory = true;
            return NULL;
        }
        p->text = grown;
        p->capacity = capacity;
    }
    return p->text + p->size;
}

static void put_bytes(printer *p, const char *s, size_t n) {
    char *at = reserve(p, n);
    if (!at) return;
    memcpy(at, s, n);
    at[n] = 0;
    p->size += n;
}

static void put(printer *p, const char *s) {
    put_bytes(p, s, strlen(s));
}

static void putf(printer *p, const char *format, ...) ANE_PRINTF(2, 3);
static void putf(printer *p, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(p, text);
}

/* ---- names, types, strings ----------------------------------------------------------------------------- */

static void put_name(printer *p, const char *name) {
    if (!mil_is_name(name)) {
        ane_fail(p->error, ANE_ERROR_ARGUMENT, name, "\"%s\" cannot be written as a name in MIL text", name);
        ane_hint(p->error, "names are letters, digits, _ and . and do not begin with a digit");
    }
    put_bytes(p, name, strlen(name));
}

static void put_quoted(printer *p, const char *s) {
    put(p, "\"");
    for (; *s; s++) {
        static const char plain[] = "\"\\\n\t\r", letter[] = "\"\\ntr";
        unsigned char c = (unsigned char)*s;
        const char *known = strchr(plain, c);
        if (known)
            putf(p, "\\%c", letter[known - plain]);
        else if (c < ' ' || c == 0x7f)
            putf(p, "\\x%02x", c);
        else
            put_bytes(p, s, 1);
    }
    put(p, "\"");
}

static void put_scalar_type(printer *p, const char *dtype) {
    putf(p, p->program->scalars_as_tensors ? "tensor<%s, []>" : "%s", dtype);
}

static void put_type(printer *p, const mil_type *t) {
    if (t->rank == 0) {
        put_scalar_type(p, mil_dtype_name(t->dtype));
        return;
    }
    putf(p, "tensor<%s, [", mil_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) putf(p, "%s%" PRId64, i ? ", " : "", t->dim[i]);
    put(p, "]>");
}

static void put_string(printer *p, const char *s) {
    put_scalar_type(p, "string");
    put(p, "(");
    put_quoted(p, s);
    put(p, ")");
}

/* ---- constants ----------------------------------------------------------------------------------------- */

/* Brackets nest as the dimensions do: one opens before every element whose index begins a run of that
 * dimension. */
static void put_elements(printer *p, const mil_type *t, const void *data) {
    int64_t run[MIL_MAX_RANK + 1], count = mil_type_count(t);
    char text[MIL_LITERAL_MAX];
    run[t->rank] = 1;
    for (int i = t->rank - 1; i >= 0; i--) run[i] = run[i + 1] * t->dim[i];
    for (int64_t at = 0; at < count && !p->no_memory; at++) {
        if (at > 0) put(p, ", ");
        for (int i = 0; i < t->rank; i++)
            if (at % run[i] == 0) put(p, "[");
        put(p, mil_literal_print(t->dtype, data, at, text));
        for (int i = t->rank - 1; i >= 0; i--)
            if ((at + 1) % run[i] == 0) put(p, "]");
    }
}

static void put_constant(printer *p, const mil_value_info *v) {
    const mil_constant *c = v->constant;
    put_type(p, &v->type);
    put(p, "(");
    if (c->blob_path) {
        put(p, "BLOBFILE(path = ");
        put_string(p, c->blob_path);
        put(p, ", offset = ");
        put_scalar_type(p, "uint64");
        putf(p, "(%" PRIu64 "))", c->blob_offset);
    } else if (!c->data) {
        ane_fail(p->error, ANE_ERROR_ARGUMENT, v->name, "the constant has no value");
    } else if (v->type.dtype == MIL_STRING) {
        put_quoted(p, c->data);
    } else {
        put_elements(p, &v->type, c->data);
    }
    put(p, ")");
}

/* ---- statements ---------------------------------------------------------------------------------------- */

/* A constexpr operation takes constants that nobody named as attributes; named ones are statements, referred
 * to. */
static bool takes_attributes(const mil_function *f, const mil_operation *op) {
    if (!(op->info->traits & MIL_TRAIT_CONSTEXPR)) return false;
    for (int i = 0; i < op->info->n_params; i++)
        for (int j = 0; j < op->args[i].n; j++) {
            const mil_value_info *v = &f->values[op->args[i].values[j]];
            if (!v->constant || v->used_name) return false;
        }
    return true;
}

/* For each value, how often a statement refers to it by name; -1 when it is only written inside attributes.
 */
static int32_t *count_references(printer *p, const mil_function *f) {
    int32_t *references = calloc((size_t)f->n_values + 1, sizeof *references);
    if (!references) {
        p->no_memory = true;
        return NULL;
    }
    for (int pass = 0; pass < 2; pass++) /* inside attributes first, so that a reference by name wins */
        for (int i = 0; i < f->n_ops; i++) {
            const mil_operation *op = &f->ops[i];
            bool inside = takes_attributes(f, op);
            if (inside != (pass == 0)) continue;
            for (int a = 0; a < op->info->n_params; a++)
                for (int j = 0; j < op->args[a].n; j++) references[op->args[a].values[j]] = inside ? -1 : 1;
        }
    for (int i = 0; i < f->n_outputs; i++) references[f->outputs[i]] = 1;
    return references;
}

static void put_argument(printer *p, const mil_function *f, const mil_param_info *param, const mil_arg *arg) {
    putf(p, "%s = ", param->name);
    if (param->kind == MIL_LIST) put(p, "(");
    for (int j = 0; j < arg->n; j++) {
        if (j > 0) put(p, ", ");
        put_name(p, f->values[arg->values[j]].name);
    }
    if (param->kind == MIL_LIST) put(p, ")");
}

static void put_attributes(printer *p, const mil_function *f, const mil_operation *op, bool with_arguments) {
    put(p, "[name = ");
    put_string(p, op->label ? op->label : f->values[op->results[0]].name);
    for (int i = 0; with_arguments && i < op->info->n_params; i++) {
        if (op->args[i].n == 0) continue;
        putf(p, ", %s = ", op->info->params[i].name);
        put_constant(p, &f->values[op->args[i].values[0]]);
    }
    if (op->opcode == MIL_OP_CONST) {
        put(p, ", val = ");
        put_constant(p, &f->values[op->results[0]]);
    }
    put(p, "]");
}

static void put_statement(printer *p, const mil_function *f, const mil_operation *op) {
    put(p, "        ");
    for (int i = 0; i < op->n_results; i++) {
        if (i > 0) put(p, ", ");
        put_type(p, &f->values[op->results[i]].type);
        put(p, " ");
        put_name(p, f->values[op->results[i]].name);
    }
    putf(p, " = %s(", op->info->name);
    bool inside = takes_attributes(f, op);
    const char *separator = "";
    for (int i = 0; !inside && i < op->info->n_params; i++) {
        if (op->args[i].n == 0) continue;
        put(p, separator);
        put_argument(p, f, &op->info->params[i], &op->args[i]);
        separator = ", ";
    }
    put(p, ")");
    put_attributes(p, f, op, inside);
    put(p, ";\n");
}

static void put_function(printer *p, const mil_function *f) {
    put(p, "    func ");
    put_name(p, f->name);
    put(p, "<");
    put_name(p, f->opset);
    put(p, ">(");
    for (int i = 0; i < f->n_inputs; i++) {
        if (i > 0) put(p, ", ");
        put_type(p, &f->values[f->inputs[i]].type);
        put(p, " ");
        put_name(p, f->values[f->inputs[i]].name);
    }
    put(p, ") {\n");
    int32_t *references = count_references(p, f);
    for (int i = 0; references && i < f->n_ops; i++) {
        const mil_operation *op = &f->ops[i];
        bool written_elsewhere = op->opcode == MIL_OP_CONST && references[op->results[0]] < 0;
        if (!written_elsewhere) put_statement(p, f, op);
    }
    free(references);
    put(p, "    } -> (");
    for (int i = 0; i < f->n_outputs; i++) {
        if (i > 0) put(p, ", ");
        put_name(p, f->values[f->outputs[i]].name);
    }
    put(p, ");\n");
}

static void put_build_info(printer *p) {
    put(p, "[buildInfo = dict<");
    put_scalar_type(p, "string");
    put(p, ", ");
    put_scalar_type(p, "string");
    put(p, ">({");
    for (int i = 0; i < p->program->n_build_info; i++) {
        put(p, i ? ", {" : "{");
        put_quoted(p, p->program->build_info[i].key);
        put(p, ", ");
        put_quoted(p, p->program->build_info[i].value);
        put(p, "}");
    }
    put(p, "})]\n");
}

char *mil_print(const mil_program *program, ane_error *e) {
    ane_error first = {0};
    printer p = {.program = program, .error = &first};
    if (program->error.code != ANE_OK) first = program->error;
    putf(&p, "program(%s)\n", program->version);
    if (program->n_build_info > 0) put_build_info(&p);
    put(&p, "{\n");
    for (int i = 0; first.code == ANE_OK && i < program->n_functions; i++)
        put_function(&p, program->functions[i]);
    put(&p, "}\n");
    if (p.no_memory) ane_fail(&first, ANE_ERROR_MEMORY, NULL, "no memory for the program's text");
    if (first.code == ANE_OK) return p.text;
    if (e && e->code == ANE_OK) *e = first;
    free(p.text);
    return NULL;
}
