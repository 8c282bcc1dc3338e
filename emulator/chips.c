/* Chip profiles. */
#include "emulator/chips.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* data_files.S: the bytes of data/ane_chips.json and data/ane_recorded.json. */
extern const char em_chips_json[], em_chips_json_end[], em_recorded_json[], em_recorded_json_end[];

static json_t *parse(const char *begin, const char *end, const char *name, ane_error *e) {
    json_error_t error;
    json_t *json = json_loadb(begin, (size_t)(end - begin), JSON_REJECT_DUPLICATES, &error);
    if (!json) ane_fail(e, ANE_ERROR_FORMAT, name, "line %d: %s", error.line, error.text);
    return json;
}

/* {"value": number, "source": text} under `name`. */
static double number(const json_t *chip, const char *name, ane_error *e) {
    const json_t *entry = json_object_get(chip, name);
    const json_t *value = json_object_get(entry, "value");
    if (!json_is_number(value) || !json_is_string(json_object_get(entry, "source")))
        ane_fail(e, ANE_ERROR_FORMAT, json_string_value(json_object_get(chip, "name")),
            "expected \"%s\" as an object of value and source", name);
    return json_number_value(value);
}

static const char *text(const json_t *chip, const char *name, ane_error *e) {
    const json_t *entry = json_object_get(chip, name);
    const char *value = json_string_value(json_is_object(entry) ? json_object_get(entry, "value") : entry);
    if (!value) ane_fail(e, ANE_ERROR_FORMAT, "ane_chips.json", "expected a text \"%s\" for each chip", name);
    return value ? value : "";
}

static void read_chip(em_chip *chip, const json_t *json, ane_error *e) {
    *chip = (em_chip){
        .name = text(json, "name", e),
        .sub_type = text(json, "sub_type", e),
        .cores = (int)number(json, "cores", e),
        .quirks = json_object_get(json, "quirks"),
    };
    const struct {
        const char *name;
        double *rate;
    } rates[] = {
        {"peak_tflops", &chip->rates.peak_tflops},
        {"int8_factor", &chip->rates.int8_factor},
        {"matmul_factor", &chip->rates.matmul_factor},
        {"dispatch_ms", &chip->rates.dispatch_ms},
        {"op_us", &chip->rates.op_us},
        {"bandwidth_gbs", &chip->rates.bandwidth_gbs},
        {"conflict_gbs", &chip->rates.conflict_gbs},
        {"resident_gbs", &chip->rates.resident_gbs},
        {"working_set_mb", &chip->rates.working_set_mb},
        {"sram_mb", &chip->rates.sram_mb},
        {"compile_ms", &chip->rates.compile_ms},
        {"compile_ms_per_gflop", &chip->rates.compile_ms_per_gflop},
        {"load_ms", &chip->rates.load_ms},
    };
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) *rates[i].rate = number(json, rates[i].name, e);
}

bool em_chips_load(em_chips *chips, ane_error *e) {
    ane_error report = {0};
    *chips = (em_chips){0};
    chips->data = parse(em_chips_json, em_chips_json_end, "ane_chips.json", &report);
    chips->recorded = parse(em_recorded_json, em_recorded_json_end, "ane_recorded.json", &report);
    const json_t *list = json_object_get(chips->data, "chips");
    size_t n = json_array_size(list);
    if (n == 0 || n > EM_MAX_CHIPS)
        ane_fail(&report, ANE_ERROR_FORMAT, "ane_chips.json", "expected 1 to %d chips, found %zu",
            EM_MAX_CHIPS, n);
    for (size_t i = 0; i < n && !report.code; i++)
        read_chip(&chips->chips[chips->n++], json_array_get(list, i), &report);
    if (!report.code) return true;
    em_chips_free(chips);
    return ane_fail(e, report.code, report.where, "%s", report.message);
}

void em_chips_free(em_chips *chips) {
    json_decref(chips->data);
    json_decref(chips->recorded);
    *chips = (em_chips){0};
}

/* Letters and digits only, in lower case. */
static void plain(const char *name, char *out, size_t size) {
    size_t n = 0;
    for (; *name && n + 1 < size; name++)
        if (isalnum((unsigned char)*name)) out[n++] = (char)tolower((unsigned char)*name);
    out[n] = 0;
}

const em_chip *em_chips_find(const em_chips *chips, const char *name) {
    char wanted[64], known[64];
    plain(name, wanted, sizeof wanted);
    for (int i = 0; i < chips->n; i++) {
        plain(chips->chips[i].name, known, sizeof known);
        if (strcmp(wanted, known) == 0) return &chips->chips[i];
    }
    return NULL;
}
