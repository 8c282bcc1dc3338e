/* The same weights through every format: nothing may change, and nothing false may come in. */
#include "support/support.h"

#include "anemone/model.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *in_folder(const char *name) {
    static char paths[8][512];
    static int next;
    char *p = paths[next++ % 8];
    snprintf(p, 512, "%s/%s", test_folder(), name);
    return p;
}

/* Two layers, 3 query heads for every key head, a head_dim of 4. */
static ane_weights *tiny(bool tied) {
    ane_error e = {0};
    const ane_model_config c = {24, 40, 2, 6, 2, 4, 17, 16, 1e-5f, 10000, tied, 1, 2};
    ane_weights *w = ane_weights_new(&c, &e);
    assert_ok(w, &e);
    ane_weights_init(w, 7);
    return w;
}

static void assert_same(const ane_weights *a, const ane_weights *b) {
    assert_true(ane_model_config_equal(&a->config, &b->config));
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->data, b->data, a->count * sizeof(float));
}

static void layout(void **state) {
    (void)state;
    ane_weights *w = tiny(false);
    assert_int_equal(w->n_tensors, 1 + 2 * 9 + 2);
    int64_t end = 0, total = 0;
    for (int i = 0; i < w->n_tensors; i++) {
        const ane_tensor_info *t = &w->tensors[i];
        assert_int_equal(t->offset % 16, 0);
        assert_true(t->offset >= end);
        for (int64_t k = end; k < t->offset; k++) assert_true(w->data[k] == 0);
        end = t->offset + t->count;
        total += t->count;
        assert_ptr_equal(ane_weights_find(w, t->name), t);
    }
    assert_int_equal(total, ane_model_parameter_count(&w->config));
    assert_int_equal((uintptr_t)w->data % 64, 0);
    int64_t count;
    const ane_tensor_info *t = ane_weights_find(w, "model.layers.1.mlp.down_proj.weight");
    assert_ptr_equal(ane_weights_layer(w, 1, "mlp.down_proj", &count), w->data + t->offset);
    assert_int_equal(count, 24 * 40);
    assert_int_equal(t->dim[0], 24);
    assert_int_equal(t->dim[1], 40);
    assert_true(t->decays);
    assert_false(ane_weights_find(w, "model.layers.0.input_layernorm.weight")->decays);
    assert_false(ane_weights_find(w, "model.embed_tokens.weight")->decays);
    assert_null(ane_weights_layer(w, 2, "mlp.down_proj", NULL));
    assert_null(ane_weights_layer(w, 0, "mlp.sideways_proj", NULL));
    assert_null(ane_weights_find(w, "lm_head"));
    assert_ptr_equal(ane_weights_head(w), w->data + ane_weights_find(w, "lm_head.weight")->offset);
    assert_ptr_equal(ane_weights_final_norm(w), w->data + ane_weights_find(w, "model.norm.weight")->offset);
    ane_weights_free(w);
}

static void initial_values(void **state) {
    (void)state;
    ane_weights *a = tiny(true), *b = tiny(true);
    assert_same(a, b);
    assert_true(ane_weights_head(a) == ane_weights_embedding(a));
    double sum = 0, squares = 0;
    int64_t n;
    const float *x = ane_weights_layer(a, 1, "mlp.down_proj", &n);
    for (int64_t i = 0; i < n; i++) sum += x[i], squares += (double)x[i] * x[i];
    assert_true(sum / n < 0.002 && sum / n > -0.002);
    double variance = squares / n, expected = 0.02 * 0.02 / 4; /* 2 n_layers = 4 */
    assert_true(variance > 0.85 * expected && variance < 1.15 * expected);
    assert_true(ane_weights_final_norm(a)[3] == 1);
    ane_weights_init(b, 8);
    assert_true(memcmp(a->data, b->data, a->count * sizeof(float)) != 0);
    ane_error e = {0};
    assert_ok(ane_weights_check_finite(a, &e), &e);
    ane_weights_layer(a, 0, "self_attn.k_proj", &n)[5] = 0.0f / 0.0f;
    assert_false(ane_weights_check_finite(a, &e));
    assert_error(&e, ANE_ERROR_NUMERIC, "layers.0.self_attn.k_proj");
    ane_weights_free(a);
    ane_weights_free(b);
}

static void llama2c_round_trip(void **state) {
    (void)state;
    for (int tied = 0; tied < 2; tied++) {
        ane_error e = {0};
        ane_weights *w = tiny(tied);
        assert_ok(ane_weights_save(w, in_folder("m.bin"), ANE_FORMAT_LLAMA2C, MIL_FP32, &e), &e);
        ane_weights *back = ane_weights_load(in_folder("m.bin"), &e);
        assert_ok(back, &e);
        assert_same(w, back);
        ane_weights_free(w);
        ane_weights_free(back);
    }
}

/* Rows of q_proj and k_proj change places head by head: row 2i of the file is row i, row 2i+1 is row i +
 * head_dim/2. */
static void llama2c_row_order(void **state) {
    (void)state;
    ane_error e = {0};
    ane_weights *w = tiny(true);
    int64_t n;
    float *q = ane_weights_layer(w, 0, "self_attn.q_proj", &n);
    for (int64_t i = 0; i < n; i++) q[i] = (float)(i / 24);
    assert_ok(ane_weights_save(w, in_folder("order.bin"), ANE_FORMAT_LLAMA2C, MIL_FP32, &e), &e);
    ane_mapping map;
    assert_ok(ane_map_file(&map, in_folder("order.bin"), &e), &e);
    const void *values = map.data + 28; /* behind the header */
    const float *file =
        (const float *)values + 17 * 24 + 2 * 24; /* behind the embedding and two layers' norms */
    const float expected[8] = {0, 2, 1, 3, 4, 6, 5, 7};
    for (int r = 0; r < 8; r++) assert_true(file[r * 24] == expected[r]);
    ane_unmap_file(&map);
    ane_weights_free(w);
}

static void huggingface_round_trip(void **state) {
    (void)state;
    for (int tied = 0; tied < 2; tied++) {
        ane_error e = {0};
        ane_weights *w = tiny(tied);
        assert_ok(ane_weights_save(w, in_folder("hf"), ANE_FORMAT_HF, MIL_FP32, &e), &e);
        ane_weights *back = ane_weights_load(in_folder("hf"), &e);
        assert_ok(back, &e);
        assert_same(w, back);
        ane_weights_free(w);
        ane_weights_free(back);
    }
}

/* Mapped: the same numbers wherever they lie; what is not fp32 is copied after all. */
static void huggingface_mapped(void **state) {
    (void)state;
    const mil_dtype dtypes[] = {MIL_FP32, MIL_BF16};
    for (int tied = 0; tied < 2; tied++)
        for (int d = 0; d < 2; d++) {
            ane_error e = {0};
            ane_weights *w = tiny(tied);
            assert_ok(ane_weights_save(w, in_folder("mapped"), ANE_FORMAT_HF, dtypes[d], &e), &e);
            ane_weights *copy = ane_weights_load(in_folder("mapped"), &e),
                        *map = ane_weights_map(in_folder("mapped"), &e);
            assert_ok(copy && map, &e);
            assert_true((map->owner == NULL) == (dtypes[d] == MIL_FP32));
            assert_int_equal(map->n_tensors, copy->n_tensors);
            for (int i = 0; i < copy->n_tensors; i++)
                assert_memory_equal(map->data + map->tensors[i].offset, copy->data + copy->tensors[i].offset,
                    sizeof(float) * (size_t)copy->tensors[i].count);
            assert_ok(ane_weights_save(map, in_folder("again"), ANE_FORMAT_HF, MIL_FP16, &e), &e);
            ane_weights_free(w);
            ane_weights_free(copy);
            ane_weights_free(map);
        }
}

/* Narrow formats round once; what was rounded stays as it is. */
static void narrow_round_trip(void **state) {
    (void)state;
    const mil_dtype dtypes[] = {MIL_FP16, MIL_BF16};
    for (int i = 0; i < 2; i++) {
        ane_error e = {0};
        ane_weights *w = tiny(false);
        assert_ok(ane_weights_save(w, in_folder("narrow"), ANE_FORMAT_HF, dtypes[i], &e), &e);
        ane_weights *once = ane_weights_load(in_folder("narrow"), &e);
        assert_ok(once, &e);
        assert_close(once->data, w->data, w->count, i == 0 ? 1e-4 : 1e-3);
        assert_true(memcmp(once->data, w->data, w->count * sizeof(float)) != 0);
        assert_ok(ane_weights_save(once, in_folder("narrow"), ANE_FORMAT_HF, dtypes[i], &e), &e);
        ane_weights *twice = ane_weights_load(in_folder("narrow"), &e);
        assert_ok(twice, &e);
        assert_same(once, twice);
        ane_weights_free(w);
        ane_weights_free(once);
        ane_weights_free(twice);
    }
}

static void real_checkpoint(void **state) {
    (void)state;
    const char *path = shared_data("llama2c-260k.bin");
    if (!path) skip();
    ane_error e = {0};
    ane_weights *w = ane_weights_load(path, &e);
    assert_ok(w, &e);
    ane_model_config preset;
    assert_ok(ane_model_preset(&preset, "stories260k", &e), &e);
    assert_true(ane_model_config_equal(&w->config, &preset));
    assert_ok(ane_weights_save(w, in_folder("real"), ANE_FORMAT_HF, MIL_FP32, &e), &e);
    ane_weights *hf = ane_weights_load(in_folder("real"), &e);
    assert_ok(hf, &e);
    assert_same(w, hf);
    assert_ok(ane_weights_save(hf, in_folder("real.bin"), ANE_FORMAT_LLAMA2C, MIL_FP32, &e), &e);
    ane_mapping a, b;
    assert_ok(ane_map_file(&a, path, &e) && ane_map_file(&b, in_folder("real.bin"), &e), &e);
    assert_int_equal(a.size, b.size);
    size_t angles = 512 * 8 * 4; /* the tables at the end are computed anew: the last bit may differ */
    assert_memory_equal(a.data, b.data, a.size - angles);
    const void *ours = b.data + b.size - angles, *theirs = a.data + a.size - angles;
    assert_close(ours, theirs, (int64_t)angles / 4, 1e-4);
    ane_unmap_file(&a);
    ane_unmap_file(&b);
    ane_weights_free(w);
    ane_weights_free(hf);
}

static void newest_checkpoint(void **state) {
    (void)state;
    ane_error e = {0};
    ane_weights *w = tiny(true);
    const char *steps[] = {"run/checkpoints/step-9", "run/checkpoints/step-10", "run/checkpoints/step-11"};
    for (int i = 0; i < 3; i++) {
        ane_weights_embedding(w)[0] = (float)i;
        assert_ok(ane_weights_save(w, in_folder(steps[i]), ANE_FORMAT_HF, MIL_FP32, &e), &e);
    }
    assert_ok(ane_make_folders(in_folder("run/checkpoints/step-x"), &e), &e);
    const char *broken = in_folder("run/checkpoints/step-11/model.safetensors");
    assert_ok(ane_write_file(broken, "cut", 3, &e), &e);
    ane_weights *back = ane_weights_load(in_folder("run"), &e);
    assert_ok(back, &e);
    assert_true(ane_weights_embedding(back)[0] == 1); /* step 10: 11 is broken, 9 is older */
    ane_weights_free(back);
    back = ane_weights_load(in_folder("run/checkpoints/step-9"), &e);
    assert_ok(back, &e);
    assert_true(ane_weights_embedding(back)[0] == 0);
    ane_weights_free(back);
    ane_model_config c;
    assert_ok(ane_weights_load_config(&c, in_folder("run"), &e), &e);
    assert_true(ane_model_config_equal(&c, &w->config));
    ane_weights_free(w);
    assert_ok(ane_make_folders(in_folder("young/checkpoints"), &e), &e);
    assert_null(ane_weights_load(in_folder("young"), &e));
    assert_error(&e, ANE_ERROR_FORMAT, "no checkpoint");
}

/* ---- bad files ----------------------------------------------------------------------------------------- */

static void refused_llama2c(void **state) {
    (void)state;
    static const struct {
        int32_t header[7];
        size_t bytes;
        ane_code code;
        const char *part;
    } cases[] = {
        {{0}, 0, ANE_ERROR_FORMAT, "has 0 bytes"},
        {{24, 40}, 8, ANE_ERROR_FORMAT, "header alone 28"},
        {{24, 40, 2, 6, 2, 17, 16}, 28, ANE_ERROR_FORMAT, "found 28"},
        {{24, 40, 2, 5, 1, 17, 16}, 28, ANE_ERROR_FORMAT, "do not divide"},
        {{24, 40, 2, 6, 4, 17, 16}, 28, ANE_ERROR_FORMAT, "6 and 4"},
        {{24, 40, 2, 6, 2, 0, 16}, 28, ANE_ERROR_FORMAT, "vocab_size"},
        {{24, 40, 2, 6, 2, INT32_MIN, 16}, 28, ANE_ERROR_FORMAT, "vocab_size"},
        {{24, 40, -2, 6, 2, 17, 16}, 28, ANE_ERROR_FORMAT, "num_hidden_layers"},
        {{24, 40, 2, 0, 2, 17, 16}, 28, ANE_ERROR_FORMAT, "0 heads"},
        {{1 << 20, 1 << 20, 4096, 1, 1, -(1 << 24), 1 << 24}, 28, ANE_ERROR_FORMAT, "demands"},
        {{0x616b3432, 1}, 28, ANE_ERROR_UNSUPPORTED, "version 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ane_error e = {0};
        assert_ok(ane_write_file(in_folder("bad.bin"), cases[i].header, cases[i].bytes, &e), &e);
        if (ane_weights_load(in_folder("bad.bin"), &e)) fail_msg("case %zu was accepted", i);
        assert_error(&e, cases[i].code, cases[i].part);
    }
}

/* A good file cut short, or with a byte too many, says what it should have. */
static void refused_llama2c_sizes(void **state) {
    (void)state;
    ane_error e = {0};
    ane_weights *w = tiny(false);
    assert_ok(ane_weights_save(w, in_folder("cut.bin"), ANE_FORMAT_LLAMA2C, MIL_FP32, &e), &e);
    size_t size;
    ane_mapping map;
    assert_ok(ane_map_file(&map, in_folder("cut.bin"), &e), &e);
    size = map.size;
    char *copy = calloc(1, size + 1);
    memcpy(copy, map.data, size);
    ane_unmap_file(&map);
    char found[64];
    for (int change = -1; change <= 1; change += 2) {
        assert_ok(ane_write_file(in_folder("cut.bin"), copy, size + (size_t)change, &e), &e);
        assert_null(ane_weights_load(in_folder("cut.bin"), &e));
        snprintf(found, sizeof found, "demands %zu bytes, found %zu", size, size + (size_t)change);
        assert_error(&e, ANE_ERROR_FORMAT, found);
    }
    free(copy);
    assert_false(ane_weights_save(w, in_folder("cut.bin"), ANE_FORMAT_LLAMA2C, MIL_FP16, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "fp32 only");
    w->config.rope_theta = 500000;
    assert_false(ane_weights_save(w, in_folder("cut.bin"), ANE_FORMAT_LLAMA2C, MIL_FP32, &e));
    assert_error(&e, ANE_ERROR_UNSUPPORTED, "rope_theta at 10000");
    ane_weights_free(w);
}

static void save_tensors(int n, ane_safetensor *tensors) {
    ane_error e = {0};
    assert_ok(ane_safetensors_write(in_folder("bad/model.safetensors"), n, tensors, NULL, &e), &e);
}

static void assert_refused(ane_code code, const char *part) {
    ane_error e = {0};
    assert_null(ane_weights_load(in_folder("bad"), &e));
    assert_error(&e, code, part);
}

static void refused_huggingface(void **state) {
    (void)state;
    ane_error e = {0};
    ane_weights *w = tiny(true);
    assert_ok(ane_weights_save(w, in_folder("bad"), ANE_FORMAT_HF, MIL_FP32, &e), &e);
    ane_safetensor tensors[32];
    for (int i = 0; i < w->n_tensors; i++) {
        const ane_tensor_info *t = &w->tensors[i];
        tensors[i] = (ane_safetensor){t->name, mil_tensor(MIL_FP32, t->rank, t->dim), w->data + t->offset};
    }
    int n = w->n_tensors;
    save_tensors(n - 1, tensors);
    assert_refused(ANE_ERROR_FORMAT, "\"model.norm.weight\" is missing");
    tensors[n] = (ane_safetensor){"model.layers.2.input_layernorm.weight", tensors[1].type, tensors[1].data};
    save_tensors(n + 1, tensors);
    assert_refused(ANE_ERROR_FORMAT, "layers.2.input_layernorm.weight\" does not belong");
    tensors[n].name = "model.layers.0.self_attn.rotary_emb.inv_freq";
    save_tensors(n + 1, tensors);
    ane_weights *loaded = ane_weights_load(in_folder("bad"), &e);
    assert_ok(loaded, &e);
    ane_weights_free(loaded);
    tensors[n] = (ane_safetensor){"lm_head.weight", tensors[0].type, tensors[0].data};
    save_tensors(n + 1, tensors);
    loaded = ane_weights_load(in_folder("bad"), &e); /* a tied head may be there twice */
    assert_ok(loaded, &e);
    ane_weights_free(loaded);
    tensors[n].data = w->data + 16;
    save_tensors(n + 1, tensors);
    assert_refused(ANE_ERROR_FORMAT, "differs from the embedding");
    ane_safetensor good = tensors[2];
    tensors[2].type.dim[1] = 12;
    save_tensors(n, tensors);
    assert_refused(ANE_ERROR_SHAPE,
        "q_proj.weight\" is tensor<fp32, [24, 12]>, but config.json demands the shape [24, 24]");
    tensors[2] = good;
    tensors[2].type.dtype = MIL_INT32;
    save_tensors(n, tensors);
    assert_refused(ANE_ERROR_TYPE, "must be fp32, fp16 or bf16");
    assert_false(ane_weights_save(w, in_folder("bad"), ANE_FORMAT_HF, MIL_INT8, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "not as int8");
    w->config.tied = false;
    assert_ok(ane_model_config_save(&w->config, in_folder("bad/config.json"), &e), &e);
    tensors[2] = good;
    save_tensors(n, tensors);
    assert_refused(ANE_ERROR_FORMAT, "tie_word_embeddings");
    ane_weights_free(w);
}

static void put_text(const char *path, const char *text) {
    ane_error e = {0};
    assert_ok(ane_write_file(path, text, strlen(text), &e), &e);
}

static void shards(void **state) {
    (void)state;
    ane_error e = {0};
    ane_weights *w = tiny(true);
    ane_safetensor tensors[32];
    for (int i = 0; i < w->n_tensors; i++) {
        const ane_tensor_info *t = &w->tensors[i];
        tensors[i] = (ane_safetensor){t->name, mil_tensor(MIL_FP32, t->rank, t->dim), w->data + t->offset};
    }
    assert_ok(ane_make_folders(in_folder("sharded"), &e), &e);
    assert_ok(ane_model_config_save(&w->config, in_folder("sharded/config.json"), &e), &e);
    assert_null(ane_weights_load(in_folder("sharded"), &e));
    assert_error(&e, ANE_ERROR_IO, "model.safetensors");
    assert_ok(ane_safetensors_write(in_folder("sharded/a.safetensors"), 5, tensors, NULL, &e), &e);
    assert_ok(
        ane_safetensors_write(in_folder("sharded/b.safetensors"), w->n_tensors - 5, tensors + 5, NULL, &e),
        &e);
    const char *index = in_folder("sharded/model.safetensors.index.json");
    put_text(index,
        "{\"weight_map\": {\"x\": \"a.safetensors\", \"y\": \"b.safetensors\", \"z\": \"a.safetensors\"}}");
    ane_weights *back = ane_weights_load(in_folder("sharded"), &e);
    assert_ok(back, &e);
    assert_same(w, back);
    ane_weights_free(back);
    static const struct {
        const char *text;
        ane_code code;
        const char *part;
    } cases[] = {
        {"{", ANE_ERROR_FORMAT, "Not valid JSON"},
        {"{}", ANE_ERROR_FORMAT, "weight_map"},
        {"{\"weight_map\": {\"x\": 3}}", ANE_ERROR_FORMAT, "must name a file"},
        {"{\"weight_map\": {\"x\": \"../a.safetensors\"}}", ANE_ERROR_FORMAT, "outside the folder"},
        {"{\"weight_map\": {\"x\": \"none.safetensors\"}}", ANE_ERROR_IO, "none.safetensors"},
        {"{\"weight_map\": {\"x\": \"a.safetensors\"}}", ANE_ERROR_FORMAT, "is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_text(index, cases[i].text);
        assert_null(ane_weights_load(in_folder("sharded"), &e));
        assert_error(&e, cases[i].code, cases[i].part);
    }
    ane_weights_free(w);
}

static void refused_paths(void **state) {
    (void)state;
    ane_error e = {0};
    ane_model_config c;
    assert_null(ane_weights_load(in_folder("nothing"), &e));
    assert_error(&e, ANE_ERROR_IO, "no such file");
    assert_ok(ane_make_folders(in_folder("empty"), &e), &e);
    assert_null(ane_weights_load(in_folder("empty"), &e));
    assert_error(&e, ANE_ERROR_FORMAT, "no config.json");
    assert_false(ane_weights_load_config(&c, in_folder("nothing.json"), &e));
    assert_error(&e, ANE_ERROR_IO, "nothing.json");
    const ane_model_config bad = {.dim = 0};
    assert_null(ane_weights_new(&bad, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "hidden_size must be between");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout),
        cmocka_unit_test(initial_values),
        cmocka_unit_test(llama2c_round_trip),
        cmocka_unit_test(llama2c_row_order),
        cmocka_unit_test(huggingface_round_trip),
        cmocka_unit_test(huggingface_mapped),
        cmocka_unit_test(narrow_round_trip),
        cmocka_unit_test(real_checkpoint),
        cmocka_unit_test(newest_checkpoint),
        cmocka_unit_test(refused_llama2c),
        cmocka_unit_test(refused_llama2c_sizes),
        cmocka_unit_test(refused_huggingface),
        cmocka_unit_test(shards),
        cmocka_unit_test(refused_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
