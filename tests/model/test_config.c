#include "support/support.h"

#include "anemone/model.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

static const char *write_config(const char *text) {
    static char path[256];
    snprintf(path, sizeof path, "%s/config.json", test_folder());
    ane_error e = {0};
    assert_ok(ane_write_file(path, text, strlen(text), &e), &e);
    return path;
}

#define SIZES                                                                                                \
    "\"hidden_size\": 64, \"intermediate_size\": 172, \"num_hidden_layers\": 5, \"num_attention_heads\": "   \
    "8, "                                                                                                    \
    "\"vocab_size\": 512"

static void presets(void **state) {
    (void)state;
    ane_error e = {0};
    ane_model_config c;
    const int64_t counts[] = {260032, 15191712, 41689600, 109529856};
    int n = 0;
    for (const char *const *name = ane_model_presets(); *name; name++, n++) {
        assert_ok(ane_model_preset(&c, *name, &e), &e);
        assert_ok(ane_model_config_check(&c, &e), &e);
        assert_int_equal(ane_model_parameter_count(&c), counts[n]);
    }
    assert_int_equal(n, 4);
    assert_false(ane_model_preset(&c, "stories1t", &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "stories42m");
}

static void round_trip(void **state) {
    (void)state;
    ane_error e = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/saved.json", test_folder());
    ane_model_config c, back;
    assert_ok(ane_model_preset(&c, "stories260k", &e), &e);
    c.norm_eps = 1.2345678e-6f;
    c.rope_theta = 500000;
    c.head_dim = 16;
    c.tied = false;
    c.bos_id = -1;
    assert_ok(ane_model_config_save(&c, path, &e), &e);
    assert_ok(ane_model_config_load(&back, path, &e), &e);
    assert_true(ane_model_config_equal(&c, &back));
    back.eos_id = 7;
    assert_false(ane_model_config_equal(&c, &back));
    c.n_kv_heads = 3;
    assert_false(ane_model_config_save(&c, path, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "multiple of num_key_value_heads");
}

/* What is missing has transformers' defaults. */
static void defaults(void **state) {
    (void)state;
    ane_error e = {0};
    ane_model_config c;
    assert_ok(ane_model_config_load(&c, write_config("{\"model_type\": \"llama\", " SIZES "}"), &e), &e);
    assert_int_equal(c.n_kv_heads, 8);
    assert_int_equal(c.head_dim, 8);
    assert_int_equal(c.max_seq, 2048);
    assert_float_equal(c.norm_eps, 1e-6f, 0);
    assert_float_equal(c.rope_theta, 10000, 0);
    assert_false(c.tied);
    assert_int_equal(c.bos_id, 1);
    assert_int_equal(c.eos_id, 2);
}

static void accepted_spellings(void **state) {
    (void)state;
    ane_error e = {0};
    ane_model_config c;
    assert_ok(
        ane_model_config_load(&c,
            write_config(
                "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"], \"rope_parameters\": "
                "{\"rope_theta\": 500000.0, \"rope_type\": \"default\"}, \"eos_token_id\": [7, 8], "
                "\"bos_token_id\": null, \"head_dim\": null, \"rope_scaling\": null, " SIZES "}"),
            &e),
        &e);
    assert_float_equal(c.rope_theta, 500000, 0);
    assert_int_equal(c.eos_id, 7);
    assert_int_equal(c.bos_id, -1);
}

static void refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        ane_code code;
        const char *part;
    } cases[] = {
        {"", ANE_ERROR_FORMAT, "Not valid JSON"},
        {"{\"a\": 1, \"a\": 2}", ANE_ERROR_FORMAT, "duplicate"},
        {"[1]", ANE_ERROR_FORMAT, "JSON object"},
        {"{" SIZES "}", ANE_ERROR_FORMAT, "\"model_type\" is missing"},
        {"{\"model_type\": \"gpt2\", " SIZES "}", ANE_ERROR_UNSUPPORTED, "\"gpt2\""},
        {"{\"model_type\": 3, " SIZES "}", ANE_ERROR_FORMAT, "\"model_type\" must be a string"},
        {"{\"model_type\": \"llama\", \"architectures\": [\"X\"], " SIZES "}", ANE_ERROR_UNSUPPORTED,
            "architectures"},
        {"{\"model_type\": \"llama\", \"architectures\": 1, " SIZES "}", ANE_ERROR_FORMAT, "must be a list"},
        {"{\"model_type\": \"llama\", \"hidden_act\": \"gelu\", " SIZES "}", ANE_ERROR_UNSUPPORTED,
            "hidden_act"},
        {"{\"model_type\": \"llama\", \"attention_bias\": true, " SIZES "}", ANE_ERROR_UNSUPPORTED,
            "attention_bias"},
        {"{\"model_type\": \"llama\", \"mlp_bias\": true, " SIZES "}", ANE_ERROR_UNSUPPORTED, "mlp_bias"},
        {"{\"model_type\": \"llama\", \"mlp_bias\": 1, " SIZES "}", ANE_ERROR_FORMAT, "true or false"},
        {"{\"model_type\": \"llama\", \"quantization_config\": {}, " SIZES "}", ANE_ERROR_UNSUPPORTED,
            "quantization"},
        {"{\"model_type\": \"llama\", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}, " SIZES "}",
            ANE_ERROR_UNSUPPORTED, "\"linear\""},
        {"{\"model_type\": \"llama\", \"rope_scaling\": {\"factor\": 2}, " SIZES "}", ANE_ERROR_UNSUPPORTED,
            "scaling"},
        {"{\"model_type\": \"llama\", \"rope_scaling\": 2, " SIZES "}", ANE_ERROR_FORMAT, "object or null"},
        {"{\"model_type\": \"llama\", \"rope_parameters\": {\"rope_type\": \"llama3\"}, " SIZES "}",
            ANE_ERROR_UNSUPPORTED, "llama3"},
        {"{\"model_type\": \"llama\", \"rope_parameters\": {\"rope_type\": 1}, " SIZES "}", ANE_ERROR_FORMAT,
            "string"},
        {"{\"model_type\": \"llama\", \"partial_rotary_factor\": 0.5, " SIZES "}", ANE_ERROR_UNSUPPORTED,
            "partial"},
        {"{\"model_type\": \"llama\", \"head_dim\": 7, " SIZES "}", ANE_ERROR_ARGUMENT, "must be even"},
        {"{\"model_type\": \"llama\", \"head_dim\": 1000000, " SIZES "}", ANE_ERROR_ARGUMENT,
            "head_dim must be at most"},
        {"{\"model_type\": \"llama\", \"head_dim\": \"x\", " SIZES "}", ANE_ERROR_FORMAT, "whole number"},
        {"{\"model_type\": \"llama\", \"num_key_value_heads\": 3, " SIZES "}", ANE_ERROR_ARGUMENT, "8 and 3"},
        {"{\"model_type\": \"llama\", \"num_key_value_heads\": 0, " SIZES "}", ANE_ERROR_FORMAT, "positive"},
        {"{\"model_type\": \"llama\", \"max_position_embeddings\": -5, " SIZES "}", ANE_ERROR_FORMAT, "-5"},
        {"{\"model_type\": \"llama\", \"max_position_embeddings\": 2000000000, " SIZES "}",
            ANE_ERROR_ARGUMENT, "between 1 and"},
        {"{\"model_type\": \"llama\", \"rms_norm_eps\": 0, " SIZES "}", ANE_ERROR_ARGUMENT, "rms_norm_eps"},
        {"{\"model_type\": \"llama\", \"rms_norm_eps\": \"0\", " SIZES "}", ANE_ERROR_FORMAT,
            "must be a number"},
        {"{\"model_type\": \"llama\", \"rope_theta\": -1, " SIZES "}", ANE_ERROR_ARGUMENT, "rope_theta"},
        {"{\"model_type\": \"llama\", \"bos_token_id\": 512, " SIZES "}", ANE_ERROR_ARGUMENT, "bos_token_id"},
        {"{\"model_type\": \"llama\", \"eos_token_id\": 1.5, " SIZES "}", ANE_ERROR_FORMAT,
            "token id or null"},
        {"{\"model_type\": \"llama\", \"eos_token_id\": 512, " SIZES "}", ANE_ERROR_ARGUMENT, "eos_token_id"},
        {"{\"model_type\": \"llama\"}", ANE_ERROR_FORMAT, "\"hidden_size\" is missing"},
        {"{\"model_type\": \"llama\", \"hidden_size\": 64, \"intermediate_size\": 8, \"num_hidden_layers\": "
         "1, "
         "\"num_attention_heads\": 7, \"vocab_size\": 9}",
            ANE_ERROR_ARGUMENT, "64 and 7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ane_error e = {0};
        ane_model_config c;
        if (ane_model_config_load(&c, write_config(cases[i].text), &e))
            fail_msg("accepted: %s", cases[i].text);
        assert_non_null(strstr(e.where, "config.json"));
        assert_error(&e, cases[i].code, cases[i].part);
    }
    ane_error e = {0};
    ane_model_config c;
    assert_false(ane_model_config_load(&c, "/nowhere/config.json", &e));
    assert_error(&e, ANE_ERROR_IO, "/nowhere/config.json");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(defaults),
        cmocka_unit_test(accepted_spellings),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
