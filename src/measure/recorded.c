/* recorded.c - data/ane_recorded.json as results documents. */
#include "measure/recorded.h"

#include "measure/results.h"

#include <string.h>

/* Made from data/ane_recorded.json by cmake/data.cmake. */
extern const unsigned char ane_recorded_json[];
extern const size_t ane_recorded_json_size;

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

typedef struct range {
    double low, middle, high;
} range;

/* A number, or [low, high]. */
static range range_of(const json_t *x) {
    if (!json_is_array(x)) {
        double value = json_number_value(x);
        return (range){value, value, value};
    }
    double low = json_number_value(json_array_get(x, 0)), high = json_number_value(json_array_get(x, 1));
    return (range){low, (low + high) / 2, high};
}

static void put_times(json_t *row, const char *name, const json_t *recorded) {
    if (!recorded) return;
    const range r = range_of(recorded);
    json_object_set_new(row, name,
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:i}", "median", r.middle, "min", r.low, "p95", r.high, "p99",
            r.high, "ci", r.middle > 0 ? (r.high - r.low) / 2 / r.middle : 0.0, "runs", 0));
}

static void put_numbers(json_t *row, const char *name, json_t *recorded) {
    json_t *numbers = json_object(), *x;
    const char *key;
    json_object_foreach(recorded, key, x) {
        json_object_set_new(numbers, key, json_real(range_of(x).middle));
    }
    if (recorded) json_object_set(row, name, numbers);
    json_decref(numbers);
}

static json_t *make_row(const json_t *recorded, const json_t *machine) {
    static const char *const kept[] = {
        "benchmark", "case", "status", "error", "program", "source", "note", "suspect", "answer"};
    const json_t *ms = json_object_get(recorded, "ms"), *device = json_object_get(recorded, "device_ms");
    json_t *row = json_pack("{s:s, s:s, s:O, s:{}, s:b}", "status", "ok", "error", "", "source",
        json_object_get(machine, "source"), "config", "modelled", 0);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (json_object_get(recorded, kept[i]))
            json_object_set(row, kept[i], json_object_get(recorded, kept[i]));
    if (json_object_get(recorded, "config"))
        json_object_set(row, "config", json_object_get(recorded, "config"));
    put_times(row, "device_ms", device ? device : ms);
    put_times(row, "host_ms", ms);
    put_numbers(row, "metrics", json_object_get(recorded, "metrics"));
    put_numbers(row, "parts", json_object_get(recorded, "parts"));
    return row;
}

static json_t *make_document(const char *id, const json_t *machine) {
    const char *chip = text_of(machine, "chip");
    json_t *made = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:f}", "chip", chip, "label",
        text_of(machine, "label"), "processor", "", "model", text_of(machine, "model"), "os",
        text_of(machine, "os"), "os_build", text_of(machine, "os_build"), "framework", "", "cores",
        json_number_value(json_object_get(machine, "cores")), "memory_gb",
        json_number_value(json_object_get(machine, "memory_gb")));
    json_t *device = json_pack("{s:s, s:s, s:s, s:b, s:s, s:i}", "spec", "recorded", "name", "ane",
        "description", text_of(machine, "source"), "emulated", 0, "precision", "fp16", "threads", 0);
    return json_pack("{s:s, s:s, s:s, s:b, s:s, s:o, s:o, s:[], s:[]}", "schema", ANE_RESULTS_SCHEMA,
        "anemone", "", "created", "", "recorded", 1, "id", id, "machine", made, "device", device, "rows",
        "probes");
}

json_t *ane_recorded_documents(ane_error *e) {
    json_error_t found;
    json_t *data = json_loadb((const char *)ane_recorded_json, ane_recorded_json_size, 0, &found);
    if (!data) {
        ane_fail(e, ANE_ERROR_FORMAT, "data/ane_recorded.json", "%s", found.text);
        return NULL;
    }
    json_t *documents = json_array(), *by_id = json_object(), *machine, *row;
    const json_t *machines = json_object_get(data, "machines");
    const char *id;
    size_t i;
    json_object_foreach((json_t *)machines, id, machine) {
        json_t *document = make_document(id, machine);
        json_object_set(by_id, id, document);
        json_array_append_new(documents, document);
    }
    json_array_foreach(json_object_get(data, "rows"), i, row) {
        const char *on = text_of(row, "machine");
        json_array_append_new(
            ane_results_rows(json_object_get(by_id, on)), make_row(row, json_object_get(machines, on)));
    }
    json_decref(by_id);
    json_decref(data);
    return documents;
}

/* Do two configs tell the same? At least one member must be in both; those in both are equal. What only one tells (how
 * long it ran, say) does not part them, but for the recorded mode or path of running, which one must tell too. */
static bool same_config(const json_t *recorded, const json_t *ours) {
    json_t *x;
    const char *key;
    int common = 0;
    json_object_foreach((json_t *)recorded, key, x) {
        const json_t *y = json_object_get(ours, key);
        if (!y && !json_is_string(x)) continue;
        bool equal = json_is_number(x) && json_is_number(y) ? json_number_value(x) == json_number_value(y)
                                                            : json_equal(x, y);
        if (!equal) return false;
        common++;
    }
    return common > 1;
}

json_t *ane_recorded_find(const json_t *document, const json_t *row) {
    const char *benchmark = text_of(row, "benchmark");
    json_t *other = ane_results_find(document, benchmark, text_of(row, "case"));
    size_t i;
    if (other) return other;
    json_array_foreach(ane_results_rows(document), i, other) {
        if (strcmp(text_of(other, "benchmark"), benchmark) == 0 &&
            same_config(json_object_get(other, "config"), json_object_get(row, "config")))
            return other;
    }
    return NULL;
}

json_t *ane_recorded_of(const json_t *documents, const char *benchmark) {
    json_t *list = json_array(), *document, *row;
    size_t i, k;
    json_array_foreach(documents, i, document) {
        json_array_foreach(ane_results_rows(document), k, row) {
            if (strcmp(text_of(row, "benchmark"), benchmark) != 0) continue;
            json_array_append(list, document);
            break;
        }
    }
    return list;
}
