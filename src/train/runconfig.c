#include "train/runconfig.h"

#include "base/file.h"
#include "train/paths.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FORMAT[] = "anemone run";
enum { VERSION = 1, CONFIG_LIMIT = 16 << 20 };

/* ---- members of structs by table ----------------------------------------------------------------------- */

typedef enum kind { INT32, INT64, FLOAT, DOUBLE, BOOL, STRING, SCHEDULE, PLACE, RECOMPUTE } kind;
typedef struct member {
    const char *name;
    kind kind;
    size_t offset;
} member;

#define OPTION(kind, name)                                                                                   \
    { #name, kind, offsetof(ane_train_options, name) }
static const member options[] = {
    OPTION(STRING, model),
    OPTION(STRING, tokenizer),
    OPTION(STRING, device),
    {"head", PLACE, offsetof(ane_train_options, placement.head)},
    {"norms_backward", PLACE, offsetof(ane_train_options, placement.norms_backward)},
    {"dw", PLACE, offsetof(ane_train_options, placement.dw)},
    {"recompute", RECOMPUTE, offsetof(ane_train_options, placement.recompute)},
    OPTION(INT64, steps),
    OPTION(INT32, batch),
    OPTION(INT32, seq),
    OPTION(INT32, accumulate),
    OPTION(INT64, seed),
    {"schedule", SCHEDULE, offsetof(ane_train_options, schedule.kind)},
    {"lr", DOUBLE, offsetof(ane_train_options, schedule.lr)},
    {"min_lr", DOUBLE, offsetof(ane_train_options, schedule.min_lr)},
    {"warmup", INT64, offsetof(ane_train_options, schedule.warmup)},
    {"decay", INT64, offsetof(ane_train_options, schedule.decay)},
    {"beta1", DOUBLE, offsetof(ane_train_options, adamw.beta1)},
    {"beta2", DOUBLE, offsetof(ane_train_options, adamw.beta2)},
    {"epsilon", DOUBLE, offsetof(ane_train_options, adamw.epsilon)},
    {"weight_decay", DOUBLE, offsetof(ane_train_options, adamw.weight_decay)},
    {"decay_all", BOOL, offsetof(ane_train_options, adamw.decay_all)},
    {"clip", DOUBLE, offsetof(ane_train_options, adamw.clip)},
    OPTION(DOUBLE, validation),
    OPTION(INT64, eval_every),
    OPTION(INT64, eval_batches),
    OPTION(INT64, save_every),
    OPTION(INT64, sample_every),
    OPTION(INT32, keep),
    OPTION(STRING, sample_prompt),
};
#define MODEL(kind, name)                                                                                    \
    { #name, kind, offsetof(ane_model_config, name) }
static const member model[] = {
    MODEL(INT32, dim),
    MODEL(INT32, hidden_dim),
    MODEL(INT32, n_layers),
    MODEL(INT32, n_heads),
    MODEL(INT32, n_kv_heads),
    MODEL(INT32, head_dim),
    MODEL(INT32, vocab_size),
    MODEL(INT32, max_seq),
    MODEL(FLOAT, norm_eps),
    MODEL(FLOAT, rope_theta),
    MODEL(BOOL, tied),
    MODEL(INT32, bos_id),
    MODEL(INT32, eos_id),
};
enum { OPTIONS = sizeof options / sizeof *options, MODELS = sizeof model / sizeof *model };

static json_t *get(const void *base, const member *m) {
    const void *p = (const char *)base + m->offset;
    const char *text = m->kind == STRING ? *(const char *const *)p : NULL;
    switch (m->kind) {
    case INT32: return json_integer(*(const int32_t *)p);
    case INT64: return json_integer(*(const int64_t *)p);
    case FLOAT: return json_real(*(const float *)p);
    case DOUBLE: return json_real(*(const double *)p);
    case BOOL: return json_boolean(*(const bool *)p);
    case STRING: return text ? json_string(text) : json_null();
    case SCHEDULE: return json_string(ane_schedule_name(*(const ane_schedule_kind *)p));
    case PLACE: return json_string(ane_place_name(*(const ane_place *)p));
    case RECOMPUTE: return json_string(ane_recompute_name(*(const ane_recompute *)p));
    }
    return NULL;
}

static bool set_integer(void *p, kind k, const json_t *v) {
    json_int_t x = json_integer_value(v);
    if (!json_is_integer(v) || (k == INT32 && (x < INT32_MIN || x > INT32_MAX))) return false;
    if (k == INT32)
        *(int32_t *)p = (int32_t)x;
    else
        *(int64_t *)p = x;
    return true;
}

static bool set_real(void *p, kind k, const json_t *v) {
    if (!json_is_number(v)) return false;
    if (k == FLOAT)
        *(float *)p = (float)json_number_value(v);
    else
        *(double *)p = json_number_value(v);
    return true;
}

static bool set_text(void *p, kind k, const json_t *v) {
    const char *text = json_string_value(v);
    if (k == SCHEDULE) return text && ane_schedule_from_name(p, text, NULL);
    if (k == PLACE) return !v || (text && ane_place_from_name(p, text, NULL)); /* once there was no choice */
    if (k == RECOMPUTE) return !v || (text && ane_recompute_from_name(p, text, NULL));
    *(const char **)p = text;
    return text || json_is_null(v);
}

static bool set(void *base, const member *m, const json_t *v) {
    void *p = (char *)base + m->offset;
    switch (m->kind) {
    case INT32:
    case INT64: return set_integer(p, m->kind, v);
    case FLOAT:
    case DOUBLE: return set_real(p, m->kind, v);
    case BOOL: *(bool *)p = json_is_true(v); return json_is_boolean(v);
    case STRING:
    case SCHEDULE:
    case RECOMPUTE:
    case PLACE: return set_text(p, m->kind, v);
    }
    return false;
}

static json_t *object_of(const void *base, const member *members, size_t n) {
    json_t *o = json_object();
    for (size_t i = 0; i < n; i++) json_object_set_new(o, members[i].name, get(base, &members[i]));
    return o;
}

static bool fill_from(
    void *base, const member *members, size_t n, const json_t *o, const char *path, ane_error *e) {
    for (size_t i = 0; i < n; i++)
        if (!set(base, &members[i], json_object_get(o, members[i].name)))
            return ane_fail(
                e, ANE_ERROR_FORMAT, path, "\"%s\" is missing or has a wrong value.", members[i].name);
    return true;
}

bool ane_run_config_same_model(
    const ane_model_config *expected, const ane_model_config *found, const char *where, ane_error *e) {
    bool same = true;
    for (int i = 0; same && i < MODELS; i++) {
        json_t *a = get(expected, &model[i]), *b = get(found, &model[i]);
        char *x = json_dumps(a, JSON_ENCODE_ANY), *y = json_dumps(b, JSON_ENCODE_ANY);
        if (!json_equal(a, b))
            same = ane_fail(e, ANE_ERROR_ARGUMENT, where, "Another model: its %s is %s, but the run's is %s.",
                model[i].name, y ? y : "?", x ? x : "?");
        json_decref(a);
        json_decref(b);
        free(x);
        free(y);
    }
    return same;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

static json_t *checksum(uint32_t x) {
    char text[16];
    snprintf(text, sizeof text, "%08" PRIx32, x);
    return json_string(text);
}

static json_t *root_of(const ane_run_config *c) {
    json_t *o = object_of(&c->options, options, OPTIONS), *files = json_array();
    for (int i = 0; i < c->options.n_data; i++) json_array_append_new(files, json_string(c->options.data[i]));
    json_object_set_new(o, "data", files);
    bool complete = json_array_size(files) == (size_t)c->options.n_data && json_object_size(o) == OPTIONS + 1;
    if (!complete) json_decref(o);
    return !complete
               ? NULL
               : json_pack("{s:s, s:i, s:o, s:o, s:{s:s, s:o}, s:{s:o}, s:{s:s, s:i, s:s}}", "format", FORMAT,
                     "version", VERSION, "options", o, "model", object_of(&c->model, model, MODELS),
                     "tokenizer", "kind", c->tokenizer_kind, "checksum", checksum(c->tokenizer_checksum),
                     "data", "checksum", checksum(c->data_checksum), "device", "description", c->description,
                     "threads", c->threads, "precision", ane_precision_name(c->precision));
}

bool ane_run_config_write(const ane_run_config *c, const char *run, ane_error *e) {
    ane_path path;
    if (!ane_path_set(&path, e, "%s/config.json", run)) return false;
    json_t *root = root_of(c);
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(root);
    if (!text)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, path.text, "Cannot write the options: a name is not valid UTF-8.");
    bool ok = ane_write_file(path.text, text, strlen(text), e);
    free(text);
    return ok;
}

static bool read_files(ane_run_config *c, const json_t *files, const char *path, ane_error *e) {
    size_t n = json_array_size(files), i;
    json_t *file;
    c->files = calloc(n + 1, sizeof *c->files);
    if (!c->files) return ane_fail(e, ANE_ERROR_MEMORY, path, "Out of memory.");
    json_array_foreach(files, i, file) {
        c->files[i] = json_string_value(file);
        if (!c->files[i]) return ane_fail(e, ANE_ERROR_FORMAT, path, "\"data\" is not a list of names.");
    }
    c->options.data = c->files;
    c->options.n_data = (int)n;
    return true;
}

static bool parse(ane_run_config *c, const char *path, ane_error *e) {
    const char *format, *tokenizer, *data, *precision;
    json_t *o, *m, *files;
    json_error_t error;
    int version;
    if (json_unpack_ex(c->json, &error, 0,
            "{s:s, s:i, s:{s:o}, s:o, s:o, s:{s:s, s:s}, s:{s:s}, s:{s:s, s:i, s:s}}", "format", &format,
            "version", &version, "options", "data", &files, "options", &o, "model", &m, "tokenizer", "kind",
            &c->tokenizer_kind, "checksum", &tokenizer, "data", "checksum", &data, "device", "description",
            &c->description, "threads", &c->threads, "precision", &precision) != 0)
        return ane_fail(e, ANE_ERROR_FORMAT, path, "Not the config of a run: %s.", error.text);
    if (strcmp(format, FORMAT) != 0 || version != VERSION)
        return ane_fail(e, ANE_ERROR_FORMAT, path, "Expected \"%s\" version %d, found \"%s\" version %d.",
            FORMAT, VERSION, format, version);
    c->tokenizer_checksum = (uint32_t)strtoul(tokenizer, NULL, 16);
    c->data_checksum = (uint32_t)strtoul(data, NULL, 16);
    return fill_from(&c->options, options, OPTIONS, o, path, e) &&
           fill_from(&c->model, model, MODELS, m, path, e) &&
           (ane_model_config_check(&c->model, e) || ane_at(e, path)) &&
           ane_precision_from_name(&c->precision, precision, e) && read_files(c, files, path, e);
}

bool ane_run_config_read(ane_run_config *c, const char *run, ane_error *e) {
    ane_path path;
    json_error_t error;
    size_t size;
    *c = (ane_run_config){0};
    if (!ane_path_set(&path, e, "%s/config.json", run)) return false;
    if (!ane_path_exists(path.text)) {
        ane_fail(e, ANE_ERROR_IO, run, "Expected a run: a folder with config.json and log.jsonl.");
        return ane_hint(e, "Give the folder that --out named.");
    }
    char *text = ane_read_text(path.text, CONFIG_LIMIT, &size, e);
    if (!text) return false;
    c->json = json_loadb(text, size, 0, &error);
    free(text);
    if (!c->json)
        return ane_fail(e, ANE_ERROR_FORMAT, path.text, "Not valid JSON: line %d, column %d: %s.", error.line,
            error.column, error.text);
    if (parse(c, path.text, e)) {
        c->options.schedule.total = c->options.steps;
        return true;
    }
    ane_run_config_free(c);
    return false;
}

void ane_run_config_free(ane_run_config *c) {
    json_decref(c->json);
    free(c->files);
    *c = (ane_run_config){0};
}

bool ane_run_config_exists(const char *run) {
    ane_path path;
    return ane_path_set(&path, NULL, "%s/config.json", run) && ane_path_exists(path.text);
}
