/* Attention behind a cache against the reference interpreter: no past, a part, all of it; groups of heads, sizes that
 * fill no vector, caches of fp32, bf16 and fp16, every instruction set; several new positions, fp16 arithmetic. */
#include "device/compare.h"
#include "device/cpu/device.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct shape {
    int64_t groups, group, size, room, length; /* K, R, E, T, S */
    mil_dtype cache;
} shape;

enum { LENGTH = 5 }; /* the input that says how many positions there are */

/* `shared`: the cache of keys is an output, too, so that it cannot be read by attention alone. */
static mil_program *cached_program(const shape *s, bool shared) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    assert_ok(p, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value q =
        mil_input(f, "q", mil_tensor(MIL_FP32, 5, (int64_t[]){1, s->groups, s->group, s->size, s->length}));
    mil_type few = mil_tensor(MIL_FP32, 5, (int64_t[]){1, s->groups, 1, s->size, s->length}),
             kept = mil_tensor(s->cache, 4, (int64_t[]){1, s->groups, s->room, s->size});
    const mil_value new_ones[] = {mil_input(f, "k", few), mil_input(f, "v", few)},
                    caches[] = {mil_input(f, "k_cache", kept), mil_input(f, "v_cache", kept)};
    mil_value length = mil_input(f, "length", mil_tensor(MIL_INT32, 1, (int64_t[]){1}));
    mil_output(f, "y", mil_cached_attention(f, q, new_ones, caches, length, 1 / sqrt((double)s->size)));
    if (shared) mil_output(f, "same", mil_identity(f, caches[0]));
    return p;
}

static void set_length(compare_run *r, int32_t n) {
    ane_error e = {0};
    assert_ok(ane_buffer_write_f32(r->buffers[LENGTH], &(float){(float)n}, 1, &e), &e);
    r->inputs[LENGTH].data[0] = n;
}

static void check(const shape *s, bool shared, const char *spec, mil_rounding rounding, double tolerance) {
    const int64_t pasts[] = {0, 1, s->room / 2, s->room};
    mil_program *p = cached_program(s, shared);
    compare_run r;
    compare_prepare(&r, p, spec, (uint64_t)(s->room + s->size), (compare_range){-2, 2});
    for (int i = 0; i < 4; i++) {
        ane_error e = {0};
        set_length(&r, (int32_t)pasts[i]);
        assert_ok(ane_run(r.binding, NULL, &e), &e);
        compare_outputs(&r, rounding, tolerance, spec);
    }
    compare_free(&r);
    mil_program_free(p);
}

static const shape shapes[] = {{1, 1, 1, 1, 1, MIL_FP32}, {2, 1, 16, 40, 1, MIL_FP32},
    {3, 2, 20, 33, 1, MIL_BF16}, {12, 1, 64, 300, 1, MIL_BF16}, {4, 3, 64, 129, 1, MIL_FP32},
    {1, 2, 48, 18, 1, MIL_FP16}, {2, 2, 8, 12, 3, MIL_BF16}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* What is kept in bf16 was rounded before; nothing is rounded here. */
static void every_shape_and_vector(void **state) {
    (void)state;
    const char *names[4];
    for (int v = 0, n = ane_cpu_vector_names(names); v < n; v++)
        for (int i = 0; i < N_SHAPES; i++) {
            char spec[96];
            snprintf(spec, sizeof spec, "cpu:threads=2,vectors=%s", names[v]);
            check(&shapes[i], false, spec, MIL_EXACT, 2e-5);
        }
}

static void other_readers_of_a_cache(void **state) {
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) check(&shapes[i], true, "cpu", MIL_EXACT, 2e-5);
}

static void rounded_to_fp16(void **state) {
    (void)state;
    check(&shapes[1], false, "cpu:precision=fp16", MIL_ROUND_FP16, 2e-3);
}

static int count_steps(const cpu_plan *plan, const char *type) {
    int n = 0;
    for (int32_t i = 0; i < plan->n_steps; i++) n += strcmp(plan->steps[i].type->name, type) == 0;
    return n;
}

/* A cache of bf16 is read as it lies: beside attention itself, only the length is converted. */
static void one_step(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = cached_program(&shapes[3], false);
    ane_device *d = ane_device_open("cpu", &e);
    ane_kernel *k = ane_device_compile(d, p, NULL, &e);
    assert_ok(k, &e);
    const cpu_plan *plan = &((const cpu_kernel *)k)->plan;
    assert_int_equal(count_steps(plan, "attend 1"), 1);
    assert_int_equal(count_steps(plan, "convert"), 1);
    assert_int_equal(plan->n_steps, 2);
    char *text = ane_kernel_describe(k);
    assert_non_null(strstr(text, "12 heads (12 of keys) of 64, up to 300 bf16 positions before"));
    free(text);
    ane_kernel_free(k);
    ane_device_close(d);
    mil_program_free(p);
}

static void lengths_out_of_range(void **state) {
    (void)state;
    static const int which[] = {1, 6}; /* a step, the reference */
    for (int i = 0; i < 2; i++)
        for (int32_t past = -1; past < 100; past += 100) {
            ane_error e = {0};
            mil_program *p = cached_program(&shapes[which[i]], false);
            compare_run r;
            compare_prepare(&r, p, "cpu", 1, (compare_range){-1, 1});
            set_length(&r, past);
            assert_false(ane_run(r.binding, NULL, &e));
            assert_error(
                &e, ANE_ERROR_ARGUMENT, i ? "the cache has 12 positions" : "the cache has 40 positions");
            compare_free(&r);
            mil_program_free(p);
        }
}

static void refused(mil_type key, mil_type cache, mil_type value_cache, mil_type length, const char *why) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value k = mil_input(f, "k", key);
    const mil_value keys_values[] = {k, k},
                    caches[] = {mil_input(f, "kc", cache), mil_input(f, "vc", value_cache)};
    mil_cached_attention(f, k, keys_values, caches, mil_input(f, "n", length), 1);
    assert_false(mil_program_ok(p, &e));
    assert_error(&e, ANE_ERROR_SHAPE, why);
    mil_program_free(p);
}

static void wrong_shapes(void **state) {
    (void)state;
    mil_type key = mil_tensor(MIL_FP32, 5, (int64_t[]){1, 2, 1, 8, 1}),
             batch = mil_tensor(MIL_FP32, 5, (int64_t[]){2, 2, 1, 8, 1}),
             cache = mil_tensor(MIL_FP32, 4, (int64_t[]){1, 2, 16, 8}),
             half = mil_tensor(MIL_BF16, 4, (int64_t[]){1, 2, 16, 8}),
             heads = mil_tensor(MIL_FP32, 4, (int64_t[]){1, 3, 16, 8}),
             one = mil_tensor(MIL_INT32, 1, (int64_t[]){1}), two = mil_tensor(MIL_INT32, 1, (int64_t[]){2});
    refused(key, heads, heads, one, "key_cache is [1, 3, 16, 8] and key is [1, 2, 1, 8, 1]");
    refused(batch, cache, cache, one, "expected two caches [1, K, T, E] of one type");
    refused(key, cache, half, one, "value_cache is [1, 2, 16, 8]");
    refused(key, cache, cache, two, "length is [2]; expected one number");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_and_vector),
        cmocka_unit_test(other_readers_of_a_cache),
        cmocka_unit_test(rounded_to_fp16),
        cmocka_unit_test(one_step),
        cmocka_unit_test(lengths_out_of_range),
        cmocka_unit_test(wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
