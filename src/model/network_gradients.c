/* network_gradients.c - gradients for whom they are formed. Where they are not kept, every use of them runs the way back
 * again from d[K]: each weight's is used as soon as it is complete, so that all of a block take turns in one place, and those
 * of the embedding and the head are formed there some rows at a time. What the head's are formed from stays where it is
 * until the next loss. */
#include "model/network.h"

#include "base/clock.h"

#include <math.h>

/* What hears of gradients of a network, and when that was last busy: what the use takes is not the network's time. */
typedef struct user {
    ane_network *network;
    ane_gradient_user *use;
    void *context;
    double mark;
} user;

/* An ane_stage_user. */
static void use_gradient(void *context, const float *weight, int64_t count, const float *gradient) {
    user *u = context;
    const int64_t begin = weight - u->network->weights->data;
    ane_network_lap(&u->mark, &u->network->timers.products);
    u->use(u->context, begin, begin + count, gradient);
    u->mark = ane_clock_ms();
}

/* ---- embedding and head --------------------------------------------------------------------------------- */

/* The head's gradient can be formed in parts when all its columns are there, and nothing has to be converted for each part. */
int32_t ane_network_table_rows(const ane_network *n) {
    const ane_model_config *c = &n->weights->config;
    int64_t room;
    ane_gradients_place(n->gradients, &room);
    const bool in_parts = n->head_columns == n->columns && n->placement.dw == ANE_PLACE_HOST &&
                          ane_buffer_type(n->logits)->dtype == MIL_FP32;
    return in_parts && room / c->dim < c->vocab_size ? (int32_t)(room / c->dim) : c->vocab_size;
}

bool ane_network_tables_in_parts(const ane_network *n) {
    return !n->keeps_gradients && n->table_rows < n->weights->config.vocab_size;
}

/* A matrix [vocab, dim]: the embedding, the head, or both in one. */
typedef struct table {
    bool embeds, is_head;
    const float *weight;
    float *gradient; /* of all rows, or of some at a time */
} table;

/* The gradient of rows [first, first + rows): what the head adds (whole, its own products have put it there), and the tokens. */
static bool form_rows(
    const table *t, const int32_t *tokens, int32_t first, int32_t rows, user *u, ane_error *e) {
    ane_network *n = u->network;
    double ignored;
    if (!t->is_head)
        ane_zero(t->gradient, (int64_t)rows * n->weights->config.dim, n->threads);
    else if (ane_network_tables_in_parts(n) &&
             !ane_stage_product_rows(n->head, 0, "lm_head", first, rows, t->gradient, n->staging, e))
        return false;
    ane_network_lap(&u->mark, &n->timers.products);
    bool ok = !t->embeds || ane_network_scatter(n, t->gradient, first, rows, tokens, &ignored, e);
    ane_network_lap(&u->mark, &n->timers.scatter);
    return ok;
}

static bool use_table(const table *t, const int32_t *tokens, user *u, ane_error *e) {
    const ane_network *n = u->network;
    const ane_model_config *c = &n->weights->config;
    for (int32_t first = 0; first < c->vocab_size; first += n->table_rows) {
        const int32_t left = c->vocab_size - first, rows = left < n->table_rows ? left : n->table_rows;
        if (!n->tables_formed && !form_rows(t, tokens, first, rows, u, e)) return false;
        use_gradient(u, t->weight + (int64_t)first * c->dim, (int64_t)rows * c->dim, t->gradient);
    }
    return true;
}

static bool use_tables(const int32_t *tokens, user *u, ane_error *e) {
    ane_network *n = u->network;
    const ane_weights *w = n->weights, *g = n->gradients;
    const bool tied = w->config.tied, in_parts = ane_network_tables_in_parts(n);
    int64_t room;
    float *part = ane_gradients_place(g, &room);
    const table embedding = {true, tied, ane_weights_embedding(w),
                    in_parts ? part : ane_weights_embedding(g)},
                head = {false, true, ane_weights_head(w), in_parts ? part : ane_weights_head(g)};
    n->embedding_squares = NAN;
    bool ok = use_table(&embedding, tokens, u, e) && (tied || use_table(&head, tokens, u, e));
    n->tables_formed = ok && !in_parts;
    return ok;
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

static bool use_final_norm(user *u, ane_error *e) {
    ane_network *n = u->network;
    const int64_t dim = n->weights->config.dim;
    float *gradient = ane_weights_final_norm(n->gradients);
    if (ane_network_tables_in_parts(n) &&
        !ane_stage_product_rows(n->head, 0, "norm", 0, dim, gradient, n->staging, e))
        return false;
    use_gradient(u, ane_weights_final_norm(n->weights), dim, gradient);
    return true;
}

static bool use_segments(user *u, ane_error *e) {
    ane_network *n = u->network;
    for (int k = n->n_segments - 1; k >= 0; k--) {
        ane_stage *s = n->stages[k % n->n_halves], *norms = n->norms.stage;
        if (!ane_network_backward_segment(n, k, &u->mark, e) ||
            (norms && !ane_stage_use_products(norms, k, use_gradient, u, n->staging, e)) ||
            !ane_stage_use_products(s, k / n->n_halves, use_gradient, u, n->staging, e))
            return false;
    }
    return true;
}

bool ane_network_gradients(
    ane_network *n, const int32_t *tokens, ane_gradient_user *use, void *context, ane_error *e) {
    if (n->keeps_gradients) {
        use(context, 0, n->gradients->count, n->gradients->data);
        return true;
    }
    user u = {n, use, context, ane_clock_ms()};
    return use_final_norm(&u, e) && use_segments(&u, e) && use_tables(tokens, &u, e);
}
