/* parse.c - programs and functions:
 *
 *     program(1.3)
 *     [buildInfo = dict<string, string>({{"key", "value"}, ...})]
 *     {
 *         func main<ios18>(tensor<fp16, [1, 4]> x, ...) {
 *             ...statements...
 *         } -> (y, ...);
 *     }
 */
#include "base/arena.h"
#include "base/file.h"
#include "mil/function.h"
#include "mil/parser.h"

#include <stdio.h>
#include <string.h>

enum { MOST_OUTPUTS = 4096 };

static const char *const opsets[] = {"ios13", "ios14", "ios15", "ios16", "ios17", "ios18"};
static const char *const versions[] = {"1.0", "1.1", "1.2", "1.3", "1.4", "1.5"};

static const char *one_of(const mil_token *t, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (mil_token_is(t, names[i])) return names[i];
    return NULL;
}

/* ---- header -------------------------------------------------------------------------------------------- */

static bool parse_version(mil_parser *p) {
    if (!mil_parser_take(p, "program") || !mil_parser_take(p, "(")) return false;
    const char *version = one_of(&p->token, versions, sizeof versions / sizeof *versions);
    if (!version) return mil_parser_expected(p, "a version from 1.0 to 1.5");
    p->program->version = version;
    mil_parser_step(p);
    return mil_parser_take(p, ")");
}

/* dict<string, string> */
static bool parse_dict_type(mil_parser *p) {
    mil_type key, value;
    mil_token start = p->token;
    if (!mil_parser_take(p, "dict") || !mil_parser_take(p, "<") || !mil_parse_type(p, &key)) return false;
    if (!mil_parser_take(p, ",") || !mil_parse_type(p, &value) || !mil_parser_take(p, ">")) return false;
    if (key.dtype == MIL_STRING && value.dtype == MIL_STRING) return true;
    return mil_parser_fail(p, &start, ANE_ERROR_TYPE, "expected buildInfo to be a dict<string, string>");
}

static bool parse_build_info(mil_parser *p) {
    int32_t capacity = 0;
    mil_program *program = p->program;
    program->n_build_info = 0;
    program->build_info = NULL;
    if (!parse_dict_type(p) || !mil_parser_take(p, "(") || !mil_parser_take(p, "{")) return false;
    while (!mil_token_is(&p->token, "}")) {
        mil_attribute a;
        if (program->n_build_info > 0 && !mil_parser_take(p, ",")) return false;
        if (!mil_parser_take(p, "{") || !mil_parse_string(p, &a.key) || !mil_parser_take(p, ","))
            return false;
        if (!mil_parse_string(p, &a.value) || !mil_parser_take(p, "}")) return false;
        if (!mil_grow(program->arena, &program->build_info, &capacity, program->n_build_info, sizeof a))
            return mil_parser_no_memory(p);
        program->build_info[program->n_build_info++] = a;
    }
    return mil_parser_take(p, "}") && mil_parser_take(p, ")");
}

static bool parse_program_attributes(mil_parser *p) {
    p->program->n_build_info = 0;
    if (!mil_parser_accept(p, "[") || mil_parser_accept(p, "]")) return true;
    do {
        mil_token key;
        if (!mil_parser_name(p, "an attribute's name", &key) || !mil_parser_take(p, "=")) return false;
        if (!mil_token_is(&key, "buildInfo"))
            return mil_parser_fail(p, &key, ANE_ERROR_UNSUPPORTED,
                "expected the attribute buildInfo, found '%.*s'", (int)(key.size < 40 ? key.size : 40),
                key.text);
        if (!parse_build_info(p)) return false;
    } while (mil_parser_accept(p, ","));
    return mil_parser_take(p, "]");
}

/* ---- functions ----------------------------------------------------------------------------------------- */

static bool parse_inputs(mil_parser *p) {
    if (!mil_parser_take(p, "(")) return false;
    if (mil_parser_accept(p, ")")) return true;
    do {
        mil_type type;
        mil_token at;
        char *name;
        if (!mil_parse_type(p, &type) || !mil_parse_new_name(p, &at, &name)) return false;
        if (mil_input(p->f, name, type) == MIL_NONE) return mil_parser_adopt(p, &at, &p->program->error);
    } while (mil_parser_accept(p, ","));
    return mil_parser_take(p, ")");
}

/* FlexibleShapeInformation says which other shapes an input may have; a program here has the ones it
 * declares. */
static bool parse_function_attributes(mil_parser *p) {
    if (!mil_parser_accept(p, "[")) return true;
    do {
        mil_token key;
        if (!mil_parser_name(p, "an attribute's name", &key) || !mil_parser_take(p, "=")) return false;
        if (!mil_token_is(&key, "FlexibleShapeInformation"))
            return mil_parser_fail(p, &key, ANE_ERROR_UNSUPPORTED, "functions have no attribute '%.*s'",
                (int)(key.size < 40 ? key.size : 40), key.text);
        if (!mil_parse_skip_value(p)) return false;
    } while (mil_parser_accept(p, ","));
    return mil_parser_take(p, "]");
}

static bool parse_outputs(mil_parser *p) {
    if (p->token.kind != MIL_TOKEN_ARROW) return mil_parser_expected(p, "'->'");
    mil_parser_step(p);
    if (!mil_parser_take(p, "(")) return false;
    do {
        mil_token at = p->token;
        mil_value v;
        if (!mil_parse_reference(p, &v)) return false;
        if (p->f->n_outputs == MOST_OUTPUTS)
            return mil_parser_fail(
                p, &at, ANE_ERROR_UNSUPPORTED, "expected at most %d outputs", MOST_OUTPUTS);
        for (int i = 0; i < p->f->n_outputs; i++)
            if (p->f->outputs[i] == v)
                return mil_parser_fail(
                    p, &at, ANE_ERROR_FORMAT, "\"%.80s\" is returned twice", p->f->values[v].name);
        if (!mil_append_output(p->f, v)) return mil_parser_adopt(p, &at, &p->program->error);
    } while (mil_parser_accept(p, ","));
    return mil_parser_take(p, ")") && mil_parser_take(p, ";");
}

/* func main<ios18> */
static bool parse_function_name(mil_parser *p) {
    mil_token at;
    if (!mil_parser_take(p, "func") || !mil_parser_name(p, "the function's name", &at)) return false;
    char *name = mil_parser_copy(p, &at);
    if (!name || !mil_parser_take(p, "<")) return false;
    const char *opset = one_of(&p->token, opsets, sizeof opsets / sizeof *opsets);
    if (!opset) return mil_parser_expected(p, "a set of operations from ios13 to ios18");
    mil_parser_step(p);
    p->f = mil_function_new(p->program, name);
    if (!p->f) return mil_parser_adopt(p, &at, &p->program->error);
    p->f->opset = opset;
    return mil_parser_take(p, ">");
}

static bool parse_function(mil_parser *p) {
    if (!parse_function_name(p) || !parse_inputs(p) || !parse_function_attributes(p)) return false;
    if (!mil_parser_take(p, "{")) return false;
    while (!mil_token_is(&p->token, "}"))
        if (!mil_parse_statement(p)) return false;
    mil_parser_step(p);
    return parse_outputs(p);
}

static bool parse_program(mil_parser *p) {
    mil_parser_step(p);
    if (!parse_version(p) || !parse_program_attributes(p) || !mil_parser_take(p, "{")) return false;
    do {
        if (!parse_function(p)) return false;
    } while (!mil_token_is(&p->token, "}"));
    mil_parser_step(p);
    if (p->token.kind != MIL_TOKEN_END)
        return mil_parser_expected(p, "the end of the text behind the program");
    /* The spelling that is met more often is the program's own. */
    bool undecided = p->tensor_scalars == p->plain_scalars;
    p->program->scalars_as_tensors =
        undecided ? strcmp(p->program->version, "1.0") == 0 : p->tensor_scalars > p->plain_scalars;
    return true;
}

mil_program *mil_parse(const char *text, size_t size, const char *name, ane_error *e) {
    ane_error error = {0};
    mil_parser p = {.file = name, .error = &error};
    if (size > INT32_MAX)
        ane_fail(&error, ANE_ERROR_UNSUPPORTED, name,
            "expected a program of less than 2 GB of text, found %zu bytes", size);
    else
        p.program = mil_program_new(MIL_IOS18, &error);
    mil_lexer_start(&p.lexer, text, size);
    if (p.program && parse_program(&p) && mil_program_ok(p.program, &error)) return p.program;
    ane_at(&error, name);
    if (e && e->code == ANE_OK) *e = error;
    mil_program_free(p.program);
    return NULL;
}

mil_program *mil_parse_file(const char *path, ane_error *e) {
    ane_mapping m;
    if (!ane_map_file(&m, path, e)) return NULL;
    mil_program *p = mil_parse((const char *)m.data, m.size, path, e);
    ane_unmap_file(&m);
    return p;
}
