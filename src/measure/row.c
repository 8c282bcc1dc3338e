/* row.c - one row of a results document. */
#include "measure/row.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ane_case_add(json_t *cases, json_t *config, const char *format, ...) {
    char name[160];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    json_array_append_new(cases, json_pack("{s:s, s:o}", "case", name, "config", config));
}

static const json_t *config(const json_t *row, const char *name) {
    return json_object_get(json_object_get(row, "config"), name);
}

int64_t ane_row_int(const json_t *row, const char *name) {
    return json_integer_value(config(row, name));
}

double ane_row_number(const json_t *row, const char *name) {
    return json_number_value(config(row, name));
}

const char *ane_row_text(const json_t *row, const char *name) {
    const char *text = json_string_value(config(row, name));
    return text ? text : "";
}

bool ane_row_flag(const json_t *row, const char *name) {
    return json_is_true(config(row, name));
}

/* The member, an object, made when it is not there. */
static json_t *part_of(json_t *row, const char *name) {
    json_t *o = json_object_get(row, name);
    if (o) return o;
    json_object_set_new(row, name, json_object());
    return json_object_get(row, name);
}

static void put_number(json_t *object, const char *name, double x) {
    if (isfinite(x)) json_object_set_new(object, name, json_real(x));
}

void ane_row_metric(json_t *row, const char *name, double x) {
    put_number(part_of(row, "metrics"), name, x);
}

double ane_row_get_metric(const json_t *row, const char *name) {
    const json_t *x = json_object_get(json_object_get(row, "metrics"), name);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

void ane_row_part(json_t *row, const char *name, double ms) {
    put_number(part_of(row, "parts"), name, ms);
}

void ane_row_series(json_t *row, const char *name, const double *x, int n) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(list, isfinite(x[i]) ? json_real(x[i]) : json_null());
    json_object_set_new(part_of(row, "series"), name, list);
}

void ane_row_times(json_t *row, const char *name, const ane_stats *s) {
    json_object_set_new(row, name,
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:i}", "median", s->median, "min", s->min, "p95", s->p95, "p99",
            s->p99, "ci", s->ci, "runs", s->n));
}

void ane_row_verified(json_t *row, const char *against, double error, double tolerance) {
    json_object_set_new(row, "verified",
        json_pack("{s:s, s:o, s:f, s:b}", "against", against, "error",
            isfinite(error) ? json_real(error) : json_null(), "tolerance", tolerance, "ok",
            error <= tolerance));
}

/* A row without a number says nothing else than why. */
static void end(json_t *row, const char *status, const ane_error *e) {
    static const char *const numbers[] = {
        "device_ms", "host_ms", "metrics", "parts", "series", "verified", "modelled"};
    char text[sizeof e->where + sizeof e->message + sizeof e->hint + 8];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) json_object_del(row, numbers[i]);
    snprintf(text, sizeof text, "%s%s%s%s%s", e->where, e->where[0] ? ": " : "", e->message,
        e->hint[0] ? " " : "", e->hint);
    json_t *said = json_string(text);
    json_object_set_new(row, "status", json_string(status));
    json_object_set_new(row, "error", said ? said : json_string("the report is no UTF-8"));
}

void ane_row_fail(json_t *row, const ane_error *e) {
    end(row, "failed", e);
}

void ane_row_skip(json_t *row, const ane_error *e) {
    end(row, "skipped", e);
}

bool ane_row_is_ok(const json_t *row) {
    const char *status = json_string_value(json_object_get(row, "status"));
    return status && strcmp(status, "ok") == 0;
}
