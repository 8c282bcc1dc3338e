#include "support/support.h"

#include "base/file.h"
#include "train/runlog.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char *fresh_run(void) {
    static char path[256];
    ane_error e = {0};
    snprintf(path, sizeof path, "%s/log", test_folder());
    assert_ok(ane_remove_tree(path, &e) && ane_make_folders(path, &e), &e);
    return path;
}

static ane_runlog open_log(const char *run) {
    ane_runlog log;
    ane_error e = {0};
    assert_ok(ane_runlog_open(&log, run, &e), &e);
    return log;
}

/* The log's lines; each must be an object. */
static json_t *lines(const char *run) {
    char path[512];
    ane_error e = {0};
    snprintf(path, sizeof path, "%s/log.jsonl", run);
    char *text = ane_read_text(path, 1 << 20, NULL, &e);
    assert_ok(text, &e);
    json_t *all = json_array();
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        json_error_t error;
        json_t *o = json_loadb(line, (size_t)(end - line), 0, &error);
        if (!o) fail_msg("%s in %s", error.text, line);
        json_array_append_new(all, o);
    }
    free(text);
    return all;
}

static double number(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    if (!json_is_number(v)) fail_msg("%s is no number", key);
    return json_number_value(v);
}

static const ane_step_record RECORD = {.step = 3,
    .tokens = 2048,
    .loss = 1.0 / 3,
    .lr = 5e-4,
    .grad_norm = 1e-20 / 3,
    .ms = 12.5,
    .tokens_per_second = 163840,
    .mfu = 0.25,
    .loss_scale = 1,
    .timers = {1, 2, 3, 0.5,
        {.embedding = 0.25,
            .forward = 1,
            .head = 1,
            .loss = 0.75,
            .backward = 2,
            .products = 0.5,
            .scatter = 0.5}}};

static void test_step(void **state) {
    (void)state;
    const char *run = fresh_run();
    ane_runlog log = open_log(run);
    ane_error e = {0};
    assert_ok(ane_runlog_step(&log, &RECORD, &e), &e);
    json_t *all = lines(run), *o = json_array_get(all, 0), *timers = json_object_get(o, "timers"), *v;
    assert_string_equal(json_string_value(json_object_get(o, "type")), "step");
    assert_true(number(o, "step") == 3);
    assert_true(number(o, "loss") == 1.0 / 3); /* every bit */
    assert_true(number(o, "lr") == 5e-4);
    assert_true(number(o, "grad_norm") == 1e-20 / 3);
    assert_true(number(o, "tokens") == 2048);
    assert_true(number(o, "ms") == 12.5);
    assert_true(json_is_false(json_object_get(o, "skipped")));
    double sum = 0;
    const char *name;
    json_object_foreach(timers, name, v) sum += json_number_value(v);
    assert_true(sum == 12.5);
    assert_int_equal(json_object_size(timers), 13);
    json_decref(all);
    ane_runlog_close(&log);
}

static void test_no_numbers_are_null(void **state) {
    (void)state;
    const char *run = fresh_run();
    ane_runlog log = open_log(run);
    ane_error e = {0};
    ane_step_record r = RECORD;
    r.loss = NAN;
    r.grad_norm = INFINITY;
    r.tokens_per_second = INFINITY;
    r.skipped = true;
    assert_ok(ane_runlog_step(&log, &r, &e), &e);
    json_t *all = lines(run), *o = json_array_get(all, 0);
    assert_true(json_is_null(json_object_get(o, "loss")));
    assert_true(json_is_null(json_object_get(o, "grad_norm")));
    assert_true(json_is_null(json_object_get(o, "tokens_per_second")));
    assert_true(json_is_true(json_object_get(o, "skipped")));
    json_decref(all);
    ane_runlog_close(&log);
}

static void check_text(ane_line *l, const char *value, const char *expected) {
    ane_line_begin(l);
    ane_line_text(l, "t", value);
    ane_line_end(l);
    assert_false(l->failed);
    json_t *o = json_loadb(l->text, l->used, 0, NULL);
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "t")), expected);
    json_decref(o);
}

static void test_text(void **state) {
    (void)state;
    ane_line l = {0};
    check_text(&l, "", "");
    check_text(&l, "a \"b\" \\ \n\t\x01\x7f", "a \"b\" \\ \n\t\x01\x7f");
    check_text(&l, "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9a", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9a");
    check_text(&l, "\xc3", "\xef\xbf\xbd"); /* cut off */
    check_text(&l,
        "\xff"
        "a",
        "\xef\xbf\xbd"
        "a");                                                               /* no first byte */
    check_text(&l, "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd");                 /* longer than need be */
    check_text(&l, "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* a surrogate */
    check_text(
        &l, "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* past U+10FFFF */
    char *large = malloc(100001);
    memset(large, 'x', 100000);
    large[100000] = 0;
    check_text(&l, large, large);
    size_t capacity = l.capacity;
    check_text(&l, large, large);
    assert_int_equal(l.capacity, capacity); /* used again */
    free(large);
    ane_line_free(&l);
}

static void test_all_types(void **state) {
    (void)state;
    static const char *const types[] = {"start", "resume", "sample", "warning", "save"};
    const char *run = fresh_run();
    ane_runlog log = open_log(run);
    ane_error e = {0};
    for (int i = 0; i < 5; i++) assert_ok(ane_runlog_text(&log, types[i], i, "text", &e), &e);
    const ane_evaluation v = {.loss = 1.5, .perplexity = 4.5, .bits_per_byte = -1, .tokens = 7};
    assert_ok(ane_runlog_eval(&log, 5, &v, &e), &e);
    assert_ok(ane_runlog_end(&log, 6, true, &(ane_device_counts){.compiles = 3}, &e), &e);
    assert_ok(ane_runlog_sync(&log, &e), &e);
    json_t *all = lines(run), *o;
    assert_int_equal(json_array_size(all), 7);
    for (size_t i = 0; i < 5; i++) {
        o = json_array_get(all, i);
        assert_string_equal(json_string_value(json_object_get(o, "type")), types[i]);
        assert_string_equal(json_string_value(json_object_get(o, i == 4 ? "path" : "text")), "text");
        assert_int_equal(json_is_integer(json_object_get(o, "time")), i < 2);
    }
    assert_true(number(json_array_get(all, 5), "loss") == 1.5);
    assert_true(json_is_true(json_object_get(json_array_get(all, 6), "interrupted")));
    assert_true(number(json_object_get(json_array_get(all, 6), "device"), "compiles") == 3);
    json_decref(all);
    ane_runlog_close(&log);
}

static void fill(ane_runlog *log) {
    ane_error e = {0};
    ane_step_record r = RECORD;
    assert_ok(ane_runlog_text(log, "start", 0, "go", &e), &e);
    for (r.step = 1; r.step <= 4; r.step++) assert_ok(ane_runlog_step(log, &r, &e), &e);
    assert_ok(ane_runlog_text(log, "save", 4, "x", &e), &e);
    assert_ok(ane_runlog_end(log, 4, false, &(ane_device_counts){0}, &e), &e);
}

static void test_cut(void **state) {
    (void)state;
    static const struct {
        int64_t step;
        size_t left;
    } cases[] = {{9, 6}, {4, 6}, {3, 4}, {0, 1}, {-1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *run = fresh_run();
        ane_runlog log = open_log(run);
        ane_error e = {0};
        fill(&log);
        assert_ok(ane_runlog_cut(&log, cases[i].step, &e), &e);
        json_t *all = lines(run);
        assert_int_equal(json_array_size(all), cases[i].left);
        json_decref(all);
        ane_step_record r = RECORD;
        assert_ok(ane_runlog_step(&log, &r, &e), &e); /* goes on at the new end */
        all = lines(run);
        assert_int_equal(json_array_size(all), cases[i].left + 1);
        json_decref(all);
        ane_runlog_close(&log);
    }
}

static void test_cut_torn(void **state) {
    (void)state;
    const char *const tails[] = {
        "{\"type\":\"step\",\"step\":2,\"lo", "no JSON\n{\"type\":\"step\",\"step\":1}\n", "[1]\n"};
    for (int i = 0; i < 3; i++) {
        const char *run = fresh_run();
        ane_error e = {0};
        char path[512], text[256];
        snprintf(path, sizeof path, "%s/log.jsonl", run);
        snprintf(text, sizeof text, "{\"type\":\"start\",\"step\":0}\n%s", tails[i]);
        assert_ok(ane_write_file(path, text, strlen(text), &e), &e);
        ane_runlog log = open_log(run);
        assert_ok(ane_runlog_cut(&log, 5, &e), &e);
        json_t *all = lines(run);
        assert_int_equal(json_array_size(all), 1);
        json_decref(all);
        ane_runlog_close(&log);
    }
}

static void test_lock_and_failures(void **state) {
    (void)state;
    const char *run = fresh_run();
    ane_runlog log = open_log(run), second;
    ane_error e = {0};
    assert_false(ane_runlog_open(&second, run, &e));
    assert_error(&e, ANE_ERROR_IO, "Another process");
    assert_false(ane_runlog_open(&second, "/nonexistent/run", &e));
    assert_error(&e, ANE_ERROR_IO, "log.jsonl");
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old;
    getrlimit(RLIMIT_FSIZE, &old);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){10, old.rlim_max});
    bool written = ane_runlog_step(&log, &RECORD, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_false(written);
    assert_error(&e, ANE_ERROR_IO, "Cannot write to the log");
    ane_runlog_close(&log);
    log = open_log(run); /* closing has let go of it */
    ane_runlog_close(&log);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_step),
        cmocka_unit_test(test_no_numbers_are_null), cmocka_unit_test(test_text),
        cmocka_unit_test(test_all_types), cmocka_unit_test(test_cut), cmocka_unit_test(test_cut_torn),
        cmocka_unit_test(test_lock_and_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
