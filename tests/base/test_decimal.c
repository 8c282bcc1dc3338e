#include "support/support.h"

#include "base/decimal.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>

static void numbers_are_printed_and_read_with_a_point(void **state) {
    (void)state;
    if (!comma_locale()) skip();
    char text[32], *end;
    snprintf(text, sizeof text, "%g", 1.5);
    assert_string_equal(text, "1,5"); /* so that this test says something */
    assert_int_equal(ane_print(text, sizeof text, "%g|%.3e|%d", 1.5, -2.25, 7), 16);
    assert_string_equal(text, "1.5|-2.250e+00|7");
    assert_float_equal(ane_read_decimal("1.5e3 m", &end), 1500, 0);
    assert_string_equal(end, " m");
    assert_float_equal(ane_read_decimal("1,5", &end), 1, 0);
    assert_string_equal(end, ",5");
    snprintf(text, sizeof text, "%g", 1.5);
    assert_string_equal(text, "1,5"); /* the program's own numbers stay as it wants them */
    plain_locale();
}

static void files_and_reports_have_points(void **state) {
    (void)state;
    if (!comma_locale()) skip();
    ane_error e = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/numbers", test_folder());
    ane_writer *w = ane_writer_open(path, &e);
    ane_writer_printf(w, "%g", 0.25);
    assert_ok(ane_writer_commit(w, &e), &e);
    char *text = ane_read_text(path, 99, NULL, &e);
    assert_string_equal(text, "0.25");
    free(text);
    ane_fail(&e, ANE_ERROR_NUMERIC, NULL, "found %g", 2.5);
    assert_error(&e, ANE_ERROR_NUMERIC, "found 2.5");
    plain_locale();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_printed_and_read_with_a_point),
        cmocka_unit_test(files_and_reports_have_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
