/* llama2c.c - karpathy/llama2.c's checkpoint (its "legacy" export, version 0).
 *
 * Seven int32: dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size (negative: the head is separate),
 * max_seq. Then fp32: embedding; for every kind of block parameter, all layers; final norm; cos and sin of
 * the rotary embedding, [max_seq, head_dim / 2] each; the head if it is separate.
 *
 * llama2.c turns neighbours: the elements 2i and 2i+1 of a head. Hugging Face turns i and i + head_dim/2. So
 * the rows of q_proj and k_proj are permuted, head by head. */
#include "base/file.h"
#include "model/impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_INTS = 7, HEADER_BYTES = 4 * HEADER_INTS, VERSIONED_MAGIC = 0x616b3432 };

/* The file's order of block parameters. */
static const char *const order[ANE_BLOCK_PARAMS] = {"input_layernorm", "self_attn.q_proj", "self_attn.k_proj",
    "self_attn.v_proj", "self_attn.o_proj", "post_attention_layernorm", "mlp.gate_proj", "mlp.down_proj",
    "mlp.up_proj"};

static int64_t rope_floats(const ane_model_config *c) {
    return (int64_t)c->max_seq * c->head_dim; /* cos and sin, head_dim / 2 each */
}

static int64_t file_bytes(const ane_model_config *c) {
    return HEADER_BYTES + 4 * (ane_model_parameter_count(c) + rope_floats(c));
}

/* ---- header -------------------------------------------------------------------------------------------- */

static int32_t read_int(const unsigned char *p) {
    return (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
}

static bool read_header(const ane_mapping *map, ane_model_config *c, const char *path, ane_error *e) {
    if (map->size < HEADER_BYTES)
        return ane_fail(e, ANE_ERROR_FORMAT, path,
            "Not a llama2.c checkpoint: it has %zu bytes, its header alone %d.", map->size, HEADER_BYTES);
    int32_t h[HEADER_INTS];
    for (int i = 0; i < HEADER_INTS; i++) h[i] = read_int(map->data + 4 * (size_t)i);
    if (h[0] == VERSIONED_MAGIC)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, path,
            "A llama2.c checkpoint of version %d; only the unversioned (\"legacy\") kind is supported.",
            h[1]);
    if (h[0] < 1 || h[3] < 1 || h[0] % h[3] != 0)
        return ane_fail(e, ANE_ERROR_FORMAT, path,
            "Not a llama2.c checkpoint: its header says dim %d and %d heads, which do not divide.", h[0],
            h[3]);
    *c = (ane_model_config){
        .dim = h[0],
        .hidden_dim = h[1],
        .n_layers = h[2],
        .n_heads = h[3],
        .n_kv_heads = h[4],
        .head_dim = h[0] / h[3],
        .vocab_size = h[5] < 0 && h[5] > INT32_MIN ? -h[5] : h[5],
        .max_seq = h[6],
        .norm_eps = 1e-5f, /* the three that llama2.c fixes */
        .rope_theta = 10000,
        .tied = h[5] > 0,
        .bos_id = 1,
        .eos_id = 2,
    };
    if (c->vocab_size <= c->bos_id) c->bos_id = -1;
    if (c->vocab_size <= c->eos_id) c->eos_id = -1;
    ane_error why = {0};
    if (!ane_model_config_check(c, &why))
        return ane_fail(
            e, ANE_ERROR_FORMAT, path, "Not a llama2.c checkpoint, by its header: %s", why.message);
    if (map->size != (uint64_t)file_bytes(c))
        return ane_fail(e, ANE_ERROR_FORMAT, path,
            "Its header (dim %d, hidden %d, %d layers, %d heads, %d kv heads, vocabulary %d, %d positions) "
            "demands "
            "%lld bytes, found %zu.",
            h[0], h[1], h[2], h[3], h[4], h[5], h[6], (long long)file_bytes(c), map->size);
    return true;
}

bool ane_llama2c_config(ane_model_config *c, const char *path, ane_error *e) {
    ane_mapping map;
    if (!ane_map_file(&map, path, e)) return false;
    bool ok = read_header(&map, c, path, e);
    ane_unmap_file(&map);
    return ok;
}

/* ---- rotary order -------------------------------------------------------------------------------------- */

/* Heads in the matrix `name` whose rows are permuted; 0 for the others. */
static int32_t rotary_heads(const ane_model_config *c, const char *name) {
    if (strcmp(name, "self_attn.q_proj") == 0) return c->n_heads;
    return strcmp(name, "self_attn.k_proj") == 0 ? c->n_kv_heads : 0;
}

/* Row of llama2.c's matrix that is row `r` of Hugging Face's. */
static int64_t neighbour_row(int64_t r, int32_t head_dim) {
    int64_t head = r / head_dim, j = r % head_dim, half = head_dim / 2;
    return head * head_dim + j % half * 2 + j / half;
}

static void copy_in(
    const ane_model_config *c, const char *name, float *out, const unsigned char *in, int64_t count) {
    size_t row = (size_t)c->dim * 4;
    int64_t rows = (int64_t)rotary_heads(c, name) * c->head_dim;
    if (rows == 0) memcpy(out, in, (size_t)count * 4);
    for (int64_t r = 0; r < rows; r++)
        memcpy(out + r * c->dim, in + neighbour_row(r, c->head_dim) * (int64_t)row, row);
}

static void copy_out(
    const ane_model_config *c, const char *name, float *out, const float *in, int64_t count) {
    size_t row = (size_t)c->dim * 4;
    int64_t rows = (int64_t)rotary_heads(c, name) * c->head_dim;
    if (rows == 0) memcpy(out, in, (size_t)count * 4);
    for (int64_t r = 0; r < rows; r++)
        memcpy(out + neighbour_row(r, c->head_dim) * c->dim, in + r * c->dim, row);
}

/* ---- loading ------------------------------------------------------------------------------------------- */

static const unsigned char *take(float *out, const unsigned char *in, int64_t count) {
    memcpy(out, in, (size_t)count * 4);
    return in + count * 4;
}

static void read_weights(ane_weights *w, const unsigned char *in) {
    const ane_model_config *c = &w->config;
    int64_t embedding = (int64_t)c->vocab_size * c->dim;
    in = take(ane_weights_embedding(w), in, embedding);
    for (int i = 0; i < ANE_BLOCK_PARAMS; i++)
        for (int layer = 0; layer < c->n_layers; layer++) {
            int64_t count = 0;
            float *out = ane_weights_layer(w, layer, order[i], &count);
            copy_in(c, order[i], out, in, count);
            in += count * 4;
        }
    in = take(ane_weights_final_norm(w), in, c->dim) + rope_floats(c) * 4;
    if (!c->tied) take(ane_weights_head(w), in, embedding);
}

ane_weights *ane_llama2c_load(const char *path, ane_error *e) {
    ane_mapping map;
    ane_model_config c;
    if (!ane_map_file(&map, path, e)) return NULL;
    ane_weights *w = read_header(&map, &c, path, e) ? ane_weights_new(&c, e) : NULL;
    if (w) read_weights(w, map.data + HEADER_BYTES);
    ane_unmap_file(&map);
    return w;
}

/* ---- saving -------------------------------------------------------------------------------------------- */

static bool check_expressible(const ane_model_config *c, const char *path, ane_error *e) {
    if (c->norm_eps != 1e-5f || c->rope_theta != 10000)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, path,
            "llama2.c's format fixes rms_norm_eps at 1e-05 and rope_theta at 10000; this model has %g and "
            "%g.",
            c->norm_eps, c->rope_theta);
    if ((int64_t)c->n_heads * c->head_dim != c->dim)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, path,
            "llama2.c's format has head_dim = dim / n_heads; this model has head_dim %d, dim %d, %d heads.",
            c->head_dim, c->dim, c->n_heads);
    return true;
}

/* cos (or sin) of position * theta^(-2i/head_dim), computed in fp32 as llama2.c's export does. */
static void write_angles(ane_writer *w, const ane_model_config *c, float (*function)(float)) {
    for (int32_t position = 0; position < c->max_seq; position++)
        for (int32_t i = 0; i < c->head_dim / 2; i++) {
            float frequency = 1.0f / powf(c->rope_theta, (float)(2 * i) / (float)c->head_dim);
            float x = function((float)position * frequency);
            ane_writer_put(w, &x, sizeof x);
        }
}

static void write_blocks(ane_writer *w, const ane_weights *weights, float *scratch) {
    for (int i = 0; i < ANE_BLOCK_PARAMS; i++)
        for (int layer = 0; layer < weights->config.n_layers; layer++) {
            int64_t count = 0;
            const float *in = ane_weights_layer(weights, layer, order[i], &count);
            copy_out(&weights->config, order[i], scratch, in, count);
            ane_writer_put(w, scratch, (size_t)count * 4);
        }
}

static int64_t largest_block_param(const ane_model_config *c) {
    return (int64_t)c->dim * (c->dim > c->hidden_dim ? c->dim : c->hidden_dim);
}

bool ane_llama2c_save(const ane_weights *weights, const char *path, ane_error *e) {
    const ane_model_config *c = &weights->config;
    if (!check_expressible(c, path, e)) return false;
    float *scratch = malloc((size_t)largest_block_param(c) * sizeof *scratch);
    ane_writer *w = scratch ? ane_writer_open(path, e) : NULL;
    if (!scratch) ane_fail(e, ANE_ERROR_MEMORY, path, "Not enough memory.");
    if (w) {
        const int32_t header[HEADER_INTS] = {c->dim, c->hidden_dim, c->n_layers, c->n_heads, c->n_kv_heads,
            c->tied ? c->vocab_size : -c->vocab_size, c->max_seq};
        size_t embedding = (size_t)c->vocab_size * (size_t)c->dim * 4;
        ane_writer_put(w, header, sizeof header);
        ane_writer_put(w, ane_weights_embedding(weights), embedding);
        write_blocks(w, weights, scratch);
        ane_writer_put(w, ane_weights_final_norm(weights), (size_t)c->dim * 4);
        write_angles(w, c, cosf);
        write_angles(w, c, sinf);
        if (!c->tied) ane_writer_put(w, ane_weights_head(weights), embedding);
    }
    free(scratch);
    return w && ane_writer_commit(w, e);
}
