/* load.c - weights from whatever a path is, and to where they are asked. */
#include "base/file.h"
#include "model/impl.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- run folders --------------------------------------------------------------------------------------- */

/* The step of "step-N"; -1 for other names. */
static long long step_of(const char *name) {
    if (strncmp(name, "step-", 5) != 0) return -1;
    char *end;
    errno = 0;
    long long step = strtoll(name + 5, &end, 10);
    return end == name + 5 || *end || errno || step < 0 ? -1 : step;
}

static char *join(const char *folder, const char *name, ane_error *e) {
    char *path = ane_join_path(folder, name);
    if (!path) ane_fail(e, ANE_ERROR_MEMORY, folder, "Not enough memory.");
    return path;
}

/* True when the folder's weight file is there and whole. */
static bool readable(const char *checkpoint) {
    char *path = ane_join_path(checkpoint, "model.safetensors");
    ane_safetensors *s = path ? ane_safetensors_open(path, NULL) : NULL;
    bool whole = s != NULL;
    free(path);
    ane_safetensors_close(s);
    return whole;
}

/* Name of the checkpoint with the highest step below `below` into `name`; false when there is none. */
static bool next_checkpoint(const char *folder, long long below, char name[64], ane_error *e) {
    DIR *d = opendir(folder);
    if (!d) return ane_fail(e, ANE_ERROR_IO, folder, "Cannot read the folder: %s.", strerror(errno));
    long long best = -1;
    for (struct dirent *entry; (entry = readdir(d));) {
        long long step = step_of(entry->d_name);
        if (step <= best || step >= below) continue;
        best = step;
        snprintf(name, 64, "%.63s", entry->d_name);
    }
    closedir(d);
    if (best < 0) ane_fail(e, ANE_ERROR_FORMAT, folder, "There is no checkpoint that can be read.");
    return best >= 0;
}

/* The newest checkpoint of a run that can be read; caller frees. */
static char *newest_checkpoint(const char *run, ane_error *e) {
    char *folder = join(run, "checkpoints", e), *path = NULL;
    char name[64];
    for (long long below = LLONG_MAX; folder && !path && next_checkpoint(folder, below, name, e);) {
        below = step_of(name);
        path = join(folder, name, e);
        if (!path || readable(path)) break;
        free(path);
        path = NULL;
    }
    free(folder);
    return path;
}

/* ---- what a path is ------------------------------------------------------------------------------------ */

static bool has(const char *folder, const char *name) {
    char *path = ane_join_path(folder, name);
    bool found = path && ane_path_exists(path);
    free(path);
    return found;
}

/* A folder in Hugging Face's layout: `path` itself, or the newest checkpoint of the run in it. Caller frees.
 */
static char *model_folder(const char *path, ane_error *e) {
    if (has(path, "checkpoints")) return newest_checkpoint(path, e);
    if (has(path, "config.json")) return strdup(path);
    ane_fail(
        e, ANE_ERROR_FORMAT, path, "Neither a model nor a run: it has no config.json and no checkpoints.");
    return NULL;
}

static bool ends_in(const char *path, const char *ending) {
    const size_t length = strlen(path), n = strlen(ending);
    return length > n && strcmp(path + length - n, ending) == 0;
}

static bool hint_at_weights(const char *path, ane_error *e) {
    if (ends_in(path, ".safetensors")) return ane_hint(e, "Give its folder: that has the config.json, too.");
    return ane_hint(e, "Weights are a Hugging Face folder, a llama2.c .bin file, or a run folder.");
}

static bool check_exists(const char *path, ane_error *e) {
    if (ane_path_exists(path)) return true;
    ane_fail(e, ANE_ERROR_IO, path, "There is no such file or folder.");
    return hint_at_weights(path, e);
}

bool ane_weights_load_config(ane_model_config *c, const char *path, ane_error *e) {
    if (!check_exists(path, e)) return false;
    if (ends_in(path, ".json")) return ane_model_config_load(c, path, e);
    if (!ane_is_folder(path)) return ane_llama2c_config(c, path, e) || hint_at_weights(path, e);
    char *folder = model_folder(path, e), *file = folder ? join(folder, "config.json", e) : NULL;
    bool ok = file && ane_model_config_load(c, file, e);
    free(folder);
    free(file);
    return ok;
}

static ane_weights *load(const char *path, bool mapped, ane_error *e) {
    if (!check_exists(path, e)) return NULL;
    const bool is_folder = ane_is_folder(path);
    char *folder = is_folder ? model_folder(path, e) : NULL;
    ane_weights *w = folder       ? ane_huggingface_load(folder, mapped, e)
                     : !is_folder ? ane_llama2c_load(path, e)
                                  : NULL;
    if (!w) hint_at_weights(path, e);
    free(folder);
    return w;
}

ane_weights *ane_weights_load(const char *path, ane_error *e) {
    return load(path, false, e);
}

ane_weights *ane_weights_map(const char *path, ane_error *e) {
    return load(path, true, e);
}

bool ane_weights_save(
    const ane_weights *w, const char *path, ane_weight_format format, mil_dtype dtype, ane_error *e) {
    if (format == ANE_FORMAT_HF) return ane_huggingface_save(w, path, dtype, e);
    if (dtype != MIL_FP32)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, path, "llama2.c's format holds fp32 only, not %s.", mil_dtype_name(dtype));
    return ane_llama2c_save(w, path, e);
}
