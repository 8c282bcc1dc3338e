/* The host's parts of a step, against plain loops in double precision. */
#include "support/support.h"

#include "base/half.h"
#include "base/packed.h"
#include "base/random.h"
#include "model/host.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *normal(int64_t n, double scale, uint64_t seed) {
    float *x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    ane_rng rng = ane_rng_new(seed, 1);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(scale * ane_rng_normal(&rng));
    return x;
}

/* Loss of a column; the gradient into d when it is not NULL. */
static double plain_loss(
    const float *z, int64_t vocab, int64_t columns, int64_t n, int32_t target, double scale, double *d) {
    double sum = 0, max = z[n];
    for (int64_t v = 0; v < vocab; v++)
        if (z[v * columns + n] > max) max = z[v * columns + n];
    for (int64_t v = 0; v < vocab; v++) sum += exp(z[v * columns + n] - max);
    for (int64_t v = 0; d && v < vocab; v++)
        d[v] = target < 0 ? 0 : scale * (exp(z[v * columns + n] - max) / sum - (v == target));
    return target < 0 ? 0 : log(sum) + max - z[target * columns + n];
}

static void check_cross_entropy(int64_t vocab, int64_t columns, double spread, int threads) {
    float *z = normal(vocab * columns, spread, (uint64_t)(vocab + columns)),
          *work = calloc(vocab * columns, sizeof *z);
    int32_t *targets = calloc((size_t)columns, sizeof *targets);
    double *loss = calloc((size_t)columns, sizeof *loss), *d = calloc((size_t)vocab, sizeof *d);
    for (int64_t n = 0; n < columns; n++) targets[n] = n % 5 == 4 ? -1 : (int32_t)(n * 7919 % vocab);
    for (int gradient = 0; gradient < 2; gradient++) {
        memcpy(work, z, (size_t)(vocab * columns) * sizeof *z);
        ane_cross_entropy(work, vocab, columns, targets, 0.25f, gradient, loss, threads);
        if (!gradient) assert_memory_equal(work, z, (size_t)(vocab * columns) * sizeof *z);
        for (int64_t n = 0; n < columns; n++) {
            double expected = plain_loss(z, vocab, columns, n, targets[n], 0.25, d);
            if (fabs(loss[n] - expected) > 3e-7 * fmax(1, expected))
                fail_msg("%.9g, expected %.9g", loss[n], expected);
            for (int64_t v = 0; gradient && v < vocab; v++)
                if (fabs(work[v * columns + n] - d[v]) > 2e-7 * 0.25)
                    fail_msg("[%d, %d]: %.9g, expected %.9g", (int)v, (int)n, work[v * columns + n], d[v]);
        }
    }
    free(z);
    free(work);
    free(targets);
    free(loss);
    free(d);
}

static void cross_entropy(void **state) {
    (void)state;
    check_cross_entropy(1, 1, 1, 1);
    check_cross_entropy(97, 192, 2, 2);
    check_cross_entropy(1000, 67, 1, 3);
    check_cross_entropy(300, 16, 60, 1); /* exponentials that vanish */
    check_cross_entropy(32000, 20, 3, 2);
    check_cross_entropy(40, 1030, 1, 2); /* more columns than are worked on together */
}

/* Nothing may hide a number that is none. */
static void cross_entropy_of_nan(void **state) {
    (void)state;
    const float bad[] = {NAN, INFINITY, ane_f32_from_bits(0xffffffffu)};
    for (int i = 0; i < 3; i++) {
        float z[6] = {1, 2, 3, 4, bad[i], 6};
        const int32_t targets[2] = {0, 1};
        double loss[2];
        ane_cross_entropy(z, 3, 2, targets, 1, true, loss, 1);
        assert_true(!isfinite(loss[0]) && isfinite(loss[1]));
        assert_true(!isfinite(z[0]) && isfinite(z[1]));
    }
}

/* The same bits for any number of threads. */
static void threads_change_nothing(void **state) {
    (void)state;
    enum { VOCAB = 50, COLUMNS = 100 };
    float *a = normal(VOCAB * COLUMNS, 1, 5), *b = normal(VOCAB * COLUMNS, 1, 5);
    int32_t targets[COLUMNS];
    double loss_a[COLUMNS], loss_b[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) targets[i] = i % VOCAB;
    ane_cross_entropy(a, VOCAB, COLUMNS, targets, 1, true, loss_a, 1);
    ane_cross_entropy(b, VOCAB, COLUMNS, targets, 1, true, loss_b, 3);
    assert_memory_equal(a, b, VOCAB * COLUMNS * sizeof *a);
    assert_memory_equal(loss_a, loss_b, sizeof loss_a);
    free(a);
    free(b);
}

static void embedding(void **state) {
    (void)state;
    enum { VOCAB = 9, DIM = 37, N = 41 };
    float *table = normal(VOCAB * DIM, 1, 1), x[DIM * N], back[N * DIM], d_table[VOCAB * DIM] = {0};
    double expected[VOCAB * DIM] = {0};
    int32_t tokens[N];
    for (int n = 0; n < N; n++) tokens[n] = n * 5 % (VOCAB - 1); /* the last word never occurs */
    ane_embedding_gather(x, table, tokens, DIM, N, 2);
    for (int n = 0; n < N; n++)
        for (int c = 0; c < DIM; c++) assert_true(x[c * N + n] == table[tokens[n] * DIM + c]);
    ane_transpose(back, x, DIM, N, 2);
    for (int n = 0; n < N; n++)
        assert_memory_equal(back + n * DIM, table + tokens[n] * DIM, DIM * sizeof(float));
    d_table[3] = 100;
    expected[3] = 100;
    double growth = ane_embedding_scatter(d_table, 0, VOCAB, x, tokens, DIM, N, 2), squares = 0;
    for (int n = 0; n < N; n++)
        for (int c = 0; c < DIM; c++) expected[tokens[n] * DIM + c] += x[c * N + n];
    for (int i = 0; i < VOCAB * DIM; i++) assert_true(fabs(d_table[i] - expected[i]) < 1e-4);
    for (int i = 0; i < VOCAB * DIM; i++) squares += (double)d_table[i] * d_table[i];
    assert_true(fabs(growth + 100 * 100 - squares) < 1e-6 * squares);
    for (int first = 0; first < VOCAB; first += 4) { /* some rows at a time: the same bits */
        float part[4 * DIM] = {0};
        int rows = VOCAB - first < 4 ? VOCAB - first : 4;
        if (first == 0) part[3] = 100;
        ane_embedding_scatter(part, first, rows, x, tokens, DIM, N, 2);
        assert_memory_equal(part, d_table + (ptrdiff_t)first * DIM, (size_t)rows * DIM * sizeof *part);
    }
    free(table);
}

/* gradient (+)= left right^T, whichever way the operands lie, from fp32 and from fp16 buffers. */
static void products(void **state) {
    (void)state;
    enum { M = 5, K = 7, N = 11 };
    ane_error e = {0};
    ane_device *device = ane_device_open("cpu:threads=1", &e);
    assert_ok(device, &e);
    float *left = normal(M * N, 1, 1), *right = normal(K * N, 1, 2), staged[2][K * N];
    float *const staging[2] = {staged[0], staged[1]};
    _Alignas(64) char packed[4 * 64 * 64];
    for (int variant = 0; variant < 32; variant++) {
        bool lt = variant & 1, rt = variant & 2, add = variant & 16;
        mil_dtype dtype = variant & 4 ? MIL_FP16 : MIL_FP32;
        float l[M * N], r[K * N], gradient[M * K];
        for (int n = 0; n < N; n++) {
            for (int m = 0; m < M; m++) l[lt ? n * M + m : m * N + n] = left[m * N + n];
            for (int k = 0; k < K; k++) r[rt ? n * K + k : k * N + n] = right[k * N + n];
        }
        for (int i = 0; i < M * K; i++) gradient[i] = add ? (float)i : NAN;
        const mil_param_grad how = {"w", true, NULL, "l", "r", lt, rt, M, N, K};
        ane_product p = {.how = &how,
            .left = ane_buffer_new(device, mil_tensor(dtype, 1, (int64_t[]){M * N}), &e),
            .right = ane_buffer_new(device, mil_tensor(dtype, 1, (int64_t[]){K * N}), &e),
            .gradient = gradient,
            .threads = 1};
        assert_ok(p.left && p.right, &e);
        p.kernel = variant & 8 ? ane_packed_kernel_find(false, NULL) : NULL;
        assert_true(ane_product_room(&p, M) <= (int64_t)sizeof packed &&
                    (ane_product_room(&p, M) > 0) == (p.kernel != NULL));
        p.packed = packed;
        assert_ok(
            ane_buffer_write_f32(p.left, l, M * N, &e) && ane_buffer_write_f32(p.right, r, K * N, &e), &e);
        assert_ok(ane_product_form(&p, add, staging, &e), &e);
        for (int m = 0; m < M; m++)
            for (int k = 0; k < K; k++) {
                double sum = add ? m * K + k : 0;
                for (int n = 0; n < N; n++) sum += (double)left[m * N + n] * right[k * N + n];
                assert_true(fabs(gradient[m * K + k] - sum) < (dtype == MIL_FP16 ? 2e-2 : 1e-5));
            }
        for (int first = 0; first < M; first += 2) { /* some rows at a time; they begin where all would */
            int rows = M - first < 2 ? M - first : 2;
            float part[2 * K];
            p.gradient = part;
            assert_ok(ane_product_form_rows(&p, first, rows, false, staging, &e), &e);
            for (int i = 0; i < rows * K; i++) {
                float before = add ? (float)(first * K + i) : 0;
                assert_true(fabsf(part[i] + before - gradient[first * K + i]) < 1e-5F);
            }
        }
        assert_true(ane_product_flops(&how) == 2 * M * N * K);
        ane_buffer_free(p.left);
        ane_buffer_free(p.right);
    }
    const mil_param_grad value = {.param = "w", .value = "v", .m = M, .k = 1};
    float gradient[M] = {1, 1, 1, 1, 1};
    ane_product p = {.how = &value,
        .value = ane_buffer_new(device, mil_tensor(MIL_FP32, 1, (int64_t[]){M}), &e),
        .gradient = gradient,
        .threads = 1};
    assert_ok(ane_buffer_write_f32(p.value, left, M, &e) && ane_product_form(&p, true, staging, &e), &e);
    for (int i = 0; i < M; i++) assert_true(gradient[i] == 1 + left[i]);
    assert_ok(ane_product_form(&p, false, staging, &e), &e);
    for (int i = 0; i < M; i++) assert_true(gradient[i] == left[i]);
    ane_buffer_free(p.value);
    ane_device_close(device);
    free(left);
    free(right);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy),
        cmocka_unit_test(cross_entropy_of_nan),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(embedding),
        cmocka_unit_test(products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
