/* Plans: what moves nothing, what memory is shared, what is the same whatever the threads, on programs drawn at random
 * and on ones made for the purpose. */
#include "device/compare.h"
#include "device/cpu/chain.h"
#include "device/cpu/device.h"

#include <stdio.h>

#define SHAPE(...)                                                                                           \
    (int64_t[]) {                                                                                            \
        __VA_ARGS__                                                                                          \
    }
#define INTS(...)                                                                                            \
    (int32_t[]) {                                                                                            \
        __VA_ARGS__                                                                                          \
    }

static int count_steps(const ane_kernel *k, const char *type) {
    const cpu_plan *plan = &((const cpu_kernel *)k)->plan;
    int n = 0;
    for (int32_t i = 0; i < plan->n_steps; i++) n += !type || strcmp(plan->steps[i].type->name, type) == 0;
    return n;
}

static mil_program *new_program(mil_function **f) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    assert_ok(p, &e);
    *f = mil_function_new(p, "main");
    return p;
}

static mil_value in(mil_function *f, const char *name, int rank, const int64_t *dim) {
    return mil_input(f, name, mil_tensor(MIL_FP32, rank, dim));
}

/* ---- views --------------------------------------------------------------------------------------------- */

static void test_views_copy_nothing(void **state) {
    (void)state;
    mil_function *f;
    mil_program *p = new_program(&f);
    mil_value x = in(f, "x", 4, SHAPE(1, 24, 1, 16)), half[2];
    mil_value h =
        mil_transpose(f, mil_reshape(f, x, 4, SHAPE(1, 3, 8, 16)), INTS(0, 1, 3, 2)); /* [1, 3, 16, 8] */
    mil_split(f, h, 2, 3, half);                                                      /* [1, 3, 16, 4] */
    mil_value turned = mil_concat(f, 2, (mil_value[]){mil_mul(f, half[1], half[0]), mil_exp(f, half[0])}, 3);
    mil_value s = mil_matmul(f, turned, h, false, true);
    mil_value o = mil_transpose(f, mil_matmul(f, s, h, false, false), INTS(0, 1, 3, 2));
    mil_output(f, "y", mil_reshape(f, o, 4, SHAPE(1, 24, 1, 16)));
    compare_run r;
    ane_error e = {0};
    compare_prepare(&r, p, "cpu:threads=1", 1, (compare_range){-1, 1});
    assert_int_equal(count_steps(r.kernel, "copy"), 0);
    assert_int_equal(count_steps(r.kernel, "gemm"), 2);
    assert_int_equal(count_steps(r.kernel, "chain"), 1);
    assert_int_equal(count_steps(r.kernel, NULL), 3);
    assert_ok(ane_run(r.binding, NULL, &e), &e);
    compare_outputs(&r, MIL_EXACT, 1e-5, "views");
    compare_free(&r);
    mil_program_free(p);
}

/* Outputs larger than caches are written past them, values between steps are not. */
static void test_large_outputs(void **state) {
    (void)state;
    for (int large = 0; large < 2; large++) {
        const int64_t rows = large ? 700 : 7;
        mil_function *f;
        mil_program *p = new_program(&f);
        mil_value x = in(f, "x", 2, SHAPE(rows, 1030)), y = in(f, "y", 2, SHAPE(rows, 1030));
        mil_value s = mil_sigmoid(f, x), both = mil_mul(f, s, y);
        mil_output(f, "s", s);
        mil_output(f, "both", both);
        mil_output(f, "sum", mil_reduce_sum(f, mil_add(f, both, x), 1, INTS(1), true));
        compare_run r;
        ane_error e = {0};
        compare_prepare(&r, p, "cpu:threads=2", 1, (compare_range){-1, 1});
        const cpu_plan *plan = &((const cpu_kernel *)r.kernel)->plan;
        assert_int_equal(plan->n_steps, 1);
        const cpu_chain *c = plan->steps[0].data;
        assert_int_equal(c->n_stores, 2);
        for (int i = 0; i < 2; i++) assert_int_equal(c->streams[i], large);
        assert_ok(ane_run(r.binding, NULL, &e), &e);
        compare_outputs(&r, MIL_EXACT, 1e-5, "large outputs");
        compare_free(&r);
        mil_program_free(p);
    }
}

/* Outputs that are inputs, views of inputs, constants, twice the same, or part of one another need copies, and get
 * them. */
static void test_awkward_outputs(void **state) {
    (void)state;
    mil_function *f;
    mil_program *p = new_program(&f);
    mil_value x = in(f, "x", 2, SHAPE(4, 6)), w = mil_param(f, "w", mil_tensor(MIL_FP32, 1, SHAPE(6)));
    mil_value y = mil_exp(f, x),
              c = mil_const_floats(f, mil_tensor(MIL_FP32, 1, SHAPE(3)), (float[]){1, 2, 3});
    mil_output(f, "same", x);
    mil_output(f, "turned", mil_transpose(f, x, INTS(1, 0)));
    mil_output(f, "weight", w);
    mil_output(f, "constant", c);
    mil_output(f, "y", y);
    mil_output(f, "again", y);
    mil_output(f, "part", mil_slice_by_size(f, y, INTS(1, 2), INTS(2, 2)));
    mil_output(f, "whole", mil_concat(f, 3, (mil_value[]){y, x, y}, 0));
    mil_output(f, "twice", mil_concat(f, 2, (mil_value[]){mil_sigmoid(f, y), mil_sigmoid(f, y)}, 1));
    compare_program(p, "cpu:threads=2", 1, (compare_range){-1, 1}, MIL_EXACT, 1e-6);
}

/* ---- random programs ----------------------------------------------------------------------------------- */

typedef struct pool {
    mil_function *f;
    ane_rng rng;
    mil_value values[64];
    int n;
} pool;

static int below(pool *q, int n) {
    return (int)ane_rng_below(&q->rng, (uint64_t)n);
}

static mil_value pick(pool *q) {
    return q->values[below(q, q->n)];
}

static mil_value squash(pool *q, mil_value x) { /* values must stay small, however long the program */
    return below(q, 2) ? mil_tanh(q->f, x) : mil_sigmoid(q->f, x);
}

static mil_value random_unary(pool *q) {
    mil_value x = pick(q);
    switch (below(q, 4)) {
    case 0: return squash(q, x);
    case 1: return mil_silu(q->f, squash(q, x));
    case 2: return mil_abs(q->f, x);
    default: return mil_mul_scalar(q->f, x, 0.5);
    }
}

static mil_value random_binary(pool *q) {
    mil_value x = pick(q), y = pick(q);
    mil_type out;
    if (!mil_broadcast(mil_type_of(q->f, x), mil_type_of(q->f, y), &out, NULL)) y = x;
    switch (below(q, 4)) {
    case 0: return squash(q, mil_mul(q->f, x, y));
    case 1: return squash(q, mil_sub(q->f, x, y));
    case 2: return mil_maximum(q->f, x, y);
    default: return mil_select(q->f, mil_greater(q->f, x, y), mil_add(q->f, x, y), y);
    }
}

static mil_value random_move(pool *q) {
    mil_value x = pick(q);
    mil_type t = *mil_type_of(q->f, x);
    int32_t perm[MIL_MAX_RANK], begin[MIL_MAX_RANK], end[MIL_MAX_RANK], stride[MIL_MAX_RANK];
    int turn = below(q, t.rank);
    for (int i = 0; i < t.rank; i++) {
        perm[i] = (i + turn) % t.rank;
        begin[i] = below(q, (int)t.dim[i]);
        end[i] = (int32_t)t.dim[i];
        stride[i] = 1 + below(q, 3);
    }
    int64_t last = t.dim[t.rank - 1];
    switch (below(q, 4)) {
    case 0: return mil_transpose(q->f, x, perm);
    case 1: return mil_slice_by_index(q->f, x, begin, end, stride);
    case 2: return mil_reshape(q->f, x, 2, SHAPE(last, mil_type_count(&t) / last));
    default: {
        mil_value y = below(q, 2) ? squash(q, x) : x; /* made in place, or not */
        return mil_concat(q->f, 3, (mil_value[]){x, y, mil_mul_scalar(q->f, x, 0.25)}, below(q, t.rank));
    }
    }
}

static mil_value random_over_axes(pool *q) {
    mil_value x = pick(q);
    int rank = mil_type_of(q->f, x)->rank;
    int32_t axis = below(q, rank);
    switch (below(q, 4)) {
    case 0: return mil_reduce_mean(q->f, mil_mul(q->f, x, x), 1, &axis, true);
    case 1: return mil_reduce_max(q->f, x, 1, &axis, rank == 1 || below(q, 2));
    case 2: return mil_softmax(q->f, x, axis);
    default:
        return mil_mul(
            q->f, x, mil_rsqrt(q->f, mil_reduce_mean(q->f, mil_mul(q->f, x, x), 1, &axis, true), 0.1));
    }
}

static mil_value random_product(pool *q) {
    mil_value x = pick(q);
    if (mil_type_of(q->f, x)->rank < 2) return random_unary(q);
    mil_value p = mil_matmul(q->f, x, below(q, 2) ? x : squash(q, x), true, false); /* x^T x: always fits */
    return squash(q, mil_mul_scalar(q->f, p, 0.1));
}

static mil_program *random_program(uint64_t seed) {
    static mil_value (*const kinds[])(pool *) = {
        random_unary, random_binary, random_binary, random_move, random_over_axes, random_product};
    pool q = {.rng = ane_rng_new(seed, 1)};
    mil_program *p = new_program(&q.f);
    q.values[q.n++] = in(q.f, "a", 3, SHAPE(2, 6, 5));
    q.values[q.n++] = in(q.f, "b", 2, SHAPE(6, 5));
    q.values[q.n++] = in(q.f, "c", 3, SHAPE(2, 6, 1));
    q.values[q.n++] = mil_param(q.f, "w", mil_tensor(MIL_FP32, 1, SHAPE(5)));
    int length = 4 + below(&q, 20);
    for (int i = 0; i < length && q.n < 60; i++) {
        mil_value v = kinds[below(&q, 6)](&q);
        if (mil_type_count(mil_type_of(q.f, v)) < 4000) q.values[q.n++] = v;
    }
    char name[16];
    for (int i = 0; i < 4; i++) { /* not the last ones alone: also values in the middle, inputs and repeats */
        snprintf(name, sizeof name, "out%d", i);
        mil_output(q.f, name, i ? pick(&q) : q.values[q.n - 1]);
    }
    return p;
}

static void test_random_programs(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++)
        compare_program(random_program(seed), seed % 2 ? "cpu:threads=2" : "cpu:threads=1", seed,
            (compare_range){-1, 1}, MIL_EXACT, 2e-5);
}

/* What one device computes into its outputs, packed one after another. */
static size_t bits_of(mil_program *p, const char *spec, unsigned char *bits, size_t size) {
    compare_run r;
    ane_error e = {0};
    size_t n = 0;
    compare_prepare(&r, p, spec, 5, (compare_range){-1, 1});
    assert_ok(ane_run(r.binding, NULL, &e), &e);
    for (int i = 0; i < ane_kernel_outputs(r.kernel); i++) {
        ane_buffer *b = r.buffers[COMPARE_PORTS + i];
        size_t bytes = (size_t)mil_type_bytes(ane_buffer_type(b));
        assert_true(n + bytes <= size);
        memcpy(bits + n, ane_buffer_map(b, ANE_READ, &e), bytes);
        n += bytes;
    }
    compare_free(&r);
    return n;
}

/* Large enough that the work is really shared. */
static mil_program *wide_program(void) {
    mil_function *f;
    mil_program *p = new_program(&f);
    mil_value x = in(f, "x", 4, SHAPE(1, 96, 1, 1030)),
              w = mil_param(f, "w", mil_tensor(MIL_FP32, 4, SHAPE(1, 96, 1, 1)));
    mil_value r = mil_rsqrt(f, mil_reduce_mean(f, mil_mul(f, x, x), 1, INTS(1), true), 1e-5);
    mil_value n = mil_mul(f, mil_mul(f, x, r), w);
    mil_output(f, "n", mil_silu(f, n));
    mil_output(f, "rows", mil_reduce_sum(f, mil_exp(f, n), 1, INTS(3), true));
    mil_output(f, "s", mil_softmax(f, n, 3));
    mil_output(f, "t", mil_softmax(f, n, 1));
    mil_output(f, "m", mil_exp(f, mil_transpose(f, n, INTS(0, 3, 2, 1))));
    return p;
}

static void test_threads_change_no_bits(void **state) {
    (void)state;
    static unsigned char one[1 << 22], two[1 << 22];
    for (uint64_t seed = 0; seed < 40; seed++) {
        mil_program *p = seed ? random_program(seed) : wide_program();
        size_t n = bits_of(p, "cpu:threads=1", one, sizeof one);
        assert_int_equal(bits_of(p, "cpu:threads=2", two, sizeof two), n);
        assert_memory_equal(one, two, n);
        mil_program_free(p);
    }
    compare_program(wide_program(), "cpu:threads=2", 1, (compare_range){-1, 1}, MIL_EXACT, 1e-5);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static void test_memory_is_shared_and_steady(void **state) {
    (void)state;
    mil_function *f;
    mil_program *p = new_program(&f);
    mil_value x = in(f, "x", 2, SHAPE(64, 64));
    for (int i = 0; i < 10; i++) x = mil_softmax(f, mil_matmul(f, x, x, false, true), 1);
    mil_output(f, "y", x);
    compare_run r;
    ane_error e = {0};
    compare_prepare(&r, p, "cpu:threads=2", 1, (compare_range){-1, 1});
    int64_t each = 64 * 64 * 4;
    /* 19 values in between, two alive at once, perhaps one of them packed by both threads, in up to six bytes a number */
    int64_t most = 2 * each + 2 * (each * 3 / 2);
    assert_true(((cpu_kernel *)r.kernel)->plan.scratch_bytes <= most);
    assert_ok(ane_run(r.binding, NULL, &e), &e);
    ane_memory_stats before = ane_device_memory(r.device);
    for (int i = 0; i < 5; i++) assert_ok(ane_run(r.binding, NULL, &e), &e);
    ane_memory_stats after = ane_device_memory(r.device);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.bytes, before.bytes);
    assert_true(before.bytes >= 4 * each && before.peak_bytes >= before.bytes);
    compare_outputs(&r, MIL_EXACT, 1e-5, "memory");
    ane_device *d = r.device;
    r.device = NULL;
    compare_free(&r);
    assert_true(ane_device_memory(d).bytes <= most + 64); /* the shared scratch stays */
    ane_device_close(d);
    mil_program_free(p);
}

/* Kernels of one device share scratch; two bindings of one kernel do not disturb each other. */
static void test_two_bindings(void **state) {
    (void)state;
    mil_program *p = wide_program();
    compare_run r;
    ane_error e = {0};
    compare_prepare(&r, p, "cpu:threads=2", 1, (compare_range){-1, 1});
    ane_binding *b = ane_binding_new(r.kernel, &e);
    mil_type t;
    ane_buffer *buffers[8];
    int n = 0;
    static float w[96];
    for (int i = 0; i < 96; i++) w[i] = 7;
    const char *x = ane_kernel_input(r.kernel, 0, &t);
    buffers[n] = ane_buffer_new(r.device, t, &e);
    assert_ok(ane_bind(b, x, buffers[n++], 0, &e), &e);
    for (int i = 0; i < ane_kernel_outputs(r.kernel); i++) {
        const char *y = ane_kernel_output(r.kernel, i, &t);
        buffers[n] = ane_buffer_new(r.device, t, &e);
        assert_ok(ane_bind(b, y, buffers[n++], 0, &e), &e);
    }
    assert_ok(ane_bind_weight(b, "w", w, 96, &e), &e);
    assert_ok(ane_run(r.binding, NULL, &e) && ane_run(b, NULL, &e), &e);
    compare_outputs(&r, MIL_EXACT, 1e-5, "first of two bindings");
    float *sums = ane_buffer_map(buffers[2], ANE_READ, &e); /* x is 0: 1030 times exp(0) */
    for (int i = 0; i < 96; i++) assert_true(sums[i] == 1030);
    ane_binding_free(b);
    for (int i = 0; i < n; i++) ane_buffer_free(buffers[i]);
    compare_free(&r);
    mil_program_free(p);
}

/* Outputs that add: by the gemm itself, and by what a gemm cannot add to. */
static void test_accumulate(void **state) {
    (void)state;
    mil_function *f;
    mil_program *p = new_program(&f);
    mil_value x = in(f, "x", 2, SHAPE(20, 30));
    mil_value product = mil_matmul(f, x, x, false, true);
    mil_output(f, "product", product);
    mil_output(f, "chain", mil_exp(f, x));
    mil_output(f, "view", mil_transpose(f, x, INTS(1, 0)));
    compare_run r;
    ane_error e = {0};
    compare_prepare(&r, p, "cpu:threads=2", 1, (compare_range){-1, 1});
    for (int i = 0; i < 3; i++)
        assert_ok(ane_bind(r.binding, ane_kernel_output(r.kernel, i, NULL), r.buffers[COMPARE_PORTS + i],
                      ANE_ACCUMULATE, &e),
            &e);
    assert_true(((cpu_kernel *)r.kernel)->plan.gemm_output[0]);
    assert_false(((cpu_kernel *)r.kernel)->plan.gemm_output[1]);
    for (int run = 0; run < 3; run++) assert_ok(ane_run(r.binding, NULL, &e), &e);
    for (int i = 0; i < 3; i++) { /* three times the result; then once more, so that compare_outputs fits */
        float *y = ane_buffer_map(r.buffers[COMPARE_PORTS + i], ANE_WRITE, &e);
        for (int64_t k = 0; k < mil_type_count(ane_buffer_type(r.buffers[COMPARE_PORTS + i])); k++) y[k] /= 3;
    }
    compare_outputs(&r, MIL_EXACT, 1e-5, "accumulated");
    assert_ok(ane_bind(r.binding, "product", r.buffers[COMPARE_PORTS], 0, &e), &e);
    assert_ok(ane_bind(r.binding, "chain", r.buffers[COMPARE_PORTS + 1], 0, &e), &e);
    assert_ok(
        ane_bind(r.binding, "view", r.buffers[COMPARE_PORTS + 2], 0, &e) && ane_run(r.binding, NULL, &e), &e);
    compare_outputs(&r, MIL_EXACT, 1e-5, "not accumulated any more");
    compare_free(&r);
    mil_program_free(p);

    p = new_program(&f);
    mil_output(f, "y", mil_exp(f, mil_input(f, "x", mil_tensor(MIL_FP16, 1, SHAPE(4)))));
    compare_prepare(&r, p, "cpu", 1, (compare_range){-1, 1});
    assert_false(ane_bind(r.binding, "y", r.buffers[COMPARE_PORTS], ANE_ACCUMULATE, &e));
    assert_error(&e, ANE_ERROR_UNSUPPORTED, "only fp32 outputs accumulate");
    compare_free(&r);
    mil_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views_copy_nothing),
        cmocka_unit_test(test_large_outputs),
        cmocka_unit_test(test_awkward_outputs),
        cmocka_unit_test(test_random_programs),
        cmocka_unit_test(test_threads_change_no_bits),
        cmocka_unit_test(test_memory_is_shared_and_steady),
        cmocka_unit_test(test_two_bindings),
        cmocka_unit_test(test_accumulate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
