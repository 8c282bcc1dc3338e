/* infer_cases.h - one line per case: what type an operation gives, or with which report it is refused. */
#ifndef ANEMONE_TESTS_MIL_INFER_CASES_H
#define ANEMONE_TESTS_MIL_INFER_CASES_H

#include "support/support.h"

#include "mil/ops.h"

#include <stdio.h>
#include <string.h>

/* Each case is built in a program of its own. */
static mil_program *p;
static mil_function *f;

static void begin(void) {
    ane_error e = {0};
    p = mil_program_new(MIL_IOS18, &e);
    assert_ok(p, &e);
    f = mil_function_new(p, "main");
}

static void end_gives(mil_value v, const char *expected) {
    char text[256];
    ane_error e = {0};
    if (v == MIL_NONE) fail_msg("expected %s: %s: %s", expected, p->error.where, p->error.message);
    assert_string_equal(mil_type_print(mil_type_of(f, v), text, sizeof text), expected);
    mil_output(f, "result", v);
    assert_ok(mil_program_ok(p, &e), &e);
    mil_program_free(p);
}

static void end_refused(mil_value v, const char *op, ane_code code, const char *message) {
    assert_int_equal(v, MIL_NONE);
    if (strncmp(p->error.where, op, strlen(op)) != 0) fail_msg("the place is %s, not %s", p->error.where, op);
    assert_error(&p->error, code, message);
    mil_program_free(p);
}

#define GIVES(type, ...)                                                                                     \
    do {                                                                                                     \
        begin();                                                                                             \
        mil_value value_ = (__VA_ARGS__);                                                                    \
        end_gives(value_, type);                                                                             \
    } while (0)
#define REFUSED(op, code, message, ...)                                                                      \
    do {                                                                                                     \
        begin();                                                                                             \
        mil_value value_ = (__VA_ARGS__);                                                                    \
        end_refused(value_, op, ANE_ERROR_##code, message);                                                  \
    } while (0)

static inline mil_value input(mil_dtype dtype, int rank, const int64_t *dim) {
    char name[32];
    snprintf(name, sizeof name, "in%d", f->n_inputs);
    return mil_input(f, name, mil_tensor(dtype, rank, dim));
}

/* An input: T(MIL_FP32, 2, 3) is tensor<fp32, [2, 3]>; F for fp32. */
#define T(dtype, ...)                                                                                        \
    input(dtype, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__})
#define F(...) T(MIL_FP32, __VA_ARGS__)
#define SCALAR(dtype) input(dtype, 0, NULL)
/* Constants. */
#define INTS(...)                                                                                            \
    mil_const_ints(f, (int)(sizeof((int32_t[]){__VA_ARGS__}) / 4), (const int32_t[]){__VA_ARGS__})
#define INT(x) mil_const_int(f, x)
#define TEXT(s) mil_const_string(f, s)
#define BOOL(x) mil_const_bool(f, x)

/* tensor<dtype, [n..]> of zeros. */
static inline mil_value zeros(mil_dtype dtype, int rank, const int64_t *dim) {
    static const char bytes[4096];
    return mil_const_data(f, mil_tensor(dtype, rank, dim), bytes);
}
#define ZEROS(dtype, ...)                                                                                    \
    zeros(dtype, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__})

/* bools(n, bits): bit i is element i. */
static inline mil_value bools(int n, unsigned bits) {
    uint8_t bytes[MIL_MAX_RANK];
    for (int i = 0; i < n; i++) bytes[i] = bits >> i & 1;
    return mil_const_data(f, mil_tensor(MIL_BOOL, 1, (int64_t[]){n}), bytes);
}

/* Pairs of parameter name and value up to a NULL. */
static inline mil_value call(const char *op, ...) {
    mil_named_arg args[10];
    mil_value values[10], result = MIL_NONE;
    int n = 0;
    va_list list;
    va_start(list, op);
    for (const char *name; (name = va_arg(list, const char *)); n++) {
        values[n] = va_arg(list, mil_value);
        args[n] = (mil_named_arg){name, 1, &values[n]};
    }
    va_end(list);
    mil_call(f, op, n, args, 1, &result);
    return result;
}

#endif
