/* layer.c - see layer.h. */
#include "measure/layer.h"

#include "base/clock.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t dim(const ane_layer *l) {
    return l->weights->config.dim;
}

static int threads(const ane_layer *l) {
    return ane_device_capabilities(l->device)->threads;
}

static void lap(double *mark, double *timer) {
    const double now = ane_clock_ms();
    *timer += now - *mark;
    *mark = now;
}

/* ---- making -------------------------------------------------------------------------------------------------------- */

static bool new_buffer(
    const ane_layer *l, ane_device *d, int64_t channels, int64_t columns, ane_buffer **b, ane_error *e) {
    const mil_dtype dtype = ane_device_capabilities(d)->activation_dtype;
    *b = ane_buffer_new(d, mil_tensor(dtype, 4, (int64_t[]){1, channels, 1, columns}), e);
    return l && *b;
}

static bool make_buffers(ane_layer *l, ane_error *e) {
    const ane_model_config *c = &l->weights->config;
    ane_buffer **const on_host[] = {&l->norm_x, &l->normed, &l->d_normed, &l->d_x};
    for (int i = 0; i <= l->n; i++)
        if (!new_buffer(l, l->device, c->dim, l->positions, &l->x[i], e) ||
            !new_buffer(l, l->device, c->dim, l->positions, &l->d[i], e))
            return false;
    for (int i = 0; i < 4 && l->ways.host_norms; i++)
        if (!new_buffer(l, l->host, c->dim, l->positions, on_host[i], e)) return false;
    return (!l->ways.host_norms || new_buffer(l, l->device, c->dim, l->positions, &l->device_d, e)) &&
           new_buffer(l, l->device, c->head_dim / 2, l->positions, &l->rope_cos, e) &&
           new_buffer(l, l->device, c->head_dim / 2, l->positions, &l->rope_sin, e);
}

static bool make_staging(ane_layer *l, ane_error *e) {
    const ane_model_config *c = &l->weights->config;
    const size_t widest = (size_t)(c->hidden_dim > c->dim ? c->hidden_dim : c->dim);
    float **const rooms[] = {
        &l->staging[0], &l->staging[1], &l->beside_staging[0], &l->beside_staging[1], &l->tokens};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        *rooms[i] = calloc(widest * (size_t)l->positions, sizeof(float));
        if (!*rooms[i]) return ane_fail(e, ANE_ERROR_MEMORY, "layer", "out of memory");
    }
    return true;
}

static bool fill_rope(ane_layer *l, ane_error *e) {
    const ane_model_config *c = &l->weights->config;
    const int64_t n = (int64_t)c->head_dim / 2 * l->positions;
    ane_rope_table(c, 0, l->positions, l->staging[0], l->staging[1]);
    return ane_buffer_write_f32(l->rope_cos, l->staging[0], n, e) &&
           ane_buffer_write_f32(l->rope_sin, l->staging[1], n, e);
}

static bool make_part(ane_layer *l, int k, ane_error *e) {
    const ane_block_shape shape = {
        .batch = 1, .seq = l->positions, .dtype = ane_device_capabilities(l->device)->activation_dtype};
    const ane_stage_options o = {.copies = 1,
        .backward = true,
        .threads = threads(l),
        .leaf = l->ways.host_norms ? "normed" : NULL,
        .products_beside = l->ways.beside};
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return false;
    if (l->ways.whole)
        ane_llama_block(p, &l->weights->config, &shape); /* the stage asks whether it went well */
    else
        ane_llama_half(p, &l->weights->config, &shape, (ane_block_half)k);
    ane_stage *s = l->parts[k] = ane_stage_new(l->device, p, &o, e);
    return s && ane_stage_give(s, 0, "x", l->x[k], e) && ane_stage_give(s, 0, "y", l->x[k + 1], e) &&
           ane_stage_give(s, 0, "d_y", l->d[k + 1], e) &&
           ane_stage_give(s, 0, l->ways.host_norms ? "d_normed" : "d_x",
               l->ways.host_norms ? l->device_d : l->d[k], e) &&
           ane_stage_give(s, 0, "rope_cos", l->rope_cos, e) &&
           ane_stage_give(s, 0, "rope_sin", l->rope_sin, e) &&
           ane_stage_bind(s, ane_block_master, l->weights, l->gradients, e);
}

static const char *norm_name(int k) {
    return k ? "post_attention_layernorm" : "input_layernorm";
}

/* An ane_stage_param. */
static float *norm_master(const void *store, int k, const char *name, int64_t *count) {
    (void)name;
    return ane_block_master(store, 0, norm_name(k), count);
}

static bool make_norms(ane_layer *l, ane_error *e) {
    if (!l->ways.host_norms) return true;
    const ane_stage_options o = {.copies = l->n, .backward = true, .threads = threads(l)};
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return false;
    ane_llama_norm(p, &l->weights->config, l->positions, MIL_FP32);
    ane_stage *s = l->norms = ane_stage_new(l->host, p, &o, e);
    return s && ane_stage_give(s, -1, "x", l->norm_x, e) && ane_stage_give(s, -1, "normed", l->normed, e) &&
           ane_stage_give(s, -1, "d_normed", l->d_normed, e) && ane_stage_give(s, -1, "d_x", l->d_x, e) &&
           ane_stage_bind(s, norm_master, l->weights, l->gradients, e);
}

bool ane_layer_open(ane_layer *l, ane_device *device, const ane_model_config *c, int32_t positions,
    const ane_layer_ways *ways, ane_error *e) {
    *l = (ane_layer){
        .ways = *ways, .device = device, .positions = positions, .n = ways->whole ? 1 : ANE_LAYER_HALVES};
    l->weights = ane_weights_new(c, e);
    l->gradients = l->weights ? ane_weights_new(c, e) : NULL;
    l->host = l->gradients ? ane_device_open("cpu", e) : NULL;
    if (!l->host || !make_buffers(l, e) || !make_staging(l, e) || !fill_rope(l, e)) return false;
    ane_weights_init(l->weights, 0);
    for (int k = 0; k < l->n; k++)
        if (!make_part(l, k, e)) return false;
    return make_norms(l, e) && (!ways->beside || ane_beside_init(&l->beside, e));
}

void ane_layer_close(ane_layer *l) {
    if (l->beside.made) ane_beside_destroy(&l->beside);
    for (int k = 0; k < ANE_LAYER_HALVES; k++) ane_stage_free(l->parts[k]);
    ane_stage_free(l->norms);
    ane_buffer *const buffers[] = {l->x[0], l->x[1], l->x[2], l->d[0], l->d[1], l->d[2], l->device_d,
        l->norm_x, l->normed, l->d_normed, l->d_x, l->rope_cos, l->rope_sin};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) ane_buffer_free(buffers[i]);
    float *const rooms[] = {
        l->staging[0], l->staging[1], l->beside_staging[0], l->beside_staging[1], l->tokens};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) free(rooms[i]);
    ane_weights_free(l->gradients);
    ane_weights_free(l->weights);
    ane_device_close(l->host);
    *l = (ane_layer){0};
}

bool ane_layer_refresh(ane_layer *l, uint64_t seed, ane_error *e) {
    ane_rng rng = ane_rng_new(seed, 0);
    ane_buffer *const ports[] = {l->x[0], l->d[l->n]};
    const int64_t n = dim(l) * l->positions;
    memset(l->gradients->data, 0, (size_t)l->gradients->count * sizeof(float));
    for (int i = 0; i < 2; i++) {
        for (int64_t k = 0; k < n; k++) l->staging[0][k] = (float)ane_rng_normal(&rng);
        if (!ane_buffer_write_f32(ports[i], l->staging[0], n, e)) return false;
    }
    return true;
}

/* ---- running ------------------------------------------------------------------------------------------------------- */

/* Where the host has work on activations, they come to it in fp32, in its order, and go back. */
static bool cross(ane_layer *l, ane_buffer *b, ane_error *e) {
    double mark = ane_clock_ms();
    const int64_t n = dim(l) * l->positions;
    if (!l->ways.host_norms) return true;
    if (!ane_buffer_read_f32(b, l->staging[0], n, e)) return false;
    if (l->ways.token_first) {
        ane_transpose(l->tokens, l->staging[0], dim(l), l->positions, threads(l));
        ane_transpose(l->staging[0], l->tokens, l->positions, dim(l), threads(l));
    }
    bool ok = ane_buffer_write_f32(b, l->staging[0], n, e);
    lap(&mark, &l->times.crossing);
    return ok;
}

/* One position: dx = r (w dy - x c), dw += dy x r, with r = 1/sqrt(mean(x^2) + eps) and c = r^2 mean(dy w x). */
static void plain_norm(
    const ane_layer *l, const float *x, const float *dy, const float *w, float *dx, float *dw, int64_t t) {
    const int64_t channels = dim(l), s = l->positions;
    double squares = 0, dot = 0;
    for (int64_t i = 0; i < channels; i++) {
        const int64_t at = i * s + t;
        squares += (double)x[at] * x[at];
        dot += (double)dy[at] * w[i] * x[at];
    }
    const double r = 1 / sqrt(squares / (double)channels + l->weights->config.norm_eps);
    const double c = r * r * dot / (double)channels;
    for (int64_t i = 0; i < channels; i++) {
        const int64_t at = i * s + t;
        dx[at] = (float)(r * (w[i] * (double)dy[at] - x[at] * c));
        dw[i] += (float)(dy[at] * x[at] * r);
    }
}

static bool plain_norms(ane_layer *l, int k, ane_error *e) {
    int64_t count;
    const float *w = norm_master(l->weights, k, NULL, &count), *x = ane_buffer_map(l->norm_x, ANE_READ, e);
    const float *dy = x ? ane_buffer_map(l->d_normed, ANE_READ, e) : NULL;
    float *dw = norm_master(l->gradients, k, NULL, &count),
          *dx = dy ? ane_buffer_map(l->d_x, ANE_WRITE, e) : NULL;
    for (int64_t t = 0; dx && t < l->positions; t++) plain_norm(l, x, dy, w, dx, dw, t);
    bool ok = dx && ane_buffer_unmap(l->d_x, e);
    ok = dy && ane_buffer_unmap(l->d_normed, e) && ok;
    return x && ane_buffer_unmap(l->norm_x, e) && ok;
}

static bool norms_of_stage(ane_layer *l, int k, ane_error *e) {
    return ane_stage_forward(l->norms, k, e) && ane_stage_backward(l->norms, k, e) &&
           ane_stage_products(l->norms, k, true, l->staging, e);
}

/* d[k] = d[k+1] + norm'(x[k], d(normed)) */
static bool norm_backward(ane_layer *l, int k, ane_error *e) {
    double mark = ane_clock_ms();
    if (!l->ways.host_norms) return true;
    bool ok = ane_copy_floats(l->norm_x, l->x[k], e) && ane_copy_floats(l->d_normed, l->device_d, e) &&
              (l->ways.plain_norms ? plain_norms(l, k, e) : norms_of_stage(l, k, e)) &&
              ane_add_floats(l->d[k], l->d[k + 1], l->d_x, l->staging[0], threads(l), e);
    lap(&mark, &l->times.norms);
    return ok;
}

static bool products(ane_layer *l, int k, ane_error *e) {
    double mark = ane_clock_ms();
    bool ok = l->ways.beside ? ane_beside_products(&l->beside, l->parts[k], 0, true, l->beside_staging, e)
                             : ane_stage_products(l->parts[k], 0, true, l->staging, e);
    lap(&mark, &l->times.products);
    return ok;
}

bool ane_layer_finish(ane_layer *l, ane_error *e) {
    double mark = ane_clock_ms();
    bool ok = !l->ways.beside || ane_beside_finish(&l->beside, e);
    lap(&mark, &l->times.waiting);
    return ok;
}

static bool step(ane_layer *l, ane_error *e) {
    for (int k = 0; k < l->n; k++)
        if (!cross(l, l->x[k], e) || !ane_stage_forward(l->parts[k], 0, e)) return false;
    if (!cross(l, l->x[l->n], e)) return false;
    if (l->ways.deferred && !ane_layer_finish(l, e)) return false;
    for (int k = l->n - 1; k >= 0; k--)
        if (!cross(l, l->d[k + 1], e) || !ane_stage_backward(l->parts[k], 0, e) || !norm_backward(l, k, e) ||
            !products(l, k, e))
            return false;
    return l->ways.deferred || ane_layer_finish(l, e);
}

bool ane_layer_step(ane_layer *l, ane_error *e) {
    l->times = (ane_layer_times){0};
    if (step(l, e)) return true;
    ane_layer_finish(l, NULL); /* nothing may write to the gradients behind the caller's back */
    return false;
}
