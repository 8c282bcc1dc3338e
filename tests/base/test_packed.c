/* Packed products: every kernel that this processor runs, every transpose, sizes over the edges, against sums in
 * double of the operands as the kernel sees them. */
#include "base/half.h"
#include "base/packed.h"
#include "base/random.h"
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAD = 3 };

static const struct {
    const char *name;
    bool bf16;
} kernels[] = {{"avx512", false}, {"avx512bf16", true}, {"amx", true}, {"amx", false}};

static float *filled(ane_rng *rng, int64_t n) {
    float *x = malloc(sizeof(float) * (size_t)n);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(2 * ane_rng_uniform(rng) - 1);
    return x;
}

static double seen(const ane_packed_source *s, int64_t i, int64_t l, bool bf16) {
    float x = s->x[i * s->stride + l * s->k_stride];
    return bf16 ? ane_f32_from_bf16(ane_bf16_from_f32(x)) : x;
}

/* Operands with their k contiguous, or their rows (columns of B). */
static ane_packed_source operand(float *x, int64_t n, int64_t k, bool along_k) {
    return along_k ? (ane_packed_source){x, k + PAD, 1} : (ane_packed_source){x, 1, n + PAD};
}

static void check(const ane_packed_product *p, const ane_packed_source *b, const float *before, bool bf16) {
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < p->n; j++) {
            double sum = 0, found = p->c[i * p->ldc + j];
            for (int64_t l = 0; l < p->k; l++) sum += seen(&p->a, i, l, bf16) * seen(b, j, l, bf16);
            double expected = sum + (p->store == ANE_ADD ? before[i * p->ldc + j] : 0);
            if (!(fabs(found - expected) <= 1e-6 * (double)(p->k + 4)))
                fail_msg("%s %lldx%lldx%lld strides %lld %lld: [%lld, %lld] is %g, expected %g",
                    p->kernel->name, (long long)p->m, (long long)p->n, (long long)p->k,
                    (long long)p->a.stride, (long long)b->stride, (long long)i, (long long)j, found,
                    expected);
        }
        for (int64_t j = p->n; j < p->ldc; j++) /* between the rows nothing changes */
            assert_true(p->c[i * p->ldc + j] == before[i * p->ldc + j]);
    }
}

/* The sum of squares of every block. */
static void check_squares(const ane_packed_product *p) {
    const double *found = p->squares;
    for (int64_t row = 0; row < p->m; row += p->kernel->rows)
        for (int64_t column = 0; column < p->n; column += p->kernel->columns, found++) {
            double expected = 0;
            for (int64_t i = row; i < p->m && i < row + p->kernel->rows; i++)
                for (int64_t j = column; j < p->n && j < column + p->kernel->columns; j++)
                    expected += pow(p->c[i * p->ldc + j], 2);
            if (!(fabs(*found - expected) <= 1e-6 * expected))
                fail_msg("%s: squares from [%lld, %lld] on are %g, expected %g", p->kernel->name,
                    (long long)row, (long long)column, *found, expected);
        }
}

/* flags: 1, 2: operands lie along k; the rest what becomes of C: put, add, stream, stream where it cannot be. */
static void check_size(
    const ane_packed_kernel *kernel, bool bf16, const int64_t size[3], int flags, bool squares) {
    static const ane_packed_store stores[] = {ANE_PUT, ANE_ADD, ANE_STREAM, ANE_STREAM};
    ane_packed_store store = stores[flags >> 2];
    ane_rng rng = ane_rng_new((uint64_t)flags, 0);
    int64_t m = size[0], n = size[1], k = size[2], ldc = n + PAD;
    if (flags >> 2 == 2) ldc = (ldc + 15) / 16 * 16;
    float *a = filled(&rng, (m + PAD) * (k + PAD)), *b = filled(&rng, (n + PAD) * (k + PAD)),
          *c = aligned_alloc(64, sizeof(float) * (size_t)((m * ldc + 15) / 16 * 16)),
          *before = malloc(sizeof(float) * (size_t)(m * ldc));
    for (int64_t i = 0; i < m * ldc; i++) /* unless added to, C must not be read */
        c[i] = store != ANE_ADD && i % ldc < n ? NAN : (float)ane_rng_uniform(&rng);
    memcpy(before, c, sizeof(float) * (size_t)(m * ldc));
    void *packed = aligned_alloc(64, (size_t)(ane_packed_bytes(kernel, n, k) + 63) / 64 * 64);
    ane_packed_source from = operand(b, n, k, flags & 2);
    ane_packed_pack(kernel, packed, &from, n, k, 2);
    ane_packed_product p = {kernel, m, n, k, operand(a, m, k, flags & 1), packed, c, ldc, store,
        squares ? calloc((size_t)(m * n), sizeof(double)) : NULL, 0};
    ane_packed_run(&p, 2);
    check(&p, &from, before, bf16);
    if (squares) check_squares(&p);
    free(p.squares), free(a), free(b), free(c), free(before), free(packed);
}

static const int64_t sizes[][3] = {{1, 1, 1}, {2, 3, 4}, {12, 32, 16}, {32, 32, 32}, {17, 33, 65},
    {40, 129, 200}, {64, 64, 64}, {13, 31, 385}, {33, 1030, 19}, {50, 40, 1100}, {157, 70, 352},
    {60, 40, 1600}, {50, 530, 64}};

static void test_kernels(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        const ane_packed_kernel *kernel = ane_packed_kernel_find(kernels[i].bf16, kernels[i].name);
        if (!kernel) continue; /* not on this processor */
        assert_string_equal(kernel->name, kernels[i].name);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int flags = 0; flags < 16; flags++)
                for (int squares = 0; squares < 2; squares++)
                    check_size(kernel, kernels[i].bf16, sizes[s], flags, squares);
    }
}

/* Numbers of all sizes, the first kernel for fp32 against additions one after the other in fp32: errors, in parts of the sum
 * of all sizes, are no larger, on the average over all elements. */
static void test_fp32_is_as_exact_as_fp32(void **state) {
    (void)state;
    enum { M = 48, N = 40, K = 700 };
    const ane_packed_kernel *kernel = ane_packed_kernel_find(false, NULL);
    if (!kernel) skip();
    ane_rng rng = ane_rng_new(11, 0);
    float *a = filled(&rng, M * K), *b = filled(&rng, N * K), *c = filled(&rng, M * N);
    for (int i = 0; i < M * K; i++) a[i] = ldexpf(a[i], (int)(ane_rng_uniform(&rng) * 40) - 20);
    for (int i = 0; i < N * K; i++) b[i] = ldexpf(b[i], (int)(ane_rng_uniform(&rng) * 40) - 20);
    void *packed = aligned_alloc(64, (size_t)(ane_packed_bytes(kernel, N, K) + 63) / 64 * 64);
    ane_packed_source from = {b, K, 1};
    ane_packed_pack(kernel, packed, &from, N, K, 1);
    ane_packed_product p = {kernel, M, N, K, {a, K, 1}, packed, c, N, ANE_PUT, NULL, 0};
    ane_packed_run(&p, 1);
    double ours = 0, plain = 0;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double exact = 0, size = 0;
            float sum = 0;
            for (int l = 0; l < K; l++) {
                double x = (double)a[i * K + l] * b[j * K + l];
                exact += x, size += fabs(x);
                sum = fmaf(a[i * K + l], b[j * K + l], sum);
            }
            ours += pow((c[i * N + j] - exact) / size, 2), plain += pow((sum - exact) / size, 2);
            assert_true(fabs(c[i * N + j] - exact) < 1e-6 * size);
        }
    if (ours > plain) fail_msg("%s: %g, fp32 %g", kernel->name, sqrt(ours / M / N), sqrt(plain / M / N));
    free(a), free(b), free(c), free(packed);
}

/* The same bits from any number of threads. */
static void test_threads(void **state) {
    (void)state;
    enum { M = 100, N = 70, K = 900 };
    ane_rng rng = ane_rng_new(5, 0);
    float *a = filled(&rng, M * K), *b = filled(&rng, N * K), *c = filled(&rng, M * N),
          *d = filled(&rng, M * N);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        const ane_packed_kernel *kernel = ane_packed_kernel_find(bf16, NULL);
        if (!kernel) continue;
        void *packed = aligned_alloc(64, (size_t)(ane_packed_bytes(kernel, N, K) + 63) / 64 * 64);
        ane_packed_source from = {b, 1, N};
        ane_packed_product p = {kernel, M, N, K, {a, K, 1}, packed, c, N, ANE_PUT, NULL, 0};
        ane_packed_pack(kernel, packed, &from, N, K, 1);
        ane_packed_run(&p, 1);
        ane_packed_pack(kernel, packed, &from, N, K, 3);
        p.c = d;
        ane_packed_run(&p, 3);
        assert_memory_equal(c, d, sizeof(float) * M * N);
        free(packed);
    }
    free(a), free(b), free(c), free(d);
}

/* A slab of B at a time, by few threads, each with slabs of its own, and by many: the same bits. flags: 1, 2: operands lie
 * along k; 4: added to C. */
static void check_slabs(const ane_packed_kernel *kernel, bool bf16, const int64_t size[3], int flags) {
    int64_t m = size[0], n = size[1], k = size[2];
    ane_rng rng = ane_rng_new(7, 0);
    float *a = filled(&rng, m * k), *b = filled(&rng, n * k), *before = filled(&rng, m * n), *c[3];
    ane_packed_source left = flags & 1 ? (ane_packed_source){a, k, 1} : (ane_packed_source){a, 1, m},
                      right = flags & 2 ? (ane_packed_source){b, k, 1} : (ane_packed_source){b, 1, n};
    static const int threads[3] = {1, 3, 5};
    for (int i = 0; i < 3; i++) {
        c[i] = memcpy(malloc(sizeof(float) * (size_t)(m * n)), before, sizeof(float) * (size_t)(m * n));
        ane_packed_product p = {
            kernel, m, n, k, left, NULL, c[i], n, flags & 4 ? ANE_ADD : ANE_STREAM, NULL, 0};
        p.squares = calloc((size_t)ane_packed_blocks(kernel, m, n), sizeof *p.squares);
        void *room = aligned_alloc(64, (size_t)(ane_packed_slab_bytes(&p, threads[i]) + 63) / 64 * 64);
        ane_packed_run_slabs(&p, &right, room, threads[i]);
        if (i == 0) check(&p, &right, before, bf16);
        assert_memory_equal(c[i], c[0], sizeof(float) * (size_t)(m * n));
        check_squares(&p);
        free(room), free(p.squares);
    }
    free(a), free(b), free(before), free(c[0]), free(c[1]), free(c[2]);
}

static void test_slabs(void **state) {
    (void)state;
    static const struct {
        int64_t size[3];
        int n_flags;
    } shapes[] = {{{70, 45, 900}, 8}, {{33, 1100, 330}, 8}, {{300, 40, 400}, 8}, {{5, 3, 700}, 8},
        {{4200, 36, 500}, 8}, {{40, 50, 20}, 8}, {{37, 5, 19000}, 8}, /* cut along k, in many parts */
        {{150, 110, 1000}, 2}};                                       /* in two */
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        const ane_packed_kernel *kernel = ane_packed_kernel_find(kernels[i].bf16, kernels[i].name);
        if (!kernel) continue;
        ane_packed_product p = {.kernel = kernel, .m = 5000, .n = 1000, .k = 900, .a = {NULL, 900, 1}};
        assert_true(ane_packed_slab_bytes(&p, 5) < ane_packed_bytes(kernel, 1000, 900));
        assert_true(ane_packed_slab_bytes(&p, 2) == 2 * ane_packed_slab_bytes(&p, 5));
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (int f = 0; f < shapes[s].n_flags; f++)
                check_slabs(kernel, kernels[i].bf16, shapes[s].size, f * 5 % 8);
    }
}

static void test_names(void **state) {
    (void)state;
    assert_null(ane_packed_kernel_find(false, "avx512bf16"));
    assert_null(ane_packed_kernel_find(true, "no such kernel"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_fp32_is_as_exact_as_fp32), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_slabs), cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
