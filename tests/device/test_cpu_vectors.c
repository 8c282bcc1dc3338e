/* The inner loops of every vector path: against double precision, and bit for bit at any place in an array. */
#include "base/random.h"
#include "device/cpu/vector.h"
#include "support/support.h"

#include <math.h>
#include <string.h>

enum { N = 4096 };

typedef struct function {
    cpu_map op;
    double (*exact)(double x);
    double low, high, units; /* largest error in units of the last fp32 place */
} function;

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double silu(double x) {
    return x / (1 + exp(-x));
}

static double rsqrt(double x) {
    return 1 / sqrt(x);
}

static double inverse(double x) {
    return 1 / x;
}

static double square(double x) {
    return x * x;
}

static double relu(double x) {
    return x < 0 ? 0 : x;
}

static const function functions[] = {
    {CPU_EXP, exp, -87, 88, 1.5},
    {CPU_EXP, exp, -1, 1, 1},
    {CPU_LOG, log, 1e-37, 1e-30, 1.5},
    {CPU_LOG, log, 0.3, 3, 1.5},
    {CPU_LOG, log, 1, 1e30, 1.5},
    {CPU_SQRT, sqrt, 0, 100, 0.51},
    {CPU_RSQRT, rsqrt, 1e-10, 100, 1.5},
    {CPU_INVERSE, inverse, 0.01, 100, 0.51},
    {CPU_SIN, sin, -10, 10, 1.5},
    {CPU_COS, cos, -10, 10, 1.5},
    {CPU_SIGMOID, sigmoid, -80, 20, 3},
    {CPU_SIGMOID, sigmoid, -88, 120, 3},
    {CPU_SILU, silu, -80, 20, 3.5},
    {CPU_SILU, silu, -88, 120, 3.5},
    {CPU_TANH, tanh, -10, 10, 2.5},
    {CPU_TANH, tanh, -0.01, 0.01, 1},
    {CPU_ERF, erf, -5, 5, 2},
    {CPU_ABS, fabs, -5, 5, 0},
    {CPU_SQUARE, square, -5, 5, 0.51},
    {CPU_RELU, relu, -5, 5, 0},
    {CPU_INVERSE_SQRT, rsqrt, 1e-10, 100, 1.5},
    {CPU_COPY, NULL, -5, 5, 0},
};

static double unit(double x) {
    double a = fabs(x);
    return a < 0x1p-126 ? 0x1p-149 : ldexp(1, ilogb(a) - 23);
}

static void fill(float *x, double low, double high) {
    ane_rng rng = ane_rng_new(7, 0);
    for (int i = 0; i < N; i++) x[i] = (float)(low + (high - low) * ane_rng_uniform(&rng));
}

static void test_functions(void **state) {
    (void)state;
    const char *names[4];
    static float x[N], y[N];
    for (int v = 0, n = ane_cpu_vector_names(names); v < n; v++)
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
            const function *f = &functions[i];
            fill(x, f->low, f->high);
            ane_cpu_vectors(names[v])->map[f->op][0](y, x, NULL, NULL, 0, N);
            for (int k = 0; k < N; k++) {
                double expected = f->exact ? f->exact(x[k]) : x[k],
                       off = fabs(y[k] - expected) / unit(expected);
                if (off > f->units)
                    fail_msg("%s %s(%.9g) is %.9g, expected %.9g: off by %.2f units", names[v],
                        ane_cpu_map_name(f->op), x[k], y[k], expected, off);
            }
        }
}

static void test_edges(void **state) {
    (void)state;
    static const struct {
        cpu_map op;
        float x, y;
    } edges[] = {{CPU_EXP, INFINITY, INFINITY}, {CPU_EXP, -INFINITY, 0}, {CPU_EXP, 89, INFINITY},
        {CPU_EXP, -200, 0}, {CPU_EXP, 0, 1}, {CPU_LOG, 0, -INFINITY}, {CPU_LOG, INFINITY, INFINITY},
        {CPU_LOG, -1, NAN}, {CPU_LOG, 1, 0}, {CPU_LOG, 0x1p-149f, -103.278929f}, {CPU_TANH, INFINITY, 1},
        {CPU_TANH, -INFINITY, -1}, {CPU_TANH, 0, 0}, {CPU_SIGMOID, INFINITY, 1}, {CPU_SIGMOID, -INFINITY, 0},
        {CPU_SIGMOID, -100, 0}, {CPU_SILU, -100, 0}, {CPU_SILU, 1e30f, 1e30f}, {CPU_SILU, NAN, NAN},
        {CPU_ERF, INFINITY, 1}, {CPU_ERF, -INFINITY, -1}, {CPU_SQRT, -1, NAN}, {CPU_EXP, NAN, NAN},
        {CPU_LOG, NAN, NAN}, {CPU_TANH, NAN, NAN}, {CPU_SIGMOID, NAN, NAN}, {CPU_RELU, NAN, NAN},
        {CPU_ERF, NAN, NAN}, {CPU_NOT, 0, 1}, {CPU_NOT, 2, 0}, {CPU_NONZERO, -3, 1}};
    const char *names[4];
    for (int v = 0, n = ane_cpu_vector_names(names); v < n; v++)
        for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
            for (int length = 1; length < 40; length += 19) {
                float x[40], y[40];
                for (int k = 0; k < length; k++) x[k] = edges[i].x;
                ane_cpu_vectors(names[v])->map[edges[i].op][0](y, x, NULL, NULL, 0, length);
                for (int k = 0; k < length; k++)
                    if (isnan(edges[i].y) ? !isnan(y[k]) : y[k] != edges[i].y)
                        fail_msg("%s %s(%g) is %.9g, expected %.9g", names[v], ane_cpu_map_name(edges[i].op),
                            edges[i].x, y[k], edges[i].y);
            }
}

/* Binary loops, with either operand a single number, against the baseline with both spread out. */
static void test_binary_variants(void **state) {
    (void)state;
    static float x[N], y[N], spread[N], d[N], expected[N];
    const char *names[4];
    fill(x, 0.1, 3);
    fill(y, -2, 2);
    for (int v = 0, n = ane_cpu_vector_names(names); v < n; v++)
        for (int op = 0; op < CPU_MAP_COUNT; op++) {
            if (ane_cpu_map_operands(op) != 2) continue;
            const cpu_vectors *path = ane_cpu_vectors(names[v]);
            for (int variant = 0; variant < 3; variant++) {
                for (int i = 0; i < N; i++) spread[i] = variant == CPU_SCALAR_A ? x[0] : y[0];
                const float *a = variant == CPU_SCALAR_A ? spread : x,
                            *b = variant == CPU_SCALAR_B ? spread : y;
                path->map[op][0](expected, a, b, NULL, 0.5f, N);
                path->map[op][variant](d, x, y, NULL, 0.5f, N);
                assert_memory_equal(d, expected, sizeof d);
            }
        }
}

/* An element's bits must not depend on where in the array it stands: threads split arrays anywhere. */
static void test_place_does_not_matter(void **state) {
    (void)state;
    static float x[N], whole[N], apart[N];
    const char *names[4];
    fill(x, 0.01, 4);
    for (int v = 0, n = ane_cpu_vector_names(names); v < n; v++)
        for (int op = 0; op < CPU_MAP_COUNT; op++) {
            cpu_map_fn *map = ane_cpu_vectors(names[v])->map[op][0];
            map(whole, x, x, x, 0.3f, N);
            for (int i = 0; i < N;) {
                int length = i % 7 == 0 ? 1 : i % 29 + 1;
                if (i + length > N) length = N - i;
                map(apart + i, x + i, x + i, x + i, 0.3f, length);
                i += length;
            }
            if (memcmp(whole, apart, sizeof whole) != 0)
                fail_msg("%s %s depends on the place", names[v], ane_cpu_map_name(op));
        }
}

static void test_rows(void **state) {
    (void)state;
    static float x[N], y[N], z[N];
    const char *names[4];
    fill(x, -4, 4);
    for (int v = 0, paths = ane_cpu_vector_names(names); v < paths; v++) {
        const cpu_vectors *path = ane_cpu_vectors(names[v]);
        for (int n = 1; n < N; n = n * 3 / 2 + 1) {
            double sum = 0, exps = 0;
            float most = -INFINITY;
            for (int i = 0; i < n; i++) sum += x[i], exps += exp((double)x[i] - 4), most = fmaxf(most, x[i]);
            assert_true(fabs(path->sum(x, n) - sum) <= 1e-6 * n);
            assert_true(path->max(x, n) == most);
            assert_true(fabs(path->exp_sum(y, x, 4, n) - exps) <= 1e-6 * exps);
            memcpy(z, x, sizeof z);
            assert_true(fabs(path->exp_sum(z, z, 4, n) - exps) <= 1e-6 * exps); /* in place */
            assert_memory_equal(y, z, sizeof(float) * (size_t)n);
        }
        x[17] = NAN;
        assert_true(isnan(path->max(x, 100)));
        fill(x, -4, 4);
    }
}

static void test_transpose(void **state) {
    (void)state;
    static float x[40 * 50], y[40 * 50];
    const char *names[4];
    for (int i = 0; i < 2000; i++) x[i] = (float)i;
    for (int v = 0, n = ane_cpu_vector_names(names); v < n; v++)
        for (int rows = 1; rows < 38; rows += 9)
            for (int columns = 1; columns < 48; columns += 15) {
                ane_cpu_vectors(names[v])->transpose(y, 40, x, 50, rows, columns);
                for (int i = 0; i < rows; i++)
                    for (int j = 0; j < columns; j++) assert_true(y[j * 40 + i] == x[i * 50 + j]);
            }
}

/* Wherever it begins and ends, and nothing beside it. */
static void test_stream(void **state) {
    (void)state;
    static float x[200], y[200];
    const char *names[4];
    for (int i = 0; i < 200; i++) x[i] = (float)i + 1;
    for (int v = 0, n = ane_cpu_vector_names(names); v < n; v++)
        for (int from = 0; from < 20; from++)
            for (int count = 0; count < 150; count += 7) {
                memset(y, 0, sizeof y);
                ane_cpu_vectors(names[v])->stream(y + from, x, count);
                ane_cpu_vectors(names[v])->streamed();
                for (int i = 0; i < 200; i++)
                    assert_true(y[i] == (i >= from && i < from + count ? x[i - from] : 0));
            }
}

/* Steps of the softmax in a block of keys by queries. What is hidden in it, not a number here, becomes zeros. */
static void check_block(const cpu_vectors *v, bool diagonal) {
    enum { SIDE = 64, STAIR = 16, COUNT = SIDE * SIDE };
    static float s[COUNT], p[COUNT], d[COUNT], x[COUNT];
    float highest[SIDE], sum[SIDE], factor[SIDE], mean[SIDE];
    fill(x, -300, 10);
    for (int i = 0; i < COUNT; i++)
        s[i] = p[i] = d[i] = diagonal && i % SIDE < i / SIDE / STAIR * STAIR ? NAN : x[i];
    for (int i = 0; i < SIDE; i++) highest[i] = (float)(i % 16), sum[i] = 2, mean[i] = 1;
    v->softmax_block(s, diagonal, highest, sum, factor);
    v->exp_block(p, diagonal, highest);
    v->softmax_gradient_block(d, p, diagonal, mean);
    for (int j = 0; j < SIDE; j++) {
        double top = j % 16;
        for (int i = 0; i < SIDE; i++)
            if (!diagonal || j >= i / STAIR * STAIR) top = fmax(top, (double)x[i * SIDE + j]);
        double total = 2 * exp2(j % 16 - top);
        assert_true((double)highest[j] == top && fabs((double)factor[j] / exp2(j % 16 - top) - 1) < 2e-7);
        for (int i = 0; i < SIDE; i++) {
            bool hidden = diagonal && j < i / STAIR * STAIR;
            double y = hidden ? 0 : exp2((double)(x[i * SIDE + j] - highest[j]));
            bool tiny = x[i * SIDE + j] - highest[j] < -126;
            assert_true(fabs((double)s[i * SIDE + j] - (tiny ? 0 : y)) <= 2e-7 * y);
            assert_true(s[i * SIDE + j] == p[i * SIDE + j]);
            assert_true(d[i * SIDE + j] == (hidden ? 0 : p[i * SIDE + j] * (x[i * SIDE + j] - 1)));
            total += y;
        }
        assert_true(fabs((double)sum[j] / total - 1) < 1e-6);
    }
}

static void test_blocks_of_the_softmax(void **state) {
    (void)state;
    const char *names[4];
    for (int v = 0, n = ane_cpu_vector_names(names); v < n; v++)
        for (int diagonal = 0; diagonal < 2; diagonal++) check_block(ane_cpu_vectors(names[v]), diagonal);
}

static void test_names(void **state) {
    (void)state;
    const char *names[4];
    int n = ane_cpu_vector_names(names);
    assert_string_equal(names[n - 1], "baseline");
    assert_string_equal(ane_cpu_vectors(NULL)->name, names[0]);
    assert_null(ane_cpu_vectors("mmx"));
    for (int op = 0; op < CPU_MAP_COUNT; op++) assert_non_null(ane_cpu_map_name(op));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_binary_variants),
        cmocka_unit_test(test_place_does_not_matter),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_blocks_of_the_softmax),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
