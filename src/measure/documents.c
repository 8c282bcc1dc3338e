/* documents.c - see documents.h. */
#include "measure/documents.h"

#include "base/file.h"
#include "measure/community.h"
#include "measure/results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_FILE = 256 << 20 };

bool ane_document_refuse(
    const char *path, const char *place, const char *expected, const json_t *x, ane_error *e) {
    char where[256], *found = x ? json_dumps(x, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    snprintf(where, sizeof where, "%.100s%s%.140s", path, place[0] ? ": " : "", place);
    ane_fail(e, ANE_ERROR_FORMAT, where, "expected %s, found %.80s", expected, found ? found : "nothing");
    free(found);
    return false;
}

static bool same_text(const json_t *a, const json_t *b, const char *part, const char *name) {
    return json_equal(
        json_object_get(json_object_get(a, part), name), json_object_get(json_object_get(b, part), name));
}

/* The document of the same machine and device that has no probes, where `document` has nothing else. */
static json_t *lacks_probes(const json_t *documents, const json_t *document) {
    size_t i;
    json_t *other;
    if (json_array_size(json_object_get(document, "rows")) > 0) return NULL;
    json_array_foreach(documents, i, other) {
        if (json_array_size(json_object_get(other, "probes")) == 0 &&
            same_text(other, document, "machine", "chip") &&
            same_text(other, document, "machine", "processor") &&
            same_text(other, document, "device", "spec"))
            return other;
    }
    return NULL;
}

static bool append(json_t *documents, json_t *document, const char *path, ane_error *e) {
    json_t *whole = document ? lacks_probes(documents, document) : NULL;
    if (whole) {
        json_object_set(whole, "probes", json_object_get(document, "probes"));
        json_decref(document);
        return true;
    }
    if (!document) return false;
    json_t *name = json_string(path);
    if (name) json_object_set_new(document, "file", name);
    return json_array_append_new(documents, document) == 0 ||
           ane_fail(e, ANE_ERROR_MEMORY, path, "out of memory");
}

static bool is_log(const char *path) {
    size_t n = strlen(path);
    return n > 6 && strcmp(path + n - 6, ".jsonl") == 0;
}

static json_t *load(const char *path, ane_error *e) {
    size_t size;
    char *text = ane_read_text(path, LARGEST_FILE, &size, e), where[256];
    json_error_t found;
    json_t *json = text ? json_loadb(text, size, JSON_REJECT_DUPLICATES, &found) : NULL;
    if (text && !json) {
        snprintf(where, sizeof where, "%.200s:%d:%d", path, found.line, found.column);
        ane_fail(e, ANE_ERROR_FORMAT, where, "expected JSON: %s", found.text);
    }
    free(text);
    return json;
}

/* Which of the formats a JSON value is told to be. */
static bool read_json(json_t *documents, json_t *json, const char *path, ane_error *e) {
    if (json_object_get(json, "schema_version"))
        return append(documents, ane_community_document(json, path, e), path, e);
    if (json_object_get(json, "training_results")) return ane_community_machines(documents, json, path, e);
    if (json_object_get(json, "schema"))
        return ane_results_check(json, path, e) && append(documents, json_incref(json), path, e);
    ane_document_refuse(path, "",
        "a results file (schema), a community benchmark (schema_version) or "
        "community_results.json (training_results)",
        json, e);
    return ane_hint(e, "Results come from anemone bench NAME -o FILE and anemone probe NAME -o FILE.");
}

bool ane_documents_read(json_t *documents, const char *path, ane_error *e) {
    if (ane_is_folder(path)) {
        char *log = ane_join_path(path, "log.jsonl");
        if (!log) return ane_fail(e, ANE_ERROR_MEMORY, path, "out of memory");
        bool ok = ane_documents_read(documents, log, e);
        free(log);
        return ok;
    }
    if (is_log(path)) return append(documents, ane_runlog_document(path, e), path, e);
    json_t *json = load(path, e);
    bool ok = json && read_json(documents, json, path, e);
    json_decref(json);
    return ok;
}
