/* network.c - a model's programs bound for training or evaluation: one forward and one backward kernel for
 * all blocks, one pair for the head; embedding, loss and parameter gradients on the host.
 *
 *     x[0] = embedding(tokens);  x[l+1] = block_l(x[l]);  logits = head(x[L]);  loss
 *     d[L] = head'(d_logits);    d[l] = block_l'(d[l+1]);  embedding' += d[0]
 *
 * The x of training are all kept (backward reads them); for evaluation two take turns, as two d always do. */
#include "model/host.h"
#include "model/impl.h"
#include "model/stage.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_COLUMNS = 1 << 24 }; /* past this no product of sizes can leave 63 bits */

struct ane_network {
    ane_device *device;
    ane_weights *weights, *gradients; /* gradients NULL: evaluation only */
    int32_t batch, seq, columns;
    int threads;
    ane_stage *blocks, *head;
    int n_x;
    ane_buffer **x; /* [1, dim, 1, columns] each */
    ane_buffer *d[2];
    ane_buffer *logits; /* [1, vocab, 1, columns]; after the loss its gradient */
    ane_buffer *rope_cos, *rope_sin;
    float *staging[2];   /* where buffers are converted; NULL when the device takes fp32 */
    double *column_loss; /* [columns] */
    ane_network_timers timers;
};

/* ---- making -------------------------------------------------------------------------------------------- */

static ane_buffer *new_buffer(const ane_network *n, int64_t channels, int64_t columns, ane_error *e) {
    mil_dtype dtype = ane_device_capabilities(n->device)->activation_dtype;
    return ane_buffer_new(n->device, mil_tensor(dtype, 4, (int64_t[]){1, channels, 1, columns}), e);
}

static bool make_buffers(ane_network *n, ane_error *e) {
    const ane_model_config *c = &n->weights->config;
    n->n_x = n->gradients ? c->n_layers + 1 : 2;
    n->x = calloc((size_t)n->n_x, sizeof *n->x);
    n->column_loss = calloc((size_t)n->columns, sizeof *n->column_loss);
    if (!n->x || !n->column_loss) return ane_fail(e, ANE_ERROR_MEMORY, "", "Not enough memory.");
    for (int i = 0; i < n->n_x; i++)
        if (!(n->x[i] = new_buffer(n, c->dim, n->columns, e))) return false;
    for (int i = 0; i < 2 && n->gradients; i++)
        if (!(n->d[i] = new_buffer(n, c->dim, n->columns, e))) return false;
    n->logits = new_buffer(n, c->vocab_size, n->columns, e);
    n->rope_cos = n->logits ? new_buffer(n, c->head_dim / 2, n->seq, e) : NULL;
    n->rope_sin = n->rope_cos ? new_buffer(n, c->head_dim / 2, n->seq, e) : NULL;
    return n->rope_sin != NULL;
}

static int64_t max3(int64_t a, int64_t b, int64_t c) {
    int64_t m = a > b ? a : b;
    return m > c ? m : c;
}

/* Room for the largest tensor that the host converts, where the device does not take fp32. */
static bool make_staging(ane_network *n, ane_error *e) {
    if (ane_device_capabilities(n->device)->activation_dtype == MIL_FP32) return true;
    const ane_model_config *c = &n->weights->config;
    int64_t widest = max3(c->vocab_size, c->hidden_dim, max3(c->dim, (int64_t)c->n_heads * c->head_dim, 0));
    for (int i = 0; i < 2; i++) {
        /* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): both factors are at least 1 */
        n->staging[i] = malloc((size_t)(widest * n->columns) * sizeof(float));
        if (!n->staging[i]) return ane_fail(e, ANE_ERROR_MEMORY, "", "Not enough memory.");
    }
    return true;
}

static bool fill_rope(ane_network *n, ane_error *e) {
    const ane_model_config *c = &n->weights->config;
    int64_t count = (int64_t)c->head_dim / 2 * n->seq;
    float *table = malloc((size_t)(2 * count) * sizeof *table);
    if (!table) return ane_fail(e, ANE_ERROR_MEMORY, "", "Not enough memory.");
    ane_rope_table(c, 0, n->seq, table, table + count);
    bool ok = ane_buffer_write_f32(n->rope_cos, table, count, e) &&
              ane_buffer_write_f32(n->rope_sin, table + count, count, e);
    free(table);
    return ok;
}

static ane_stage *new_blocks(const ane_network *n, ane_error *e) {
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return NULL;
    const ane_block_shape shape = {n->batch, n->seq, 0, ane_device_capabilities(n->device)->activation_dtype};
    ane_llama_block(p, &n->weights->config, &shape); /* the stage asks whether it went well */
    return ane_stage_new(n->device, p, n->weights->config.n_layers, n->gradients != NULL, e);
}

static ane_stage *new_head(const ane_network *n, ane_error *e) {
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return NULL;
    ane_llama_head(p, &n->weights->config, n->columns, ane_device_capabilities(n->device)->activation_dtype);
    return ane_stage_new(n->device, p, 1, n->gradients != NULL, e);
}

static ane_buffer *x_of(const ane_network *n, int layer) {
    return n->x[n->gradients ? layer : layer % 2];
}

static bool bind_blocks(ane_network *n, ane_error *e) {
    ane_stage *s = n->blocks;
    if (!ane_stage_give(s, -1, "rope_cos", n->rope_cos, e) ||
        !ane_stage_give(s, -1, "rope_sin", n->rope_sin, e))
        return false;
    for (int l = 0; l < n->weights->config.n_layers; l++)
        if (!ane_stage_give(s, l, "x", x_of(n, l), e) || !ane_stage_give(s, l, "y", x_of(n, l + 1), e) ||
            !ane_stage_give(s, l, "d_y", n->d[(l + 1) % 2], e) ||
            !ane_stage_give(s, l, "d_x", n->d[l % 2], e))
            return false;
    return ane_stage_bind(s, ane_block_master, n->weights, n->gradients, e);
}

static bool bind_head(ane_network *n, ane_error *e) {
    ane_stage *s = n->head;
    int last = n->weights->config.n_layers;
    return ane_stage_give(s, 0, "x", x_of(n, last), e) && ane_stage_give(s, 0, "logits", n->logits, e) &&
           ane_stage_give(s, 0, "d_logits", n->logits, e) && ane_stage_give(s, 0, "d_x", n->d[last % 2], e) &&
           ane_stage_bind(s, ane_head_master, n->weights, n->gradients, e);
}

static bool check_sizes(
    const ane_weights *weights, const ane_weights *gradients, int32_t batch, int32_t seq, ane_error *e) {
    if (batch < 1 || seq < 1)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, "", "Batch and sequence must be at least 1, found %d and %d.", batch, seq);
    if ((int64_t)batch * seq > MAX_COLUMNS)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "",
            "%d sequences of %d tokens are more than the %d tokens of a step.", batch, seq, MAX_COLUMNS);
    if (gradients && !ane_model_config_equal(&weights->config, &gradients->config))
        return ane_fail(e, ANE_ERROR_ARGUMENT, "", "Gradients and weights must be of the same model.");
    return true;
}

ane_network *ane_network_new(
    ane_device *d, ane_weights *weights, ane_weights *gradients, int32_t batch, int32_t seq, ane_error *e) {
    if (!check_sizes(weights, gradients, batch, seq, e)) return NULL;
    ane_network *n = calloc(1, sizeof *n);
    if (!n) {
        ane_fail(e, ANE_ERROR_MEMORY, "", "Not enough memory.");
        return NULL;
    }
    n->device = d;
    n->weights = weights;
    n->gradients = gradients;
    n->batch = batch;
    n->seq = seq;
    n->columns = batch * seq;
    n->threads = ane_device_capabilities(d)->threads;
    if (make_buffers(n, e) && make_staging(n, e) && fill_rope(n, e) && (n->blocks = new_blocks(n, e)) &&
        (n->head = new_head(n, e)) && bind_blocks(n, e) && bind_head(n, e))
        return n;
    ane_network_free(n);
    return NULL;
}

void ane_network_free(ane_network *n) {
    if (!n) return;
    ane_stage_free(n->blocks);
    ane_stage_free(n->head);
    for (int i = 0; n->x && i < n->n_x; i++) ane_buffer_free(n->x[i]);
    ane_buffer *others[] = {n->d[0], n->d[1], n->logits, n->rope_cos, n->rope_sin};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) ane_buffer_free(others[i]);
    free(n->x);
    free(n->staging[0]);
    free(n->staging[1]);
    free(n->column_loss);
    free(n);
}

/* ---- running ------------------------------------------------------------------------------------------- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Add the time since *mark to a timer and start anew, so that nothing between two laps is lost. */
static void lap(double *mark, double *timer) {
    double t = now();
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

/* Tokens to logits. */
static bool forward(ane_network *n, const int32_t *tokens, double *mark, ane_error *e) {
    if (!embed(n, tokens, e)) return false;
    lap(mark, &n->timers.embedding);
    for (int l = 0; l < n->weights->config.n_layers; l++)
        if (!ane_stage_forward(n->blocks, l, e)) return false;
    lap(mark, &n->timers.forward);
    if (!ane_stage_forward(n->head, 0, e)) return false;
    lap(mark, &n->timers.head);
    return true;
}

/* Logits to the mean loss; with gradients, the logits become scale * d(loss)/d(logits). */
static bool reduce_loss(ane_network *n, const int32_t *targets, double scale, double *loss, ane_error *e) {
    ane_access access = n->gradients ? ANE_READ_WRITE : ANE_READ;
    float *logits = ane_floats_open(n->logits, access, n->staging[0], e);
    if (!logits) return false;
    int32_t counted = 0;
    for (int32_t i = 0; i < n->columns; i++) counted += targets[i] >= 0;
    double share = counted > 0 ? 1.0 / counted : 0, sum = 0;
    ane_cross_entropy(logits, n->weights->config.vocab_size, n->columns, targets, (float)(scale * share),
        n->gradients != NULL, n->column_loss, n->threads);
    for (int32_t i = 0; i < n->columns; i++) sum += n->column_loss[i];
    *loss = sum * share;
    return ane_floats_close(n->logits, access, n->staging[0], e);
}

static bool scatter(ane_network *n, const int32_t *tokens, ane_error *e) {
    const float *d = ane_floats_open(n->d[0], ANE_READ, n->staging[0], e);
    if (!d) return false;
    ane_embedding_scatter(
        ane_weights_embedding(n->gradients), d, tokens, n->weights->config.dim, n->columns, n->threads);
    return ane_floats_close(n->d[0], ANE_READ, n->staging[0], e);
}

static bool backward_one(ane_network *n, ane_stage *s, int copy, double *mark, ane_error *e) {
    if (!ane_stage_backward(s, copy, e)) return false;
    lap(mark, &n->timers.backward);
    if (!ane_stage_products(s, copy, n->staging, n->threads, e)) return false;
    lap(mark, &n->timers.products);
    return true;
}

static bool backward(ane_network *n, const int32_t *tokens, double *mark, ane_error *e) {
    if (!backward_one(n, n->head, 0, mark, e)) return false;
    for (int l = n->weights->config.n_layers - 1; l >= 0; l--)
        if (!backward_one(n, n->blocks, l, mark, e)) return false;
    bool ok = scatter(n, tokens, e);
    lap(mark, &n->timers.scatter);
    return ok;
}

bool ane_network_loss(
    ane_network *n, const int32_t *tokens, const int32_t *targets, double scale, double *loss, ane_error *e) {
    double mark = now();
    if (!check_ids(n, tokens, 0, "Token", e) || !check_ids(n, targets, -1, "Target", e)) return false;
    if (!forward(n, tokens, &mark, e) || !reduce_loss(n, targets, scale, loss, e)) return false;
    lap(&mark, &n->timers.loss);
    return !n->gradients || backward(n, tokens, &mark, e);
}

bool ane_network_logits(ane_network *n, const int32_t *tokens, float *logits, ane_error *e) {
    double mark = now();
    if (!check_ids(n, tokens, 0, "Token", e) || !forward(n, tokens, &mark, e)) return false;
    const float *z = ane_floats_open(n->logits, ANE_READ, n->staging[0], e);
    if (!z) return false;
    ane_transpose(logits, z, n->weights->config.vocab_size, n->columns, n->threads);
    bool ok = ane_floats_close(n->logits, ANE_READ, n->staging[0], e);
    lap(&mark, &n->timers.head);
    return ok;
}

bool ane_network_weights_changed(ane_network *n, ane_error *e) {
    return ane_stage_weights_changed(n->blocks, e) && ane_stage_weights_changed(n->head, e);
}

ane_network_timers ane_network_timers_get(const ane_network *n) {
    return n->timers;
}

void ane_network_timers_reset(ane_network *n) {
    memset(&n->timers, 0, sizeof n->timers);
}

double ane_network_step_flops(const ane_network *n) {
    return ane_stage_flops(n->blocks) + ane_stage_flops(n->head);
}
