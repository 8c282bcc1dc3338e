/* Products: every flag and odd sizes, the library and the matrix-vector loops against plain sums in double. */
#include "base/gemm.h"
#include "base/gemm_impl.h"
#include "base/half.h"
#include "base/parallel.h"
#include "base/random.h"
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAD = 3 };

typedef struct matrices {
    float *a, *b, *c, *before;
    int64_t a_size, b_size, c_size;
} matrices;

static float *filled(ane_rng *rng, int64_t n) {
    float *x = malloc(sizeof(float) * (size_t)n);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(2 * ane_rng_uniform(rng) - 1);
    return x;
}

static matrices make(ane_gemm *g, uint64_t seed) {
    ane_rng rng = ane_rng_new(seed, 0);
    matrices m;
    g->lda = (g->transpose_a ? g->m : g->k) + PAD;
    g->ldb = (g->transpose_b ? g->k : g->n) + PAD;
    g->ldc = g->n + PAD;
    m.a_size = g->lda * (g->transpose_a ? g->k : g->m);
    m.b_size = g->ldb * (g->transpose_b ? g->n : g->k);
    m.c_size = g->ldc * g->m;
    g->a = m.a = filled(&rng, m.a_size);
    g->b = m.b = filled(&rng, m.b_size);
    g->c = m.c = filled(&rng, m.c_size);
    if (g->beta == 0) /* must not be read */
        for (int64_t i = 0; i < g->m; i++)
            for (int64_t j = 0; j < g->n; j++) m.c[i * g->ldc + j] = NAN;
    m.before = malloc(sizeof(float) * (size_t)m.c_size);
    memcpy(m.before, m.c, sizeof(float) * (size_t)m.c_size);
    return m;
}

static void check(const ane_gemm *g, const matrices *m, const char *what) {
    for (int64_t i = 0; i < g->m; i++) {
        for (int64_t j = 0; j < g->n; j++) {
            double sum = 0;
            for (int64_t l = 0; l < g->k; l++)
                sum += (double)(g->transpose_a ? g->a[l * g->lda + i] : g->a[i * g->lda + l]) *
                       (g->transpose_b ? g->b[j * g->ldb + l] : g->b[l * g->ldb + j]);
            double expected = g->alpha * sum + (g->beta == 0 ? 0 : g->beta * m->before[i * g->ldc + j]);
            double found = g->c[i * g->ldc + j];
            if (!(fabs(found - expected) <= 1e-6 * (double)(g->k + 4)))
                fail_msg("%s %lldx%lldx%lld %c%c beta %g: [%lld, %lld] is %g, expected %g", what,
                    (long long)g->m, (long long)g->n, (long long)g->k, g->transpose_a ? 'T' : 'N',
                    g->transpose_b ? 'T' : 'N', g->beta, (long long)i, (long long)j, found, expected);
        }
        for (int64_t j = g->n; j < g->ldc; j++) /* between the rows nothing changes */
            assert_true(g->c[i * g->ldc + j] == m->before[i * g->ldc + j]);
    }
}

static void run_library(const ane_gemm *g) {
    ane_gemm_run(g, 2);
}

static void for_all_flags(void (*run)(const ane_gemm *g), const char *what, int64_t m, int64_t n, int64_t k) {
    for (int flags = 0; flags < 4; flags++)
        for (int beta = 0; beta < 3; beta++) {
            ane_gemm g = {.transpose_a = flags & 1,
                .transpose_b = flags >> 1,
                .m = m,
                .n = n,
                .k = k,
                .alpha = beta == 2 ? 0.5f : 1,
                .beta = beta == 2 ? -2 : (float)beta};
            matrices x = make(&g, (uint64_t)(flags + 4 * beta));
            run(&g);
            check(&g, &x, what);
            free(x.a), free(x.b), free(x.c), free(x.before);
        }
}

static const int64_t sizes[][3] = {{1, 1, 1}, {1, 7, 5}, {9, 1, 4}, {3, 5, 0}, {2, 3, 4}, {17, 33, 65},
    {40, 129, 200}, {64, 64, 64}, {1, 300, 1100}, {300, 1, 1100}, {1, 1, 5000}, {130, 3, 257}, {200, 1, 300},
    {1, 2100, 33}};

static void test_library(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for_all_flags(run_library, ane_gemm_library(), sizes[i][0], sizes[i][1], sizes[i][2]);
    assert_true(strlen(ane_gemm_library()) > 0);
}

static void test_plain(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for_all_flags(ane_gemm_plain, "plain", sizes[i][0], sizes[i][1], sizes[i][2]);
}

/* From several parallel parts at once, each on one thread. */
static void part(void *context, int64_t begin, int64_t end) {
    const ane_gemm *g = context;
    for (int64_t i = begin; i < end; i++) ane_gemm_run(&g[i], 2);
}

static void test_inside_parallel_for(void **state) {
    (void)state;
    enum { N = 6 };
    ane_gemm g[N];
    matrices m[N];
    for (int i = 0; i < N; i++) {
        g[i] = (ane_gemm){.m = 20 + i, .n = i == 3 ? 1 : 31, .k = 40, .alpha = 1};
        m[i] = make(&g[i], (uint64_t)i);
    }
    ane_parallel_for(N, 1, 2, part, g);
    for (int i = 0; i < N; i++) {
        check(&g[i], &m[i], "parallel");
        free(m[i].a), free(m[i].b), free(m[i].c), free(m[i].before);
    }
}

/* Every set of matrix-vector loops that this processor can run. */
static int loops(const ane_gemv_kernels *sets[4], const char *names[4]) {
    int n = 0;
    sets[n] = &ane_gemv_baseline, names[n++] = "baseline";
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        sets[n] = &ane_gemv_avx2, names[n++] = "avx2";
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
        for (int vnni = 0; vnni < 2; vnni++) /* int8 has loops of its own for VNNI, where that is there */
            sets[n] = &ane_gemv_avx512, names[n++] = vnni ? "avx512" : "avx512bw";
#endif
    return n;
}

static void test_gemv_axpy(void **state) {
    (void)state;
    const ane_gemv_kernels *sets[4];
    const char *names[4];
    int n_sets = loops(sets, names);
    ane_rng rng = ane_rng_new(1, 0);
    float *x = filled(&rng, 300), *y = filled(&rng, 300), z[300];
    for (int s = 0; s < n_sets; s++)
        for (int n = 0; n < 300; n = n < 20 ? n + 1 : n + 37) {
            memcpy(z, y, sizeof z);
            sets[s]->axpy(z, 0.5f, x, n);
            for (int i = 0; i < 300; i++) assert_true(fabs(z[i] - (y[i] + (i < n ? 0.5 * x[i] : 0))) < 1e-6);
        }
    free(x);
    free(y);
}

/* What a stored number may be off: half a unit of bf16's 8 bits, or half a step of 127 of its group's largest. */
static double stored_bound(ane_gemv_format format, const float *row, int64_t k, int64_t i) {
    if (format == ANE_GEMV_F32) return 0;
    if (format == ANE_GEMV_BF16) return ldexp(fabs(row[i]), -8) * 0.5 + 1e-9;
    double largest = 0;
    for (int64_t j = i / ANE_GEMV_GROUP * ANE_GEMV_GROUP; j < k && j / ANE_GEMV_GROUP == i / ANE_GEMV_GROUP;
         j++)
        largest = fmax(largest, fabs(row[j]));
    return largest / 127 * 0.5001;
}

/* Weights kept small: against double, within what storing may cost, and every path bit for bit like the first; in bf16 like
 * the first that multiplies and adds in one rounding. */
static void check_stored(ane_gemv_format format, int64_t rows, int64_t k) {
    enum { STRIDE = 2 };
    const ane_gemv_kernels *sets[4];
    const char *names[4];
    int n_sets = loops(sets, names);
    ane_rng rng = ane_rng_new((uint64_t)(rows + k), 0);
    float *m = filled(&rng, rows * k), *x = filled(&rng, k), *y = filled(&rng, STRIDE * rows),
          *first = filled(&rng, STRIDE * rows);
    if (k > 70) memset(m, 0, 64 * sizeof *m); /* a group of zeros */
    void *stored = malloc((size_t)ane_gemv_bytes(format, rows, k));
    ane_gemv_store(format, stored, m, rows, k, 2);
    for (int s = 0; s < n_sets; s++) {
        bool is_first = s == 0 || (s == 1 && format == ANE_GEMV_BF16);
        ane_gemv v = {format, false, stored, rows, k, x, is_first ? first : y, STRIDE};
        ane_gemv_multiply(&v, 1, names[s], 2);
        for (int64_t r = 0; r < rows; r++) {
            double sum = 0, bound = 1e-6 * (double)(k + 4);
            for (int64_t i = 0; i < k; i++) {
                sum += (double)m[r * k + i] * x[i];
                bound += fabs(x[i]) * stored_bound(format, m + r * k, k, i);
            }
            assert_true(fabs(v.y[STRIDE * r] - sum) <= bound);
            assert_true(v.y[STRIDE * r] == first[STRIDE * r]);
        }
        v.add = true, v.y = y;
        float before = s ? y[0] : (y[0] = 1);
        ane_gemv_multiply(&v, 1, names[s], 1);
        assert_true(y[0] == before + first[0]);
    }
    free(m), free(x), free(y), free(first), free(stored);
}

static void test_gemv_stored(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {
        {1, 1}, {3, 63}, {2, 64}, {65, 65}, {5, 288}, {130, 200}, {7, 1000}, {200, 768}, {521, 130}};
    for (ane_gemv_format f = 0; f < ANE_GEMV_FORMATS; f++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            check_stored(f, shapes[i][0], shapes[i][1]);
    assert_int_equal(ane_gemv_row_bytes(ANE_GEMV_INT8, 65), 2 * 68);
    assert_int_equal(ane_gemv_bytes(ANE_GEMV_INT8, 17, 65), 32 * 2 * 68);
    assert_int_equal(ane_gemv_bytes(ANE_GEMV_BF16, 17, 65), 32 * 66 * 2);
}

static void test_gemv_round(void **state) {
    (void)state;
    enum { N = 77 };
    ane_rng rng = ane_rng_new(9, 0);
    float *x = filled(&rng, N);
    uint16_t rounded[N + 1] = {[N] = 7};
    x[3] = NAN, x[5] = -INFINITY, x[7] = 0x1.01p0f, x[9] = 0x1.03p0f; /* the last two lie in the middle */
    ane_gemv_round(rounded, x, N);
    for (int i = 0; i < N; i++) assert_int_equal(rounded[i], ane_bf16_from_f32(x[i]));
    assert_int_equal(rounded[N], 7);
    free(x);
}

typedef struct several {
    ane_gemv products[3];
    int threads;
} several;

static void multiply_several(void *context) {
    const several *s = context;
    ane_gemv_multiply(s->products, 3, NULL, s->threads);
}

/* Several products in pieces, which any thread may take: the same bits from any number of threads, gathered or not. */
static void test_gemv_pieces(void **state) {
    (void)state;
    enum { K = 768, ROWS = 301, ALL = 3 * ROWS };
    ane_rng rng = ane_rng_new(8, 0);
    float *m = filled(&rng, (int64_t)ALL * K), *x = filled(&rng, K), first[ALL], y[ALL];
    for (ane_gemv_format f = 0; f < ANE_GEMV_FORMATS; f++) {
        int64_t bytes = ane_gemv_bytes(f, ROWS, K);
        char *stored = malloc(3 * (size_t)bytes);
        several s = {.threads = 1};
        for (int i = 0; i < 3; i++) {
            ane_gemv_store(f, stored + i * bytes, m + (ptrdiff_t)i * ROWS * K, ROWS, K, 1);
            s.products[i] =
                (ane_gemv){f, false, stored + i * bytes, ROWS, K, x, first + (ptrdiff_t)i * ROWS, 1};
        }
        multiply_several(&s);
        for (int i = 0; i < 3; i++) s.products[i].y = y + (ptrdiff_t)i * ROWS;
        for (s.threads = 1; s.threads <= 5; s.threads++)
            for (int held = 0; held < 2; held++) {
                for (int i = 0; i < ALL; i++) y[i] = NAN;
                held ? ane_parallel_hold(s.threads, multiply_several, &s) : multiply_several(&s);
                assert_memory_equal(y, first, sizeof y);
            }
        free(stored);
    }
    free(m), free(x);
}

/* What is not finite stays so, and long rows go through in pieces. */
static void test_gemv_int8_extremes(void **state) {
    (void)state;
    enum { K = 2 * ANE_NARROW + 100, ROWS = 3 };
    ane_rng rng = ane_rng_new(5, 0);
    float *m = filled(&rng, (int64_t)ROWS * K), *x = filled(&rng, K), y[ROWS];
    void *stored = malloc((size_t)ane_gemv_bytes(ANE_GEMV_INT8, ROWS, K));
    ane_gemv_store(ANE_GEMV_INT8, stored, m, ROWS, K, 1);
    const ane_gemv v = {ANE_GEMV_INT8, false, stored, ROWS, K, x, y, 1};
    const ane_gemv_kernels *sets[4];
    const char *names[4];
    for (int s = 0, n = loops(sets, names); s < n; s++) {
        ane_gemv_multiply(&v, 1, names[s], 1);
        for (int r = 0; r < ROWS; r++) {
            double sum = 0;
            for (int64_t i = 0; i < K; i++) sum += (double)m[r * K + i] * x[i];
            assert_true(fabs(y[r] - sum) < 0.5); /* 16,484 roundings of up to 1 / 254 at random signs */
        }
        float kept = x[ANE_NARROW + 1];
        static const float wrong[] = {NAN, INFINITY, -INFINITY};
        for (int i = 0; i < 3; i++) {
            x[ANE_NARROW + 1] = wrong[i];
            ane_gemv_multiply(&v, 1, names[s], 1);
            for (int r = 0; r < ROWS; r++) assert_true(isnan(y[r]));
        }
        x[ANE_NARROW + 1] = kept;
    }
    free(m), free(x), free(stored);
}

/* Rows as a cache of keys or values has them, beside each other with others between. */
static void test_gemv_short_rows(void **state) {
    (void)state;
    enum { APART = 3, ROWS = 37, LONGEST = 130 };
    static const int64_t lengths[] = {1, 16, 20, 64, 80, LONGEST};
    const ane_gemv_kernels *sets[4];
    const char *names[4];
    ane_rng rng = ane_rng_new(6, 0);
    float *m = filled(&rng, ROWS * (LONGEST + APART)), *x = filled(&rng, LONGEST), *w = filled(&rng, ROWS);
    uint16_t small[ROWS * (LONGEST + APART)];
    ane_bf16_array_from_f32(small, m, ROWS * (LONGEST + APART));
    ane_f32_array_from_bf16(m, small, ROWS * (LONGEST + APART));
    for (int s = 0, n = loops(sets, names); s < n; s++)
        for (size_t i = 0; i < 2 * sizeof lengths / sizeof *lengths; i++) {
            bool bf16 = i % 2;
            int64_t k = lengths[i / 2], ld = k + APART;
            ane_gemv_format format = bf16 ? ANE_GEMV_BF16 : ANE_GEMV_F32;
            const void *matrix = bf16 ? (const void *)small : m;
            float dots[ROWS], sums[LONGEST];
            ane_gemv_dots(format, matrix, (bf16 ? 2 : 4) * ld, ROWS, k, x, dots, names[s]);
            ane_gemv_sums(format, matrix, (bf16 ? 2 : 4) * ld, ROWS, k, w, sums, names[s]);
            for (int64_t r = 0; r < ROWS; r++) {
                double dot = 0;
                for (int64_t j = 0; j < k; j++) dot += (double)m[r * ld + j] * x[j];
                assert_true(fabs(dots[r] - dot) < 1e-5);
            }
            for (int64_t j = 0; j < k; j++) {
                double sum = 0;
                for (int64_t r = 0; r < ROWS; r++) sum += (double)m[r * ld + j] * w[r];
                assert_true(fabs(sums[j] - sum) < 1e-5);
            }
        }
    free(m), free(x), free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_library),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_inside_parallel_for),
        cmocka_unit_test(test_gemv_axpy),
        cmocka_unit_test(test_gemv_stored),
        cmocka_unit_test(test_gemv_round),
        cmocka_unit_test(test_gemv_pieces),
        cmocka_unit_test(test_gemv_int8_extremes),
        cmocka_unit_test(test_gemv_short_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
