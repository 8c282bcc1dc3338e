/* From text to numbers, and what the hardware was seen to accept and ignore on the way. */
#include "emulator/drive.h"

static unsigned char blob[EM_BLOB_BYTES];

/* x = 1 everywhere; y = factor. */
static void check_factor(oid model, float factor) {
    oid x = em_surface(EM_BYTES), y = em_surface(EM_BYTES), error;
    em_fill(x, EM_ELEMENTS, 1, 0);
    oid request = em_request_of(1, &x, 1, &y, NULL, NULL, 0);
    if (!em_evaluate(model, request, &error)) fail_msg("%s", em_error_text(error));
    for (int i = 0; i < EM_ELEMENTS; i++) assert_true(em_at(y, i) == factor);
    em_surface_free(x);
    em_surface_free(y);
}

static void test_compile_load_evaluate_unload(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    em_weight w = em_identity(blob, 3);
    oid model = em_ready(EM_CONV, 1, &w), error;
    assert_int_equal(CALL0(uint64_t, model, "state"), 3);
    check_factor(model, 3);
    assert_true(em_unload(model, &error));
    assert_int_equal(em_counts().loaded_programs, 0);
    oid x = em_surface(EM_BYTES);
    assert_false(em_evaluate(model, em_request_of(1, &x, 1, &x, NULL, NULL, 0), &error));
    assert_text(em_error_text(error), "not loaded");
    assert_false(em_unload(model, &error));
    em_surface_free(x);
    assert_true(em_load(model, &error)); /* again, without compiling */
    check_factor(model, 3);
    assert_int_equal(em_counts().compiles, 1);
    assert_int_equal(em_counts().loads, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EM_TEST(test_compile_load_evaluate_unload),
    };
    return cmocka_run_group_tests(tests, em_setup_group, NULL);
}
