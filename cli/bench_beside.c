/* bench_beside.c - see bench_beside.h. */
#include "cli/bench_beside.h"

#include "measure/compare.h"
#include "measure/page.h"
#include "measure/recorded.h"
#include "measure/results.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_REASONS = 8 };

static const char *text(const json_t *object, const char *name) {
    const char *s = json_string_value(json_object_get(object, name));
    return s ? s : "";
}

/* What a table shows of a row: a member of a part. */
typedef struct value {
    const char *benchmark, *title, *part, *member;
} value;

/* Benchmarks whose recorded number is not the time of the call; then what is shown of all others. */
static const value values[] = {{"dynamic", "update, ms", "metrics", "update_ms"},
    {"throughput", "ms a kernel", "metrics", "ms_per_kernel"}, {NULL, "ms", "device_ms", "median"}};
static const value rate = {NULL, "TFLOPS", "metrics", "tflops"};

static const value *value_of(const char *benchmark) {
    const value *v = values;
    while (v->benchmark && strcmp(v->benchmark, benchmark) != 0) v++;
    return v;
}

static bool is_of(const json_t *row, const char *benchmark) {
    return strcmp(text(row, "benchmark"), benchmark) == 0;
}

static const json_t *number_in(const json_t *row, const value *v) {
    const json_t *x = json_object_get(json_object_get(row, v->part), v->member);
    return json_is_number(x) ? x : NULL;
}

static const char *label_of(const json_t *document) {
    return text(json_object_get(document, "machine"), "label");
}

/* The machines that have this number of one of the rows of ours; an array. */
static json_t *columns_of(
    const json_t *results, const char *benchmark, const json_t *recorded, const value *v) {
    json_t *list = json_array(), *document, *row;
    size_t i, k;
    json_array_foreach(recorded, i, document) {
        bool any = false;
        json_array_foreach(ane_results_rows(results), k, row) {
            any = any || (is_of(row, benchmark) && number_in(ane_recorded_find(document, row), v));
        }
        if (any) json_array_append(list, document);
    }
    return list;
}

static int width_of(const json_t *document) {
    int n = (int)strlen(label_of(document));
    return n < 9 ? 9 : n;
}

static void put_number(const json_t *row, const value *v, int width) {
    char cell[ANE_NUMBER_TEXT + 2], number[ANE_NUMBER_TEXT];
    const json_t *x = number_in(row, v);
    snprintf(cell, sizeof cell, "%s%s", x ? ane_number_text(json_number_value(x), number) : "",
        x && json_object_get(row, "suspect") ? "?" : "");
    printf("  %*s", width, cell);
}

static void put_table(const json_t *results, const char *benchmark, const json_t *columns, const value *v) {
    size_t i, k;
    json_t *row, *document;
    int name = 4;
    json_array_foreach(ane_results_rows(results), k, row) {
        int n = (int)strlen(text(row, "case"));
        if (is_of(row, benchmark) && n > name) name = n;
    }
    bool modelled = json_is_true(json_object_get(json_object_get(results, "device"), "emulated"));
    printf("\n%s, ours beside recorded (%s)\n  %-*s  %9s", benchmark, v->title, name, "case",
        modelled ? "MODELLED" : "ours");
    json_array_foreach(columns, i, document) {
        printf("  %*s", width_of(document), label_of(document));
    }
    puts("");
    json_array_foreach(ane_results_rows(results), k, row) {
        if (!is_of(row, benchmark)) continue;
        printf("  %-*s", name, text(row, "case"));
        put_number(row, v, 9);
        json_array_foreach(columns, i, document) {
            put_number(ane_recorded_find(document, row), v, width_of(document));
        }
        puts("");
    }
}

/* Why there are question marks: each reason once. */
static void put_reasons(const json_t *results, const char *benchmark, const json_t *columns) {
    const char *told[MOST_REASONS] = {NULL};
    int n = 0;
    size_t i, k;
    json_t *row, *document;
    json_array_foreach(columns, i, document) {
        json_array_foreach(ane_results_rows(results), k, row) {
            const json_t *other = is_of(row, benchmark) ? ane_recorded_find(document, row) : NULL;
            const char *why = text(other, "suspect");
            bool before = false;
            for (int t = 0; t < n; t++) before = before || strcmp(told[t], why) == 0;
            if (!*why || before || n == MOST_REASONS) continue;
            told[n++] = why;
            printf("  ? %s, %s: %s\n", label_of(document), text(other, "case"), why);
        }
    }
}

void cli_print_recorded(const json_t *results, const char *benchmark, const json_t *recorded) {
    const value *v = value_of(benchmark);
    json_t *columns = columns_of(results, benchmark, recorded, v),
           *rates = v->benchmark ? json_array() : columns_of(results, benchmark, recorded, &rate),
           *any = ane_recorded_of(recorded, benchmark);
    if (json_array_size(columns) > 0) put_table(results, benchmark, columns, v);
    if (json_array_size(rates) > 0) put_table(results, benchmark, rates, &rate);
    put_reasons(results, benchmark, columns);
    if (json_array_size(columns) + json_array_size(rates) == 0)
        printf("\n%s: %s\n", benchmark,
            json_array_size(any) > 0
                ? "recorded for other cases only (anemone report -o recorded.html shows them)"
                : "nothing is recorded of it");
    json_decref(columns);
    json_decref(rates);
    json_decref(any);
}

/* ---- since an earlier file --------------------------------------------------------------------------------------- */

static void put_change(const json_t *x, int width) {
    char before[ANE_NUMBER_TEXT], now[ANE_NUMBER_TEXT];
    const json_t *change = json_object_get(x, "change_percent");
    printf("  %-12s %-*s", text(x, "benchmark"), width, text(x, "case"));
    if (json_is_null(change)) {
        printf("  %s\n", text(x, "note"));
        return;
    }
    printf("  %10s  %10s  %+8.1f %%  %s%s\n",
        ane_number_text(json_number_value(json_object_get(x, "before_ms")), before),
        ane_number_text(json_number_value(json_object_get(x, "now_ms")), now), json_number_value(change),
        json_number_value(change) == 0              ? "the same"
        : json_is_true(json_object_get(x, "noise")) ? "noise"
        : json_number_value(change) > 0             ? "slower"
                                                    : "faster",
        json_is_true(json_object_get(x, "modelled")) ? ", modelled" : "");
}

bool cli_print_comparison(const json_t *results, const json_t *before, ane_error *e) {
    char warning[400];
    size_t i;
    json_t *list = ane_compare(results, before, e), *x;
    int width = 4;
    if (!list) return false;
    json_array_foreach(list, i, x) {
        int n = (int)strlen(text(x, "case"));
        if (n > width) width = n;
    }
    puts("\nsince the earlier results (medians of the device; noise: the 95 % intervals overlap)");
    if (*ane_compare_warning(results, before, warning, sizeof warning))
        printf("  not of the same: %s\n", warning);
    printf("  %-12s %-*s  %10s  %10s\n", "benchmark", width, "case", "before ms", "now ms");
    json_array_foreach(list, i, x) {
        put_change(x, width);
    }
    if (json_array_size(list) == 0) puts("  no case is in both");
    json_decref(list);
    return true;
}
