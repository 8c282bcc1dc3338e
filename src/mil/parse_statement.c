/* parse_statement.c - one statement:
 *
 *     type name, type name = operation(parameter = value, values = (a, b))[name = string("label"), val =
 * literal];
 *
 * Attributes that bear a parameter's name give that parameter; literals given as arguments become const
 * operations.
 */
#include "base/arena.h"
#include "base/nearest.h"
#include "mil/function.h"
#include "mil/parser.h"

#include <stdio.h>
#include <string.h>

typedef struct declared_result {
    mil_type type;
    mil_token type_at, name_at;
    char *name;
} declared_result;

typedef struct statement {
    int32_t n_results, result_capacity;
    declared_result *results;
    const mil_op_info *info;
    mil_token op_at;
    mil_arg *args; /* info->n_params */
    const char *label;
    mil_type value_type; /* const's val */
    mil_constant *value;
} statement;

/* Attributes without a meaning for the program. */
static const char *const harmless[] = {"comment", "location"};

/* ---- names --------------------------------------------------------------------------------------------- */

/* A generated name makes way; any other is taken. */
static bool name_is_free(mil_parser *p, const mil_token *at, const char *name) {
    mil_value v = mil_find(p->f, name);
    if (v == MIL_NONE || !p->f->values[v].used_name) return true;
    int32_t op = p->f->values[v].op;
    if (op == MIL_NONE)
        mil_parser_fail(p, at, ANE_ERROR_FORMAT, "\"%.80s\" is defined already, as an input", name);
    else
        mil_parser_fail(p, at, ANE_ERROR_FORMAT, "\"%.80s\" is defined already, in line %d", name,
            (int)(p->f->ops[op].line ? p->f->ops[op].line : at->line));
    return ane_hint(p->error, "every value is defined once; choose another name");
}

bool mil_parse_new_name(mil_parser *p, mil_token *out, char **name) {
    return mil_parser_name(p, "a name for the value", out) && (*name = mil_parser_copy(p, out)) &&
           name_is_free(p, out, *name);
}

/* The nearest of the names defined last; NULL when none is near. */
static const char *nearest_value(const mil_function *f, const char *name) {
    enum { LOOKED_AT = 1000 };
    const char *names[LOOKED_AT + 1];
    int32_t first = f->n_values > LOOKED_AT ? f->n_values - LOOKED_AT : 0, n = f->n_values - first;
    for (int i = 0; i < n; i++) names[i] = f->values[first + i].name;
    names[n] = NULL;
    return ane_nearest(name, names);
}

bool mil_parse_reference(mil_parser *p, mil_value *out) {
    mil_token t;
    if (!mil_parser_name(p, "a value's name", &t)) return false;
    char *name = mil_parser_copy(p, &t);
    if (!name) return false;
    *out = mil_find(p->f, name);
    if (*out != MIL_NONE) return true;
    const char *near = nearest_value(p->f, name);
    mil_parser_fail(p, &t, ANE_ERROR_FORMAT, "\"%.80s\" is not defined", name);
    if (near) return ane_hint(p->error, "did you mean \"%.80s\"?", near);
    return ane_hint(p->error, "a value is defined before it is used, in the same function");
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

/* Make a const operation of a literal; its name is generated. */
static bool constant_of(mil_parser *p, mil_value *out) {
    mil_token start = p->token;
    mil_type type;
    mil_constant *c;
    if (!mil_parse_literal(p, &type, &c)) return false;
    *out = mil_emit_constant(p->f, &type, c);
    if (*out == MIL_NONE) return mil_parser_adopt(p, &start, &p->program->error);
    mil_operation *op = &p->f->ops[p->f->n_ops - 1];
    op->line = start.line;
    op->column = start.column;
    return true;
}

static bool parse_one(mil_parser *p, mil_value *out) {
    const mil_token *t = &p->token;
    bool truth = mil_token_is(t, "true") || mil_token_is(t, "false");
    if (truth && mil_find(p->f, mil_token_is(t, "true") ? "true" : "false") == MIL_NONE)
        return constant_of(p, out);
    return mil_parser_at_literal(p) ? constant_of(p, out) : mil_parse_reference(p, out);
}

/* `(a, b, ...)` into the arena. */
static bool parse_list(mil_parser *p, mil_arg *out) {
    int32_t capacity = 0;
    mil_parser_step(p); /* ( */
    do {
        mil_value v;
        if (!parse_one(p, &v)) return false;
        if (!mil_grow(p->program->arena, &out->values, &capacity, out->n, sizeof *out->values))
            return mil_parser_no_memory(p);
        out->values[out->n++] = v;
    } while (mil_parser_accept(p, ","));
    return mil_parser_take(p, ")");
}

static bool unknown_parameter(
    mil_parser *p, const mil_op_info *info, const mil_token *key, const char *what) {
    char known[256] = "";
    for (int i = 0; i < info->n_params; i++) {
        size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", info->params[i].name);
    }
    mil_parser_fail(p, key, ANE_ERROR_FORMAT, "%s has no %s \"%.*s\"", info->name, what,
        (int)(key->size < 40 ? key->size : 40), key->text);
    return ane_hint(p->error, info->n_params ? "its parameters are %s" : "it has no parameters%s", known);
}

/* An axis or a flag decides what the operation is, so it cannot wait in a blob file. */
static bool check_in_text(
    mil_parser *p, const statement *s, const mil_param_info *param, mil_value v, const mil_token *key) {
    const mil_value_info *info = &p->f->values[v];
    bool waits = info->constant && !info->constant->data && info->type.rank == 0;
    if (!waits || param->kind != MIL_CONST || (s->info->traits & MIL_TRAIT_CONSTEXPR)) return true;
    return mil_parser_fail(p, key, ANE_ERROR_UNSUPPORTED,
        "expected \"%s\" to be written in the text, found a reference to a blob file", param->name);
}

/* The value of parameter `index`, written as an argument or as an attribute. */
static bool parse_argument(mil_parser *p, statement *s, int index, const mil_token *key) {
    const mil_param_info *param = &s->info->params[index];
    mil_arg *arg = &s->args[index];
    if (arg->n > 0)
        return mil_parser_fail(p, key, ANE_ERROR_FORMAT, "parameter \"%s\" is given twice", param->name);
    if (mil_token_is(&p->token, "(")) {
        if (!parse_list(p, arg)) return false;
        if (param->kind != MIL_LIST && arg->n != 1)
            return mil_parser_fail(p, key, ANE_ERROR_FORMAT, "expected one value for \"%s\", found %d",
                param->name, (int)arg->n);
    } else {
        arg->values = ane_arena_alloc(p->program->arena, sizeof *arg->values);
        if (!arg->values) return mil_parser_no_memory(p);
        arg->n = 1;
        if (!parse_one(p, arg->values)) return false;
    }
    return check_in_text(p, s, param, arg->values[0], key);
}

/* const's value: `val = literal`, in the brackets or between the parentheses. */
static bool parse_val(mil_parser *p, statement *s, const mil_token *key) {
    if (s->value) return mil_parser_fail(p, key, ANE_ERROR_FORMAT, "\"val\" is given twice");
    return mil_parse_literal(p, &s->value_type, &s->value);
}

static int param_of(const mil_op_info *info, const mil_token *key) {
    for (int i = 0; i < info->n_params; i++)
        if (mil_token_is(key, info->params[i].name)) return i;
    return -1;
}

static bool parse_arguments(mil_parser *p, statement *s) {
    if (!mil_parser_take(p, "(")) return false;
    if (mil_parser_accept(p, ")")) return true;
    do {
        mil_token key;
        if (!mil_parser_name(p, "a parameter's name or ')'", &key)) return false;
        int index = param_of(s->info, &key);
        bool is_val = s->info->opcode == MIL_OP_CONST && mil_token_is(&key, "val");
        if (index < 0 && !is_val) return unknown_parameter(p, s->info, &key, "parameter");
        if (!mil_parser_take(p, "=")) return false;
        if (is_val ? !parse_val(p, s, &key) : !parse_argument(p, s, index, &key)) return false;
    } while (mil_parser_accept(p, ","));
    return mil_parser_take(p, ")");
}

/* ---- attributes ---------------------------------------------------------------------------------------- */

static bool is_harmless(const mil_token *key) {
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (mil_token_is(key, harmless[i])) return true;
    return false;
}

static bool parse_attribute(mil_parser *p, statement *s) {
    mil_token key;
    if (!mil_parser_name(p, "an attribute's name", &key) || !mil_parser_take(p, "=")) return false;
    if (mil_token_is(&key, "name")) {
        if (s->label) return mil_parser_fail(p, &key, ANE_ERROR_FORMAT, "attribute \"name\" is given twice");
        return mil_parse_string(p, &s->label);
    }
    if (s->info->opcode == MIL_OP_CONST && mil_token_is(&key, "val")) return parse_val(p, s, &key);
    int index = param_of(s->info, &key);
    if (index >= 0) return parse_argument(p, s, index, &key);
    return is_harmless(&key) ? mil_parse_skip_value(p) : unknown_parameter(p, s->info, &key, "attribute");
}

static bool parse_attributes(mil_parser *p, statement *s) {
    if (!mil_parser_accept(p, "[")) return true;
    if (mil_parser_accept(p, "]")) return true;
    do {
        if (!parse_attribute(p, s)) return false;
    } while (mil_parser_accept(p, ","));
    return mil_parser_take(p, "]");
}

/* ---- results and operation ----------------------------------------------------------------------------- */

static bool parse_results(mil_parser *p, statement *s) {
    do {
        if (!mil_grow(p->program->arena, &s->results, &s->result_capacity, s->n_results, sizeof *s->results))
            return mil_parser_no_memory(p);
        declared_result *r = &s->results[s->n_results];
        r->type_at = p->token;
        if (!mil_parse_type(p, &r->type) || !mil_parse_new_name(p, &r->name_at, &r->name)) return false;
        s->n_results++;
    } while (mil_parser_accept(p, ","));
    return mil_parser_take(p, "=");
}

static bool parse_operation_name(mil_parser *p, statement *s) {
    if (!mil_parser_name(p, "an operation", &s->op_at)) return false;
    char *name = mil_parser_copy(p, &s->op_at);
    if (!name) return false;
    s->info = mil_op_find(name);
    if (s->info) {
        s->args = ane_arena_array(p->program->arena, (size_t)s->info->n_params + 1, sizeof *s->args);
        return s->args || mil_parser_no_memory(p);
    }
    const char *names[MIL_OP_COUNT + 1] = {0};
    for (int i = 0; i < MIL_OP_COUNT; i++) names[i] = mil_op_table[i].name;
    const char *near = ane_nearest(name, names);
    mil_parser_fail(p, &s->op_at, ANE_ERROR_UNSUPPORTED, "operation \"%.80s\" is unknown", name);
    return near ? ane_hint(p->error, "did you mean \"%s\"?", near) : false;
}

/* ---- making it ----------------------------------------------------------------------------------------- */

static bool emit_leaf(mil_parser *p, const statement *s, mil_value *results) {
    const declared_result *r = &s->results[0];
    if (s->n_results != 1)
        return mil_parser_fail(
            p, &s->op_at, ANE_ERROR_FORMAT, "%s has one result, found %d", s->info->name, (int)s->n_results);
    if (s->info->opcode == MIL_OP_PARAMETER) {
        results[0] = mil_emit_leaf(p->f, MIL_OP_PARAMETER, &r->type);
        return true;
    }
    if (!s->value)
        return mil_parser_fail(p, &s->op_at, ANE_ERROR_FORMAT, "expected const to have an attribute val");
    results[0] = mil_emit_constant(p->f, &s->value_type, s->value);
    return true;
}

/* What was declared must be what inference says. */
static bool check_result(mil_parser *p, const statement *s, const declared_result *r, mil_value v) {
    const mil_type *type = mil_type_of(p->f, v);
    char is[256], said[256];
    if (mil_type_equal(type, &r->type)) return true;
    return mil_parser_fail(p, &r->type_at, type->dtype == r->type.dtype ? ANE_ERROR_SHAPE : ANE_ERROR_TYPE,
        "%s makes %s, but \"%.80s\" is declared as %s", s->info->name, mil_type_print(type, is, sizeof is),
        r->name, mil_type_print(&r->type, said, sizeof said));
}

static bool name_results(mil_parser *p, const statement *s, const mil_value *results) {
    ane_error e = {0};
    for (int i = 0; i < s->n_results; i++) {
        const declared_result *r = &s->results[i];
        if (!check_result(p, s, r, results[i]) || !name_is_free(p, &r->name_at, r->name)) return false;
        if (!mil_name_exact(p->f, results[i], r->name, &e)) return mil_parser_adopt(p, &r->name_at, &e);
    }
    mil_operation *op = &p->f->ops[p->f->n_ops - 1];
    op->label = s->label;
    op->line = s->op_at.line;
    op->column = s->op_at.column;
    return true;
}

static bool emit(mil_parser *p, const statement *s) {
    mil_value *results = ane_arena_array(p->program->arena, (size_t)s->n_results, sizeof *results);
    if (!results) return mil_parser_no_memory(p);
    bool leaf = s->info->opcode == MIL_OP_CONST || s->info->opcode == MIL_OP_PARAMETER;
    if (leaf && !emit_leaf(p, s, results)) return false;
    if (!leaf) mil_emit(p->f, s->info->opcode, s->args, s->n_results, results);
    if (p->program->error.code != ANE_OK) return mil_parser_adopt(p, &s->op_at, &p->program->error);
    return name_results(p, s, results);
}

bool mil_parse_statement(mil_parser *p) {
    statement s = {0};
    return parse_results(p, &s) && parse_operation_name(p, &s) && parse_arguments(p, &s) &&
           parse_attributes(p, &s) && mil_parser_take(p, ";") && emit(p, &s);
}
