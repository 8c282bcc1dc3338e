/* Lowering for the Neural Engine: the same numbers before and after, in every weight mode, packed or not. */
#include "support/support.h"

#include "anemone/model.h"
#include "base/half.h"
#include "base/random.h"
#include "mil/lower.h"
#include "mil/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };

/* ---- running both ---------------------------------------------------------------------------------------------- */

static double *numbers(int64_t n, uint64_t seed) { /* multiples of 1/64: exact in fp16 */
    double *x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    ane_rng rng = ane_rng_new(seed, 0);
    for (int64_t i = 0; i < n; i++) x[i] = floor(ane_rng_uniform(&rng) * 64 - 32) / 64;
    return x;
}

typedef struct run {
    mil_array inputs[MOST], outputs[MOST];
    mil_named_array params[MOST];
    int n_params;
} run;

static void run_original(run *r, const mil_function *f) {
    ane_error e = {0};
    for (int i = 0; i < f->n_inputs; i++) {
        r->inputs[i].type = *mil_type_of(f, f->inputs[i]);
        r->inputs[i].data = numbers(mil_type_count(&r->inputs[i].type), (uint64_t)i + 1);
        for (int64_t k = 0; k < mil_type_count(&r->inputs[i].type);
             k++) /* forward values like sums of squares are positive */
            r->inputs[i].data[k] = fabs(r->inputs[i].data[k]) + 0.125;
    }
    for (int i = 0; i < f->n_ops; i++) {
        if (f->ops[i].opcode != MIL_OP_PARAMETER) continue;
        const mil_value_info *v = &f->values[f->ops[i].results[0]];
        double *data = numbers(mil_type_count(&v->type), (uint64_t)i + 100);
        r->params[r->n_params++] = (mil_named_array){v->name, {v->type, data}};
    }
    assert_ok(mil_evaluate(f, MIL_EXACT, r->inputs, r->n_params, r->params, r->outputs, &e), &e);
}

static const double *find(const run *r, const mil_function *f, const mil_piece *p) {
    for (int i = 0; p->kind == MIL_PIECE_INPUT && i < f->n_inputs; i++)
        if (strcmp(f->values[f->inputs[i]].name, p->name) == 0) return r->inputs[i].data;
    for (int i = 0; p->kind == MIL_PIECE_OUTPUT && i < f->n_outputs; i++)
        if (strcmp(f->values[f->outputs[i]].name, p->name) == 0) return r->outputs[i].data;
    for (int i = 0; p->kind == MIL_PIECE_WEIGHT && i < r->n_params; i++)
        if (strcmp(r->params[i].name, p->name) == 0) return r->params[i].array.data;
    return NULL;
}

static void bake(const mil_lowering *l, const run *r) {
    for (int32_t i = 0; i < l->n_baked; i++) {
        const mil_baked *b = &l->baked[i];
        uint16_t *data = calloc((size_t)mil_type_count(&b->type), sizeof *data);
        assert_non_null(data);
        const double *from = NULL;
        for (int k = 0; b->param && k < r->n_params; k++)
            if (strcmp(r->params[k].name, b->param) == 0) from = r->params[k].array.data;
        if (b->data) memcpy(data, b->data, (size_t)mil_type_bytes(&b->type));
        for (int64_t row = 0; from && row < b->rows; row++)
            for (int64_t column = 0; column < b->columns; column++)
                data[b->transposed ? column * b->rows + row : row * b->columns + column] =
                    ane_f16_from_f64(from[row * b->columns + column]);
        for (int32_t v = 0; v < l->f->n_values; v++) {
            mil_constant *c = l->f->values[v].constant;
            if (c && c->blob_path && strcmp(c->blob_path, b->path) == 0) c->data = data;
        }
    }
}

static void compare(
    const mil_lowering *l, const run *r, const mil_function *f, const mil_array *outputs, double tolerance) {
    int seen = 0;
    for (int32_t i = 0; i < l->n_pieces; i++) {
        const mil_piece *p = &l->pieces[i];
        if (p->kind != MIL_PIECE_OUTPUT && p->kind != MIL_PIECE_GUARD_OUT) continue;
        const double *expected = find(r, f, p), *found = outputs[p->port].data;
        int64_t width = l->outputs[p->port].width;
        seen++;
        for (int64_t k = 0; k < p->rows * p->width; k++) {
            double y = found[(p->row + k / p->width) * width + k % p->width],
                   x = expected ? expected[k] : (double)(k + 1);
            if (!(fabs(y - x) <= tolerance * fmax(1, fabs(x))))
                fail_msg("%s[%lld]: expected %g, found %g (weights %d, packed %d %d, inner %d)", p->name,
                    (long long)k, x, y, (int)l->options.weights, l->options.pack_inputs,
                    l->options.pack_outputs, (int)l->options.matmul_inner);
        }
    }
    assert_int_equal(seen, f->n_outputs + 1);
}

static void run_lowered(const mil_lowering *l, const run *r, const mil_function *f, double tolerance) {
    ane_error e = {0};
    mil_array inputs[MOST] = {0}, outputs[MOST] = {0};
    for (int32_t i = 0; i < l->n_inputs; i++) {
        inputs[i].type = l->inputs[i].type;
        inputs[i].data = calloc((size_t)mil_type_count(&inputs[i].type), sizeof(double));
    }
    for (int32_t i = 0; i < l->n_pieces; i++) {
        const mil_piece *p = &l->pieces[i];
        const double *from = find(r, f, p);
        if (p->port == MIL_NONE || p->kind == MIL_PIECE_OUTPUT || p->kind == MIL_PIECE_GUARD_OUT) continue;
        for (int64_t k = 0; k < p->rows * p->width; k++)
            inputs[p->port].data[(p->row + k / p->width) * l->inputs[p->port].width + k % p->width] =
                from ? from[k] : (double)k;
    }
    bake(l, r);
    assert_ok(mil_evaluate(l->f, MIL_EXACT, inputs, 0, NULL, outputs, &e), &e);
    compare(l, r, f, outputs, tolerance);
    for (int32_t i = 0; i < l->n_inputs; i++) free(inputs[i].data);
    for (int32_t i = 0; i < l->n_outputs; i++) free(outputs[i].data);
    for (int32_t v = 0; v < l->f->n_values; v++) {
        mil_constant *c = l->f->values[v].constant;
        if (c && c->blob_path) free((void *)(uintptr_t)c->data);
    }
}

/* No certain rule is broken, and the text says the same. */
static void count_certain(void *context, const mil_finding *finding) {
    int *n = context;
    bool about_speed = strcmp(finding->rule, "ANE-19") == 0 || strcmp(finding->rule, "ANE-28") == 0 ||
                       strcmp(finding->rule, "ANE-03") == 0;
    if (finding->certain && !about_speed) {
        print_message("%s: %s: %s\n", finding->rule, finding->where, finding->detail);
        ++*n;
    }
}

static void check_rules(const mil_lowering *l) {
    int broken = 0;
    mil_check_ane(l->program, count_certain, &broken);
    assert_int_equal(broken, 0);
}

static void same_numbers(const mil_program *p, const mil_lower_options *options, double tolerance) {
    ane_error e = {0};
    const mil_function *f = mil_program_function(p, NULL);
    run r = {0};
    run_original(&r, f);
    mil_lowering *l = mil_lower(p, f, options, &e);
    assert_ok(l != NULL, &e);
    check_rules(l);
    run_lowered(l, &r, f, tolerance);
    mil_lowering_free(l);
    for (int i = 0; i < f->n_inputs; i++) free(r.inputs[i].data);
    for (int i = 0; i < f->n_outputs; i++) free(r.outputs[i].data);
    for (int i = 0; i < r.n_params; i++) free(r.params[i].array.data);
}

static void every_way(const mil_program *p, double tolerance) {
    for (int weights = MIL_WEIGHTS_PACKED; weights <= MIL_WEIGHTS_BAKED; weights++)
        for (int packed = 0; packed < 4; packed++) {
            mil_lower_options options = {.weights = (mil_weight_mode)weights,
                .dialect = packed ? MIL_IOS18 : MIL_IOS16,
                .pack_inputs = packed & 1,
                .pack_outputs = packed & 2,
                .max_dim = 16384,
                .matmul_inner = packed == 3 ? 32 : 0,
                .identity = "test"};
            if (weights == MIL_WEIGHTS_PACKED && !options.pack_inputs) continue;
            same_numbers(p, &options, tolerance);
        }
}

/* ---- programs --------------------------------------------------------------------------------------------------- */

static const ane_model_config small = {.dim = 24,
    .hidden_dim = 36,
    .n_layers = 1,
    .n_heads = 4,
    .n_kv_heads = 2,
    .head_dim = 6,
    .vocab_size = 40,
    .max_seq = 16,
    .norm_eps = 1e-5f,
    .rope_theta = 10000,
    .bos_id = 1,
    .eos_id = 2};

static void both_ways(mil_program *p, double tolerance) {
    static const char *const wrt[] = {"x"};
    const mil_grad_options options = {.n_wrt = 1, .wrt = wrt, .recompute_cheap = true};
    ane_error e = {0};
    mil_gradient *g = mil_differentiate(mil_program_function(p, NULL), &options, &e);
    assert_ok(g != NULL, &e);
    every_way(g->forward, tolerance);
    every_way(g->backward, tolerance);
    mil_gradient_free(g);
    mil_program_free(p);
}

static void test_block(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    const ane_block_shape shape = {.batch = 2, .seq = 8, .dtype = MIL_FP16};
    ane_llama_block(p, &small, &shape);
    both_ways(p, 1e-9);
}

static void test_head(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    ane_llama_head(p, &small, 16, MIL_FP16);
    both_ways(p, 1e-9);
}

static void test_fp32(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    ane_llama_head(p, &small, 16, MIL_FP32);
    both_ways(p, 2e-3);
}

/* Shapes without common rows, scalars' constants, a bias, tile, attention. */
static void test_odd_shapes(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP16, 4, (int64_t[]){1, 3, 7, 5}));
    mil_value y = mil_input(f, "y", mil_tensor(MIL_FP16, 1, (int64_t[]){37}));
    mil_value w = mil_param(f, "a.w", mil_tensor(MIL_FP16, 4, (int64_t[]){2, 3, 1, 1}));
    mil_value b = mil_param(f, "b", mil_tensor(MIL_FP16, 1, (int64_t[]){2}));
    const mil_conv_options with_bias = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .bias = b};
    mil_output(f, "c", mil_conv(f, x, w));
    (void)with_bias;
    mil_output(f, "t", mil_mul_scalar(f, mil_tile(f, x, (int32_t[]){1, 2, 1, 3}), 0.5));
    mil_value q = mil_reshape(f, x, 3, (int64_t[]){1, 21, 5});
    mil_output(f, "a", mil_scaled_dot_product_attention(f, q, q, q, MIL_NONE));
    mil_output(f, "n", mil_add(f, y, mil_reduce_sum(f, b, 0, NULL, false)));
    every_way(p, 1e-3); /* the scale of attention is rounded */
    mil_program_free(p);
}

static const char *compiler_of(const mil_program *p) {
    for (int i = 0; i < p->n_build_info; i++)
        if (strcmp(p->build_info[i].key, "coremlc-version") == 0) return p->build_info[i].value;
    return NULL;
}

/* Apple's compiler wants buildInfo; a text that somebody wrote may have none. */
static void test_build_info(void **state) {
    (void)state;
    static const struct {
        const char *attribute, *compiler;
    } cases[] = {{"", "3505.4.1"}, {"[buildInfo = dict<string, string>({})]", "3505.4.1"},
        {"[buildInfo = dict<string, string>({{\"a\", \"b\"}})]", "3505.4.1"},
        {"[buildInfo = dict<string, string>({{\"coremlc-version\", \"7\"}})]", "7"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[400];
        snprintf(text, sizeof text,
            "program(1.3)\n%s\n{\nfunc main<ios18>(tensor<fp16, [1, 64, 1, 64]> x) {\n"
            "tensor<fp16, [1, 64, 1, 64]> y = exp(x = x)[name = string(\"y\")];\n} -> (y);\n}\n",
            cases[i].attribute);
        ane_error e = {0};
        mil_program *p = mil_parse(text, strlen(text), "t.mil", &e);
        assert_ok(p, &e);
        mil_lowering *l =
            mil_lower(p, mil_program_function(p, NULL), &(mil_lower_options){.dialect = MIL_IOS18}, &e);
        assert_ok(l, &e);
        assert_string_equal(compiler_of(l->program), cases[i].compiler);
        mil_lowering_free(l);
        mil_program_free(p);
    }
}

/* ---- what is refused --------------------------------------------------------------------------------------------- */

static void refused(const mil_program *p, const mil_lower_options *options, ane_code code, const char *part) {
    ane_error e = {0};
    assert_null(mil_lower(p, mil_program_function(p, NULL), options, &e));
    assert_error(&e, code, part);
}

static void test_refused(void **state) {
    (void)state;
    ane_error e = {0};
    const mil_lower_options packed = {
        .weights = MIL_WEIGHTS_PACKED, .pack_inputs = true, .pack_outputs = true, .max_dim = 64};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP16, 4, (int64_t[]){1, 40, 1, 1000}));
    mil_value w = mil_param(f, "w", mil_tensor(MIL_FP16, 4, (int64_t[]){1, 40, 1, 3}));
    mil_value y = mil_conv(f, x, w);
    mil_output(f, "y", y);
    refused(p, &packed, ANE_ERROR_UNSUPPORTED, "needs constant weights");
    mil_lower_options baked = packed;
    baked.weights = MIL_WEIGHTS_BAKED;
    refused(p, &baked, ANE_ERROR_UNSUPPORTED, "do not fit");
    mil_program_free(p);
    p = mil_program_new(MIL_IOS18, &e);
    f = mil_function_new(p, "main");
    mil_output(f, "y", mil_cast(f, mil_input(f, "i", mil_tensor(MIL_INT32, 1, (int64_t[]){4})), MIL_FP16));
    refused(p, &packed, ANE_ERROR_UNSUPPORTED, "float inputs only");
    mil_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_fp32),
        cmocka_unit_test(test_odd_shapes),
        cmocka_unit_test(test_build_info),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
