/* export_run FOLDER [STEPS BATCH WARMUP RATE]: the initial weights and the batches of the run that tests/golden/tinyshakespeare.py repeats
 * in PyTorch, and its recipe. scripts/compare and scripts/curves train the same run with anemone. */
#include "anemone/data.h"
#include "anemone/model.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEQ = 256, SEED = 1337, MOST_STEPS = 100000, MOST_BATCH = 1024 };

typedef struct recipe {
    int steps, batch, warmup;
    double lr;
} recipe;

static bool export_weights(const char *folder, int32_t vocab_size, ane_error *e) {
    ane_model_config config;
    if (!ane_model_preset(&config, "stories15m", e)) return false;
    config.vocab_size = vocab_size;
    ane_weights *w = ane_weights_new(&config, e);
    if (!w) return false;
    ane_weights_init(w, SEED);
    bool ok = ane_weights_save(w, folder, ANE_FORMAT_HF, MIL_FP32, e);
    ane_weights_free(w);
    return ok;
}

static bool export_batches(const char *path, const ane_dataset *data, const recipe *r, ane_error *e) {
    ane_writer *w = ane_writer_open(path, e);
    if (!w) return false;
    size_t n = (size_t)r->batch * SEQ;
    int32_t *tokens = calloc(2 * n, sizeof *tokens);
    bool ok = tokens != NULL;
    for (int64_t i = 0; i < r->steps && ok; i++) {
        ok = ane_dataset_batch(data, ANE_TRAIN, SEED, i, r->batch, SEQ, tokens, tokens + n, e);
        ane_writer_put(w, tokens, 2 * n * sizeof *tokens);
    }
    free(tokens);
    if (ok) return ane_writer_commit(w, e);
    ane_writer_abort(w);
    return false;
}

static bool export_recipe(const char *path, const recipe *r, ane_error *e) {
    ane_writer *w = ane_writer_open(path, e);
    if (!w) return false;
    ane_writer_printf(w,
        "{\"model\": \"stories15m\", \"steps\": %d, \"batch\": %d, \"seq\": %d, \"seed\": %d, \"lr\": "
        "%g, "
        "\"min_lr\": 5e-5, \"warmup\": %d, \"weight_decay\": 0.1, \"beta1\": 0.9, \"beta2\": 0.95, "
        "\"epsilon\": 1e-8, \"clip\": 1.0}\n",
        r->steps, r->batch, SEQ, SEED, r->lr, r->warmup);
    return ane_writer_commit(w, e);
}

static bool export_run(const char *folder, const recipe *r, ane_error *e) {
    const char *text = ANEMONE_ROOT "/../shared/data/tinyshakespeare.txt";
    ane_tokenizer *t = ane_tokenizer_load(ANEMONE_ROOT "/../shared/data/llama2-tokenizer.bin", 0, e);
    if (!t) return false;
    ane_data_options options = {.n_files = 1,
        .files = &text,
        .vocab_size = ane_tokenizer_vocab_size(t),
        .bos_id = ane_tokenizer_bos(t)};
    ane_dataset *data = ane_dataset_open(&options, t, e);
    char path[4096];
    bool ok = data && ane_make_folders(folder, e) && export_weights(folder, options.vocab_size, e);
    snprintf(path, sizeof path, "%s/batches.u32", folder);
    ok = ok && export_batches(path, data, r, e);
    snprintf(path, sizeof path, "%s/recipe.json", folder);
    ok = ok && export_recipe(path, r, e);
    ane_dataset_free(data);
    ane_tokenizer_free(t);
    return ok;
}

/* A number from 1 to `most`; 0 otherwise. */
static int number(const char *text, int most) {
    long n = strtol(text, NULL, 10);
    return n >= 1 && n <= most ? (int)n : 0;
}

int main(int argc, char **argv) {
    ane_error e = {0};
    recipe r = {100, 8, 10, 5e-4};
    if (argc == 6)
        r = (recipe){number(argv[2], MOST_STEPS), number(argv[3], MOST_BATCH), number(argv[4], MOST_STEPS),
            strtod(argv[5], NULL)};
    bool good = (argc == 2 || argc == 6) && r.steps && r.batch && r.warmup && r.lr > 0;
    if (good && export_run(argv[1], &r, &e)) return 0;
    fprintf(stderr, "usage: export_run FOLDER [STEPS BATCH WARMUP]\n%s: %s\n", e.where, e.message);
    return 1;
}
