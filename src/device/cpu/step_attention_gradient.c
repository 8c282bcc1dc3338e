/* The gradient of causal attention: scores are computed again from queries, keys and the softmax's statistics.
 *
 * With p = exp(scores - statistics) and dp = v^T d, both [keys, queries] here: ds = p (dp - mean), mean = the sum over a
 * head's elements of d * result; dv += d p^T, dk += scale q ds^T, dq = scale k ds. A unit is a group of heads with
 * one key and value head, whose derivatives it adds up.
 */
#include "device/cpu/attention.h"

#include "base/parallel.h"

#include <math.h>
#include <string.h>

/* What a thread works with. Arrays of blocks have one per CPU_BLOCK positions; a block is [padded size, CPU_BLOCK] or,
 * transposed, [CPU_BLOCK, padded size]. */
typedef struct room {
    float *key_t, *key, *value_t; /* operands of the group */
    float *query, *query_t;       /* operands of the head, scaled, by log2 e too */
    float *d_result, *d_result_t; /* operands of the head */
    float *d_query;               /* of the head */
    float *d_key_t, *d_value_t;   /* of the group, transposed */
    float *mean, *statistics;     /* [CPU_BLOCK] for each block */
    float *p, *ds, *operand;      /* [CPU_BLOCK, CPU_BLOCK] */
    float *block;                 /* one more */
} room;

enum { ARRAYS = 10 };

int64_t ane_cpu_attention_gradient_room(int64_t blocks, int64_t matrix) {
    return (ARRAYS * blocks + 1) * matrix + 2 * blocks * CPU_BLOCK + 3 * CPU_BLOCK * CPU_BLOCK;
}

static room room_of(float *at, int64_t blocks, int64_t matrix) {
    room r = {0};
    float **const arrays[ARRAYS] = {&r.key_t, &r.key, &r.value_t, &r.query, &r.query_t, &r.d_result,
        &r.d_result_t, &r.d_query, &r.d_key_t, &r.d_value_t};
    for (int i = 0; i < ARRAYS; i++, at += blocks * matrix) *arrays[i] = at;
    r.block = at;
    r.mean = at + matrix;
    r.statistics = r.mean + blocks * CPU_BLOCK;
    r.p = r.statistics + blocks * CPU_BLOCK;
    r.ds = r.p + CPU_BLOCK * CPU_BLOCK;
    r.operand = r.ds + CPU_BLOCK * CPU_BLOCK;
    return r;
}

typedef struct job {
    const cpu_attention *a;
    const cpu_run *r;
    cpu_operands operands;
    int64_t size, matrix, blocks; /* size: padded; matrix: floats of a block */
    ane_pieces *pieces;           /* groups of heads */
} job;

static int64_t positions(const job *j, int64_t block) {
    int64_t rest = j->a->length - block * CPU_BLOCK;
    return rest < CPU_BLOCK ? rest : CPU_BLOCK;
}

static void load(
    const job *j, float *to, cpu_attention_view which, const float *head, int64_t n, float scale) {
    j->r->v->load_block(
        to, j->size, head + n * CPU_BLOCK, j->a->size, j->a->view[which].stride[3], positions(j, n), scale);
}

/* Where a block is loaded that becomes the operand at `to`: floats at once there. */
static float *loaded(const job *j, const room *w, float *to) {
    return cpu_operands_are_floats(&j->operands) ? to : w->block;
}

static void prepare_group(const job *j, const room *w, const float *k, const float *v) {
    for (int64_t n = 0; n < j->blocks; n++) {
        float *key_t = w->key_t + n * j->matrix, *key = w->key + n * j->matrix,
              *value_t = w->value_t + n * j->matrix, *block = loaded(j, w, key_t);
        load(j, block, CPU_KEY, k, n, 1);
        if (key != key_t) ane_cpu_operand_left(&j->operands, key, block, j->size, CPU_BLOCK);
        ane_cpu_operand_left_transposed(&j->operands, key_t, block, j->size);
        block = loaded(j, w, value_t);
        load(j, block, CPU_VALUE, v, n, 1);
        ane_cpu_operand_left_transposed(&j->operands, value_t, block, j->size);
    }
    memset(w->d_key_t, 0, (size_t)(j->blocks * j->matrix) * sizeof(float));
    memset(w->d_value_t, 0, (size_t)(j->blocks * j->matrix) * sizeof(float));
}

/* A block as an operand, and its transpose as one. */
static void both_ways(const job *j, const float *block, float *down, float *transposed) {
    j->r->v->transpose(transposed, j->size, block, CPU_BLOCK, j->size, CPU_BLOCK);
    ane_cpu_operand_right(&j->operands, down, block, j->size, CPU_BLOCK);
    ane_cpu_operand_right(&j->operands, transposed, transposed, CPU_BLOCK, j->size);
}

static void prepare_head(const job *j, const room *w, int64_t b, int64_t k, int64_t r) {
    const cpu_attention *a = j->a;
    const float *q = cpu_head(a, j->r, CPU_QUERY, b, k, r), *d = cpu_head(a, j->r, CPU_D_RESULT, b, k, r),
                *y = cpu_head(a, j->r, CPU_RESULT, b, k, r), *s = cpu_head(a, j->r, CPU_STATISTICS, b, k, r);
    int64_t y_stride = a->view[CPU_RESULT].stride[3];
    for (int64_t n = 0; n < j->blocks; n++) {
        float *mean = w->mean + n * CPU_BLOCK, *statistics = w->statistics + n * CPU_BLOCK;
        float *query = w->query + n * j->matrix, *d_result = w->d_result + n * j->matrix,
              *block = loaded(j, w, query);
        load(j, block, CPU_QUERY, q, n, a->scale * cpu_log2_e);
        both_ways(j, block, query, w->query_t + n * j->matrix);
        block = loaded(j, w, d_result);
        load(j, block, CPU_D_RESULT, d, n, 1);
        both_ways(j, block, d_result, w->d_result_t + n * j->matrix);
        for (int64_t i = 0; i < CPU_BLOCK; i++)
            statistics[i] = i < positions(j, n) ? s[n * CPU_BLOCK + i] * cpu_log2_e : INFINITY;
        j->r->v->dot_block(mean, block, y + n * CPU_BLOCK, a->size, y_stride, positions(j, n));
    }
    memset(w->d_query, 0, (size_t)(j->blocks * j->matrix) * sizeof(float));
}

/* w->p = probabilities and w->ds = their scores' derivative, of the keys of one block and the queries of another. */
static void scores(const job *j, const room *w, int64_t key, int64_t query) {
    const cpu_vectors *v = j->r->v;
    const cpu_block_product s = {CPU_BLOCK, CPU_BLOCK, j->size, w->key_t + key * j->matrix, true,
        w->query + query * j->matrix, w->p, false, key == query ? CPU_TRIANGLE_C : CPU_NO_TRIANGLE};
    const cpu_block_product dp = {CPU_BLOCK, CPU_BLOCK, j->size, w->value_t + key * j->matrix, true,
        w->d_result + query * j->matrix, w->ds, false, key == query ? CPU_TRIANGLE_C : CPU_NO_TRIANGLE};
    ane_cpu_block_multiply(&j->operands, &s);
    if (key == query) ane_cpu_block_mask(w->p);
    v->exp_block(w->p, key == query, w->statistics + query * CPU_BLOCK);
    ane_cpu_block_multiply(&j->operands, &dp);
    v->softmax_gradient_block(w->ds, w->p, key == query, w->mean + query * CPU_BLOCK);
}

static void add_block(const job *j, const room *w, int64_t key, int64_t query) {
    const cpu_operands *o = &j->operands;
    bool floats = cpu_operands_are_floats(o), diagonal = key == query;
    float *p = floats ? w->p : w->operand, *ds = floats ? w->ds : w->operand;
    cpu_triangle a = diagonal ? CPU_TRIANGLE_A : CPU_NO_TRIANGLE,
                 b = diagonal ? CPU_TRIANGLE_B : CPU_NO_TRIANGLE;
    scores(j, w, key, query);
    ane_cpu_operand_left(o, p, w->p, CPU_BLOCK, CPU_BLOCK);
    const cpu_block_product dv = {CPU_BLOCK, j->size, CPU_BLOCK, p, false, w->d_result_t + query * j->matrix,
        w->d_value_t + key * j->matrix, true, a};
    ane_cpu_block_multiply(o, &dv);
    ane_cpu_operand_left(o, ds, w->ds, CPU_BLOCK, CPU_BLOCK);
    const cpu_block_product dk = {CPU_BLOCK, j->size, CPU_BLOCK, ds, false, w->query_t + query * j->matrix,
        w->d_key_t + key * j->matrix, true, a};
    ane_cpu_block_multiply(o, &dk);
    ane_cpu_operand_right(o, ds, w->ds, CPU_BLOCK, CPU_BLOCK);
    const cpu_block_product dq = {j->size, CPU_BLOCK, CPU_BLOCK, w->key + key * j->matrix, false, ds,
        w->d_query + query * j->matrix, true, b};
    ane_cpu_block_multiply(o, &dq);
}

static void store(
    const job *j, cpu_attention_view which, float *head, int64_t n, const float *block, float scale) {
    float scales[CPU_BLOCK];
    for (int i = 0; i < CPU_BLOCK; i++) scales[i] = scale;
    j->r->v->store_block(
        head + n * CPU_BLOCK, j->a->size, j->a->view[which].stride[3], positions(j, n), block, scales);
}

static void store_transposed(
    const job *j, const room *w, cpu_attention_view which, float *head, const float *t, float scale) {
    for (int64_t n = 0; n < j->blocks; n++) {
        j->r->v->transpose(w->block, CPU_BLOCK, t + n * j->matrix, j->size, CPU_BLOCK, j->size);
        store(j, which, head, n, w->block, scale);
    }
}

static void run_group(const job *j, const room *w, int64_t unit) {
    const cpu_attention *a = j->a;
    int64_t k = unit % a->groups, b = unit / a->groups;
    prepare_group(j, w, cpu_head(a, j->r, CPU_KEY, b, k, 0), cpu_head(a, j->r, CPU_VALUE, b, k, 0));
    for (int64_t r = 0; r < a->group; r++) {
        prepare_head(j, w, b, k, r);
        for (int64_t key = 0; key < j->blocks; key++)
            for (int64_t query = key; query < j->blocks; query++) add_block(j, w, key, query);
        for (int64_t n = 0; n < j->blocks; n++)
            store(j, CPU_D_QUERY, cpu_head(a, j->r, CPU_D_QUERY, b, k, r), n, w->d_query + n * j->matrix,
                a->scale);
    }
    store_transposed(j, w, CPU_D_KEY, cpu_head(a, j->r, CPU_D_KEY, b, k, 0), w->d_key_t, cpu_ln_2);
    store_transposed(j, w, CPU_D_VALUE, cpu_head(a, j->r, CPU_D_VALUE, b, k, 0), w->d_value_t, 1);
}

static void run_part(void *context, int64_t begin, int64_t end) {
    const job *j = context;
    float *scratch = j->r->base[j->a->scratch];
    if (j->operands.pairs) j->operands.pairs->begin();
    for (int64_t part = begin; part < end; part++) {
        room w = room_of(scratch + part * j->a->room, j->blocks, j->matrix);
        if (cpu_operands_are_floats(&j->operands)) w.key = w.key_t; /* products transpose it */
        for (int64_t u, end; ane_pieces_next(j->pieces, part, &u, &end);) run_group(j, &w, u);
    }
    if (j->operands.pairs) j->operands.pairs->end();
}

bool ane_cpu_run_attention_gradient(const void *data, const cpu_run *r, ane_error *e) {
    (void)e;
    const cpu_attention *a = data;
    job j = {.a = a,
        .r = r,
        .operands = ane_cpu_operands(r, a),
        .size = cpu_padded_size(a),
        .blocks = cpu_blocks(a->length)};
    j.matrix = j.size * CPU_BLOCK;
    int64_t units = a->batch * a->groups;
    int parts = units < a->threads ? (int)units : a->threads;
    ane_pieces pieces;
    ane_pieces_start(&pieces, units, 1, parts);
    j.pieces = &pieces;
    ane_parallel_for(parts, 1, r->threads, run_part, &j);
    return true;
}
