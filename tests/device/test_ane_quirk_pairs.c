/* Under every two reports from the field together, whatever the others are, the self-test finds what is so. */
#include "device/covering.h"
#include "device/expected_facts.h"

#include "base/clock.h"
#include "base/random.h"

/* Values of quirks that are numbers or sets; choices tell theirs. */
static const struct {
    const char *name, *values[MOST_VALUES];
} tried[] = {
    {"min-surface", {"none", "2048", "49152"}},
    {"row-alignment", {"64", "128"}},
    {"dialects",
        {"1.0/ios16+1.3/ios17+1.3/ios18", "1.0/ios16", "1.3/ios17", "1.5/ios18", "1.3/ios18+1.5/ios18"}},
    {"max-compiles", {"none", "119"}},
    {"max-loaded", {"none", "5", "119"}},
    {"max-dim", {"65536", "16384"}},
    {"max-weights", {"2147483648", "1000000"}},
    {"matmul-overflow", {"none", "32752"}},
    {"width-slice", {"none", "4094"}},
};

typedef struct factors {
    int n;
    const char *name[MOST_FACTORS], *value[MOST_FACTORS][MOST_VALUES];
    int n_values[MOST_FACTORS];
} factors;

static void add_values(factors *f, const json_t *q) {
    const char *name = json_string_value(json_object_get(q, "name"));
    bool choice = strcmp(json_string_value(json_object_get(q, "kind")), "choice") == 0;
    int at = f->n++, n = 0;
    f->name[at] = name;
    const json_t *value;
    size_t i;
    json_array_foreach(json_object_get(q, "values"), i, value) {
        if (choice) f->value[at][n++] = json_string_value(value);
    }
    for (size_t t = 0; t < sizeof tried / sizeof *tried; t++)
        for (int k = 0; strcmp(tried[t].name, name) == 0 && tried[t].values[k]; k++)
            f->value[at][n++] = tried[t].values[k];
    if (!n) fail_msg("say which values of the quirk %s are to be tried", name);
    f->n_values[at] = n;
}

static void examine_row(const factors *f, const int *row, int number) {
    char settings[2048] = "chip=m4", title[32];
    for (int i = 0; i < f->n; i++)
        snprintf(settings + strlen(settings), sizeof settings - strlen(settings), ",quirk=%s:%s", f->name[i],
            f->value[i][row[i]]);
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

static void read_factors(factors *f, const json_t *all) {
    const json_t *q;
    size_t i;
    json_array_foreach(json_object_get(all, "quirks"), i, q) {
        add_values(f, q);
    }
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
    json_t *all = describe_emulator();
    factors f = {0};
    read_factors(&f, all);
    c.n_factors = f.n;
    memcpy(c.n_values, f.n_values, sizeof c.n_values);
    covering_build(&c);
    int row[MOST_FACTORS];
    assert_false(covering_seed(&c, row)); /* every pair is there */
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
