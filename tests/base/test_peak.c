/* The peak is a measurement: only what must hold on any machine is checked. */
#include "support/support.h"

#include "base/peak.h"

static void peak_is_plausible(void **state) {
    (void)state;
    double one = ane_peak_flops(1);
    assert_true(one > 1e7);               /* slower than 10 MFLOP/s: nothing was measured */
    assert_true(one < 1e13);              /* faster than any core: the work was dropped */
    assert_true(ane_peak_flops(2) > 1e7); /* how much more depends on who else is running */
    assert_true(ane_peak_flops(0) > 0);
}

static void bf16_is_plausible(void **state) {
    (void)state;
    assert_true(ane_peak_bf16_flops(1) > 1e7 && ane_peak_bf16_flops(1) < 1e14);
    double tiles = ane_peak_tile_flops(2);
    assert_true(ane_peak_product_flops(true, 2) >= 0.2 * tiles && ane_peak_product_flops(false, 2) > 1e7);
    assert_true(tiles == 0 || (tiles > 1e8 && tiles < 1e15));
}

static void memory_is_plausible(void **state) {
    (void)state;
    assert_true(ane_peak_bandwidth(2) > 1e7 && ane_peak_bandwidth(2) < 1e13);
    assert_true(ane_peak_read(2) > 1e7 && ane_peak_read(2) < 1e13); /* faster than caches: nothing was read */
}

static void vectors_have_a_name(void **state) {
    (void)state;
    assert_true(ane_peak_vectors()[0] != 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(peak_is_plausible),
        cmocka_unit_test(bf16_is_plausible), cmocka_unit_test(memory_is_plausible),
        cmocka_unit_test(vectors_have_a_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
