/* bench_attention.c - attention: one operation against written out, as convolutions, with the softmax on the host; the block in
 * one dispatch against several (test_ane_causal_attn, test_conv_attn3, test_fused_qkv, test_full_fused, test_fused_bwd). */
#include "measure/check.h"
#include "measure/programs.h"
#include "measure/programs_attention.h"
#include "measure/raw.h"
#include "measure/sequence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static ane_attention_shape shape_of(ane_bench *b, const json_t *row) {
    return (ane_attention_shape){.heads = ane_row_int(row, "heads"),
        .head_dim = ane_row_int(row, "head_dim"),
        .hidden = ane_row_int(row, "hidden"),
        .positions = ane_row_int(row, "positions"),
        .causal = ane_row_flag(row, "causal"),
        .dtype = b->capabilities->activation_dtype};
}

/* ---- one program -------------------------------------------------------------------------------------------------- */

static bool one_program(ane_bench *b, mil_program *p, json_t *row, ane_error *e) {
    bool ok = p && ane_bench_program(b, p, NULL, row, e);
    mil_program_free(p);
    return ok;
}

#define ONE_PROGRAM(name, made_by)                                                                           \
    static bool name(ane_bench *b, const ane_attention_shape *s, json_t *row, ane_error *e) {                \
        return one_program(b, made_by, row, e);                                                              \
    }

ONE_PROGRAM(decomposed, ane_program_decomposed(s, e))
ONE_PROGRAM(convolutions, ane_program_conv_attention(s, e))
ONE_PROGRAM(fused_qkv, ane_program_qkv(s, e))
ONE_PROGRAM(fused_block, ane_program_block(s, ANE_ATTENTION_PART, e))
ONE_PROGRAM(fused_ffn, ane_program_block(s, ANE_FFN_PART, e))
ONE_PROGRAM(fused_layer, ane_program_block(s, ANE_ATTENTION_PART | ANE_FFN_PART, e))
ONE_PROGRAM(fused_backward, ane_program_ffn_backward(s, e))

/* The Neural Engine's device writes attention out before it compiles: the operation itself is for the raw framework. */
static bool one_operation(ane_bench *b, const ane_attention_shape *s, json_t *row, ane_error *e) {
    if (!ane_raw_is_possible(b)) return one_program(b, ane_program_sdpa(s, e), row, e);
    mil_program *p = ane_program_sdpa_packed(s, e);
    bool ok = p && ane_raw_program(b, p, row, e);
    mil_program_free(p);
    return ok;
}

/* ---- the softmax on the host -------------------------------------------------------------------------------------- */

typedef struct host_softmax {
    const ane_attention_shape *s;
    ane_buffer *scores, *probs;
    bool keys_first; /* scores [1, N * S (keys), 1, S]; else [1, N, S, S (keys)] */
    float *x;        /* N * S * S */
} host_softmax;

/* In place, over keys `stride` elements apart, `usable` of n of them. */
static void softmax_column(float *x, int64_t n, int64_t stride, int64_t usable, float scale) {
    float most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < usable; i++) most = fmaxf(most, scale * x[i * stride]);
    for (int64_t i = 0; i < n; i++) {
        float p = i < usable ? expf(scale * x[i * stride] - most) : 0;
        x[i * stride] = p;
        sum += p;
    }
    for (int64_t i = 0; i < usable; i++) x[i * stride] /= sum;
}

/* An ane_sequence's `between`: behind the first program. */
static bool soften(ane_sequence *q, int index, ane_error *e) {
    const host_softmax *h = q->context;
    const int64_t n = h->s->positions, count = h->s->heads * n * n;
    const float scale = (float)(1 / sqrt((double)h->s->head_dim));
    if (index != 0) return true;
    if (!ane_buffer_read_f32(h->scores, h->x, count, e)) return false;
    for (int64_t head = 0; head < h->s->heads; head++)
        for (int64_t i = 0; i < n; i++) {
            float *x = h->x + head * n * n + (h->keys_first ? i : i * n);
            softmax_column(x, n, h->keys_first ? n : 1, h->s->causal ? i + 1 : n, scale);
        }
    return ane_buffer_write_f32(h->probs, h->x, count, e);
}

/* What the whole should be, from the inputs of the parts. */
static bool check_whole(
    ane_sequence *q, mil_program *whole, int n, ane_buffer *const *inputs, json_t *row, ane_error *e) {
    float *x[4] = {0}, *y = NULL;
    bool ok = whole != NULL;
    for (int i = 0; ok && i < n; i++) ok = (x[i] = ane_buffer_copy(inputs[i], e)) != NULL;
    y = ok ? ane_buffer_copy(ane_trial_buffer(q->trials[q->n - 1], "y"), e) : NULL;
    ok = y && ane_check_output(q->bench, whole, (const float *const *)x, y, 0, row, e);
    for (int i = 0; i < n; i++) free(x[i]);
    free(y);
    mil_program_free(whole);
    return ok;
}

static bool with_softmax(ane_sequence *q, host_softmax *h, json_t *row, ane_error *e) {
    h->scores = ane_trial_buffer(q->trials[0], "y");
    h->probs = ane_trial_buffer(q->trials[1], "probs");
    h->x = calloc((size_t)(h->s->heads * h->s->positions * h->s->positions), sizeof *h->x);
    if (!h->x) return ane_fail(e, ANE_ERROR_MEMORY, "attention", "out of memory");
    q->between = soften;
    q->context = h;
    bool ok = ane_sequence_time(q, row, e);
    free(h->x);
    return ok;
}

static bool product_softmax(ane_bench *b, const ane_attention_shape *s, json_t *row, ane_error *e) {
    ane_sequence q = {.bench = b};
    host_softmax h = {.s = s};
    bool ok = ane_sequence_add(&q, ane_program_scores(s, e), e) &&
              ane_sequence_add(&q, ane_program_mix(s, e), e) && with_softmax(&q, &h, row, e);
    if (ok) {
        ane_buffer *const inputs[] = {ane_trial_buffer(q.trials[0], "q"), ane_trial_buffer(q.trials[0], "k"),
            ane_trial_buffer(q.trials[1], "v")};
        ok = check_whole(&q, ane_program_decomposed(s, e), 3, inputs, row, e);
    }
    ane_sequence_free(&q);
    return ok;
}

static bool convolution_softmax(ane_bench *b, const ane_attention_shape *s, json_t *row, ane_error *e) {
    ane_sequence q = {.bench = b};
    host_softmax h = {.s = s, .keys_first = true};
    bool ok = ane_sequence_add(&q, ane_program_conv_scores(s, e), e) &&
              ane_sequence_add(&q, ane_program_conv_mix(s, e), e) && with_softmax(&q, &h, row, e);
    if (ok) {
        ane_buffer *const inputs[] = {ane_trial_buffer(q.trials[0], "q")};
        ok = check_whole(&q, ane_program_conv_attention(s, e), 1, inputs, row, e);
    }
    ane_sequence_free(&q);
    return ok;
}

/* ---- several dispatches ------------------------------------------------------------------------------------------- */

static mil_program *projection(const ane_attention_shape *s, ane_error *e) {
    const int64_t d = s->heads * s->head_dim;
    return ane_program_conv(&(ane_conv1){.in = d, .out = d, .positions = s->positions, .dtype = s->dtype}, e);
}

static bool separate_qkv(ane_bench *b, const ane_attention_shape *s, json_t *row, ane_error *e) {
    ane_sequence q = {.bench = b};
    bool ok = true;
    for (int i = 0; i < 3 && ok; i++) ok = ane_sequence_add(&q, projection(s, e), e);
    ok = ok && ane_sequence_time(&q, row, e) && ane_sequence_verify(&q, row, e);
    ane_sequence_free(&q);
    return ok;
}

/* Programs that hand their y on as the next one's x; `whole` is all of them in one. */
static bool chained(
    ane_bench *b, int n, mil_program *const *parts, mil_program *whole, json_t *row, ane_error *e) {
    ane_sequence q = {.bench = b};
    bool ok = whole != NULL;
    for (int i = 0; i < n; i++) {
        if (ok)
            ok = ane_sequence_add(&q, parts[i], e) &&
                 (i == 0 || ane_sequence_chain(&q, i - 1, "y", i, "x", e));
        else
            mil_program_free(parts[i]);
    }
    ok = ok && ane_sequence_time(&q, row, e);
    if (ok) {
        ane_buffer *const x[] = {ane_trial_buffer(q.trials[0], "x")};
        ok = check_whole(&q, whole, 1, x, row, e);
    } else
        mil_program_free(whole);
    ane_sequence_free(&q);
    return ok;
}

static bool separate_block(ane_bench *b, const ane_attention_shape *s, json_t *row, ane_error *e) {
    mil_program *const parts[] = {ane_program_qkv(s, e), ane_program_attend(s, e), ane_program_output(s, e)};
    return chained(b, 3, parts, ane_program_plain_attention(s, e), row, e);
}

static bool separate_layer(ane_bench *b, const ane_attention_shape *s, json_t *row, ane_error *e) {
    mil_program *const parts[] = {
        ane_program_block(s, ANE_ATTENTION_PART, e), ane_program_block(s, ANE_FFN_PART, e)};
    return chained(b, 2, parts, ane_program_block(s, ANE_ATTENTION_PART | ANE_FFN_PART, e), row, e);
}

typedef struct host_sum {
    ane_buffer *parts[2];
    int64_t n;
    float *sum, *x; /* n each */
} host_sum;

static bool add_up(ane_sequence *q, int index, ane_error *e) {
    const host_sum *h = q->context;
    if (!ane_buffer_read_f32(h->parts[index], index ? h->x : h->sum, h->n, e)) return false;
    for (int64_t i = 0; index && i < h->n; i++) h->sum[i] += h->x[i];
    return true;
}

/* dh1 and dh3 as the fused program takes them. */
static bool check_sum(
    const ane_attention_shape *s, ane_sequence *q, const host_sum *h, json_t *row, ane_error *e) {
    const int64_t half = s->hidden * s->positions;
    mil_program *whole = ane_program_ffn_backward(s, e);
    float *dh = calloc((size_t)(2 * half), sizeof *dh);
    bool ok = whole && (dh || ane_fail(e, ANE_ERROR_MEMORY, "attention", "out of memory"));
    for (int i = 0; i < 2 && ok; i++)
        ok = ane_buffer_read_f32(ane_trial_buffer(q->trials[i], "x"), dh + i * half, half, e);
    const float *const inputs[] = {dh};
    ok = ok && ane_check_output(q->bench, whole, inputs, h->sum, 0, row, e);
    free(dh);
    mil_program_free(whole);
    return ok;
}

static bool separate_backward(ane_bench *b, const ane_attention_shape *s, json_t *row, ane_error *e) {
    ane_sequence q = {.bench = b, .between = add_up};
    host_sum h = {.n = s->heads * s->head_dim * s->positions};
    q.context = &h;
    bool ok = ane_sequence_add(&q, ane_program_ffn_backward_half(s, 0, e), e) &&
              ane_sequence_add(&q, ane_program_ffn_backward_half(s, 1, e), e);
    for (int i = 0; i < 2 && ok; i++) h.parts[i] = ane_trial_buffer(q.trials[i], "y");
    h.sum = calloc((size_t)h.n, sizeof *h.sum);
    h.x = calloc((size_t)h.n, sizeof *h.x);
    if (ok && (!h.sum || !h.x)) ok = ane_fail(e, ANE_ERROR_MEMORY, "attention", "out of memory");
    ok = ok && ane_sequence_time(&q, row, e) && check_sum(s, &q, &h, row, e);
    free(h.sum);
    free(h.x);
    ane_sequence_free(&q);
    return ok;
}

/* ---- the cases ---------------------------------------------------------------------------------------------------- */

static const struct way {
    const char *name;
    bool causal, quick;
    bool (*run)(ane_bench *b, const ane_attention_shape *s, json_t *row, ane_error *e);
} ways[] = {
    {"sdpa", false, true, one_operation},
    {"decomposed", false, true, decomposed},
    {"causal", true, false, decomposed},
    {"host-softmax", true, true, product_softmax},
    {"conv", false, true, convolutions},
    {"conv-host-softmax", false, false, convolution_softmax},
    {"fused-qkv", false, true, fused_qkv},
    {"separate-qkv", false, true, separate_qkv},
    {"fused-block", true, true, fused_block},
    {"separate-block", true, false, separate_block},
    {"fused-ffn", false, false, fused_ffn},
    {"fused-layer", true, false, fused_layer},
    {"separate-layer", true, false, separate_layer},
    {"fused-backward", false, true, fused_backward},
    {"separate-backward", false, true, separate_backward},
};
enum { N_WAYS = sizeof ways / sizeof *ways };

/* Stories110M's sizes; 64 positions as in the field's tests, 256 as in its training. */
static void cases(ane_bench *b, json_t *list) {
    static const int positions[] = {64, 256};
    for (int k = 0; k < (b->options.quick ? 1 : 2); k++)
        for (int i = 0; i < N_WAYS; i++) {
            if (b->options.quick && !ways[i].quick) continue;
            json_t *config = json_pack("{s:s, s:i, s:i, s:i, s:i, s:b}", "way", ways[i].name, "heads", 12,
                "head_dim", 64, "hidden", 2048, "positions", positions[k], "causal", ways[i].causal);
            ane_case_add(list, config, "%s-%d", ways[i].name, positions[k]);
        }
    ane_case_add(list, /* as recorded of the E5 path: one head */
        json_pack("{s:s, s:i, s:i, s:i, s:i, s:b}", "way", "sdpa", "heads", 1, "head_dim", 64, "hidden", 64,
            "positions", 256, "causal", false),
        "sdpa 1x256x64");
}

static bool run(ane_bench *b, json_t *row, ane_error *e) {
    const ane_attention_shape s = shape_of(b, row);
    for (int i = 0; i < N_WAYS; i++)
        if (strcmp(ways[i].name, ane_row_text(row, "way")) == 0) return ways[i].run(b, &s, row, e);
    return ane_fail(e, ANE_ERROR_ARGUMENT, "attention", "there is no way \"%s\"", ane_row_text(row, "way"));
}

const ane_benchmark ane_bench_attention = {
    .info = {"attention", "attention and its block: one operation, written out, convolutions, fused or not",
        "test_ane_causal_attn, test_conv_attn3, test_fused_qkv, test_full_fused, test_fused_bwd"},
    .cases = cases,
    .run = run,
};
