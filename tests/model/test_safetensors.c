#include "support/support.h"

#include "anemone/model.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *path(void) {
    static char p[256];
    snprintf(p, sizeof p, "%s/x.safetensors", test_folder());
    return p;
}

static void put(const void *data, size_t size) {
    ane_error e = {0};
    assert_ok(ane_write_file(path(), data, size, &e), &e);
}

/* A file with this header and `bytes` bytes of data. */
static void put_file(const char *header, size_t bytes) {
    size_t n = strlen(header);
    char *file = calloc(1, 8 + n + bytes + 1);
    assert_non_null(file);
    for (int i = 0; i < 8; i++) file[i] = (char)(n >> 8 * i);
    memcpy(file + 8, header, n);
    put(file, 8 + n + bytes);
    free(file);
}

static void round_trip(void **state) {
    (void)state;
    ane_error e = {0};
    const float a[6] = {1, -2, 3.5f, 0, 1e-30f, -1e30f};
    const uint16_t b[3] = {1, 2, 0xffff};
    const ane_safetensor tensors[] = {
        {"odd", mil_tensor(MIL_UINT8, 1, (int64_t[]){3}), "abc"},
        {"a", mil_tensor(MIL_FP32, 2, (int64_t[]){2, 3}), a},
        {"b \"quoted\" \xc3\xa9", mil_tensor(MIL_BF16, 1, (int64_t[]){3}), b},
        {"scalar", mil_scalar(MIL_FP32), a + 2},
    };
    const char *const metadata[] = {"format", "pt", "note", "line\nbreak", NULL};
    assert_ok(ane_safetensors_write(path(), 4, tensors, metadata, &e), &e);
    ane_safetensors *s = ane_safetensors_open(path(), &e);
    assert_ok(s, &e);
    assert_int_equal(ane_safetensors_count(s), 4);
    for (int i = 0; i < 4; i++) {
        const ane_safetensor *t = ane_safetensors_find(s, tensors[i].name);
        assert_non_null(t);
        assert_true(mil_type_equal(&t->type, &tensors[i].type));
        assert_memory_equal(t->data, tensors[i].data, mil_type_bytes(&t->type));
        assert_string_equal(ane_safetensors_at(s, i)->name, tensors[i].name);
    }
    assert_null(ane_safetensors_find(s, "c"));
    assert_null(ane_safetensors_at(s, 4));
    assert_null(ane_safetensors_at(s, -1));
    assert_string_equal(ane_safetensors_metadata(s, "note"), "line\nbreak");
    assert_null(ane_safetensors_metadata(s, "none"));
    ane_safetensors_close(s);
}

/* What others may write: no metadata, tensors out of order in the header, empty tensors, spaces behind the
 * header. */
static void others_files(void **state) {
    (void)state;
    ane_error e = {0};
    put_file("{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]},"
             "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[4,4]},"
             "\"a\":{\"dtype\":\"I16\",\"shape\":[2],\"data_offsets\":[0,4]}}   ",
        8);
    ane_safetensors *s = ane_safetensors_open(path(), &e);
    assert_ok(s, &e);
    assert_string_equal(ane_safetensors_at(s, 0)->name, "a");
    assert_int_equal(ane_safetensors_find(s, "empty")->type.dim[1], 5);
    assert_null(ane_safetensors_metadata(s, "format"));
    ane_safetensors_close(s);
}

static void refused_headers(void **state) {
    (void)state;
#define T(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
    static const struct {
        const char *header;
        size_t bytes;
        ane_code code;
        const char *part;
    } cases[] = {
        {"{\"a\":", 0, ANE_ERROR_FORMAT, "not valid JSON"},
        {"[]", 0, ANE_ERROR_FORMAT, "JSON object"},
        {"{\"a\":1}", 0, ANE_ERROR_FORMAT, "\"dtype\""},
        {"{\"a\xff\":1}", 0, ANE_ERROR_FORMAT, "decode byte 0xff"},
        {"{\"__metadata__\":3}", 0, ANE_ERROR_FORMAT, "__metadata__"},
        {"{\"__metadata__\":{\"a\":3}}", 0, ANE_ERROR_FORMAT, "__metadata__"},
        {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"a\":" T("F32", "[1]", "[0,4]") "}", 4, ANE_ERROR_FORMAT,
            "duplicate"},
        {"{\"a\":" T("F8_E4M3", "[4]", "[0,4]") "}", 4, ANE_ERROR_UNSUPPORTED, "F8_E4M3"},
        {"{\"a\":" T("F32", "4", "[0,4]") "}", 4, ANE_ERROR_FORMAT, "list of sizes"},
        {"{\"a\":" T("F32", "[-1]", "[0,4]") "}", 4, ANE_ERROR_FORMAT, "list of sizes"},
        {"{\"a\":" T("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, ANE_ERROR_UNSUPPORTED, "9 dimensions"},
        {"{\"a\":" T("F32", "[4294967296,4294967296]", "[0,4]") "}", 4, ANE_ERROR_FORMAT, "63 bits"},
        {"{\"a\":" T("F32", "[2]", "[0,4]") "}", 4, ANE_ERROR_FORMAT, "takes 8 bytes, its offsets span 4"},
        {"{\"a\":" T("F32", "[1]", "[0]") "}", 4, ANE_ERROR_FORMAT, "data_offsets"},
        {"{\"a\":" T("F32", "[1]", "[4,0]") "}", 4, ANE_ERROR_FORMAT, "data_offsets"},
        {"{\"a\":" T("F32", "[1]", "[-4,0]") "}", 4, ANE_ERROR_FORMAT, "data_offsets"},
        {"{\"a\":" T("F32", "[1]", "[\"0\",4]") "}", 4, ANE_ERROR_FORMAT, "data_offsets"},
        {"{\"a\":" T("F32", "[2]", "[0,8]") "}", 4, ANE_ERROR_FORMAT, "truncated"},
        {"{\"a\":" T("F32", "[1]", "[0,4]") "}", 8, ANE_ERROR_FORMAT, "end at byte 4 of 8"},
        {"{\"a\":" T("F32", "[1]", "[4,8]") "}", 8, ANE_ERROR_FORMAT, "hole"},
        {"{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":" T("F32", "[1]", "[4,8]") "}", 8, ANE_ERROR_FORMAT,
            "overlaps"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ane_error e = {0};
        put_file(cases[i].header, cases[i].bytes);
        if (ane_safetensors_open(path(), &e)) fail_msg("accepted: %s", cases[i].header);
        assert_non_null(strstr(e.where, "x.safetensors"));
        assert_error(&e, cases[i].code, cases[i].part);
    }
}

static void refused_lengths(void **state) {
    (void)state;
    ane_error e = {0};
    put("", 0);
    assert_null(ane_safetensors_open(path(), &e));
    assert_error(&e, ANE_ERROR_FORMAT, "has 0 bytes");
    put("\x10\0\0\0\0\0\0\0{}", 10);
    assert_null(ane_safetensors_open(path(), &e));
    assert_error(&e, ANE_ERROR_FORMAT, "should have 16 bytes, found 2");
    put("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    assert_null(ane_safetensors_open(path(), &e));
    assert_error(&e, ANE_ERROR_FORMAT, "at most 100000000");
    assert_null(ane_safetensors_open("/nowhere/x", &e));
    assert_error(&e, ANE_ERROR_IO, "/nowhere/x");
}

static void refused_writes(void **state) {
    (void)state;
    ane_error e = {0};
    float x = 1;
    ane_safetensor twice[] = {{"a", mil_scalar(MIL_FP32), &x}, {"a", mil_scalar(MIL_FP32), &x}};
    put("old", 3);
    assert_false(ane_safetensors_write(path(), 2, twice, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "\"a\" is taken");
    twice[0].name = "__metadata__";
    assert_false(ane_safetensors_write(path(), 1, twice, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "taken");
    twice[0].name = "\xff";
    assert_false(ane_safetensors_write(path(), 1, twice, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "UTF-8");
    twice[0] = (ane_safetensor){"a", mil_scalar(MIL_INT4), &x};
    assert_false(ane_safetensors_write(path(), 1, twice, NULL, &e));
    assert_error(&e, ANE_ERROR_TYPE, "int4");
    const char *const metadata[] = {"k", "\xff", NULL};
    assert_false(ane_safetensors_write(path(), 0, NULL, metadata, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "metadata");
    size_t size;
    char *old = ane_read_text(path(), 100, &size, &e);
    assert_string_equal(old, "old"); /* a refused write leaves what was there */
    free(old);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(others_files),
        cmocka_unit_test(refused_headers),
        cmocka_unit_test(refused_lengths),
        cmocka_unit_test(refused_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
