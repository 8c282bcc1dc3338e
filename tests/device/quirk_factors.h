/* quirk_factors.h - the emulator's quirks with the values that tests try, and the rows that hold every pair of them. */
#ifndef ANEMONE_TESTS_QUIRK_FACTORS_H
#define ANEMONE_TESTS_QUIRK_FACTORS_H

#include "device/covering.h"
#include "device/expected_facts.h"

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

static inline void add_values(factors *f, const json_t *q) {
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

static inline void read_factors(factors *f, const json_t *all) {
    const json_t *q;
    size_t i;
    *f = (factors){0};
    json_array_foreach(json_object_get(all, "quirks"), i, q) {
        add_values(f, q);
    }
}

/* Leave a value out. */
static inline void drop_value(factors *f, const char *name, const char *value) {
    for (int i = 0; i < f->n; i++)
        for (int k = 0; strcmp(f->name[i], name) == 0 && k < f->n_values[i]; k++)
            if (strcmp(f->value[i][k], value) == 0) {
                memmove(&f->value[i][k], &f->value[i][k + 1],
                    sizeof f->value[i][0] * (size_t)(--f->n_values[i] - k));
                return;
            }
    fail_msg("there is no quirk %s:%s", name, value);
}

/* Rows that hold all pairs. */
static inline void cover(const factors *f, covering *c) {
    c->n_factors = f->n;
    memcpy(c->n_values, f->n_values, sizeof c->n_values);
    covering_build(c);
    int row[MOST_FACTORS];
    assert_false(covering_seed(c, row)); /* every pair is there */
}

/* A row as ANEMONE_EMULATOR has it. */
static inline const char *settings_of(const factors *f, const int *row, char *text, size_t size) {
    snprintf(text, size, "chip=m4");
    for (int i = 0; i < f->n; i++)
        snprintf(text + strlen(text), size - strlen(text), ",quirk=%s:%s", f->name[i], f->value[i][row[i]]);
    return text;
}

#endif
