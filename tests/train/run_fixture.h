/* run_fixture.h - small runs for the tests of the trainer: a text, a model of a few thousand weights, and
 * what a run has said and written. */
#ifndef ANEMONE_TESTS_TRAIN_RUN_FIXTURE_H
#define ANEMONE_TESTS_TRAIN_RUN_FIXTURE_H

#include "support/support.h"

#include "anemone/train.h"

#include "base/file.h"
#include "base/random.h"
#include "train/paths.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct fixture {
    char text[256], config[256];
    const char *files[1];
    ane_train_options options;
} fixture;

/* Sentences of a few words, so that there is something to learn. */
static inline void write_text(const char *path, int sentences, uint64_t seed) {
    static const char *const words[] = {
        "the", "sea", "is", "blue", "a", "fish", "swims", "and", "sleeps", "here"};
    ane_error e = {0};
    ane_rng rng = ane_rng_new(seed, 0);
    ane_writer *w = ane_writer_open(path, &e);
    assert_ok(w, &e);
    for (int i = 0; i < sentences; i++) {
        for (int k = 0; k < 6; k++) ane_writer_printf(w, "%s ", words[ane_rng_below(&rng, 10)]);
        ane_writer_printf(w, "%s", i % 4 == 3 ? ".\n\n" : ".\n");
    }
    assert_ok(ane_writer_commit(w, &e), &e);
}

static inline const char *in_folder(const char *name) {
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", test_folder(), name);
    return path;
}

static inline ane_model_config tiny_config(void) {
    return (ane_model_config){.dim = 16,
        .hidden_dim = 32,
        .n_layers = 2,
        .n_heads = 2,
        .n_kv_heads = 1,
        .head_dim = 8,
        .vocab_size = 258,
        .max_seq = 64,
        .norm_eps = 1e-5f,
        .rope_theta = 10000,
        .tied = true,
        .bos_id = 0,
        .eos_id = 1};
}

static inline void fixture_make(fixture *f) {
    ane_error e = {0};
    const ane_model_config c = tiny_config();
    snprintf(f->text, sizeof f->text, "%s", in_folder("text.txt"));
    snprintf(f->config, sizeof f->config, "%s", in_folder("tiny.json"));
    write_text(f->text, 400, 1);
    assert_ok(ane_model_config_save(&c, f->config, &e), &e);
    f->files[0] = f->text;
    ane_train_options *o = &f->options;
    ane_train_defaults(o);
    o->model = f->config;
    o->n_data = 1;
    o->data = f->files;
    o->device = "cpu:threads=1"; /* steps of microseconds: waiting for a second thread would be all they do */
    o->steps = 12;
    o->batch = 2;
    o->seq = 16;
    o->seed = 7;
    o->schedule.lr = 1e-2;
    o->schedule.warmup = 2;
    o->validation = 0.2;
    o->eval_every = 4;
    o->eval_batches = 2;
    o->save_every = 0;
    o->sample_every = 0;
    o->keep = 0;
}

/* A fresh folder for a run, which becomes the options' out. */
static inline const char *new_run(fixture *f, const char *name) {
    ane_error e = {0};
    f->options.out = in_folder(name);
    assert_ok(ane_remove_tree(f->options.out, &e), &e);
    return f->options.out;
}

static inline void train(const ane_train_options *o, const char *resume) {
    ane_error e = {0};
    assert_ok(ane_train(o, resume, NULL, NULL, NULL, &e), &e);
}

static inline void expect_refused(
    const ane_train_options *o, const char *resume, ane_code code, const char *part) {
    ane_error e = {0};
    assert_false(ane_train(o, resume, NULL, NULL, NULL, &e));
    assert_error(&e, code, part);
}

/* What a listener has heard; it asks to stop behind step `stop_at`. */
typedef struct watcher {
    int stop_at, stop, steps, skipped, warnings, ends, saves;
    bool interrupted;
    char last[ANE_PATH_BYTES + 64];
} watcher;

static inline void watch(void *context, const ane_train_event *v) {
    watcher *w = context;
    if (v->type == ANE_EVENT_STEP) {
        assert_int_equal(v->step, ++w->steps);
        w->skipped += v->skipped;
        w->stop = v->step == w->stop_at;
        assert_true(v->eta_seconds >= 0);
    }
    w->warnings += v->type == ANE_EVENT_WARNING;
    w->saves += v->type == ANE_EVENT_SAVE;
    if (v->type == ANE_EVENT_WARNING) snprintf(w->last, sizeof w->last, "%s", v->text);
    if (v->type != ANE_EVENT_END) return;
    w->ends++;
    w->interrupted = v->interrupted;
    snprintf(w->last, sizeof w->last, "%s", v->text);
}

/* The log's lines of one type (NULL: all), as an array. */
static inline json_t *log_lines(const char *run, const char *type) {
    char path[512];
    ane_error e = {0};
    snprintf(path, sizeof path, "%s/log.jsonl", run);
    char *text = ane_read_text(path, 1 << 24, NULL, &e);
    assert_ok(text, &e);
    json_t *all = json_array();
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        json_t *o = json_loadb(line, (size_t)(end - line), 0, NULL);
        assert_non_null(o);
        bool wanted = !type || !strcmp(json_string_value(json_object_get(o, "type")), type);
        if (wanted) json_array_append(all, o);
        json_decref(o);
    }
    free(text);
    return all;
}

static inline double value_of(const json_t *lines, size_t i, const char *key) {
    const json_t *v = json_object_get(json_array_get(lines, i), key);
    if (!json_is_number(v)) fail_msg("line %zu has no number \"%s\"", i, key);
    return json_number_value(v);
}

/* Everything that is logged must be equal, times and what the device counts apart. */
static inline void expect_equal_logs(const char *a, const char *b) {
    static const char *const types[] = {"step", "eval", "sample"};
    static const char *const times[] = {"ms", "timers", "beside_ms", "tokens_per_second", "mfu", "device"};
    for (int k = 0; k < 3; k++) {
        json_t *x = log_lines(a, types[k]), *y = log_lines(b, types[k]);
        if (json_array_size(x) != json_array_size(y))
            fail_msg("%zu and %zu lines \"%s\"", json_array_size(x), json_array_size(y), types[k]);
        for (size_t i = 0; i < json_array_size(x); i++) {
            json_t *p = json_array_get(x, i), *q = json_array_get(y, i);
            for (int t = 0; t < 6; t++) json_object_del(p, times[t]), json_object_del(q, times[t]);
            if (!json_equal(p, q)) fail_msg("%s, expected %s", json_dumps(q, 0), json_dumps(p, 0));
        }
        json_decref(x);
        json_decref(y);
    }
}

static inline const char *step_file(const char *run, int step, const char *name) {
    static char paths[4][1024];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/checkpoints/step-%d/%s", run, step, name);
    return path;
}

static inline void expect_equal_files(const char *a, const char *b) {
    ane_mapping x = {0}, y = {0};
    ane_error e = {0};
    assert_ok(ane_map_file(&x, a, &e) && ane_map_file(&y, b, &e), &e);
    bool same = x.size == y.size && x.data && y.data && !memcmp(x.data, y.data, x.size);
    ane_unmap_file(&x);
    ane_unmap_file(&y);
    if (!same) fail_msg("%s and %s differ", a, b);
}

/* Weights, optimizer and log of two finished runs, bit for bit. */
static inline void expect_equal_runs(const char *a, const char *b, int step) {
    expect_equal_files(step_file(a, step, "model.safetensors"), step_file(b, step, "model.safetensors"));
    expect_equal_files(
        step_file(a, step, "optimizer.safetensors"), step_file(b, step, "optimizer.safetensors"));
    expect_equal_logs(a, b);
}

#endif
