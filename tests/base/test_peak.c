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

static void vectors_have_a_name(void **state) {
    (void)state;
    assert_true(ane_peak_vectors()[0] != 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peak_is_plausible), cmocka_unit_test(vectors_have_a_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
