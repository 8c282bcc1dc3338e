#include "support/support.h"

#include "base/file.h"
#include "base/npy.h"

#include <stdio.h>
#include <string.h>

/* A file with this header and `size` bytes of data, in version `version`. */
static size_t make_file(unsigned char *out, int version, const char *header, const void *data, size_t size) {
    size_t n = strlen(header), at = 8;
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (unsigned char)version;
    out[7] = 0;
    for (int i = 0; i < (version == 1 ? 2 : 4); i++) out[at++] = (unsigned char)(n >> (8 * i));
    memcpy(out + at, header, n);
    memcpy(out + at + n, data, size);
    return at + n + size;
}

static const int16_t six[] = {-1, 2, -3, 4, -5, 6};

static void reads_every_version(void **state) {
    (void)state;
    for (int version = 1; version <= 3; version++) {
        unsigned char file[256];
        size_t n = make_file(
            file, version, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }\n", six, 12);
        ane_npy a;
        ane_error e = {0};
        assert_ok(ane_npy_parse(&a, file, n, "x.npy", &e), &e);
        assert_int_equal(a.rank, 2);
        assert_int_equal(a.dim[1], 3);
        assert_string_equal(ane_npy_dtype_name(&a), "int16");
        for (int i = 0; i < 6; i++) assert_true(ane_npy_at(&a, i) == six[i]);
    }
}

static void reads_columns_first(void **state) {
    (void)state;
    unsigned char file[256];
    size_t n = make_file(file, 1, "{'shape': (3, 2), 'fortran_order': True, 'descr': '<i2'}", six, 12);
    ane_npy a;
    ane_error e = {0};
    assert_ok(ane_npy_parse(&a, file, n, "x.npy", &e), &e);
    const double rows[] = {-1, 4, 2, -5, -3, 6};
    for (int i = 0; i < 6; i++) assert_true(ane_npy_at(&a, i) == rows[i]);
}

static void reads_every_type(void **state) {
    (void)state;
    static const struct {
        const char *descr;
        unsigned char bytes[8];
        size_t size;
        double value;
    } cases[] = {
        {"<f2", {0x00, 0xc1}, 2, -2.5},
        {"<f4", {0, 0, 0x20, 0xc0}, 4, -2.5},
        {"<f8", {0, 0, 0, 0, 0, 0, 0x04, 0xc0}, 8, -2.5},
        {"|i1", {0xff}, 1, -1},
        {"|u1", {0xff}, 1, 255},
        {"<i2", {0xfe, 0xff}, 2, -2},
        {"<u2", {0xfe, 0xff}, 2, 65534},
        {"<i4", {0xfe, 0xff, 0xff, 0xff}, 4, -2},
        {"<u4", {0xfe, 0xff, 0xff, 0xff}, 4, 4294967294.0},
        {"<i8", {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 8, -2},
        {"<u8", {7}, 8, 7},
        {"|b1", {2}, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[96];
        unsigned char file[256];
        snprintf(
            header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': ()}", cases[i].descr);
        size_t n = make_file(file, 1, header, cases[i].bytes, cases[i].size);
        ane_npy a;
        ane_error e = {0};
        assert_ok(ane_npy_parse(&a, file, n, "x.npy", &e), &e);
        assert_int_equal(a.count, 1);
        assert_true(ane_npy_at(&a, 0) == cases[i].value);
    }
}

static void refuse(int version, const char *header, size_t data, ane_code code, const char *part) {
    unsigned char file[512] = {0}, zeros[64] = {0};
    size_t n = make_file(file, version, header, zeros, data);
    ane_npy a;
    ane_error e = {0};
    assert_false(ane_npy_parse(&a, file, n, "x.npy", &e));
    assert_string_equal(e.where, "x.npy");
    assert_error(&e, code, part);
}

static void refuses_bad_headers(void **state) {
    (void)state;
    refuse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4,)}", 15, ANE_ERROR_FORMAT, "truncated");
    refuse(4, "", 0, ANE_ERROR_UNSUPPORTED, "version 4");
    refuse(1, "", 0, ANE_ERROR_FORMAT, "expected \"{\"");
    refuse(1, "{'descr': '<f4', 'shape': ()}", 4, ANE_ERROR_FORMAT, "missing");
    refuse(
        1, "{'descr': '>f4', 'fortran_order': False, 'shape': ()}", 4, ANE_ERROR_UNSUPPORTED, "big-endian");
    refuse(1, "{'descr': '<c8', 'fortran_order': False, 'shape': ()}", 8, ANE_ERROR_UNSUPPORTED, "<c8");
    refuse(1, "{'descr': '', 'fortran_order': False, 'shape': ()}", 8, ANE_ERROR_UNSUPPORTED, "element type");
    refuse(1, "{'descr': '<f', 'fortran_order': False, 'shape': ()}", 8, ANE_ERROR_UNSUPPORTED, "<f");
    refuse(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", 8, ANE_ERROR_UNSUPPORTED,
        "records");
    refuse(1, "{'descr': '<f4', 'fortran_order': Maybe, 'shape': ()}", 8, ANE_ERROR_FORMAT, "True or False");
    refuse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': 3}", 8, ANE_ERROR_FORMAT, "shape");
    refuse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}", 8, ANE_ERROR_FORMAT, "a dimension");
    refuse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3 4)}", 8, ANE_ERROR_FORMAT, "\",\" or");
    refuse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 8, ANE_ERROR_FORMAT,
        "at most 8");
    refuse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 8,
        ANE_ERROR_FORMAT, "below 2^63");
    refuse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 8,
        ANE_ERROR_FORMAT, "more than 2^63");
    refuse(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693952,)}", 8,
        ANE_ERROR_FORMAT, "truncated");
    refuse(1, "{'descr': '<f4', 'colour': 1}", 8, ANE_ERROR_FORMAT, "one of descr");
    refuse(1, "{'descr", 0, ANE_ERROR_FORMAT, "end of a string");
}

static void refuses_what_is_no_array(void **state) {
    (void)state;
    ane_npy a;
    ane_error e = {0};
    assert_false(ane_npy_parse(&a, "", 0, "x.npy", &e));
    assert_error(&e, ANE_ERROR_FORMAT, "not a NumPy array");
    assert_false(ane_npy_parse(&a, "PK\3\4 a zip file, really", 20, "x.npz", &e));
    assert_error(&e, ANE_ERROR_FORMAT, "not a NumPy array");
    assert_false(ane_npy_parse(&a, "\x93NUMPY\1\0\xff\xff{", 11, "x.npy", &e));
    assert_error(&e, ANE_ERROR_FORMAT, "65535 bytes");
    assert_false(ane_npy_parse(&a, "\x93NUMPY\2\0\xff\xff", 10, "x.npy", &e));
    assert_error(&e, ANE_ERROR_FORMAT, "within the header");
}

static void round_trip(void **state) {
    (void)state;
    static const struct {
        int rank;
        int64_t dim[3], count;
    } shapes[] = {{0, {0}, 1}, {1, {5}, 5}, {3, {1, 2, 3}, 6}, {2, {0, 4}, 0}};
    const float x[] = {0, -1.5f, 2, 3e30f, -0.0f, 6};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/x.npy", test_folder());
        ane_npy a = {.kind = 'f',
                    .item = 4,
                    .rank = shapes[i].rank,
                    .count = shapes[i].count,
                    .data = (const unsigned char *)x},
                b;
        memcpy(a.dim, shapes[i].dim, sizeof shapes[i].dim);
        ane_error e = {0};
        assert_ok(ane_npy_write(path, &a, &e), &e);
        ane_mapping m;
        assert_ok(ane_map_file(&m, path, &e), &e);
        assert_ok(ane_npy_parse(&b, m.data, m.size, path, &e), &e);
        assert_int_equal((b.data - m.data) % 64, 0);
        assert_int_equal(b.rank, a.rank);
        assert_memory_equal(b.dim, a.dim, sizeof a.dim);
        assert_memory_equal(b.data, x, (size_t)a.count * 4);
        assert_int_equal(m.size, (size_t)(b.data - m.data) + (size_t)a.count * 4);
        ane_unmap_file(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_every_version),
        cmocka_unit_test(reads_columns_first), cmocka_unit_test(reads_every_type),
        cmocka_unit_test(refuses_bad_headers), cmocka_unit_test(refuses_what_is_no_array),
        cmocka_unit_test(round_trip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
