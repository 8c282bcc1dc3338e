/* programs_attention.c - see programs_attention.h. */
#include "measure/programs_attention.h"

#include "measure/programs.h"

#include <math.h>
#include <stdlib.h>

/* Streams of random numbers: each matrix has its own. */
enum { STREAM_Q = 1, STREAM_K, STREAM_V, STREAM_O, STREAM_1, STREAM_2, STREAM_3 };

static mil_type channels(const ane_attention_shape *s, int64_t n) {
    return mil_tensor(s->dtype, 4, (int64_t[]){1, n, 1, s->positions});
}

static mil_type heads(const ane_attention_shape *s) {
    return mil_tensor(s->dtype, 4, (int64_t[]){1, s->heads, s->positions, s->head_dim});
}

static int64_t width(const ane_attention_shape *s) {
    return s->heads * s->head_dim;
}

/* ---- from begin to end -------------------------------------------------------------------------------------------- */

typedef mil_value body(mil_function *f, const ane_attention_shape *s);

/* A program whose one output, "y", the body makes of inputs that it declares. */
static mil_program *program(const ane_attention_shape *s, body *make, ane_error *e) {
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return NULL;
    mil_function *f = mil_function_new(p, "main");
    mil_output(f, "y", make(f, s));
    if (mil_program_ok(p, e)) return p;
    mil_program_free(p);
    return NULL;
}

/* ---- attention as products ---------------------------------------------------------------------------------------- */

/* 0 where the key is not behind the query, else -65504: queries along the rows, or keys when `keys_first`. */
static mil_value causal_mask(mil_function *f, const ane_attention_shape *s, bool keys_first) {
    const int64_t n = s->positions;
    float *mask = calloc((size_t)(n * n), sizeof *mask);
    if (!mask) {
        ane_fail(&f->program->error, ANE_ERROR_MEMORY, "mask", "out of memory");
        return MIL_NONE;
    }
    for (int64_t query = 0; query < n; query++)
        for (int64_t key = query + 1; key < n; key++)
            mask[keys_first ? key * n + query : query * n + key] = -65504;
    mil_value v = mil_const_floats(f, mil_tensor(s->dtype, 4, (int64_t[]){1, 1, n, n}), mask);
    free(mask);
    return v;
}

static mil_value scores(mil_function *f, mil_value q, mil_value k) { /* [1, N, S, S] */
    return mil_matmul(f, q, k, false, true);
}

/* Scores to probabilities; keys are the last axis, or the one before. */
static mil_value probabilities(mil_function *f, const ane_attention_shape *s, mil_value x, bool keys_first) {
    x = mil_mul_scalar(f, x, 1 / sqrt((double)s->head_dim));
    if (s->causal) x = mil_add(f, x, causal_mask(f, s, keys_first));
    return mil_softmax(f, x, keys_first ? -2 : -1);
}

static mil_value attend(
    mil_function *f, const ane_attention_shape *s, mil_value q, mil_value k, mil_value v) { /* [1, N, S, E] */
    return mil_matmul(f, probabilities(f, s, scores(f, q, k), false), v, false, false);
}

static mil_value make_sdpa(mil_function *f, const ane_attention_shape *s) {
    mil_value q = mil_input(f, "q", heads(s)), k = mil_input(f, "k", heads(s)),
              v = mil_input(f, "v", heads(s));
    return mil_scaled_dot_product_attention(f, q, k, v, MIL_NONE);
}

/* Packed along the heads' axis: one surface. */
static mil_value make_sdpa_packed(mil_function *f, const ane_attention_shape *s) {
    const int32_t n = (int32_t)s->heads, size[] = {1, n, (int32_t)s->positions, (int32_t)s->head_dim};
    const mil_type type = mil_tensor(s->dtype, 4, (int64_t[]){1, 3 * s->heads, s->positions, s->head_dim});
    mil_value x = mil_input(f, "x", type), part[3];
    for (int32_t i = 0; i < 3; i++) part[i] = mil_slice_by_size(f, x, (int32_t[]){0, i * n, 0, 0}, size);
    return mil_scaled_dot_product_attention(f, part[0], part[1], part[2], MIL_NONE);
}

static mil_value make_decomposed(mil_function *f, const ane_attention_shape *s) {
    mil_value q = mil_input(f, "q", heads(s)), k = mil_input(f, "k", heads(s)),
              v = mil_input(f, "v", heads(s));
    return attend(f, s, q, k, v);
}

static mil_value make_scores(mil_function *f, const ane_attention_shape *s) {
    mil_value q = mil_input(f, "q", heads(s)), k = mil_input(f, "k", heads(s));
    return scores(f, q, k);
}

static mil_value make_mix(mil_function *f, const ane_attention_shape *s) {
    const mil_type square = mil_tensor(s->dtype, 4, (int64_t[]){1, s->heads, s->positions, s->positions});
    mil_value probs = mil_input(f, "probs", square), v = mil_input(f, "v", heads(s));
    return mil_matmul(f, probs, v, false, false);
}

mil_program *ane_program_sdpa(const ane_attention_shape *s, ane_error *e) {
    return program(s, make_sdpa, e);
}

mil_program *ane_program_sdpa_packed(const ane_attention_shape *s, ane_error *e) {
    return program(s, make_sdpa_packed, e);
}

mil_program *ane_program_decomposed(const ane_attention_shape *s, ane_error *e) {
    return program(s, make_decomposed, e);
}

mil_program *ane_program_scores(const ane_attention_shape *s, ane_error *e) {
    return program(s, make_scores, e);
}

mil_program *ane_program_mix(const ane_attention_shape *s, ane_error *e) {
    return program(s, make_mix, e);
}

/* ---- attention as grouped convolutions ---------------------------------------------------------------------------- */

static mil_value grouped(mil_function *f, const ane_attention_shape *s, mil_value x, mil_value weight) {
    const mil_conv_options options = {
        .stride = {1, 1}, .dilation = {1, 1}, .groups = (int32_t)s->heads, .bias = MIL_NONE};
    return mil_conv_with(f, x, weight, &options);
}

/* Keys as they come from a normal x: elements of variance 1, as queries have. */
static mil_value conv_scores(
    mil_function *f, const ane_attention_shape *s, mil_value q) { /* [1, N S, 1, S] */
    mil_value keys = ane_program_weight(f, s->heads * s->positions, s->head_dim, s->dtype, NULL, STREAM_K);
    return mil_mul_scalar(f, grouped(f, s, q, keys), sqrt((double)s->head_dim));
}

static mil_value conv_mix(mil_function *f, const ane_attention_shape *s, mil_value probs) { /* [1, D, 1, S] */
    mil_value values = ane_program_weight(f, width(s), s->positions, s->dtype, NULL, STREAM_V);
    return grouped(f, s, probs, values);
}

static mil_value make_conv_attention(mil_function *f, const ane_attention_shape *s) {
    const int64_t n = s->positions;
    mil_value x = conv_scores(f, s, mil_input(f, "q", channels(s, width(s))));
    x = probabilities(f, s, mil_reshape(f, x, 4, (int64_t[]){1, s->heads, n, n}), true);
    return conv_mix(f, s, mil_reshape(f, x, 4, (int64_t[]){1, s->heads * n, 1, n}));
}

static mil_value make_conv_scores(mil_function *f, const ane_attention_shape *s) {
    return conv_scores(f, s, mil_input(f, "q", channels(s, width(s))));
}

static mil_value make_conv_mix(mil_function *f, const ane_attention_shape *s) {
    return conv_mix(f, s, mil_input(f, "probs", channels(s, s->heads * s->positions)));
}

mil_program *ane_program_conv_attention(const ane_attention_shape *s, ane_error *e) {
    return program(s, make_conv_attention, e);
}

mil_program *ane_program_conv_scores(const ane_attention_shape *s, ane_error *e) {
    return program(s, make_conv_scores, e);
}

mil_program *ane_program_conv_mix(const ane_attention_shape *s, ane_error *e) {
    return program(s, make_conv_mix, e);
}

/* ---- the block ---------------------------------------------------------------------------------------------------- */

static mil_value linear(
    mil_function *f, const ane_attention_shape *s, mil_value x, int64_t out, int64_t in, uint64_t stream) {
    return mil_conv(f, x, ane_program_weight(f, out, in, s->dtype, NULL, stream));
}

static mil_value to_heads(mil_function *f, const ane_attention_shape *s, mil_value x) { /* -> [1, N, S, E] */
    x = mil_reshape(f, x, 4, (int64_t[]){1, s->heads, s->head_dim, s->positions});
    return mil_transpose(f, x, (int32_t[]){0, 1, 3, 2});
}

static mil_value from_heads(
    mil_function *f, const ane_attention_shape *s, mil_value x) { /* -> [1, D, 1, S] */
    x = mil_transpose(f, x, (int32_t[]){0, 1, 3, 2});
    return mil_reshape(f, x, 4, (int64_t[]){1, width(s), 1, s->positions});
}

static void qkv(mil_function *f, const ane_attention_shape *s, mil_value x, mil_value part[3]) {
    static const uint64_t streams[] = {STREAM_Q, STREAM_K, STREAM_V};
    for (int i = 0; i < 3; i++) part[i] = linear(f, s, x, width(s), width(s), streams[i]);
}

static mil_value attend_parts(mil_function *f, const ane_attention_shape *s, const mil_value part[3]) {
    mil_value q = to_heads(f, s, part[0]), k = to_heads(f, s, part[1]), v = to_heads(f, s, part[2]);
    return from_heads(f, s, attend(f, s, q, k, v));
}

static mil_value attention(mil_function *f, const ane_attention_shape *s, mil_value x) {
    mil_value part[3];
    qkv(f, s, x, part);
    return linear(f, s, attend_parts(f, s, part), width(s), width(s), STREAM_O);
}

static mil_value feed_forward(mil_function *f, const ane_attention_shape *s, mil_value x) {
    const int64_t d = width(s);
    mil_value gate = mil_silu(f, linear(f, s, x, s->hidden, d, STREAM_1));
    mil_value up = linear(f, s, x, s->hidden, d, STREAM_3);
    return mil_add(f, x, linear(f, s, mil_mul(f, gate, up), d, s->hidden, STREAM_2));
}

static mil_value make_plain_attention(mil_function *f, const ane_attention_shape *s) {
    return attention(f, s, mil_input(f, "x", channels(s, width(s))));
}

static mil_value make_attention_part(mil_function *f, const ane_attention_shape *s) {
    mil_value x = mil_input(f, "x", channels(s, width(s)));
    return mil_add(f, x, attention(f, s, x));
}

static mil_value make_ffn_part(mil_function *f, const ane_attention_shape *s) {
    return feed_forward(f, s, mil_input(f, "x", channels(s, width(s))));
}

static mil_value make_both(mil_function *f, const ane_attention_shape *s) {
    return feed_forward(f, s, make_attention_part(f, s));
}

mil_program *ane_program_block(const ane_attention_shape *s, int parts, ane_error *e) {
    if (parts == ANE_ATTENTION_PART) return program(s, make_attention_part, e);
    return program(s, parts == ANE_FFN_PART ? make_ffn_part : make_both, e);
}

static mil_value make_qkv(mil_function *f, const ane_attention_shape *s) {
    mil_value part[3];
    qkv(f, s, mil_input(f, "x", channels(s, width(s))), part);
    return mil_concat(f, 3, part, 1);
}

static mil_value make_attend(mil_function *f, const ane_attention_shape *s) {
    mil_value part[3];
    mil_split(f, mil_input(f, "x", channels(s, 3 * width(s))), 3, 1, part);
    return attend_parts(f, s, part);
}

static mil_value make_output(mil_function *f, const ane_attention_shape *s) {
    return linear(f, s, mil_input(f, "x", channels(s, width(s))), width(s), width(s), STREAM_O);
}

mil_program *ane_program_qkv(const ane_attention_shape *s, ane_error *e) {
    return program(s, make_qkv, e);
}

mil_program *ane_program_attend(const ane_attention_shape *s, ane_error *e) {
    return program(s, make_attend, e);
}

mil_program *ane_program_output(const ane_attention_shape *s, ane_error *e) {
    return program(s, make_output, e);
}

mil_program *ane_program_plain_attention(const ane_attention_shape *s, ane_error *e) {
    return program(s, make_plain_attention, e);
}

static mil_value make_ffn_backward(mil_function *f, const ane_attention_shape *s) {
    mil_value halves[2];
    mil_split(f, mil_input(f, "dh", channels(s, 2 * s->hidden)), 2, 1, halves);
    mil_value dx = linear(f, s, halves[0], width(s), s->hidden, STREAM_1);
    return mil_add(f, dx, linear(f, s, halves[1], width(s), s->hidden, STREAM_3));
}

mil_program *ane_program_ffn_backward(const ane_attention_shape *s, ane_error *e) {
    return program(s, make_ffn_backward, e);
}

static mil_value make_half(mil_function *f, const ane_attention_shape *s, uint64_t stream) {
    return linear(f, s, mil_input(f, "x", channels(s, s->hidden)), width(s), s->hidden, stream);
}

static mil_value make_first_half(mil_function *f, const ane_attention_shape *s) {
    return make_half(f, s, STREAM_1);
}

static mil_value make_second_half(mil_function *f, const ane_attention_shape *s) {
    return make_half(f, s, STREAM_3);
}

mil_program *ane_program_ffn_backward_half(const ane_attention_shape *s, int half, ane_error *e) {
    return program(s, half ? make_second_half : make_first_half, e);
}
