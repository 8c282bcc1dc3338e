/* After the first step, anemone allocates nothing in a step: malloc itself is counted, by who calls it. What a library
 * does inside a call of its own (oneDNN's sgemm packs into fresh buffers) is not counted. */
#include "train/run_fixture.h"

#include "train/trainer.h"

#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTING 0
#elif defined(__has_feature)
#define COUNTING (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#elif defined(__GLIBC__)
#define COUNTING 1
#else
#define COUNTING 0
#endif

static long count;

#if COUNTING && defined(__GLIBC__)
/* Take the place of the C library's: dynamic linking finds the program's own first.
 * NOLINTBEGIN(bugprone-reserved-identifier): the names are glibc's. */
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
/* Where this program, with libanemone linked into it, begins and ends. */
extern const char __executable_start, etext;
/* NOLINTEND(bugprone-reserved-identifier) */

static void tally(const void *caller) {
    bool ours = (uintptr_t)caller >= (uintptr_t)&__executable_start && (uintptr_t)caller < (uintptr_t)&etext;
    if (ours) __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t n) {
    tally(__builtin_return_address(0));
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size) {
    tally(__builtin_return_address(0));
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n) {
    tally(__builtin_return_address(0));
    return __libc_realloc(p, n);
}

int posix_memalign(void **p, size_t align, size_t n) {
    tally(__builtin_return_address(0));
    *p = __libc_memalign(align, n);
    return *p ? 0 : 12;
}

void *aligned_alloc(size_t align, size_t n) {
    tally(__builtin_return_address(0));
    return __libc_memalign(align, n);
}
static const bool counting = true;
#else
static const bool counting = false;
#endif

enum { STEPS = 12 };
typedef struct counter {
    long at[STEPS + 1];
} counter;

static void count_at_steps(void *context, const ane_train_event *v) {
    counter *c = context;
    if (v->type == ANE_EVENT_STEP) c->at[v->step] = __atomic_load_n(&count, __ATOMIC_RELAXED);
}

static void count_in_steps(int32_t accumulate, ane_recompute recompute) {
    fixture f;
    ane_error e = {0};
    counter c = {0};
    fixture_make(&f);
    f.options.device = "cpu:threads=2";
    f.options.eval_every = 0;
    f.options.accumulate = accumulate;
    f.options.placement.recompute = recompute;
    f.options.steps = STEPS;
    new_run(&f, ane_recompute_name(recompute));
    assert_ok(ane_train(&f.options, NULL, NULL, count_at_steps, &c, &e), &e);
    assert_true(c.at[1] > 0);
    for (int step = 3; step <= STEPS; step++)
        if (c.at[step] != c.at[step - 1])
            fail_msg("step %d: %ld allocations", step, c.at[step] - c.at[step - 1]);
}

static void test_no_allocations(void **state) {
    (void)state;
    if (!counting) skip();
    count_in_steps(2, ANE_RECOMPUTE_NONE);
    count_in_steps(1, ANE_RECOMPUTE_GRADIENTS);
}

/* The device's own count, which sanitizers do not disturb. */
static void test_device_takes_nothing(void **state) {
    (void)state;
    fixture f;
    ane_error e = {0};
    ane_trainer t = {.log.fd = -1};
    ane_step_record r;
    fixture_make(&f);
    f.options.device = "cpu:threads=2";
    new_run(&f, "device");
    assert_ok(ane_trainer_start(&t, &f.options, &e) && ane_trainer_step(&t, &r, &e), &e);
    ane_memory_stats first = ane_device_memory(t.device);
    assert_true(first.allocations > 0 && first.bytes > 0);
    for (int i = 0; i < 5; i++) assert_ok(ane_trainer_step(&t, &r, &e), &e);
    ane_memory_stats last = ane_device_memory(t.device);
    assert_int_equal(last.allocations, first.allocations);
    assert_int_equal(last.peak_bytes, first.peak_bytes);
    ane_trainer_free(&t);
}

/* ---- page faults ------------------------------------------------------------------------------------------ */

/* Large enough that what a library took and gave back in every step would be mapped anew in every step. */
static const ane_model_config medium = {.dim = 128,
    .hidden_dim = 344,
    .n_layers = 2,
    .n_heads = 4,
    .n_kv_heads = 4,
    .head_dim = 32,
    .vocab_size = 2048,
    .max_seq = 128,
    .norm_eps = 1e-5f,
    .rope_theta = 10000,
    .tied = true,
    .bos_id = -1,
    .eos_id = -1};

typedef struct medium_run {
    ane_device *device;
    ane_weights *weights, *gradients;
    ane_adamw *optimizer;
    ane_network *network;
    int32_t tokens[4 * 128];
} medium_run;

static void make_medium(medium_run *r, const char *device, ane_recompute recompute) {
    const ane_adamw_options adamw = {.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .clip = 1};
    const ane_placement placement = {.recompute = recompute};
    ane_error e = {0};
    ane_rng rng = ane_rng_new(1, 0);
    *r = (medium_run){.device = ane_device_open(device, &e)};
    assert_ok(r->device, &e);
    assert_ok((r->weights = ane_weights_new(&medium, &e)) &&
                  (r->gradients = ane_gradients_new(&medium, &placement, &e)) &&
                  (r->optimizer = ane_adamw_new(&medium, &adamw, &e)),
        &e);
    ane_weights_init(r->weights, 1);
    r->network = ane_network_new(r->device, r->weights, r->gradients, 4, 128, &placement, &e);
    assert_ok(r->network, &e);
    for (int i = 0; i < 4 * 128; i++) r->tokens[i] = (int32_t)ane_rng_below(&rng, 2048);
}

static void free_medium(medium_run *r) {
    ane_network_free(r->network);
    ane_adamw_free(r->optimizer);
    ane_weights_free(r->gradients);
    ane_weights_free(r->weights);
    ane_device_close(r->device);
}

static void step_medium(medium_run *r) {
    ane_error e = {0};
    double loss, norm;
    ane_network_clear_gradients(r->network);
    assert_ok(ane_network_loss(r->network, r->tokens, r->tokens, 1, &loss, &e) &&
                  ane_adamw_step(r->optimizer, r->network, r->weights, r->tokens, 1, 1e-3, 2, &norm, &e) &&
                  ane_network_weights_changed(r->network, &e),
        &e);
}

static long page_faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/* The system may take a page away and give it back; one buffer of a megabyte a step would be 256 each. */
static void test_no_page_faults(void **state) {
    (void)state;
    if (!counting) skip();
    enum { SETTLED = 3, TIMED = 6, MOST = 16 * TIMED };
    const char *const devices[] = {
        "cpu:threads=2", "cpu:threads=2,precision=bf16", "cpu:threads=2,precision=fp16"};
    for (size_t i = 0; i < 2 * sizeof devices / sizeof *devices; i++) {
        const char *device = devices[i / 2];
        ane_recompute recompute = i % 2 ? ANE_RECOMPUTE_GRADIENTS : ANE_RECOMPUTE_NONE;
        medium_run r;
        make_medium(&r, device, recompute);
        for (int k = 0; k < SETTLED; k++) step_medium(&r);
        long before = page_faults();
        for (int k = 0; k < TIMED; k++) step_medium(&r);
        long faults = page_faults() - before;
        print_message("%s, recomputed: %s: %ld page faults in %d steps\n", device,
            ane_recompute_name(recompute), faults, (int)TIMED);
        if (faults > MOST) fail_msg("%ld page faults in %d steps", faults, (int)TIMED);
        free_medium(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_allocations),
        cmocka_unit_test(test_device_takes_nothing), cmocka_unit_test(test_no_page_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
