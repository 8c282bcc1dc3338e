/* What can be made to go wrong: at the first call, in the middle, from some call on, by chance. */
#include "emulator/drive.h"

#include "base/clock.h"

#include <math.h>

static unsigned char blob[EM_BLOB_BYTES];

/* Bits of the calls 1..n that fail. */
typedef bool one_call(void *context);
static unsigned failures(const char *settings, int n, one_call *call, void *context) {
    unsigned bits = 0;
    assert_true(em_configure(settings));
    for (int i = 0; i < n; i++) bits |= (unsigned)!call(context) << i;
    return bits;
}

typedef struct world {
    oid model, loaded, surface, request;
    char text[1024];
} world;

static world make_world(void) {
    em_weight w = em_identity(blob, 3);
    world all = {.model = em_make_model(EM_CONV, 1, &w),
        .loaded = em_ready(EM_CONV, 1, &w),
        .surface = em_surface(EM_BYTES)};
    all.request = em_request_of(1, &all.surface, 1, &all.surface, NULL, NULL, 0);
    return all;
}

static bool descriptor(void *context) {
    (void)context;
    em_weight w = em_identity(blob, 3);
    return em_descriptor(EM_CONV, em_weight_table(1, &w)) != NULL;
}

static bool keep_text(world *all, bool ok, oid error) {
    if (!ok) snprintf(all->text, sizeof all->text, "%s", em_error_text(error));
    return ok;
}

static bool compile(void *context) {
    oid error;
    bool ok = em_compile(((world *)context)->model, &error);
    return keep_text(context, ok, error);
}

static bool load(void *context) {
    oid error, again;
    oid model = ((world *)context)->model;
    bool ok = em_load(model, &error);
    if (ok) em_unload(model, &again);
    return keep_text(context, ok, error);
}

static bool surface(void *context) {
    (void)context;
    oid s = em_surface(64);
    if (s) em_surface_free(s);
    return s != NULL;
}

static bool lock(void *context) {
    typedef int lock_function(oid, uint32_t, uint32_t *);
    oid s = ((world *)context)->surface;
    if (FUNCTION(lock_function *, "IOSurfaceLock")(s, 0, NULL) != 0) return false;
    return FUNCTION(lock_function *, "IOSurfaceUnlock")(s, 0, NULL) == 0;
}

static bool request(void *context) {
    oid s = ((world *)context)->surface;
    return em_request_of(1, &s, 1, &s, NULL, NULL, 0) != NULL;
}

static bool evaluate(void *context) {
    world *all = context;
    oid error;
    bool ok = em_evaluate(all->loaded, all->request, &error);
    return keep_text(all, ok, error);
}

static void test_every_stage_at_every_call(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    static const struct {
        const char *name, *text;
        one_call *call;
    } stages[] = {
        {"descriptor", "", descriptor},
        {"compile", "ANECCompile() FAILED: err=()", compile},
        {"load", "Program load failure", load},
        {"surface", "", surface},
        {"lock", "", lock},
        {"request", "", request},
        {"eval", "status=0x1d : statusType=0x9: Program Inference error", evaluate},
    };
    world all = make_world();
    assert_true(compile(&all)); /* for load */
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        char settings[128];
        assert_int_equal(failures("", 4, stages[i].call, &all), 0);
        snprintf(settings, sizeof settings, "fault=%s:1", stages[i].name);
        assert_int_equal(failures(settings, 4, stages[i].call, &all), 1);
        snprintf(settings, sizeof settings, "fault=%s:2,fault=%s:4", stages[i].name, stages[i].name);
        assert_int_equal(failures(settings, 4, stages[i].call, &all), 2 | 8);
        all.text[0] = 0;
        snprintf(settings, sizeof settings, "fault=%s:3+", stages[i].name);
        assert_int_equal(failures(settings, 6, stages[i].call, &all), 4 | 8 | 16 | 32);
        assert_text(all.text, stages[i].text);
    }
    em_surface_free(all.surface);
}

static void check_output(const char *settings, float before, float second, float third) {
    em_weight w = em_identity(blob, 3);
    assert_true(em_configure(settings));
    oid model = em_ready(EM_CONV, 1, &w), x = em_surface(EM_BYTES), y = em_surface(EM_BYTES), error;
    oid r = em_request_of(1, &x, 1, &y, NULL, NULL, 0);
    float expected[] = {3, second, third};
    em_fill(x, EM_ELEMENTS, 1, 0);
    for (int i = 0; i < 3; i++) {
        em_fill(y, EM_ELEMENTS, before, 0);
        assert_true(em_evaluate(model, r, &error));
        float found = em_at(y, EM_ELEMENTS - 1);
        if (isnan(expected[i]))
            assert_true(isnan(found));
        else
            assert_true(found == expected[i]);
    }
    em_surface_free(x);
    em_surface_free(y);
}

static void test_wrong_outputs(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    check_output("fault=eval-stale:2", -8, -8, 3);
    check_output("fault=eval-zero:2", -8, 0, 3);
    check_output("fault=eval-nan:2+", -8, NAN, NAN);
    check_output("fault=eval-zero:2,fault=eval-stale:3", -8, 0, -8);
}

static void test_hang(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    world all = make_world();
    assert_true(em_configure("fault=eval-hang:2:0.2"));
    assert_true(evaluate(&all));
    double first = ane_clock_ms();
    assert_true(evaluate(&all));
    assert_true(ane_clock_ms() - first >= 200);
    em_surface_free(all.surface);
}

static void test_random(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    world all = make_world();
    unsigned first = failures("fault=random:0.5:7", 30, surface, &all),
             other = failures("fault=random:0.5:8", 30, surface, &all);
    assert_int_equal(failures("fault=random:0.5:7", 30, surface, &all), first);
    assert_int_not_equal(first, other);
    int n = __builtin_popcount(first);
    assert_true(n > 5 && n < 25);
    assert_int_equal(failures("fault=random:0:7", 30, surface, &all), 0);
    assert_int_equal(failures("fault=random:1:7", 4, evaluate, &all), 15);
    em_surface_free(all.surface);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EM_TEST(test_every_stage_at_every_call),
        EM_TEST(test_wrong_outputs),
        EM_TEST(test_hang),
        EM_TEST(test_random),
    };
    return cmocka_run_group_tests(tests, em_setup_group, NULL);
}
