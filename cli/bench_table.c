#include "cli/bench_table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_METRICS = 32, WIDEST_CELL = 32 };

typedef struct columns {
    const char *metric[MOST_METRICS];
    int width[MOST_METRICS], n, name_width;
} columns;

static const char *text(const json_t *row, const char *name) {
    const char *s = json_string_value(json_object_get(row, name));
    return s ? s : "";
}

/* Four digits that matter, without an exponent where that is readable. */
static const char *number(double x, char *out) {
    double size = x < 0 ? -x : x;
    if (size < 1e7 && x == (double)(long)x)
        snprintf(out, WIDEST_CELL, "%ld", (long)x);
    else if (size < 1e-4 || size >= 1e7)
        snprintf(out, WIDEST_CELL, "%.3g", x);
    else
        snprintf(out, WIDEST_CELL, "%.*f",
            size >= 1000  ? 0
            : size >= 100 ? 1
            : size >= 10  ? 2
            : size >= 1   ? 3
                          : 4,
            x);
    return out;
}

static int column_of(columns *c, const char *metric) {
    int i = 0;
    while (i < c->n && strcmp(c->metric[i], metric) != 0) i++;
    if (i == MOST_METRICS) return -1;
    if (i == c->n) {
        c->metric[c->n++] = metric;
        c->width[i] = (int)strlen(metric);
    }
    return i;
}

/* A row that is a sentence, made from the others. */
static bool is_conclusion(const json_t *row) {
    return json_object_get(row, "note") != NULL;
}

static void put_conclusion(const json_t *row) {
    json_t *metrics = json_object_get(row, "metrics"), *x;
    const char *key;
    char cell[WIDEST_CELL];
    printf("  %s: %s (", text(row, "case"), text(row, "note"));
    const char *between = "";
    json_object_foreach(metrics, key, x) {
        printf("%s%s %s", between, key, number(json_number_value(x), cell));
        between = ", ";
    }
    puts(")");
}

static void widen(columns *c, const json_t *row) {
    if (is_conclusion(row)) return;
    json_t *metrics = json_object_get(row, "metrics"), *x;
    const char *key;
    char cell[WIDEST_CELL];
    int name = (int)strlen(text(row, "case"));
    if (name > c->name_width) c->name_width = name;
    json_object_foreach(metrics, key, x) {
        int i = column_of(c, key), n = (int)strlen(number(json_number_value(x), cell));
        if (i >= 0 && n > c->width[i]) c->width[i] = n;
    }
}

static void put_time(const json_t *row, const char *name, bool with_interval) {
    const json_t *t = json_object_get(row, name);
    char cell[WIDEST_CELL];
    printf("  %10s", t ? number(json_number_value(json_object_get(t, "median")), cell) : "");
    if (!with_interval) return;
    if (t)
        printf(" %5.1f%%", 100 * json_number_value(json_object_get(t, "ci")));
    else
        printf("       ");
}

static void put_row(const columns *c, const json_t *row) {
    char cell[WIDEST_CELL];
    if (is_conclusion(row)) {
        put_conclusion(row);
        return;
    }
    printf("  %-*s", c->name_width, text(row, "case"));
    if (strcmp(text(row, "status"), "ok") != 0) {
        printf("  %s: %s\n", text(row, "status"), text(row, "error"));
        return;
    }
    put_time(row, "device_ms", true);
    put_time(row, "host_ms", false);
    for (int i = 0; i < c->n; i++) {
        const json_t *x = json_object_get(json_object_get(row, "metrics"), c->metric[i]);
        printf("  %*s", c->width[i], x ? number(json_number_value(x), cell) : "");
    }
    puts(json_object_get(row, "verified") ? "" : "  not compared");
}

static bool is_modelled(const json_t *results) {
    return json_is_true(json_object_get(json_object_get(results, "device"), "emulated"));
}

void cli_print_benchmark(const json_t *results, const char *name, const char *field) {
    columns c = {.name_width = 4};
    size_t i;
    json_t *row;
    const json_t *rows = json_object_get(results, "rows");
    json_array_foreach(rows, i, row) if (strcmp(text(row, "benchmark"), name) == 0) widen(&c, row);
    printf("\n%s%s%s%s on %s%s\n", name, field[0] ? " (" : "", field, field[0] ? ")" : "",
        text(json_object_get(results, "machine"), "chip"),
        is_modelled(results) ? ", emulated: device times are MODELLED" : "");
    printf("  %-*s  %10s     ci  %10s", c.name_width, "case",
        is_modelled(results) ? "modelled ms" : "device ms", "host ms");
    for (int k = 0; k < c.n; k++) printf("  %*s", c.width[k], c.metric[k]);
    puts("");
    json_array_foreach(rows, i, row) if (strcmp(text(row, "benchmark"), name) == 0) put_row(&c, row);
}

void cli_print_bench_summary(const json_t *results) {
    static const char *const statuses[] = {"ok", "failed", "skipped"};
    int count[3] = {0};
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(results, "rows"), i, row) for (int k = 0; k < 3; k++) count[k] +=
        strcmp(text(row, "status"), statuses[k]) == 0;
    printf("\n%d measured, %d failed, %d skipped\n", count[0], count[1], count[2]);
}
