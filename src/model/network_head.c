/* network_head.c - the end of a network: final norm, vocabulary, loss. Logits of all columns would be the largest tensor of a
 * step by far; so where the head takes fp32 it works on a chunk of columns at a time, and adds up the gradient of its weights. */
#include "model/network.h"

#include <string.h>

enum { MOST_COLUMNS = 512, FEWEST_COLUMNS = 64 };

int32_t ane_network_head_columns(int32_t columns) {
    if (columns <= MOST_COLUMNS) return columns;
    for (int32_t n = MOST_COLUMNS; n >= FEWEST_COLUMNS; n--)
        if (columns % n == 0) return n;
    return columns;
}

/* ---- columns of x and d ------------------------------------------------------------------------------------------- */

/* What the head reads and writes where it has buffers of its own. */
typedef struct ends {
    ane_buffer *x, *d;
    float *all_x, *all_d; /* [dim, columns]; NULL: the head is bound to x and d themselves */
} ends;

static bool open_ends(ane_network *n, ends *o, bool back, ane_error *e) {
    *o = (ends){.x = ane_network_x(n, n->n_segments), .d = back ? ane_network_d(n, n->n_segments) : NULL};
    if (!n->head_x) return true;
    o->all_x = ane_floats_open(o->x, ANE_READ, n->staging[0], e);
    if (o->all_x && back) o->all_d = ane_floats_open(o->d, ANE_WRITE, n->staging[1], e);
    return o->all_x && (!back || o->all_d);
}

static bool close_ends(ane_network *n, const ends *o, ane_error *e) {
    bool ok = !o->all_d || ane_floats_close(o->d, ANE_WRITE, n->staging[1], e);
    return (!o->all_x || ane_floats_close(o->x, ANE_READ, n->staging[0], e)) && ok;
}

static bool take_x(ane_network *n, const ends *o, int32_t first, ane_error *e) {
    if (!o->all_x) return true;
    float *x = ane_buffer_map(n->head_x, ANE_WRITE, e);
    if (!x) return false;
    size_t wide = (size_t)n->head_columns;
    for (int64_t row = 0; row < n->weights->config.dim; row++)
        memcpy(x + row * n->head_columns, o->all_x + row * n->columns + first, wide * sizeof *x);
    return ane_buffer_unmap(n->head_x, e);
}

static bool give_d(ane_network *n, const ends *o, int32_t first, ane_error *e) {
    if (!o->all_d) return true;
    const float *d = ane_buffer_map(n->head_d, ANE_READ, e);
    if (!d) return false;
    size_t wide = (size_t)n->head_columns;
    for (int64_t row = 0; row < n->weights->config.dim; row++)
        memcpy(o->all_d + row * n->columns + first, d + row * n->head_columns, wide * sizeof *d);
    return ane_buffer_unmap(n->head_d, e);
}

/* ---- one chunk ---------------------------------------------------------------------------------------------------- */

/* Logits to losses; with gradients, the logits become scale * d(loss)/d(logits). */
static bool chunk_loss(ane_network *n, const int32_t *targets, int32_t first, double scale, ane_error *e) {
    ane_access access = n->gradients ? ANE_READ_WRITE : ANE_READ;
    float *logits = ane_floats_open(n->logits, access, n->staging[0], e);
    if (!logits) return false;
    ane_cross_entropy(logits, n->weights->config.vocab_size, n->head_columns, targets + first, (float)scale,
        n->gradients != NULL, n->column_loss + first, n->threads);
    return ane_floats_close(n->logits, access, n->staging[0], e);
}

static bool chunk_back(ane_network *n, const ends *o, int32_t first, double *mark, ane_error *e) {
    if (!ane_network_backward_stage(n, n->head, 0, e) || !give_d(n, o, first, e)) return false;
    ane_network_lap(mark, &n->timers.backward);
    if (ane_network_tables_in_parts(n)) return true;
    bool whole = n->head_columns == n->columns; /* else the next chunk needs the buffers at once */
    bool add = n->adds || first > 0;
    bool ok = whole ? ane_network_products(n, n->head, 0, add, e)
                    : ane_stage_products(n->head, 0, add, n->staging, e);
    ane_network_lap(mark, &n->timers.products);
    return ok;
}

static bool chunk_step(ane_network *n, const ends *o, const int32_t *targets, int32_t first, double scale,
    double *mark, ane_error *e) {
    if (!take_x(n, o, first, e) || !ane_stage_forward(n->head, 0, e)) return false;
    ane_network_lap(mark, &n->timers.head);
    if (!chunk_loss(n, targets, first, scale, e)) return false;
    ane_network_lap(mark, &n->timers.loss);
    return !n->gradients || chunk_back(n, o, first, mark, e);
}

/* ---- all columns -------------------------------------------------------------------------------------------------- */

bool ane_network_head_loss(
    ane_network *n, const int32_t *targets, double scale, double *loss, double *mark, ane_error *e) {
    int32_t counted = 0;
    for (int32_t i = 0; i < n->columns; i++) counted += targets[i] >= 0;
    double share = counted > 0 ? 1.0 / counted : 0, sum = 0;
    ends o;
    bool ok = open_ends(n, &o, n->gradients != NULL, e);
    for (int32_t first = 0; ok && first < n->columns; first += n->head_columns)
        ok = chunk_step(n, &o, targets, first, scale * share, mark, e);
    for (int32_t i = 0; i < n->columns; i++) sum += n->column_loss[i];
    *loss = sum * share;
    return close_ends(n, &o, e) && ok;
}

static bool chunk_logits(ane_network *n, const ends *o, int32_t first, float *out, ane_error *e) {
    if (!take_x(n, o, first, e) || !ane_stage_forward(n->head, 0, e)) return false;
    const float *z = ane_floats_open(n->logits, ANE_READ, n->staging[0], e);
    int64_t vocab = n->weights->config.vocab_size;
    if (z) ane_transpose(out + vocab * first, z, vocab, n->head_columns, n->threads);
    return z && ane_floats_close(n->logits, ANE_READ, n->staging[0], e);
}

bool ane_network_head_logits(ane_network *n, float *logits, ane_error *e) {
    ends o;
    bool ok = open_ends(n, &o, false, e);
    for (int32_t first = 0; ok && first < n->columns; first += n->head_columns)
        ok = chunk_logits(n, &o, first, logits, e);
    return close_ends(n, &o, e) && ok;
}
