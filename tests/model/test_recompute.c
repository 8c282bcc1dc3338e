/* Recomputation changes what is kept in memory, never what is learned. */
#include "model/learn.h"

#include <stdio.h>

typedef struct kept {
    outcome what;
    int64_t bytes;
} kept;

static kept learn_with(const char *spec, ane_recompute recompute) {
    ane_error e = {0};
    ane_device *d = ane_device_open(spec, &e);
    assert_ok(d, &e);
    const ane_placement p = {.recompute = recompute};
    kept k = {.what = learn(d, &p)};
    k.bytes = ane_device_memory(d).peak_bytes;
    ane_device_close(d);
    return k;
}

static void check(const char *spec, bool attention_keeps_less) {
    kept all = learn_with(spec, ANE_RECOMPUTE_NONE), attention = learn_with(spec, ANE_RECOMPUTE_ATTENTION),
         block = learn_with(spec, ANE_RECOMPUTE_BLOCK);
    print_message("%s: %lld, %lld, %lld bytes\n", spec, (long long)all.bytes, (long long)attention.bytes,
        (long long)block.bytes);
    assert_true(block.what.loss[0] == all.what.loss[0] && block.what.loss[1] == all.what.loss[1]);
    assert_memory_equal(block.what.gradients->data, all.what.gradients->data,
        (size_t)all.what.gradients->count * sizeof(float));
    assert_true(block.bytes < all.bytes);
    if (attention_keeps_less) assert_true(attention.bytes < all.bytes);
    ane_weights_free(block.what.gradients);
    expect_outcome(&attention.what, &all.what, 1e-5, 0.99999);
    ane_weights_free(all.what.gradients);
}

static void test_same_results(void **state) {
    (void)state;
    check("cpu:threads=1", true);
    check("cpu:threads=1,precision=bf16", true);
    check("cpu:threads=1,precision=fp16", true);
}

static void test_names(void **state) {
    (void)state;
    ane_error e = {0};
    for (ane_recompute r = ANE_RECOMPUTE_NONE; r <= ANE_RECOMPUTE_GRADIENTS; r++) {
        ane_recompute found;
        assert_ok(ane_recompute_from_name(&found, ane_recompute_name(r), &e), &e);
        assert_int_equal(found, r);
    }
    ane_recompute unused;
    assert_string_equal(ane_recompute_name((ane_recompute)9), "unknown");
    assert_false(ane_recompute_from_name(&unused, "everything", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "known: none, attention, block, gradients");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_results),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
