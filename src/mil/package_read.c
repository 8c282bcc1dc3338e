/* package_read.c - a package's folder: the manifest leads to the specification, the weights lie beside that. */
#include "base/file.h"
#include "mil/package.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_MANIFEST = 1 << 20 };

/* A path of the manifest stays below the package. */
static bool stays_below(const char *path) {
    return path[0] && path[0] != '/' && strncmp(path, "../", 3) != 0 && !strstr(path, "/../") &&
           strcmp(path, "..") != 0;
}

/* itemInfoEntries[rootModelIdentifier].path; borrowed from `manifest`. */
static const char *model_path(const json_t *manifest, const char *package, ane_error *e) {
    const char *root = json_string_value(json_object_get(manifest, "rootModelIdentifier"));
    const json_t *entry = root ? json_object_get(json_object_get(manifest, "itemInfoEntries"), root) : NULL;
    const char *path = json_string_value(json_object_get(entry, "path"));
    if (path && stays_below(path)) return path;
    if (path)
        ane_fail(e, ANE_ERROR_FORMAT, package, "Manifest.json: expected a path below Data, found \"%.200s\"",
            path);
    else
        ane_fail(e, ANE_ERROR_FORMAT, package,
            "Manifest.json names no model: expected rootModelIdentifier to be a "
            "key of itemInfoEntries, and a path there");
    return NULL;
}

/* PACKAGE/Data/<path of the model>; caller frees. */
static char *find_model(const char *package, ane_error *e) {
    json_error_t why;
    char *manifest_path = ane_join_path(package, "Manifest.json"), *data = ane_join_path(package, "Data");
    char *text = manifest_path ? ane_read_text(manifest_path, LARGEST_MANIFEST, NULL, e) : NULL;
    json_t *manifest = text ? json_loads(text, 0, &why) : NULL;
    if (!text)
        ane_hint(e, "A package is a folder with a Manifest.json.");
    else if (!manifest)
        ane_fail(e, ANE_ERROR_FORMAT, manifest_path, "line %d: %s", why.line, why.text);
    const char *path = manifest ? model_path(manifest, package, e) : NULL;
    char *model = path && data ? ane_join_path(data, path) : NULL;
    if (path && !model) ane_fail(e, ANE_ERROR_MEMORY, package, "no memory for a path");
    json_decref(manifest);
    free(text);
    free(data);
    free(manifest_path);
    return model;
}

mil_program *mil_package_read(const char *path, ane_error *e) {
    char *model = find_model(path, e);
    ane_mapping m;
    mil_program *p = NULL;
    if (model && ane_map_file(&m, model, e)) {
        char *folder = strdup(model);
        if (folder) *strrchr(folder, '/') = 0;
        p = folder ? mil_package_parse(m.data, m.size, folder, e) : NULL;
        if (!p) ane_at(e, model);
        free(folder);
        ane_unmap_file(&m);
    }
    free(model);
    return p;
}
