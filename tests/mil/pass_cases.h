/* pass_cases.h - running a pass on a program and holding what it computes against what it computed before. */
#ifndef ANEMONE_TESTS_MIL_PASS_CASES_H
#define ANEMONE_TESTS_MIL_PASS_CASES_H

#include "support/support.h"

#include "base/random.h"
#include "mil/ops.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_PORTS = 64 }; /* inputs, outputs or parameters of a program tried here */

static inline mil_function *new_function(mil_program **p) {
    ane_error e = {0};
    *p = mil_program_new(MIL_IOS18, &e);
    assert_ok(*p, &e);
    return mil_function_new(*p, "main");
}

/* ---- running ------------------------------------------------------------------------------------------- */

static inline mil_array random_array(const mil_type *type, ane_rng *rng) {
    mil_array a = {.type = *type, .data = calloc((size_t)mil_type_count(type), sizeof(double))};
    for (int64_t i = 0; i < mil_type_count(type); i++)
        a.data[i] = type->dtype == MIL_BOOL ? (double)ane_rng_below(rng, 2) : ane_rng_normal(rng);
    return a;
}

/* Outputs for the inputs and parameters that a seed gives; parameters are drawn by name. */
static inline void run(const mil_function *f, mil_array *outputs) {
    ane_error e = {0};
    mil_array inputs[MOST_PORTS];
    mil_named_array params[MOST_PORTS];
    int n_params = 0;
    ane_rng rng = ane_rng_new(1, 0);
    for (int i = 0; i < f->n_inputs; i++) inputs[i] = random_array(mil_type_of(f, f->inputs[i]), &rng);
    for (int i = 0; i < f->n_ops; i++) {
        if (f->ops[i].opcode != MIL_OP_PARAMETER) continue;
        const mil_value_info *v = &f->values[f->ops[i].results[0]];
        ane_rng own = ane_rng_new(2, (uint64_t)v->name[0]);
        params[n_params++] = (mil_named_array){v->name, random_array(&v->type, &own)};
    }
    assert_ok(mil_evaluate(f, MIL_EXACT, inputs, n_params, params, outputs, &e), &e);
    for (int i = 0; i < f->n_inputs; i++) free(inputs[i].data);
    for (int i = 0; i < n_params; i++) free(params[i].array.data);
}

static inline void assert_same_outputs(const mil_function *f, const mil_function *g) {
    mil_array a[MOST_PORTS], b[MOST_PORTS];
    assert_int_equal(f->n_outputs, g->n_outputs);
    assert_in_range(f->n_outputs, 1, MOST_PORTS);
    assert_in_range(f->n_inputs, 0, MOST_PORTS);
    run(f, a);
    run(g, b);
    for (int i = 0; i < f->n_outputs; i++) {
        assert_true(mil_type_equal(&a[i].type, &b[i].type));
        for (int64_t k = 0; k < mil_type_count(&a[i].type); k++) {
            double x = a[i].data[k], y = b[i].data[k];
            bool same =
                x == y || (isnan(x) && isnan(y)); /* inputs drawn at random may lead outside a domain */
            if (!same && !(fabs(x - y) < 1e-6 * fmax(1, fabs(x))))
                fail_msg("output %s[%lld]: %g before, %g after", f->values[f->outputs[i]].name, (long long)k,
                    a[i].data[k], b[i].data[k]);
        }
        free(a[i].data);
        free(b[i].data);
    }
}

static inline void assert_same_interface(const mil_function *f, const mil_function *g) {
    assert_int_equal(f->n_inputs, g->n_inputs);
    for (int i = 0; i < f->n_inputs; i++)
        assert_string_equal(f->values[f->inputs[i]].name, g->values[g->inputs[i]].name);
    for (int i = 0; i < f->n_outputs; i++)
        assert_string_equal(f->values[f->outputs[i]].name, g->values[g->outputs[i]].name);
}

/* Run the pass on p: same interface, same results, valid, and a second run keeps every operation. */
static inline void apply(mil_program *p, mil_pass pass) {
    ane_error e = {0};
    mil_function *f = p->functions[0];
    mil_program *before = mil_program_clone(p, &e);
    assert_ok(before, &e);
    assert_ok(mil_run_pass(p, pass, &e), &e);
    assert_ptr_equal(p->functions[0], f);
    assert_ok(mil_program_ok(p, &e), &e);
    assert_same_interface(before->functions[0], f);
    assert_same_outputs(before->functions[0], f);
    mil_program *once = mil_program_clone(p, &e);
    assert_ok(mil_run_pass(p, pass, &e), &e);
    assert_int_equal(once->functions[0]->n_ops, f->n_ops);
    for (int i = 0; i < f->n_ops; i++) assert_int_equal(once->functions[0]->ops[i].opcode, f->ops[i].opcode);
    mil_program_free(once);
    mil_program_free(before);
}

#endif
