/* community_write.c - a results document as the field's community benchmark, schema version 1. */
#include "measure/community.h"
#include "measure/results.h"
#include "measure/row.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A fall below this part of the best so far is where their script says that weights spill. */
static const double SPILL = 0.6;

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static bool is_of(const json_t *row, const char *benchmark) {
    return ane_row_is_ok(row) && strcmp(text_of(row, "benchmark"), benchmark) == 0;
}

static double median_ms(const json_t *row) {
    return json_number_value(json_object_get(json_object_get(row, "device_ms"), "median"));
}

static void put_number(json_t *entry, const char *name, double x) {
    if (isfinite(x)) json_object_set_new(entry, name, json_real(x));
}

/* The entry of one row; modelled ones say so. */
static json_t *new_entry(const json_t *row) {
    json_t *entry = json_object();
    if (json_is_true(json_object_get(row, "modelled"))) json_object_set_new(entry, "modelled", json_true());
    return entry;
}

static json_t *sram_entry(const json_t *row) {
    json_t *entry = new_entry(row);
    json_object_set_new(entry, "channels", json_integer(ane_row_int(row, "channels")));
    put_number(entry, "weight_mb", ane_row_get_metric(row, "weights_mb"));
    put_number(entry, "ms_per_eval", median_ms(row));
    put_number(entry, "tflops", ane_row_get_metric(row, "tflops"));
    put_number(entry, "gflops_per_mb", ane_row_get_metric(row, "gflops_per_mb"));
    return entry;
}

static json_t *peak_entry(const json_t *row) {
    json_t *entry = new_entry(row);
    json_object_set_new(entry, "depth", json_integer(ane_row_int(row, "depth")));
    json_object_set_new(entry, "channels", json_integer(ane_row_int(row, "channels")));
    json_object_set_new(entry, "spatial", json_integer(ane_row_int(row, "positions")));
    put_number(entry, "weight_mb", ane_row_get_metric(row, "weights_mb"));
    put_number(entry, "gflops", ane_row_get_metric(row, "gflop"));
    put_number(entry, "ms_per_eval", median_ms(row));
    put_number(entry, "tflops", ane_row_get_metric(row, "tflops"));
    return entry;
}

static json_t *entries(
    const json_t *results, const char *benchmark, const char *needs, json_t *(*entry)(const json_t *row)) {
    json_t *list = json_array(), *row;
    size_t i;
    json_array_foreach(ane_results_rows(results), i, row) {
        if (is_of(row, benchmark) && ane_row_int(row, needs) > 0) json_array_append_new(list, entry(row));
    }
    return list;
}

static json_t *training_entry(const json_t *results, const char *name) {
    static const char *const names[][2] = {{"ane_tflops_sustained", "device_tflops"},
        {"total_tflops", "total_tflops"}, {"ane_util_pct", "utilisation_percent"},
        {"compile_pct", "compile_percent"}, {"train_pct", "train_percent"}};
    const json_t *row = ane_results_find(results, "train", name);
    if (!row || !ane_row_is_ok(row)) return json_object();
    json_t *entry = new_entry(row);
    put_number(entry, "ms_per_step", median_ms(row));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put_number(entry, names[i][0], ane_row_get_metric(row, names[i][1]));
    if (!json_object_get(entry, "ane_util_pct")) /* what was read of theirs */
        put_number(entry, "ane_util_pct", ane_row_get_metric(row, "percent_of_15_8"));
    return entry;
}

static double largest(const json_t *list, const char *name) {
    size_t i;
    json_t *entry;
    double best = 0;
    json_array_foreach(list, i, entry) {
        best = fmax(best, json_number_value(json_object_get(entry, name)));
    }
    return best;
}

/* The first channel count, ascending, with less than SPILL of the best rate so far; 0: none. */
static json_int_t spill_start(const json_t *sram) {
    double best = 0;
    json_int_t last = 0, found = 0;
    for (size_t n = json_array_size(sram); n > 0 && !found; n--) {
        json_int_t next = 0;
        double rate = 0;
        size_t i;
        json_t *entry;
        json_array_foreach(sram, i, entry) {
            json_int_t channels = json_integer_value(json_object_get(entry, "channels"));
            if (channels <= last || (next && channels >= next)) continue;
            next = channels;
            rate = json_number_value(json_object_get(entry, "tflops"));
        }
        if (rate < SPILL * best) found = next;
        best = fmax(best, rate);
        last = next;
    }
    return found;
}

static json_t *summary(const json_t *sram, const json_t *peak, const json_t *cpu, const json_t *ane) {
    const char *const of[] = {"ms_per_step", "ane_tflops_sustained", "ane_util_pct"};
    const char *const names[] = {"training_ms_per_step_ane", "training_ane_tflops", "training_ane_util_pct"};
    json_t *s = json_pack("{s:f, s:f, s:I}", "peak_tflops", largest(peak, "tflops"),
        "sram_peak_efficiency_gflops_per_mb", largest(sram, "gflops_per_mb"), "sram_spill_start_channels",
        spill_start(sram));
    if (json_object_get(cpu, "ms_per_step"))
        json_object_set(s, "training_ms_per_step_cpu", json_object_get(cpu, "ms_per_step"));
    for (int i = 0; i < 3; i++) {
        json_t *x = json_object_get(ane, of[i]);
        if (!x && i > 0) x = json_object_get(cpu, of[i]);
        if (x) json_object_set(s, names[i], x);
    }
    return s;
}

static json_t *system_of(const json_t *results, bool modelled) {
    const json_t *machine = json_object_get(results, "machine");
    char chip[128];
    snprintf(chip, sizeof chip, "%s%.80s%s", strncmp(text_of(machine, "chip"), "M", 1) == 0 ? "Apple " : "",
        text_of(machine, "chip")[0] ? text_of(machine, "chip") : text_of(machine, "processor"),
        modelled ? " (modelled by anemone's emulator)" : "");
    json_t *text = json_string(chip); /* NULL: cut within a letter */
    return json_pack("{s:o, s:s, s:s, s:s, s:I, s:I, s:s}", "chip", text ? text : json_string("unknown"),
        "machine", text_of(machine, "model"), "macos_version", text_of(machine, "os"), "macos_build",
        text_of(machine, "os_build"), "cpu_cores",
        (json_int_t)json_number_value(json_object_get(machine, "cores")), "memory_gb",
        (json_int_t)(json_number_value(json_object_get(machine, "memory_gb")) + 0.5), "neural_engine_cores",
        "unknown");
}

json_t *ane_community_submission(const json_t *results, ane_error *e) {
    bool modelled = json_is_true(json_object_get(json_object_get(results, "device"), "emulated"));
    json_t *sram = entries(results, "sram-fine", "channels", sram_entry),
           *peak = entries(results, "peak", "depth", peak_entry),
           *cpu = training_entry(results, "static-stories110m"),
           *ane = training_entry(results, "static-ane-stories110m"), *s = summary(sram, peak, cpu, ane);
    json_t *o = json_pack("{s:i, s:s, s:o, s:{s:o, s:o, s:o, s:o}, s:o}", "schema_version", 1, "timestamp",
        text_of(results, "created"), "system", system_of(results, modelled), "benchmarks", "sram_probe", sram,
        "inmem_peak", peak, "training_cpu_classifier", cpu, "training_ane_classifier", ane, "summary", s);
    if (!o) ane_fail(e, ANE_ERROR_MEMORY, "community", "out of memory");
    if (o && modelled) json_object_set_new(o, "modelled", json_true());
    return o;
}
