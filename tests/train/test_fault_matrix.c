/* The fault matrix: small runs through the emulated engine while every call that can fail does, the first, a middle and the
 * last one of a clean run, once and from then on. Either the run goes on to the clean run's very bits and its log names what
 * went wrong, or it ends with an error that names the stage; then what was saved is whole, and a run that goes on from there
 * ends with the clean run's bits, too. */
#include "device/emulated.h"
#include "train/run_fixture.h"

#include "base/clock.h"
#include "emulator/emulator.h"

#include <dlfcn.h>

enum { STEPS = 3, LONGEST_MS = 300000 }; /* of a run: nothing hangs, but machines are loaded */
static const char base[] = "ane:emulator,threads=1,selftest=off";
/* Only where it is to strike: a loaded machine may well take a second for an honest evaluation. */
static const char hanging_timeout[] = ",timeout=1.5";

static const struct {
    const char *name, *arguments, *says;
    bool passes; /* once: it is tried again, and got over, wherever it happens */
} faults[] = {
    {"descriptor", "", "descriptor", false},
    {"compile", "", "compile", true},
    {"load", "", "load", true},
    {"surface", "", "surface", false},
    {"lock", "", "lock", false},
    {"request", "", "request", true},
    {"eval", "", "0x1d", true},
    {"eval-stale", "", "did not compute", true},
    {"eval-zero", "", "zeros", true},
    {"eval-nan", "", "NaN", true},
    {"eval-fast", "", "TFLOPS", true},
    {"eval-hang", ":6", "did not come back within 1.5 seconds", false},
};
enum { N_FAULTS = sizeof faults / sizeof *faults };

typedef struct matrix {
    fixture f;
    const char *weights;
    char clean[256]; /* the run without faults */
    int64_t calls[N_FAULTS];
    int recovered, failed;
} matrix;

/* A function of the emulator that this process has loaded. */
static int64_t calls_of(const char *fault) {
#ifdef ANEMONE_EMULATOR_LIBRARY
    void *library = dlopen(ANEMONE_EMULATOR_LIBRARY, RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(library);
    int64_t (*calls)(const char *);
    void *symbol = dlsym(library, "anemone_emulator_calls");
    assert_non_null(symbol);
    memcpy(&calls, &symbol, sizeof calls);
    int64_t n = calls(fault);
    dlclose(library);
    return n;
#else
    (void)fault;
    return -1;
#endif
}

static bool run(matrix *m, const char *name, const char *fault, ane_error *e) {
    char device[256];
    bool hangs = fault && strstr(fault, "eval-hang");
    snprintf(device, sizeof device, "%s,weights=%s%s%s%s", base, m->weights, hangs ? hanging_timeout : "",
        fault ? ",fault=" : "", fault ? fault : "");
    new_run(&m->f, name);
    m->f.options.device = device;
    bool ok = ane_train(&m->f.options, NULL, NULL, NULL, NULL, e);
    m->f.options.device = NULL;
    return ok;
}

static void begin(matrix *m, const char *weights) {
    ane_error e = {0};
    *m = (matrix){.weights = weights};
    ane_device_close(open_emulated("selftest=off")); /* skips where there is none */
    fixture_make(&m->f);
    m->f.options.steps = STEPS;
    m->f.options.schedule.total = STEPS;
    m->f.options.schedule.warmup = 0;
    m->f.options.batch = 1;
    m->f.options.eval_every = 0;
    m->f.options.save_every = 1;
    assert_ok(run(m, "clean", NULL, &e), &e);
    snprintf(m->clean, sizeof m->clean, "%s", m->f.options.out);
    for (int i = 0; i < N_FAULTS; i++) {
        m->calls[i] = calls_of(faults[i].name);
        assert_true(m->calls[i] > 0);
    }
}

/* The log's warnings name it. */
static void expect_named(const char *run, const char *says, const char *what) {
    json_t *warnings = log_lines(run, "warning");
    bool named = false;
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const char *text = json_string_value(json_object_get(json_array_get(warnings, i), "text"));
        if (!text) text = json_string_value(json_object_get(json_array_get(warnings, i), "message"));
        named |= text && strstr(text, says);
    }
    json_decref(warnings);
    if (!named) fail_msg("%s: the log does not say \"%s\"", what, says);
}

/* Go on without the trouble: from what was saved, or anew where nothing was. */
static void go_on(matrix *m, const char *out, const char *what) {
    char path[512], device[256];
    ane_error e = {0};
    snprintf(device, sizeof device, "%s,weights=%s", base, m->weights);
    snprintf(path, sizeof path, "%s/checkpoints", out);
    m->f.options.device = device;
    bool saved = ane_path_exists(path);
    if (!saved) assert_ok(ane_remove_tree(out, &e), &e);
    const ane_train_options other_device = {.device = device};
    if (!ane_train(saved ? &other_device : &m->f.options, saved ? out : NULL, NULL, NULL, NULL, &e))
        fail_msg("%s: going on: %s: %s", what, e.where, e.message);
    m->f.options.device = NULL;
    expect_equal_runs(m->clean, out, STEPS);
}

/* `outcome`: 1: must be got over, -1: cannot be, 0: depends on where it happens. */
static void meet(matrix *m, const char *fault, const char *says, int outcome) {
    char what[128];
    ane_error e = {0};
    snprintf(what, sizeof what, "weights=%s,fault=%s", m->weights, fault);
    double start = ane_clock_ms();
    bool ok = run(m, "troubled", fault, &e);
    double ms = ane_clock_ms() - start;
    const char *out = m->f.options.out;
    if (ms > LONGEST_MS) fail_msg("%s: it took %.0f ms", what, ms);
    if ((ok && outcome < 0) || (!ok && outcome > 0)) fail_msg("%s: %s", what, ok ? "no error" : e.message);
    if (ok) {
        expect_named(out, says, what);
        expect_equal_runs(m->clean, out, STEPS);
        m->recovered++;
        return;
    }
    if (!e.code || (!strstr(e.message, says) && !strstr(e.where, says)))
        fail_msg("%s: the error does not say \"%s\": %s: %s", what, says, e.where, e.message);
    m->failed++;
    go_on(m, out, what);
}

static void meet_everywhere(matrix *m, int i) {
    const int64_t at[] = {1, (m->calls[i] + 1) / 2, m->calls[i]};
    for (int k = 0; k < 3; k++)
        for (int onwards = 0; onwards < 2; onwards++) {
            char fault[64];
            if (k > 0 && at[k] == at[k - 1]) continue;
            snprintf(fault, sizeof fault, "%s:%lld%s%s", faults[i].name, (long long)at[k], onwards ? "+" : "",
                faults[i].arguments);
            meet(m, fault, faults[i].says, onwards ? -1 : faults[i].passes);
        }
}

static void report(const matrix *m) {
    print_message("weights=%s: %d recovered, %d ended with an error and went on\n", m->weights, m->recovered,
        m->failed);
}

static void test_packed(void **state) {
    (void)state;
    matrix m;
    begin(&m, "packed");
    for (int i = 0; i < N_FAULTS; i++) meet_everywhere(&m, i);
    report(&m);
}

/* Programs are compiled in every step, so that their faults meet a run in its midst. */
static void test_baked(void **state) {
    (void)state;
    matrix m;
    begin(&m, "baked");
    for (int i = 0; i < N_FAULTS; i++)
        if (strncmp(faults[i].name, "eval-", 5) != 0) meet_everywhere(&m, i);
    report(&m);
}

/* Any call at all, with a probability. */
static void test_random(void **state) {
    (void)state;
    matrix m;
    begin(&m, "packed");
    for (int seed = 1; seed <= 6; seed++) {
        char fault[64];
        snprintf(fault, sizeof fault, "random:%s:%d", seed % 2 ? "0.003" : "0.02", seed);
        meet(&m, fault, "", 0);
    }
    report(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_baked),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
