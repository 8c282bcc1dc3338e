/* Core ML packages: those that coremltools makes give PyTorch's outputs; ours come back as they went; what a program
 * cannot hold is refused by name, and nothing is lost. */
#include "support/support.h"

#include "anemone/mil.h"
#include "base/file.h"
#include "base/npy.h"
#include "mil/ops.h"
#include "mil/package.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* tests/golden/packages.py made them; fp16 models round every result, so they may be off by what that costs. */
static const struct {
    const char *name, *opset;
    mil_rounding rounding;
    double tolerance;
} golden[] = {
    {"conv_net", "ios15", MIL_EXACT, 1e-6},
    {"conv_net_fp16", "ios16", MIL_ROUND_FP16, 1e-3},
    {"block", "ios17", MIL_EXACT, 1e-6},
    {"block_fp16", "ios18", MIL_ROUND_FP16, 4e-3},
    {"int8", "ios18", MIL_EXACT, 1e-6},
    {"int4_blocks", "ios18", MIL_EXACT, 1e-6},
    {"lut4", "ios18", MIL_EXACT, 1e-6},
    {"lut2_channels", "ios18", MIL_EXACT, 1e-6},
};
enum { N_GOLDEN = sizeof golden / sizeof *golden };

static const char *golden_path(const char *name, const char *file) {
    static char path[2][600];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/tests/golden/packages/%s/%s", ANEMONE_ROOT, name, file);
    return path[turn];
}

static const char *fresh(const char *name) {
    static char path[2][600];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", test_folder(), name);
    return path[turn];
}

static double *read_npy(const char *path, int64_t *n) {
    ane_error e = {0};
    ane_mapping m;
    ane_npy a;
    assert_ok(ane_map_file(&m, path, &e) && ane_npy_parse(&a, m.data, m.size, path, &e), &e);
    *n = a.count;
    double *x = malloc((size_t)*n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < *n; i++) x[i] = ane_npy_at(&a, i);
    ane_unmap_file(&m);
    return x;
}

/* Largest difference from y.npy, over its largest element. */
static double difference(const mil_program *p, int i) {
    ane_error e = {0};
    int64_t nx, ny;
    double *x = read_npy(golden_path(golden[i].name, "x.npy"), &nx),
           *y = read_npy(golden_path(golden[i].name, "y.npy"), &ny), worst = 0, largest = 0;
    const mil_function *f = mil_program_function(p, NULL);
    assert_int_equal(f->n_inputs, 1);
    mil_array input = {*mil_type_of(f, f->inputs[0]), x}, output = {0};
    assert_int_equal(mil_type_count(&input.type), nx);
    assert_ok(mil_evaluate(f, golden[i].rounding, &input, 0, NULL, &output, &e), &e);
    assert_int_equal(mil_type_count(&output.type), ny);
    for (int64_t k = 0; k < ny; k++) {
        double off = output.data[k] - y[k];
        if (!(off <= worst && -off <= worst)) worst = off < 0 ? -off : off;
        if (y[k] > largest || -y[k] > largest) largest = y[k] < 0 ? -y[k] : y[k];
    }
    free(output.data);
    free(x);
    free(y);
    return worst / largest;
}

static mil_program *read_golden(int i) {
    ane_error e = {0};
    mil_program *p = mil_package_read(golden_path(golden[i].name, "model.mlpackage"), &e);
    assert_ok(p, &e);
    return p;
}

static void test_reads_coremltools(void **state) {
    (void)state;
    for (int i = 0; i < N_GOLDEN; i++) {
        mil_program *p = read_golden(i);
        assert_string_equal(mil_program_function(p, NULL)->opset, golden[i].opset);
        double off = difference(p, i);
        if (!(off <= golden[i].tolerance)) fail_msg("%s is off by %g", golden[i].name, off);
        mil_program_free(p);
    }
}

/* Written and read again: the same outputs, to the last bit, and the same operations. */
static void test_round_trip(void **state) {
    (void)state;
    for (int i = 0; i < N_GOLDEN; i++) {
        ane_error e = {0};
        mil_program *p = read_golden(i);
        for (int times = 0; times < 2; times++) /* the second one replaces the first */
            assert_ok(mil_package_write(p, fresh("again.mlpackage"), &e), &e);
        mil_program *q = mil_package_read(fresh("again.mlpackage"), &e);
        assert_ok(q, &e);
        assert_true(difference(p, i) == difference(q, i));
        assert_int_equal(p->functions[0]->n_ops, q->functions[0]->n_ops);
        assert_string_equal(p->functions[0]->opset, q->functions[0]->opset);
        mil_program_free(p);
        mil_program_free(q);
        assert_ok(ane_remove_tree(fresh("again.mlpackage"), &e), &e);
    }
}

/* Constants of every element type, small ones in the model and large ones in its weights. */
static mil_program *every_type(int64_t count) {
    static const mil_dtype dtypes[] = {MIL_FP16, MIL_FP32, MIL_INT8, MIL_INT16, MIL_INT32, MIL_UINT8,
        MIL_UINT16, MIL_UINT32, MIL_BOOL, MIL_INT4, MIL_UINT1, MIL_UINT2, MIL_UINT3, MIL_UINT4, MIL_UINT6};
    mil_program *p = mil_program_new(MIL_IOS18, NULL);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 1, &count)), sum = x;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        const mil_type type = mil_tensor(dtypes[i], 1, &count);
        unsigned char data[256] = {0};
        for (int64_t k = 0; k < count; k++)
            mil_constant_set(&type, data, k,
                dtypes[i] == MIL_BOOL || dtypes[i] == MIL_UINT1 ? (double)(k % 2)
                : dtypes[i] == MIL_INT4                         ? (double)(k % 16 - 8)
                                                                : (double)((k * 3 + (int64_t)i) % 4));
        sum = mil_add(f, sum, mil_cast(f, mil_const_data(f, type, data), MIL_FP32));
    }
    mil_output(f, "y", sum);
    return p;
}

static void test_every_type(void **state) {
    (void)state;
    for (int64_t count = 1; count < 32; count += 5) {
        ane_error e = {0};
        mil_program *p = every_type(count);
        assert_ok(mil_package_write(p, fresh("types.mlpackage"), &e), &e);
        mil_program *q = mil_package_read(fresh("types.mlpackage"), &e);
        assert_ok(q, &e);
        double zeros[32] = {0};
        mil_array x = {mil_tensor(MIL_FP32, 1, &count), zeros}, y[2];
        assert_ok(mil_evaluate(p->functions[0], MIL_EXACT, &x, 0, NULL, &y[0], &e), &e);
        assert_ok(mil_evaluate(q->functions[0], MIL_EXACT, &x, 0, NULL, &y[1], &e), &e);
        assert_memory_equal(y[0].data, y[1].data, (size_t)count * sizeof(double));
        free(y[0].data);
        free(y[1].data);
        mil_program_free(p);
        mil_program_free(q);
    }
}

static void test_several_functions(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    for (int i = 0; i < 2; i++) {
        mil_function *f = mil_function_new(p, i ? "second" : "first");
        mil_output(
            f, "y", mil_mul_scalar(f, mil_input(f, "x", mil_tensor(MIL_FP16, 1, (int64_t[]){3})), i + 2));
    }
    assert_ok(mil_package_write(p, fresh("two.mlpackage"), &e), &e);
    mil_program *q = mil_package_read(fresh("two.mlpackage"), &e);
    assert_ok(q, &e);
    assert_int_equal(q->n_functions, 2);
    assert_non_null(mil_program_function(q, "second"));
    mil_program_free(p);
    mil_program_free(q);
}

/* ---- refusals ------------------------------------------------------------------------------------------------------ */

static mil_program *doubling(mil_dtype dtype, int rank, const char *param) {
    mil_program *p = mil_program_new(MIL_IOS18, NULL);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(dtype, rank, (int64_t[]){4, 4}));
    if (param) x = mil_mul(f, x, mil_param(f, param, mil_tensor(dtype, 1, (int64_t[]){4})));
    mil_output(f, "y", mil_add(f, x, x));
    return p;
}

static void refuses_to_write(mil_program *p, ane_code code, const char *part) {
    ane_error e = {0};
    assert_false(mil_package_write(p, fresh("refused.mlpackage"), &e));
    assert_error(&e, code, part);
    assert_false(ane_path_exists(fresh("refused.mlpackage")));
    mil_program_free(p);
}

static void test_refuses_to_write(void **state) {
    (void)state;
    refuses_to_write(doubling(MIL_FP16, 2, "w"), ANE_ERROR_UNSUPPORTED, "\"w\" has no value");
    refuses_to_write(doubling(MIL_BF16, 2, NULL), ANE_ERROR_UNSUPPORTED, "found tensor<bf16, [4, 4]>");
    refuses_to_write(doubling(MIL_FP16, 0, NULL), ANE_ERROR_UNSUPPORTED, "found fp16");
    mil_program *p = doubling(MIL_FP16, 2, NULL);
    mil_function *f = p->functions[0];
    mil_value w = mil_const_blob(f, mil_tensor(MIL_FP16, 1, (int64_t[]){4}), "@model_path/weights/w.bin", 64);
    mil_output(f, "z", mil_add(f, f->inputs[0], w));
    refuses_to_write(p, ANE_ERROR_ARGUMENT, "was not read from its blob file");
}

static void test_keeps_what_is_no_package(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = doubling(MIL_FP16, 2, NULL);
    assert_ok(ane_write_file(fresh("precious"), "text", 4, &e), &e);
    assert_false(mil_package_write(p, fresh("precious"), &e));
    assert_error(&e, ANE_ERROR_IO, "no package");
    assert_true(ane_path_exists(fresh("precious")));
    mil_program_free(p);
}

static void refuses_manifest(const char *text, ane_code code, const char *part) {
    ane_error e = {0};
    assert_ok(ane_make_folders(fresh("bad.mlpackage/Data"), &e), &e);
    assert_ok(ane_write_file(fresh("bad.mlpackage/Manifest.json"), text, strlen(text), &e), &e);
    assert_null(mil_package_read(fresh("bad.mlpackage"), &e));
    assert_error(&e, code, part);
}

static void test_refuses_manifests(void **state) {
    (void)state;
    ane_error e = {0};
    assert_null(mil_package_read(fresh("nothing"), &e));
    assert_error(&e, ANE_ERROR_IO, "cannot open");
    refuses_manifest("{", ANE_ERROR_FORMAT, "line 1");
    refuses_manifest("[]", ANE_ERROR_FORMAT, "names no model");
    refuses_manifest("{\"rootModelIdentifier\": \"a\"}", ANE_ERROR_FORMAT, "names no model");
    refuses_manifest(
        "{\"rootModelIdentifier\": \"a\", \"itemInfoEntries\": {\"a\": {\"path\": \"../../etc\"}}}",
        ANE_ERROR_FORMAT, "below Data");
    refuses_manifest("{\"rootModelIdentifier\": \"a\", \"itemInfoEntries\": {\"a\": {\"path\": \"m\"}}}",
        ANE_ERROR_IO, "cannot open");
}

static void refuses_model(const void *data, size_t size, ane_code code, const char *part) {
    ane_error e = {0};
    assert_null(mil_package_parse(data, size, test_folder(), &e));
    assert_error(&e, code, part);
}

/* A golden model, cut everywhere and with every byte changed: accepted or refused, never worse. */
static void test_damaged_models(void **state) {
    (void)state;
    ane_error e = {0};
    ane_mapping m;
    const char *path = golden_path("int8", "model.mlpackage/Data/com.apple.CoreML/model.mlmodel");
    assert_ok(ane_map_file(&m, path, &e), &e);
    unsigned char *copy = malloc(m.size);
    assert_non_null(copy);
    for (size_t n = 0; n < m.size; n++) {
        ane_error cut = {0}, flipped = {0};
        mil_program *p = mil_package_parse(m.data, n, test_folder(), &cut);
        assert_true(!p && cut.code != ANE_OK && cut.message[0]);
        memcpy(copy, m.data, m.size);
        copy[n] ^= 0x55;
        p = mil_package_parse(copy, m.size, test_folder(), &flipped);
        assert_true((p != NULL) == (flipped.code == ANE_OK));
        mil_program_free(p);
    }
    free(copy);
    ane_unmap_file(&m);
}

/* Field 502 { functions { "main": { opset, block } } } with one operation of this type. */
static mil_wire_buffer model_with(const char *opset, const char *operation, bool block_in_it) {
    mil_wire_buffer b = {0};
    size_t program = mil_wire_begin(&b, MODEL_ML_PROGRAM), entry = mil_wire_begin(&b, PROGRAM_FUNCTIONS);
    mil_wire_put_text(&b, MAP_KEY, "main");
    size_t function = mil_wire_begin(&b, MAP_VALUE);
    mil_wire_put_text(&b, FUNCTION_OPSET, opset);
    size_t blocks = mil_wire_begin(&b, FUNCTION_BLOCKS);
    mil_wire_put_text(&b, MAP_KEY, opset);
    size_t block = mil_wire_begin(&b, MAP_VALUE), op = mil_wire_begin(&b, BLOCK_OPERATION);
    mil_wire_put_text(&b, OPERATION_TYPE, operation);
    if (block_in_it) mil_wire_put_text(&b, OPERATION_BLOCK, "");
    mil_wire_end(&b, op);
    mil_wire_end(&b, block);
    mil_wire_end(&b, blocks);
    mil_wire_end(&b, function);
    mil_wire_end(&b, entry);
    mil_wire_end(&b, program);
    assert_false(b.failed);
    return b;
}

static void refuses_operation(
    const char *opset, const char *operation, bool block, ane_code code, const char *part) {
    mil_wire_buffer b = model_with(opset, operation, block);
    refuses_model(b.data, b.size, code, part);
    free(b.data);
}

static void test_refuses_models(void **state) {
    (void)state;
    refuses_model("", 0, ANE_ERROR_FORMAT, "found none in 0 bytes");
    refuses_model("\x08\x05\xa2\x1f\x02", 5, ANE_ERROR_FORMAT, "longer than its message");
    refuses_model("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11, ANE_ERROR_FORMAT, "64 bits");
    refuses_model("\xa2\x1f\x00", 3, ANE_ERROR_UNSUPPORTED, "another kind (field 500)");
    refuses_operation("CoreML9", "relu", false, ANE_ERROR_UNSUPPORTED, "CoreML5 to CoreML8");
    refuses_operation("CoreML8", "resize_nearest", false, ANE_ERROR_UNSUPPORTED, "\"resize_nearest\"");
    refuses_operation("CoreML8", "parameter", false, ANE_ERROR_UNSUPPORTED, "\"parameter\"");
    refuses_operation("CoreML8", "relu", true, ANE_ERROR_UNSUPPORTED, "\"relu\"");
    refuses_operation("CoreML8", "relu", false, ANE_ERROR_ARGUMENT, "x");
    refuses_operation("CoreML8", "const", false, ANE_ERROR_FORMAT, "one result");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_coremltools),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_several_functions),
        cmocka_unit_test(test_refuses_to_write),
        cmocka_unit_test(test_keeps_what_is_no_package),
        cmocka_unit_test(test_refuses_manifests),
        cmocka_unit_test(test_damaged_models),
        cmocka_unit_test(test_refuses_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
