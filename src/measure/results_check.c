/* results_check.c - whether a document is what docs/results.md says. */
#include "measure/results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind { STRING, NUMBER, INTEGER, BOOLEAN, OBJECT, ARRAY, NUMBER_OR_NULL, BOOLEAN_OR_NULL } kind;

static const char *const kind_names[] = {"a string", "a number", "a whole number", "true or false",
    "an object", "an array", "a number or null", "true, false or null"};

typedef struct member {
    const char *name;
    kind kind;
    bool optional;
} member;

typedef struct place {
    const char *file;
    char path[160]; /* "rows[3].host_ms" */
} place;

static bool is_kind(const json_t *x, kind k) {
    switch (k) {
    case STRING: return json_is_string(x);
    case NUMBER: return json_is_number(x);
    case INTEGER: return json_is_integer(x);
    case BOOLEAN: return json_is_boolean(x);
    case OBJECT: return json_is_object(x);
    case ARRAY: return json_is_array(x);
    case NUMBER_OR_NULL: return json_is_number(x) || json_is_null(x);
    case BOOLEAN_OR_NULL: return json_is_boolean(x) || json_is_null(x);
    }
    return false;
}

static bool refuse(const place *p, const char *name, const char *expected, const json_t *x, ane_error *e) {
    char where[256];
    char *found = x ? json_dumps(x, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    snprintf(where, sizeof where, "%.80s: %s%s%s", p->file, p->path, p->path[0] && name[0] ? "." : "", name);
    ane_fail(e, ANE_ERROR_FORMAT, where, "expected %s, found %.80s", expected, found ? found : "nothing");
    free(found);
    return false;
}

/* Each member is there and of its type. */
static bool check(const place *p, const json_t *object, const member *members, ane_error *e) {
    for (const member *m = members; m->name; m++) {
        const json_t *x = json_object_get(object, m->name);
        if (!x && m->optional) continue;
        if (!x || !is_kind(x, m->kind)) return refuse(p, m->name, kind_names[m->kind], x, e);
    }
    return true;
}

/* The member, when it is there, is an object of these members. */
static bool check_part(
    const place *p, const json_t *object, const char *name, const member *members, ane_error *e) {
    const json_t *x = json_object_get(object, name);
    if (!x) return true;
    place inner = {.file = p->file};
    snprintf(inner.path, sizeof inner.path, "%.100s%s%s", p->path, p->path[0] ? "." : "", name);
    return check(&inner, x, members, e);
}

/* The member, when it is there, is an object whose members are all of one kind. */
static bool check_all(const place *p, const json_t *object, const char *name, kind k, ane_error *e) {
    json_t *all = json_object_get(object, name), *x;
    const char *key;
    place inner = {.file = p->file};
    snprintf(inner.path, sizeof inner.path, "%.100s%s%.40s", p->path, p->path[0] ? "." : "", name);
    json_object_foreach(all, key, x) {
        if (!is_kind(x, k)) return refuse(&inner, key, kind_names[k], x, e);
    }
    return true;
}

static const member document_members[] = {{"schema", STRING, false}, {"anemone", STRING, false},
    {"created", STRING, false}, {"machine", OBJECT, false}, {"device", OBJECT, false}, {"rows", ARRAY, false},
    {"probes", ARRAY, true}, {NULL, 0, false}};
static const member machine_members[] = {{"chip", STRING, false}, {"processor", STRING, false},
    {"model", STRING, false}, {"os", STRING, false}, {"os_build", STRING, false},
    {"framework", STRING, false}, {"cores", NUMBER, false}, {"memory_gb", NUMBER, false}, {NULL, 0, false}};
static const member device_members[] = {{"spec", STRING, false}, {"name", STRING, false},
    {"description", STRING, false}, {"emulated", BOOLEAN, false}, {"precision", STRING, false},
    {"threads", NUMBER, false}, {NULL, 0, false}};
static const member row_members[] = {{"benchmark", STRING, false}, {"case", STRING, false},
    {"config", OBJECT, false}, {"status", STRING, false}, {"error", STRING, false},
    {"modelled", BOOLEAN, true}, {"device_ms", OBJECT, true}, {"host_ms", OBJECT, true},
    {"metrics", OBJECT, true}, {"verified", OBJECT, true}, {"parts", OBJECT, true}, {"series", OBJECT, true},
    {NULL, 0, false}};
static const member times_members[] = {{"median", NUMBER, false}, {"min", NUMBER, false},
    {"p95", NUMBER, false}, {"p99", NUMBER, false}, {"ci", NUMBER, false}, {"runs", INTEGER, false},
    {NULL, 0, false}};
static const member verified_members[] = {{"against", STRING, false}, {"error", NUMBER_OR_NULL, false},
    {"tolerance", NUMBER, false}, {"ok", BOOLEAN, false}, {NULL, 0, false}};
static const member probe_members[] = {{"probe", STRING, false}, {"question", STRING, false},
    {"did", STRING, false}, {"status", STRING, false}, {"error", STRING, false}, {"answer", STRING, false},
    {"details", OBJECT, true}, {"recorded", STRING, true}, {"source", STRING, true},
    {"equal", BOOLEAN_OR_NULL, false}, {NULL, 0, false}};

static bool check_status(const place *p, const json_t *row, ane_error *e) {
    static const char *const known[] = {"ok", "failed", "skipped"};
    static const char *const numbers[] = {"device_ms", "host_ms", "metrics"};
    const char *status = json_string_value(json_object_get(row, "status"));
    size_t i = 0;
    while (i < 3 && strcmp(status, known[i]) != 0) i++;
    if (i == 3) return refuse(p, "status", "ok, failed or skipped", json_object_get(row, "status"), e);
    for (size_t k = 0; i > 0 && k < sizeof numbers / sizeof *numbers; k++)
        if (json_object_get(row, numbers[k]))
            return refuse(
                p, numbers[k], "no numbers in a row that is not ok", json_object_get(row, numbers[k]), e);
    return true;
}

static bool check_row(const place *p, const json_t *row, ane_error *e) {
    return check(p, row, row_members, e) && check_status(p, row, e) &&
           check_part(p, row, "device_ms", times_members, e) &&
           check_part(p, row, "host_ms", times_members, e) &&
           check_part(p, row, "verified", verified_members, e) && check_all(p, row, "metrics", NUMBER, e) &&
           check_all(p, row, "parts", NUMBER, e) && check_all(p, row, "series", ARRAY, e);
}

static bool check_probe(const place *p, const json_t *probe, ane_error *e) {
    return check(p, probe, probe_members, e);
}

static bool check_list(const char *file, const json_t *results, const char *name,
    bool (*each)(const place *p, const json_t *x, ane_error *e), ane_error *e) {
    size_t i;
    json_t *x;
    json_array_foreach(json_object_get(results, name), i, x) {
        place p = {.file = file};
        snprintf(p.path, sizeof p.path, "%s[%zu]", name, i);
        if (!json_is_object(x)) return refuse(&p, "", "an object", x, e);
        if (!each(&p, x, e)) return false;
    }
    return true;
}

bool ane_results_check(const json_t *results, const char *name, ane_error *e) {
    const place top = {.file = name};
    if (!json_is_object(results)) return refuse(&top, "", "an object", results, e);
    if (!check(&top, results, document_members, e)) return false;
    const json_t *schema = json_object_get(results, "schema");
    if (strcmp(json_string_value(schema), ANE_RESULTS_SCHEMA) != 0)
        return refuse(&top, "schema", "\"" ANE_RESULTS_SCHEMA "\"", schema, e);
    return check_part(&top, results, "machine", machine_members, e) &&
           check_part(&top, results, "device", device_members, e) &&
           check_list(name, results, "rows", check_row, e) &&
           check_list(name, results, "probes", check_probe, e);
}
