#include "support/support.h"

#include "anemone/train.h"

#include <math.h>

static void near(double found, double expected) {
    if (!(fabs(found - expected) <= 1e-12)) fail_msg("%.17g, expected %.17g", found, expected);
}

static void test_warmup(void **state) {
    (void)state;
    for (int kind = ANE_COSINE; kind <= ANE_WSD; kind++) {
        ane_schedule s = {.kind = (ane_schedule_kind)kind,
            .lr = 0.8,
            .min_lr = 0.08,
            .warmup = 4,
            .total = 100,
            .decay = 10};
        for (int64_t step = 0; step < 4; step++) near(ane_schedule_lr(&s, step), 0.2 * (double)(step + 1));
        near(ane_schedule_lr(&s, 4), 0.8);
    }
}

static void test_cosine(void **state) {
    (void)state;
    ane_schedule s = {.kind = ANE_COSINE, .lr = 1, .min_lr = 0.1, .warmup = 10, .total = 110};
    near(ane_schedule_lr(&s, 10), 1);
    near(ane_schedule_lr(&s, 60), 0.55);
    near(ane_schedule_lr(&s, 35), 0.1 + 0.9 * (0.5 + 0.25 * sqrt(2)));
    near(ane_schedule_lr(&s, 110), 0.1);
    near(ane_schedule_lr(&s, 1000), 0.1);
    s.warmup = 200; /* longer than the run: linear all the way, then the end */
    near(ane_schedule_lr(&s, 109), 0.55);
    near(ane_schedule_lr(&s, 200), 0.1);
}

static void test_constant(void **state) {
    (void)state;
    ane_schedule s = {.kind = ANE_CONSTANT, .lr = 0.3, .min_lr = 0.1, .total = 10};
    near(ane_schedule_lr(&s, 0), 0.3);
    near(ane_schedule_lr(&s, 100), 0.3);
}

static void test_wsd(void **state) {
    (void)state;
    ane_schedule s = {.kind = ANE_WSD, .lr = 1, .min_lr = 0.2, .warmup = 2, .total = 20, .decay = 8};
    near(ane_schedule_lr(&s, 2), 1);
    near(ane_schedule_lr(&s, 11), 1);
    near(ane_schedule_lr(&s, 15), 0.2 + 0.8 * 0.5);
    near(ane_schedule_lr(&s, 19), 0.2);
    near(ane_schedule_lr(&s, 30), 0.2);
    s.decay = 0;
    near(ane_schedule_lr(&s, 19), 1);
}

static void test_names(void **state) {
    (void)state;
    for (int kind = ANE_COSINE; kind <= ANE_WSD; kind++) {
        ane_schedule_kind found;
        ane_error e = {0};
        assert_ok(ane_schedule_from_name(&found, ane_schedule_name((ane_schedule_kind)kind), &e), &e);
        assert_int_equal(found, kind);
    }
    ane_error e = {0};
    ane_schedule_kind kind;
    assert_false(ane_schedule_from_name(&kind, "cosin", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "cosine, constant or wsd");
    assert_string_equal(ane_schedule_name((ane_schedule_kind)9), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_warmup), cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_constant), cmocka_unit_test(test_wsd), cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
