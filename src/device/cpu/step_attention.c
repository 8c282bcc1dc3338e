/* Causal attention forward: a head at a time, its queries in blocks, each against the blocks of keys up to its own. */
#include "device/cpu/attention.h"

#include "base/parallel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a thread works with, in its part of the scratch. */
typedef struct room {
    float *keys, *values;     /* operands, a block [padded size, CPU_BLOCK] each */
    float *queries, *product; /* [padded size, CPU_BLOCK] */
    float *scores;            /* [CPU_BLOCK, CPU_BLOCK] */
} room;

static room room_of(float *at, int64_t blocks, int64_t matrix) {
    room r = {.keys = at, .values = at + blocks * matrix};
    r.queries = r.values + blocks * matrix;
    r.product = r.queries + matrix;
    r.scores = r.product + matrix;
    return r;
}

static int64_t room_needed(int64_t blocks, int64_t matrix) {
    return (2 * blocks + 2) * matrix + CPU_BLOCK * CPU_BLOCK;
}

typedef struct job {
    const cpu_attention *a;
    const cpu_run *r;
    cpu_operands operands;
    int64_t size;       /* padded */
    ane_pieces *pieces; /* heads */
} job;

static int64_t positions(const cpu_attention *a, int64_t block) {
    int64_t rest = a->length - block * CPU_BLOCK;
    return rest < CPU_BLOCK ? rest : CPU_BLOCK;
}

/* All keys and values of a head as operands. */
static void prepare(const job *j, const room *w, const float *k, const float *v) {
    const cpu_attention *a = j->a;
    int64_t matrix = j->size * CPU_BLOCK;
    for (int64_t n = 0; n < cpu_blocks(a->length); n++) {
        float *keys = w->keys + n * matrix, *values = w->values + n * matrix;
        float *block = cpu_operands_are_floats(&j->operands) ? keys : w->product;
        j->r->v->load_block(
            block, j->size, k + n * CPU_BLOCK, a->size, a->view[CPU_KEY].stride[3], positions(a, n), 1);
        ane_cpu_operand_left_transposed(&j->operands, keys, block, j->size);
        j->r->v->load_block(
            values, j->size, v + n * CPU_BLOCK, a->size, a->view[CPU_VALUE].stride[3], positions(a, n), 1);
        ane_cpu_operand_left(&j->operands, values, values, j->size, CPU_BLOCK);
    }
}

/* One block of queries, in w->queries as an operand: w->product [size, CPU_BLOCK] = values times softmax, not yet
 * divided by `sum`. */
static void attend(const job *j, const room *w, int64_t block, float *highest, float *sum) {
    const cpu_vectors *v = j->r->v;
    int64_t matrix = j->size * CPU_BLOCK;
    float factor[CPU_BLOCK];
    for (int i = 0; i < CPU_BLOCK; i++) highest[i] = -INFINITY, sum[i] = 0;
    for (int64_t n = 0; n <= block; n++) {
        const cpu_block_product scores = {CPU_BLOCK, CPU_BLOCK, j->size, w->keys + n * matrix, true,
            w->queries, w->scores, false, n == block ? CPU_TRIANGLE_C : CPU_NO_TRIANGLE};
        ane_cpu_block_multiply(&j->operands, &scores);
        if (n == block) ane_cpu_block_mask(w->scores);
        v->softmax_block(w->scores, n == block, highest, sum, factor);
        if (n > 0) v->scale_columns(w->product, j->size, factor);
        ane_cpu_operand_right(&j->operands, w->scores, w->scores, CPU_BLOCK, CPU_BLOCK);
        const cpu_block_product add = {j->size, CPU_BLOCK, CPU_BLOCK, w->values + n * matrix, false,
            w->scores, w->product, n > 0, n == block ? CPU_TRIANGLE_B : CPU_NO_TRIANGLE};
        ane_cpu_block_multiply(&j->operands, &add);
    }
}

static void run_head(const job *j, const room *w, int64_t unit) {
    const cpu_attention *a = j->a;
    int64_t r = unit % a->group, k = unit / a->group % a->groups, b = unit / a->group / a->groups;
    const float *q = cpu_head(a, j->r, CPU_QUERY, b, k, r);
    float *out = cpu_head(a, j->r, CPU_RESULT, b, k, r),
          *statistics = cpu_head(a, j->r, CPU_STATISTICS, b, k, r);
    prepare(j, w, cpu_head(a, j->r, CPU_KEY, b, k, 0), cpu_head(a, j->r, CPU_VALUE, b, k, 0));
    for (int64_t block = 0; block < cpu_blocks(a->length); block++) {
        int64_t at = block * CPU_BLOCK, n = positions(a, block);
        float highest[CPU_BLOCK], sum[CPU_BLOCK];
        j->r->v->load_block(
            w->queries, j->size, q + at, a->size, a->view[CPU_QUERY].stride[3], n, a->scale * cpu_log2_e);
        ane_cpu_operand_right(&j->operands, w->queries, w->queries, j->size, CPU_BLOCK);
        attend(j, w, block, highest, sum);
        for (int64_t i = 0; i < n; i++) statistics[at + i] = highest[i] * cpu_ln_2 + logf(sum[i]);
        for (int64_t i = 0; i < n; i++) sum[i] = 1 / sum[i];
        j->r->v->store_block(out + at, a->size, a->view[CPU_RESULT].stride[3], n, w->product, sum);
    }
}

static void run_part(void *context, int64_t begin, int64_t end) {
    const job *j = context;
    float *scratch = j->r->base[j->a->scratch];
    if (j->operands.pairs) j->operands.pairs->begin();
    for (int64_t part = begin; part < end; part++) {
        room w = room_of(scratch + part * j->a->room, cpu_blocks(j->a->length), j->size * CPU_BLOCK);
        for (int64_t u, end; ane_pieces_next(j->pieces, part, &u, &end);) run_head(j, &w, u);
    }
    if (j->operands.pairs) j->operands.pairs->end();
}

static bool run_attention(const void *data, const cpu_run *r, ane_error *e) {
    (void)e;
    const cpu_attention *a = data;
    int64_t units = a->batch * a->groups * a->group;
    int parts = units < a->threads ? (int)units : a->threads;
    job j = {a, r, ane_cpu_operands(r, a), cpu_padded_size(a), NULL};
    ane_pieces pieces;
    ane_pieces_start(&pieces, units, 1, parts);
    j.pieces = &pieces;
    ane_parallel_for(parts, 1, r->threads, run_part, &j);
    return true;
}

int64_t ane_cpu_attention_room(const cpu_attention *a, bool gradient) {
    int64_t blocks = cpu_blocks(a->length), matrix = cpu_padded_size(a) * CPU_BLOCK;
    return gradient ? ane_cpu_attention_gradient_room(blocks, matrix) : room_needed(blocks, matrix);
}

static void describe_attention(const void *data, char *text, size_t size) {
    const cpu_attention *a = data;
    snprintf(text, size, "%lld x %lld heads (%lld of keys) of [%lld, %lld], causal", (long long)a->batch,
        (long long)a->groups * a->group, (long long)a->groups, (long long)a->size, (long long)a->length);
}

/* `products` of [S, S] by E, half of which is seen; `matrices` [E, S] of queries and of keys. */
static cpu_work work_of(const cpu_attention *a, int products, int query_matrices, int key_matrices) {
    double heads = (double)(a->batch * a->groups * a->group), keys = (double)(a->batch * a->groups);
    double seen = 0.5 * (double)a->length * ((double)a->length + 1),
           matrix = (double)a->size * (double)a->length;
    return (cpu_work){2 * products * heads * seen * (double)a->size,
        4 * matrix * (query_matrices * heads + key_matrices * keys)};
}

static cpu_work work_of_attention(const void *data) {
    return work_of(data, 2, 2, 2);
}

static cpu_work work_of_gradient(const void *data) {
    return work_of(data, 5, 4, 4);
}

const cpu_step_type ane_cpu_attention_step = {"attend", run_attention, describe_attention, work_of_attention};
const cpu_step_type ane_cpu_attention_gradient_step = {
    "attend'", ane_cpu_run_attention_gradient, describe_attention, work_of_gradient};
