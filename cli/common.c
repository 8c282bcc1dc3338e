#include "cli/common.h"

#include "base/file.h"
#include "base/parallel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_SPEC = 640 };

/* Commands on programs have a --weights of their own: a folder. */
static const char *weight_mode(const cli_args *args) {
    for (const cli_option *o = args->command->options; o->name; o++)
        if (!strcmp(o->name, "weights") && o->kind == CLI_CHOICE) return cli_string(args, "weights");
    return NULL;
}

bool cli_is_engine(const char *device) {
    return !strncmp(device, "ane", 3) && (device[3] == 0 || device[3] == ':');
}

bool cli_device_spec(const cli_args *args, const char *weights, char *spec, size_t size, ane_error *e) {
    const char *device = cli_string(args, "device"), *threads = cli_string(args, "threads");
    bool options = strchr(device, ':') != NULL;
    int n = snprintf(spec, size, "%s", device);
    const char *names[] = {"weights", "precision", "threads"};
    const char *given = weight_mode(args);
    const char *values[] = {given ? given : weights,
        cli_given(args, "precision") ? cli_string(args, "precision") : NULL, threads};
    if (values[0] && !cli_is_engine(device)) {
        cli_usage_error(e, "--weights", "the device \"%s\" reads weights where they lie", device);
        return ane_hint(e, "--weights is for the Neural Engine: --device ane, or --device ane:emulator");
    }
    for (int i = 0; i < 3 && n >= 0 && (size_t)n < size; i++) {
        if (!values[i]) continue;
        n += snprintf(spec + n, size - (size_t)n, "%c%s=%s", options ? ',' : ':', names[i], values[i]);
        options = true;
    }
    if (n >= 0 && (size_t)n < size) return true;
    return ane_fail(e, ANE_ERROR_ARGUMENT, "--device", "too long: \"%.60s...\"", device);
}

void cli_place_threads(const cli_args *args) {
    const char *device = cli_string(args, "device");
    if (cli_is_engine(device) || strstr(device, "threads=")) return;
    ane_parallel_place(cli_given(args, "threads") ? (int)cli_int(args, "threads") : ane_cpu_count());
}

ane_device *cli_open_device(const cli_args *args, ane_error *e) {
    char spec[LONGEST_SPEC];
    if (!cli_device_spec(args, NULL, spec, sizeof spec, e)) return NULL;
    cli_place_threads(args);
    return ane_device_open(spec, e);
}

/* The folder that `path` lies in, or `path` itself when it is one; freed by the caller. */
static char *folder_of(const char *path) {
    if (ane_is_folder(path)) return strdup(path);
    const char *slash = strrchr(path, '/');
    return slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
}

static ane_tokenizer *find_tokenizer(const char *path, const char *model, int32_t vocab_size, ane_error *e) {
    if (path) return ane_tokenizer_load(path, vocab_size, e);
    char *folder = folder_of(model);
    ane_tokenizer *t = folder ? ane_tokenizer_find(folder, e) : NULL;
    free(folder);
    if (t || e->code != ANE_OK) return t;
    t = ane_tokenizer_bytes(e);
    if (t && ane_tokenizer_vocab_size(t) == vocab_size) return t;
    ane_tokenizer_free(t);
    ane_fail(e, ANE_ERROR_ARGUMENT, model, "the model has %d tokens, and there is no tokenizer beside it",
        vocab_size);
    ane_hint(e, "give one: --tokenizer FILE (llama2.c's tokenizer.bin or a SentencePiece .model)");
    return NULL;
}

ane_tokenizer *cli_tokenizer_for_model(
    const char *path, const char *model, int32_t vocab_size, ane_error *e) {
    ane_tokenizer *t = find_tokenizer(path, model, vocab_size, e);
    if (!t || ane_tokenizer_vocab_size(t) <= vocab_size) return t;
    ane_fail(e, ANE_ERROR_ARGUMENT, path ? path : model, "the tokenizer has %d tokens, the model only %d",
        ane_tokenizer_vocab_size(t), vocab_size);
    ane_hint(e, "use the tokenizer that the model was trained with");
    ane_tokenizer_free(t);
    return NULL;
}

bool cli_read_ids(const char *text, int32_t **ids, size_t *n, ane_error *e) {
    *ids = calloc(strlen(text) / 2 + 1, sizeof **ids); /* each takes a digit, all but the last a comma */
    *n = 0;
    if (!*ids) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "out of memory");
    for (const char *at = text;; at++) {
        char *end;
        errno = 0;
        long id = strtol(at, &end, 10);
        bool ok = end > at && !errno && id >= 0 && id <= INT32_MAX && (*end == ',' || !*end);
        if (!ok) break;
        (*ids)[(*n)++] = (int32_t)id;
        if (!*end) return true;
        at = end;
    }
    free(*ids);
    *ids = NULL;
    return ane_fail(e, ANE_ERROR_ARGUMENT, "--prompt-ids",
        "expected numbers with commas, as 1,2,3; found \"%.60s\"", text);
}

void cli_put_json(json_t *object) {
    char *line = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    if (line) puts(line);
    free(line);
    json_decref(object);
}

json_t *cli_json_text(const char *text, size_t n) {
    json_t *string = json_stringn(text, n);
    if (string) return string;
    char *plain = malloc(n + 1);
    if (!plain) return NULL;
    for (size_t i = 0; i < n; i++) plain[i] = (char)((unsigned char)text[i] < 128 ? text[i] : '?');
    string = json_stringn(plain, n);
    free(plain);
    return string;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

json_t *cli_json_spread(double *x, int n) {
    qsort(x, (size_t)n, sizeof *x, compare_doubles);
    double median = n % 2 ? x[n / 2] : 0.5 * (x[n / 2 - 1] + x[n / 2]);
    return json_pack("{s:f, s:f, s:f}", "median", median, "min", x[0], "max", x[n - 1]);
}

const char *cli_thousands(int64_t x, char *text, size_t size) {
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)x);
    size_t out = 0;
    for (int i = 0; i < n && out + 2 < size; i++) {
        text[out++] = digits[i];
        int left = n - 1 - i;
        if (digits[i] != '-' && left && left % 3 == 0) text[out++] = ',';
    }
    text[out] = 0;
    return text;
}
