/* Continuing a run: what it began with must still be there and still be the same. */
#include "train/trainer.h"

#include "base/file.h"
#include "train/checkpoint.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Do two names mean the same file, or the same preset? */
static bool same_name(const char *a, const char *b) {
    char x[PATH_MAX], y[PATH_MAX];
    if (strcmp(a, b) == 0) return true;
    return realpath(a, x) && realpath(b, y) && strcmp(x, y) == 0;
}

static bool refuse(const char *run, const char *what, const char *asked, const char *has, ane_error *e) {
    ane_fail(e, ANE_ERROR_ARGUMENT, run, "The run was begun with %s %s, not %s: it goes on as it began.",
        what, has ? has : "(none)", asked);
    return ane_hint(e, "Leave %s out, or begin a new run.", what);
}

static bool check_overrides(
    const char *run, const ane_train_options *asked, const ane_train_options *has, ane_error *e) {
    const struct {
        const char *what, *asked, *has;
    } names[] = {{"model", asked->model, has->model}, {"tokenizer", asked->tokenizer, has->tokenizer},
        {"out", asked->out, run}};
    for (int i = 0; i < 3; i++) {
        bool same = !names[i].asked || (names[i].has && same_name(names[i].asked, names[i].has));
        if (!same) return refuse(run, names[i].what, names[i].asked, names[i].has, e);
    }
    for (int i = 0; i < asked->n_data; i++) {
        const char *mine = i < has->n_data ? has->data[i] : NULL;
        if (!mine || !same_name(asked->data[i], mine)) return refuse(run, "data", asked->data[i], mine, e);
    }
    return true;
}

static bool check_tokenizer(ane_trainer *t, ane_error *e) {
    ane_error reason = {0};
    t->tokenizer = ane_tokenizer_find(t->run.text, &reason);
    if (reason.code) {
        if (e) *e = reason;
        return false;
    }
    if (!t->tokenizer) return ane_fail(e, ANE_ERROR_IO, t->run.text, "The run's tokenizer is missing.");
    uint32_t found = ane_tokenizer_checksum(t->tokenizer), expected = t->config.tokenizer_checksum;
    if (found == expected) return true;
    return ane_fail(e, ANE_ERROR_ARGUMENT, t->run.text,
        "Another tokenizer: the run was begun with one of checksum %08x, found %08x.", expected, found);
}

static bool check_data(const ane_trainer *t, ane_error *e) {
    uint32_t found = ane_dataset_checksum(t->data), expected = t->config.data_checksum;
    if (found == expected) return true;
    ane_fail(e, ANE_ERROR_ARGUMENT, t->config.options.data[0],
        "Other data: the run was begun with data of checksum %08x, found %08x.", expected, found);
    return ane_hint(e, "Put the files back as they were, or begin a new run.");
}

/* Warnings about checkpoints that are passed over, kept until the log is cut to where the run goes on. */
typedef struct warnings {
    char **texts;
    int n;
} warnings;

static void keep_warning(void *context, const char *text) {
    warnings *w = context;
    char **grown = realloc(w->texts, (size_t)(w->n + 1) * sizeof *grown);
    if (!grown) return;
    w->texts = grown;
    if ((w->texts[w->n] = strdup(text))) w->n++;
}

static void free_warnings(warnings *w) {
    for (int i = 0; i < w->n; i++) free(w->texts[i]);
    free(w->texts);
}

static bool load_checkpoint(ane_trainer *t, const char *checkpoint, ane_error *e) {
    ane_path config;
    ane_model_config found;
    if (!ane_path_set(&config, e, "%s/config.json", checkpoint) ||
        !ane_model_config_load(&found, config.text, e) ||
        !ane_run_config_same_model(&t->config.model, &found, checkpoint, e))
        return false;
    t->weights = ane_weights_new(&t->config.model, e);
    t->optimizer = t->weights ? ane_adamw_new(&t->config.model, &t->config.options.adamw, e) : NULL;
    if (!t->optimizer || !ane_checkpoint_load(checkpoint, &t->state, t->weights, t->optimizer, e))
        return false;
    t->saved_step = t->state.step;
    t->saved_owes = t->state.owes;
    return true;
}

/* Weights and state of the newest whole checkpoint. A run that ended before its first one begins again. */
static bool load(ane_trainer *t, warnings *w, ane_error *e) {
    int64_t *steps;
    int n;
    if (!ane_checkpoint_clean(t->run.text, e) || !ane_checkpoint_list(t->run.text, &steps, &n, e))
        return false;
    free(steps);
    if (n > 0) {
        char *checkpoint = ane_checkpoint_newest(t->run.text, keep_warning, w, e);
        bool ok = checkpoint && load_checkpoint(t, checkpoint, e);
        free(checkpoint);
        return ok;
    }
    const ane_model_config expected = t->config.model;
    keep_warning(w, "There is no checkpoint yet: the run begins again.");
    ane_trainer_first_state(t);
    return ane_trainer_find_weights(t, e) &&
           ane_run_config_same_model(&expected, &t->config.model, t->config.options.model, e);
}

static bool say_all(ane_trainer *t, const warnings *w, ane_error *e) {
    const ane_capabilities *k = ane_device_capabilities(t->device);
    char text[256];
    for (int i = 0; i < w->n; i++)
        if (!ane_trainer_say(t, "warning", w->texts[i], e)) return false;
    if (k->threads == t->config.threads && k->precision == t->config.precision) return true;
    snprintf(text, sizeof text,
        "The run was begun with %s on %d threads, and goes on with %s on %d: the last bits may differ.",
        ane_precision_name(t->config.precision), t->config.threads, ane_precision_name(k->precision),
        k->threads);
    return ane_trainer_say(t, "warning", text, e);
}

static bool resume(ane_trainer *t, warnings *w, ane_error *e) {
    if (!check_tokenizer(t, e) || !ane_runlog_open(&t->log, t->run.text, e) || !load(t, w, e) ||
        !ane_trainer_make(t, e) || !check_data(t, e))
        return false;
    return ane_runlog_cut(&t->log, t->state.step, e) && ane_trainer_say(t, "resume", t->description, e) &&
           say_all(t, w, e);
}

bool ane_trainer_resume(ane_trainer *t, const char *run, const ane_train_options *overrides, ane_error *e) {
    warnings w = {0};
    if (!ane_path_set(&t->run, e, "%s", run) || !ane_run_config_read(&t->config, run, e)) return false;
    const ane_train_options *o = &t->config.options;
    if (!ane_train_options_check(o, e)) return ane_at(e, run);
    if (overrides && !check_overrides(run, overrides, o, e)) return false;
    t->stop_after = overrides ? overrides->stop_after : 0;
    t->device = ane_device_open(overrides && overrides->device ? overrides->device : o->device, e);
    bool ok = t->device && resume(t, &w, e);
    free_warnings(&w);
    return ok;
}
