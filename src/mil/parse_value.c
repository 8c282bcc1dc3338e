/* parse_value.c - types and literals:
 *
 *     fp16                                  int32(-1)
 *     tensor<fp16, [1, 2]>                  tensor<fp16, [1, 2]>([[0.5, 0x1p-3]])
 *     tensor<string, []>                    tensor<string, []>("valid")
 *     string                                tensor<int8, [4]>(BLOBFILE(path = string("..."), offset =
 * uint64(64)))
 */
#include "base/arena.h"
#include "mil/literal.h"
#include "mil/parser.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- types --------------------------------------------------------------------------------------------- */

static bool parse_dtype(mil_parser *p, mil_dtype *out) {
    mil_token t = p->token;
    char name[16];
    if (t.kind == MIL_TOKEN_NAME && t.size < sizeof name) {
        memcpy(name, t.text, t.size);
        name[t.size] = 0;
        *out = mil_dtype_from_name(name);
        if (*out != MIL_VOID) {
            mil_parser_step(p);
            return true;
        }
    }
    if (mil_token_is(&t, "list") || mil_token_is(&t, "state") || mil_token_is(&t, "tuple") ||
        mil_token_is(&t, "dict"))
        return mil_parser_fail(
            p, &t, ANE_ERROR_UNSUPPORTED, "values of type %.*s are not supported", (int)t.size, t.text);
    return mil_parser_expected(p, "a type such as fp16 or tensor<fp16, [1, 2]>");
}

static bool parse_dimension(mil_parser *p, int64_t *out) {
    mil_token t = p->token;
    if (mil_token_is(&t, "?"))
        return mil_parser_fail(p, &t, ANE_ERROR_UNSUPPORTED,
            "dimensions of unknown size are not supported: expected a number, found '?'");
    ane_error e = {0};
    if (t.kind != MIL_TOKEN_NUMBER) return mil_parser_expected(p, "a dimension");
    if (!mil_literal_parse(MIL_INT64, t.text, t.size, out, 0, &e)) return mil_parser_adopt(p, &t, &e);
    if (*out < 1)
        return mil_parser_fail(
            p, &t, ANE_ERROR_SHAPE, "expected a dimension of at least 1, found %" PRId64, *out);
    mil_parser_step(p);
    return true;
}

static bool parse_dimensions(mil_parser *p, mil_type *out) {
    if (!mil_parser_take(p, "[")) return false;
    if (mil_parser_accept(p, "]")) return true;
    do {
        if (out->rank == MIL_MAX_RANK)
            return mil_parser_fail(
                p, &p->token, ANE_ERROR_UNSUPPORTED, "expected at most %d dimensions", MIL_MAX_RANK);
        if (!parse_dimension(p, &out->dim[out->rank])) return false;
        out->rank++;
    } while (mil_parser_accept(p, ","));
    return mil_parser_take(p, "]");
}

bool mil_parse_type(mil_parser *p, mil_type *out) {
    *out = (mil_type){0};
    mil_token start = p->token;
    if (!mil_token_is(&start, "tensor")) {
        p->plain_scalars++;
        return parse_dtype(p, &out->dtype);
    }
    mil_parser_step(p);
    if (!mil_parser_take(p, "<") || !parse_dtype(p, &out->dtype) || !mil_parser_take(p, ",")) return false;
    if (!parse_dimensions(p, out) || !mil_parser_take(p, ">")) return false;
    if (out->rank == 0) p->tensor_scalars++;
    if (out->dtype == MIL_STRING && out->rank > 0)
        return mil_parser_fail(p, &start, ANE_ERROR_UNSUPPORTED, "tensors of strings are not supported");
    if (out->dtype != MIL_STRING && mil_type_bytes(out) < 0)
        return mil_parser_fail(
            p, &start, ANE_ERROR_SHAPE, "the tensor is too large: its size does not fit 63 bits");
    return true;
}

/* ---- literals ------------------------------------------------------------------------------------------ */

bool mil_parser_at_literal(const mil_parser *p) {
    const mil_token *t = &p->token;
    if (t->kind == MIL_TOKEN_NUMBER || t->kind == MIL_TOKEN_STRING) return true;
    if (t->kind != MIL_TOKEN_NAME) return false;
    mil_token next = mil_parser_peek(p);
    return mil_token_is(&next, "<") || mil_token_is(&next, "(");
}

static char *parse_quoted(mil_parser *p) {
    mil_token t = p->token;
    if (t.kind != MIL_TOKEN_STRING) {
        mil_parser_expected(p, "a string in quotes");
        return NULL;
    }
    char *text = ane_arena_alloc(p->program->arena, t.size);
    if (!text) {
        mil_parser_no_memory(p);
    } else if (!mil_token_unescape(&t, text)) {
        mil_parser_fail(p, &t, ANE_ERROR_FORMAT,
            "the string has an unknown escape; expected \\\", \\\\, \\n, \\t, \\r or \\xNN");
        text = NULL;
    }
    if (text) mil_parser_step(p);
    return text;
}

static bool parse_element(mil_parser *p, mil_dtype dtype, void *data, int64_t index) {
    mil_token t = p->token;
    ane_error e = {0};
    if (t.kind != MIL_TOKEN_NUMBER && t.kind != MIL_TOKEN_NAME) {
        char what[48];
        snprintf(what, sizeof what, "a value of type %s", mil_dtype_name(dtype));
        return mil_parser_expected(p, what);
    }
    if (!mil_literal_parse(dtype, t.text, t.size, data, index, &e)) return mil_parser_adopt(p, &t, &e);
    mil_parser_step(p);
    return true;
}

/* Lists nested as the dimensions from `axis` on; `*index` is the next element. Depth is at most MIL_MAX_RANK.
 */
static bool parse_elements(mil_parser *p, const mil_type *type, int axis, void *data, int64_t *index) {
    if (axis == type->rank) return parse_element(p, type->dtype, data, (*index)++);
    mil_token start = p->token;
    char shape[256];
    if (!mil_parser_take(p, "[")) return false;
    for (int64_t i = 0; i < type->dim[axis]; i++) {
        if (i > 0 && mil_token_is(&p->token, "]"))
            return mil_parser_fail(p, &start, ANE_ERROR_SHAPE,
                "expected %" PRId64 " entries along dimension %d of %s, found %" PRId64, type->dim[axis],
                axis, mil_type_print(type, shape, sizeof shape), i);
        if (i > 0 && !mil_parser_take(p, ",")) return false;
        if (!parse_elements(p, type, axis + 1, data, index)) return false;
    }
    if (mil_token_is(&p->token, ","))
        return mil_parser_fail(p, &p->token, ANE_ERROR_SHAPE,
            "expected %" PRId64 " entries along dimension %d of %s, "
            "found more",
            type->dim[axis], axis, mil_type_print(type, shape, sizeof shape));
    return mil_parser_take(p, "]");
}

/* uint64(64), tensor<uint64, []>(64) or 64 */
static bool parse_offset(mil_parser *p, uint64_t *out) {
    mil_token start = p->token;
    mil_type type = mil_scalar(MIL_UINT64);
    bool typed = start.kind == MIL_TOKEN_NAME;
    if (typed && !mil_parse_type(p, &type)) return false;
    if (type.dtype != MIL_UINT64 || type.rank != 0)
        return mil_parser_fail(p, &start, ANE_ERROR_TYPE, "expected an offset such as uint64(64)");
    return (!typed || mil_parser_take(p, "(")) && parse_element(p, MIL_UINT64, out, 0) &&
           (!typed || mil_parser_take(p, ")"));
}

static bool parse_blob_reference(mil_parser *p, mil_constant *c) {
    bool has_offset = false;
    mil_parser_step(p); /* BLOBFILE */
    if (!mil_parser_take(p, "(")) return false;
    do {
        mil_token key;
        if (!mil_parser_name(p, "'path' or 'offset'", &key) || !mil_parser_take(p, "=")) return false;
        if (mil_token_is(&key, "path") && !c->blob_path) {
            if (!mil_parse_string(p, &c->blob_path)) return false;
        } else if (mil_token_is(&key, "offset") && !has_offset) {
            if (!parse_offset(p, &c->blob_offset)) return false;
            has_offset = true;
        } else {
            return mil_parser_fail(p, &key, ANE_ERROR_FORMAT,
                "expected 'path' and 'offset' once each, found '%.*s'", (int)(key.size < 40 ? key.size : 40),
                key.text);
        }
    } while (mil_parser_accept(p, ","));
    if (!c->blob_path || !has_offset) return mil_parser_expected(p, "BLOBFILE's path and offset");
    return mil_parser_take(p, ")");
}

/* Room for the elements. Each takes at least a character of text and a separator, so a shape that the rest of
 * the text cannot fill is refused before anything is allocated for it. */
static void *room_for(mil_parser *p, const mil_type *type) {
    int64_t count = mil_type_count(type);
    if (count < 0 || count > p->lexer.end - p->token.text) {
        char text[256];
        mil_parser_fail(p, &p->token, ANE_ERROR_SHAPE, "expected the elements of %s, found fewer",
            mil_type_print(type, text, sizeof text));
        return NULL;
    }
    void *data = ane_arena_alloc(p->program->arena, (size_t)mil_type_bytes(type) + 8);
    if (!data) mil_parser_no_memory(p);
    return data;
}

static bool parse_content(mil_parser *p, const mil_type *type, mil_constant *c) {
    if (mil_token_is(&p->token, "BLOBFILE")) {
        if (type->dtype == MIL_STRING)
            return mil_parser_fail(p, &p->token, ANE_ERROR_TYPE, "a string cannot come from a blob file");
        return parse_blob_reference(p, c);
    }
    if (type->dtype == MIL_STRING) return (c->data = parse_quoted(p)) != NULL;
    void *data = room_for(p, type);
    int64_t index = 0;
    c->data = data;
    return data && parse_elements(p, type, 0, data, &index);
}

/* `true`, `-1` and `"valid"` without a type, as some programs write them. */
static bool parse_untyped(mil_parser *p, mil_type *type, mil_constant *c) {
    const mil_token *t = &p->token;
    bool integer = t->kind == MIL_TOKEN_NUMBER && !memchr(t->text, '.', t->size) &&
                   !memchr(t->text, 'e', t->size) && !memchr(t->text, 'p', t->size) &&
                   !memchr(t->text, 'n', t->size);
    if (t->kind == MIL_TOKEN_STRING)
        *type = mil_scalar(MIL_STRING);
    else if (mil_token_is(t, "true") || mil_token_is(t, "false"))
        *type = mil_scalar(MIL_BOOL);
    else if (integer)
        *type = mil_scalar(MIL_INT32);
    else
        return mil_parser_expected(p, "a literal with its type, such as fp16(0.5)");
    return parse_content(p, type, c);
}

bool mil_parse_literal(mil_parser *p, mil_type *type, mil_constant **out) {
    mil_constant *c = *out = ane_arena_alloc(p->program->arena, sizeof *c);
    if (!c) return mil_parser_no_memory(p);
    bool typed = p->token.kind == MIL_TOKEN_NAME && !mil_token_is(&p->token, "true") &&
                 !mil_token_is(&p->token, "false");
    if (!typed) return parse_untyped(p, type, c);
    return mil_parse_type(p, type) && mil_parser_take(p, "(") && parse_content(p, type, c) &&
           mil_parser_take(p, ")");
}

bool mil_parse_string(mil_parser *p, const char **out) {
    mil_token start = p->token;
    mil_type type = mil_scalar(MIL_STRING);
    bool typed = start.kind == MIL_TOKEN_NAME;
    if (typed && !mil_parse_type(p, &type)) return false;
    if (type.dtype != MIL_STRING)
        return mil_parser_fail(p, &start, ANE_ERROR_TYPE,
            "expected a string such as string(\"valid\"), found a %s", mil_dtype_name(type.dtype));
    return (!typed || mil_parser_take(p, "(")) && (*out = parse_quoted(p)) &&
           (!typed || mil_parser_take(p, ")"));
}

bool mil_parse_skip_value(mil_parser *p) {
    for (int64_t depth = 0; p->token.kind != MIL_TOKEN_END; mil_parser_step(p)) {
        const mil_token *t = &p->token;
        bool closes = t->kind == MIL_TOKEN_PUNCTUATION && strchr(")]}>", *t->text);
        if (depth == 0 && (closes || mil_token_is(t, ",") || mil_token_is(t, ";"))) return true;
        if (closes) depth--;
        if (t->kind == MIL_TOKEN_PUNCTUATION && strchr("([{<", *t->text)) depth++;
        if (t->kind == MIL_TOKEN_BAD) break;
    }
    return mil_parser_expected(p, "the attribute's value to end");
}
