#include "train/run_fixture.h"

#include "train/trainer.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>

static fixture f;

static int setup(void **state) {
    (void)state;
    fixture_make(&f);
    return 0;
}

static void test_learns(void **state) {
    (void)state;
    f.options.steps = 60;
    f.options.batch = 4;
    const char *run = new_run(&f, "learns");
    train(&f.options, NULL);
    json_t *steps = log_lines(run, "step"), *evals = log_lines(run, "eval");
    assert_int_equal(json_array_size(steps), 60);
    double first = value_of(steps, 0, "loss"), last = value_of(steps, 59, "loss");
    assert_true(fabs(first - log(258)) < 0.5); /* knows nothing */
    if (!(last < 0.65 * first)) fail_msg("loss from %g to %g only", first, last);
    assert_true(value_of(evals, json_array_size(evals) - 1, "loss") < 0.7 * first);
    json_decref(steps);
    json_decref(evals);
}

/* Every file and every line that a run should leave. */
static void test_what_a_run_leaves(void **state) {
    (void)state;
    static const char *const files[] = {
        "model.safetensors", "config.json", "optimizer.safetensors", "state.json"};
    f.options.save_every = 5;
    f.options.sample_every = 6;
    f.options.sample_prompt = "the sea";
    f.options.keep = 2;
    const char *run = new_run(&f, "leaves");
    train(&f.options, NULL);
    for (int i = 0; i < 4; i++) {
        assert_true(ane_path_exists(step_file(run, 12, files[i])));
        assert_true(ane_path_exists(step_file(run, 10, files[i])));
        assert_false(ane_path_exists(step_file(run, 5, files[i])));
    }
    static const struct {
        const char *type;
        size_t count;
    } expected[] = {
        {"start", 1}, {"step", 12}, {"eval", 3}, {"sample", 2}, {"save", 3}, {"end", 1}, {"warning", 0}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        json_t *lines = log_lines(run, expected[i].type);
        if (json_array_size(lines) != expected[i].count)
            fail_msg("%zu lines \"%s\"", json_array_size(lines), expected[i].type);
        json_decref(lines);
    }
    json_t *steps = log_lines(run, "step"), *samples = log_lines(run, "sample");
    for (size_t i = 0; i < 12; i++) {
        ane_schedule s = f.options.schedule;
        s.total = 12;
        assert_true(value_of(steps, i, "step") == (double)i + 1);
        assert_true(value_of(steps, i, "lr") == ane_schedule_lr(&s, (int64_t)i));
        assert_true(value_of(steps, i, "tokens") == 32);
        assert_true(value_of(steps, i, "mfu") > 0);
    }
    const char *sample = json_string_value(json_object_get(json_array_get(samples, 0), "text"));
    assert_true(strncmp(sample, "the sea", 7) == 0);
    json_decref(steps);
    json_decref(samples);
}

static void test_accumulation(void **state) {
    (void)state;
    f.options.batch = 4;
    const char *whole = new_run(&f, "whole");
    train(&f.options, NULL);
    f.options.batch = 1;
    f.options.accumulate = 4;
    f.options.eval_batches = 8;
    const char *parts = new_run(&f, "parts");
    train(&f.options, NULL);
    json_t *a = log_lines(whole, "step"), *b = log_lines(parts, "step");
    for (size_t i = 0; i < 12; i++) {
        double x = value_of(a, i, "loss"), y = value_of(b, i, "loss");
        if (fabs(x - y) > 1e-4 * x) fail_msg("step %zu: loss %.9g, expected %.9g", i + 1, y, x);
        x = value_of(a, i, "grad_norm"), y = value_of(b, i, "grad_norm");
        if (fabs(x - y) > 1e-3 * x) fail_msg("step %zu: norm %.9g, expected %.9g", i + 1, y, x);
        assert_true(value_of(b, i, "tokens") == 64);
    }
    json_decref(a);
    json_decref(b);
}

/* ---- stumbling ----------------------------------------------------------------------------------------- */

/* A gradient that is no number changes nothing but the count of steps. */
static void test_skipped_step(void **state) {
    (void)state;
    ane_error e = {0};
    ane_trainer t = {.log.fd = -1};
    ane_step_record r;
    new_run(&f, "skipped");
    assert_ok(ane_trainer_start(&t, &f.options, &e), &e);
    assert_ok(ane_trainer_step(&t, &r, &e), &e);
    assert_false(r.skipped);
    size_t bytes = (size_t)t.weights->count * sizeof(float);
    float *before = malloc(bytes);
    memcpy(before, t.weights->data, bytes);
    t.state.loss_scale = 1e300; /* more than a float holds */
    assert_ok(ane_trainer_step(&t, &r, &e), &e);
    assert_true(r.skipped);
    t.state.loss_scale = 1;
    assert_ok(ane_trainer_report_step(&t, &r, &e), &e);
    assert_int_equal(t.skipped_in_a_row, 1);
    assert_int_equal(t.state.step, 2);
    assert_int_equal(t.optimizer->t, 1);
    assert_memory_equal(before, t.weights->data, bytes);
    assert_ok(ane_trainer_step(&t, &r, &e), &e);
    assert_false(r.skipped);
    assert_int_equal(t.skipped_in_a_row, 0);
    assert_true(memcmp(before, t.weights->data, bytes) != 0);
    json_t *warnings = log_lines(f.options.out, "warning");
    assert_int_equal(json_array_size(warnings), 1);
    json_decref(warnings);
    free(before);
    ane_trainer_free(&t);
}

static void test_loss_scale(void **state) {
    (void)state;
    ane_error e = {0};
    ane_trainer t = {.log.fd = -1};
    ane_step_record r;
    new_run(&f, "scaled");
    assert_ok(ane_trainer_start(&t, &f.options, &e), &e);
    t.config.precision = ANE_FP16; /* as a device with fp16 would have it */
    ane_trainer_first_state(&t);
    assert_ok(ane_trainer_step(&t, &r, &e), &e);
    assert_false(r.skipped);
    double norm = r.grad_norm;
    assert_true(r.loss_scale == 65536 && t.state.loss_scale == 65536 && norm < 100);
    /* an overflow: the same batch again at half the scale, until it fits a float; no step is lost */
    int64_t position = t.state.data_position;
    const double too_large = ldexp(1, 140);
    t.state.loss_scale = too_large;
    assert_ok(ane_trainer_step(&t, &r, &e), &e);
    assert_true(!r.skipped && r.repeats > 1 && r.loss_scale == ldexp(too_large, -(int)r.repeats));
    assert_true(r.grad_norm > 0 && r.grad_norm < 100);
    assert_true(t.state.loss_scale == r.loss_scale && t.state.good_steps == 1);
    t.state.loss_scale = 32768;
    assert_int_equal(t.state.data_position, position + 1);
    assert_ok(ane_trainer_report_step(&t, &r, &e), &e);
    json_t *warnings = log_lines(f.options.out, "warning");
    assert_non_null(
        strstr(json_string_value(json_object_get(json_array_get(warnings, 0), "text")), "run again"));
    json_decref(warnings);
    t.state.good_steps = 1999;
    assert_ok(ane_trainer_step(&t, &r, &e), &e);
    assert_true(t.state.loss_scale == 65536 && t.state.good_steps == 0);
    ane_trainer_free(&t);
}

/* fp16 learns what fp32 learns: overflows at first bring the scale down, and the batches are run again. */
static void test_precisions(void **state) {
    (void)state;
    static const char *const devices[] = {"cpu:threads=1,precision=fp16", "cpu:threads=1,precision=bf16"};
    f.options.steps = 40;
    f.options.batch = 4;
    for (int i = 0; i < 2; i++) {
        ane_error e = {0};
        watcher w = {0};
        f.options.device = devices[i];
        f.options.stop_after = 0;
        const char *a = new_run(&f, "half"), *b = in_folder("half resumed");
        assert_ok(ane_train(&f.options, NULL, NULL, watch, &w, &e), &e);
        json_t *steps = log_lines(a, "step");
        double first = value_of(steps, 0, "loss"), last = value_of(steps, 39, "loss");
        if (!(last < 0.8 * first) || w.skipped > 0)
            fail_msg("%s: from %g to %g, %d skipped", devices[i], first, last, w.skipped);
        json_decref(steps);
        assert_ok(ane_remove_tree(b, &e), &e);
        f.options.out = b;
        f.options.stop_after = 15;
        train(&f.options, NULL);
        train(NULL, b);
        expect_equal_runs(a, b, 40);
    }
}

static void test_divergence(void **state) {
    (void)state;
    ane_error e = {0};
    watcher w = {0};
    const char *run = new_run(&f, "diverges");
    f.options.schedule.lr = 1e38;
    f.options.steps = 30;
    f.options.eval_every = 0;
    f.options.save_every = 1;
    f.options.keep = 1;
    f.options.adamw.weight_decay = 0;
    assert_false(ane_train(&f.options, NULL, NULL, watch, &w, &e));
    assert_error(&e, ANE_ERROR_NUMERIC, "10 steps in a row");
    assert_true(w.skipped >= 10 && w.warnings >= 10 && w.steps < 30);
    assert_true(ane_path_exists(step_file(run, w.steps - 1, "state.json")));
}

/* Too little room for a checkpoint: a warning on the way, an error at the end. */
static void test_full_disk(void **state) {
    (void)state;
    ane_error e = {0};
    struct rlimit old;
    const char *run = new_run(&f, "full");
    watcher w = {.steps = 2};
    f.options.stop_after = 2;
    train(&f.options, NULL);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){16000, old.rlim_max});
    bool ok = ane_train(&(ane_train_options){.stop_after = 5}, run, NULL, watch, &w, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_false(ok);
    assert_error(&e, ANE_ERROR_IO, "intact");
    assert_true(ane_path_exists(step_file(run, 2, "state.json")));
    assert_false(ane_path_exists(step_file(run, 5, "")));
    const char *begun = new_run(&f, "never-begun");
    for (rlim_t room = 0; room < 600; room += 200) { /* nothing of a run that could not begin stays */
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){room, old.rlim_max});
        ok = ane_train(&f.options, NULL, NULL, watch, &w, &e);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_false(ok);
        assert_error(&e, ANE_ERROR_IO, "");
        assert_false(ane_path_exists(begun));
    }
    f.options.save_every = 3;
    f.options.stop_after = 8;
    new_run(&f, "full");
    w = (watcher){0};
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){16000, old.rlim_max});
    ok = ane_train(&f.options, NULL, NULL, watch, &w, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_false(ok);
    assert_error(&e, ANE_ERROR_IO, "intact");
    assert_int_equal(w.steps, 8);
    assert_int_equal(w.warnings, 2);
    assert_non_null(strstr(w.last, "was not saved"));
}

/* ---- models, data, folders ----------------------------------------------------------------------------- */

static void test_from_weights(void **state) {
    (void)state;
    const char *first = new_run(&f, "first");
    train(&f.options, NULL);
    json_t *evals = log_lines(first, "eval");
    double before = value_of(evals, json_array_size(evals) - 1, "loss");
    json_decref(evals);
    char folder[1024];
    snprintf(folder, sizeof folder, "%s", step_file(first, 12, ""));
    f.options.model = folder;
    f.options.schedule.lr = 0; /* learns nothing: what it began with is what it ends with */
    const char *second = new_run(&f, "second");
    train(&f.options, NULL);
    evals = log_lines(second, "eval");
    assert_true(value_of(evals, 0, "loss") == before);
    json_decref(evals);
    f.options.model = first; /* the run itself: its newest checkpoint */
    const char *third = new_run(&f, "third");
    train(&f.options, NULL);
    evals = log_lines(third, "eval");
    assert_true(value_of(evals, 0, "loss") == before);
    json_decref(evals);
    f.options.seq = 65;
    new_run(&f, "fourth");
    expect_refused(&f.options, NULL, ANE_ERROR_ARGUMENT, "at most 64 tokens");
}

static void test_weights_that_are_no_numbers(void **state) {
    (void)state;
    ane_error e = {0};
    const ane_model_config c = tiny_config();
    ane_weights *w = ane_weights_new(&c, &e);
    assert_ok(w, &e);
    ane_weights_init(w, 1);
    w->data[w->tensors[4].offset + 7] = NAN;
    f.options.model = in_folder("nan");
    assert_ok(ane_weights_save(w, f.options.model, ANE_FORMAT_HF, MIL_FP32, &e), &e);
    new_run(&f, "from nan");
    expect_refused(&f.options, NULL, ANE_ERROR_NUMERIC, w->tensors[4].name);
    ane_weights_free(w);
}

static void test_preset_follows_tokenizer_and_sequence(void **state) {
    (void)state;
    f.options.model = "stories260k";
    f.options.steps = 1;
    f.options.eval_every = 0;
    new_run(&f, "preset");
    train(&f.options, NULL);
    ane_run_config c;
    ane_error e = {0};
    assert_ok(ane_run_config_read(&c, f.options.out, &e), &e);
    assert_int_equal(c.model.vocab_size, 258);
    assert_int_equal(c.model.bos_id, 0);
    assert_int_equal(c.model.eos_id, 1);
    assert_string_equal(c.options.model, "stories260k");
    assert_int_equal(c.options.data[0][0], '/');
    ane_run_config_free(&c);
}

static void test_refusals(void **state) {
    (void)state;
    ane_train_options o = f.options;
    o.out = new_run(&f, "refused");
    o.model = "stories15k";
    expect_refused(&o, NULL, ANE_ERROR_ARGUMENT, "stories15k");
    o.model = f.options.model;
    const char *missing = in_folder("missing.txt");
    o.data = &missing;
    expect_refused(&o, NULL, ANE_ERROR_IO, "missing.txt");
    o.data = f.options.data;
    o.seq = 100000;
    expect_refused(&o, NULL, ANE_ERROR_ARGUMENT, "fewer than one sequence");
    o.seq = 16;
    o.batch = -1;
    expect_refused(&o, NULL, ANE_ERROR_ARGUMENT, "batch");
    o.batch = 2;
    o.device = "toaster";
    expect_refused(&o, NULL, ANE_ERROR_ARGUMENT, "toaster");
    o.device = f.options.device;
    o.tokenizer = f.config;
    expect_refused(&o, NULL, ANE_ERROR_FORMAT, "tiny.json");
    o.tokenizer = NULL;
    o.out = NULL;
    expect_refused(&o, NULL, ANE_ERROR_ARGUMENT, "out");
    o.out = in_folder("text.txt/run");
    expect_refused(&o, NULL, ANE_ERROR_IO, "text.txt");
    o.out = "/proc/anemone";
    expect_refused(&o, NULL, ANE_ERROR_IO, "/proc");
    assert_false(ane_run_config_exists(in_folder("refused"))); /* none of them has begun a run */
}

static void test_nothing_held_out(void **state) {
    (void)state;
    ane_error e = {0};
    watcher w = {0};
    f.options.validation = 0;
    new_run(&f, "nothing");
    assert_ok(ane_train(&f.options, NULL, NULL, watch, &w, &e), &e);
    assert_int_equal(w.warnings, 1);
    json_t *evals = log_lines(f.options.out, "eval");
    assert_int_equal(json_array_size(evals), 0);
    json_decref(evals);
}

/* The timers together are the step's time, to within 2 %. */
static void test_timers(void **state) {
    (void)state;
    ane_error e = {0};
    ane_model_config c = tiny_config();
    c.dim = 64;
    c.hidden_dim = 160;
    c.head_dim = 32;
    assert_ok(ane_model_config_save(&c, f.config, &e), &e);
    f.options.batch = 8;
    f.options.seq = 64;
    const char *run = new_run(&f, "timed");
    train(&f.options, NULL);
    json_t *steps = log_lines(run, "step"), *timer;
    int good = 0;
    for (size_t i = 0; i < 12; i++) {
        double sum = 0, ms = value_of(steps, i, "ms");
        const char *name;
        json_object_foreach(json_object_get(json_array_get(steps, i), "timers"), name, timer) sum +=
            json_number_value(timer);
        good += sum > 0.98 * ms && sum < 1.02 * ms;
    }
    if (good < 9)
        fail_msg("only %d of 12 steps are accounted for", good); /* the machine may interrupt a few */
    json_decref(steps);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {TEST(test_learns), TEST(test_what_a_run_leaves),
        TEST(test_accumulation), TEST(test_skipped_step), TEST(test_loss_scale), TEST(test_precisions),
        TEST(test_divergence), TEST(test_full_disk), TEST(test_from_weights),
        TEST(test_weights_that_are_no_numbers), TEST(test_preset_follows_tokenizer_and_sequence),
        TEST(test_refusals), TEST(test_nothing_held_out), TEST(test_timers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
