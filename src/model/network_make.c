/* network_make.c - a network's programs, stages and buffers: everything up to the first step. */
#include "model/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_COLUMNS = 1 << 24 }; /* past this no product of sizes can leave 63 bits */

static bool no_memory(ane_error *e) {
    return ane_fail(e, ANE_ERROR_MEMORY, "", "Not enough memory.");
}

static mil_dtype dtype_of(const ane_device *d) {
    return ane_device_capabilities(d)->activation_dtype;
}

/* ---- buffers ------------------------------------------------------------------------------------------- */

static bool new_buffer(ane_device *d, int64_t channels, int64_t columns, ane_buffer **out, ane_error *e) {
    *out = ane_buffer_new(d, mil_tensor(dtype_of(d), 4, (int64_t[]){1, channels, 1, columns}), e);
    return *out != NULL;
}

static ane_device *head_device(const ane_network *n) {
    return n->placement.head == ANE_PLACE_HOST ? n->host : n->device;
}

static bool make_head_buffers(ane_network *n, ane_error *e) {
    const ane_model_config *c = &n->weights->config;
    ane_device *d = head_device(n);
    n->head_columns = dtype_of(d) == MIL_FP32 ? ane_network_head_columns(n->columns) : n->columns;
    if (!new_buffer(d, c->vocab_size, n->head_columns, &n->logits, e)) return false;
    if (n->placement.head != ANE_PLACE_HOST && n->head_columns == n->columns) return true;
    return new_buffer(d, c->dim, n->head_columns, &n->head_x, e) &&
           (!n->gradients || new_buffer(d, c->dim, n->head_columns, &n->head_d, e));
}

static bool make_norm_buffers(ane_network *n, ane_error *e) {
    ane_host_norms *h = &n->norms;
    int64_t dim = n->weights->config.dim;
    ane_buffer **const on_host[] = {&h->x, &h->normed, &h->d_normed, &h->d_x};
    if (n->n_halves == 1) return true;
    for (size_t i = 0; i < sizeof on_host / sizeof *on_host; i++)
        if (!new_buffer(n->host, dim, n->columns, on_host[i], e)) return false;
    return new_buffer(n->device, dim, n->columns, &h->device_d, e);
}

static bool make_buffers(ane_network *n, ane_error *e) {
    const ane_model_config *c = &n->weights->config;
    n->n_x = n->gradients ? n->n_segments + 1 : 2;
    n->x = calloc((size_t)n->n_x, sizeof(ane_buffer *));
    n->column_loss = calloc((size_t)n->columns, sizeof *n->column_loss);
    n->squares = calloc((size_t)n->weights->n_tensors, sizeof *n->squares);
    if (!n->x || !n->column_loss || !n->squares) return no_memory(e);
    for (int i = 0; i < n->n_x; i++)
        if (!new_buffer(n->device, c->dim, n->columns, &n->x[i], e)) return false;
    for (int i = 0; i < ANE_D && n->gradients; i++)
        if (!new_buffer(n->device, c->dim, n->columns, &n->d[i], e)) return false;
    return make_head_buffers(n, e) && make_norm_buffers(n, e) &&
           new_buffer(n->device, c->head_dim / 2, n->seq, &n->rope_cos, e) &&
           new_buffer(n->device, c->head_dim / 2, n->seq, &n->rope_sin, e);
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Room for the largest tensor that the host converts: an activation, or a gradient that the device formed. */
static int64_t staged_floats(const ane_network *n) {
    const ane_model_config *c = &n->weights->config;
    int64_t logits = n->head_x ? 0 : c->vocab_size;
    int64_t widest = larger(larger(logits, c->hidden_dim), larger(c->dim, (int64_t)c->n_heads * c->head_dim));
    int64_t matrix = n->placement.dw == ANE_PLACE_DEVICE ? widest * c->dim : 0;
    return larger(widest * n->columns, matrix);
}

static bool make_staging(ane_network *n, ane_error *e) {
    if (dtype_of(n->device) == MIL_FP32) return true;
    float **const rooms[] = {&n->staging[0], &n->staging[1], &n->beside_staging[0], &n->beside_staging[1]};
    for (int i = 0; i < (n->products_beside ? 4 : 2); i++) {
        /* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): never 0 */
        *rooms[i] = malloc((size_t)staged_floats(n) * sizeof(float));
        if (!*rooms[i]) return no_memory(e);
    }
    return true;
}

static bool fill_rope(ane_network *n, ane_error *e) {
    const ane_model_config *c = &n->weights->config;
    int64_t count = (int64_t)c->head_dim / 2 * n->seq;
    float *table = malloc((size_t)(2 * count) * sizeof *table);
    if (!table) return no_memory(e);
    ane_rope_table(c, 0, n->seq, table, table + count);
    bool ok = ane_buffer_write_f32(n->rope_cos, table, count, e) &&
              ane_buffer_write_f32(n->rope_sin, table + count, count, e);
    free(table);
    return ok;
}

/* ---- stages -------------------------------------------------------------------------------------------- */

static ane_stage_options options_of(const ane_network *n, int copies) {
    return (ane_stage_options){.copies = copies,
        .backward = n->gradients != NULL,
        .threads = n->threads,
        .recompute_attention = n->placement.recompute == ANE_RECOMPUTE_ATTENTION,
        .device_products = n->placement.dw == ANE_PLACE_DEVICE,
        .products_beside = n->products_beside};
}

static bool make_blocks(ane_network *n, ane_error *e) {
    const ane_model_config *c = &n->weights->config;
    const ane_block_shape shape = {.batch = n->batch,
        .seq = n->seq,
        .dtype = dtype_of(n->device),
        .fused = ane_device_capabilities(n->device)->fuses_attention};
    ane_stage_options o = options_of(n, c->n_layers);
    o.recompute = n->placement.recompute >= ANE_RECOMPUTE_BLOCK;
    if (n->n_halves > 1) o.leaf = "normed";
    for (int i = 0; i < n->n_halves; i++) {
        mil_program *p = mil_program_new(MIL_IOS18, e);
        if (!p) return false;
        if (n->n_halves == 1)
            ane_llama_block(p, c, &shape); /* the stage asks whether it went well */
        else
            ane_llama_half(p, c, &shape, (ane_block_half)i);
        if (!(n->stages[i] = ane_stage_new(n->device, p, &o, e))) return false;
    }
    return true;
}

static bool make_head(ane_network *n, ane_error *e) {
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return false;
    ane_stage_options o = options_of(n, 1);
    if (n->placement.head == ANE_PLACE_HOST) o.device_products = false;
    if (!n->keeps_gradients) o.rows = n->table_rows = ane_network_table_rows(n);
    ane_llama_head(p, &n->weights->config, n->head_columns, dtype_of(head_device(n)));
    return (n->head = ane_stage_new(head_device(n), p, &o, e)) != NULL;
}

static bool make_norms(ane_network *n, ane_error *e) {
    if (n->n_halves == 1) return true;
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return false;
    const ane_stage_options o = {.copies = n->n_segments, .backward = true, .threads = n->threads};
    ane_llama_norm(p, &n->weights->config, n->columns, MIL_FP32);
    return (n->norms.stage = ane_stage_new(n->host, p, &o, e)) != NULL;
}

/* ---- binding ------------------------------------------------------------------------------------------- */

static bool bind_segment(ane_network *n, int k, ane_error *e) {
    ane_stage *s = n->stages[k % n->n_halves];
    int copy = k / n->n_halves;
    if (!ane_stage_give(s, copy, "x", ane_network_x(n, k), e) ||
        !ane_stage_give(s, copy, "y", ane_network_x(n, k + 1), e))
        return false;
    if (!n->gradients) return true;
    if (!ane_stage_give(s, copy, "d_y", ane_network_d(n, k + 1), e)) return false;
    return n->n_halves > 1 ? ane_stage_give(s, copy, "d_normed", n->norms.device_d, e)
                           : ane_stage_give(s, copy, "d_x", ane_network_d(n, k), e);
}

static bool bind_blocks(ane_network *n, ane_error *e) {
    if (!ane_stage_give(n->stages[0], -1, "rope_cos", n->rope_cos, e) ||
        !ane_stage_give(n->stages[0], -1, "rope_sin", n->rope_sin, e))
        return false;
    for (int k = 0; k < n->n_segments; k++)
        if (!bind_segment(n, k, e)) return false;
    for (int i = 0; i < n->n_halves; i++)
        if (!ane_stage_bind(n->stages[i], ane_block_master, n->weights, n->gradients, e)) return false;
    return true;
}

static bool bind_head(ane_network *n, ane_error *e) {
    ane_stage *s = n->head;
    ane_buffer *x = n->head_x ? n->head_x : ane_network_x(n, n->n_segments);
    ane_buffer *d = n->head_d ? n->head_d : ane_network_d(n, n->n_segments);
    return ane_stage_give(s, 0, "x", x, e) && ane_stage_give(s, 0, "logits", n->logits, e) &&
           ane_stage_give(s, 0, "d_logits", n->logits, e) && ane_stage_give(s, 0, "d_x", d, e) &&
           ane_stage_bind(s, ane_head_master, n->weights, n->gradients, e);
}

/* The weight of segment k's norm; `store` is an ane_weights. */
static float *norm_master(const void *store, int k, const char *name, int64_t *count) {
    (void)name;
    return ane_block_master(
        store, k / ANE_HALVES, k % ANE_HALVES ? "post_attention_layernorm" : "input_layernorm", count);
}

static bool bind_norms(ane_network *n, ane_error *e) {
    const ane_host_norms *h = &n->norms;
    if (!h->stage) return true;
    return ane_stage_give(h->stage, -1, "x", h->x, e) &&
           ane_stage_give(h->stage, -1, "normed", h->normed, e) &&
           ane_stage_give(h->stage, -1, "d_normed", h->d_normed, e) &&
           ane_stage_give(h->stage, -1, "d_x", h->d_x, e) &&
           ane_stage_bind(h->stage, norm_master, n->weights, n->gradients, e);
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

static bool check_gradients(const ane_weights *weights, const ane_weights *gradients, ane_precision precision,
    const ane_placement *placement, ane_error *e) {
    const ane_model_config expected = ane_gradients_config(&weights->config, placement);
    if (precision == ANE_INT8) {
        ane_fail(e, ANE_ERROR_UNSUPPORTED, "", "int8 is for generating: weights that train need more.");
        return ane_hint(e, "Train in bf16 (--precision bf16).");
    }
    if (ane_model_config_equal(&expected, &gradients->config)) return true;
    return ane_fail(e, ANE_ERROR_ARGUMENT, "", "Gradients and weights must be of the same model.");
}

static bool check_sizes(const ane_weights *weights, int32_t batch, int32_t seq, ane_error *e) {
    if (batch < 1 || seq < 1)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, "", "Batch and sequence must be at least 1, found %d and %d.", batch, seq);
    if ((int64_t)batch * seq > MAX_COLUMNS)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "",
            "%d sequences of %d tokens are more than the %d tokens of a step.", batch, seq, MAX_COLUMNS);
    if (seq <= weights->config.max_seq) return true;
    ane_fail(e, ANE_ERROR_ARGUMENT, "", "The model is made for at most %d tokens in a sequence, found %d.",
        weights->config.max_seq, seq);
    return ane_hint(
        e, "Take shorter sequences, or raise max_position_embeddings in the model's config.json.");
}

/* What goes where, and a CPU device for what goes to the host. */
static bool place(ane_network *n, const ane_placement *asked, ane_error *e) {
    const ane_capabilities *c = ane_device_capabilities(n->device);
    n->placement = ane_placement_decide(asked, c, &n->weights->config, n->columns);
    bool halves = n->gradients && n->placement.norms_backward == ANE_PLACE_HOST;
    n->n_halves = halves ? ANE_HALVES : 1;
    n->n_segments = n->n_halves * n->weights->config.n_layers;
    n->keeps_gradients = !n->gradients || n->placement.recompute != ANE_RECOMPUTE_GRADIENTS;
    n->products_beside =
        n->gradients && n->keeps_gradients && n->placement.dw == ANE_PLACE_HOST && c->runs_beside_host;
    if (n->products_beside && !ane_beside_init(&n->beside, e)) return false;
    if (!halves && n->placement.head != ANE_PLACE_HOST) return true;
    char spec[64];
    snprintf(spec, sizeof spec, "cpu:threads=%d", n->threads);
    return (n->host = ane_device_open(spec, e)) != NULL;
}

static bool make(ane_network *n, const ane_placement *asked, ane_error *e) {
    return place(n, asked, e) && make_buffers(n, e) && make_staging(n, e) && fill_rope(n, e) &&
           make_blocks(n, e) && make_head(n, e) && make_norms(n, e) && bind_blocks(n, e) && bind_head(n, e) &&
           bind_norms(n, e);
}

ane_network *ane_network_new(ane_device *d, ane_weights *weights, ane_weights *gradients, int32_t batch,
    int32_t seq, const ane_placement *placement, ane_error *e) {
    const ane_precision precision = ane_device_capabilities(d)->precision;
    if (!check_sizes(weights, batch, seq, e) ||
        (gradients && !check_gradients(weights, gradients, precision, placement, e)))
        return NULL;
    ane_network *n = calloc(1, sizeof *n);
    if (!n) {
        no_memory(e);
        return NULL;
    }
    n->device = d;
    n->weights = weights;
    n->gradients = gradients;
    n->batch = batch;
    n->seq = seq;
    n->columns = batch * seq;
    n->threads = ane_device_capabilities(d)->threads;
    n->embedding_squares = NAN;
    if (make(n, placement, e)) return n;
    ane_network_free(n);
    return NULL;
}

void ane_network_free(ane_network *n) {
    if (!n) return;
    ane_beside_destroy(&n->beside);
    ane_stage *const stages[] = {n->stages[0], n->stages[1], n->head, n->norms.stage};
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) ane_stage_free(stages[i]);
    for (int i = 0; n->x && i < n->n_x; i++) ane_buffer_free(n->x[i]);
    ane_buffer *const others[] = {n->d[0], n->d[1], n->d[2], n->logits, n->head_x, n->head_d, n->rope_cos,
        n->rope_sin, n->norms.x, n->norms.normed, n->norms.d_normed, n->norms.d_x, n->norms.device_d};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) ane_buffer_free(others[i]);
    ane_device_close(n->host);
    free(n->x);
    for (int i = 0; i < 2; i++) {
        free(n->staging[i]);
        free(n->beside_staging[i]);
    }
    free(n->column_loss);
    free(n->squares);
    free(n);
}
