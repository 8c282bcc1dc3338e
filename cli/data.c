/* data.c - `anemone data synth` and `anemone data info`. */
#include "cli/commands.h"
#include "cli/common.h"

#include "anemone/data.h"

#include <math.h>

/* ---- data synth ---------------------------------------------------------------------------------------- */

static int run_synth(const cli_args *args, ane_error *e) {
    const char *out = cli_string(args, "out");
    double entropy = 0;
    if (cli_missing(args, "out", e)) return CLI_USAGE;
    if (!ane_synth_stories(out, (uint64_t)cli_int(args, "seed"), cli_int(args, "size"), &entropy, e))
        return CLI_FAILED;
    if (cli_flag(args, "json")) {
        cli_put_json(json_pack("{s:s, s:I, s:f}", "file", out, "seed", (json_int_t)cli_int(args, "seed"),
            "entropy_nats_per_byte", entropy));
        return CLI_OK;
    }
    printf("%s: stories from a grammar whose probabilities are known\n", out);
    printf("entropy: %.4f nats per byte (%.4f bits): with bytes as tokens, the loss of a perfect model\n",
        entropy, entropy / log(2));
    return CLI_OK;
}

static const cli_option synth_options[] = {
    {.name = "out", .letter = 'o', .kind = CLI_PATH, .value = "FILE", .help = "the text file to write"},
    {.name = "size",
        .kind = CLI_SIZE,
        .value = "SIZE",
        .fallback = "2M",
        CLI_BETWEEN(1, 1e15),
        .help = "how much text (K, M, G: powers of 1024)"},
    {.name = "seed",
        .kind = CLI_INT,
        .value = "K",
        .fallback = "0",
        CLI_ANY_SEED,
        .help = "equal seeds, equal stories"},
    {.name = "json", .kind = CLI_FLAG, .help = "print one JSON object"},
    {0},
};

const cli_command cli_data_synth = {
    .name = "data synth",
    .summary = "write small stories to train on",
    .synopsis = (const char *const[]){"--out FILE [--size 2M] [--seed K]", NULL},
    .description = "Writes small stories from a grammar. Its probabilities are known, and so is the entropy: "
                   "the loss that a "
                   "perfect model would reach, and none can pass. One story a paragraph.",
    .options = synth_options,
    .examples = (const char *const[]){"anemone data synth --out stories.txt --size 4M --seed 7",
        "4 MiB of stories", NULL},
    .run = run_synth,
};

/* ---- data info ----------------------------------------------------------------------------------------- */

static void print_info(const cli_args *args, const ane_dataset *d, int32_t seq) {
    int64_t train = ane_dataset_tokens(d, ANE_TRAIN), held = ane_dataset_tokens(d, ANE_VALIDATION);
    int64_t bytes = ane_dataset_text_bytes(d, ANE_TRAIN), windows = ane_dataset_windows(d, ANE_TRAIN, seq);
    char text[3][32];
    if (cli_flag(args, "json")) {
        json_t *o = json_pack("{s:I, s:I, s:I, s:I}", "train_tokens", (json_int_t)train, "validation_tokens",
            (json_int_t)held, "windows", (json_int_t)windows, "checksum",
            (json_int_t)ane_dataset_checksum(d));
        json_object_set_new(o, "train_bytes", bytes >= 0 ? json_integer(bytes) : json_null());
        cli_put_json(o);
        return;
    }
    printf("tokens         %s for training, %s held out\n", cli_thousands(train, text[0], sizeof text[0]),
        cli_thousands(held, text[1], sizeof text[1]));
    if (bytes >= 0 && train > 0)
        printf("bytes          %s for training, %.3f per token\n",
            cli_thousands(bytes, text[0], sizeof text[0]), (double)bytes / (double)train);
    printf(
        "windows        %s of %d tokens per epoch\n", cli_thousands(windows, text[2], sizeof text[2]), seq);
    printf("checksum       %08x\n", ane_dataset_checksum(d));
}

/* What text is tokenized by; NULL, without a report, when --vocab says that the files are tokens already. */
static ane_tokenizer *find_tokenizer(const cli_args *args, ane_error *e) {
    const char *path = cli_string(args, "tokenizer");
    if (path) return ane_tokenizer_load(path, 0, e);
    return cli_given(args, "vocab") ? NULL : ane_tokenizer_bytes(e);
}

static int run_info(const cli_args *args, ane_error *e) {
    ane_tokenizer *t = find_tokenizer(args, e);
    if (e->code != ANE_OK) return CLI_FAILED;
    bool from_file = cli_given(args, "tokenizer");
    int64_t vocab = cli_given(args, "vocab") ? cli_int(args, "vocab")
                    : from_file              ? ane_tokenizer_vocab_size(t)
                                             : INT32_MAX;
    ane_data_options options = {.n_files = args->n_words,
        .files = args->words,
        .vocab_size = (int32_t)vocab,
        .validation = cli_float(args, "validation"),
        .bos_id = t ? ane_tokenizer_bos(t) : -1};
    ane_dataset *d = ane_dataset_open(&options, t, e);
    if (d) print_info(args, d, (int32_t)cli_int(args, "seq"));
    ane_dataset_free(d);
    ane_tokenizer_free(t);
    return d ? CLI_OK : CLI_FAILED;
}

static const cli_option info_options[] = {
    CLI_TOKENIZER_OPTION("bytes"),
    {.name = "vocab",
        .kind = CLI_INT,
        .value = "N",
        CLI_AT_LEAST(1),
        .help = "the files are tokens: refuse ids that are not below N"},
    CLI_SEQ_OPTION,
    {.name = "validation",
        .kind = CLI_FLOAT,
        .value = "X",
        .fallback = "0.05",
        CLI_BETWEEN(0, 0.9),
        .help = "part of each file held out"},
    {.name = "json", .kind = CLI_FLAG, .help = "print one JSON object"},
    {0},
};

const cli_command cli_data_info = {
    .name = "data info",
    .summary = "what a training file holds",
    .synopsis = (const char *const[]){"FILE... [options]", NULL},
    .min_words = 1,
    .max_words = 4096,
    .description = "Counts tokens and windows as `train` would see them. Text is tokenized once and the "
                   "tokens are kept beside "
                   "it, as training does.",
    .options = info_options,
    .examples = (const char *const[]){"anemone data info stories.txt", "text, as bytes",
        "anemone data info train.bin --vocab 32000", "llama2.c's or llm.c's tokens", NULL},
    .run = run_info,
};
