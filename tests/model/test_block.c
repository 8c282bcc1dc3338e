/* The block's program, run by the reference interpreter, against the mathematics in plain loops. */
#include "support/support.h"

#include "anemone/model.h"
#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIM = 12,
    HIDDEN = 20,
    HEADS = 6,
    KV_HEADS = 2,
    HEAD = 4,
    WIDE = HEADS * HEAD,
    NARROW = KV_HEADS * HEAD
};

static const ane_model_config config = {
    DIM, HIDDEN, 1, HEADS, KV_HEADS, HEAD, 11, 16, 1e-5f, 100, false, -1, -1};

static double *random_array(int64_t n, double scale, double shift, uint64_t seed) {
    double *x = calloc((size_t)n, sizeof *x);
    ane_rng rng = ane_rng_new(seed, 0);
    for (int64_t i = 0; i < n; i++) x[i] = shift + scale * ane_rng_normal(&rng);
    return x;
}

/* ---- the mathematics: everything [token][channel] ------------------------------------------------------ */

typedef struct parameters {
    double *norm1, *q, *k, *v, *o, *norm2, *gate, *up, *down;
} parameters;

static void rms_norm(double *out, const double *x, const double *w) {
    double sum = 0;
    for (int i = 0; i < DIM; i++) sum += x[i] * x[i];
    for (int i = 0; i < DIM; i++) out[i] = w[i] * x[i] / sqrt(sum / DIM + config.norm_eps);
}

static void linear(double *out, const double *w, const double *x, int rows, int columns) {
    for (int r = 0; r < rows; r++) {
        out[r] = 0;
        for (int c = 0; c < columns; c++) out[r] += w[r * columns + c] * x[c];
    }
}

static void rotate(double *x, int heads, int position) {
    for (int h = 0; h < heads; h++)
        for (int i = 0; i < HEAD / 2; i++) {
            double angle = position * pow(config.rope_theta, -2.0 * i / HEAD);
            double a = x[h * HEAD + i], b = x[h * HEAD + i + HEAD / 2];
            x[h * HEAD + i] = a * cos(angle) - b * sin(angle);
            x[h * HEAD + i + HEAD / 2] = b * cos(angle) + a * sin(angle);
        }
}

static void attend(double *out, const double *q, const double *k, const double *v, int n) {
    for (int h = 0; h < HEADS; h++) {
        double p[64], sum = 0;
        int kv = h / (HEADS / KV_HEADS);
        for (int j = 0; j < n; j++) {
            double score = 0;
            for (int i = 0; i < HEAD; i++) score += q[h * HEAD + i] * k[j * NARROW + kv * HEAD + i];
            sum += p[j] = exp(score / sqrt(HEAD));
        }
        for (int i = 0; i < HEAD; i++) {
            out[h * HEAD + i] = 0;
            for (int j = 0; j < n; j++) out[h * HEAD + i] += p[j] / sum * v[j * NARROW + kv * HEAD + i];
        }
    }
}

/* One sequence: x [n][DIM] -> y [n][DIM] */
static void block(double *y, const double *x, int n, const parameters *w) {
    double k[64 * NARROW], v[64 * NARROW];
    for (int s = 0; s < n; s++) {
        double q[WIDE], norm[DIM], a[WIDE], h[DIM], gate[HIDDEN], up[HIDDEN];
        rms_norm(norm, x + s * DIM, w->norm1);
        linear(q, w->q, norm, WIDE, DIM);
        linear(k + s * NARROW, w->k, norm, NARROW, DIM);
        linear(v + s * NARROW, w->v, norm, NARROW, DIM);
        rotate(q, HEADS, s);
        rotate(k + s * NARROW, KV_HEADS, s);
        attend(a, q, k, v, s + 1);
        linear(h, w->o, a, DIM, WIDE);
        for (int i = 0; i < DIM; i++) h[i] += x[s * DIM + i];
        rms_norm(norm, h, w->norm2);
        linear(gate, w->gate, norm, HIDDEN, DIM);
        linear(up, w->up, norm, HIDDEN, DIM);
        for (int i = 0; i < HIDDEN; i++) gate[i] *= up[i] / (1 + exp(-gate[i]));
        linear(y + s * DIM, w->down, gate, DIM, HIDDEN);
        for (int i = 0; i < DIM; i++) y[s * DIM + i] += h[i];
    }
}

/* ---- the program --------------------------------------------------------------------------------------- */

static mil_named_array parameter(const mil_function *f, const char *name, uint64_t seed) {
    const mil_type *type = mil_type_of(f, mil_find(f, name));
    bool norm = strstr(name, "norm") != NULL;
    return (mil_named_array){name, {*type, random_array(mil_type_count(type), norm ? 0.2 : 0.4, norm, seed)}};
}

static const char *const names[9] = {"input_layernorm", "self_attn.q_proj", "self_attn.k_proj",
    "self_attn.v_proj", "self_attn.o_proj", "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj",
    "mlp.down_proj"};

typedef struct fixture {
    mil_program *p;
    mil_function *f;
    mil_named_array params[9];
    parameters w;
} fixture;

static fixture build_as(const ane_block_shape *shape) {
    ane_error e = {0};
    fixture x = {.p = mil_program_new(MIL_IOS18, &e)};
    assert_ok(x.p, &e);
    assert_ok(ane_llama_block(x.p, &config, shape), &x.p->error);
    assert_ok(mil_program_ok(x.p, &e), &e);
    x.f = mil_program_function(x.p, NULL);
    for (int i = 0; i < 9; i++) x.params[i] = parameter(x.f, names[i], (uint64_t)i + 1);
    double **w[9] = {&x.w.norm1, &x.w.q, &x.w.k, &x.w.v, &x.w.o, &x.w.norm2, &x.w.gate, &x.w.up, &x.w.down};
    for (int i = 0; i < 9; i++) *w[i] = x.params[i].array.data;
    return x;
}

static fixture build(int batch, int seq, int cached) {
    return build_as(&(ane_block_shape){batch, seq, cached, MIL_FP32, false, false, MIL_VOID});
}

static void demolish(fixture *x) {
    for (int i = 0; i < 9; i++) free(x->params[i].array.data);
    mil_program_free(x->p);
}

static mil_array input(const fixture *x, const char *name) {
    const mil_type *type = mil_type_of(x->f, mil_find(x->f, name));
    return (mil_array){*type, calloc((size_t)mil_type_count(type), sizeof(double))};
}

static void fill_rope(mil_array *cosines, mil_array *sines, int first, int seq) {
    float c[HEAD / 2 * 64], s[HEAD / 2 * 64];
    ane_rope_table(&config, first, seq, c, s);
    for (int i = 0; i < HEAD / 2 * seq; i++) cosines->data[i] = c[i], sines->data[i] = s[i];
}

static void free_arrays(int n, mil_array *a) {
    for (int i = 0; i < n; i++) free(a[i].data);
}

static void assert_near(double a, double b) {
    if (!(fabs(a - b) < 1e-6 * fmax(1, fabs(b)))) fail_msg("%.12g, expected %.12g", a, b);
}

static void agrees_with_the_mathematics(void **state) {
    (void)state;
    enum { BATCH = 2, SEQ = 5, N = BATCH * SEQ };
    ane_error e = {0};
    fixture t = build(BATCH, SEQ, 0);
    mil_array in[3] = {input(&t, "x"), input(&t, "rope_cos"), input(&t, "rope_sin")}, out[1];
    double *x = random_array(N * DIM, 1, 0, 99), y[SEQ * DIM];
    for (int n = 0; n < N; n++)
        for (int i = 0; i < DIM; i++) in[0].data[i * N + n] = x[n * DIM + i];
    fill_rope(&in[1], &in[2], 0, SEQ);
    assert_int_equal(t.f->n_inputs, 3);
    assert_ok(mil_evaluate(t.f, MIL_EXACT, in, 9, t.params, out, &e), &e);
    for (int b = 0; b < BATCH; b++) {
        block(y, x + b * SEQ * DIM, SEQ, &t.w);
        for (int s = 0; s < SEQ; s++)
            for (int i = 0; i < DIM; i++) assert_near(out[0].data[i * N + b * SEQ + s], y[s * DIM + i]);
    }
    free(x);
    free_arrays(3, in);
    free_arrays(1, out);
    demolish(&t);
}

/* Two calls with a cache of 8 give what one call without gives: 3 tokens, then 4. */
static void cache_changes_nothing(void **state) {
    (void)state;
    enum { CACHED = 8, SEQ = 7 };
    ane_error e = {0};
    double *x = random_array(SEQ * DIM, 1, 0, 99), y[SEQ * DIM];
    double k_cache[NARROW * CACHED] = {0}, v_cache[NARROW * CACHED] = {0};
    for (int call = 0, at = 0; call < 2; call++) {
        int n = call == 0 ? 3 : 4;
        fixture t = build(1, n, CACHED);
        mil_array in[6] = {input(&t, "x"), input(&t, "rope_cos"), input(&t, "rope_sin"), input(&t, "k_cache"),
            input(&t, "v_cache"), input(&t, "cache_mask")};
        mil_array out[3];
        assert_int_equal(t.f->n_inputs, 6);
        for (int s = 0; s < n; s++)
            for (int i = 0; i < DIM; i++) in[0].data[i * n + s] = x[(at + s) * DIM + i];
        fill_rope(&in[1], &in[2], at, n);
        memcpy(in[3].data, k_cache, sizeof k_cache);
        memcpy(in[4].data, v_cache, sizeof v_cache);
        for (int i = at; i < CACHED; i++) in[5].data[i] = -1e4;
        assert_ok(mil_evaluate(t.f, MIL_EXACT, in, 9, t.params, out, &e), &e);
        block(y, x, SEQ, &t.w);
        for (int s = 0; s < n; s++)
            for (int i = 0; i < DIM; i++) assert_near(out[0].data[i * n + s], y[(at + s) * DIM + i]);
        for (int i = 0; i < NARROW; i++)
            for (int s = 0; s < n; s++) {
                k_cache[i * CACHED + at + s] = out[1].data[i * n + s];
                v_cache[i * CACHED + at + s] = out[2].data[i * n + s];
            }
        at += n;
        free_arrays(6, in);
        free_arrays(3, out);
        demolish(&t);
    }
    free(x);
}

/* Fused, the cache is [K, T, E]: 3 tokens without one, 3 more behind it (a mask), one more (their number). */
static void fused_cache_changes_nothing(void **state) {
    (void)state;
    enum { CACHED = 8, SEQ = 7, KV = KV_HEADS, E = HEAD };
    ane_error e = {0};
    double *x = random_array(SEQ * DIM, 1, 0, 99), y[SEQ * DIM], cache[2][NARROW * CACHED] = {{0}};
    const int calls[] = {3, 3, 1};
    for (int call = 0, at = 0; call < 3; call++) {
        int n = calls[call];
        fixture t = build_as(&(ane_block_shape){1, n, call ? CACHED : 0, MIL_FP32, true, true, MIL_BF16});
        int n_inputs = call ? 6 : 3;
        mil_array in[6] = {input(&t, "x"), input(&t, "rope_cos"), input(&t, "rope_sin")}, out[3];
        assert_int_equal(t.f->n_inputs, n_inputs);
        if (call) {
            in[3] = input(&t, "k_cache"), in[4] = input(&t, "v_cache");
            in[5] = input(&t, n == 1 ? "cache_length" : "cache_mask");
            for (int i = 0; i < 2; i++) memcpy(in[3 + i].data, cache[i], sizeof cache[i]);
            for (int i = 0; i < CACHED && n > 1; i++) in[5].data[i] = i < at ? 0 : -1e4;
            if (n == 1) in[5].data[0] = at;
            assert_int_equal(in[3].type.dtype, MIL_BF16);
        }
        for (int s = 0; s < n; s++)
            for (int i = 0; i < DIM; i++) in[0].data[i * n + s] = x[(at + s) * DIM + i];
        fill_rope(&in[1], &in[2], at, n);
        assert_ok(mil_evaluate(t.f, MIL_EXACT, in, 9, t.params, out, &e), &e);
        block(y, x, SEQ, &t.w);
        for (int s = 0; s < n; s++)
            for (int i = 0; i < DIM; i++) assert_near(out[0].data[i * n + s], y[(at + s) * DIM + i]);
        for (int which = 0; which < 2; which++)
            for (int k = 0; k < KV; k++)
                memcpy(&cache[which][(k * CACHED + at) * E], &out[1 + which].data[k * n * E],
                    sizeof(double) * (size_t)(n * E));
        at += n;
        free_arrays(n_inputs, in);
        free_arrays(3, out);
        demolish(&t);
    }
    free(x);
}

static void head(void **state) {
    (void)state;
    enum { N = 3, VOCAB = 11 };
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    assert_ok(ane_llama_head(p, &config, N, MIL_FP32), &p->error);
    mil_function *f = mil_program_function(p, NULL);
    mil_named_array params[2] = {parameter(f, "norm", 1), parameter(f, "lm_head", 2)};
    mil_array x = {*mil_type_of(f, f->inputs[0]), random_array(DIM * N, 1, 0, 3)}, out;
    assert_ok(mil_evaluate(f, MIL_EXACT, &x, 2, params, &out, &e), &e);
    for (int n = 0; n < N; n++) {
        double column[DIM], norm[DIM], logits[VOCAB];
        for (int i = 0; i < DIM; i++) column[i] = x.data[i * N + n];
        rms_norm(norm, column, params[0].array.data);
        linear(logits, params[1].array.data, norm, VOCAB, DIM);
        for (int v = 0; v < VOCAB; v++) assert_near(out.data[v * N + n], logits[v]);
    }
    free(x.data);
    free(out.data);
    free(params[0].array.data);
    free(params[1].array.data);
    mil_program_free(p);
}

static void refused(void **state) {
    (void)state;
    ane_error e = {0};
    const struct {
        ane_block_shape shape;
        const char *part;
    } cases[] = {
        {{0, 4, 0, MIL_FP32, false, false, MIL_VOID}, "found 0 and 4"},
        {{1, -1, 0, MIL_FP32, false, false, MIL_VOID}, "found 1 and -1"},
        {{1, 4, -1, MIL_FP32, false, false, MIL_VOID}, "-1 cached"},
        {{2, 4, 8, MIL_FP32, false, false, MIL_VOID}, "has batch 1, found 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mil_program *p = mil_program_new(MIL_IOS18, &e);
        assert_false(ane_llama_block(p, &config, &cases[i].shape));
        assert_error(&p->error, ANE_ERROR_ARGUMENT, cases[i].part);
        mil_program_free(p);
    }
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    assert_false(ane_llama_head(p, &config, 0, MIL_FP32));
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "at least 1 column");
    ane_model_config bad = config;
    bad.head_dim = 3;
    assert_false(ane_llama_head(p, &bad, 1, MIL_FP32));
    assert_error(&p->error, ANE_ERROR_ARGUMENT, "even");
    mil_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_mathematics),
        cmocka_unit_test(cache_changes_nothing),
        cmocka_unit_test(fused_cache_changes_nothing),
        cmocka_unit_test(head),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
