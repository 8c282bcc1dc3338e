#include "support/support.h"

#include "base/file.h"
#include "train/runconfig.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const FILES[] = {"/data/a.txt", "/data/b \"c\".bin"};

static ane_run_config example(void) {
    ane_run_config c = {.tokenizer_kind = "bytes",
        .description = "a machine",
        .tokenizer_checksum = 0xdeadbeef,
        .data_checksum = 7,
        .threads = 3,
        .precision = ANE_BF16,
        .model = {.dim = 8,
            .hidden_dim = 16,
            .n_layers = 1,
            .n_heads = 2,
            .n_kv_heads = 1,
            .head_dim = 4,
            .vocab_size = 10,
            .max_seq = 16,
            .norm_eps = 1e-5f,
            .rope_theta = 1e4f,
            .tied = true,
            .bos_id = -1}};
    ane_train_defaults(&c.options);
    c.options.model = "stories15m";
    c.options.n_data = 2;
    c.options.data = FILES;
    c.options.seed = UINT64_MAX - 5;
    c.options.schedule.kind = ANE_WSD;
    c.options.schedule.lr = 1.0 / 3;
    c.options.adamw.decay_all = true;
    c.options.sample_prompt = "Once";
    return c;
}

static const char *path_of(const char *run) {
    static char path[512];
    snprintf(path, sizeof path, "%s/config.json", run);
    return path;
}

static void test_round_trip(void **state) {
    (void)state;
    const char *run = test_folder();
    ane_error e = {0};
    ane_run_config c = example(), r;
    assert_ok(ane_run_config_write(&c, run, &e), &e);
    assert_true(ane_run_config_exists(run));
    assert_ok(ane_run_config_read(&r, run, &e), &e);
    assert_string_equal(r.options.model, "stories15m");
    assert_null(r.options.tokenizer);
    assert_int_equal(r.options.n_data, 2);
    assert_string_equal(r.options.data[1], FILES[1]);
    assert_true(r.options.seed == c.options.seed);
    assert_int_equal(r.options.schedule.kind, ANE_WSD);
    assert_true(r.options.schedule.lr == 1.0 / 3);
    assert_int_equal(r.options.schedule.total, r.options.steps);
    assert_true(r.options.adamw.decay_all);
    assert_true(r.options.adamw.epsilon == 1e-8);
    assert_int_equal(r.options.keep, 3);
    assert_string_equal(r.options.sample_prompt, "Once");
    assert_true(ane_model_config_equal(&r.model, &c.model));
    assert_int_equal(r.tokenizer_checksum, 0xdeadbeef);
    assert_int_equal(r.data_checksum, 7);
    assert_int_equal(r.threads, 3);
    assert_int_equal(r.precision, ANE_BF16);
    ane_run_config_free(&r);
}

static void replace(const char *path, const char *old, const char *new) {
    ane_error e = {0};
    char *text = ane_read_text(path, 1 << 20, NULL, &e), changed[8192];
    assert_ok(text, &e);
    char *at = strstr(text, old);
    if (!at) fail_msg("no %s in %s", old, text);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
    assert_ok(ane_write_file(path, changed, strlen(changed), &e), &e);
    free(text);
}

static void test_bad_files(void **state) {
    (void)state;
    static const struct {
        const char *old, *new, *part;
    } cases[] = {{"{", "[", "line"}, {"anemone run", "else", "\"else\" version 1"},
        {"\"version\": 1", "\"version\": 2", "2"}, {"\"steps\": 1000", "\"steps\": \"x\"", "\"steps\""},
        {"\"batch\": 8", "\"batch\": 8000000000", "\"batch\""}, {"\"wsd\"", "\"w\"", "\"schedule\""},
        {"\"lr\": 0", "\"lr\": null, \"z\": 0", "\"lr\""}, {"\"n_layers\"", "\"m\"", "\"n_layers\""},
        {"\"decay_all\": true", "\"decay_all\": 1", "\"decay_all\""}, {"\"stories15m\"", "7", "\"model\""},
        {"\"bf16\"", "\"bf17\"", "bf17"}, {"\"/data/a.txt\"", "1", "\"data\""},
        {"\"threads\"", "\"t\"", "threads"},
        {"\"norm_eps\": ", "\"norm_eps\": 9e99, \"z\": ", "rms_norm_eps"}};
    const char *run = test_folder();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ane_error e = {0};
        ane_run_config c = example(), r;
        assert_ok(ane_run_config_write(&c, run, &e), &e);
        replace(path_of(run), cases[i].old, cases[i].new);
        assert_false(ane_run_config_read(&r, run, &e));
        assert_true(e.code == ANE_ERROR_FORMAT || e.code == ANE_ERROR_ARGUMENT);
        assert_error(&e, e.code, cases[i].part);
    }
    ane_error e = {0};
    ane_run_config r;
    assert_false(ane_run_config_read(&r, "/nonexistent", &e));
    assert_error(&e, ANE_ERROR_IO, "Expected a run");
}

static void test_invalid_utf8(void **state) {
    (void)state;
    ane_error e = {0};
    ane_run_config c = example();
    const char *files[] = {"/data/\xff", "b"};
    c.options.data = files;
    assert_false(ane_run_config_write(&c, test_folder(), &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "UTF-8");
}

static void test_same_model(void **state) {
    (void)state;
    ane_error e = {0};
    ane_model_config a = example().model, b = a;
    assert_ok(ane_run_config_same_model(&a, &b, "x", &e), &e);
    b.n_layers = 4;
    assert_false(ane_run_config_same_model(&a, &b, "x", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "n_layers is 4, but the run's is 1");
    b = a;
    b.norm_eps = 1e-6f;
    assert_false(ane_run_config_same_model(&a, &b, "x", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "norm_eps");
}

typedef struct change {
    const char *name;
    char kind; /* i: int32, l: int64, d: double */
    size_t offset;
    double value;
} change;

static void check_change(const change *c) {
    ane_train_options o = example().options;
    ane_error e = {0};
    void *p = (char *)&o + c->offset;
    assert_ok(ane_train_options_check(&o, &e), &e);
    if (c->kind == 'i') *(int32_t *)p = (int32_t)c->value;
    if (c->kind == 'l') *(int64_t *)p = (int64_t)c->value;
    if (c->kind == 'd') *(double *)p = c->value;
    if (ane_train_options_check(&o, &e)) fail_msg("%s = %g is accepted", c->name, c->value);
    assert_error(&e, ANE_ERROR_ARGUMENT, strrchr(c->name, '.') ? strrchr(c->name, '.') + 1 : c->name);
}

#define CHANGE(kind, field, value)                                                                           \
    { #field, kind, offsetof(ane_train_options, field), value }

static void test_options(void **state) {
    (void)state;
    const change changes[] = {CHANGE('l', steps, 0), CHANGE('l', steps, -1), CHANGE('i', batch, 0),
        CHANGE('i', batch, -3), CHANGE('i', batch, INT32_MAX), /* times seq */
        CHANGE('i', seq, 0), CHANGE('i', accumulate, 0), CHANGE('d', schedule.lr, -1),
        CHANGE('d', schedule.lr, NAN), CHANGE('d', schedule.min_lr, INFINITY),
        CHANGE('l', schedule.warmup, -1), CHANGE('l', schedule.decay, -1), CHANGE('d', adamw.beta1, 1),
        CHANGE('d', adamw.beta2, -0.1), CHANGE('d', adamw.epsilon, 0), CHANGE('d', adamw.weight_decay, -1),
        CHANGE('d', adamw.clip, -1), CHANGE('d', validation, 1), CHANGE('l', eval_every, -1),
        CHANGE('l', eval_batches, -1), CHANGE('l', save_every, -1), CHANGE('l', sample_every, -1),
        CHANGE('i', keep, -1), CHANGE('l', stop_after, -1)};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) check_change(&changes[i]);
}

static void test_missing_options(void **state) {
    (void)state;
    static const char *const models[] = {NULL, ""};
    ane_error e = {0};
    for (int i = 0; i < 2; i++) {
        ane_train_options o = example().options;
        o.model = models[i];
        assert_false(ane_train_options_check(&o, &e));
        assert_error(&e, ANE_ERROR_ARGUMENT, "model");
    }
    ane_train_options o = example().options;
    o.n_data = 0;
    assert_false(ane_train_options_check(&o, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "data");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_invalid_utf8), cmocka_unit_test(test_same_model),
        cmocka_unit_test(test_options), cmocka_unit_test(test_missing_options)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
