/* Programs: types, names, building a small one, cloning, dialects. */
#include "support/support.h"

#include "anemone/mil.h"

#include <string.h>

/* y = silu(conv(x, w)) with one output more, for tests that need any program. */
static mil_program *small(mil_function **main_function) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    assert_ok(p, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 4, (int64_t[]){1, 8, 1, 16}));
    mil_value w = mil_param(f, "w", mil_tensor(MIL_FP32, 4, (int64_t[]){4, 8, 1, 1}));
    mil_value h = mil_conv(f, x, w);
    mil_output(f, "y", mil_silu(f, h));
    mil_output(f, "z", mil_add_scalar(f, h, 0.5));
    assert_ok(mil_program_ok(p, &e), &e);
    *main_function = f;
    return p;
}

static void test_small(void **state) {
    (void)state;
    mil_function *f;
    mil_program *p = small(&f);
    assert_int_equal(f->n_inputs, 1);
    assert_int_equal(f->n_outputs, 2);
    mil_value y = mil_find(f, "y");
    assert_int_equal(y, f->outputs[0]);
    mil_type expected = mil_tensor(MIL_FP32, 4, (int64_t[]){1, 4, 1, 16});
    assert_true(mil_type_equal(mil_type_of(f, y), &expected));
    assert_true(mil_flops(f) == 2.0 * 4 * 8 * 16);
    mil_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_small)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
