/* Under every two reports from the field together, whatever the others are, the self-test finds what is so. */
#include "device/quirk_factors.h"

#include "base/clock.h"
#include "base/random.h"

static void examine_row(const factors *f, const int *row, int number) {
    char settings[2048], title[32];
    settings_of(f, row, settings, sizeof settings);
    setenv("ANEMONE_EMULATOR", settings, 1);
    snprintf(title, sizeof title, "row %d", number);
    engine_examination x;
    ane_error e = {0};
    assert_ok(engine_examine("emulator,threads=1", NULL, &x, &e), &e);
    json_t *now = describe_emulator();
    const config c = {json_object_get(json_object_get(now, "settings"), "quirks")};
    assert_facts(&c, &x.facts, title);
    json_decref(now);
}

/* Whole combinations by chance: what pairs cannot show. */
static void test_random(void **state) {
    (void)state;
    enum { ROWS = 8, SEED = 20 };
    json_t *all = describe_emulator();
    factors f = {0};
    read_factors(&f, all);
    ane_rng rng = ane_rng_new(SEED, 0);
    for (int r = 0; r < ROWS; r++) {
        int row[MOST_FACTORS];
        for (int i = 0; i < f.n; i++) row[i] = (int)(ane_rng_uniform(&rng) * f.n_values[i]);
        examine_row(&f, row, r);
    }
    json_decref(all);
}

static void test_pairs(void **state) {
    (void)state;
    static covering c;
    factors f;
    json_t *all = describe_emulator();
    read_factors(&f, all);
    cover(&f, &c);
    double start = ane_clock_ms();
    for (int r = 0; r < c.n_rows; r++) examine_row(&f, c.row[r], r);
    print_message("%d rows for every pair of %d quirks, %.0f ms each\n", c.n_rows, f.n,
        (ane_clock_ms() - start) / c.n_rows);
    json_decref(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs), cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
