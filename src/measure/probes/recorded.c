/* recorded.c - what others found: data/recorded_probes.json, which is built in. */
#include "measure/probes/probe.h"

#include <string.h>
#include <strings.h>

extern const unsigned char recorded_probes_json[];
extern const size_t recorded_probes_json_size;

json_t *ane_probe_records(ane_error *e) {
    json_error_t why;
    json_t *all = json_loadb((const char *)recorded_probes_json, recorded_probes_json_size, 0, &why);
    if (!all) ane_fail(e, ANE_ERROR_FORMAT, "data/recorded_probes.json", "line %d: %s", why.line, why.text);
    return all;
}

static bool is(const json_t *entry, const char *key, const char *text) {
    const char *found = json_string_value(json_object_get(entry, key));
    return found && strcasecmp(found, text) == 0;
}

const json_t *ane_probe_recorded(const json_t *all, const char *probe, const char *chip, bool engine) {
    const json_t *entry, *first = NULL;
    size_t i;
    json_array_foreach(json_object_get(all, "probes"), i, entry) {
        bool fits = engine || json_is_true(json_object_get(entry, "any_device"));
        if (!fits || !is(entry, "probe", probe)) continue;
        if (is(entry, "chip", chip)) return entry;
        if (!first) first = entry;
    }
    return first;
}

const json_t *ane_probe_recorded_classes(const json_t *all) {
    return json_object_get(all, "classes");
}
