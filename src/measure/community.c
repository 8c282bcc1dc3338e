/* community.c - reading the field's community benchmark; community_write.c writes it. */
#include "measure/community.h"

#include "measure/documents.h"
#include "measure/results.h"
#include "measure/row.h"

#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* The member is absent, null or a number; a range [low, high] where `ranges`. */
static bool check_number(
    const json_t *object, const char *place, const char *name, bool ranges, const char *path, ane_error *e) {
    const json_t *x = json_object_get(object, name);
    bool range = ranges && json_array_size(x) == 2 && json_is_number(json_array_get(x, 0)) &&
                 json_is_number(json_array_get(x, 1));
    char where[160];
    if (!x || json_is_null(x) || json_is_number(x) || range) return true;
    snprintf(where, sizeof where, "%.100s.%.50s", place, name);
    return ane_document_refuse(path, where, ranges ? "a number or a range of two" : "a number", x, e);
}

/* Members of a submission's entry and what they are called in our rows. */
typedef struct field {
    const char *theirs, *ours; /* ours: a metric, or "device_ms" */
} field;

/* NaN-free: only what is there. Ranges become their middle. */
static void put(json_t *row, const json_t *entry, const field *f) {
    const json_t *x = json_object_get(entry, f->theirs);
    double low = json_number_value(json_array_get(x, 0)), high = json_number_value(json_array_get(x, 1));
    if (!json_is_number(x) && !json_is_array(x)) return;
    double value = json_is_array(x) ? (low + high) / 2 : json_number_value(x);
    if (strcmp(f->ours, "device_ms") != 0) {
        ane_row_metric(row, f->ours, value);
        return;
    }
    const ane_stats s = {.min = json_is_array(x) ? low : value,
        .median = value,
        .p95 = json_is_array(x) ? high : value,
        .p99 = json_is_array(x) ? high : value};
    ane_row_times(row, "device_ms", &s);
    ane_row_times(row, "host_ms", &s);
}

static json_t *new_row(const char *benchmark, const char *name, bool modelled, json_t *config) {
    return json_pack("{s:s, s:s, s:o, s:s, s:s, s:b}", "benchmark", benchmark, "case", name, "config", config,
        "status", "ok", "error", "", "modelled", modelled);
}

static bool check_fields(const json_t *entry, const char *place, const field *fields, bool ranges,
    const char *path, ane_error *e) {
    if (!json_is_object(entry)) return ane_document_refuse(path, place, "an object", entry, e);
    for (const field *f = fields; f->theirs; f++)
        if (!check_number(entry, place, f->theirs, ranges, path, e)) return false;
    return true;
}

static const field sram_fields[] = {{"weight_mb", "weights_mb"}, {"ms_per_eval", "device_ms"},
    {"tflops", "tflops"}, {"gflops_per_mb", "gflops_per_mb"}, {NULL, NULL}};
static const field peak_fields[] = {{"weight_mb", "weights_mb"}, {"ms_per_eval", "device_ms"},
    {"tflops", "tflops"}, {"gflops", "gflop"}, {NULL, NULL}};
static const field training_fields[] = {{"ms_per_step", "device_ms"},
    {"ane_tflops_sustained", "device_tflops"}, {"total_tflops", "total_tflops"},
    {"ane_util_pct", "percent_of_15_8"}, {"compile_pct", "compile_percent"}, {"train_pct", "train_percent"},
    {NULL, NULL}};

static bool check_integers(
    const json_t *entry, const char *place, const char *const *names, const char *path, ane_error *e) {
    char where[160];
    for (; *names; names++) {
        const json_t *x = json_object_get(entry, *names);
        if (json_is_integer(x) && json_integer_value(x) > 0) continue;
        snprintf(where, sizeof where, "%.100s.%.50s", place, *names);
        return ane_document_refuse(path, where, "a whole number above 0", x, e);
    }
    return true;
}

static bool read_sram(
    json_t *rows, const json_t *entry, const char *place, bool modelled, const char *path, ane_error *e) {
    static const char *const names[] = {"channels", NULL};
    if (!check_fields(entry, place, sram_fields, false, path, e) ||
        !check_integers(entry, place, names, path, e))
        return false;
    char name[32];
    json_int_t channels = json_integer_value(json_object_get(entry, "channels"));
    snprintf(name, sizeof name, "%lld", channels);
    json_t *row = new_row("sram-fine", name, modelled,
        json_pack("{s:I, s:i}", "channels", channels, "positions", channels == 8192 ? 32 : 64));
    for (const field *f = sram_fields; f->theirs; f++) put(row, entry, f);
    return json_array_append_new(rows, row) == 0;
}

static bool read_peak(
    json_t *rows, const json_t *entry, const char *place, bool modelled, const char *path, ane_error *e) {
    static const char *const names[] = {"channels", "spatial", "depth", NULL};
    if (!check_fields(entry, place, peak_fields, false, path, e) ||
        !check_integers(entry, place, names, path, e))
        return false;
    char name[96];
    json_int_t channels = json_integer_value(json_object_get(entry, "channels")),
               spatial = json_integer_value(json_object_get(entry, "spatial")),
               depth = json_integer_value(json_object_get(entry, "depth"));
    snprintf(name, sizeof name, "%lldx%lldx%lld", channels, spatial, depth);
    json_t *row = new_row("peak", name, modelled,
        json_pack("{s:I, s:I, s:I}", "channels", channels, "positions", spatial, "depth", depth));
    for (const field *f = peak_fields; f->theirs; f++) put(row, entry, f);
    return json_array_append_new(rows, row) == 0;
}

static bool read_list(json_t *rows, const json_t *benchmarks, const char *name, bool modelled,
    bool (*each)(
        json_t *rows, const json_t *entry, const char *place, bool modelled, const char *path, ane_error *e),
    const char *path, ane_error *e) {
    const json_t *list = json_object_get(benchmarks, name);
    char place[80];
    size_t i;
    json_t *entry;
    snprintf(place, sizeof place, "benchmarks.%.40s", name);
    if (list && !json_is_array(list)) return ane_document_refuse(path, place, "an array", list, e);
    json_array_foreach(list, i, entry) {
        snprintf(place, sizeof place, "benchmarks.%.40s[%zu]", name, i);
        if (!each(rows, entry, place, modelled, path, e)) return false;
    }
    return true;
}

/* {} when it was skipped. */
static bool read_training(json_t *rows, const json_t *benchmarks, const char *theirs, const char *ours,
    bool modelled, const char *path, ane_error *e) {
    const json_t *entry = json_object_get(benchmarks, theirs);
    char place[80];
    snprintf(place, sizeof place, "benchmarks.%.50s", theirs);
    if (!entry) return true;
    if (!check_fields(entry, place, training_fields, false, path, e)) return false;
    if (json_object_size(entry) == 0) return true;
    json_t *row = new_row("train", ours, modelled, json_pack("{s:s}", "model", "stories110m"));
    for (const field *f = training_fields; f->theirs; f++) put(row, entry, f);
    return json_array_append_new(rows, row) == 0;
}

/* "Apple M4 Max" -> "M4 Max" */
static const char *plain_chip(const char *chip) {
    return strncmp(chip, "Apple ", 6) == 0 ? chip + 6 : chip;
}

static json_t *new_document(const char *created, json_t *machine, const char *description, bool modelled) {
    return json_pack("{s:s, s:s, s:s, s:o, s:{s:s, s:s, s:s, s:b, s:s, s:i}, s:[], s:[]}", "schema",
        ANE_RESULTS_SCHEMA, "anemone", "", "created", created, "machine", machine, "device", "spec",
        "community", "name", "ane", "description", description, "emulated", modelled, "precision", "fp16",
        "threads", 0, "rows", "probes");
}

json_t *ane_community_document(const json_t *submission, const char *path, ane_error *e) {
    const json_t *version = json_object_get(submission, "schema_version"),
                 *system = json_object_get(submission, "system"),
                 *benchmarks = json_object_get(submission, "benchmarks");
    bool modelled = json_is_true(json_object_get(submission, "modelled"));
    if (!json_is_integer(version) || json_integer_value(version) != 1) {
        ane_document_refuse(path, "schema_version", "1", version, e);
        return NULL;
    }
    if (!json_is_string(json_object_get(system, "chip"))) {
        ane_document_refuse(path, "system.chip", "a string", json_object_get(system, "chip"), e);
        return NULL;
    }
    if (!json_is_object(benchmarks)) {
        ane_document_refuse(path, "benchmarks", "an object", benchmarks, e);
        return NULL;
    }
    json_t *machine =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:f}", "chip", plain_chip(text_of(system, "chip")),
            "processor", text_of(system, "chip"), "model", text_of(system, "machine"), "os",
            text_of(system, "macos_version"), "os_build", text_of(system, "macos_build"), "framework", "",
            "cores", json_number_value(json_object_get(system, "cpu_cores")), "memory_gb",
            json_number_value(json_object_get(system, "memory_gb")));
    json_t *document =
        new_document(text_of(submission, "timestamp"), machine, "community benchmark", modelled);
    json_t *rows = ane_results_rows(document);
    if (read_list(rows, benchmarks, "sram_probe", modelled, read_sram, path, e) &&
        read_list(rows, benchmarks, "inmem_peak", modelled, read_peak, path, e) &&
        read_training(rows, benchmarks, "training_cpu_classifier", "static-stories110m", modelled, path, e) &&
        read_training(
            rows, benchmarks, "training_ane_classifier", "static-ane-stories110m", modelled, path, e))
        return document;
    json_decref(document);
    return NULL;
}

/* ---- community_results.json -------------------------------------------------------------------------------------- */

static const field machine_training[] = {{"ms_per_step", "device_ms"}, {"ane_ms", "ane_ms"},
    {"compile_ms", "compile_ms"}, {"ane_tflops", "device_tflops"}, {"ane_util_pct", "percent_of_15_8"},
    {NULL, NULL}};
static const field machine_peak[] = {{"peak_tflops", "tflops"}, {"peak_tflops_inmem", "tflops"},
    {"sustained_tflops", "sustained_tflops"}, {NULL, NULL}};

static bool has_any(const json_t *entry, const field *fields) {
    for (; fields->theirs; fields++)
        if (json_object_get(entry, fields->theirs) && !json_is_null(json_object_get(entry, fields->theirs)))
            return true;
    return false;
}

static void add_row(
    json_t *document, const json_t *entry, const char *benchmark, const char *name, const field *fields) {
    if (!has_any(entry, fields)) return;
    json_t *row = new_row(benchmark, name, false, json_object());
    for (; fields->theirs; fields++) put(row, entry, fields);
    json_array_append_new(ane_results_rows(document), row);
}

bool ane_community_machines(json_t *documents, const json_t *all, const char *path, ane_error *e) {
    const json_t *list = json_object_get(all, "training_results");
    size_t i;
    json_t *entry;
    if (!json_is_array(list)) return ane_document_refuse(path, "training_results", "an array", list, e);
    json_array_foreach(list, i, entry) {
        char place[64];
        snprintf(place, sizeof place, "training_results[%zu]", i);
        if (!check_fields(entry, place, machine_training, true, path, e) ||
            !check_fields(entry, place, machine_peak, true, path, e))
            return false;
        if (!json_is_string(json_object_get(entry, "chip")))
            return ane_document_refuse(path, place, "an object with a chip", entry, e);
        json_t *machine =
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:f}", "chip", plain_chip(text_of(entry, "chip")),
                "processor", text_of(entry, "chip"), "model", "", "os", text_of(entry, "macos"), "os_build",
                "", "framework", "", "cores", json_number_value(json_object_get(entry, "cores")), "memory_gb",
                json_number_value(json_object_get(entry, "ram_gb")));
        json_t *document =
            new_document(text_of(all, "report_date"), machine, "community_results.json", false);
        add_row(document, entry, "train", "static-stories110m", machine_training);
        add_row(document, entry, "peak", "best", machine_peak);
        if (json_array_append_new(documents, document) != 0)
            return ane_fail(e, ANE_ERROR_MEMORY, path, "out of memory");
    }
    return true;
}
