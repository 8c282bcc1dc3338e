/* runlog_document.c - a run's log.jsonl as a results document. */
#include "base/file.h"
#include "measure/documents.h"
#include "measure/results.h"
#include "measure/row.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_LOG = 1 << 30, MOST_PARTS = 32 };

/* What the lines come to. */
typedef struct gathered {
    json_t *step, *loss, *validation_step, *validation_loss;
    ane_samples ms, device_ms, parts[MOST_PARTS];
    char part_names[MOST_PARTS][32];
    int n_parts;
    bool modelled, failed;
} gathered;

static bool keep(gathered *g, ane_samples *s, const json_t *x) {
    if (json_is_number(x) && !ane_samples_add(s, json_number_value(x))) g->failed = true;
    return !g->failed;
}

static void keep_part(gathered *g, const char *name, const json_t *x) {
    int i = 0;
    while (i < g->n_parts && strcmp(g->part_names[i], name) != 0) i++;
    if (i == MOST_PARTS) return;
    if (i == g->n_parts) snprintf(g->part_names[g->n_parts++], sizeof g->part_names[0], "%.31s", name);
    keep(g, &g->parts[i], x);
}

/* A number or null: the loss of a skipped step is no number. */
static bool keep_loss(
    json_t *steps, json_t *losses, const json_t *line, const char *place, const char *path, ane_error *e) {
    json_t *step = json_object_get(line, "step"), *loss = json_object_get(line, "loss");
    char where[64];
    if (!json_is_integer(step)) {
        snprintf(where, sizeof where, "%.40s.step", place);
        return ane_document_refuse(path, where, "a whole number", step, e);
    }
    if (!json_is_number(loss) && !json_is_null(loss)) {
        snprintf(where, sizeof where, "%.40s.loss", place);
        return ane_document_refuse(path, where, "a number or null", loss, e);
    }
    return json_array_append(steps, step) == 0 && json_array_append(losses, loss) == 0;
}

static bool gather_line(gathered *g, const json_t *line, const char *place, const char *path, ane_error *e) {
    const char *type = json_string_value(json_object_get(line, "type")), *key;
    json_t *device = json_object_get(line, "device"), *x;
    if (!type) return ane_document_refuse(path, place, "an object with a type", line, e);
    if (strcmp(type, "eval") == 0)
        return keep_loss(g->validation_step, g->validation_loss, line, place, path, e);
    if (strcmp(type, "step") != 0) return true;
    if (!keep_loss(g->step, g->loss, line, place, path, e)) return false;
    keep(g, &g->ms, json_object_get(line, "ms"));
    keep(g, &g->device_ms, json_object_get(device, "device_ms"));
    if (json_is_true(json_object_get(device, "modelled"))) g->modelled = true;
    json_object_foreach(json_object_get(line, "timers"), key, x) {
        keep_part(g, key, x);
    }
    return !g->failed || ane_fail(e, ANE_ERROR_MEMORY, path, "out of memory");
}

static bool gather(gathered *g, const char *text, size_t size, const char *path, ane_error *e) {
    const char *at = text, *end = text + size;
    for (int number = 1; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        json_error_t found;
        char place[32];
        snprintf(place, sizeof place, "line %d", number);
        json_t *line = json_loadb(at, (size_t)((stop ? stop : end) - at), 0, &found);
        if (!line && !stop) return true; /* torn: the run was killed while writing it */
        bool ok = line ? gather_line(g, line, place, path, e)
                       : ane_document_refuse(path, place, found.text, NULL, e);
        json_decref(line);
        if (!ok) return false;
        at = stop ? stop + 1 : end;
    }
    return json_array_size(g->step) > 0 || ane_document_refuse(path, "", "lines of type step", NULL, e);
}

/* "runs/first/log.jsonl" -> "first" */
static void name_of(const char *path, char *name, size_t size) {
    const char *slash = strrchr(path, '/'), *start = path;
    size_t n = slash ? (size_t)(slash - path) : strlen(path);
    for (size_t i = 0; slash && i < n; i++)
        if (path[i] == '/') start = path + i + 1;
    n -= (size_t)(start - path);
    snprintf(name, size, "%.*s", (int)(n < size ? n : size - 1), start);
}

static json_t *make_row(gathered *g, const char *path) {
    char name[128];
    name_of(path, name, sizeof name);
    json_t *row = json_pack("{s:s, s:s, s:{s:i}, s:s, s:s, s:b, s:{s:O, s:O, s:O, s:O}}", "benchmark", "run",
        "case", name, "config", "steps", (int)json_array_size(g->step), "status", "ok", "error", "",
        "modelled", g->modelled, "series", "step", g->step, "loss", g->loss, "validation_step",
        g->validation_step, "validation_loss", g->validation_loss);
    if (!row) return NULL;
    const ane_samples *device = g->device_ms.n ? &g->device_ms : &g->ms;
    const struct {
        const char *name;
        const ane_samples *of;
    } times[] = {{"device_ms", device}, {"host_ms", &g->ms}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (!times[i].of->n) continue;
        const ane_stats s = ane_stats_of(times[i].of->x, times[i].of->n);
        ane_row_times(row, times[i].name, &s);
    }
    for (int i = 0; i < g->n_parts; i++)
        if (g->parts[i].n)
            ane_row_part(row, g->part_names[i], ane_stats_of(g->parts[i].x, g->parts[i].n).median);
    return row;
}

static json_t *make_document(json_t *row, bool modelled) {
    return json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:f}, s:{s:s, s:s, s:s, s:b, s:s, "
        "s:i}, s:[o], s:[]}",
        "schema", ANE_RESULTS_SCHEMA, "anemone", "", "created", "", "machine", "chip", "", "processor", "",
        "model", "", "os", "", "os_build", "", "framework", "", "cores", 0, "memory_gb", 0.0, "device",
        "spec", "", "name", "", "description", "a training run", "emulated", modelled, "precision", "",
        "threads", 0, "rows", row, "probes");
}

json_t *ane_runlog_document(const char *path, ane_error *e) {
    size_t size;
    char *text = ane_read_text(path, LARGEST_LOG, &size, e);
    if (!text) return NULL;
    gathered g = {.step = json_array(),
        .loss = json_array(),
        .validation_step = json_array(),
        .validation_loss = json_array()};
    json_t *document = NULL;
    if (gather(&g, text, size, path, e)) {
        json_t *row = make_row(&g, path);
        document = row ? make_document(row, g.modelled) : NULL;
        if (!document) ane_fail(e, ANE_ERROR_FORMAT, path, "the name of the run is no UTF-8");
    }
    json_decref(g.step);
    json_decref(g.loss);
    json_decref(g.validation_step);
    json_decref(g.validation_loss);
    free(g.ms.x);
    free(g.device_ms.x);
    for (int i = 0; i < g.n_parts; i++) free(g.parts[i].x);
    free(text);
    return document;
}
