#include "support/support.h"

#include "anemone/train.h"

#include "base/file.h"
#include "base/random.h"
#include "train/checkpoint.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const ane_model_config CONFIG = {.dim = 16,
    .hidden_dim = 24,
    .n_layers = 2,
    .n_heads = 2,
    .n_kv_heads = 1,
    .head_dim = 8,
    .vocab_size = 258,
    .max_seq = 16,
    .norm_eps = 1e-5f,
    .rope_theta = 10000,
    .bos_id = 0,
    .eos_id = 1};
static const ane_adamw_options OPTIONS = {
    .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1, .clip = 1};

/* What a checkpoint is of. */
typedef struct thing {
    ane_train_state state;
    ane_weights *w;
    ane_adamw *o;
    ane_tokenizer *t;
} thing;

static void fill(float *x, int64_t n, uint64_t seed) {
    ane_rng rng = ane_rng_new(seed, 0);
    for (int64_t i = 0; i < n; i++) x[i] = (float)ane_rng_normal(&rng);
}

static void fill_store(ane_weights *w, uint64_t seed) {
    for (int i = 0; i < w->n_tensors; i++)
        fill(w->data + w->tensors[i].offset, w->tensors[i].count, seed * 1000 + (uint64_t)i);
}

static thing thing_new(void) {
    ane_error e = {0};
    thing x = {.w = ane_weights_new(&CONFIG, &e), .o = ane_adamw_new(&CONFIG, &OPTIONS, &e)};
    x.t = ane_tokenizer_bytes(&e);
    assert_ok(x.w && x.o && x.t, &e);
    return x;
}

/* Numbers that depend on the step, so that checkpoints differ. */
static void thing_at(thing *x, int64_t step) {
    x->state = (ane_train_state){.step = step,
        .data_position = 2 * step + 1,
        .loss_scale = 1024.1 / 3,
        .good_steps = 7,
        .rng = {1, UINT64_MAX, 0x123456789abcdefu, 42},
        .seconds = 1.0 / 3,
        .tokens = (int64_t)1 << 60};
    fill_store(x->w, (uint64_t)step);
    fill_store(x->o->m, (uint64_t)step + 1);
    fill_store(x->o->v, (uint64_t)step + 2);
    x->o->t = step + 3;
}

static void thing_free(thing *x) {
    ane_weights_free(x->w);
    ane_adamw_free(x->o);
    ane_tokenizer_free(x->t);
}

static const char *run_folder(void) {
    static char path[256];
    snprintf(path, sizeof path, "%s/run", test_folder());
    ane_error e = {0};
    assert_ok(ane_remove_tree(path, &e), &e);
    return path;
}

static void save(const char *run, thing *x, int64_t step, int keep) {
    ane_error e = {0};
    thing_at(x, step);
    assert_ok(ane_checkpoint_save(run, &x->state, x->w, x->o, x->t, keep, &e), &e);
}

static const char *in_run(const char *run, int step, const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/checkpoints/step-%d/%s", run, step, name);
    return path;
}

static char warnings[4096];
static void remember(void *context, const char *text) {
    ++*(int *)context;
    snprintf(warnings + strlen(warnings), sizeof warnings - strlen(warnings), "%s\n", text);
}

/* The newest must be `step`, after `passed` warnings that contain `part`. */
static void expect_newest(const char *run, int step, int passed, const char *part) {
    ane_error e = {0};
    int count = 0;
    warnings[0] = 0;
    char *newest = ane_checkpoint_newest(run, remember, &count, &e);
    assert_ok(newest, &e);
    char expected[64];
    snprintf(expected, sizeof expected, "/step-%d", step);
    if (strcmp(newest + strlen(newest) - strlen(expected), expected))
        fail_msg("%s, expected %s", newest, expected);
    if (count != passed || !strstr(warnings, part)) fail_msg("%d warnings: %s", count, warnings);
    free(newest);
}

static void expect_equal(const ane_weights *a, const ane_weights *b) {
    assert_memory_equal(a->data, b->data, (size_t)a->count * sizeof(float));
}

/* Not the bytes between the members. */
static void expect_same_state(const ane_train_state *a, const ane_train_state *b) {
    assert_memory_equal(a, b, offsetof(ane_train_state, owes));
    assert_int_equal(a->owes, b->owes);
}

static void test_round_trip(void **state) {
    (void)state;
    const char *run = run_folder();
    ane_error e = {0};
    thing x = thing_new(), y = thing_new();
    save(run, &x, 5, 0);
    char *path = ane_checkpoint_newest(run, NULL, NULL, &e);
    assert_ok(path, &e);
    assert_ok(ane_checkpoint_load(path, &y.state, y.w, y.o, &e), &e);
    expect_same_state(&x.state, &y.state);
    expect_equal(x.w, y.w);
    expect_equal(x.o->m, y.o->m);
    expect_equal(x.o->v, y.o->v);
    assert_int_equal(y.o->t, 8);
    static const char *const files[] = {
        "model.safetensors", "config.json", "optimizer.safetensors", "state.json"};
    for (int i = 0; i < 4; i++) assert_true(ane_path_exists(in_run(run, 5, files[i])));
    ane_tokenizer *t = ane_tokenizer_find(path, &e);
    assert_non_null(t);
    assert_int_equal(ane_tokenizer_checksum(t), ane_tokenizer_checksum(x.t));
    ane_tokenizer_free(t);
    free(path);
    thing_free(&x);
    thing_free(&y);
}

static void test_keep(void **state) {
    (void)state;
    const char *run = run_folder();
    thing x = thing_new();
    int64_t *steps;
    int n;
    for (int step = 8; step <= 12; step++) save(run, &x, step, 2);
    assert_true(ane_checkpoint_list(run, &steps, &n, NULL));
    assert_int_equal(n, 2);
    assert_int_equal(steps[0], 12);
    assert_int_equal(steps[1], 11);
    free(steps);
    save(run, &x, 9, 1); /* of an earlier step: newer ones are not its to remove */
    expect_newest(run, 12, 0, "");
    assert_true(ane_path_exists(in_run(run, 9, "state.json")));
    assert_true(ane_path_exists(in_run(run, 11, "state.json")));
    for (int step = 13; step <= 16; step++) save(run, &x, step, 0); /* all */
    assert_true(ane_checkpoint_list(run, &steps, &n, NULL));
    assert_int_equal(n, 7);
    free(steps);
    thing_free(&x);
}

static void flip(const char *path, long offset, int whence) {
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, offset, whence);
    int c = fgetc(f);
    fseek(f, -1, SEEK_CUR);
    fputc(c ^ 4, f);
    fclose(f);
}

static void test_damage(void **state) {
    (void)state;
    static const char *const files[] = {
        "model.safetensors", "optimizer.safetensors", "config.json", "state.json"};
    thing x = thing_new();
    for (int i = 0; i < 4; i++) {
        const char *run = run_folder();
        save(run, &x, 1, 0);
        save(run, &x, 2, 0);
        flip(in_run(run, 2, files[i]), -60, SEEK_END);
        expect_newest(run, 1, 1, files[i]);
        save(run, &x, 2, 0); /* replaces the damaged one */
        expect_newest(run, 2, 0, "");
        struct stat st;
        assert_int_equal(stat(in_run(run, 2, files[i]), &st), 0);
        assert_int_equal(truncate(in_run(run, 2, files[i]), st.st_size / 2), 0);
        expect_newest(run, 1, 1, i < 3 ? "bytes, found" : "JSON");
        assert_int_equal(truncate(in_run(run, 2, files[i]), 0), 0);
        expect_newest(run, 1, 1, files[i]);
        assert_int_equal(unlink(in_run(run, 2, files[i])), 0);
        expect_newest(run, 1, 1, files[i]);
    }
    thing_free(&x);
}

static void rewrite(const char *path, const char *text) {
    ane_error e = {0};
    assert_ok(ane_write_file(path, text, strlen(text), &e), &e);
}

static void test_lying_state(void **state) {
    (void)state;
    const char *run = run_folder();
    thing x = thing_new();
    save(run, &x, 1, 0);
    save(run, &x, 2, 0);
    static const struct {
        const char *text, *part;
    } cases[] = {{"", "JSON"}, {"[1]", "checksum"}, {"{}", "checksum"}, {"{\"crc32\": \"0\"}", "checksum"},
        {"{\"crc32\": \"a9d3c1df\", \"format\": \"x\"}", "checksum"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rewrite(in_run(run, 2, "state.json"), cases[i].text);
        expect_newest(run, 1, 1, cases[i].part);
    }
    ane_error e = {0};
    ane_train_state negative = {.step = -3, .loss_scale = 1};
    const char *alone = in_run(run, 1, "alone");
    assert_ok(ane_make_folders(alone, &e), &e);
    assert_ok(ane_checkpoint_write_state(alone, &negative, &e), &e);
    assert_false(ane_checkpoint_read_state(alone, &negative, false, &e));
    assert_error(&e, ANE_ERROR_FORMAT, "at least 0, found step -3");
    thing_free(&x);
}

static void test_none(void **state) {
    (void)state;
    const char *run = run_folder();
    ane_error e = {0};
    thing x = thing_new();
    assert_null(ane_checkpoint_newest(run, NULL, NULL, &e));
    assert_error(&e, ANE_ERROR_IO, "no checkpoint");
    save(run, &x, 3, 0);
    flip(in_run(run, 3, "model.safetensors"), -1, SEEK_END);
    assert_null(ane_checkpoint_newest(run, NULL, NULL, &e));
    assert_error(&e, ANE_ERROR_IO, "None of the 1");
    thing_free(&x);
}

/* Every size at which the disk can become full: saving fails, says so, and leaves what was there and nothing
 * else. */
static void test_full_disk(void **state) {
    (void)state;
    const char *run = run_folder();
    thing x = thing_new();
    save(run, &x, 1, 1);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old;
    getrlimit(RLIMIT_FSIZE, &old);
    static const rlim_t limits[] = {0, 100, 700, 4096, 20000, 60000};
    thing_at(&x, 2);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        ane_error e = {0};
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){limits[i], old.rlim_max});
        bool saved = ane_checkpoint_save(run, &x.state, x.w, x.o, x.t, 1, &e);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_false(saved);
        assert_error(&e, ANE_ERROR_IO, "intact");
        expect_newest(run, 1, 0, "");
        char path[512];
        snprintf(path, sizeof path, "%s/checkpoints/.new-step-2", run);
        assert_false(ane_path_exists(path));
    }
    save(run, &x, 2, 1);
    expect_newest(run, 2, 0, "");
    thing_free(&x);
}

static void test_cannot_write(void **state) {
    (void)state;
    const char *run = run_folder();
    ane_error e = {0};
    thing x = thing_new();
    rewrite(run, "a file where a folder should be");
    thing_at(&x, 1);
    assert_false(ane_checkpoint_save(run, &x.state, x.w, x.o, x.t, 0, &e));
    assert_error(&e, ANE_ERROR_IO, "run");
    char path[2 * ANE_PATH_BYTES] = {0};
    memset(path, 'x', sizeof path - 1);
    assert_false(ane_checkpoint_save(path, &x.state, x.w, x.o, x.t, 0, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "too long");
    thing_free(&x);
}

/* Half-written folders go, a half-replaced one comes back. */
static void test_clean(void **state) {
    (void)state;
    const char *run = run_folder();
    ane_error e = {0};
    thing x = thing_new();
    save(run, &x, 1, 0);
    save(run, &x, 2, 0);
    char from[512], to[512];
    snprintf(from, sizeof from, "%s/checkpoints/step-2", run);
    snprintf(to, sizeof to, "%s/checkpoints/.old-step-2", run);
    assert_int_equal(rename(from, to), 0);
    snprintf(to, sizeof to, "%s/checkpoints/.new-step-2/sub", run);
    assert_ok(ane_make_folders(to, &e), &e);
    expect_newest(run, 1, 0, "");
    assert_ok(ane_checkpoint_clean(run, &e), &e);
    expect_newest(run, 2, 0, "");
    snprintf(to, sizeof to, "%s/checkpoints/.new-step-2", run);
    assert_false(ane_path_exists(to));
    snprintf(to, sizeof to, "%s/checkpoints/.old-step-2", run);
    assert_ok(ane_make_folders(to, &e), &e);
    assert_ok(ane_checkpoint_clean(run, &e), &e);
    assert_false(ane_path_exists(to));
    assert_ok(ane_checkpoint_clean("/nonexistent", &e), &e);
    thing_free(&x);
}

static void test_other_model(void **state) {
    (void)state;
    const char *run = run_folder();
    ane_error e = {0};
    thing x = thing_new();
    save(run, &x, 1, 0);
    ane_model_config wider = CONFIG, deeper = CONFIG;
    wider.hidden_dim = 32;
    deeper.n_layers = 3;
    const ane_model_config *others[] = {&wider, &deeper};
    for (int i = 0; i < 2; i++) {
        ane_weights *w = ane_weights_new(others[i], &e);
        ane_adamw *o = ane_adamw_new(others[i], &OPTIONS, &e);
        const char *path = in_run(run, 1, "");
        assert_false(ane_checkpoint_load(path, &x.state, w, o, &e));
        assert_error(&e, i ? ANE_ERROR_FORMAT : ANE_ERROR_SHAPE, i ? "layers.2" : "mlp");
        ane_weights_free(w);
        ane_adamw_free(o);
    }
    thing_free(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_keep),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_lying_state), cmocka_unit_test(test_none),
        cmocka_unit_test(test_full_disk), cmocka_unit_test(test_cannot_write), cmocka_unit_test(test_clean),
        cmocka_unit_test(test_other_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
