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

bool ane_network_tables_in_parts(const ane_network *n) {
    return !n->keeps_gradients && n->table_rows < n->weights->config.vocab_size;
}

/* A matrix [vocab, dim]: the embedding, the head, or both in one. */
typedef struct table {
    bool embeds, is_head;
    const float *weight;
    float *gradient;
} table;

/* The gradient of rows [first, first + rows): what the head adds (whole, its own products have put it there), and the tokens. */
static bool form_rows(ane_network *n, const table *t, const int32_t *tokens, int32_t first, int32_t rows,
    double *mark, ane_error *e) {
    double ignored;
    if (!t->is_head)
        ane_zero(t->gradient, (int64_t)rows * n->weights->config.dim, n->threads);
    else if (ane_network_tables_in_parts(n) &&
             !ane_stage_product_rows(n->head, 0, "lm_head", first, rows, n->staging, e))
        return false;
    ane_network_lap(mark, &n->timers.products);
    bool ok = !t->embeds || ane_network_scatter(n, t->gradient, first, rows, tokens, &ignored, e);
    ane_network_lap(mark, &n->timers.scatter);
    return ok;
}

static bool use_table(
    ane_network *n, const table *t, const int32_t *tokens, const user *u, double *mark, ane_error *e) {
    const ane_model_config *c = &n->weights->config;
    const int64_t offset = t->weight - n->weights->data;
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
    const ane_weights *w = n->weights, *g = n->gradients;
    const bool tied = w->config.tied;
    const table embedding = {true, tied, ane_weights_embedding(w), ane_weights_embedding(g)},
                head = {false, true, ane_weights_head(w), ane_weights_head(g)};
    n->embedding_squares = NAN;
    bool ok =
        use_table(n, &embedding, tokens, u, mark, e) && (tied || use_table(n, &head, tokens, u, mark, e));
    n->tables_formed = ok && !ane_network_tables_in_parts(n);
    return ok;
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

static bool use_final_norm(ane_network *n, const user *u, double *mark, ane_error *e) {
    const int64_t dim = n->weights->config.dim,
                  offset = ane_weights_final_norm(n->weights) - n->weights->data;
    if (ane_network_tables_in_parts(n) && !ane_stage_product_rows(n->head, 0, "norm", 0, dim, n->staging, e))
        return false;
    ane_network_lap(mark, &n->timers.products);
    u->use(u->context, offset, offset + dim, ane_weights_final_norm(n->gradients));
    *mark = ane_clock_ms();
    return true;
}

static bool use_blocks(ane_network *n, const user *u, double *mark, ane_error *e) {
    const float *g = n->gradients->data + n->gradients->tensors[1].offset; /* behind the embedding */
    for (int k = n->n_segments - 1; k >= 0; k--) {
        if (!ane_network_backward_segment(n, k, mark, e)) return false;
        if (k % n->n_halves > 0) continue;
        const ane_tensor_info *first = &n->weights->tensors[1 + k / n->n_halves * ANE_BLOCK_PARAMS],
                              *last = first + ANE_BLOCK_PARAMS - 1;
        u->use(u->context, first->offset, last->offset + last->count, g);
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
