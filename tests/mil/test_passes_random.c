/* Passes on random programs, alone and one after another: the outputs stay the same. */
#include "mil/pass_cases.h"

#include <string.h>

enum { PROGRAMS = 150, STEPS = 30, MOST_VALUES = 128 };

/* A program in the making: everything is fp64, so that folding a constant rounds nothing. */
typedef struct maker {
    mil_function *f;
    ane_rng rng;
    int n;
    mil_value values[MOST_VALUES]; /* to choose operands from */
} maker;

static int below(maker *m, int n) {
    return (int)ane_rng_below(&m->rng, (uint64_t)n);
}

static mil_value pick(maker *m) {
    return m->values[below(m, m->n)];
}

static void keep(maker *m, mil_value v) {
    m->values[m->n++] = v;
}

static mil_value constant(maker *m) {
    static const double numbers[] = {0, 1, 1, 0.5, -2};
    int64_t dim[2] = {1 + below(m, 2), 3};
    double x = numbers[below(m, 5)];
    double data[6] = {x, x, x, x, x, below(m, 2) ? x : 0.25};
    return mil_const_data(m->f, mil_tensor(MIL_FP64, below(m, 3), dim), data);
}

static mil_value unary(maker *m) {
    static mil_value (*const functions[])(mil_function *, mil_value) = {
        mil_sin, mil_cos, mil_tanh, mil_sigmoid, mil_relu, mil_abs, mil_identity, mil_silu, mil_erf};
    return functions[below(m, 9)](m->f, pick(m));
}

static mil_value gelu(maker *m) {
    static const char *const modes[] = {"EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"};
    return mil_gelu(m->f, pick(m), modes[below(m, 3)]);
}

static mil_value binary(maker *m) {
    static mil_value (*const functions[])(mil_function *, mil_value, mil_value) = {
        mil_add, mil_sub, mil_mul, mil_maximum, mil_minimum};
    mil_value x = pick(m), y = pick(m);
    mil_type t;
    if (!mil_broadcast(mil_type_of(m->f, x), mil_type_of(m->f, y), &t, NULL) || mil_type_count(&t) > 64)
        y = x;
    return mil_tanh(m->f, functions[below(m, 5)](m->f, x, y)); /* tanh keeps numbers small */
}

static mil_value scalar(maker *m) {
    mil_value x = pick(m);
    double y = below(m, 3) ? below(m, 2) : 0.5;
    return below(m, 2) ? mil_add_scalar(m->f, x, y) : mil_mul_scalar(m->f, x, y);
}

static mil_value transpose(maker *m) {
    mil_value x = pick(m);
    int32_t rank = mil_type_of(m->f, x)->rank, perm[MIL_MAX_RANK], turn = rank ? below(m, rank) : 0;
    for (int i = 0; i < rank; i++) perm[i] = (i + turn) % rank;
    return rank ? mil_transpose(m->f, x, perm) : x;
}

static mil_value reshape(maker *m) {
    mil_value x = pick(m);
    const mil_type *t = mil_type_of(m->f, x);
    int64_t flat = mil_type_count(t);
    if (below(m, 3) == 0 && t->rank < 4)
        return mil_expand_dims(m->f, x, 1, (int32_t[]){below(m, t->rank + 1)});
    if (below(m, 2)) return mil_squeeze(m->f, x, 0, NULL);
    return flat % 2 ? mil_reshape(m->f, x, 1, &flat) : mil_reshape(m->f, x, 2, (int64_t[]){2, -1});
}

static mil_value slice(maker *m) {
    mil_value x = pick(m);
    const mil_type *t = mil_type_of(m->f, x);
    int32_t begin[MIL_MAX_RANK], size[MIL_MAX_RANK];
    for (int i = 0; i < t->rank; i++) {
        begin[i] = below(m, 2) ? 0 : below(m, (int)t->dim[i]);
        size[i] = below(m, 2) ? -1 : 1;
    }
    return t->rank ? mil_slice_by_size(m->f, x, begin, size) : x;
}

static mil_value over_axis(maker *m) {
    mil_value x = pick(m);
    int rank = mil_type_of(m->f, x)->rank;
    if (rank == 0) return x;
    int32_t axis = below(m, rank);
    switch (below(m, 4)) {
    case 0: return mil_softmax(m->f, x, axis);
    case 1: return mil_layer_norm(m->f, x, 1, &axis, MIL_NONE, MIL_NONE, 0.1);
    case 2: return mil_reduce_mean(m->f, x, 1, &axis, below(m, 2));
    default: return mil_reduce_max(m->f, x, 1, &axis, below(m, 2));
    }
}

static mil_value take_apart(maker *m) {
    mil_value x = pick(m), parts[3];
    const mil_type *t = mil_type_of(m->f, x);
    if (t->rank == 0 || t->dim[0] > 3) return x;
    mil_split(m->f, x, (int)t->dim[0], 0, parts);
    keep(m, parts[0]);
    return mil_concat(m->f, (int)t->dim[0], parts, 0);
}

static mil_value attention(maker *m) {
    mil_value x = pick(m);
    if (mil_type_of(m->f, x)->rank != 3) return x;
    return mil_scaled_dot_product_attention(m->f, x, x, x, MIL_NONE);
}

static mil_program *random_program(uint64_t seed) {
    static mil_value (*const steps[])(maker *) = {constant, unary, gelu, binary, binary, scalar, transpose,
        reshape, slice, over_axis, take_apart, attention};
    ane_error e = {0};
    mil_program *p;
    maker m = {.f = new_function(&p), .rng = ane_rng_new(seed, 0)};
    keep(&m, mil_input(m.f, "a", mil_tensor(MIL_FP64, 2, (int64_t[]){2, 3})));
    keep(&m, mil_input(m.f, "b", mil_tensor(MIL_FP64, 3, (int64_t[]){2, 1, 3})));
    keep(&m, mil_param(m.f, "w", mil_tensor(MIL_FP64, 1, (int64_t[]){3})));
    for (int i = 0; i < STEPS; i++) keep(&m, steps[below(&m, sizeof steps / sizeof *steps)](&m));
    static const char *const names[] = {"x", "y", "z"};
    for (int i = 0; i < 3; i++) mil_output(m.f, names[i], pick(&m));
    mil_output(m.f, "last", m.values[m.n - 1]);
    assert_ok(mil_program_ok(p, &e), &e);
    return p;
}

static void each_alone(void **state) {
    (void)state;
    for (int seed = 0; seed < PROGRAMS; seed++) {
        mil_program *p = random_program((uint64_t)seed);
        apply(p, (mil_pass)(seed % MIL_PASS_COUNT));
        mil_program_free(p);
    }
}

static void apply_all(mil_program *p) {
    static const mil_pass pipeline[] = {
        MIL_PASS_EXPAND, MIL_PASS_FOLD_CONSTANTS, MIL_PASS_CSE, MIL_PASS_DEAD_CODE, MIL_PASS_FOLD_CONSTANTS};
    for (size_t i = 0; i < sizeof pipeline / sizeof *pipeline; i++) apply(p, pipeline[i]);
    for (int i = 0; i < p->functions[0]->n_ops; i++)
        assert_true(p->functions[0]->ops[i].opcode != MIL_OP_GELU);
}

static void one_after_another(void **state) {
    (void)state;
    for (int seed = 0; seed < PROGRAMS; seed++) {
        mil_program *p = random_program((uint64_t)seed);
        apply_all(p);
        mil_program_free(p);
    }
}

/* Derived programs are the ones that a device compiles. */
static void on_derived_programs(void **state) {
    (void)state;
    for (int seed = 0; seed < PROGRAMS / 3; seed++) {
        ane_error e = {0};
        mil_program *p = random_program((uint64_t)seed);
        mil_grad_options options = {.products_in_program = seed % 2, .recompute_cheap = seed % 3 == 0};
        mil_gradient *g = mil_differentiate(p->functions[0], &options, &e);
        assert_ok(g, &e);
        apply_all(g->forward);
        apply_all(g->backward);
        mil_gradient_free(g);
        mil_program_free(p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_alone), cmocka_unit_test(one_after_another),
        cmocka_unit_test(on_derived_programs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
