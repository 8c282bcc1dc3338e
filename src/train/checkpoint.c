/* Saving a checkpoint: into a folder with a name of its own, everything synced, then one rename. */
#include "train/checkpoint.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char NEW_PREFIX[] = ".new-", OLD_PREFIX[] = ".old-";

static bool starts_with(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* 20 of "step-20"; -1 for any other name. */
static int64_t step_of(const char *name) {
    if (!starts_with(name, "step-")) return -1;
    char *end;
    errno = 0;
    long long step = strtoll(name + 5, &end, 10);
    return *end || end == name + 5 || errno || step < 0 ? -1 : step;
}

static int newest_first(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

bool ane_checkpoint_list(const char *run, int64_t **steps, int *n, ane_error *e) {
    ane_path folder;
    *steps = NULL;
    *n = 0;
    if (!ane_path_set(&folder, e, "%s/checkpoints", run)) return false;
    DIR *d = opendir(folder.text);
    if (!d) return true;
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(d));) {
        int64_t step = step_of(entry->d_name);
        if (step < 0) continue;
        int64_t *grown = realloc(*steps, (size_t)(*n + 1) * sizeof **steps);
        if (!grown) {
            ok = ane_fail(e, ANE_ERROR_MEMORY, folder.text, "Out of memory.");
            continue;
        }
        *steps = grown;
        grown[(*n)++] = step;
    }
    closedir(d);
    if (*n) qsort(*steps, (size_t)*n, sizeof **steps, newest_first);
    return ok;
}

bool ane_checkpoint_clean(const char *run, ane_error *e) {
    ane_path folder, path, whole;
    if (!ane_path_set(&folder, e, "%s/checkpoints", run)) return false;
    DIR *d = opendir(folder.text);
    if (!d) return true;
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(d));) {
        const char *name = entry->d_name;
        bool old = starts_with(name, OLD_PREFIX);
        if (!old && !starts_with(name, NEW_PREFIX)) continue;
        ok = ane_path_set(&path, e, "%s/%s", folder.text, name) &&
             ane_path_set(&whole, e, "%s/%s", folder.text, name + strlen(OLD_PREFIX));
        if (!ok) break;
        if (old && !ane_path_exists(whole.text) && rename(path.text, whole.text) == 0) continue;
        ok = ane_remove_tree(path.text, e);
    }
    closedir(d);
    return ok;
}

/* Moments as tensors that point into the optimizer; names lie in `names`. */
static void moment_tensors(const ane_adamw *o, ane_safetensor *out, char (*names)[100]) {
    const ane_weights *moments[] = {o->m, o->v};
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < moments[k]->n_tensors; i++, out++, names++) {
            const ane_tensor_info *t = &moments[k]->tensors[i];
            snprintf(*names, sizeof *names, "%c.%s", "mv"[k], t -> name);
            *out =
                (ane_safetensor){*names, mil_tensor(MIL_FP32, t->rank, t->dim), moments[k]->data + t->offset};
        }
    }
}

static bool write_optimizer(const char *folder, const ane_adamw *o, ane_error *e) {
    size_t n = 2 * (size_t)o->m->n_tensors;
    ane_safetensor *tensors = calloc(n, sizeof *tensors);
    char(*names)[100] = calloc(n, sizeof *names);
    ane_path path;
    char updates[32];
    snprintf(updates, sizeof updates, "%lld", (long long)o->t);
    const char *const metadata[] = {"format", "anemone adamw", "updates", updates, NULL};
    bool ok = tensors && names;
    if (!ok) ane_fail(e, ANE_ERROR_MEMORY, folder, "Out of memory.");
    if (ok) moment_tensors(o, tensors, names);
    ok = ok && ane_path_set(&path, e, "%s/optimizer.safetensors", folder) &&
         ane_safetensors_write(path.text, (int)n, tensors, metadata, e);
    free(tensors);
    free(names);
    return ok;
}

static bool write_folder(const char *folder, const ane_train_state *state, const ane_weights *weights,
    const ane_adamw *optimizer, const ane_tokenizer *tokenizer, ane_error *e) {
    return ane_make_folders(folder, e) && ane_weights_save(weights, folder, ANE_FORMAT_HF, MIL_FP32, e) &&
           write_optimizer(folder, optimizer, e) &&
           (!tokenizer || ane_tokenizer_save(tokenizer, folder, e)) &&
           ane_checkpoint_write_state(folder, state, e) && ane_fsync_folder(folder, e);
}

/* Give the finished folder its name. A folder that has it already is moved out of the way first: at no moment
 * is there less on the disk than before. */
static bool put_in_place(const char *parent, const char *fresh, int64_t step, ane_error *e) {
    ane_path final, old;
    if (!ane_path_set(&final, e, "%s/step-%lld", parent, (long long)step) ||
        !ane_path_set(&old, e, "%s/%sstep-%lld", parent, OLD_PREFIX, (long long)step))
        return false;
    bool replaces = ane_path_exists(final.text);
    if (replaces && rename(final.text, old.text) != 0)
        return ane_fail(e, ANE_ERROR_IO, final.text, "Cannot replace the checkpoint: %s.", strerror(errno));
    if (rename(fresh, final.text) != 0) {
        ane_fail(e, ANE_ERROR_IO, final.text, "Cannot put the checkpoint in place: %s.", strerror(errno));
        if (replaces) rename(old.text, final.text);
        return false;
    }
    return ane_fsync_folder(parent, e) && (!replaces || ane_remove_tree(old.text, e));
}

/* Remove all but the newest `keep`. Checkpoints newer than `step` are left alone and not counted: what they were is not
 * for this run to judge. One that cannot be removed makes the new one no less safe: it stays. */
static void prune(const char *run, int64_t step, int keep) {
    int64_t *steps;
    int n, counted = 0;
    if (!ane_checkpoint_list(run, &steps, &n, NULL)) n = 0;
    for (int i = 0; i < n; i++) {
        if (steps[i] > step || ++counted <= keep) continue;
        ane_path path;
        if (ane_path_set(&path, NULL, "%s/checkpoints/step-%lld", run, (long long)steps[i]))
            ane_remove_tree(path.text, NULL);
    }
    free(steps);
}

bool ane_checkpoint_save(const char *run, const ane_train_state *state, const ane_weights *weights,
    const ane_adamw *optimizer, const ane_tokenizer *tokenizer, int keep, ane_error *e) {
    ane_path parent, fresh;
    if (!ane_path_set(&parent, e, "%s/checkpoints", run) ||
        !ane_path_set(&fresh, e, "%s/%sstep-%lld", parent.text, NEW_PREFIX, (long long)state->step) ||
        !ane_remove_tree(fresh.text, e))
        return false;
    if (!write_folder(fresh.text, state, weights, optimizer, tokenizer, e) ||
        !put_in_place(parent.text, fresh.text, state->step, e)) {
        ane_remove_tree(fresh.text, NULL);
        return ane_hint(
            e, "Earlier checkpoints are intact. Free some space or choose another place, then resume.");
    }
    if (keep > 0) prune(run, state->step, keep);
    return true;
}
