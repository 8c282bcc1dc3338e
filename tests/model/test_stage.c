/* A stage's parameter gradients, each used as soon as it is complete. */
#include "support/support.h"

#include "model/stage.h"

#include <string.h>

/* y = A relu(B relu(A x)): A's gradient has two products, and B's lies between them. */
enum { DIM = 16, COLUMNS = 8, COUNT = DIM * DIM };

/* Matrices of A and B; `apart` floats lie between them. */
typedef struct store {
    _Alignas(64) float data[2 * COUNT];
    int64_t apart;
} store;

static float *matrix(const void *from, int copy, const char *name, int64_t *count) {
    const store *s = from;
    (void)copy;
    *count = COUNT;
    return (float *)s->data + (strcmp(name, "b") == 0 ? s->apart : 0);
}

static mil_program *program(ane_error *e) {
    mil_program *p = mil_program_new(MIL_IOS18, e);
    mil_function *f = mil_function_new(p, "main");
    const mil_type weight = mil_tensor(MIL_FP32, 4, (int64_t[]){DIM, DIM, 1, 1});
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 4, (int64_t[]){1, DIM, 1, COLUMNS}));
    mil_value a = mil_param(f, "a", weight), b = mil_param(f, "b", weight);
    mil_value inner = mil_relu(f, mil_conv(f, mil_relu(f, mil_conv(f, x, a)), b));
    mil_output(f, "y", mil_conv(f, inner, a));
    return p;
}

/* The gradients that a user has been given, by weight. */
typedef struct seen {
    const store *weights;
    store gradients;
    int calls;
} seen;

static void take(void *context, const float *weight, int64_t count, const float *gradient) {
    seen *s = context;
    assert_int_equal(count, COUNT);
    memcpy(s->gradients.data + (weight - s->weights->data), gradient, COUNT * sizeof(float));
    s->calls++;
}

static void fill(float *x, int64_t n, int64_t step) {
    for (int64_t i = 0; i < n; i++) x[i] = (float)((i * step) % 17 - 8) / 16;
}

static ane_buffer *new_filled(ane_device *d, int64_t step) {
    ane_error e = {0};
    float x[DIM * COLUMNS];
    fill(x, DIM * COLUMNS, step);
    ane_buffer *b = ane_buffer_new(d, mil_tensor(MIL_FP32, 4, (int64_t[]){1, DIM, 1, COLUMNS}), &e);
    assert_ok(b && ane_buffer_write_f32(b, x, DIM * COLUMNS, &e), &e);
    return b;
}

/* Forward and back with gradients in `gradients`. */
static ane_stage *run(ane_device *d, ane_buffer *const ends[2], const store *weights, store *gradients) {
    ane_error e = {0};
    const ane_stage_options o = {.copies = 1, .backward = true, .threads = 2};
    ane_stage *s = ane_stage_new(d, program(&e), &o, &e);
    assert_ok(s && ane_stage_give(s, 0, "x", ends[0], &e) && ane_stage_give(s, 0, "d_y", ends[1], &e) &&
                  ane_stage_bind(s, matrix, weights, gradients, &e) && ane_stage_forward(s, 0, &e) &&
                  ane_stage_backward(s, 0, &e),
        &e);
    return s;
}

static void test_use_in_one_place(void **state) {
    (void)state;
    static store weights = {.apart = COUNT}, kept = {.apart = COUNT}, shared;
    static seen s = {.weights = &weights};
    float *const staging[2] = {NULL, NULL};
    ane_error e = {0};
    fill(weights.data, 2 * COUNT, 5);
    ane_device *d = ane_device_open("cpu:threads=2", &e);
    assert_ok(d != NULL, &e);
    ane_buffer *const ends[] = {new_filled(d, 3), new_filled(d, 7)};
    ane_stage *all = run(d, ends, &weights, &kept), *each = run(d, ends, &weights, &shared);
    assert_ok(ane_stage_products(all, 0, false, staging, &e), &e);
    assert_ok(ane_stage_use_products(each, 0, take, &s, staging, &e), &e);
    assert_int_equal(s.calls, 2);
    assert_memory_equal(s.gradients.data, kept.data, sizeof kept.data);
    float sum = 0;
    for (int i = 0; i < 2 * COUNT; i++) sum += kept.data[i] * kept.data[i];
    assert_true(sum > 0);
    ane_stage_free(all);
    ane_stage_free(each);
    for (int i = 0; i < 2; i++) ane_buffer_free(ends[i]);
    ane_device_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_use_in_one_place)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
