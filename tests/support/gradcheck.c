/* Gradients against central differences: the machinery behind gradcheck.h. */
#include "support/gradcheck.h"

#include "base/random.h"
#include "mil/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mil_array random_array(const mil_type *t, ane_rng *rng, double low, double high) {
    int64_t n = mil_type_count(t);
    mil_array a = {*t, malloc(sizeof(double) * (size_t)n)};
    for (int64_t i = 0; i < n; i++) {
        double u = ane_rng_uniform(rng);
        a.data[i] =
            mil_dtype_is_float(t->dtype) ? low + (high - low) * u : floor(u * 3); /* indices below 3 */
    }
    return a;
}

void setup_new(setup *s, const mil_function *f, double low, double high, uint64_t seed) {
    ane_rng rng = ane_rng_new(seed, 0);
    *s = (setup){.f = f};
    s->inputs = calloc((size_t)f->n_inputs + 1, sizeof *s->inputs);
    s->cotangents = calloc((size_t)f->n_outputs + 1, sizeof *s->cotangents);
    s->params = calloc((size_t)f->n_ops + 1, sizeof *s->params);
    for (int i = 0; i < f->n_inputs; i++)
        s->inputs[i] = random_array(mil_type_of(f, f->inputs[i]), &rng, low, high);
    for (int i = 0; i < f->n_ops; i++) {
        if (f->ops[i].opcode != MIL_OP_PARAMETER) continue;
        mil_value v = f->ops[i].results[0];
        s->params[s->n_params++] =
            (mil_named_array){f->values[v].name, random_array(mil_type_of(f, v), &rng, low, high)};
    }
    for (int i = 0; i < f->n_outputs; i++)
        s->cotangents[i] = random_array(mil_type_of(f, f->outputs[i]), &rng, -1, 1);
}

void free_arrays(mil_array *a, int n) {
    for (int i = 0; i < n; i++) free(a[i].data);
    free(a);
}

void setup_free(setup *s) {
    free_arrays(s->inputs, s->f->n_inputs);
    free_arrays(s->cotangents, s->f->n_outputs);
    for (int i = 0; i < s->n_params; i++) free(s->params[i].array.data);
    free(s->params);
}

mil_array *evaluate(
    const mil_function *f, const mil_array *inputs, int n_params, const mil_named_array *params) {
    ane_error e = {0};
    mil_array *outputs = calloc((size_t)f->n_outputs + 1, sizeof *outputs);
    assert_ok(mil_evaluate(f, MIL_EXACT, inputs, n_params, params, outputs, &e), &e);
    return outputs;
}

/* The scalar that is differentiated: sum of outputs times cotangents. */
static double loss(const setup *s) {
    mil_array *y = evaluate(s->f, s->inputs, s->n_params, s->params);
    double sum = 0;
    for (int i = 0; i < s->f->n_outputs; i++)
        if (mil_dtype_is_float(y[i].type.dtype))
            for (int64_t k = 0; k < mil_type_count(&y[i].type); k++)
                sum += y[i].data[k] * s->cotangents[i].data[k];
    free_arrays(y, s->f->n_outputs);
    return sum;
}

/* d(loss)/d(*x): central differences at h, h/2, h/4, extrapolated twice (Richardson): error of order h^6. */
static double slope(const setup *s, double *x) {
    double kept = *x, h = 1.0 / 256, d[3];
    for (int i = 0; i < 3; i++, h /= 2) {
        *x = kept + h;
        double up = loss(s);
        *x = kept - h;
        d[i] = (up - loss(s)) / (2 * h);
    }
    *x = kept;
    double a = (4 * d[1] - d[0]) / 3, b = (4 * d[2] - d[1]) / 3;
    return (16 * b - a) / 15;
}

static void assert_gradient(const setup *s, const char *name, double *x, const double *found, int64_t n) {
    double *expected = malloc(sizeof(double) * (size_t)n), scale = 1e-3;
    for (int64_t i = 0; i < n; i++) {
        expected[i] = slope(s, &x[i]);
        scale = fmax(scale, fabs(expected[i]));
    }
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(found[i] - expected[i]) <= 1e-7 * scale))
            fail_msg("d(%s)[%lld] is %.12g, central differences say %.12g", name, (long long)i, found[i],
                expected[i]);
    free(expected);
}

/* A named buffer of a gradient's run. */
typedef struct buffers {
    const mil_function *forward, *backward;
    const mil_array *inputs, *outputs, *backward_inputs, *backward_outputs;
} buffers;

static const mil_array *find_in(
    const mil_function *f, const mil_value *ports, int n, const mil_array *a, const char *name) {
    for (int i = 0; i < n; i++)
        if (strcmp(f->values[ports[i]].name, name) == 0) return &a[i];
    return NULL;
}

static const mil_array *find(const buffers *b, const char *name) {
    const mil_function *f = b->forward, *g = b->backward;
    const mil_array *a = find_in(g, g->outputs, g->n_outputs, b->backward_outputs, name);
    if (!a) a = find_in(f, f->outputs, f->n_outputs, b->outputs, name);
    if (!a) a = find_in(f, f->inputs, f->n_inputs, b->inputs, name);
    if (!a) a = find_in(g, g->inputs, g->n_inputs, b->backward_inputs, name);
    if (!a) fail_msg("no buffer is called %s", name);
    return a;
}

/* What backward takes: cotangents by "d_" + output, the rest from forward. */
static mil_array *backward_inputs(const setup *s, const buffers *b) {
    mil_array *a = calloc((size_t)b->backward->n_inputs + 1, sizeof *a);
    for (int i = 0; i < b->backward->n_inputs; i++) {
        const char *name = b->backward->values[b->backward->inputs[i]].name;
        const mil_array *from = NULL;
        for (int o = 0; strncmp(name, "d_", 2) == 0 && o < s->f->n_outputs; o++)
            if (strcmp(name + 2, s->f->values[s->f->outputs[o]].name) == 0) from = &s->cotangents[o];
        a[i] =
            from ? *from
                 : *find(&(buffers){b->forward, &(mil_function){0}, b->inputs, b->outputs, NULL, NULL}, name);
    }
    return a;
}

static void add_product(const buffers *b, const mil_param_grad *row, double *d) {
    const mil_array *l = find(b, row->left), *r = find(b, row->right);
    assert_int_equal(mil_type_count(&l->type), row->m * row->n);
    assert_int_equal(mil_type_count(&r->type), row->k * row->n);
    for (int64_t i = 0; i < row->m; i++)
        for (int64_t j = 0; j < row->k; j++)
            for (int64_t n = 0; n < row->n; n++)
                d[i * row->k + j] += l->data[row->left_transposed ? n * row->m + i : i * row->n + n] *
                                     r->data[row->right_transposed ? n * row->k + j : j * row->n + n];
}

static void check_params(const setup *s, const mil_gradient *g, const buffers *b) {
    for (int i = 0; i < s->n_params; i++) {
        int64_t n = mil_type_count(&s->params[i].array.type);
        double *d = calloc((size_t)n, sizeof *d);
        for (int k = 0; k < g->n_param_grads; k++) {
            const mil_param_grad *row = &g->param_grads[k];
            if (strcmp(row->param, s->params[i].name) != 0) continue;
            const mil_array *value = row->is_product ? NULL : find(b, row->value);
            if (value) assert_true(mil_type_equal(&value->type, &s->params[i].array.type));
            for (int64_t j = 0; value && j < n; j++) d[j] += value->data[j];
            if (row->is_product) add_product(b, row, d);
        }
        assert_gradient(s, s->params[i].name, s->params[i].array.data, d, n);
        free(d);
    }
}

static void check_inputs(const setup *s, const buffers *b) {
    for (int i = 0; i < s->f->n_inputs; i++) {
        if (!mil_dtype_is_float(s->inputs[i].type.dtype)) continue;
        char name[80];
        snprintf(name, sizeof name, "d_%s", s->f->values[s->f->inputs[i]].name);
        const mil_array *d = find(b, name);
        assert_true(mil_type_equal(&d->type, &s->inputs[i].type));
        assert_gradient(s, name + 2, s->inputs[i].data, d->data, mil_type_count(&d->type));
    }
}

/* Forward must give what the original gives, then its taps. */
static void check_forward(const setup *s, const mil_gradient *g, const mil_array *outputs) {
    const mil_function *f = g->forward->functions[0];
    mil_array *y = evaluate(s->f, s->inputs, s->n_params, s->params);
    assert_int_equal(f->n_outputs, s->f->n_outputs + g->n_taps);
    for (int i = 0; i < s->f->n_outputs; i++) {
        assert_string_equal(f->values[f->outputs[i]].name, s->f->values[s->f->outputs[i]].name);
        for (int64_t k = 0; k < mil_type_count(&y[i].type); k++)
            assert_true(fabs(outputs[i].data[k] - y[i].data[k]) <= 1e-12 * fmax(1, fabs(y[i].data[k])));
    }
    for (int i = 0; i < g->n_taps; i++)
        assert_string_equal(f->values[f->outputs[s->f->n_outputs + i]].name, g->taps[i]);
    free_arrays(y, s->f->n_outputs);
}

/* Every input of backward that is no cotangent must be used by something. */
static void check_all_used(const mil_gradient *g) {
    const mil_function *b = g->backward->functions[0];
    for (int i = 0; i < b->n_inputs; i++) {
        bool used = strncmp(b->values[b->inputs[i]].name, "d_", 2) == 0;
        for (int k = 0; k < b->n_ops; k++)
            for (int a = 0; a < b->ops[k].info->n_params; a++)
                for (int j = 0; j < b->ops[k].args[a].n; j++)
                    used = used || b->ops[k].args[a].values[j] == b->inputs[i];
        if (!used) fail_msg("backward does not use its input %s", b->values[b->inputs[i]].name);
    }
}

void check_gradient(const setup *s, const mil_grad_options *o) {
    ane_error e = {0};
    mil_gradient *g = mil_differentiate(s->f, o, &e);
    assert_ok(g, &e);
    assert_ok(mil_verify(g->forward, &e) && mil_verify(g->backward, &e), &e);
    check_all_used(g);
    buffers b = {g->forward->functions[0], g->backward->functions[0], s->inputs, NULL, NULL, NULL};
    b.outputs = evaluate(b.forward, s->inputs, s->n_params, s->params);
    check_forward(s, g, b.outputs);
    b.backward_inputs = backward_inputs(s, &b);
    b.backward_outputs = evaluate(b.backward, b.backward_inputs, s->n_params, s->params);
    check_inputs(s, &b);
    check_params(s, g, &b);
    for (int k = 0; o->products_in_program && k < g->n_param_grads; k++)
        assert_false(g->param_grads[k].is_product);
    free((void *)b.backward_inputs);
    free_arrays((mil_array *)b.outputs, b.forward->n_outputs);
    free_arrays((mil_array *)b.backward_outputs, b.backward->n_outputs);
    mil_gradient_free(g);
}

static bool checked[MIL_OP_COUNT];

void check(build_fn *build, double low, double high) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    build(f);
    assert_ok(mil_program_ok(p, &e), &e);
    for (int i = 0; i < f->n_ops; i++) checked[f->ops[i].opcode] = true;
    setup s;
    setup_new(&s, f, low, high, 7);
    for (int i = 0; i < 4; i++)
        check_gradient(&s, &(mil_grad_options){.products_in_program = i & 1, .recompute_cheap = i & 2});
    setup_free(&s);
    mil_program_free(p);
}

void check_breadth(void) {
    for (int op = 0; op < MIL_OP_COUNT; op++)
        if (mil_op_table[op].grad && !checked[op])
            fail_msg("no gradient of %s was checked", mil_op_table[op].name);
}
