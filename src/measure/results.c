/* results.c - the results document: made, added to, written and read. */
#include "measure/results.h"

#include "base/file.h"
#include "base/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST_FILE = 256 << 20 };

static bool no_memory(ane_error *e) {
    return ane_fail(e, ANE_ERROR_MEMORY, "results", "out of memory");
}

static double memory_gb(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (double)pages * (double)size / (1 << 30) : 0;
}

static json_t *machine(const ane_capabilities *c) {
    char processor[128], os[192] = "";
    struct utsname names;
    ane_host_processor(processor, sizeof processor);
    if (uname(&names) == 0) snprintf(os, sizeof os, "%.80s %.80s", names.sysname, names.release);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:f}", "chip", c->chip, "processor", processor,
        "model", "", "os", os, "os_build", c->os_build, "framework", c->framework, "cores",
        (int)sysconf(_SC_NPROCESSORS_ONLN), "memory_gb", memory_gb());
}

json_t *ane_results_new(const char *spec, const ane_device *d, ane_error *e) {
    const ane_capabilities *c = ane_device_capabilities(d);
    char created[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_t *device = json_pack("{s:s, s:s, s:s, s:b, s:s, s:i}", "spec", spec, "name", c->device,
        "description", c->description, "emulated", strstr(spec, ":emulator") != NULL, "precision",
        ane_precision_name(c->precision), "threads", c->threads);
    json_t *results =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:[], s:[]}", "schema", ANE_RESULTS_SCHEMA, "anemone",
            ANEMONE_VERSION, "created", created, "machine", machine(c), "device", device, "rows", "probes");
    if (!results) no_memory(e);
    return results;
}

json_t *ane_results_rows(const json_t *results) {
    return json_object_get(results, "rows");
}

static bool has(const json_t *object, const char *name, const char *text) {
    const char *found = json_string_value(json_object_get(object, name));
    return found && strcmp(found, text) == 0;
}

json_t *ane_results_find(const json_t *results, const char *benchmark, const char *name) {
    size_t i;
    json_t *row;
    json_array_foreach(ane_results_rows(results), i, row) {
        if (has(row, "benchmark", benchmark) && has(row, "case", name)) return row;
    }
    return NULL;
}

/* Replace what bears the same names, or append. */
static bool add(json_t *list, json_t *entry, const char *first, const char *second, ane_error *e) {
    const char *one = json_string_value(json_object_get(entry, first));
    const char *two = second ? json_string_value(json_object_get(entry, second)) : NULL;
    size_t i;
    json_t *other;
    json_array_foreach(list, i, other) {
        if (one && has(other, first, one) && (!second || (two && has(other, second, two))))
            return json_array_set_new(list, i, entry) == 0 || no_memory(e);
    }
    return json_array_append_new(list, entry) == 0 || no_memory(e);
}

bool ane_results_add_row(json_t *results, json_t *row, ane_error *e) {
    return add(ane_results_rows(results), row, "benchmark", "case", e);
}

bool ane_results_add_probe(json_t *results, json_t *probe, ane_error *e) {
    return add(json_object_get(results, "probes"), probe, "probe", NULL, e);
}

bool ane_results_write(const json_t *results, const char *path, ane_error *e) {
    char *text = json_dumps(results, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    if (!text) return no_memory(e);
    ane_writer *w = ane_writer_open(path, e);
    if (w) ane_writer_printf(w, "%s\n", text);
    free(text);
    return w && ane_writer_commit(w, e);
}

json_t *ane_results_read(const char *path, ane_error *e) {
    size_t size;
    char *text = ane_read_text(path, LARGEST_FILE, &size, e);
    if (!text) return NULL;
    json_error_t found;
    json_t *results = json_loadb(text, size, JSON_REJECT_DUPLICATES, &found);
    free(text);
    char where[256];
    snprintf(where, sizeof where, "%.200s:%d:%d", path, found.line, found.column);
    if (!results)
        ane_fail(e, ANE_ERROR_FORMAT, where, "expected JSON: %s", found.text);
    else if (!ane_results_check(results, path, e)) {
        json_decref(results);
        results = NULL;
    }
    return results;
}
