/* gradcheck.h - gradients against central differences of the reference interpreter, in double precision. */
#ifndef ANEMONE_TESTS_GRADCHECK_H
#define ANEMONE_TESTS_GRADCHECK_H

#include "support/support.h"

#include "anemone/mil.h"

/* ---- building ------------------------------------------------------------------------------------------ */

#define T(...)                                                                                               \
    mil_tensor(MIL_FP64, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
#define I(...) ((const int32_t[]){__VA_ARGS__})
#define D(...) ((const int64_t[]){__VA_ARGS__})
#define OUT(v) mil_output(f, "y", v)

/* An operation with constant knobs that the typed functions do not offer. */
static inline mil_value call(mil_function *f, const char *op, int n, const mil_named_arg *args) {
    mil_value v = MIL_NONE;
    mil_call(f, op, n, args, 1, &v);
    return v;
}

/* ---- checking ------------------------------------------------------------------------------------------ */

/* A function, numbers for its inputs and parameters, and what its outputs are weighed with. */
typedef struct setup {
    const mil_function *f;
    mil_array *inputs; /* f->n_inputs */
    int n_params;
    mil_named_array *params;
    mil_array *cotangents; /* per output of f */
} setup;
/* Random numbers in [low, high), integers in [0, 3). */
void setup_new(setup *s, const mil_function *f, double low, double high, uint64_t seed);
void setup_free(setup *s);

/* Evaluate exactly; free_arrays(result, f->n_outputs). */
mil_array *evaluate(
    const mil_function *f, const mil_array *inputs, int n_params, const mil_named_array *params);
void free_arrays(mil_array *a, int n);

/* Differentiate, run both programs, compare every derivative with central differences to 1e-7, relative; forward must
 * still give its outputs, and backward must use all that it takes. */
void check_gradient(const setup *s, const mil_grad_options *o);

typedef void build_fn(mil_function *f);
/* Build, then check with all four combinations of options. */
void check(build_fn *build, double low, double high);
/* Fail unless every differentiable operation was in some program that was checked. */
void check_breadth(void);

/* One case: what to build and the interval that inputs are drawn from. */
#define CASE(name, low, high, ...)                                                                           \
    static void build_##name(mil_function *f) __VA_ARGS__ static void test_##name(void **state) {            \
        (void)state;                                                                                         \
        check(build_##name, low, high);                                                                      \
    }

#define TEST(name) cmocka_unit_test(test_##name)

#endif
