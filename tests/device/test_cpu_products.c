/* Products by every kernel that this processor has, in every precision, against the reference interpreter.
 *
 * Inputs are bf16 numbers, which every precision holds exactly, so that what differs is the sum alone. Sums of k = 96 (or
 * 400) products below 1 in fp32: their rounding stays under k * 2^-24 * |partial sum| < 1e-4; in fp16 the result is
 * rounded to 2^-11 of values up to 2^6. Weights are fp32: in bf16 each is off by up to 2^-9, which makes 96 of them, with
 * random signs, differ by up to 6 * sqrt(96) * 2^-9 * 0.6 < 0.1; in fp16 by an eighth of that. */
#include "device/compare.h"

#include "base/gemm.h"
#include "base/packed.h"
#include "device/cpu/vector.h"

#include <stdio.h>

#define SHAPE(...)                                                                                           \
    (int64_t[]) {                                                                                            \
        __VA_ARGS__                                                                                          \
    }

static mil_value exact_input(mil_function *f, const char *name, int rank, const int64_t *dim) {
    return mil_cast(f, mil_input(f, name, mil_tensor(MIL_BF16, rank, dim)), MIL_FP32);
}

/* All transposes, from inputs; `rows` x 96 times 96 x `columns`. */
static mil_program *matmuls(int64_t rows, int64_t columns, int64_t k) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value a[2] = {exact_input(f, "a", 2, SHAPE(rows, k)), exact_input(f, "at", 2, SHAPE(k, rows))},
              b[2] = {exact_input(f, "b", 2, SHAPE(k, columns)), exact_input(f, "bt", 2, SHAPE(columns, k))};
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "y%d", i);
        mil_output(f, name, mil_matmul(f, a[i & 1], b[i >> 1], i & 1, i >> 1));
    }
    return p;
}

static mil_program *lone_product(bool transposed, int64_t n, int64_t k) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value a = mil_input(f, "a", mil_tensor(MIL_FP32, 2, transposed ? SHAPE(k, 96) : SHAPE(96, k))),
              b = mil_input(f, "b", mil_tensor(MIL_FP32, 2, SHAPE(k, n)));
    mil_output(f, "y", mil_matmul(f, a, b, transposed, false));
    return p;
}

/* Three convolutions of one input with weights: packed once, read three times. */
static mil_program *convolutions(void) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 4, SHAPE(1, 96, 1, 70)));
    for (int i = 0; i < 3; i++) {
        char name[2][16];
        snprintf(name[0], sizeof name[0], "w%d", i);
        snprintf(name[1], sizeof name[1], "y%d", i);
        mil_value w = mil_param(f, name[0], mil_tensor(MIL_FP32, 4, SHAPE(64 + 8 * i, 96, 1, 1)));
        mil_output(f, name[1], mil_conv(f, x, w));
    }
    return p;
}

static const struct {
    const char *products, *precision;
    double exact, rounded; /* bounds for bf16 inputs, for fp32 ones */
} kernels[] = {
    {"library", "fp32", 1e-4, 1e-4},
    {"library", "bf16", 1e-4, 0.1},
    {"library", "fp16", 1e-3, 0.02},
    {"avx512", "fp32", 1e-4, 1e-4},
    {"avx512", "fp16", 1e-3, 0.02},
    {"amx", "fp32", 1e-4, 1e-4},
    {"amx", "fp16", 1e-3, 0.02},
    {"avx512bf16", "bf16", 1e-4, 0.1},
    {"amx", "bf16", 1e-4, 0.1},
};

/* One column: weights are kept small, in bf16 2^-9 off, in int8 up to half of 1 / 127 (weights lie in (-1, 1)): 96 of
 * them with random signs, 6 deviations: 6 * sqrt(96) * 0.6 * 0.6 / 254 < 0.1. */
static mil_program *column(int64_t in, int64_t out) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 4, SHAPE(1, in, 1, 1)));
    mil_value w = mil_param(f, "w", mil_tensor(MIL_FP32, 4, SHAPE(out, in, 1, 1)));
    mil_output(f, "y", mil_conv(f, x, w));
    return p;
}

static void test_one_column(void **state) {
    (void)state;
    static const struct {
        const char *precision;
        double bound;
    } cases[] = {{"fp32", 1e-4}, {"bf16", 0.1}, {"int8", 0.1}};
    static const char *const vectors[] = {"avx512", "avx2", "baseline"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t v = 0; v < sizeof vectors / sizeof *vectors; v++) {
            char spec[96];
            snprintf(
                spec, sizeof spec, "cpu:threads=2,vectors=%s,precision=%s", vectors[v], cases[i].precision);
            if (!ane_cpu_vectors(vectors[v])) continue;
            compare_program(column(96, 200), spec, i + 1, (compare_range){-1, 1}, MIL_EXACT, cases[i].bound);
            compare_program(column(70, 33), spec, i + 1, (compare_range){-1, 1}, MIL_EXACT, cases[i].bound);
        }
}

/* Two bindings share one copy, which follows the master. */
static void test_small_copies_are_shared(void **state) {
    (void)state;
    enum { IN = 640, OUT = 512 };
    ane_error e = {0};
    compare_run r;
    mil_program *p = column(IN, OUT);
    compare_prepare(&r, p, "cpu:threads=1,precision=int8", 1, (compare_range){-1, 1});
    int64_t before = ane_device_memory(r.device).bytes;
    ane_binding *b = ane_binding_new(r.kernel, &e);
    assert_ok(b && ane_bind_weight(b, "w", r.weights[0], (int64_t)IN * OUT, &e), &e);
    assert_int_equal(ane_device_memory(r.device).bytes, before);
    ane_binding_free(b);
    for (int i = 0; i < IN * OUT; i++) r.params[0].array.data[i] = r.weights[0][i] = 0.5f;
    assert_ok(ane_weights_changed(r.binding, &e) && ane_run(r.binding, NULL, &e), &e);
    compare_outputs(&r, MIL_EXACT, 1e-4, "changed");
    ane_device *d = r.device;
    r.device = NULL;
    compare_free(&r);
    assert_true(ane_device_memory(d).bytes < OUT * IN / 2);
    ane_device_close(d);
    mil_program_free(p);
}

static bool is_here(const char *products, const char *precision) {
    return strcmp(products, "library") == 0 ||
           ane_packed_kernel_find(strcmp(precision, "bf16") == 0, products);
}

static void test_every_kernel(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{64, 48, 96}, {70, 35, 400}, {50, 9, 17}, {130, 200, 96}};
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        if (!is_here(kernels[i].products, kernels[i].precision)) continue;
        char spec[128];
        snprintf(spec, sizeof spec, "cpu:threads=2,products=%s,precision=%s", kernels[i].products,
            kernels[i].precision);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            compare_program(matmuls(sizes[s][0], sizes[s][1], sizes[s][2]), spec, s + 1,
                (compare_range){-1, 1}, MIL_EXACT, kernels[i].exact);
        compare_program(convolutions(), spec, 9, (compare_range){-1, 1}, MIL_EXACT, kernels[i].rounded);
    }
}

static int count(const char *text, const char *what) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++) n++;
    return n;
}

/* Three products of one operand. */
static void check_shared(const char *spec, int packs, int slabs) {
    compare_run r;
    mil_program *p = convolutions();
    compare_prepare(&r, p, spec, 1, (compare_range){-1, 1});
    char *text = ane_kernel_describe(r.kernel);
    assert_int_equal(count(text, " pack "), packs);
    assert_int_equal(count(text, "packed in slabs"), slabs);
    assert_int_equal(count(text, " gemm "), 3);
    free(text);
    compare_free(&r);
    mil_program_free(p);
}

/* An operand of several products: many threads pack it once; few for each of them, where that is faster. */
static void test_shared_operands(void **state) {
    (void)state;
    const ane_packed_kernel *best = ane_packed_kernel_find(false, NULL);
    bool slabs = best && !best->shares_b;
    check_shared("cpu:threads=8", best != NULL, 0);
    check_shared("cpu:threads=2", best && !slabs, slabs ? 3 : 0);
    check_shared("cpu:threads=2,products=library", 0, 0);
}

typedef struct lonely {
    bool transposed;
    int64_t n, k;
    int threads;
} lonely;

/* Few threads pack in slabs what they do not share; all of them what is wide, or long, and large where they share it. */
static bool expects_slabs(const ane_packed_kernel *kernel, const lonely *l) {
    bool few = l->threads == 2, wide = l->n > 4 * 96, large = l->n * l->k * kernel->bytes > 4 << 20;
    return (kernel->shares_b ? wide : few) || (l->k >= 512 && (large || !kernel->shares_b));
}

static void check_lonely(const char *products, const ane_packed_kernel *kernel, const lonely *l) {
    char spec[64];
    snprintf(spec, sizeof spec, "cpu:threads=%d%s", l->threads, products);
    bool slabs = kernel && expects_slabs(kernel, l);
    compare_run r;
    mil_program *p = lone_product(l->transposed, l->n, l->k);
    compare_prepare(&r, p, spec, 1, (compare_range){-1, 1});
    char *text = ane_kernel_describe(r.kernel);
    assert_int_equal(count(text, " pack "), kernel && !slabs);
    assert_int_equal(count(text, "packed in slabs"), slabs);
    assert_int_equal(count(text, " gemm "), 1);
    free(text);
    compare_free(&r);
    mil_program_free(p);
    if (l->n * l->k < 1 << 20) /* the reference takes seconds for more */
        compare_program(
            lone_product(l->transposed, l->n, l->k), spec, 2, (compare_range){-1, 1}, MIL_EXACT, 1e-4);
}

/* An operand that a single product reads. */
static void test_lonely_operands(void **state) {
    (void)state;
    const ane_packed_kernel *avx512 = ane_packed_kernel_find(false, "avx512");
    for (int variant = 0; variant < 16; variant++) {
        const lonely l = {variant & 1, variant & 8 ? 500 : 70, variant & 2 ? 5000 : 96, variant & 4 ? 8 : 2};
        check_lonely("", ane_packed_kernel_find(false, NULL), &l);
        if (avx512) check_lonely(",products=avx512", avx512, &l);
        check_lonely(",products=library", NULL, &l);
    }
}

/* The product of a lone operand, by so many threads. */
static float *lone_result(const lonely *l, const char *products) {
    char spec[96];
    ane_error e = {0};
    compare_run r;
    snprintf(spec, sizeof spec, "cpu:threads=%d%s", l->threads, products);
    mil_program *p = lone_product(l->transposed, l->n, l->k);
    compare_prepare(&r, p, spec, 1, (compare_range){-1, 1});
    assert_ok(ane_run(r.binding, NULL, &e), &e);
    float *y = malloc(sizeof *y * (size_t)(96 * l->n));
    assert_ok(ane_buffer_read_f32(r.buffers[COMPARE_PORTS], y, 96 * l->n, &e), &e);
    compare_free(&r);
    mil_program_free(p);
    return y;
}

/* Few threads and many make the same bits of narrow products and wide, short and long. */
static void test_threads_make_the_same_bits(void **state) {
    (void)state;
    static const char *const products[] = {",products=avx512", ",products=avx512bf16,precision=bf16"};
    for (int variant = 0; variant < 16; variant++) {
        const char *by = products[variant >> 3];
        if (!ane_packed_kernel_find(variant >> 3, variant >> 3 ? "avx512bf16" : "avx512")) continue;
        lonely l = {variant & 1, variant & 2 ? 500 : 70, variant & 4 ? 2500 : 330, 2};
        float *two = lone_result(&l, by);
        l.threads = 8;
        float *eight = lone_result(&l, by);
        assert_memory_equal(two, eight, sizeof *two * (size_t)(96 * l.n));
        free(two), free(eight);
    }
}

static void test_refused(void **state) {
    (void)state;
    static const char *const specs[][2] = {
        {"cpu:products=avx512bf16", "products=avx512bf16 cannot be had here in fp32"},
        {"cpu:products=avx512,precision=bf16", "products=avx512 cannot be had here in bf16"},
        {"cpu:products=fast", "products=fast cannot be had here"},
        {"cpu:products=a_name_of_great_length", "no products by \"a_name_of_great_length\""},
    };
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        ane_error e = {0};
        assert_null(ane_device_open(specs[i][0], &e));
        assert_error(&e, ANE_ERROR_ARGUMENT, specs[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kernel),
        cmocka_unit_test(test_one_column),
        cmocka_unit_test(test_small_copies_are_shared),
        cmocka_unit_test(test_shared_operands),
        cmocka_unit_test(test_lonely_operands),
        cmocka_unit_test(test_threads_make_the_same_bits),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
