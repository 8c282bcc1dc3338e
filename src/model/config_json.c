/* config_json.c - config.json as Hugging Face's LlamaForCausalLM writes it, read and written. */
#include "base/decimal.h"
#include "base/file.h"
#include "model/impl.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG_BYTES = 1 << 20 };

/* ---- reading one key ----
 * A key that is absent or null has its default, as in transformers. */

static const json_t *given(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return v && !json_is_null(v) ? v : NULL;
}

/* A size; required when `otherwise` is 0. */
static bool read_size(const json_t *o, const char *key, int32_t otherwise, int32_t *out, ane_error *e) {
    const json_t *v = given(o, key);
    if (!v && otherwise == 0) return ane_fail(e, ANE_ERROR_FORMAT, "", "\"%s\" is missing.", key);
    if (v && !json_is_integer(v))
        return ane_fail(e, ANE_ERROR_FORMAT, "", "\"%s\" must be a whole number.", key);
    json_int_t n = v ? json_integer_value(v) : otherwise;
    if (n < 1 || n > INT32_MAX)
        return ane_fail(e, ANE_ERROR_FORMAT, "", "\"%s\" must be positive and below 2^31, found %lld.", key,
            (long long)n);
    *out = (int32_t)n;
    return true;
}

static bool read_float(const json_t *o, const char *key, float otherwise, float *out, ane_error *e) {
    const json_t *v = given(o, key);
    if (v && !json_is_number(v)) return ane_fail(e, ANE_ERROR_FORMAT, "", "\"%s\" must be a number.", key);
    *out = v ? (float)json_number_value(v) : otherwise;
    return true;
}

static bool read_bool(const json_t *o, const char *key, bool otherwise, bool *out, ane_error *e) {
    const json_t *v = given(o, key);
    if (v && !json_is_boolean(v))
        return ane_fail(e, ANE_ERROR_FORMAT, "", "\"%s\" must be true or false.", key);
    *out = v ? json_is_true(v) : otherwise;
    return true;
}

/* A token id: a number, the first of a list, or null for none. Absent is transformers' default where the
 * vocabulary has such a token. */
static bool read_token(
    const json_t *o, const char *key, int32_t otherwise, int32_t vocab, int32_t *out, ane_error *e) {
    const json_t *v = json_object_get(o, key);
    *out = v || otherwise >= vocab ? -1 : otherwise;
    if (json_is_array(v)) v = json_array_get(v, 0);
    if (!v || json_is_null(v)) return true;
    if (!json_is_integer(v) || json_integer_value(v) < -1 || json_integer_value(v) > INT32_MAX)
        return ane_fail(e, ANE_ERROR_FORMAT, "", "\"%s\" must be a token id or null.", key);
    *out = (int32_t)json_integer_value(v);
    return true;
}

/* ---- what is refused ----------------------------------------------------------------------------------- */

static bool unsupported(ane_error *e, const char *key, const char *what) {
    return ane_fail(e, ANE_ERROR_UNSUPPORTED, "", "\"%s\" is %s, which is not supported.", key, what);
}

static bool expect_string(
    const json_t *o, const char *key, const char *expected, bool required, ane_error *e) {
    const json_t *v = given(o, key);
    if (!v && !required) return true;
    if (!v) return ane_fail(e, ANE_ERROR_FORMAT, "", "\"%s\" is missing, expected \"%s\".", key, expected);
    if (!json_is_string(v)) return ane_fail(e, ANE_ERROR_FORMAT, "", "\"%s\" must be a string.", key);
    if (strcmp(json_string_value(v), expected) != 0)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, "", "\"%s\" is \"%.64s\"; only \"%s\" is supported.", key,
            json_string_value(v), expected);
    return true;
}

static bool expect_false(const json_t *o, const char *key, ane_error *e) {
    bool value = false;
    if (!read_bool(o, key, false, &value, e)) return false;
    return value ? unsupported(e, key, "true") : true;
}

static bool check_architecture(const json_t *o, ane_error *e) {
    if (!expect_string(o, "model_type", "llama", true, e)) return false;
    const json_t *list = given(o, "architectures");
    if (!list) return true;
    if (!json_is_array(list)) return ane_fail(e, ANE_ERROR_FORMAT, "", "\"architectures\" must be a list.");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name && strcmp(name, "LlamaForCausalLM") == 0) return true;
    }
    return ane_fail(e, ANE_ERROR_UNSUPPORTED, "",
        "\"architectures\" does not name LlamaForCausalLM, the only one "
        "that is supported.");
}

static bool check_supported(const json_t *o, ane_error *e) {
    if (!check_architecture(o, e) || !expect_string(o, "hidden_act", "silu", false, e) ||
        !expect_false(o, "attention_bias", e) || !expect_false(o, "mlp_bias", e))
        return false;
    static const char *const null_only[] = {"quantization_config", "sliding_window"};
    for (size_t i = 0; i < sizeof null_only / sizeof *null_only; i++)
        if (given(o, null_only[i])) return unsupported(e, null_only[i], "set");
    return true;
}

/* ---- rotary embedding ----
 * Until transformers 4: "rope_theta" beside "rope_scaling". Since 5: "rope_parameters" holds theta and type. */

static bool read_rope_object(const json_t *o, const char *key, float *theta, ane_error *e) {
    const json_t *rope = given(o, key);
    if (!rope) return true;
    if (!json_is_object(rope))
        return ane_fail(e, ANE_ERROR_FORMAT, "", "\"%s\" must be an object or null.", key);
    static const char *const type_keys[] = {"rope_type", "type"};
    for (int i = 0; i < 2; i++) {
        const json_t *type = given(rope, type_keys[i]);
        const char *name = json_string_value(type);
        if (type && !name)
            return ane_fail(e, ANE_ERROR_FORMAT, "", "\"%s.%s\" must be a string.", key, type_keys[i]);
        if (name && strcmp(name, "default") != 0)
            return ane_fail(e, ANE_ERROR_UNSUPPORTED, "",
                "\"%s\" is of type \"%.64s\"; only \"default\" is supported.", key, name);
    }
    if (!given(rope, "rope_type") && !given(rope, "type") && given(rope, "factor"))
        return unsupported(e, key, "a scaling of positions");
    return read_float(rope, "rope_theta", *theta, theta, e);
}

static bool read_rope(const json_t *o, float *theta, ane_error *e) {
    float part = 1;
    if (!read_float(o, "partial_rotary_factor", 1, &part, e)) return false;
    const json_t *rope = given(o, "rope_parameters");
    if (json_is_object(rope) && !read_float(rope, "partial_rotary_factor", part, &part, e)) return false;
    if (part != 1) return unsupported(e, "partial_rotary_factor", "not 1");
    return read_float(o, "rope_theta", 10000, theta, e) && read_rope_object(o, "rope_scaling", theta, e) &&
           read_rope_object(o, "rope_parameters", theta, e);
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

static bool read_config(const json_t *o, ane_model_config *c, ane_error *e) {
    if (!json_is_object(o)) return ane_fail(e, ANE_ERROR_FORMAT, "", "Expected a JSON object.");
    memset(c, 0, sizeof *c);
    if (!check_supported(o, e) || !read_size(o, "hidden_size", 0, &c->dim, e) ||
        !read_size(o, "intermediate_size", 0, &c->hidden_dim, e) ||
        !read_size(o, "num_hidden_layers", 0, &c->n_layers, e) ||
        !read_size(o, "num_attention_heads", 0, &c->n_heads, e) ||
        !read_size(o, "vocab_size", 0, &c->vocab_size, e))
        return false;
    if (!given(o, "head_dim") && c->dim % c->n_heads != 0)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "",
            "hidden_size must be a multiple of num_attention_heads when head_dim is not given, found %d and "
            "%d.",
            c->dim, c->n_heads);
    int32_t head_dim = c->dim / c->n_heads > 0 ? c->dim / c->n_heads : 1;
    return read_size(o, "num_key_value_heads", c->n_heads, &c->n_kv_heads, e) &&
           read_size(o, "head_dim", head_dim, &c->head_dim, e) &&
           read_size(o, "max_position_embeddings", 2048, &c->max_seq, e) &&
           read_float(o, "rms_norm_eps", 1e-6f, &c->norm_eps, e) && read_rope(o, &c->rope_theta, e) &&
           read_bool(o, "tie_word_embeddings", false, &c->tied, e) &&
           read_token(o, "bos_token_id", 1, c->vocab_size, &c->bos_id, e) &&
           read_token(o, "eos_token_id", 2, c->vocab_size, &c->eos_id, e) && ane_model_config_check(c, e);
}

bool ane_model_config_load(ane_model_config *c, const char *path, ane_error *e) {
    size_t size = 0;
    char *text = ane_read_text(path, MAX_CONFIG_BYTES, &size, e);
    if (!text) return false;
    json_error_t je;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &je);
    free(text);
    if (!root) {
        ane_fail(e, ANE_ERROR_FORMAT, path, "Not valid JSON: line %d, column %d: %s.", je.line, je.column,
            je.text);
        return false;
    }
    ane_model_config read;
    bool ok = read_config(root, &read, e);
    json_decref(root);
    if (!ok) return ane_at(e, path);
    *c = read;
    return true;
}

/* The shortest decimal that reads back as the same float, so that 1e-5 stays 1e-05. */
static const char *print_float(float x, char text[32]) {
    for (int digits = 6; digits <= 9; digits++) {
        ane_print(text, 32, "%.*g", digits, x);
        if ((float)ane_read_decimal(text, NULL) == x) break;
    }
    return text;
}

static void write_token(ane_writer *w, const char *key, int32_t id) {
    if (id < 0)
        ane_writer_printf(w, "  \"%s\": null,\n", key);
    else
        ane_writer_printf(w, "  \"%s\": %d,\n", key, id);
}

bool ane_model_config_save(const ane_model_config *c, const char *path, ane_error *e) {
    if (!ane_model_config_check(c, e)) return ane_at(e, path);
    ane_writer *w = ane_writer_open(path, e);
    if (!w) return false;
    char eps[32], theta[32];
    print_float(c->norm_eps, eps);
    print_float(c->rope_theta, theta);
    ane_writer_printf(w, "{\n  \"architectures\": [\"LlamaForCausalLM\"],\n  \"attention_bias\": false,\n");
    write_token(w, "bos_token_id", c->bos_id);
    write_token(w, "eos_token_id", c->eos_id);
    ane_writer_printf(w, "  \"head_dim\": %d,\n  \"hidden_act\": \"silu\",\n", c->head_dim);
    ane_writer_printf(w, "  \"hidden_size\": %d,\n  \"intermediate_size\": %d,\n", c->dim, c->hidden_dim);
    ane_writer_printf(w, "  \"max_position_embeddings\": %d,\n  \"mlp_bias\": false,\n", c->max_seq);
    ane_writer_printf(w, "  \"model_type\": \"llama\",\n  \"num_attention_heads\": %d,\n", c->n_heads);
    ane_writer_printf(
        w, "  \"num_hidden_layers\": %d,\n  \"num_key_value_heads\": %d,\n", c->n_layers, c->n_kv_heads);
    ane_writer_printf(w, "  \"rms_norm_eps\": %s,\n", eps);
    /* both spellings: transformers 4 reads the first, 5 the second */
    ane_writer_printf(w, "  \"rope_theta\": %s,\n", theta);
    ane_writer_printf(w, "  \"rope_parameters\": {\"rope_theta\": %s, \"rope_type\": \"default\"},\n", theta);
    ane_writer_printf(w, "  \"tie_word_embeddings\": %s,\n", c->tied ? "true" : "false");
    ane_writer_printf(w, "  \"vocab_size\": %d\n}\n", c->vocab_size);
    return ane_writer_commit(w, e);
}
