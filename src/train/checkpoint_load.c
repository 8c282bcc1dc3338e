/* Finding the newest checkpoint that is whole, and loading it. */
#include "train/checkpoint.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void warn_fn(void *context, const char *text);

static void pass_over(const char *folder, const ane_error *reason, warn_fn *warn, void *context) {
    char text[sizeof(ane_error) + ANE_PATH_BYTES];
    if (!warn) return;
    snprintf(text, sizeof text, "%s is passed over: %s: %s", folder, reason->where, reason->message);
    warn(context, text);
}

char *ane_checkpoint_newest(
    const char *run, void (*warn)(void *context, const char *text), void *context, ane_error *e) {
    int64_t *steps;
    int n;
    char *newest = NULL;
    bool ok = ane_checkpoint_list(run, &steps, &n, e);
    for (int i = 0; ok && !newest && i < n; i++) {
        ane_path folder;
        ane_train_state state;
        ane_error reason = {0};
        ok = ane_path_set(&folder, e, "%s/checkpoints/step-%lld", run, (long long)steps[i]);
        if (!ok) break;
        if (!ane_checkpoint_read_state(folder.text, &state, true, &reason))
            pass_over(folder.text, &reason, warn, context);
        else if (!(newest = strdup(folder.text)))
            ok = ane_fail(e, ANE_ERROR_MEMORY, run, "Out of memory.");
    }
    if (ok && !newest)
        ane_fail(
            e, ANE_ERROR_IO, run, n ? "None of the %d checkpoints is whole." : "There is no checkpoint.", n);
    free(steps);
    return newest;
}

/* Fill a store from the tensors PREFIX + name of a file. */
static bool load_store(
    const ane_safetensors *s, const char *path, const char *prefix, ane_weights *w, ane_error *e) {
    for (int i = 0; i < w->n_tensors; i++) {
        const ane_tensor_info *t = &w->tensors[i];
        char name[100];
        snprintf(name, sizeof name, "%s%s", prefix, t->name);
        const ane_safetensor *found = ane_safetensors_find(s, name);
        if (!found) return ane_fail(e, ANE_ERROR_FORMAT, path, "Expected a tensor \"%s\", found none.", name);
        mil_type expected = mil_tensor(MIL_FP32, t->rank, t->dim);
        if (!mil_type_equal(&expected, &found->type))
            return ane_fail(e, ANE_ERROR_SHAPE, path,
                "Tensor \"%s\" has not the shape and type that the model wants.", name);
        memcpy(w->data + t->offset, found->data, (size_t)t->count * sizeof *w->data);
    }
    return true;
}

static bool load_weights(const char *folder, ane_weights *weights, ane_error *e) {
    ane_path path;
    if (!ane_path_set(&path, e, "%s/model.safetensors", folder)) return false;
    ane_safetensors *s = ane_safetensors_open(path.text, e);
    bool ok = s && load_store(s, path.text, "", weights, e);
    ane_safetensors_close(s);
    return ok;
}

static bool load_optimizer(const char *folder, ane_adamw *o, ane_error *e) {
    ane_path path;
    if (!ane_path_set(&path, e, "%s/optimizer.safetensors", folder)) return false;
    ane_safetensors *s = ane_safetensors_open(path.text, e);
    const char *updates = s ? ane_safetensors_metadata(s, "updates") : NULL;
    bool ok = s && load_store(s, path.text, "m.", o->m, e) && load_store(s, path.text, "v.", o->v, e);
    if (ok && !updates)
        ok = ane_fail(e, ANE_ERROR_FORMAT, path.text, "Expected the number of updates, found none.");
    if (ok) o->t = strtoll(updates, NULL, 10);
    ane_safetensors_close(s);
    return ok;
}

bool ane_checkpoint_load(const char *checkpoint, ane_train_state *state, ane_weights *weights,
    ane_adamw *optimizer, ane_error *e) {
    return ane_checkpoint_read_state(checkpoint, state, false, e) && load_weights(checkpoint, weights, e) &&
           load_optimizer(checkpoint, optimizer, e);
}
