/* huggingface.c - a folder in Hugging Face's layout: config.json and model.safetensors, or its shards. */
#include "base/file.h"
#include "model/impl.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SHARDS = 1024, MAX_INDEX_BYTES = 64 << 20 };

/* The safetensors files of a folder. */
typedef struct shards {
    int n;
    ane_safetensors *files[MAX_SHARDS];
    char *names[MAX_SHARDS];
} shards;

static void close_shards(shards *s) {
    if (!s) return;
    for (int i = 0; i < s->n; i++) {
        ane_safetensors_close(s->files[i]);
        free(s->names[i]);
    }
    free(s);
}

static bool add_shard(shards *s, const char *folder, const char *name, ane_error *e) {
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->names[i], name) == 0) return true;
    if (s->n == MAX_SHARDS)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, folder, "It has more than %d weight files.", MAX_SHARDS);
    if (strchr(name, '/') || strchr(name, '\\'))
        return ane_fail(
            e, ANE_ERROR_FORMAT, folder, "The index names the file \"%.100s\", outside the folder.", name);
    char *path = ane_join_path(folder, name), *copy = strdup(name);
    if (!path || !copy) ane_fail(e, ANE_ERROR_MEMORY, folder, "Not enough memory.");
    ane_safetensors *file = path && copy ? ane_safetensors_open(path, e) : NULL;
    free(path);
    if (!file) {
        free(copy);
        return false;
    }
    s->files[s->n] = file;
    s->names[s->n++] = copy;
    return true;
}

/* model.safetensors.index.json: {"weight_map": {tensor: file}}. */
static bool add_indexed(shards *s, const char *folder, const char *index, ane_error *e) {
    size_t size;
    char *text = ane_read_text(index, MAX_INDEX_BYTES, &size, e);
    if (!text) return false;
    json_error_t je;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &je);
    free(text);
    if (!root) return ane_fail(e, ANE_ERROR_FORMAT, index, "Not valid JSON: line %d: %s.", je.line, je.text);
    json_t *map = json_object_get(root, "weight_map"), *file;
    const char *tensor;
    bool ok =
        json_is_object(map) ? true : ane_fail(e, ANE_ERROR_FORMAT, index, "It has no \"weight_map\" object.");
    json_object_foreach(map, tensor, file) {
        if (!ok) break;
        ok = json_is_string(file)
                 ? add_shard(s, folder, json_string_value(file), e)
                 : ane_fail(e, ANE_ERROR_FORMAT, index, "\"%.80s\" must name a file.", tensor);
    }
    json_decref(root);
    return ok;
}

static shards *open_shards(const char *folder, ane_error *e) {
    shards *s = calloc(1, sizeof *s);
    char *single = ane_join_path(folder, "model.safetensors");
    char *index = ane_join_path(folder, "model.safetensors.index.json");
    bool ok = s && single && index ? true : ane_fail(e, ANE_ERROR_MEMORY, folder, "Not enough memory.");
    if (ok && !ane_path_exists(single) && ane_path_exists(index))
        ok = add_indexed(s, folder, index, e);
    else if (ok)
        ok = add_shard(s, folder, "model.safetensors", e);
    free(single);
    free(index);
    if (ok) return s;
    close_shards(s);
    return NULL;
}

/* ---- loading ------------------------------------------------------------------------------------------- */

static const ane_safetensor *find(const shards *s, const char *name) {
    const ane_safetensor *t = NULL;
    for (int i = 0; i < s->n && !t; i++) t = ane_safetensors_find(s->files[i], name);
    return t;
}

static bool same_shape(const ane_tensor_info *t, const mil_type *type) {
    if (type->rank != t->rank) return false;
    for (int i = 0; i < t->rank; i++)
        if (type->dim[i] != t->dim[i]) return false;
    return true;
}

static bool check_tensor(
    const ane_tensor_info *t, const ane_safetensor *found, const char *folder, ane_error *e) {
    if (!found) {
        ane_fail(e, ANE_ERROR_FORMAT, folder, "Tensor \"%s\" is missing.", t->name);
        if (strcmp(t->name, "lm_head.weight") == 0)
            ane_hint(e,
                "If the head is the embedding matrix, config.json must say \"tie_word_embeddings\": true.");
        return false;
    }
    char type[160];
    if (!same_shape(t, &found->type)) {
        char expected[64];
        if (t->rank == 1)
            snprintf(expected, sizeof expected, "[%lld]", (long long)t->dim[0]);
        else
            snprintf(expected, sizeof expected, "[%lld, %lld]", (long long)t->dim[0], (long long)t->dim[1]);
        return ane_fail(e, ANE_ERROR_SHAPE, folder,
            "Tensor \"%s\" is %s, but config.json demands the shape %s.", t->name,
            mil_type_print(&found->type, type, sizeof type), expected);
    }
    mil_dtype d = found->type.dtype;
    if (d != MIL_FP32 && d != MIL_FP16 && d != MIL_BF16)
        return ane_fail(e, ANE_ERROR_TYPE, folder, "Tensor \"%s\" is %s; weights must be fp32, fp16 or bf16.",
            t->name, mil_type_print(&found->type, type, sizeof type));
    return true;
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* A tied model may carry its head twice; it must then be the same. */
static bool check_tied_head(
    const ane_weights *w, const ane_safetensor *head, const char *folder, ane_error *e) {
    const ane_tensor_info *t = &w->tensors[0];
    const ane_safetensor named = {"lm_head.weight", head->type, head->data};
    if (!check_tensor(t, &named, folder, e)) return false;
    float *copy = malloc((size_t)t->count * sizeof *copy);
    if (!copy) return ane_fail(e, ANE_ERROR_MEMORY, folder, "Not enough memory.");
    ane_widen(copy, head->data, head->type.dtype, t->count);
    bool same = memcmp(copy, w->data + t->offset, (size_t)t->count * sizeof *copy) == 0;
    free(copy);
    if (same) return true;
    ane_fail(e, ANE_ERROR_FORMAT, folder,
        "\"lm_head.weight\" differs from the embedding, but config.json ties them.");
    return ane_hint(e, "If the head is separate, config.json must say \"tie_word_embeddings\": false.");
}

static bool check_extra(
    const ane_weights *w, const char *name, const ane_safetensor *t, const char *folder, ane_error *e) {
    if (ane_weights_find(w, name) || ends_with(name, ".rotary_emb.inv_freq"))
        return true; /* old files keep the angles */
    if (w->config.tied && strcmp(name, "lm_head.weight") == 0) return check_tied_head(w, t, folder, e);
    ane_fail(
        e, ANE_ERROR_FORMAT, folder, "Tensor \"%.80s\" does not belong to the model of config.json.", name);
    return ane_hint(e, "The model has %d layers and %s head.", w->config.n_layers,
        w->config.tied ? "a tied" : "a separate");
}

/* Every tensor of the model is there as config.json demands it. */
static bool check_tensors(const ane_weights *w, const shards *s, const char *folder, ane_error *e) {
    for (int i = 0; i < w->n_tensors; i++)
        if (!check_tensor(&w->tensors[i], find(s, w->tensors[i].name), folder, e)) return false;
    return true;
}

static void copy_tensors(ane_weights *w, const shards *s) {
    for (int i = 0; i < w->n_tensors; i++) {
        const ane_tensor_info *t = &w->tensors[i];
        const ane_safetensor *found = find(s, t->name);
        ane_widen(w->data + t->offset, found->data, found->type.dtype, t->count);
    }
}

/* Nothing else is there. */
static bool check_extras(const ane_weights *w, const shards *s, const char *folder, ane_error *e) {
    for (int i = 0; i < s->n; i++)
        for (int k = 0; k < ane_safetensors_count(s->files[i]); k++) {
            const ane_safetensor *t = ane_safetensors_at(s->files[i], k);
            if (!check_extra(w, t->name, t, folder, e)) return false;
        }
    return true;
}

/* One file, all of it fp32 and where floats can be read. */
static bool can_map(const ane_weights *w, const shards *s) {
    for (int i = 0; i < w->n_tensors; i++) {
        const ane_safetensor *found = find(s, w->tensors[i].name);
        if (found->type.dtype != MIL_FP32 || (uintptr_t)found->data % sizeof(float) != 0) return false;
    }
    return s->n == 1;
}

/* The tensors as they lie in the file, which the weights take over. */
static void map_tensors(ane_weights *w, shards *s) {
    const float *first = (const float *)find(s, w->tensors[0].name)->data;
    for (int i = 0; i < w->n_tensors; i++) {
        const float *data = (const float *)find(s, w->tensors[i].name)->data;
        if (data < first) first = data;
    }
    w->data = (float *)(uintptr_t)first; /* only read */
    w->count = 0;
    for (int i = 0; i < w->n_tensors; i++) {
        ane_tensor_info *t = &w->tensors[i];
        t->offset = (const float *)find(s, t->name)->data - first;
        if (t->offset + t->count > w->count) w->count = t->offset + t->count;
    }
}

static bool load_tensors(ane_weights *w, shards *s, bool mapped, const char *folder, ane_error *e) {
    if (!check_tensors(w, s, folder, e)) return false;
    mapped = mapped && can_map(w, s);
    if (mapped)
        map_tensors(w, s);
    else if (ane_weights_allocate(w, e))
        copy_tensors(w, s);
    else
        return false;
    if (!check_extras(w, s, folder, e)) return false;
    if (mapped) w->file = s->files[0], s->files[0] = NULL;
    return true;
}

ane_weights *ane_huggingface_load(const char *folder, bool mapped, ane_error *e) {
    ane_model_config c;
    if (!ane_weights_load_config(&c, folder, e)) return NULL;
    shards *s = open_shards(folder, e);
    if (!s) return NULL;
    ane_weights *w = ane_weights_layout(&c, e);
    bool ok = w && load_tensors(w, s, mapped, folder, e);
    close_shards(s);
    if (ok) return w;
    ane_weights_free(w);
    return NULL;
}

/* ---- saving -------------------------------------------------------------------------------------------- */

static bool write_tensors(
    const ane_weights *w, const char *path, mil_dtype dtype, const char *data, ane_error *e) {
    ane_safetensor *tensors = calloc((size_t)w->n_tensors, sizeof *tensors);
    if (!tensors) return ane_fail(e, ANE_ERROR_MEMORY, path, "Not enough memory.");
    for (int i = 0; i < w->n_tensors; i++) {
        const ane_tensor_info *t = &w->tensors[i];
        tensors[i].name = t->name;
        tensors[i].type = mil_tensor(dtype, t->rank, t->dim);
        tensors[i].data = data + t->offset * mil_dtype_bits(dtype) / 8;
    }
    static const char *const metadata[] = {"format", "pt", NULL}; /* transformers refuses files without it */
    bool ok = ane_safetensors_write(path, w->n_tensors, tensors, metadata, e);
    free(tensors);
    return ok;
}

static bool save_tensors(const ane_weights *w, const char *path, mil_dtype dtype, ane_error *e) {
    if (dtype == MIL_FP32) return write_tensors(w, path, dtype, (const char *)w->data, e);
    char *narrow = malloc((size_t)w->count * 2);
    if (!narrow) return ane_fail(e, ANE_ERROR_MEMORY, path, "Not enough memory.");
    ane_narrow(narrow, w->data, dtype, w->count);
    bool ok = write_tensors(w, path, dtype, narrow, e);
    free(narrow);
    return ok;
}

bool ane_huggingface_save(const ane_weights *w, const char *folder, mil_dtype dtype, ane_error *e) {
    if (dtype != MIL_FP32 && dtype != MIL_FP16 && dtype != MIL_BF16)
        return ane_fail(e, ANE_ERROR_ARGUMENT, folder, "Weights are saved as fp32, fp16 or bf16, not as %s.",
            mil_dtype_name(dtype));
    if (!ane_make_folders(folder, e)) return false;
    char *config = ane_join_path(folder, "config.json"),
         *tensors = ane_join_path(folder, "model.safetensors");
    bool ok = config && tensors ? true : ane_fail(e, ANE_ERROR_MEMORY, folder, "Not enough memory.");
    ok = ok && save_tensors(w, tensors, dtype, e) && ane_model_config_save(&w->config, config, e);
    free(config);
    free(tensors);
    return ok;
}
