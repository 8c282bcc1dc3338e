/* Each contradictory report, switched. */
#include "emulator/drive.h"

#include <math.h>

/* "name" of a new model per test: the text is part of its identity. */
#define PROGRAM(inputs, body, outputs) EM_IOS18 "(" inputs ") {\n" body "    } -> (" outputs ");\n}\n"
#define TENSOR "tensor<fp16, [1, 32, 1, 64]> "

static bool compile_text(const char *mil, char *text, size_t size) {
    oid model = em_make_model(mil, 0, NULL), error;
    bool ok = em_compile(model, &error);
    snprintf(text, size, "%s", em_error_text(error));
    return ok;
}

static void check_compiles(const char *settings, const char *mil) {
    char text[2048];
    assert_true(em_configure(settings));
    if (!compile_text(mil, text, sizeof text)) fail_msg("%s: %s", settings, text);
}

static void check_refuses(const char *settings, const char *mil, const char *part) {
    char text[2048];
    assert_true(em_configure(settings));
    if (compile_text(mil, text, sizeof text)) fail_msg("%s: compiled", settings);
    assert_text(text, part);
}

/* One evaluation with surfaces of these sizes; input i is filled with first[i] + step i. */
typedef struct run {
    int n_in, n_out;
    size_t in_bytes[4], out_bytes[4];
    float first[4], step[4];
    oid in[4], out[4], error;
} run;

static bool evaluate(oid model, run *r) {
    for (int i = 0; i < r->n_in; i++) {
        r->in[i] = em_surface(r->in_bytes[i]);
        em_fill(r->in[i], (int)(r->in_bytes[i] / 2), r->first[i], r->step[i]);
    }
    for (int i = 0; i < r->n_out; i++) r->out[i] = em_surface(r->out_bytes[i]);
    return em_evaluate(model, em_request_of(r->n_in, r->in, r->n_out, r->out, NULL, NULL, 0), &r->error);
}

static void finish(run *r) {
    for (int i = 0; i < r->n_in; i++) em_surface_free(r->in[i]);
    for (int i = 0; i < r->n_out; i++) em_surface_free(r->out[i]);
}

static run run_of(int n_in, int n_out, size_t bytes) {
    run r = {.n_in = n_in, .n_out = n_out};
    for (int i = 0; i < 4; i++) {
        r.in_bytes[i] = r.out_bytes[i] = bytes;
        r.first[i] = (float)(i + 1);
    }
    return r;
}

/* One element of output `out` after running `mil` with `settings`. */
static float result(const char *settings, const char *mil, run r, int out, int index) {
    assert_true(em_configure(settings));
    oid model = em_ready(mil, 0, NULL);
    if (!evaluate(model, &r)) fail_msg("%s: %s", settings, em_error_text(r.error));
    float y = em_at(r.out[out], index);
    finish(&r);
    return y;
}

static void check_status(const char *settings, const char *mil, run r, const char *part) {
    assert_true(em_configure(settings));
    oid model = em_ready(mil, 0, NULL);
    if (evaluate(model, &r)) fail_msg("%s: evaluated", settings);
    assert_text(em_error_text(r.error), "status=0x1d");
    assert_text(em_error_text(r.error), part);
    finish(&r);
}

/* ---- order and sizes ---- */

#define SUBTRACT                                                                                             \
    PROGRAM(TENSOR "zed, tensor<fp16, [1, 1, 1, 64]> amy",                                                   \
        "        " TENSOR "up = sub(x=zed, y=amy)[name=string(\"up\")];\n"                                   \
        "        tensor<fp16, [1, 1, 1, 64]> down = sub(x=amy, y=amy)[name=string(\"down\")];\n",            \
        "up, down")

/* Surfaces hold 1 (index 0) and 2 (index 1): zed - amy is 1 - 2 when zed is first. */
static void test_order(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    run r = run_of(2, 2, EM_BYTES);
    /* alphabetical: amy, zed; outputs down, up */
    assert_true(result("quirk=order:alphabetical", SUBTRACT, r, 1, 0) == 1);
    assert_true(result("quirk=order:alphabetical", SUBTRACT, r, 0, 0) == 0);
    /* declared: zed, amy; up, down */
    assert_true(result("quirk=order:declared", SUBTRACT, r, 0, 0) == -1);
    assert_true(result("quirk=order:declared", SUBTRACT, r, 1, 0) == 0);
    /* by size: inputs ascending (amy, zed), outputs descending (up, down) */
    assert_true(result("quirk=order:size", SUBTRACT, r, 0, 0) == 1);
    assert_true(result("quirk=order:size", SUBTRACT, r, 1, 0) == 0);
}

static void test_attributes_tell_the_order(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    static const struct {
        const char *settings, *first;
    } cases[] = {
        {"quirk=order:alphabetical", "amy"}, {"quirk=order:declared", "zed"}, {"quirk=order:size", "amy"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(em_configure(cases[i].settings));
        oid attributes = CALL0(oid, em_ready(SUBTRACT, 0, NULL), "modelAttributes");
        oid names = em_get(em_get(attributes, "ANEFModelDescription"), "kANEFModelInputSymbolsArrayKey");
        assert_string_equal(em_utf8(em_item(names, 0)), cases[i].first);
    }
    assert_true(em_configure("quirk=attributes:empty"));
    assert_int_equal(em_count(CALL0(oid, em_ready(SUBTRACT, 0, NULL), "modelAttributes")), 0);
}

static void test_sizes(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    run equal = run_of(2, 2, EM_BYTES), unequal = equal;
    unequal.in_bytes[0] = 128; /* amy */
    check_status("quirk=order:alphabetical", SUBTRACT, unequal, "equal-sizes");
    assert_true(result("quirk=equal-sizes:free", SUBTRACT, unequal, 1, 0) == 1);
    check_status("quirk=min-surface:49152", SUBTRACT, equal, "min-surface");
    assert_true(result("quirk=min-surface:49152", SUBTRACT, run_of(2, 2, 49152), 1, 0) == 1);
}

#define NARROW                                                                                               \
    PROGRAM("tensor<fp16, [1, 32, 1, 1]> x",                                                                 \
        "        tensor<fp16, [1, 32, 1, 1]> y = add(x=x, y=x)[name=string(\"y\")];\n", "y")
/* Rows of 32 bytes, half of what the alignment is. */
#define SHORT_ROWS                                                                                           \
    PROGRAM("tensor<fp16, [1, 32, 1, 16]> x",                                                                \
        "        tensor<fp16, [1, 32, 1, 16]> y = add(x=x, y=x)[name=string(\"y\")];\n", "y")

static void test_rows(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    check_status(NULL, NARROW, run_of(1, 1, EM_BYTES), "innermost-one");
    assert_true(result("quirk=innermost-one:works", NARROW, run_of(1, 1, EM_BYTES), 0, 0) == 2);
    check_status(NULL, SHORT_ROWS, run_of(1, 1, 32 * 32), "32 rows of 64 bytes");
    check_status("quirk=row-alignment:128", SHORT_ROWS, run_of(1, 1, 32 * 64), "32 rows of 128 bytes");
    run r = run_of(1, 1, 32 * 64);
    r.first[0] = 0;
    r.step[0] = 1;
    /* Element 16 of the tensor is element 16 of the surface when packed, element 32 when strided. */
    assert_true(result("quirk=rows:packed", SHORT_ROWS, r, 0, 16) == 32);
    assert_true(result("quirk=rows:strided", SHORT_ROWS, r, 0, 16) == 0);
    assert_true(result("quirk=rows:strided", SHORT_ROWS, r, 0, 32) == 64);
    assert_true(result("quirk=row-alignment:none", SHORT_ROWS, run_of(1, 1, 32 * 32), 0, 0) == 2);
}

/* ---- what compiles ---- */

#define ADD_ON(header)                                                                                       \
    header "(" TENSOR "x) {\n        " TENSOR "y = add(x=x, y=x)[name=string(\"y\")];\n    } -> (y);\n}\n"
#define ADD_IOS16                                                                                            \
    "program(1.0)\n[buildInfo = dict<tensor<string, []>, tensor<string, []>>({{\"coremlc-version\", "        \
    "\"3505.4.1\"}})]\n{\n"                                                                                  \
    "    func main<ios16>(" TENSOR "x) {\n        " TENSOR                                                   \
    "y = add(x=x, y=x)[name=tensor<string, []>(\"y\")];\n    } -> (y);\n}\n"

static void test_dialects(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    check_compiles("quirk=dialects:1.3/ios18", ADD_ON(EM_IOS18));
    check_compiles("quirk=dialects:1.3/ios17+1.0/ios16", ADD_ON(EM_HEADER("1.3", "ios17")));
    check_compiles("quirk=dialects:1.0/ios16", ADD_IOS16);
    check_compiles("chip=M5", ADD_ON(EM_HEADER("1.5", "ios18")));
    check_refuses("quirk=dialects:1.0/ios16", ADD_ON(EM_IOS18), "this machine takes 1.0/ios16");
    check_refuses("quirk=dialects:1.3/ios18", ADD_IOS16, "is not accepted");
    check_refuses("chip=M4", ADD_ON(EM_HEADER("1.5", "ios18")), "is not accepted");
    check_refuses("chip=M1", ADD_ON(EM_IOS18), "is not accepted");
}

#define RUN_TIME_CONV                                                                                        \
    PROGRAM(TENSOR "x, tensor<fp16, [32, 32, 1, 1]> w",                                                      \
        EM_CONV_CONSTANTS                                                                                    \
        "        " TENSOR                                                                                    \
        "y = conv(dilations=dl, groups=gr, pad=pd, pad_type=pt, strides=st, weight=w, x=x)"                  \
        "[name=string(\"y\")];\n",                                                                           \
        "y")

static void test_weights_computed_at_run_time(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    /* Alphabetical: w, x. 32 channels of 1 * 2. The kernel's rows are one element: their own surface rule. */
    run r = run_of(2, 1, 65536);
    check_refuses("quirk=conv-weights:refused", RUN_TIME_CONV, "ANE-23");
    assert_true(result("quirk=conv-weights:work,quirk=innermost-one:works", RUN_TIME_CONV, r, 0, 0) == 64);
    assert_true(result("quirk=conv-weights:ignored,quirk=innermost-one:works", RUN_TIME_CONV, r, 0, 0) == 0);
}

#define MATMUL(inner)                                                                                        \
    PROGRAM("tensor<fp16, [1, 1, 64, " inner "]> a, tensor<fp16, [1, 1, " inner ", 64]> b",                  \
        "        bool no = const()[name=string(\"no\"), val=bool(false)];\n"                                 \
        "        tensor<fp16, [1, 1, 64, 64]> y = matmul(transpose_x=no, transpose_y=no, x=a, "              \
        "y=b)[name=string(\"y\")];\n",                                                                       \
        "y")

static void test_matmul(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    run r = run_of(2, 1, 16384), large = r;
    assert_true(result(NULL, MATMUL("16"), r, 0, 0) == 32); /* 16 * 1 * 2 */
    assert_true(result("quirk=matmul-inner:zeros", MATMUL("16"), r, 0, 0) == 0);
    assert_true(result("quirk=matmul-inner:zeros", MATMUL("32"), r, 0, 0) == 64);
    check_refuses("quirk=matmul-weights:refused", MATMUL("32"), "matmul-weights");
    large.first[0] = large.first[1] = 35; /* 32 * 35 * 35 = 39,200 */
    assert_true(fabsf(result(NULL, MATMUL("32"), large, 0, 0) - 39200) < 32);
    assert_true(isinf(result("quirk=matmul-overflow:32752", MATMUL("32"), large, 0, 0)));
    run tiny = r;
    tiny.first[0] = 0x1p-20f; /* denormal in fp16 */
    tiny.first[1] = 1024;
    assert_true(result(NULL, MATMUL("32"), tiny, 0, 0) == 0x1p-5f);
    assert_true(result("quirk=denormals:flushed", MATMUL("32"), tiny, 0, 0) == 0);
}

#define SLICE                                                                                                \
    PROGRAM(TENSOR "x",                                                                                      \
        "        tensor<int32, [4]> b = const()[name=string(\"b\"), val=tensor<int32, [4]>([0,0,0,32])];\n"  \
        "        tensor<int32, [4]> s = const()[name=string(\"s\"), val=tensor<int32, [4]>([1,32,1,32])];\n" \
        "        tensor<fp16, [1, 32, 1, 32]> y = slice_by_size(begin=b, size=s, "                           \
        "x=x)[name=string(\"y\")];\n",                                                                       \
        "y")

static void test_width_slice(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    run r = run_of(1, 1, EM_BYTES);
    r.first[0] = -5000;
    assert_true(result(NULL, SLICE, r, 0, 0) == -5000);
    float y = result("quirk=width-slice:4094", SLICE, r, 0, 0);
    assert_true(isinf(y) && y < 0);
    r.first[0] = 4000;
    assert_true(result("quirk=width-slice:4094", SLICE, r, 0, 0) == 4000);
}

#define CONCAT_NAMED                                                                                         \
    PROGRAM(TENSOR "x",                                                                                      \
        "        int32 ax = const()[name=string(\"ax\"), val=int32(1)];\n"                                   \
        "        bool no = const()[name=string(\"no\"), val=bool(false)];\n"                                 \
        "        tensor<fp16, [1, 64, 1, 64]> y = concat(axis=ax, interleave=no, values=(x, "                \
        "x))[name=string(\"y\")];\n",                                                                        \
        "y")
#define CONCAT_INLINE                                                                                        \
    PROGRAM(TENSOR "x",                                                                                      \
        "        tensor<fp16, [1, 64, 1, 64]> y = concat(axis=int32(1), interleave=bool(false), values=(x, " \
        "x))[name=string(\"y\")];\n",                                                                        \
        "y")

static void test_concat(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    check_compiles(NULL, CONCAT_INLINE);
    check_compiles("quirk=concat:named-constants", CONCAT_NAMED);
    check_refuses("quirk=concat:named-constants", CONCAT_INLINE, "ANE-31");
}

#define TILE                                                                                                 \
    PROGRAM(TENSOR "x",                                                                                      \
        "        tensor<int32, [4]> r = const()[name=string(\"r\"), val=tensor<int32, [4]>([1,2,1,1])];\n"   \
        "        tensor<fp16, [1, 64, 1, 64]> y = tile(reps=r, x=x)[name=string(\"y\")];\n",                 \
        "y")

static void test_tile_poisons_the_process(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    oid tile = em_ready(TILE, 0, NULL), add = em_ready(ADD_ON(EM_IOS18), 0, NULL);
    run before = run_of(1, 1, 2 * EM_BYTES), first = before, after = before;
    assert_true(evaluate(add, &before));
    assert_true(evaluate(tile, &first));
    assert_false(evaluate(add, &after));
    assert_text(em_error_text(after.error), "tile");
    finish(&before);
    finish(&first);
    finish(&after);
    assert_true(result("quirk=tile:works", TILE, before, 0, 0) == 1);
    assert_true(result("quirk=tile:works", TILE, before, 0, 0) == 1);
}

/* Attention over two keys, the second one masked out by a mask computed from the input. */
#define MASKED                                                                                               \
    PROGRAM("tensor<fp16, [1, 1, 2, 64]> q, tensor<fp16, [1, 1, 2, 64]> v, tensor<fp16, [1, 1, 2, 2]> w",    \
        "        tensor<fp16, [1, 1, 2, 64]> y = scaled_dot_product_attention(attn_mask=w, key=q, query=q, " \
        "value=v)"                                                                                           \
        "[name=string(\"y\")];\n",                                                                           \
        "y")

static void test_attention_mask(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    run r = run_of(3, 1, 4096);
    r.first[1] = 0; /* values 0, 1, ... 127: row 0 starts with 0, row 1 with 64 */
    r.step[1] = 1;
    r.first[2] = 0;
    r.step[2] = -10000; /* 0, -10000 / -20000, -30000: key 0 only */
    assert_true(result("quirk=attn-mask:works", MASKED, r, 0, 0) == 0);
    assert_true(result("quirk=attn-mask:ignored", MASKED, r, 0, 0) == 32); /* the mean of both */
}

#define TO_NAN                                                                                               \
    PROGRAM(TENSOR "x",                                                                                      \
        "        " TENSOR "i = mul(x=x, y=x)[name=string(\"i\")];\n        " TENSOR                          \
        "y = sub(x=i, y=i)[name=string(\"y\")];\n",                                                          \
        "y")

static void test_nan(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    run r = run_of(1, 1, EM_BYTES);
    r.first[0] = 60000; /* squared: infinite in fp16 */
    assert_true(isinf(result("quirk=nan:infinity,quirk=inf-minus-inf:nan", TO_NAN, r, 0, 0)));
    assert_true(isnan(result("quirk=nan:kept,quirk=inf-minus-inf:nan", TO_NAN, r, 0, 0)));
    assert_true(result("quirk=inf-minus-inf:zero", TO_NAN, r, 0, 0) == 0);
}

#define LOGARITHM                                                                                            \
    PROGRAM(TENSOR "x",                                                                                      \
        "        fp16 e = const()[name=string(\"e\"), val=fp16(0)];\n"                                       \
        "        " TENSOR "y = log(epsilon=e, x=x)[name=string(\"y\")];\n",                                  \
        "y")

static void test_log_of_zero(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    run r = run_of(1, 1, EM_BYTES);
    r.first[0] = 0;
    assert_true(isinf(result("quirk=log-zero:infinity", LOGARITHM, r, 0, 0)));
    assert_true(fabsf(result("quirk=log-zero:-45440", LOGARITHM, r, 0, 0) + 45440) < 1);
}

#define FP32_PORTS                                                                                           \
    PROGRAM("tensor<fp32, [1, 32, 1, 64]> x",                                                                \
        "        string h = const()[name=string(\"h\"), val=string(\"fp16\")];\n"                            \
        "        string s = const()[name=string(\"s\"), val=string(\"fp32\")];\n"                            \
        "        " TENSOR "a = cast(dtype=h, x=x)[name=string(\"a\")];\n        " TENSOR                     \
        "b = add(x=a, y=a)[name=string(\"b\")];\n"                                                           \
        "        tensor<fp32, [1, 32, 1, 64]> y = cast(dtype=s, x=b)[name=string(\"y\")];\n",                \
        "y")

static void test_fp32_ports(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    static const char *const settings[] = {NULL, "quirk=fp32-ports:zeros"};
    for (int i = 0; i < 2; i++) {
        assert_true(em_configure(settings[i]));
        oid model = em_ready(FP32_PORTS, 0, NULL), x = em_surface(2 * EM_BYTES), y = em_surface(2 * EM_BYTES),
            error;
        float *in = em_base(x), *out = em_base(y);
        for (int k = 0; k < EM_ELEMENTS; k++) in[k] = 1.5f;
        assert_true(em_evaluate(model, em_request_of(1, &x, 1, &y, NULL, NULL, 0), &error));
        assert_true(out[EM_ELEMENTS - 1] == (i == 0 ? 3.0f : 0.0f));
        em_surface_free(x);
        em_surface_free(y);
    }
    check_refuses("quirk=fp32-ports:refused", FP32_PORTS, "ANE-02");
}

#define WIDE                                                                                                 \
    PROGRAM("tensor<fp16, [1, 1, 1, 20000]> x",                                                              \
        "        tensor<fp16, [1, 1, 1, 20000]> y = add(x=x, y=x)[name=string(\"y\")];\n", "y")

static void test_limits(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    check_compiles("chip=M4", WIDE);
    check_compiles("chip=M1,quirk=max-dim:none,quirk=dialects:1.3/ios18", WIDE);
    check_refuses("chip=M3 Pro", WIDE, "max-dim");
    unsigned char blob[EM_BLOB_BYTES];
    em_weight w = em_identity(blob, 2);
    oid model = em_make_model(EM_CONV, 1, &w), error;
    assert_true(em_configure("quirk=max-weights:2000"));
    assert_false(em_compile(model, &error));
    assert_text(em_error_text(error), "max-weights");
    assert_true(em_configure("quirk=max-compiles:2"));
    assert_true(em_compile(model, &error));
    assert_true(em_compile(model, &error));
    assert_false(em_compile(model, &error));
    assert_text(em_error_text(error), "max-compiles");
}

static void test_loaded_programs(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    assert_true(em_configure("quirk=max-loaded:2"));
    unsigned char blob[EM_BLOB_BYTES];
    oid models[3], error;
    for (int i = 0; i < 3; i++) {
        em_weight w = em_identity(blob, 20 + (float)i);
        models[i] = em_make_model(EM_CONV, 1, &w);
        assert_true(em_compile(models[i], &error));
        assert_true(em_load(models[i], &error) == (i < 2));
    }
    assert_text(em_error_text(error), "max-loaded");
    assert_true(em_unload(models[0], &error));
    assert_true(em_load(models[2], &error)); /* a place is free again */
}

/* Two matrices in one file: the second one's metadata does not stand at 64. */
#define SHARED                                                                                               \
    PROGRAM(TENSOR "x",                                                                                      \
        EM_CONV_CONSTANTS                                                                                    \
        "        tensor<fp16, [32, 32, 1, 1]> w = const()[name=string(\"w\"), val=tensor<fp16, [32, 32, 1, " \
        "1]>"                                                                                                \
        "(BLOBFILE(path = string(\"@model_path/weights/w.bin\"), offset = uint64(2176)))];\n"                \
        "        " TENSOR                                                                                    \
        "y = conv(dilations=dl, groups=gr, pad=pd, pad_type=pt, strides=st, weight=w, x=x)"                  \
        "[name=string(\"y\")];\n",                                                                           \
        "y")

static void test_shared_blob_files(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    unsigned char two[2 * EM_BLOB_BYTES - 64], second[EM_BLOB_BYTES];
    uint64_t data = 2176 + 64;
    em_identity(two, 2);
    em_identity(second, 3);
    two[0] = 2;
    memcpy(two + EM_BLOB_BYTES, second + 64, sizeof second - 64);
    memcpy(two + EM_BLOB_BYTES + 16, &data, sizeof data);
    em_weight w = {"w.bin", two, sizeof two};
    oid model = em_ready(SHARED, 1, &w), error;
    run r = run_of(1, 1, EM_BYTES);
    assert_true(evaluate(model, &r));
    assert_true(em_at(r.out[0], 0) == 3);
    finish(&r);
    assert_true(em_configure("quirk=shared-blobs:refused"));
    assert_false(em_compile(model, &error));
    assert_text(em_error_text(error), "ANE-15");
}

#define RSQRT_AFTER_SUM                                                                                      \
    PROGRAM(TENSOR "x",                                                                                      \
        "        tensor<int32, [1]> ax = const()[name=string(\"ax\"), val=tensor<int32, [1]>([1])];\n"       \
        "        bool keep = const()[name=string(\"keep\"), val=bool(true)];\n"                              \
        "        tensor<fp16, [1, 1, 1, 64]> s = reduce_sum(axes=ax, keep_dims=keep, "                       \
        "x=x)[name=string(\"s\")];\n"                                                                        \
        "        tensor<fp16, [1, 1, 1, 64]> y = sqrt(x=s)[name=string(\"y\")];\n",                          \
        "y")

static void test_rules(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    check_refuses(NULL, RSQRT_AFTER_SUM, "ANE-36");
    check_compiles("quirk=rules:none", RSQRT_AFTER_SUM);
    check_compiles(NULL, WIDE);
    check_refuses("quirk=rules:all",
        PROGRAM("tensor<fp16, [1, 20000]> x",
            "        tensor<fp16, [1, 20000]> y = add(x=x, y=x)[name=string(\"y\")];\n", "y"),
        "ANE-20");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EM_TEST(test_order),
        EM_TEST(test_attributes_tell_the_order),
        EM_TEST(test_sizes),
        EM_TEST(test_rows),
        EM_TEST(test_dialects),
        EM_TEST(test_weights_computed_at_run_time),
        EM_TEST(test_matmul),
        EM_TEST(test_width_slice),
        EM_TEST(test_concat),
        EM_TEST(test_tile_poisons_the_process),
        EM_TEST(test_attention_mask),
        EM_TEST(test_nan),
        EM_TEST(test_log_of_zero),
        EM_TEST(test_fp32_ports),
        EM_TEST(test_limits),
        EM_TEST(test_loaded_programs),
        EM_TEST(test_shared_blob_files),
        EM_TEST(test_rules),
    };
    return cmocka_run_group_tests(tests, em_setup_group, NULL);
}
