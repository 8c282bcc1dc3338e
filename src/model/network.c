/* network.c - running a network: forward, loss, backward. */
#include "model/network.h"

#include "base/clock.h"

#include <math.h>
#include <string.h>

ane_buffer *ane_network_x(const ane_network *n, int segment) {
    return n->x[n->gradients ? segment : segment % 2];
}

ane_buffer *ane_network_d(const ane_network *n, int segment) {
    if (n->keeps_gradients) return n->d[segment % ANE_D];
    return n->d[segment == n->n_segments ? ANE_D - 1 : segment % (ANE_D - 1)];
}

ane_placement ane_network_placement(const ane_network *n) {
    return n->placement;
}

void ane_network_lap(double *mark, double *timer) {
    double t = ane_clock_ms();
    *timer += t - *mark;
    *mark = t;
}

static bool check_ids(
    const ane_network *n, const int32_t *ids, int32_t lowest, const char *what, ane_error *e) {
    int32_t vocab = n->weights->config.vocab_size;
    for (int32_t i = 0; i < n->columns; i++)
        if (ids[i] < lowest || ids[i] >= vocab)
            return ane_fail(e, ANE_ERROR_ARGUMENT, "",
                "%s %d of sequence %d is %d, but the model's vocabulary ends at %d.", what, i % n->seq,
                i / n->seq, ids[i], vocab - 1);
    return true;
}

static bool embed(ane_network *n, const int32_t *tokens, ane_error *e) {
    float *x = ane_floats_open(n->x[0], ANE_WRITE, n->staging[0], e);
    if (!x) return false;
    ane_embedding_gather(
        x, ane_weights_embedding(n->weights), tokens, n->weights->config.dim, n->columns, n->threads);
    return ane_floats_close(n->x[0], ANE_WRITE, n->staging[0], e);
}

/* Tokens to x[K]. */
static bool forward(ane_network *n, const int32_t *tokens, double *mark, ane_error *e) {
    if (!embed(n, tokens, e)) return false;
    ane_network_lap(mark, &n->timers.embedding);
    for (int k = 0; k < n->n_segments; k++)
        if (!ane_stage_forward(n->stages[k % n->n_halves], k / n->n_halves, e)) return false;
    ane_network_lap(mark, &n->timers.forward);
    return true;
}

bool ane_network_scatter(ane_network *n, float *table, int32_t first, int32_t rows, const int32_t *tokens,
    double *growth, ane_error *e) {
    const float *d = ane_floats_open(n->d[0], ANE_READ, n->staging[0], e);
    if (!d) return false;
    *growth =
        ane_embedding_scatter(table, first, rows, d, tokens, n->weights->config.dim, n->columns, n->threads);
    return ane_floats_close(n->d[0], ANE_READ, n->staging[0], e);
}

static bool scatter(ane_network *n, const int32_t *tokens, ane_error *e) {
    const ane_model_config *c = &n->weights->config;
    float *table = ane_weights_embedding(n->gradients);
    if (!n->adds && !c->tied)
        ane_zero(table, (int64_t)c->vocab_size * c->dim, n->threads); /* tied: the head's gradient */
    if (c->tied) {
        n->squares[0] = NAN;
        ane_stage_squares(n->head, n->weights, n->squares);
        n->embedding_squares = n->squares[0];
    } else if (!n->adds) {
        n->embedding_squares = 0;
    }
    double growth;
    if (!ane_network_scatter(n, table, 0, c->vocab_size, tokens, &growth, e)) return false;
    n->embedding_squares += growth;
    return true;
}

bool ane_network_products(ane_network *n, ane_stage *s, int copy, bool add, ane_error *e) {
    return n->products_beside ? ane_beside_products(&n->beside, s, copy, add, n->beside_staging, e)
                              : ane_stage_products(s, copy, add, n->staging, e);
}

bool ane_network_backward_stage(ane_network *n, ane_stage *s, int copy, ane_error *e) {
    return (!n->products_beside || ane_beside_make_room(&n->beside, e)) && ane_stage_backward(s, copy, e);
}

/* d[k] = d[k+1] + norm'(x[k], d_normed): what the segment's own backward left to the host. */
static bool backward_norm(ane_network *n, int k, ane_error *e) {
    const ane_host_norms *h = &n->norms;
    return ane_copy_floats(h->x, ane_network_x(n, k), e) && ane_copy_floats(h->d_normed, h->device_d, e) &&
           ane_stage_forward(h->stage, k, e) && ane_stage_backward(h->stage, k, e) &&
           ane_add_floats(ane_network_d(n, k), ane_network_d(n, k + 1), h->d_x, n->staging[0], n->threads, e);
}

bool ane_network_backward_segment(ane_network *n, int k, double *mark, ane_error *e) {
    if (!ane_network_backward_stage(n, n->stages[k % n->n_halves], k / n->n_halves, e)) return false;
    ane_network_lap(mark, &n->timers.backward);
    if (n->norms.stage && !backward_norm(n, k, e)) return false;
    ane_network_lap(mark, &n->timers.norms);
    return true;
}

static bool segment_products(ane_network *n, int k, double *mark, ane_error *e) {
    bool ok = (!n->norms.stage || ane_stage_products(n->norms.stage, k, n->adds, n->staging, e)) &&
              ane_network_products(n, n->stages[k % n->n_halves], k / n->n_halves, n->adds, e);
    ane_network_lap(mark, &n->timers.products);
    return ok;
}

static bool backward(ane_network *n, const int32_t *tokens, double *mark, ane_error *e) {
    for (int k = n->n_segments - 1; k >= 0; k--)
        if (!ane_network_backward_segment(n, k, mark, e) || !segment_products(n, k, mark, e)) return false;
    if (n->products_beside && !ane_beside_finish(&n->beside, e)) return false;
    ane_network_lap(mark, &n->timers.backward);
    bool ok = scatter(n, tokens, e);
    ane_network_lap(mark, &n->timers.scatter);
    return ok;
}

/* What was begun beside is finished whatever happened: nothing may write to the gradients behind the caller's back. */
static bool loss_and_gradients(
    ane_network *n, const int32_t *tokens, const int32_t *targets, double scale, double *loss, ane_error *e) {
    double mark = ane_clock_ms();
    bool ok = forward(n, tokens, &mark, e) && ane_network_head_loss(n, targets, scale, loss, &mark, e) &&
              (!n->gradients || !n->keeps_gradients || backward(n, tokens, &mark, e));
    if (n->products_beside) ok = ane_beside_finish(&n->beside, e) && ok;
    return ok;
}

/* Waiting for products happens within the time of backward: there it is taken out. */
static void split_waiting(ane_network *n) {
    n->timers.waiting += n->beside.waiting_ms;
    n->timers.backward -= n->beside.waiting_ms;
    n->timers.beside += n->beside.ms;
    n->beside.waiting_ms = n->beside.ms = 0;
}

bool ane_network_loss(
    ane_network *n, const int32_t *tokens, const int32_t *targets, double scale, double *loss, ane_error *e) {
    if (!check_ids(n, tokens, 0, "Token", e) || !check_ids(n, targets, -1, "Target", e)) return false;
    n->adds = n->keeps_gradients && !n->cleared;
    n->cleared = n->tables_formed = false;
    bool ok = loss_and_gradients(n, tokens, targets, scale, loss, e);
    split_waiting(n);
    return ok;
}

const double *ane_network_squares(ane_network *n) {
    for (int i = 0; i < n->weights->n_tensors; i++) n->squares[i] = NAN;
    for (int i = 0; i < n->n_halves; i++) ane_stage_squares(n->stages[i], n->weights, n->squares);
    ane_stage_squares(n->head, n->weights, n->squares);
    n->squares[0] = n->embedding_squares;
    return n->squares;
}

void ane_network_clear_gradients(ane_network *n) {
    n->cleared = true;
}

bool ane_network_logits(ane_network *n, const int32_t *tokens, float *logits, ane_error *e) {
    double mark = ane_clock_ms();
    if (!check_ids(n, tokens, 0, "Token", e) || !forward(n, tokens, &mark, e)) return false;
    bool ok = ane_network_head_logits(n, logits, e);
    ane_network_lap(&mark, &n->timers.head);
    return ok;
}

bool ane_network_weights_changed(ane_network *n, ane_error *e) {
    for (int i = 0; i < n->n_halves; i++)
        if (!ane_stage_weights_changed(n->stages[i], e)) return false;
    return ane_stage_weights_changed(n->head, e) &&
           (!n->norms.stage || ane_stage_weights_changed(n->norms.stage, e));
}

ane_network_timers ane_network_timers_get(const ane_network *n) {
    return n->timers;
}

void ane_network_timers_reset(ane_network *n) {
    memset(&n->timers, 0, sizeof n->timers);
}

double ane_network_back_ms(const ane_network_timers *t) {
    return t->backward + t->norms + t->products + t->waiting + t->scatter;
}

double ane_network_product_flops(const ane_network *n) {
    const int32_t chunks = n->columns / n->head_columns;
    double flops = ane_stage_product_flops(n->head) * chunks;
    for (int i = 0; i < n->n_halves; i++) flops += ane_stage_product_flops(n->stages[i]);
    return flops;
}

double ane_network_step_flops(const ane_network *n) {
    const int32_t chunks = n->columns / n->head_columns;
    double flops = ane_stage_flops(n->head) * chunks;
    for (int i = 0; i < n->n_halves; i++) flops += ane_stage_flops(n->stages[i]);
    return flops;
}
