/* The Neural Engine's rules: each has a program that breaks it and one close by that does not. */
#include "support/support.h"

#include "anemone/mil.h"
#include "mil/ane_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The header's end, the inputs, the statements and the outputs of a program. */
typedef struct source {
    const char *version, *opset, *inputs, *body, *outputs;
} source;

#define X "tensor<fp16, [1, 64, 1, 512]> x"
#define EXP "tensor<fp16, [1, 64, 1, 512]> y = exp(x = x);"
#define IOS18(inputs, body, outputs)                                                                         \
    { "1.3", "ios18", inputs, body, outputs }
#define BODY(body) IOS18(X, body, "y")
#define CONV_KNOBS                                                                                           \
    "strides = tensor<int32, [2]>([1, 1]), pad = tensor<int32, [4]>([0, 0, 0, 0]), pad_type = "              \
    "string(\"valid\"), "                                                                                    \
    "dilations = tensor<int32, [2]>([1, 1]), groups = int32(1)"
#define BLOB(offset) "(BLOBFILE(path = string(\"@model_path/w.bin\"), offset = uint64(" #offset ")))"
#define WEIGHT(o, i)                                                                                         \
    "tensor<fp16, [" #o ", " #i ", 1, 1]> w = const()[val = tensor<fp16, [" #o ", " #i                       \
    ", 1, 1]>" BLOB(64) "];"
#define CONV(o) "tensor<fp16, [1, " #o ", 1, 512]> y = conv(x = x, weight = w, " CONV_KNOBS ");"

static const struct {
    const char *rule;
    source bad, good;
    const char *detail; /* what the finding must say */
} cases[] = {
    {"ANE-01",
        IOS18("tensor<int32, [1, 64, 1, 512]> x", "tensor<int32, [1, 64, 1, 512]> y = identity(x = x);", "y"),
        BODY(EXP), "the input is int32; make it fp16"},
    {"ANE-02", IOS18("tensor<fp32, [1, 64, 1, 512]> x", "tensor<fp32, [1, 64, 1, 512]> y = exp(x = x);", "y"),
        IOS18("tensor<fp32, [1, 64, 1, 512]> x",
            "tensor<fp16, [1, 64, 1, 512]> h = cast(x = x, dtype = string(\"fp16\"));"
            "tensor<fp32, [1, 64, 1, 512]> y = cast(x = h, dtype = string(\"fp32\"));",
            "y"),
        "the input is fp32 and is used without a cast"},
    {"ANE-03", IOS18("tensor<fp16, [1, 64, 1, 48]> x", "tensor<fp16, [1, 64, 1, 48]> y = exp(x = x);", "y"),
        IOS18("tensor<fp16, [1, 64, 1, 64]> x", "tensor<fp16, [1, 64, 1, 64]> y = exp(x = x);", "y"),
        "its rows take 96 bytes; make the last axis a multiple of 32 (fp16)"},
    {"ANE-04", IOS18("tensor<fp16, [1, 64, 1, 32]> x", "tensor<fp16, [1, 64, 1, 32]> y = exp(x = x);", "y"),
        BODY(EXP), "its surface takes 4096 bytes"},
    {"ANE-05", IOS18("tensor<fp16, [2, 64, 1, 512]> x", "tensor<fp16, [2, 64, 1, 512]> y = exp(x = x);", "y"),
        BODY(EXP), "its first axis is 2"},
    {"ANE-06",
        IOS18(
            X ", tensor<fp16, [1, 64, 1, 1]> z", "tensor<fp16, [1, 64, 1, 512]> y = add(x = x, y = z);", "y"),
        IOS18(X ", tensor<fp16, [1, 64, 1, 512]> z", "tensor<fp16, [1, 64, 1, 512]> y = add(x = x, y = z);",
            "y"),
        "input \"x\" takes 65536 bytes, this one 128"},
    {"ANE-07",
        IOS18(X ", tensor<fp16, [1, 64, 1, 512]> a", "tensor<fp16, [1, 64, 1, 512]> y = add(x = x, y = a);",
            "y"),
        IOS18(X ", tensor<fp16, [1, 64, 1, 512]> z", "tensor<fp16, [1, 64, 1, 512]> y = add(x = x, y = z);",
            "y"),
        "input \"x\" stands before it"},
    {"ANE-08", IOS18(X, EXP, "x, y"), BODY(EXP), "the output is an input itself"},
    {"ANE-11",
        BODY("tensor<fp16, [1, 64, 1, 1]> w = parameter(); tensor<fp16, [1, 64, 1, 512]> y = mul(x = x, y = "
             "w);"),
        BODY(EXP), "the compiler knows no parameters"},
    {"ANE-12",
        BODY("tensor<fp16, [1, 64, 1, 512]> a.b = exp(x = x); tensor<fp16, [1, 64, 1, 512]> y = exp(x = "
             "a.b);"),
        BODY(EXP), "'.' cannot stand there"},
    {"ANE-13",
        BODY("tensor<fp16, [1, 64, 1, 512]> mean = exp(x = x); tensor<fp16, [1, 64, 1, 512]> y = exp(x = "
             "mean);"),
        BODY(EXP), "\"mean\" is reported to fail"},
    {"ANE-14",
        BODY("tensor<fp16, [40000, 30000, 1, 1]> w = const()[val = tensor<fp16, [40000, 30000, 1, 1]>" BLOB(
            64) "];" EXP),
        BODY(WEIGHT(4000, 3000) EXP), "its constants take 2.4 GB"},
    {"ANE-15", BODY("tensor<fp16, [4]> w = const()[val = tensor<fp16, [4]>" BLOB(192) "];" EXP),
        BODY("tensor<fp16, [4]> w = const()[val = tensor<fp16, [4]>" BLOB(64) "];" EXP),
        "it lies at offset 192"},
    {"ANE-16",
        BODY("tensor<fp16, [1, 1, 1, 64, 8, 64]> a = reshape(x = x, shape = tensor<int32, [6]>([1, 1, 1, 64, "
             "8, 64]));" EXP),
        BODY("tensor<fp16, [1, 1, 64, 8, 64]> a = reshape(x = x, shape = tensor<int32, [5]>([1, 1, 64, 8, "
             "64]));" EXP),
        "tensor<fp16, [1, 1, 1, 64, 8, 64]>; merge axes"},
    {"ANE-17", BODY(WEIGHT(151936, 64) CONV(151936)), BODY(WEIGHT(65536, 64) CONV(65536)),
        "split it along axis 0"},
    {"ANE-18",
        IOS18("tensor<fp16, [1, 4, 1, 16416]> x", "tensor<fp16, [1, 4, 1, 16416]> y = exp(x = x);", "y"),
        IOS18("tensor<fp16, [1, 4, 1, 16384]> x", "tensor<fp16, [1, 4, 1, 16384]> y = exp(x = x);", "y"),
        "run on M4 and later"},
    {"ANE-19",
        BODY("tensor<fp16, [1, 64, 512, 1]> a = reshape(x = x, shape = tensor<int32, [4]>([1, 64, 512, "
             "1]));" EXP),
        BODY(WEIGHT(64, 64) EXP), "put a long axis last"},
    {"ANE-20", IOS18("tensor<fp16, [1, 32768]> x", "tensor<fp16, [1, 32768]> y = exp(x = x);", "y"),
        IOS18("tensor<fp16, [1, 16384]> x", "tensor<fp16, [1, 16384]> y = exp(x = x);", "y"),
        "reshape to [1, C, S]"},
    {"ANE-21", IOS18("tensor<fp32, [1, 64, 1, 512]> x", "tensor<fp32, [1, 64, 1, 512]> y = exp(x = x);", "y"),
        BODY(EXP), "it makes fp32"},
    {"ANE-22", BODY("tensor<fp16, [2]> m = const()[val = tensor<fp16, [2]>([0, -inf])];" EXP),
        BODY("tensor<fp16, [2]> m = const()[val = tensor<fp16, [2]>([0, -65504])];" EXP),
        "element 1 is infinite"},
    {"ANE-23", IOS18(X ", tensor<fp16, [64, 64, 1, 1]> w", CONV(64), "y"), BODY(WEIGHT(64, 64) CONV(64)),
        "its weight is computed at run time"},
    {"ANE-24",
        BODY(WEIGHT(64, 64) "tensor<fp16, [64]> b = const()[val = tensor<fp16, [64]>" BLOB(
            64) "]; tensor<fp16, [1, 64, 1, 512]> y = conv(x = x, weight = w, bias = b, " CONV_KNOBS ");"),
        BODY(WEIGHT(64, 64) CONV(64)), "it has a bias"},
    {"ANE-25", IOS18("tensor<fp16, [1, 32000, 1, 512]> x", WEIGHT(64, 32000) CONV(64), "y"),
        BODY(WEIGHT(32000, 64) CONV(32000)), "its input has 32000 channels"},
    {"ANE-26",
        BODY("tensor<fp16, [1, 64, 1, 17]> w = const()[val = tensor<fp16, [1, 64, 1, 17]>" BLOB(
            64) "]; tensor<fp16, [1, 1, 1, 496]> y = conv(x = x, weight = w, " CONV_KNOBS ");"),
        BODY("tensor<fp16, [1, 64, 1, 13]> w = const()[val = tensor<fp16, [1, 64, 1, 13]>" BLOB(
            64) "]; tensor<fp16, [1, 1, 1, 500]> y = conv(x = x, weight = w, " CONV_KNOBS ");"),
        "its kernel is 17 wide; split it"},
    {"ANE-27", BODY(WEIGHT(64, 64) "tensor<fp16, [1, 64, 1, 512]> y = conv(x = x, weight = w);"),
        BODY(WEIGHT(64, 64) CONV(64)), "strides is left to its default"},
    {"ANE-28",
        IOS18("tensor<fp16, [48, 64]> x",
            "tensor<fp16, [64, 64]> y = matmul(x = x, y = x, transpose_x = true);", "y"),
        IOS18("tensor<fp16, [48, 64]> x",
            "tensor<fp16, [48, 48]> y = matmul(x = x, y = x, transpose_y = true);", "y"),
        "its inner dimension is 48; pad it with zeros to 64"},
    {"ANE-29",
        IOS18("tensor<fp16, [64, 64]> x",
            "tensor<fp16, [64, 64]> w = const()[val = tensor<fp16, [64, 64]>" BLOB(
                64) "]; tensor<fp16, [64, 64]> y = matmul(x = x, y = w);",
            "y"),
        IOS18("tensor<fp16, [64, 64]> x", "tensor<fp16, [64, 64]> y = matmul(x = x, y = x);", "y"),
        "y is a constant"},
    {"ANE-30",
        {"1.5", "ios18", "tensor<fp16, [64, 64]> x", "tensor<fp16, [64, 64]> y = matmul(x = x, y = x);", "y"},
        IOS18("tensor<fp16, [64, 64]> x", "tensor<fp16, [64, 64]> y = matmul(x = x, y = x);", "y"),
        "write the program as 1.3"},
    {"ANE-31", BODY("tensor<fp16, [1, 128, 1, 512]> y = concat(axis = 1, values = (x, x));"),
        BODY("tensor<fp16, [1, 128, 1, 512]> y = concat(axis = 1, interleave = false, values = (x, x));"),
        "it has no interleave"},
    {"ANE-32", BODY("tensor<fp16, [1, 64, 1, 512]> y = gelu(x = x);"),
        BODY("tensor<fp16, [1, 64, 1, 512]> y = gelu(x = x, mode = \"EXACT\");"), "it has no mode"},
    {"ANE-33", BODY("tensor<fp16, [1, 64, 1, 512]> y = layer_norm(x = x, axes = tensor<int32, [1]>([3]));"),
        BODY(EXP), "write layer_norm as simpler operations"},
    {"ANE-34",
        IOS18("tensor<fp16, [1, 2, 32, 32]> x",
            "tensor<fp16, [1, 2, 32, 32]> y = scaled_dot_product_attention(query = x, key = x, value = x, "
            "attn_mask = x);",
            "y"),
        IOS18("tensor<fp16, [1, 2, 32, 32]> x",
            "tensor<fp16, [1, 2, 32, 32]> y = scaled_dot_product_attention(query = x, key = x, value = x);",
            "y"),
        "its attn_mask has no effect"},
    {"ANE-35",
        BODY("tensor<fp16, [1, 128, 1, 512]> y = tile(x = x, reps = tensor<int32, [4]>([1, 2, 1, 1]));"),
        BODY(EXP), "write it as concat"},
    {"ANE-36",
        BODY("tensor<fp16, [1, 1, 1, 512]> s = reduce_sum(x = x, axes = tensor<int32, [1]>([1]), keep_dims = "
             "true);"
             "tensor<fp16, [1, 1, 1, 512]> y = rsqrt(x = s);"),
        BODY("tensor<fp16, [1, 1, 1, 512]> s = reduce_sum(x = x, axes = tensor<int32, [1]>([1]), keep_dims = "
             "true);"
             "tensor<fp16, [1, 1, 1, 512]> y = pow(x = s, y = fp16(-0.5));"),
        "its operand comes from reduce_sum; use pow with -0.5"},
    {"ANE-37",
        BODY("tensor<fp16, [1, 64, 1, 512]> s = sqrt(x = x);"
             "tensor<fp16, [1, 64, 1, 512]> y = mul(x = s, y = fp16(2));"),
        BODY("tensor<fp16, [1, 64, 1, 512]> s = sqrt(x = x);"
             "tensor<fp16, [1, 64, 1, 512]> y = mul(x = s, y = x);"),
        "only channel 0 arrives"},
    {"ANE-37",
        BODY("tensor<fp16, [1, 64, 1, 512]> s = sqrt(x = x);"
             "tensor<fp16, [1, 64, 1, 512]> y = real_div(x = s, y = x);"),
        BODY("tensor<fp16, [1, 64, 1, 512]> s = sqrt(x = x);"
             "tensor<fp16, [1, 64, 1, 512]> y = real_div(x = x, y = s);"),
        "the operands get swapped"},
    {"ANE-38",
        IOS18("tensor<fp16, [1, 96, 1, 512]> x",
            "tensor<fp16, [1, 96, 1, 512]> y = softmax(x = x, axis = -3);", "y"),
        BODY("tensor<fp16, [1, 64, 1, 512]> y = softmax(x = x, axis = 1);"), "it runs over 96 channels"},
    {"ANE-39",
        {"1.0", "ios16", X, "tensor<fp32, [1, 64, 1, 512]> y = cast(x = x, dtype = string(\"fp32\"));", "y"},
        BODY("tensor<fp32, [1, 64, 1, 512]> y = cast(x = x, dtype = string(\"fp32\"));"),
        "the function is ios16"},
    {"ANE-40",
        BODY("tensor<fp16, [1, 32, 1, 512]> y = slice_by_index(x = x, begin = tensor<int32, [4]>([0, 0, 0, "
             "0]), end = "
             "tensor<int32, [4]>([1, 32, 1, 512]));"),
        BODY("tensor<fp16, [1, 64, 1, 512]> e = exp(x = x); tensor<fp16, [1, 32, 1, 512]> y = "
             "slice_by_index(x = e, begin "
             "= tensor<int32, [4]>([0, 0, 0, 0]), end = tensor<int32, [4]>([1, 32, 1, 512]));"),
        "it takes the input \"x\"; use slice_by_size"},
    {"ANE-41",
        BODY("tensor<fp16, [1, 64, 1, 256]> y = slice_by_size(x = x, begin = tensor<int32, [4]>([0, 0, 0, "
             "256]), size = "
             "tensor<int32, [4]>([1, 64, 1, 256]));"),
        BODY("tensor<fp16, [1, 32, 1, 512]> y = slice_by_size(x = x, begin = tensor<int32, [4]>([0, 32, 0, "
             "0]), size = "
             "tensor<int32, [4]>([1, 32, 1, 512]));"),
        "it starts at 256 of the last axis"},
    {"ANE-42",
        IOS18("tensor<fp16, [1, 64, 512]> x, tensor<fp16, [1, 64, 1]> z",
            "tensor<fp16, [1, 64, 512]> y = mul(x = x, y = z);", "y"),
        IOS18("tensor<fp16, [1, 64, 512]> x, tensor<fp16, [1, 1, 512]> z",
            "tensor<fp16, [1, 64, 512]> y = mul(x = x, y = z);", "y"),
        "reshape to [1, C, 1, S]"},
    {"ANE-43", BODY("tensor<fp16, [1, 64, 1, 512]> y = cos(x = x);"), BODY(EXP), "M1 has no cos"},
    {"ANE-44", BODY("tensor<fp16, [1, 64, 1, 512]> y = log(x = x);"),
        BODY("tensor<fp16, [1, 64, 1, 512]> y = log(x = x, epsilon = fp16(1e-5));"), "it has no epsilon"},
};
enum { N_CASES = sizeof cases / sizeof *cases };

typedef struct watch {
    const char *rule;
    int n;
    mil_finding last; /* the first of `rule` */
} watch;

static void look(void *context, const mil_finding *finding) {
    watch *w = context;
    assert_true(finding->title && finding->title[0] && finding->source && finding->source[0]);
    assert_true(finding->where[0] && finding->detail[0]);
    if (strcmp(finding->rule, w->rule) == 0 && w->n++ == 0) w->last = *finding;
}

static mil_program *parse(const source *s) {
    ane_error e = {0};
    size_t size = strlen(s->body) + strlen(s->inputs) + 256;
    char *text = malloc(size);
    snprintf(text, size,
        "program(%s)\n[buildInfo = dict<string, string>({{\"coremlc-version\", \"3505.4.1\"}})]\n{\nfunc "
        "main<%s>(%s) {\n%s\n} "
        "-> (%s);\n}",
        s->version, s->opset, s->inputs, s->body, s->outputs);
    mil_program *p = mil_parse(text, strlen(text), s->body, &e);
    assert_ok(p, &e);
    free(text);
    return p;
}

static watch check(const mil_program *p, const char *rule) {
    watch w = {.rule = rule};
    mil_check_ane(p, look, &w);
    return w;
}

static void test_each_rule(void **state) {
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        mil_program *bad = parse(&cases[i].bad), *good = parse(&cases[i].good);
        watch found = check(bad, cases[i].rule), not_found = check(good, cases[i].rule);
        if (!found.n) fail_msg("%s is not reported for %s", cases[i].rule, cases[i].bad.body);
        if (!strstr(found.last.detail, cases[i].detail))
            fail_msg("%s: \"%s\" is not in \"%s\"", cases[i].rule, cases[i].detail, found.last.detail);
        if (not_found.n)
            fail_msg("%s is reported for %s: %s", cases[i].rule, cases[i].good.body, not_found.last.detail);
        mil_program_free(bad);
        mil_program_free(good);
    }
}

/* Rules about the header, which the cases above keep right. */
static void test_program_rules(void **state) {
    (void)state;
    static const char text[] = "program(1.3) { func forward<ios18>(tensor<fp16, [1, 64, 1, 512]> x) "
                               "{ tensor<fp16, [1, 64, 1, 512]> y = exp(x = x); } -> (y); }";
    ane_error e = {0};
    mil_program *p = mil_parse(text, strlen(text), NULL, &e);
    assert_ok(p, &e);
    assert_string_equal(check(p, "ANE-09").last.where, "forward");
    assert_non_null(strstr(check(p, "ANE-10").last.detail, "coremlc-version"));
    mil_program_free(p);
    source good = BODY(EXP);
    p = parse(&good);
    assert_int_equal(check(p, "ANE-09").n + check(p, "ANE-10").n, 0);
    mil_program_free(p);
}

static void test_clean_program_and_counts(void **state) {
    (void)state;
    source good = BODY(WEIGHT(64, 64) CONV(64));
    mil_program *p = parse(&good);
    assert_int_equal(mil_check_ane(p, NULL, NULL), 0);
    mil_program_free(p);
    source bad =
        BODY("tensor<fp16, [1, 64, 1, 512]> a = sin(x = x); tensor<fp16, [1, 64, 1, 512]> y = cos(x = a);");
    p = parse(&bad);
    assert_int_equal(mil_check_ane(p, NULL, NULL), 2);
    watch w = check(p, "ANE-43");
    assert_int_equal(w.n, 2);
    assert_string_equal(w.last.where, "5:35: sin \"a\"");
    assert_true(w.last.certain);
    mil_program_free(p);
}

/* The table itself: numbered without gaps, every rule tested, every rule with a source. */
static void test_table(void **state) {
    (void)state;
    for (int i = 0; i < mil_n_ane_rules; i++) {
        char id[16];
        snprintf(id, sizeof id, "ANE-%02d", i + 1);
        assert_string_equal(mil_ane_rules[i].id, id);
        assert_true(mil_ane_rules[i].title[0] && mil_ane_rules[i].source[0]);
        bool tested = strcmp(id, "ANE-09") == 0 || strcmp(id, "ANE-10") == 0;
        for (int j = 0; j < N_CASES; j++) tested |= strcmp(cases[j].rule, id) == 0;
        if (!tested) fail_msg("%s has no test", id);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_rule),
        cmocka_unit_test(test_program_rules),
        cmocka_unit_test(test_clean_program_and_counts),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
