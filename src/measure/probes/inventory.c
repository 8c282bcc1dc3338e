/* inventory.c - what is there: the framework's classes, and what a loaded program says of itself. */
#include "measure/probes/asked.h"
#include "measure/probes/families.h"

#include <stdio.h>
#include <string.h>

/* ---- classes --------------------------------------------------------------------------------------------------------- */

static bool is(const json_t *object, const char *key, const char *text) {
    return strcmp(json_string_value(json_object_get(object, key)), text) == 0;
}

static const json_t *find(const json_t *list, const char *key, const char *text) {
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) {
        if (is(item, key, text)) return item;
    }
    return NULL;
}

static bool has_name(const json_t *names, const char *name) {
    size_t i;
    const json_t *other;
    json_array_foreach(names, i, other) {
        if (strcmp(json_string_value(other), name) == 0) return true;
    }
    return false;
}

/* How many there were to find, and how many were found. */
typedef struct tally {
    size_t found, all;
} tally;

/* Names; the differences go into the details. */
static tally compare_names(ane_asking *a, const json_t *classes, const json_t *recorded) {
    json_t *missing = json_array(), *more = json_array(), *entry;
    tally t = {0, json_array_size(recorded)};
    size_t i;
    json_array_foreach(recorded, i, entry) {
        bool there = find(classes, "name", json_string_value(entry)) != NULL;
        t.found += there;
        if (!there) json_array_append(missing, entry);
    }
    json_array_foreach(classes, i, entry) {
        json_t *name = json_object_get(entry, "name");
        if (!has_name(recorded, json_string_value(name))) json_array_append(more, name);
    }
    ane_asking_put(a, "recorded_but_not_here", missing);
    ane_asking_put(a, "here_but_not_recorded", more);
    return t;
}

/* "+selector" of the class, "-selector" of its objects. */
static tally compare_selectors(ane_asking *a, const json_t *classes, json_t *recorded) {
    json_t *missing = json_array(), *selectors, *entry;
    tally t = {0, 0};
    const char *name;
    size_t i;
    json_object_foreach(recorded, name, selectors) {
        const json_t *class = find(classes, "name", name);
        json_array_foreach(selectors, i, entry) {
            const char *selector = json_string_value(entry);
            const json_t *methods = json_object_get(class, selector[0] == '+' ? "class_methods" : "methods");
            bool there = find(methods, "selector", selector + 1) != NULL;
            t.found += there;
            t.all++;
            if (!there)
                json_array_append_new(missing, json_sprintf("%c[%s %s]", selector[0], name, selector + 1));
        }
    }
    ane_asking_put(a, "selectors_not_here", missing);
    return t;
}

bool ane_ask_classes(ane_asking *a, ane_error *e) {
    engine_device *x = engine_explore(a->device, e);
    json_t *classes = x ? engine_explore_classes(x, e) : NULL, *all = ane_probe_records(e);
    const json_t *recorded = ane_probe_recorded_classes(all);
    bool ok = classes && recorded;
    ane_asking_did(a,
        "asked the Objective-C runtime for all classes whose names begin with _ANE or ANE, their methods, "
        "properties and instance variables; compared names and selectors with those that were published");
    if (ok) {
        tally names = compare_names(a, classes, json_object_get(recorded, "names"));
        tally selectors = compare_selectors(a, classes, json_object_get(recorded, "selectors"));
        ane_asking_put(a, "count", json_integer((json_int_t)json_array_size(classes)));
        ane_asking_put(a, "recorded_count", json_incref(json_object_get(recorded, "counted")));
        ane_asking_answer(a, "%zu of %zu published classes, %zu of %zu selectors", names.found, names.all,
            selectors.found, selectors.all);
        ane_asking_put(a, "classes", json_incref(classes));
    }
    json_decref(classes);
    json_decref(all);
    return ok;
}

/* ---- attributes -------------------------------------------------------------------------------------------------------- */

/* NetworkStatusList[0][list]: every entry has a name and a row stride. */
static bool tells_ports(const json_t *attributes, const char *list, size_t n) {
    static const char *const fields[] = {"Name", "RowStride", "PlaneStride", "Channels", "Width", "Type"};
    const json_t *status = json_array_get(json_object_get(attributes, "NetworkStatusList"), 0);
    const json_t *ports = json_object_get(status, list);
    if (json_array_size(ports) != n) return false;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
            if (!json_object_get(json_array_get(ports, i), fields[k])) return false;
    return true;
}

static bool tells_symbols(const json_t *attributes, const char *key, size_t n) {
    const json_t *model = json_object_get(attributes, "ANEFModelDescription");
    return json_array_size(json_object_get(model, key)) == n;
}

bool ane_ask_attributes(ane_asking *a, ane_error *e) {
    ane_asked r;
    ane_asking_did(a, "read modelAttributes, handles and the disk model of a loaded sum of two inputs");
    bool ok = ane_asked_begin(&r, a->device, e);
    if (ok) {
        mil_value x = ane_asked_input(&r, "anemone_a", 64), y = ane_asked_input(&r, "anemone_b", 64);
        ok = ane_asked_compile(&r, mil_add(r.f, x, y), 0, NULL, ENGINE_QOS, e);
    }
    json_t *attributes = ok ? engine_explored_attributes(r.explored, e) : NULL;
    if (attributes) {
        bool ports =
            tells_ports(attributes, "LiveInputList", 2) && tells_ports(attributes, "LiveOutputList", 1);
        bool symbols = tells_symbols(attributes, "kANEFModelInputSymbolsArrayKey", 2) &&
                       tells_symbols(attributes, "kANEFModelOutputSymbolsArrayKey", 1);
        ane_asking_answer(
            a, "ports with names and strides: %s; symbols: %s", ports ? "yes" : "no", symbols ? "yes" : "no");
        ane_asking_put(a, "attributes", attributes);
        ane_asking_put(a, "handles", engine_explored_handles(r.explored, NULL));
    }
    ane_asked_end(&r);
    return attributes != NULL;
}
