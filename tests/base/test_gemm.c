/* Products: every flag and odd sizes, the library and the matrix-vector loops against plain sums in double. */
#include "base/gemm.h"
#include "base/gemm_impl.h"
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
static void test_gemv_kernels(void **state) {
    (void)state;
    const ane_gemv_kernels *sets[3] = {&ane_gemv_baseline};
    int n_sets = 1;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) sets[n_sets++] = &ane_gemv_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
        sets[n_sets++] = &ane_gemv_avx512;
#endif
    ane_rng rng = ane_rng_new(1, 0);
    float *x = filled(&rng, 300), *y = filled(&rng, 300), z[300];
    for (int s = 0; s < n_sets; s++)
        for (int n = 0; n < 300; n = n < 20 ? n + 1 : n + 37) {
            double sum = 0;
            for (int i = 0; i < n; i++) sum += (double)x[i] * y[i];
            assert_true(fabs(sets[s]->dot(x, y, n) - sum) < 1e-5);
            memcpy(z, y, sizeof z);
            sets[s]->axpy(z, 0.5f, x, n);
            for (int i = 0; i < 300; i++) assert_true(fabs(z[i] - (y[i] + (i < n ? 0.5 * x[i] : 0))) < 1e-6);
        }
    free(x);
    free(y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_library),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_inside_parallel_for),
        cmocka_unit_test(test_gemv_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
