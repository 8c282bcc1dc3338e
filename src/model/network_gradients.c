/* network_gradients.c - gradients for whom they are formed. Where they are not kept, every use of them runs the way back
 * again from d[K]: blocks' gradients take turns in one block, and those of the embedding and the head are formed some
 * rows at a time. What the head's are formed from stays where it is until the next loss. */
#include "model/network.h"

#include "base/clock.h"

#include <math.h>

/* What hears of gradients. */
typedef struct user {
    ane_gradient_user *use;
    void *context;
} user;

/* Gradients of one tensor that begin at g, or of all between two. */
static void use_tensors(const ane_network *n, const user *u, int first, int last, const float *g) {
    const ane_tensor_info *t = n->weights->tensors;
    u->use(u->context, t[first].offset, t[last].offset + t[last].count, g);
}

/* ---- embedding and head --------------------------------------------------------------------------------- */

enum { TABLE_BYTES = 8 << 20 };

/* The head's gradient can be formed in parts when all its columns are there, and nothing has to be converted for each part. */
int32_t ane_network_table_rows(const ane_network *n) {
    const ane_model_config *c = &n->weights->config;
    const int32_t rows = TABLE_BYTES / 4 / c->dim > 0 ? TABLE_BYTES / 4 / c->dim : 1;
    const bool in_parts = n->head_columns == n->columns && n->placement.dw == ANE_PLACE_HOST &&
                          ane_buffer_type(n->logits)->dtype == MIL_FP32;
    return in_parts && rows < c->vocab_size ? rows : c->vocab_size;
}

/* A matrix [vocab, dim]: the embedding, the head, or both in one. */
typedef struct table {
    int tensor;
    bool embeds, is_head;
    float *gradient;
} table;

/* What the head adds to rows [first, first + rows): whole, its own products have put it there. */
static bool begin_rows(ane_network *n, const table *t, int32_t first, int32_t rows, ane_error *e) {
    if (t->is_head)
        return rows == n->weights->config.vocab_size ||
               ane_stage_product_rows(n->head, 0, "lm_head", first, rows, n->staging, e);
    ane_zero(t->gradient, (int64_t)rows * n->weights->config.dim, n->threads);
    return true;
}

/* What the tokens add to them. */
static bool embed_rows(
    ane_network *n, const table *t, const int32_t *tokens, int32_t first, int32_t rows, ane_error *e) {
    const float *d = t->embeds ? ane_floats_open(n->d[0], ANE_READ, n->staging[0], e) : NULL;
    if (!d) return !t->embeds;
    ane_embedding_scatter(
        t->gradient, first, rows, d, tokens, n->weights->config.dim, n->columns, n->threads);
    return ane_floats_close(n->d[0], ANE_READ, n->staging[0], e);
}

static bool form_rows(ane_network *n, const table *t, const int32_t *tokens, int32_t first, int32_t rows,
    double *mark, ane_error *e) {
    if (!begin_rows(n, t, first, rows, e)) return false;
    ane_network_lap(mark, &n->timers.products);
    bool ok = embed_rows(n, t, tokens, first, rows, e);
    ane_network_lap(mark, &n->timers.scatter);
    return ok;
}

static bool use_table(
    ane_network *n, const table *t, const int32_t *tokens, const user *u, double *mark, ane_error *e) {
    const ane_model_config *c = &n->weights->config;
    const int64_t offset = n->weights->tensors[t->tensor].offset;
    for (int32_t first = 0; first < c->vocab_size; first += n->table_rows) {
        const int32_t left = c->vocab_size - first, rows = left < n->table_rows ? left : n->table_rows;
        if (!n->tables_formed && !form_rows(n, t, tokens, first, rows, mark, e)) return false;
        u->use(u->context, offset + (int64_t)first * c->dim, offset + (int64_t)(first + rows) * c->dim,
            t->gradient);
        *mark = ane_clock_ms();
    }
    return true;
}

static bool use_tables(ane_network *n, const int32_t *tokens, const user *u, double *mark, ane_error *e) {
    const bool tied = n->weights->config.tied;
    const table embedding = {0, true, tied, ane_weights_embedding(n->gradients)},
                head = {n->weights->n_tensors - 1, false, true, ane_weights_head(n->gradients)};
    n->embedding_squares = NAN;
    bool ok =
        use_table(n, &embedding, tokens, u, mark, e) && (tied || use_table(n, &head, tokens, u, mark, e));
    n->tables_formed = ok && n->table_rows == n->weights->config.vocab_size;
    return ok;
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

static bool use_final_norm(ane_network *n, const user *u, double *mark, ane_error *e) {
    const int tensor = n->weights->n_tensors - (n->weights->config.tied ? 1 : 2);
    const bool formed = n->table_rows == n->weights->config.vocab_size;
    if (!formed && !ane_stage_product_rows(n->head, 0, "norm", 0, n->weights->config.dim, n->staging, e))
        return false;
    ane_network_lap(mark, &n->timers.products);
    use_tensors(n, u, tensor, tensor, ane_weights_final_norm(n->gradients));
    *mark = ane_clock_ms();
    return true;
}

static bool use_blocks(ane_network *n, const user *u, double *mark, ane_error *e) {
    const float *g = n->gradients->data + n->gradients->tensors[1].offset; /* behind the embedding */
    for (int k = n->n_segments - 1; k >= 0; k--) {
        if (!ane_network_backward_segment(n, k, mark, e)) return false;
        if (k % n->n_halves > 0) continue;
        const int first = 1 + k / n->n_halves * ANE_BLOCK_PARAMS;
        use_tensors(n, u, first, first + ANE_BLOCK_PARAMS - 1, g);
        *mark = ane_clock_ms();
    }
    return true;
}

bool ane_network_gradients(
    ane_network *n, const int32_t *tokens, ane_gradient_user *use, void *context, ane_error *e) {
    const user u = {use, context};
    double mark = ane_clock_ms();
    if (n->keeps_gradients) {
        use(context, 0, n->gradients->count, n->gradients->data);
        return true;
    }
    return use_final_norm(n, &u, &mark, e) && use_blocks(n, &u, &mark, e) &&
           use_tables(n, tokens, &u, &mark, e);
}
