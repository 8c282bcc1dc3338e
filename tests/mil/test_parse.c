/* Reading MIL text: programs as others write them, and every way in which a text can be wrong. */
#include "support/support.h"

#include "anemone/mil.h"
#include "base/file.h"
#include "mil/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const samples[] = {"conv_chain", "dynamic_matmul", "attention", "rms_norm", "rope",
    "int8_weights", "quantize", "ios16", "version15"};
enum { N_SAMPLES = sizeof samples / sizeof *samples };

static mil_program *sample(const char *name) {
    char path[128];
    ane_error e = {0};
    snprintf(path, sizeof path, "mil/%s.mil", name);
    mil_program *p = mil_parse_file(test_data(path), &e);
    assert_ok(p, &e);
    return p;
}

static mil_program *parse(const char *text, ane_error *e) {
    return mil_parse(text, strlen(text), "t.mil", e);
}

/* A program whose body is `body`, with x fp16 [2, 4], returning y. The body begins in line 3. */
static mil_program *parse_body(const char *body, ane_error *e) {
    char *text = malloc(strlen(body) + 256);
    sprintf(text, "program(1.3) {\nfunc main<ios18>(tensor<fp16, [2, 4]> x) {\n%s\n} -> (y);\n}\n", body);
    mil_program *p = parse(text, e);
    free(text);
    return p;
}

static void refuse_body(
    const char *body, ane_code code, const char *where, const char *message, const char *hint) {
    ane_error e = {0};
    mil_program *p = parse_body(body, &e);
    if (p) fail_msg("accepted: %s", body);
    if (e.code != code || !strstr(e.where, where) || !strstr(e.message, message) || !strstr(e.hint, hint))
        fail_msg("%s\nfound %s: %s: %s (%s)\nexpected %s: %s: %s (%s)", body, ane_code_name(e.code), e.where,
            e.message, e.hint, ane_code_name(code), where, message, hint);
}

static void refuse_text(const char *text, ane_code code, const char *where, const char *message) {
    ane_error e = {0};
    if (parse(text, &e)) fail_msg("accepted: %s", text);
    if (e.code != code || !strstr(e.where, where) || !strstr(e.message, message))
        fail_msg("%s\nfound %s: %s: %s\nexpected %s: %s: %s", text, ane_code_name(e.code), e.where, e.message,
            ane_code_name(code), where, message);
}

static const mil_operation *maker(const mil_function *f, const char *name) {
    mil_value v = mil_find(f, name);
    if (v == MIL_NONE) fail_msg("no value %s", name);
    return &f->ops[f->values[v].op];
}

static void assert_type(const mil_function *f, const char *name, const char *type) {
    char text[128];
    assert_string_equal(mil_type_print(mil_type_of(f, mil_find(f, name)), text, sizeof text), type);
}

/* ---- programs as others write them --------------------------------------------------------------------- */

static void test_samples_survive_printing(void **state) {
    (void)state;
    for (int i = 0; i < N_SAMPLES; i++) {
        ane_error e = {0};
        mil_program *p = sample(samples[i]);
        char *once = mil_print(p, &e);
        assert_ok(once, &e);
        mil_program *again = mil_parse(once, strlen(once), samples[i], &e);
        assert_ok(again, &e);
        char *twice = mil_print(again, &e);
        assert_ok(twice, &e);
        assert_string_equal(once, twice);
        free(once);
        free(twice);
        mil_program_free(p);
        mil_program_free(again);
    }
}

/* conv_chain.mil is written as the printer writes, its comment apart. */
static void test_canonical_sample_is_its_own_print(void **state) {
    (void)state;
    ane_error e = {0};
    size_t size;
    char *text = ane_read_text(test_data("mil/conv_chain.mil"), 1 << 20, &size, &e);
    assert_ok(text, &e);
    mil_program *p = sample("conv_chain");
    char *printed = mil_print(p, &e);
    assert_ok(printed, &e);
    char *conv = strstr(printed, "conv(");
    assert_non_null(conv);
    assert_true(strncmp(strchr(text, '\n') + 1, printed, (size_t)(conv - printed)) == 0);
    free(text);
    free(printed);
    mil_program_free(p);
}

static void test_conv_chain(void **state) {
    (void)state;
    mil_program *p = sample("conv_chain");
    assert_string_equal(p->version, "1.3");
    assert_int_equal(p->n_build_info, 4);
    assert_string_equal(p->build_info[2].key, "coremltools-component-milinternal");
    assert_string_equal(p->build_info[2].value, "");
    assert_false(p->scalars_as_tensors);
    const mil_function *f = mil_program_function(p, NULL);
    assert_string_equal(f->opset, "ios18");
    const mil_operation *conv = maker(f, "c");
    assert_int_equal(conv->opcode, MIL_OP_CONV);
    assert_string_equal(conv->label, "conv_1");
    assert_int_equal(conv->line, 15);
    assert_int_equal(conv->column, 43);
    const mil_constant *w = f->values[mil_find(f, "W1")].constant;
    assert_string_equal(w->blob_path, "@model_path/weights/weight.bin");
    assert_int_equal(w->blob_offset, 8320);
    assert_null(w->data);
    assert_int_equal(f->n_outputs, 1);
    assert_int_equal(f->outputs[0], mil_find(f, "out"));
    mil_program_free(p);
}

static void test_inline_literals_become_constants(void **state) {
    (void)state;
    mil_program *p = sample("attention");
    const mil_function *f = mil_program_function(p, "main");
    const mil_operation *s = maker(f, "s");
    assert_true(mil_arg_bool(f, s, "transpose_y", false));
    assert_false(mil_arg_bool(f, s, "transpose_x", true));
    assert_int_equal(mil_arg_int(f, maker(f, "p"), "axis", 7), -1);
    assert_int_equal(mil_arg_int(f, maker(f, "h1"), "num_splits", 7), 2);
    assert_int_equal(maker(f, "back")->args[0].n, 2);
    assert_int_equal(f->n_outputs, 2);
    assert_type(f, "h1", "tensor<fp16, [1, 2, 2, 8]>");
    const mil_value_info *m = &f->values[mil_find(f, "m")];
    assert_true(mil_constant_at(&m->type, m->constant->data, 1) == -65504);
    assert_true(mil_constant_at(&m->type, m->constant->data, 4) == 0);
    mil_program_free(p);
}

static void test_ios16(void **state) {
    (void)state;
    mil_program *p = sample("ios16");
    ane_error e = {0};
    assert_true(p->scalars_as_tensors);
    assert_string_equal(p->version, "1.0");
    assert_string_equal(p->functions[0]->opset, "ios16");
    char *text = mil_print(p, &e);
    assert_ok(text, &e);
    assert_non_null(
        strstr(text, "[buildInfo = dict<tensor<string, []>, tensor<string, []>>({{\"coremlc-version\""));
    assert_non_null(strstr(text, "offset = tensor<uint64, []>(64)"));
    assert_non_null(strstr(text, "tensor<int32, []> gr = const()[name = tensor<string, []>(\"gr\"), val = "
                                 "tensor<int32, []>(1)];"));
    assert_null(strstr(text, " int32 "));
    free(text);
    mil_program_free(p);
}

static void test_both_constexpr_forms(void **state) {
    (void)state;
    mil_program *p = sample("int8_weights");
    ane_error e = {0};
    const mil_function *f = p->functions[0];
    assert_int_equal(maker(f, "W0")->opcode, MIL_OP_CONSTEXPR_AFFINE_DEQUANTIZE);
    mil_value q = mil_arg_value(maker(f, "W0"), "quantized_data");
    assert_int_equal(f->values[q].constant->blob_offset, 64);
    assert_int_equal(mil_arg_value(maker(f, "W1"), "scale"), mil_find(f, "s1"));
    char *text = mil_print(p, &e);
    assert_ok(text, &e);
    assert_non_null(
        strstr(text, "W0 = constexpr_affine_dequantize()[name = string(\"W0\"), quantized_data = "));
    assert_non_null(strstr(text, "W1 = constexpr_affine_dequantize(quantized_data = q1, "));
    assert_non_null(
        strstr(text, "W2 = constexpr_blockwise_shift_scale()[name = string(\"W2\"), data = tensor<uint4,"));
    free(text);
    mil_program_free(p);
}

static void test_several_functions_and_escapes(void **state) {
    (void)state;
    mil_program *p = sample("version15");
    assert_string_equal(p->version, "1.5");
    assert_int_equal(p->n_functions, 2);
    assert_string_equal(p->build_info[1].value, "a \"b\" \\ c");
    assert_int_equal(mil_program_function(p, "other")->n_inputs, 1);
    mil_program_free(p);
}

static void test_forms_of_writing(void **state) {
    (void)state;
    ane_error e = {0};
    static const char *const bodies[] = {
        "tensor<fp16,[2,4]>y=exp(x=x);", /* no attributes, no white space */
        "tensor<fp16, [2, 4]> y = exp(x = x)[];",
        "tensor<fp16, [2, 4]> y = exp(x = (x))[name = \"bare\"];",
        "tensor<fp16, [2, 4]> y = mul(y = fp16(0x1.8p+1), x = x)[name = string(\"a\")];",
        "fp16 c = const(val = fp16(2))[name = string(\"c\")];\ntensor<fp16, [2, 4]> y = mul(x = x, y = c);",
        "tensor<fp16, [2, 4]> y = softmax(x = x)[axis = int32(-1), name = string(\"attribute\")];",
        "tensor<fp16, [2, 4]> y = exp(x = x)[location = {(\"a\", [1]), 2}, name = string(\"y\")];",
        "tensor<fp16, [2, 8]> y = concat(values = (x, x), axis = 1, interleave = false);",
        "tensor<fp16, [2, 4]> y = concat(values = x, axis = 1);",
        "tensor<fp16, [2, 4]> y = add(x = x, y = tensor<fp16, [2, 1]>([[1.5], [-2.5e-1]]));",
        "tensor<fp16, [2, 4]> y /* is no comment */ = exp(x = x);",
        "tensor<fp16, [2, 4]> tensor = exp(x = x);\ntensor<fp16, [2, 4]> y = exp(x = tensor);",
        "tensor<fp16, [2, 4]> const_0 = exp(x = x);\ntensor<fp16, [2, 4]> y = mul(x = const_0, y = fp16(2));",
        ("tensor<fp16, [2, 4]> a = mul(x = x, y = fp16(2));\ntensor<fp16, [2, 4]> const_0 = exp(x = a);\n"
         "tensor<fp16, [2, 4]> y = exp(x = const_0);"),
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        mil_program *p = parse_body(bodies[i], &e);
        bool comment = strstr(bodies[i], "/*");
        if (comment)
            assert_error(&e, ANE_ERROR_FORMAT, "expected '=', found '/'");
        else
            assert_ok(p, &e);
        mil_program_free(p);
    }
}

static void test_numbers(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p =
        parse_body("tensor<fp32, [9]> f = const()[val = tensor<fp32, [9]>([1, -0.0, 1e-3, .5, 0x1.8p-3, inf, "
                   "-inf, nan, +2])];\n"
                   "tensor<int8, [3]> i = const()[val = tensor<int8, [3]>([-128, 127, 0x7f])];\n"
                   "tensor<uint64, [2]> u = const()[val = tensor<uint64, [2]>([0, 18446744073709551615])];\n"
                   "tensor<int64, [2]> l = const()[val = tensor<int64, [2]>([-9223372036854775808, "
                   "9223372036854775807])];\n"
                   "tensor<uint3, [3]> t = const()[val = tensor<uint3, [3]>([7, 0, 5])];\n"
                   "tensor<bool, [2]> b = const()[val = tensor<bool, [2]>([true, false])];\n"
                   "tensor<bf16, [1]> h = const()[val = tensor<bf16, [1]>([1e38])];\n"
                   "tensor<fp16, [2]> s = const()[val = tensor<fp16, [2]>([65519, 5.9604645e-08])];\n"
                   "tensor<fp16, [2, 4]> y = exp(x = x);",
            &e);
    assert_ok(p, &e);
    const mil_function *f = p->functions[0];
    float want[9] = {1, -0.0f, 1e-3f, 0.5f, 0.1875f, INFINITY, -INFINITY, 0, 2};
    const float *got = f->values[mil_find(f, "f")].constant->data;
    for (int i = 0; i < 9; i++)
        if (i != 7) assert_memory_equal(&got[i], &want[i], sizeof(float));
    assert_true(isnan(got[7]));
    assert_memory_equal(f->values[mil_find(f, "i")].constant->data, "\x80\x7f\x7f", 3);
    uint64_t u[2] = {0, UINT64_MAX};
    assert_memory_equal(f->values[mil_find(f, "u")].constant->data, u, sizeof u);
    int64_t l[2] = {INT64_MIN, INT64_MAX};
    assert_memory_equal(f->values[mil_find(f, "l")].constant->data, l, sizeof l);
    assert_memory_equal(f->values[mil_find(f, "t")].constant->data, "\x47\x01", 2); /* 7 | 0 << 3 | 5 << 6 */
    assert_memory_equal(f->values[mil_find(f, "b")].constant->data, "\x01\x00", 2);
    uint16_t s[2] = {0x7bff, 1};
    assert_memory_equal(f->values[mil_find(f, "s")].constant->data, s, sizeof s);
    mil_program_free(p);
}

static void test_numbers_in_another_locale(void **state) {
    if (!comma_locale()) skip();
    test_numbers(state);
    plain_locale();
}

/* ---- what is wrong, and where -------------------------------------------------------------------------- */

static void test_header_errors(void **state) {
    (void)state;
    refuse_text("", ANE_ERROR_FORMAT, "t.mil:1:1", "expected 'program', found the end of the text");
    refuse_text(
        "program(2.0) {}", ANE_ERROR_FORMAT, "t.mil:1:9", "expected a version from 1.0 to 1.5, found '2.0'");
    refuse_text("program(1.3) {}", ANE_ERROR_FORMAT, "t.mil:1:15", "expected 'func', found '}'");
    refuse_text("program(1.3) [author = string(\"me\")] {}", ANE_ERROR_UNSUPPORTED, "t.mil:1:15",
        "expected the attribute buildInfo, found 'author'");
    refuse_text("program(1.3) [buildInfo = dict<string, int32>({})] {}", ANE_ERROR_TYPE, "t.mil:1:27",
        "expected buildInfo to be a dict<string, string>");
    refuse_text("program(1.3) [buildInfo = dict<string, string>({{\"a\"}})] {}", ANE_ERROR_FORMAT,
        "t.mil:1:53", "expected ',', found '}'");
    refuse_text("program(1.3) {\n func main<tvos1>(", ANE_ERROR_FORMAT, "t.mil:2:12",
        "expected a set of operations from ios13 to ios18, found 'tvos1'");
    refuse_text("program(1.3) {\n func main<ios18>(tensor<fp16, [2]> x) { } -> (x); }\nmore",
        ANE_ERROR_FORMAT, "t.mil:3:1", "expected the end of the text behind the program, found 'more'");
    refuse_text("program(1.3) {\n func main<ios18>(tensor<fp16, [2]> x) { } -> (x);\n func main<ios18>() {",
        ANE_ERROR_ARGUMENT, "t.mil:3:7", "the program has a function of this name already");
    refuse_text("program(1.3) {\n func main<ios18>(tensor<fp16, [2]> x, fp16 x) {", ANE_ERROR_FORMAT,
        "t.mil:2:45", "\"x\" is defined already, as an input");
    refuse_text("program(1.3) {\n func main<ios18>(tensor<fp16, [2]> x) [A = 1] {", ANE_ERROR_UNSUPPORTED,
        "t.mil:2:41", "functions have no attribute 'A'");
    refuse_text("program(1.3) {\n func main<ios18>(tensor<fp16, [2]> x) { } -> (x, x); }", ANE_ERROR_FORMAT,
        "t.mil:2:51", "\"x\" is returned twice");
    refuse_text("program(1.3) {\n func main<ios18>(tensor<fp16, [2]> x) { } -> (); }", ANE_ERROR_FORMAT,
        "t.mil:2:48", "expected a value's name, found ')'");
    refuse_text("program(1.3) {\n func main<ios18>(tensor<fp16, [2]> x) { } (x); }", ANE_ERROR_FORMAT,
        "t.mil:2:44", "expected '->', found '('");
}

static void test_type_errors(void **state) {
    (void)state;
    refuse_body("tensor<fp17, [2]> y", ANE_ERROR_FORMAT, "t.mil:3:8", "expected a type such as fp16", "");
    refuse_body(
        "tensor<fp16, [2, ?]> y", ANE_ERROR_UNSUPPORTED, "t.mil:3:18", "dimensions of unknown size", "");
    refuse_body("tensor<fp16, [0]> y", ANE_ERROR_SHAPE, "t.mil:3:15",
        "expected a dimension of at least 1, found 0", "");
    refuse_body("tensor<fp16, [-4]> y", ANE_ERROR_SHAPE, "t.mil:3:15", "found -4", "");
    refuse_body("tensor<fp16, [1.5]> y", ANE_ERROR_FORMAT, "t.mil:3:15", "expected an integer", "");
    refuse_body("tensor<fp16, [99999999999999999999]> y", ANE_ERROR_FORMAT, "t.mil:3:15",
        "in the range of int64", "");
    refuse_body("tensor<fp16, [4294967296, 4294967296]> y", ANE_ERROR_SHAPE, "t.mil:3:1", "too large", "");
    refuse_body("tensor<fp16, [1,1,1,1,1,1,1,1,1]> y", ANE_ERROR_UNSUPPORTED, "t.mil:3:31",
        "at most 8 dimensions", "");
    refuse_body("tensor<string, [2]> y", ANE_ERROR_UNSUPPORTED, "t.mil:3:1", "tensors of strings", "");
    refuse_body(
        "state<tensor<fp16, [2]>> y", ANE_ERROR_UNSUPPORTED, "t.mil:3:1", "type state are not supported", "");
    refuse_body("tensor<fp16, [2]", ANE_ERROR_FORMAT, "t.mil:4:1", "expected '>', found '}'", "");
}

static void test_literal_errors(void **state) {
    (void)state;
#define CONST(type, value) "fp16 c = const()[val = " type "(" value ")];"
    refuse_body(
        CONST("fp16", "1e6"), ANE_ERROR_FORMAT, "t.mil:3:29", "in the range of fp16, found '1e6'", "");
    refuse_body(
        CONST("int8", "128"), ANE_ERROR_FORMAT, "t.mil:3:29", "in the range of int8, found '128'", "");
    refuse_body(CONST("uint4", "-1"), ANE_ERROR_FORMAT, "t.mil:3:30", "in the range of uint4", "");
    refuse_body(
        CONST("uint64", "18446744073709551616"), ANE_ERROR_FORMAT, "3:31", "in the range of uint64", "");
    refuse_body(CONST("int32", "0.5"), ANE_ERROR_FORMAT, "3:30",
        "expected an integer of type int32, found '0.5'", "");
    refuse_body(CONST("fp16", "1.2.3"), ANE_ERROR_FORMAT, "3:29",
        "expected a number of type fp16, found '1.2.3'", "");
    refuse_body(CONST("bool", "1"), ANE_ERROR_FORMAT, "3:29", "expected true or false, found '1'", "");
    refuse_body(CONST("fp16", "\"a\""), ANE_ERROR_FORMAT, "3:29", "expected a value of type fp16", "");
    refuse_body(CONST("string", "a"), ANE_ERROR_FORMAT, "3:31", "expected a string in quotes", "");
    refuse_body(CONST("string", "\"\\q\""), ANE_ERROR_FORMAT, "3:31", "unknown escape", "");
    refuse_body(CONST("string", "\"a"), ANE_ERROR_FORMAT, "3:31", "a string without end", "");
    refuse_body(CONST("tensor<fp16, [3]>", "[1, 2]"), ANE_ERROR_SHAPE, "3:42",
        "expected 3 entries along dimension 0 of tensor<fp16, [3]>, found 2", "");
    refuse_body(CONST("tensor<fp16, [2]>", "[1, 2, 3]"), ANE_ERROR_SHAPE, "3:47", "expected 2 entries", "");
    refuse_body(
        CONST("tensor<fp16, [2, 1]>", "[1, 2]"), ANE_ERROR_FORMAT, "3:46", "expected '[', found '1'", "");
    refuse_body(
        CONST("tensor<fp16, [1000000]>", "[1]"), ANE_ERROR_SHAPE, "3:48", "expected the elements of", "");
    refuse_body(
        CONST("fp16", "BLOBFILE(path = string(\"a\"))"), ANE_ERROR_FORMAT, "3:56", "path and offset", "");
    refuse_body(CONST("fp16", "BLOBFILE(way = string(\"a\"))"), ANE_ERROR_FORMAT, "3:38", "found 'way'", "");
    refuse_body(
        CONST("fp16", "BLOBFILE(offset = int32(64))"), ANE_ERROR_TYPE, "3:47", "such as uint64(64)", "");
    refuse_body(CONST("fp16", "BLOBFILE(path = fp16(64))"), ANE_ERROR_TYPE, "3:45", "expected a string", "");
    refuse_body(
        CONST("string", "BLOBFILE(path = string(\"a\"))"), ANE_ERROR_TYPE, "3:31", "cannot come from", "");
    refuse_body("fp16 c = const()[val = 0.5];", ANE_ERROR_FORMAT, "3:24",
        "literal with its type, such as fp16(0.5)", "");
#undef CONST
}

static void test_statement_errors(void **state) {
    (void)state;
    refuse_body("tensor<fp16, [2, 4]> y = sofmax(x = x);", ANE_ERROR_UNSUPPORTED, "t.mil:3:26",
        "operation \"sofmax\" is unknown", "did you mean \"softmax\"?");
    refuse_body(
        "tensor<fp16, [2, 4]> y = zzzzzz(x = x);", ANE_ERROR_UNSUPPORTED, "t.mil:3:26", "is unknown", "");
    refuse_body("tensor<fp16, [2, 4]> total = exp(x = x);\ntensor<fp16, [2, 4]> y = exp(x = totl);",
        ANE_ERROR_FORMAT, "t.mil:4:34", "\"totl\" is not defined", "did you mean \"total\"?");
    refuse_body("tensor<fp16, [2, 4]> y = exp(x = later_on);", ANE_ERROR_FORMAT, "t.mil:3:34",
        "\"later_on\" is not defined", "before it is used");
    refuse_body("tensor<fp16, [2, 4]> a = exp(x = x);\n\ntensor<fp16, [2, 4]> a = exp(x = x);",
        ANE_ERROR_FORMAT, "t.mil:5:22", "\"a\" is defined already, in line 3", "choose another name");
    refuse_body("tensor<fp16, [2, 2]> a, tensor<fp16, [2, 2]> a = split(x = x, num_splits = 2, axis = 1);",
        ANE_ERROR_FORMAT, "t.mil:3:46", "\"a\" is defined already", "");
    refuse_body("tensor<fp16, [2, 4]> x = exp(x = x);", ANE_ERROR_FORMAT, "t.mil:3:22", "as an input", "");
    refuse_body("tensor<fp16, [4, 2]> y = exp(x = x);", ANE_ERROR_SHAPE, "t.mil:3:1",
        "exp makes tensor<fp16, [2, 4]>, but \"y\" is declared as tensor<fp16, [4, 2]>", "");
    refuse_body("tensor<fp32, [2, 4]> y = exp(x = x);", ANE_ERROR_TYPE, "t.mil:3:1", "exp makes", "");
    refuse_body("tensor<fp16, [2, 4]> y = add(x = x, y = tensor<fp16, [3]>([1, 2, 3]));", ANE_ERROR_SHAPE,
        "t.mil:3:26", "", "");
    refuse_body("tensor<fp16, [2, 4]> y = exp(x = x, z = x);", ANE_ERROR_FORMAT, "t.mil:3:37",
        "exp has no parameter \"z\"", "its parameters are x");
    refuse_body("tensor<fp16, [2, 4]> y = softmax(x = x)[name = string(\"a\"), dim = int32(1)];",
        ANE_ERROR_FORMAT, "t.mil:3:61", "softmax has no attribute \"dim\"", "its parameters are x, axis");
    refuse_body("fp16 y = const()[value = fp16(1)];", ANE_ERROR_FORMAT, "t.mil:3:18",
        "const has no attribute", "it has no parameters");
    refuse_body(
        "tensor<fp16, [2, 4]> y = exp(x = x, x = x);", ANE_ERROR_FORMAT, "t.mil:3:37", "given twice", "");
    refuse_body(
        "tensor<fp16, [2, 4]> y = exp(x = x)[x = x];", ANE_ERROR_FORMAT, "t.mil:3:37", "given twice", "");
    refuse_body("tensor<fp16, [2, 4]> y = exp(x = (x, x));", ANE_ERROR_FORMAT, "t.mil:3:30",
        "expected one value for \"x\", found 2", "");
    refuse_body("tensor<fp16, [2, 4]> y = exp(x = x)[name = \"a\", name = \"b\"];", ANE_ERROR_FORMAT,
        "t.mil:3:49", "attribute \"name\" is given twice", "");
    refuse_body("tensor<fp16, [2, 4]> y = exp(x = x)[name = int32(1)];", ANE_ERROR_TYPE, "t.mil:3:44",
        "expected a string", "");
    refuse_body("tensor<fp16, [2, 4]> y = exp();", ANE_ERROR_ARGUMENT, "t.mil:3:26", "x is missing", "");
    refuse_body(
        "tensor<fp16, [2, 4]> y = exp(x = x)", ANE_ERROR_FORMAT, "t.mil:4:1", "expected ';', found '}'", "");
    refuse_body("tensor<fp16, [2, 4]> y = exp(x = x)[comment = {{", ANE_ERROR_FORMAT, "",
        "attribute's value to end", "");
    refuse_body(
        "tensor<fp16, [2, 4]> y = exp(x x);", ANE_ERROR_FORMAT, "t.mil:3:32", "expected '=', found 'x'", "");
    refuse_body("tensor<fp16, [2, 4]> = exp(x = x);", ANE_ERROR_FORMAT, "t.mil:3:22",
        "a name for the value, found '='", "");
    refuse_body(
        "fp16 y = const()[name = string(\"y\")];", ANE_ERROR_FORMAT, "t.mil:3:10", "attribute val", "");
    refuse_body(
        "fp16 y = const()[val = fp16(1), val = fp16(2)];", ANE_ERROR_FORMAT, "t.mil:3:33", "given twice", "");
    refuse_body("fp16 y, fp16 z = const()[val = fp16(1)];", ANE_ERROR_FORMAT, "t.mil:3:18",
        "const has one result", "");
    refuse_body("fp16 y = const()[val = fp32(1)];", ANE_ERROR_TYPE, "t.mil:3:1", "const makes fp32", "");
    refuse_body("fp16 a, fp16 y = exp(x = x);", ANE_ERROR_ARGUMENT, "t.mil:3:18", "one result; found 2", "");
    refuse_body("tensor<int32, [2]> s = parameter();\ntensor<fp16, [4, 2]> y = reshape(x = x, shape = s);",
        ANE_ERROR_ARGUMENT, "t.mil:4:26", "must be a constant", "");
    refuse_body("tensor<fp16, [2, 4]> y = softmax(x = x, axis = int32(BLOBFILE(path = \"w\", offset = 64)));",
        ANE_ERROR_UNSUPPORTED, "t.mil:3:41", "expected \"axis\" to be written in the text", "");
    refuse_body("tensor<fp16, [2, 4]> y = exp(x = \x80);", ANE_ERROR_FORMAT, "t.mil:3:34", "found '?'", "");
}

static void test_files(void **state) {
    (void)state;
    ane_error e = {0};
    assert_null(mil_parse_file("/nowhere/model.mil", &e));
    assert_error(&e, ANE_ERROR_IO, "/nowhere/model.mil");
    char path[256];
    snprintf(path, sizeof path, "%s/bad.mil", test_folder());
    assert_ok(ane_write_file(path, "program(1.3)\n{ fun }", 20, &e), &e);
    assert_null(mil_parse_file(path, &e));
    assert_error(&e, ANE_ERROR_FORMAT, "bad.mil:2:3");
    assert_ok(ane_write_file(path, "", 0, &e), &e);
    assert_null(mil_parse_file(path, &e));
    assert_error(&e, ANE_ERROR_FORMAT, "expected 'program', found the end of the text");
    assert_null(mil_parse("x", 1, NULL, &e));
    assert_error(&e, ANE_ERROR_FORMAT, "text:1:1");
    assert_null(mil_parse("program", 7, "n", NULL));
}

/* Every prefix of every sample, and the sample with one character gone, ends in a report or a program. */
static void test_broken_samples(void **state) {
    (void)state;
    for (int i = 0; i < N_SAMPLES; i++) {
        ane_error e = {0};
        char path[128];
        size_t size;
        snprintf(path, sizeof path, "mil/%s.mil", samples[i]);
        char *text = ane_read_text(test_data(path), 1 << 20, &size, &e);
        assert_ok(text, &e);
        while (size > 0 && strchr(" \n", text[size - 1])) size--;
        for (size_t n = 0; n < size; n += 7) {
            assert_null(mil_parse(text, n, "cut", &e));
            assert_true(e.code != ANE_OK && strncmp(e.where, "cut:", 4) == 0);
            ane_error_clear(&e);
            char *without = strdup(text);
            memmove(without + n, without + n + 1, size - n);
            mil_program_free(mil_parse(without, size - 1, "without", &e));
            ane_error_clear(&e);
            free(without);
        }
        free(text);
    }
}

/* Deep nesting costs neither stack nor time. */
static void test_hostile_nesting(void **state) {
    (void)state;
    enum { N = 200000 };
    static const char *const openings[] = {"fp16 c = const()[val = fp16(",
        "tensor<fp16, [2]> c = const()[val = tensor<fp16, [2]>([", "fp16 c = exp(x = x)[comment = "};
    for (size_t i = 0; i < 3; i++) {
        char *body = malloc(strlen(openings[i]) + N + 1);
        size_t n = strlen(openings[i]);
        memcpy(body, openings[i], n);
        memset(body + n, '[', N);
        body[n + N] = 0;
        refuse_body(body, ANE_ERROR_FORMAT, "t.mil:", "expected", "");
        free(body);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_survive_printing),
        cmocka_unit_test(test_canonical_sample_is_its_own_print),
        cmocka_unit_test(test_conv_chain),
        cmocka_unit_test(test_inline_literals_become_constants),
        cmocka_unit_test(test_ios16),
        cmocka_unit_test(test_both_constexpr_forms),
        cmocka_unit_test(test_several_functions_and_escapes),
        cmocka_unit_test(test_forms_of_writing),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_numbers_in_another_locale),
        cmocka_unit_test(test_header_errors),
        cmocka_unit_test(test_type_errors),
        cmocka_unit_test(test_literal_errors),
        cmocka_unit_test(test_statement_errors),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_broken_samples),
        cmocka_unit_test(test_hostile_nesting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
