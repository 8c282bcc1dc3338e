/* The quirk matrix: under every two reports from the field together, whatever the others are, five steps of stories260k
 * through the emulated engine have the losses of the CPU's fp16 mode, or training is refused with a message that names the
 * rule. Never a wrong number. Every row in one weight mode more than the default one; scripts/quirk-matrix has all. */
#include "device/quirk_factors.h"

#include "anemone/train.h"
#include "base/clock.h"
#include "base/file.h"

#include <stdio.h>

enum { STEPS = 5 };
static const double TOLERANCE = 2e-4; /* of the loss: sums may be ordered otherwise, denormals flushed (M1) */

static char text_path[512], out_path[512];

static void write_text(void) {
    ane_error e = {0};
    snprintf(text_path, sizeof text_path, "%s/text.txt", test_folder());
    snprintf(out_path, sizeof out_path, "%s/run", test_folder());
    ane_writer *w = ane_writer_open(text_path, &e);
    assert_ok(w, &e);
    for (int i = 0; i < 300; i++)
        ane_writer_printf(w, "the %d ships of the sea went home with %d men\n", i % 7, i);
    assert_ok(ane_writer_commit(w, &e), &e);
}

typedef struct losses {
    int n, skipped;
    double loss[STEPS];
} losses;

static void listen(void *context, const ane_train_event *event) {
    losses *l = context;
    if (event->type != ANE_EVENT_STEP) return;
    if (l->n < STEPS) l->loss[l->n] = event->loss;
    l->n++;
    l->skipped += event->skipped;
}

static bool train(const char *device, losses *l, ane_error *e) {
    ane_train_options o;
    ane_train_defaults(&o);
    o.model = "stories260k";
    o.n_data = 1;
    o.data = (const char *const[]){text_path};
    o.out = out_path;
    o.device = device;
    o.steps = o.schedule.total = STEPS;
    o.schedule.warmup = 0;
    o.batch = 1;
    o.seq = 32;
    o.eval_every = o.save_every = 0;
    *l = (losses){0};
    assert_ok(ane_remove_tree(out_path, e), e);
    return ane_train(&o, NULL, NULL, listen, l, e);
}

static losses reference(void) {
    losses l;
    ane_error e = {0};
    assert_ok(train("cpu:precision=fp16,threads=1", &l, &e), &e);
    assert_int_equal(l.n, STEPS);
    return l;
}

static void compare(const losses *expected, const losses *found, const char *what) {
    if (found->n != STEPS || found->skipped)
        fail_msg("%s: %d steps, %d skipped", what, found->n, found->skipped);
    for (int i = 0; i < STEPS; i++)
        if (!(fabs(found->loss[i] / expected->loss[i] - 1) <= TOLERANCE))
            fail_msg("%s: step %d: loss %.6f, expected %.6f", what, i + 1, found->loss[i], expected->loss[i]);
}

/* What may be refused, and in which words. */
static const struct {
    ane_code code;
    const char *part;
} rules[] = {
    {ANE_ERROR_UNSUPPORTED, "weight files on reload"}, /* weights=reload where reload is ignored */
    {ANE_ERROR_UNSUPPORTED, "several inputs"},         /* weights=input where no order was found */
    {ANE_ERROR_EXHAUSTED,
        "can compile and load no more"}, /* max-compiles: the program goes on in a new process */
    {ANE_ERROR_DEVICE, "quirk max-weights"},
    {ANE_ERROR_DEVICE, "InvalidMILProgram"}, /* the compiler itself says which of its rules is broken */
    {ANE_ERROR_UNSUPPORTED, "no matmul of two operands"}, /* then there is no attention */
};

static bool is_refusal(const ane_error *e) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (e->code == rules[i].code && strstr(e->message, rules[i].part) && e->hint[0]) return true;
    return false;
}

/* True when it trained. */
static bool try_row(const losses *expected, const char *settings, const char *mode) {
    char device[64];
    losses found;
    ane_error e = {0};
    setenv("ANEMONE_EMULATOR", settings, 1);
    snprintf(device, sizeof device, "ane:emulator,threads=1%s%s", *mode ? ",weights=" : "", mode);
    bool ok = train(device, &found, &e);
    if (ok)
        compare(expected, &found, settings);
    else if (!is_refusal(&e))
        fail_msg("%s %s: %s: %s (%s)", settings, mode, e.where, e.message, e.hint);
    else
        print_message("refused (%s): %.100s\n", *mode ? mode : "default", e.message);
    return ok;
}

/* With these there is no attention on the engine at all. */
static const struct {
    const char *name, *value;
} hopeless[] = {{"matmul-weights", "refused"}, {"dialects", "1.5/ios18"}};
enum { N_HOPELESS = sizeof hopeless / sizeof *hopeless };

static void test_matrix(void **state) {
    (void)state;
    static const char *const modes[] = {"packed", "input", "baked"};
    static covering c;
    factors f;
    char settings[2048];
    int trained = 0, tried = 0;
    json_t *all = describe_emulator();
    read_factors(&f, all);
    for (int i = 0; i < N_HOPELESS; i++) drop_value(&f, hopeless[i].name, hopeless[i].value);
    cover(&f, &c);
    write_text();
    const losses expected = reference();
    double start = ane_clock_ms();
    for (int r = 0; r < c.n_rows; r++) {
        settings_of(&f, c.row[r], settings, sizeof settings);
        bool ok = try_row(&expected, settings, "");
        if (!ok) fail_msg("%s: the default mode must train under whatever is reported", settings);
        trained += ok + try_row(&expected, settings, modes[r % 3]);
        tried += 2;
    }
    print_message("%d rows; %d of %d runs trained in %.0f ms each, the others were refused by name\n",
        c.n_rows, trained, tried, (ane_clock_ms() - start) / tried);
    json_decref(all);
}

static void test_hopeless(void **state) {
    (void)state;
    char settings[128];
    json_decref(describe_emulator()); /* skips without one */
    write_text();
    const losses expected = reference();
    for (int i = 0; i < N_HOPELESS; i++) {
        snprintf(settings, sizeof settings, "chip=m4,quirk=%s:%s", hopeless[i].name, hopeless[i].value);
        assert_false(try_row(&expected, settings, ""));
        assert_false(try_row(&expected, settings, "packed"));
    }
}

/* Every chip as it is. */
static void test_chips(void **state) {
    (void)state;
    json_t *all = describe_emulator();
    const json_t *chip;
    size_t i;
    char settings[128];
    write_text();
    const losses expected = reference();
    json_array_foreach(json_object_get(all, "chips"), i, chip) {
        snprintf(settings, sizeof settings, "chip=%s", json_string_value(json_object_get(chip, "name")));
        assert_true(try_row(&expected, settings, ""));
        assert_true(try_row(&expected, settings, "baked"));
    }
    json_decref(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix), cmocka_unit_test(test_hopeless), cmocka_unit_test(test_chips)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
