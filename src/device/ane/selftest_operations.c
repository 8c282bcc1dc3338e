/* selftest_operations.c - operations of which reports differ. */
#include "device/ane/probe.h"
#include "device/ane/selftest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* x [8, 64]^T x [8, 64] of twos: an inner dimension that is no multiple of 32. */
static bool small_inner(engine_probe *t, void *context, ane_error *e) {
    enum { N = 8, W = ENGINE_PROBE_WIDTH };
    (void)context;
    mil_value x = engine_probe_matrix(t, engine_probe_input(t, "anemone_x", N), N, W);
    t->in[0].fill = 2;
    mil_value y = mil_matmul(t->f, x, x, true, false); /* [1, 64, 64] */
    return engine_probe_gives(t, mil_reshape(t->f, y, 4, (int64_t[]){1, W, 1, W}), 4 * N, (int64_t)W * W, e);
}

engine_outcome engine_ask_matmul_inner(engine_device *d, engine_finding *found) {
    bool any = engine_try(d, small_inner, NULL, &found->error);
    d->facts.matmul_inner = any ? 1 : 32;
    return engine_answer(found, any, "any", "multiples of 32");
}

/* Change "KEY = name" of the line that calls `op` into "KEY = VALUE". Caller frees; NULL when there is none. */
static char *written_inside(const char *text, const char *op, const char *key, const char *value) {
    const char *call = strstr(text, op), *at = call ? strstr(call, key) : NULL;
    if (!at) return NULL;
    const char *name = at + strlen(key), *rest = name + strcspn(name, ",)");
    size_t size = strlen(text) + strlen(value) + 1;
    char *changed = malloc(size);
    if (changed) snprintf(changed, size, "%.*s%s%s", (int)(name - text), text, value, rest);
    return changed;
}

static bool concat_inside(engine_probe *t, void *context, ane_error *e) {
    enum { N = 16 };
    (void)context;
    const bool tensors = t->d->facts.dialect == MIL_IOS16;
    t->in[0].fill = 1.5f;
    mil_value x = engine_probe_input(t, "anemone_x", N), twice[2];
    for (int i = 0; i < 2; i++) twice[i] = mil_mul_scalar(t->f, x, 2);
    char *text = engine_probe_text(t, mil_concat(t->f, 2, twice, 1), e);
    char *changed =
        text ? written_inside(text, "= concat(", "axis = ", tensors ? "tensor<int32, []>(1)" : "int32(1)")
             : NULL;
    bool ok = changed ? engine_probe_compile_text(t, changed, 0, NULL, e)
                      : ane_fail(e, ANE_ERROR_MEMORY, "self-test", "no memory for a program");
    free(changed);
    free(text);
    return ok && engine_probe_run(t, e) &&
           engine_probe_holds(t, 0, 3, (int64_t)2 * N * ENGINE_PROBE_WIDTH, e);
}

engine_outcome engine_ask_inline_concat(engine_device *d, engine_finding *found) {
    d->facts.inline_concat = engine_try(d, concat_inside, NULL, &found->error);
    return engine_answer(found, d->facts.inline_concat, "works", "refused");
}

/* Every query may look at key 0 only, whose value is 1; the other 31 values are 2. */
static bool masked_attention(engine_probe *t, void *context, ane_error *e) {
    enum { KEYS = 32, W = ENGINE_PROBE_WIDTH };
    (void)context;
    float x[KEYS * W], mask[KEYS];
    for (int i = 0; i < KEYS * W; i++) x[i] = i < W ? 1 : 2;
    for (int i = 0; i < KEYS; i++) mask[i] = i == 0 ? 0 : -10000;
    t->in[0].data = x;
    t->in[0].n = (int64_t)KEYS * W;
    mil_value in = engine_probe_input(t, "anemone_x", KEYS);
    mil_value v = mil_reshape(t->f, in, 4, (int64_t[]){1, 1, KEYS, W});
    mil_value zero = mil_mul_scalar(t->f, v, 0),
              m = mil_const_floats(t->f, mil_tensor(MIL_FP16, 4, (int64_t[]){1, 1, 1, KEYS}), mask);
    mil_value y = mil_scaled_dot_product_attention(t->f, zero, zero, v, m);
    return engine_probe_gives(
        t, mil_reshape(t->f, y, 4, (int64_t[]){1, KEYS, 1, W}), 1, (int64_t)KEYS * W, e);
}

engine_outcome engine_ask_attention_mask(engine_device *d, engine_finding *found) {
    d->facts.attention_mask = engine_try(d, masked_attention, NULL, &found->error);
    return engine_answer(found, d->facts.attention_mask, "counts", "ignored or refused");
}

engine_outcome engine_ask_tile(engine_device *d, engine_finding *found) {
    (void)d;
    strcpy(found->answer, "not asked: it may poison the process");
    return ENGINE_NOT_ASKED;
}
