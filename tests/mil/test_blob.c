/* Blob files: byte for byte what coremltools writes; everything a lying file can say is refused. */
#include "support/support.h"

#include "anemone/mil.h"
#include "base/file.h"
#include "mil/blob.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What tests/golden/blob_coremltools.py wrote, in order; integers follow its ramp(). */
static const struct {
    mil_dtype dtype;
    int count;
    int64_t modulus, low;
    uint64_t offset, bytes, padding_bits;
} golden[] = {
    {MIL_FP16, 5, 0, 0, 64, 10, 0},
    {MIL_FP32, 3, 0, 0, 192, 12, 0},
    {MIL_UINT8, 65, 256, 0, 320, 65, 0},
    {MIL_INT8, 64, 256, -128, 512, 64, 0},
    {MIL_INT16, 33, 65536, -32768, 640, 66, 0},
    {MIL_UINT16, 1, 65536, 0, 832, 2, 0},
    {MIL_INT4, 7, 16, -8, 960, 4, 4},
    {MIL_UINT1, 11, 2, 0, 1088, 2, 5},
    {MIL_UINT2, 5, 4, 0, 1216, 2, 6},
    {MIL_UINT4, 9, 16, 0, 1344, 5, 4},
    {MIL_UINT3, 11, 8, 0, 1472, 5, 7},
    {MIL_UINT6, 3, 64, 0, 1600, 3, 6},
    {MIL_INT32, 2, INT64_C(1) << 31, 0, 1728, 8, 0},
    {MIL_UINT32, 17, INT64_C(1) << 32, 0, 1856, 68, 0},
};
enum { N_GOLDEN = sizeof golden / sizeof *golden };

static const char *golden_path(void) {
    static char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/blob_coremltools.bin", ANEMONE_ROOT);
    return path;
}

/* Elements of golden blob i, packed low bits first, little-endian. */
static void fill(int i, unsigned char *data) {
    if (golden[i].dtype == MIL_FP16) {
        memcpy(data, (uint16_t[]){0xb800, 0xb400, 0, 0x3400, 0x3800}, 10);
    } else if (golden[i].dtype == MIL_FP32) {
        memcpy(data, (float[]){-0.5f, -0.25f, 0}, 12);
    } else {
        int bits = mil_dtype_bits(golden[i].dtype);
        memset(data, 0, golden[i].bytes);
        for (int j = 0; j < golden[i].count; j++) {
            uint64_t x = (uint64_t)((j * 7 + 3) % golden[i].modulus + golden[i].low);
            for (int k = 0; k < bits; k++)
                if (x >> k & 1) data[(j * bits + k) / 8] |= (unsigned char)(1 << (j * bits + k) % 8);
        }
    }
}

static void test_reads_coremltools(void **state) {
    (void)state;
    ane_error e = {0};
    mil_blob_file *b = mil_blob_open(golden_path(), &e);
    assert_ok(b, &e);
    assert_int_equal(mil_blob_count(b), N_GOLDEN);
    for (int i = 0; i < N_GOLDEN; i++) {
        const mil_blob_entry *entry = mil_blob_at(b, i);
        unsigned char data[256];
        fill(i, data);
        assert_int_equal(entry->offset, golden[i].offset);
        assert_int_equal(entry->dtype, golden[i].dtype);
        assert_int_equal(entry->bytes, golden[i].bytes);
        assert_int_equal(entry->padding_bits, golden[i].padding_bits);
        assert_memory_equal(entry->data, data, entry->bytes);
        assert_ptr_equal(mil_blob_find(b, golden[i].offset), entry);
        assert_null(mil_blob_find(b, golden[i].offset + 64));
    }
    assert_null(mil_blob_at(b, N_GOLDEN));
    assert_null(mil_blob_at(b, -1));
    assert_null(mil_blob_find(b, 0));
    mil_blob_close(b);
}

static void test_writes_as_coremltools(void **state) {
    (void)state;
    ane_error e = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/ours.bin", test_folder());
    mil_blob_writer *w = mil_blob_writer_open(path, &e);
    assert_ok(w, &e);
    for (int i = 0; i < N_GOLDEN; i++) {
        unsigned char data[256];
        fill(i, data);
        assert_int_equal(mil_blob_writer_add(w, golden[i].dtype, golden[i].count, data), golden[i].offset);
    }
    assert_ok(mil_blob_writer_commit(w, &e), &e);
    ane_mapping ours, theirs;
    assert_ok(ane_map_file(&ours, path, &e) && ane_map_file(&theirs, golden_path(), &e), &e);
    assert_int_equal(ours.size, theirs.size);
    assert_memory_equal(ours.data, theirs.data, ours.size);
    ane_unmap_file(&ours);
    ane_unmap_file(&theirs);
}

static void test_single_matrix(void **state) {
    (void)state;
    ane_error e = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/one.bin", test_folder());
    uint16_t w[6] = {1, 2, 3, 4, 5, 6};
    mil_blob_writer *writer = mil_blob_writer_open(path, &e);
    assert_ok(writer, &e);
    assert_int_equal(mil_blob_writer_add(writer, MIL_FP16, 6, w), 64);
    assert_ok(mil_blob_writer_commit(writer, &e), &e);
    ane_mapping m;
    assert_ok(ane_map_file(&m, path, &e), &e);
    assert_int_equal(m.size, 128 + 12);
    const unsigned char want[] = {0xef, 0xbe, 0xad, 0xde, 1, 0, 0, 0, 12};
    assert_memory_equal(m.data + 64, want, sizeof want);
    assert_int_equal(m.data[0], 1);
    assert_int_equal(m.data[4], 2);
    assert_int_equal(m.data[80], 128);
    assert_memory_equal(m.data + 128, w, 12);
    ane_unmap_file(&m);
}

static void test_writer_errors(void **state) {
    (void)state;
    ane_error e = {0};
    char path[256];
    assert_null(mil_blob_writer_open("/nowhere/at/all.bin", &e));
    assert_error(&e, ANE_ERROR_IO, "/nowhere/at/all.bin");
    snprintf(path, sizeof path, "%s/bad.bin", test_folder());
    mil_blob_writer *w = mil_blob_writer_open(path, &e);
    assert_ok(w, &e);
    double x = 1;
    assert_int_equal(mil_blob_writer_add(w, MIL_FP64, 1, &x), 0);
    assert_false(mil_blob_writer_commit(w, &e));
    assert_error(&e, ANE_ERROR_TYPE, "cannot hold fp64");
    assert_false(ane_path_exists(path));
    w = mil_blob_writer_open(path, &e);
    assert_ok(w, &e);
    assert_int_equal(mil_blob_writer_add(w, MIL_INT8, -1, &x), 0);
    assert_false(mil_blob_writer_commit(w, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "-1 elements");
    w = mil_blob_writer_open(path, &e);
    assert_ok(w, &e);
    mil_blob_writer_abort(w);
    mil_blob_writer_abort(NULL);
    assert_false(ane_path_exists(path));
}

/* The golden file with one number changed: `width` bytes at `at`. */
static void expect_refused(
    size_t at, size_t width, uint64_t value, size_t size, ane_code code, const char *part) {
    ane_mapping m;
    ane_error e = {0};
    assert_ok(ane_map_file(&m, golden_path(), &e), &e);
    unsigned char *copy = malloc(m.size + 64);
    memcpy(copy, m.data, m.size);
    memset(copy + m.size, 0, 64);
    memcpy(copy + at, &value, width);
    mil_blob_file *b = mil_blob_open_memory(copy, size ? size : m.size, &e);
    assert_null(b);
    assert_error(&e, code, part);
    ane_unmap_file(&m);
    free(copy);
}

static void test_lies(void **state) {
    (void)state;
    expect_refused(0, 4, 15, 0, ANE_ERROR_FORMAT, "expected 15 blobs as the header says, found 14");
    expect_refused(4, 4, 1, 0, ANE_ERROR_FORMAT, "expected blob storage version 2 at byte 4, found 1");
    expect_refused(64, 4, 0xDEADBEEE, 0, ANE_ERROR_FORMAT, "blob at 64: expected the mark 0xdeadbeef");
    expect_refused(68, 4, 0, 0, ANE_ERROR_FORMAT, "element type 0");
    expect_refused(68, 4, 16, 0, ANE_ERROR_UNSUPPORTED, "element type 16");
    expect_refused(68, 4, 99, 0, ANE_ERROR_FORMAT, "element type 99");
    expect_refused(72, 8, 11, 0, ANE_ERROR_FORMAT, "hold no whole number of fp16");
    expect_refused(72, 8, UINT64_MAX, 0, ANE_ERROR_FORMAT, "end behind the file's end");
    expect_refused(72, 8, 4096, 0, ANE_ERROR_FORMAT, "end behind the file's end at 1988");
    expect_refused(72, 8, 1980 - 128, 0, ANE_ERROR_FORMAT, "expected another blob at 1984");
    expect_refused(80, 8, 0, 0, ANE_ERROR_FORMAT, "multiple of 64 from 128 on, found 0");
    expect_refused(80, 8, 130, 0, ANE_ERROR_FORMAT, "found 130");
    expect_refused(80, 8, UINT64_MAX - 63, 0, ANE_ERROR_FORMAT, "end behind the file's end");
    expect_refused(88, 8, 4, 0, ANE_ERROR_FORMAT, "at most 0 padding bits for fp16, found 4");
    expect_refused(960 + 24, 8, 8, 0, ANE_ERROR_FORMAT, "at most 7 padding bits for int4, found 8");
    expect_refused(960 + 24, 8, 3, 0, ANE_ERROR_FORMAT, "no whole number of int4");
    expect_refused(0, 0, 0, 63, ANE_ERROR_FORMAT, "header of 64 bytes, found 63 bytes");
    expect_refused(0, 0, 0, 1987, ANE_ERROR_FORMAT, "blob at 1856: its 68 bytes from 1920 end behind");
    expect_refused(0, 0, 0, 1856 + 40, ANE_ERROR_FORMAT, "expected another blob at 1856");
}

static void test_small_count_is_accepted(void **state) {
    (void)state;
    ane_error e = {0};
    ane_mapping m;
    assert_ok(ane_map_file(&m, golden_path(), &e), &e);
    unsigned char *copy = malloc(m.size);
    memcpy(copy, m.data, m.size);
    copy[0] = 1;
    mil_blob_file *b = mil_blob_open_memory(copy, m.size, &e);
    assert_ok(b, &e);
    assert_int_equal(mil_blob_count(b), N_GOLDEN);
    mil_blob_close(b);
    ane_unmap_file(&m);
    free(copy);
}

static void test_open_errors(void **state) {
    (void)state;
    ane_error e = {0};
    assert_null(mil_blob_open("/nowhere/w.bin", &e));
    assert_error(&e, ANE_ERROR_IO, "/nowhere/w.bin");
    char path[256];
    snprintf(path, sizeof path, "%s/empty.bin", test_folder());
    assert_ok(ane_write_file(path, "", 0, &e), &e);
    assert_null(mil_blob_open(path, &e));
    assert_error(&e, ANE_ERROR_FORMAT, "empty.bin");
}

static mil_program *program_with_blob(mil_dtype dtype, int64_t n, const char *path, uint64_t offset) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    assert_ok(p, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value w = mil_const_blob(f, mil_tensor(dtype, 1, &n), path, offset);
    mil_name(f, w, "w");
    mil_output(f, "y", mil_identity(f, w));
    assert_ok(mil_program_ok(p, &e), &e);
    return p;
}

static void test_load(void **state) {
    (void)state;
    ane_error e = {0};
    char folder[256];
    snprintf(folder, sizeof folder, "%s/tests/golden", ANEMONE_ROOT);
    mil_program *p = program_with_blob(MIL_FP16, 5, "@model_path/blob_coremltools.bin", 64);
    assert_ok(mil_program_load_blobs(p, folder, &e), &e);
    const mil_function *f = p->functions[0];
    const mil_constant *c = f->values[mil_find(f, "w")].constant;
    unsigned char data[256];
    fill(0, data);
    assert_memory_equal(c->data, data, 10);
    assert_string_equal(c->blob_path, "@model_path/blob_coremltools.bin");
    assert_ok(mil_program_load_blobs(p, "/nowhere", &e), &e); /* loaded already: nothing to read */
    mil_program_free(p);
}

static void test_load_errors(void **state) {
    (void)state;
    static const struct {
        const char *path, *part;
        int64_t n;
        uint64_t offset;
        mil_dtype dtype;
        ane_code code;
    } cases[] = {
        {"blob_coremltools.bin", "no blob at offset 128", 5, 128, MIL_FP16, ANE_ERROR_FORMAT},
        {"blob_coremltools.bin", "expected a blob of fp32", 5, 64, MIL_FP32, ANE_ERROR_TYPE},
        {"@model_path/blob_coremltools.bin", "needs 12 bytes, but the blob at 64", 6, 64, MIL_FP16,
            ANE_ERROR_SHAPE},
        {"@model_path/missing.bin", "missing.bin", 5, 64, MIL_FP16, ANE_ERROR_IO},
        {"@model_path/../golden/blob_coremltools.bin", "below @model_path", 5, 64, MIL_FP16,
            ANE_ERROR_FORMAT},
        {"..", "below @model_path", 5, 64, MIL_FP16, ANE_ERROR_FORMAT},
        {"a/..", "below @model_path", 5, 64, MIL_FP16, ANE_ERROR_FORMAT},
        {"/etc/passwd", "below @model_path", 5, 64, MIL_FP16, ANE_ERROR_FORMAT},
        {"@model_path/", "below @model_path", 5, 64, MIL_FP16, ANE_ERROR_FORMAT},
        {"@model_path/blob_coremltools.py", "blob_coremltools.py", 5, 64, MIL_FP16, ANE_ERROR_FORMAT},
    };
    char folder[256];
    snprintf(folder, sizeof folder, "%s/tests/golden", ANEMONE_ROOT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ane_error e = {0};
        mil_program *p = program_with_blob(cases[i].dtype, cases[i].n, cases[i].path, cases[i].offset);
        assert_false(mil_program_load_blobs(p, folder, &e));
        assert_error(&e, cases[i].code, cases[i].part);
        mil_program_free(p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_coremltools),
        cmocka_unit_test(test_writes_as_coremltools),
        cmocka_unit_test(test_single_matrix),
        cmocka_unit_test(test_writer_errors),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_small_count_is_accepted),
        cmocka_unit_test(test_open_errors),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_load_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
