/* chips.c - see chips.h. */
#include "device/ane/chips.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Made from data/ane_chips.json by cmake/data.cmake. */
extern const unsigned char ane_chips_json[];
extern const size_t ane_chips_json_size;

/* Letters and digits only, in lower case. */
static void plain(const char *name, char *out, size_t size) {
    size_t n = 0;
    for (; *name && n + 1 < size; name++)
        if (isalnum((unsigned char)*name)) out[n++] = (char)tolower((unsigned char)*name);
    out[n] = 0;
}

static const json_t *value_of(const json_t *chip, const char *key) {
    return json_object_get(json_object_get(chip, key), "value");
}

static void read_chip(ane_chip *chip, const json_t *json) {
    const char *sub_type = json_string_value(value_of(json, "sub_type"));
    snprintf(chip->name, sizeof chip->name, "%s", json_string_value(json_object_get(json, "name")));
    snprintf(chip->sub_type, sizeof chip->sub_type, "%s", sub_type ? sub_type : "");
    chip->gflops = 1e3 * json_number_value(value_of(json, "peak_tflops"));
    chip->dispatch_ms = json_number_value(value_of(json, "dispatch_ms"));
    chip->bandwidth_gbs = json_number_value(value_of(json, "bandwidth_gbs"));
    chip->matmul_factor = json_number_value(value_of(json, "matmul_factor"));
    chip->host_gflops = json_number_value(value_of(json, "host_gflops"));
}

bool ane_chip_find(ane_chip *chip, const char *name) {
    char wanted[64], known[64];
    json_t *all = json_loadb((const char *)ane_chips_json, ane_chips_json_size, 0, NULL);
    const json_t *entry;
    size_t i;
    bool found = false;
    *chip = (ane_chip){0};
    plain(name, wanted, sizeof wanted);
    json_array_foreach(json_object_get(all, "chips"), i, entry) {
        const char *text = json_string_value(json_object_get(entry, "name"));
        plain(text ? text : "", known, sizeof known);
        if (found || !*known || strcmp(wanted, known) != 0) continue;
        read_chip(chip, entry);
        found = true;
    }
    json_decref(all);
    return found;
}
