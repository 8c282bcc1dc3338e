/* state.json: what a checkpoint says about itself and about the files beside it. */
#include "train/checkpoint.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char STATE_FILE[] = "state.json", FORMAT[] = "anemone checkpoint";
enum { VERSION = 1, READ_BYTES = 1 << 20, STATE_LIMIT = 1 << 20 };

/* Size and checksum of a file, read through a small buffer: a mapping would count as memory in use. */
static bool sum_file(const char *path, int64_t *bytes, uint32_t *crc, ane_error *e) {
    FILE *f = fopen(path, "rb");
    if (!f) return ane_fail(e, ANE_ERROR_IO, path, "Cannot open the file: %s.", strerror(errno));
    void *buffer = malloc(READ_BYTES);
    *bytes = 0;
    *crc = 0;
    for (size_t n; buffer && (n = fread(buffer, 1, READ_BYTES, f)) > 0; *bytes += (int64_t)n)
        *crc = ane_crc32(*crc, buffer, n);
    bool ok = buffer && !ferror(f);
    if (!buffer)
        ane_fail(e, ANE_ERROR_MEMORY, path, "Out of memory.");
    else if (!ok)
        ane_fail(e, ANE_ERROR_IO, path, "Cannot read the file: %s.", strerror(errno));
    free(buffer);
    fclose(f);
    return ok;
}

/* Checksum of a state: of its text with sorted keys, so that spaces and order do not matter. */
static bool sum_json(const json_t *state, uint32_t *crc) {
    char *text = json_dumps(state, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    if (text) *crc = ane_crc32(0, text, strlen(text));
    free(text);
    return text != NULL;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static json_t *hex(int digits, uint64_t x) {
    char text[32];
    snprintf(text, sizeof text, "%0*" PRIx64, digits, x);
    return json_string(text);
}

/* One entry for each file of the folder. */
static bool list_files(const char *folder, json_t *files, ane_error *e) {
    DIR *d = opendir(folder);
    if (!d) return ane_fail(e, ANE_ERROR_IO, folder, "Cannot list the folder: %s.", strerror(errno));
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(d));) {
        if (entry->d_name[0] == '.') continue;
        ane_path path;
        int64_t bytes;
        uint32_t crc;
        ok = ane_path_set(&path, e, "%s/%s", folder, entry->d_name) && sum_file(path.text, &bytes, &crc, e);
        if (!ok) break;
        json_t *file = json_pack(
            "{s:s, s:I, s:o}", "name", entry->d_name, "bytes", (json_int_t)bytes, "crc32", hex(8, crc));
        if (json_array_append_new(files, file) != 0)
            ok = ane_fail(e, ANE_ERROR_MEMORY, folder, "Out of memory.");
    }
    closedir(d);
    return ok;
}

static const char *const owes_names[] = {
    [ANE_OWES_NOTHING] = NULL, [ANE_OWES_SAMPLE] = "sample", [ANE_OWES_EVALUATION] = "evaluation"};
enum { N_OWES = sizeof owes_names / sizeof *owes_names };

static json_t *state_object(const ane_train_state *s) {
    const uint64_t *r = s->rng;
    return json_pack("{s:s, s:i, s:I, s:I, s:I, s:f, s:f, s:I, s:[o,o,o,o], s:s*, s:[]}", "format", FORMAT,
        "version", VERSION, "step", (json_int_t)s->step, "data_position", (json_int_t)s->data_position,
        "tokens", (json_int_t)s->tokens, "seconds", s->seconds, "loss_scale", s->loss_scale, "good_steps",
        (json_int_t)s->good_steps, "rng", hex(16, r[0]), hex(16, r[1]), hex(16, r[2]), hex(16, r[3]), "owes",
        owes_names[s->owes], "files");
}

bool ane_checkpoint_write_state(const char *folder, const ane_train_state *state, ane_error *e) {
    ane_path path;
    json_t *root = state_object(state);
    uint32_t crc = 0;
    char *text = NULL;
    bool ok = ane_path_set(&path, e, "%s/%s", folder, STATE_FILE) &&
              (root || ane_fail(e, ANE_ERROR_MEMORY, path.text, "Out of memory.")) &&
              list_files(folder, json_object_get(root, "files"), e);
    if (ok && sum_json(root, &crc) && json_object_set_new(root, "crc32", hex(8, crc)) == 0)
        text = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    if (ok && !text) ok = ane_fail(e, ANE_ERROR_MEMORY, path.text, "Out of memory.");
    ok = ok && ane_write_file(path.text, text, strlen(text), e);
    free(text);
    json_decref(root);
    return ok;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* The parsed file, its own checksum verified and taken out. */
static json_t *read_object(const char *path, ane_error *e) {
    json_error_t json_error;
    size_t size;
    char *text = ane_read_text(path, STATE_LIMIT, &size, e);
    if (!text) return NULL;
    json_t *root = json_loadb(text, size, 0, &json_error);
    free(text);
    if (!root) {
        ane_fail(e, ANE_ERROR_FORMAT, path, "Not valid JSON: line %d, column %d: %s.", json_error.line,
            json_error.column, json_error.text);
        return NULL;
    }
    const char *stated = json_string_value(json_object_get(root, "crc32"));
    uint32_t expected = stated ? (uint32_t)strtoul(stated, NULL, 16) : 0, found = 0;
    json_object_del(root, "crc32");
    if (stated && sum_json(root, &found) && found == expected) return root;
    ane_fail(e, ANE_ERROR_FORMAT, path, "The file is damaged: its checksum is %08x, but it says %08x.", found,
        expected);
    json_decref(root);
    return NULL;
}

/* Absent where a step is whole. */
static bool parse_owes(const json_t *root, const char *path, ane_train_state *s, ane_error *e) {
    const json_t *value = json_object_get(root, "owes");
    const char *name = json_string_value(value);
    s->owes = ANE_OWES_NOTHING;
    if (!value) return true;
    for (int i = ANE_OWES_SAMPLE; name && i < N_OWES; i++)
        if (strcmp(name, owes_names[i]) == 0) {
            s->owes = (ane_train_owes)i;
            return true;
        }
    return ane_fail(e, ANE_ERROR_FORMAT, path, "Expected \"owes\" to be \"evaluation\" or \"sample\".");
}

static bool parse_state(const json_t *root, const char *path, ane_train_state *s, ane_error *e) {
    const char *format, *rng[4];
    int version = 0;
    json_int_t step, position, tokens, good_steps;
    json_error_t error;
    if (json_unpack_ex((json_t *)root, &error, 0,
            "{s:s, s:i, s:I, s:I, s:I, s:F, s:F, s:I, s:[s,s,s,s], s:o}", "format", &format, "version",
            &version, "step", &step, "data_position", &position, "tokens", &tokens, "seconds", &s->seconds,
            "loss_scale", &s->loss_scale, "good_steps", &good_steps, "rng", &rng[0], &rng[1], &rng[2],
            &rng[3], "files", &(json_t *){NULL}) != 0)
        return ane_fail(e, ANE_ERROR_FORMAT, path, "Not the state of a checkpoint: %s.", error.text);
    if (strcmp(format, FORMAT) != 0 || version != VERSION)
        return ane_fail(e, ANE_ERROR_FORMAT, path, "Expected \"%s\" version %d, found \"%s\" version %d.",
            FORMAT, VERSION, format, version);
    if (step < 0 || position < 0 || tokens < 0 || good_steps < 0)
        return ane_fail(e, ANE_ERROR_FORMAT, path,
            "Expected counts of at least 0, found step %lld, data_position %lld, tokens %lld, good_steps "
            "%lld.",
            (long long)step, (long long)position, (long long)tokens, (long long)good_steps);
    s->step = step;
    s->data_position = position;
    s->tokens = tokens;
    s->good_steps = good_steps;
    for (int i = 0; i < 4; i++) s->rng[i] = strtoull(rng[i], NULL, 16);
    return parse_owes(root, path, s, e);
}

static bool verify_file(const char *folder, const json_t *file, ane_error *e) {
    const char *name = json_string_value(json_object_get(file, "name"));
    const char *crc = json_string_value(json_object_get(file, "crc32"));
    int64_t bytes = json_integer_value(json_object_get(file, "bytes")), found_bytes;
    uint32_t found_crc;
    ane_path path;
    if (!name || !crc || strchr(name, '/'))
        return ane_fail(
            e, ANE_ERROR_FORMAT, folder, "An entry in the list of files of state.json is not complete.");
    if (!ane_path_set(&path, e, "%s/%s", folder, name) || !sum_file(path.text, &found_bytes, &found_crc, e))
        return false;
    if (found_bytes != bytes)
        return ane_fail(e, ANE_ERROR_FORMAT, path.text, "Expected %lld bytes, found %lld.", (long long)bytes,
            (long long)found_bytes);
    if (found_crc != (uint32_t)strtoul(crc, NULL, 16))
        return ane_fail(e, ANE_ERROR_FORMAT, path.text,
            "The file is damaged: expected checksum %s, found %08x.", crc, found_crc);
    return true;
}

static bool verify_files(const char *folder, const json_t *files, ane_error *e) {
    size_t i;
    json_t *file;
    json_array_foreach(files, i, file) {
        if (!verify_file(folder, file, e)) return false;
    }
    return true;
}

bool ane_checkpoint_read_state(const char *folder, ane_train_state *state, bool verify, ane_error *e) {
    ane_path path;
    if (!ane_path_set(&path, e, "%s/%s", folder, STATE_FILE)) return false;
    json_t *root = read_object(path.text, e);
    bool ok = root && parse_state(root, path.text, state, e) &&
              (!verify || verify_files(folder, json_object_get(root, "files"), e));
    json_decref(root);
    return ok;
}
