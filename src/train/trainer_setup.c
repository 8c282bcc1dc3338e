/* From options to a trainer that is ready for its first step. */
#include "train/trainer.h"

#include "base/file.h"
#include "base/peak.h"
#include "base/random.h"
#include "train/checkpoint.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ane_trainer_free(ane_trainer *t) {
    ane_network_free(t->network);
    ane_adamw_free(t->optimizer);
    ane_weights_free(t->gradients);
    ane_weights_free(t->weights);
    ane_dataset_free(t->data);
    ane_tokenizer_free(t->tokenizer);
    ane_device_close(t->device);
    ane_runlog_close(&t->log);
    ane_run_config_free(&t->config);
    free(t->tokens);
}

/* ---- what new and resumed runs share ------------------------------------------------------------------- */

static bool check_model(const ane_trainer *t, ane_error *e) {
    const ane_model_config *c = &t->config.model;
    const ane_train_options *o = &t->config.options;
    int32_t tokens = ane_tokenizer_vocab_size(t->tokenizer);
    if (tokens > c->vocab_size) {
        ane_fail(e, ANE_ERROR_ARGUMENT, o->model, "The model knows %d tokens, but the tokenizer makes %d.",
            c->vocab_size, tokens);
        return ane_hint(e, "Give the tokenizer that the weights were trained with.");
    }
    if (o->seq <= c->max_seq) return true;
    ane_fail(e, ANE_ERROR_ARGUMENT, o->model, "The model takes sequences of at most %d tokens, not of %d.",
        c->max_seq, o->seq);
    return ane_hint(e, "Train with a sequence of %d or less.", c->max_seq);
}

static bool open_data(ane_trainer *t, ane_error *e) {
    const ane_train_options *o = &t->config.options;
    const ane_data_options options = {.n_files = o->n_data,
        .files = o->data,
        .vocab_size = t->config.model.vocab_size,
        .validation = o->validation,
        .bos_id = ane_tokenizer_bos(t->tokenizer)};
    t->data = ane_dataset_open(&options, t->tokenizer, e);
    if (!t->data) return false;
    t->can_evaluate = o->eval_every > 0 && ane_dataset_windows(t->data, ANE_VALIDATION, o->seq) > 0;
    if (ane_dataset_windows(t->data, ANE_TRAIN, o->seq) > 0) return true;
    ane_fail(e, ANE_ERROR_ARGUMENT, o->data[0],
        "There are %lld tokens to train on, fewer than one sequence of %d and "
        "its target.",
        (long long)ane_dataset_tokens(t->data, ANE_TRAIN), o->seq);
    return ane_hint(e, "Train with a shorter sequence or more data.");
}

static void measure_peak(ane_trainer *t) {
    const ane_capabilities *c = ane_device_capabilities(t->device);
    if (strcmp(c->device, "cpu") == 0) t->peak_flops = ane_peak_flops(c->threads);
}

static void describe(ane_trainer *t) {
    const ane_model_config *c = &t->config.model;
    const ane_train_options *o = &t->config.options;
    const ane_capabilities *k = ane_device_capabilities(t->device);
    const ane_placement p = ane_network_placement(t->network);
    char accumulate[32] = "";
    if (o->accumulate > 1) snprintf(accumulate, sizeof accumulate, "%d x ", o->accumulate);
    snprintf(t->description, sizeof t->description,
        "model: %lld parameters, %d layers of %d, %d heads (%d of keys and values), %d tokens (%s)\n"
        "data: %lld tokens to train on, %lld held out\n"
        "each of %lld steps: %s%d sequences of %d tokens\n"
        "device: %s, %s; head on the %s, norms back on the %s, weight gradients on the %s; recomputed: %s",
        (long long)ane_model_parameter_count(c), c->n_layers, c->dim, c->n_heads, c->n_kv_heads,
        c->vocab_size, ane_tokenizer_kind(t->tokenizer), (long long)ane_dataset_tokens(t->data, ANE_TRAIN),
        (long long)ane_dataset_tokens(t->data, ANE_VALIDATION), (long long)o->steps, accumulate, o->batch,
        o->seq, k->description, ane_precision_name(k->precision), ane_place_name(p.head),
        ane_place_name(p.norms_backward), ane_place_name(p.dw), ane_recompute_name(p.recompute));
}

bool ane_trainer_make(ane_trainer *t, ane_error *e) {
    const ane_train_options *o = &t->config.options;
    size_t count = (size_t)o->batch * (size_t)o->seq;
    if (!check_model(t, e) || !open_data(t, e)) return false;
    t->gradients = ane_gradients_new(&t->config.model, &o->placement, e);
    if (!t->gradients) return false;
    if (!t->optimizer && !(t->optimizer = ane_adamw_new(&t->config.model, &o->adamw, e))) return false;
    t->network = ane_network_new(t->device, t->weights, t->gradients, o->batch, o->seq, &o->placement, e);
    if (!t->network) return false;
    t->tokens = malloc(2 * count * sizeof *t->tokens);
    if (!t->tokens) return ane_fail(e, ANE_ERROR_MEMORY, "batch", "Out of memory for %zu tokens.", count);
    t->targets = t->tokens + count;
    measure_peak(t);
    describe(t);
    return true;
}

/* ---- new runs ------------------------------------------------------------------------------------------ */

static bool claim_folder(ane_trainer *t, const char *out, ane_error *e) {
    if (!out || !*out)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "out", "Expected a folder for the run, found none.");
    if (ane_run_config_exists(out)) {
        ane_fail(e, ANE_ERROR_ARGUMENT, out, "The folder holds a run already.");
        return ane_hint(e, "Continue it with --resume %s, or give another folder.", out);
    }
    bool was_there = ane_path_exists(out);
    if (!ane_path_set(&t->run, e, "%s", out) || !ane_make_folders(out, e)) return false;
    t->made_folder = !was_there;
    if (access(out, W_OK) == 0) return true;
    ane_fail(e, ANE_ERROR_IO, out, "Cannot write into the folder: %s.", strerror(errno));
    return ane_hint(e, "Choose a place that you may write to, or fix its permissions.");
}

static bool is_preset(const char *name) {
    for (const char *const *p = ane_model_presets(); *p; p++)
        if (strcmp(*p, name) == 0) return true;
    return false;
}

static bool is_config(const char *path) {
    size_t n = strlen(path);
    return n > 5 && strcmp(path + n - 5, ".json") == 0;
}

/* The tokenizer that was asked for, else the one beside the weights, else bytes. */
static bool find_tokenizer(ane_trainer *t, const ane_train_options *o, ane_error *e) {
    bool folder = !is_preset(o->model) && ane_is_folder(o->model);
    ane_error reason = {0};
    if (o->tokenizer)
        t->tokenizer = ane_tokenizer_load(o->tokenizer, 0, e);
    else if (folder)
        t->tokenizer = ane_tokenizer_find(o->model, &reason);
    if (reason.code) {
        if (e) *e = reason;
        return false;
    }
    if (!t->tokenizer && !o->tokenizer) t->tokenizer = ane_tokenizer_bytes(e);
    return t->tokenizer != NULL;
}

/* A shape without weights: the vocabulary follows the tokenizer, the longest sequence the training. */
static bool new_weights(ane_trainer *t, ane_model_config c, ane_error *e) {
    const ane_train_options *o = &t->config.options;
    c.vocab_size = ane_tokenizer_vocab_size(t->tokenizer);
    c.bos_id = ane_tokenizer_bos(t->tokenizer);
    c.eos_id = ane_tokenizer_eos(t->tokenizer);
    if (c.max_seq < o->seq) c.max_seq = o->seq;
    t->weights = ane_weights_new(&c, e);
    if (!t->weights) return false;
    ane_weights_init(t->weights, o->seed);
    return true;
}

bool ane_trainer_find_weights(ane_trainer *t, ane_error *e) {
    const char *model = t->config.options.model;
    ane_model_config c;
    bool ok;
    if (is_config(model)) {
        ok = ane_model_config_load(&c, model, e) && new_weights(t, c, e);
    } else if (!is_preset(model) && ane_path_exists(model)) {
        t->weights = ane_weights_load(model, e);
        ok = t->weights && (ane_weights_check_finite(t->weights, e) || ane_at(e, model));
    } else {
        ok = ane_model_preset(&c, model, e) && new_weights(t, c, e);
    }
    if (ok) t->config.model = t->weights->config;
    return ok;
}

/* A run goes on from any folder: paths are stored absolute. */
static bool make_absolute(ane_run_config *c, ane_error *e) {
    ane_train_options *o = &c->options;
    char real[PATH_MAX];
    c->json = json_array(); /* owns the strings */
    c->files = calloc((size_t)o->n_data + 1, sizeof *c->files);
    if (!c->json || !c->files) return ane_fail(e, ANE_ERROR_MEMORY, "options", "Out of memory.");
    const char **texts[] = {&o->model, &o->tokenizer};
    for (int i = 0; i < o->n_data + 2; i++) {
        const char **text = i < 2 ? texts[i] : &c->files[i - 2], *given = i < 2 ? *text : o->data[i - 2];
        bool path = given && !(i == 0 && is_preset(given)) && realpath(given, real);
        json_t *string = json_string(path ? real : given ? given : "");
        if (json_array_append_new(c->json, string) != 0)
            return ane_fail(e, ANE_ERROR_ARGUMENT, "options", "A name is not valid UTF-8.");
        if (given) *text = json_string_value(string);
    }
    o->data = c->files;
    return true;
}

static void fill_config(ane_trainer *t) {
    const ane_capabilities *k = ane_device_capabilities(t->device);
    t->config.tokenizer_kind = ane_tokenizer_kind(t->tokenizer);
    t->config.tokenizer_checksum = ane_tokenizer_checksum(t->tokenizer);
    t->config.data_checksum = ane_dataset_checksum(t->data);
    t->config.description = k->description;
    t->config.threads = k->threads;
    t->config.precision = k->precision;
}

void ane_trainer_first_state(ane_trainer *t) {
    enum { SAMPLES_STREAM = 0x5a };
    ane_rng rng = ane_rng_new(t->config.options.seed, SAMPLES_STREAM);
    bool fp16 = t->config.precision == ANE_FP16;
    t->state = (ane_train_state){.loss_scale = fp16 ? 65536 : 1};
    memcpy(t->state.rng, rng.state, sizeof t->state.rng);
    t->saved_step = -1;
}

static bool warn_about_setup(ane_trainer *t, ane_error *e) {
    const ane_train_options *o = &t->config.options;
    char text[256];
    if (t->config.model.vocab_size > ane_tokenizer_vocab_size(t->tokenizer)) {
        snprintf(text, sizeof text,
            "The model knows %d tokens, but the tokenizer (%s) makes only %d: was it trained with "
            "another one?",
            t->config.model.vocab_size, t->config.tokenizer_kind, ane_tokenizer_vocab_size(t->tokenizer));
        if (!ane_trainer_say(t, "warning", text, e)) return false;
    }
    if (o->eval_every > 0 && !t->can_evaluate) {
        snprintf(text, sizeof text,
            "Nothing will be evaluated: %lld tokens are held out, fewer than one sequence of %d "
            "and its target.",
            (long long)ane_dataset_tokens(t->data, ANE_VALIDATION), o->seq);
        if (!ane_trainer_say(t, "warning", text, e)) return false;
    }
    return true;
}

static bool start(ane_trainer *t, const ane_train_options *options, ane_error *e) {
    if (!ane_train_options_check(options, e) || !claim_folder(t, options->out, e)) return false;
    t->config.options = *options;
    t->config.options.schedule.total = options->steps;
    t->stop_after = options->stop_after;
    if (!make_absolute(&t->config, e)) return false;
    t->device = ane_device_open(options->device ? options->device : "cpu", e);
    if (!t->device || !find_tokenizer(t, &t->config.options, e) || !ane_trainer_find_weights(t, e) ||
        !ane_trainer_make(t, e))
        return false;
    fill_config(t);
    ane_trainer_first_state(t);
    return ane_tokenizer_save(t->tokenizer, t->run.text, e) && ane_runlog_open(&t->log, t->run.text, e) &&
           ane_runlog_cut(&t->log, -1, e) && ane_run_config_write(&t->config, t->run.text, e) &&
           ane_trainer_say(t, "start", t->description, e) && warn_about_setup(t, e);
}

bool ane_trainer_start(ane_trainer *t, const ane_train_options *options, ane_error *e) {
    if (start(t, options, e)) return true;
    if (t->made_folder) ane_remove_tree(t->run.text, NULL);
    return false;
}
