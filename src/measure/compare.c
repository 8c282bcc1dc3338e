/* compare.c - see compare.h. */
#include "measure/compare.h"

#include "measure/results.h"
#include "measure/row.h"

#include <stdio.h>
#include <string.h>

typedef struct interval {
    double median, low, high;
} interval;

static bool interval_of(interval *t, const json_t *row) {
    const json_t *times = json_object_get(row, "device_ms");
    if (!times) times = json_object_get(row, "host_ms");
    if (!times || !ane_row_is_ok(row)) return false;
    double half = json_number_value(json_object_get(times, "ci"));
    t->median = json_number_value(json_object_get(times, "median"));
    t->low = t->median * (1 - half);
    t->high = t->median * (1 + half);
    return t->median > 0;
}

static const char *status_of(const json_t *row) {
    const char *status = json_string_value(json_object_get(row, "status"));
    return status && strcmp(status, "ok") != 0 ? status : "without a time";
}

static json_t *compare_row(const json_t *now, const json_t *before) {
    interval a, b;
    char note[96] = "";
    bool have_before = interval_of(&a, before), have_now = interval_of(&b, now);
    json_t *o = json_object();
    json_object_set(o, "benchmark", json_object_get(now, "benchmark"));
    json_object_set(o, "case", json_object_get(now, "case"));
    json_object_set_new(o, "before_ms", have_before ? json_real(a.median) : json_null());
    json_object_set_new(o, "now_ms", have_now ? json_real(b.median) : json_null());
    bool both = have_before && have_now;
    if (!both)
        snprintf(note, sizeof note, "%s %s", have_before ? "now" : "before",
            status_of(have_before ? now : before));
    json_object_set_new(o, "change_percent", both ? json_real(100 * (b.median / a.median - 1)) : json_null());
    json_object_set_new(o, "noise", both ? json_boolean(a.low <= b.high && b.low <= a.high) : json_null());
    json_object_set_new(o, "modelled",
        json_boolean(json_is_true(json_object_get(now, "modelled")) ||
                     json_is_true(json_object_get(before, "modelled"))));
    json_object_set_new(o, "note", json_string(note));
    return o;
}

json_t *ane_compare(const json_t *now, const json_t *before, ane_error *e) {
    json_t *list = json_array(), *row;
    size_t i;
    if (!list) ane_fail(e, ANE_ERROR_MEMORY, "compare", "out of memory");
    json_array_foreach(ane_results_rows(now), i, row) {
        const json_t *other = ane_results_find(before, json_string_value(json_object_get(row, "benchmark")),
            json_string_value(json_object_get(row, "case")));
        if (other) json_array_append_new(list, compare_row(row, other));
    }
    return list;
}

static const char *member(const json_t *document, const char *part, const char *name) {
    const char *text = json_string_value(json_object_get(json_object_get(document, part), name));
    return text ? text : "";
}

const char *ane_compare_warning(const json_t *now, const json_t *before, char *text, size_t size) {
    static const struct {
        const char *part, *name, *what;
    } same[] = {{"machine", "chip", "chip"}, {"device", "spec", "device"},
        {"device", "precision", "precision"}, {"machine", "os_build", "OS build"}};
    text[0] = 0;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const char *a = member(before, same[i].part, same[i].name),
                   *b = member(now, same[i].part, same[i].name);
        size_t used = strlen(text);
        if (strcmp(a, b) != 0)
            snprintf(text + used, size - used, "%s%s was \"%.60s\", is \"%.60s\"", used ? "; " : "",
                same[i].what, a, b);
    }
    return text;
}
