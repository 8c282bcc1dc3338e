/* Products of weights that are kept small with packed operands, against sums in double of the same rounded numbers. */
#include "support/support.h"

#include "base/half.h"
#include "base/packed_small.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *filled(ane_rng *rng, int64_t n) {
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (float)ane_rng_normal(rng);
    return x;
}

/* What is kept of row[i]. */
static float kept(ane_gemv_format format, const float *row, int64_t k, int64_t i) {
    if (format == ANE_GEMV_BF16) return ane_f32_from_bf16(ane_bf16_from_f32(row[i]));
    int64_t first = i / ANE_GEMV_GROUP * ANE_GEMV_GROUP;
    float largest = 0;
    for (int64_t j = first; j < k && j < first + ANE_GEMV_GROUP; j++) largest = fmaxf(largest, fabsf(row[j]));
    if (largest == 0) return 0;
    return ane_f32_from_bf16(ane_bf16_from_f32(rintf(row[i] * (127 / largest)) * (largest / 127)));
}

static void check(const ane_packed_kernel *kernel, ane_gemv_format format, const int64_t shape[3], bool add) {
    const int64_t m = shape[0], n = shape[1], k = shape[2], ldc = n + 3;
    ane_rng rng = ane_rng_new((uint64_t)(m + n + k), 0);
    float *w = filled(&rng, m * k), *x = filled(&rng, k * n), *c = filled(&rng, m * ldc),
          *before = malloc((size_t)(m * ldc) * sizeof *before);
    memcpy(before, c, (size_t)(m * ldc) * sizeof *c);
    if (k > 70) memset(w, 0, 64 * sizeof *w); /* a group of zeros */
    void *small = malloc((size_t)ane_gemv_bytes(format, m, k)), *packed = NULL;
    assert_int_equal(posix_memalign(&packed, 64, (size_t)ane_packed_bytes(kernel, n, k)), 0);
    ane_gemv_store(format, small, w, m, k, 2);
    ane_packed_pack(kernel, packed, &(ane_packed_source){x, 1, n}, n, k, 2);
    ane_packed_run_small(&(ane_packed_small){kernel, format, small, m, n, k, packed, c, ldc, add}, 2);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < ldc; j++) {
            double sum = j >= n || add ? before[i * ldc + j] : 0, size = 0;
            for (int64_t l = 0; j < n && l < k; l++) {
                double one = (double)kept(format, w + i * k, k, l) *
                             ane_f32_from_bf16(ane_bf16_from_f32(x[l * n + j]));
                sum += one, size += fabs(one);
            }
            assert_true(fabs(c[i * ldc + j] - sum) <= 1e-6 * (size + fabs(sum)));
        }
    free(w), free(x), free(c), free(before), free(small), free(packed);
}

static void test_products(void **state) {
    (void)state;
    static const int64_t shapes[][3] = {{32, 32, 64}, {1, 1, 1}, {16, 40, 33}, {17, 32, 172}, {50, 70, 288},
        {96, 64, 100}, {40, 33, 2100}}; /* the last: in two parts along k */
    const ane_packed_kernel *kernel = ane_packed_kernel_find(true, "amx");
    if (!kernel) skip();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int add = 0; add < 2; add++) {
            check(kernel, ANE_GEMV_BF16, shapes[i], add);
            check(kernel, ANE_GEMV_INT8, shapes[i], add);
        }
}

static void test_what_there_is(void **state) {
    (void)state;
    static const char *const names[] = {"amx", "avx512bf16"};
    for (int i = 0; i < 2; i++) {
        const ane_packed_kernel *kernel = ane_packed_kernel_find(true, names[i]);
        if (!kernel) continue;
        assert_int_equal(ane_packed_takes_small(kernel, ANE_GEMV_BF16), i == 0);
        assert_int_equal(ane_packed_takes_small(kernel, ANE_GEMV_INT8), i == 0);
        assert_false(ane_packed_takes_small(kernel, ANE_GEMV_F32));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
