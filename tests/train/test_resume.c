/* A run that stops, however it stops, and goes on gives the same bits as one that never stopped; and goes on only with
 * what it began with. */
#include "train/run_fixture.h"

#include "train/trainer.h"

#include <unistd.h>

static fixture f;

static int setup(void **state) {
    (void)state;
    fixture_make(&f);
    return 0;
}

static const char *straight_run(void) {
    const char *run = new_run(&f, "straight");
    f.options.sample_every = 5;
    train(&f.options, NULL);
    return run;
}

static void test_resume(void **state) {
    (void)state;
    f.options.device = "cpu:threads=2";
    const char *a = straight_run(), *b = new_run(&f, "stopped");
    f.options.stop_after = 5;
    train(&f.options, NULL);
    assert_true(ane_path_exists(step_file(b, 5, "state.json")));
    train(&(ane_train_options){.stop_after = 9}, b);
    json_t *steps = log_lines(b, "step");
    assert_int_equal(json_array_size(steps), 9);
    json_decref(steps);
    train(NULL, b);
    expect_equal_runs(a, b, 12);
    train(NULL, b); /* done already: nothing changes */
    expect_equal_runs(a, b, 12);
}

/* A program that has set a locale with decimal commas trains and resumes as any other. */
static void test_resume_in_another_locale(void **state) {
    (void)state;
    const char *a = straight_run(), *b = new_run(&f, "commas");
    if (!comma_locale()) skip();
    f.options.stop_after = 5;
    train(&f.options, NULL);
    train(NULL, b);
    expect_equal_runs(a, b, 12);
    plain_locale();
}

/* A crash behind a checkpoint: what was logged after it is logged again. */
static void test_resume_after_a_crash(void **state) {
    (void)state;
    ane_error e = {0};
    const char *a = straight_run(), *b = new_run(&f, "crashed");
    f.options.save_every = 3;
    f.options.stop_after = 8;
    train(&f.options, NULL);
    assert_ok(ane_remove_tree(step_file(b, 8, ""), &e), &e);
    FILE *log = fopen(in_folder("crashed/log.jsonl"), "a");
    fputs("{\"type\":\"step\",\"step\":9,\"lo", log); /* torn */
    fclose(log);
    train(NULL, b);
    expect_equal_runs(a, b, 12);
    json_t *resumes = log_lines(b, "resume");
    assert_true(value_of(resumes, 0, "step") == 6);
    json_decref(resumes);
}

static void flip(const char *path) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, -5, SEEK_END);
    int c = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(c ^ 1, file);
    fclose(file);
}

static void test_resume_past_damage(void **state) {
    (void)state;
    const char *a = straight_run(), *b = new_run(&f, "damaged");
    f.options.save_every = 3;
    f.options.stop_after = 10;
    train(&f.options, NULL);
    flip(step_file(b, 10, "optimizer.safetensors"));
    assert_int_equal(truncate(step_file(b, 9, "model.safetensors"), 1000), 0);
    train(NULL, b);
    expect_equal_runs(a, b, 12);
    json_t *warnings = log_lines(b, "warning");
    assert_int_equal(json_array_size(warnings), 2);
    const char *first = json_string_value(json_object_get(json_array_get(warnings, 0), "text"));
    if (!strstr(first, "step-10") || !strstr(first, "optimizer.safetensors") || !strstr(first, "damaged"))
        fail_msg("%s", first);
    const char *second = json_string_value(json_object_get(json_array_get(warnings, 1), "text"));
    if (!strstr(second, "step-9") || !strstr(second, "1000")) fail_msg("%s", second);
    json_decref(warnings);
}

/* Killed before its first checkpoint, a run begins again from its config. */
static void test_resume_without_checkpoint(void **state) {
    (void)state;
    ane_error e = {0};
    const char *a = straight_run(), *b = new_run(&f, "early");
    f.options.stop_after = 2;
    train(&f.options, NULL);
    assert_ok(ane_remove_tree(in_folder("early/checkpoints"), &e), &e);
    train(NULL, b);
    expect_equal_runs(a, b, 12);
}

static void test_resume_refusals(void **state) {
    (void)state;
    ane_error e = {0};
    ane_model_config c = tiny_config();
    const char *run = new_run(&f, "mine"), *other = in_folder("other.json");
    f.options.stop_after = 3;
    train(&f.options, NULL);
    expect_refused(&f.options, NULL, ANE_ERROR_ARGUMENT, "--resume");
    expect_refused(&(ane_train_options){.model = other}, run, ANE_ERROR_ARGUMENT, "other.json");
    expect_refused(&(ane_train_options){.tokenizer = "t.model"}, run, ANE_ERROR_ARGUMENT, "t.model");
    expect_refused(&(ane_train_options){.out = "elsewhere"}, run, ANE_ERROR_ARGUMENT, "elsewhere");
    expect_refused(&(ane_train_options){.n_data = 1, .data = &other}, run, ANE_ERROR_ARGUMENT, "other.json");
    expect_refused(&(ane_train_options){.device = "gpu"}, run, ANE_ERROR_ARGUMENT, "gpu");
    expect_refused(NULL, in_folder("nowhere"), ANE_ERROR_IO, "Expected a run");
    expect_refused(NULL, NULL, ANE_ERROR_ARGUMENT, "Neither");
    /* another model behind the run's back */
    c.rope_theta = 500;
    assert_ok(ane_model_config_save(&c, step_file(run, 3, "config.json"), &e), &e);
    expect_refused(NULL, run, ANE_ERROR_IO, "None of the 1"); /* its checksum tells */
    ane_train_options same = f.options;                       /* what a run began with may be said again */
    same.stop_after = 0;
    run = new_run(&f, "mine");
    same.out = f.options.out;
    train(&f.options, NULL);
    train(&same, run);
    run = new_run(&f, "mine");
    train(&f.options, NULL);
    write_text(f.text, 400, 2); /* other words, as many */
    expect_refused(NULL, run, ANE_ERROR_ARGUMENT, "Other data");
}

static void test_resume_with_other_tokenizer(void **state) {
    (void)state;
    const char *run = new_run(&f, "tokenized");
    f.options.stop_after = 3;
    train(&f.options, NULL);
    ane_run_config c;
    ane_error e = {0};
    assert_ok(ane_run_config_read(&c, run, &e), &e);
    c.tokenizer_checksum ^= 1;
    assert_ok(ane_run_config_write(&c, run, &e), &e);
    expect_refused(NULL, run, ANE_ERROR_ARGUMENT, "Another tokenizer");
    c.tokenizer_checksum ^= 1;
    c.model.n_layers = 3;
    assert_ok(ane_run_config_write(&c, run, &e), &e);
    expect_refused(NULL, run, ANE_ERROR_ARGUMENT, "n_layers is 2, but the run's is 3");
    ane_run_config_free(&c);
}

static void test_stop_flag(void **state) {
    (void)state;
    ane_error e = {0};
    const char *a = straight_run(), *b = new_run(&f, "interrupted");
    watcher w = {.stop_at = 4};
    assert_ok(ane_train(&f.options, NULL, &w.stop, watch, &w, &e), &e);
    assert_int_equal(w.steps, 4);
    assert_int_equal(w.ends, 1);
    assert_true(w.interrupted);
    assert_non_null(strstr(w.last, "--resume"));
    assert_non_null(strstr(w.last, b));
    train(NULL, b);
    expect_equal_runs(a, b, 12);
    b = new_run(&f, "at once"); /* asked before the first step: saved all the same */
    w = (watcher){.stop = 1};
    assert_ok(ane_train(&f.options, NULL, &w.stop, watch, &w, &e), &e);
    assert_int_equal(w.steps, 0);
    assert_true(ane_path_exists(step_file(b, 0, "state.json")));
    train(NULL, b);
    expect_equal_runs(a, b, 12);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {TEST(test_resume), TEST(test_resume_in_another_locale),
        TEST(test_resume_after_a_crash), TEST(test_resume_past_damage), TEST(test_resume_without_checkpoint),
        TEST(test_resume_refusals), TEST(test_resume_with_other_tokenizer), TEST(test_stop_flag)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
