/* eval.c - `anemone eval`: how well a model predicts a text. */
#include "cli/commands.h"
#include "cli/common.h"

#include "anemone/generate.h"

typedef struct session {
    ane_device *device;
    ane_weights *weights;
    ane_tokenizer *tokenizer;
    ane_dataset *data;
} session;

static void free_session(session *s) {
    ane_dataset_free(s->data);
    ane_tokenizer_free(s->tokenizer);
    ane_weights_free(s->weights);
    ane_device_close(s->device);
}

static bool open_session(const cli_args *args, session *s, ane_error *e) {
    const char *model = cli_string(args, "model");
    const cli_value *files = cli_list(args, "data");
    s->weights = ane_weights_load(model, e);
    if (!s->weights) return false;
    int32_t vocab_size = s->weights->config.vocab_size;
    s->tokenizer = cli_tokenizer_for_model(cli_string(args, "tokenizer"), model, vocab_size, e);
    if (!s->tokenizer) return false;
    ane_data_options options = {.n_files = files->n,
        .files = files->texts,
        .vocab_size = vocab_size,
        .validation = cli_float(args, "validation"),
        .bos_id = ane_tokenizer_bos(s->tokenizer)};
    s->data = ane_dataset_open(&options, s->tokenizer, e);
    if (s->data) s->device = cli_open_device(args, e);
    return s->device != NULL;
}

static void print_result(const ane_evaluation *r, bool json) {
    char tokens[32];
    if (json) {
        json_t *o = json_pack(
            "{s:f, s:f, s:I}", "loss", r->loss, "perplexity", r->perplexity, "tokens", (json_int_t)r->tokens);
        json_object_set_new(
            o, "bits_per_byte", r->bits_per_byte >= 0 ? json_real(r->bits_per_byte) : json_null());
        cli_put_json(o);
        return;
    }
    printf("loss           %.5f nats per token\nperplexity     %.4f\n", r->loss, r->perplexity);
    if (r->bits_per_byte >= 0) printf("bits per byte  %.5f\n", r->bits_per_byte);
    printf("tokens         %s\n", cli_thousands(r->tokens, tokens, sizeof tokens));
}

static int run(const cli_args *args, ane_error *e) {
    session s = {0};
    ane_evaluation result;
    if (cli_missing(args, "model", e) || cli_missing(args, "data", e)) return CLI_USAGE;
    ane_split split = cli_float(args, "validation") > 0 ? ANE_VALIDATION : ANE_TRAIN;
    int64_t batches = cli_int(args, "batches");
    bool ok = open_session(args, &s, e) &&
              ane_evaluate(s.device, s.weights, s.data, split, (int32_t)cli_int(args, "batch"),
                  (int32_t)cli_int(args, "seq"), batches ? batches : INT64_MAX, &result, e);
    if (ok) print_result(&result, cli_flag(args, "json"));
    free_session(&s);
    return ok ? CLI_OK : CLI_FAILED;
}

static const cli_option options[] = {
    CLI_WEIGHTS_FILE_OPTION,
    CLI_DATA_OPTION,
    CLI_TOKENIZER_OPTION("the model's own, else bytes"),
    CLI_BATCH_OPTION("8"),
    CLI_SEQ_OPTION,
    {.name = "batches",
        .kind = CLI_INT,
        .value = "N",
        .fallback = "0",
        CLI_AT_LEAST(0),
        .help = "at most N batches; 0: everything"},
    {.name = "validation",
        .kind = CLI_FLOAT,
        .value = "X",
        .fallback = "0",
        CLI_BETWEEN(0, 0.9),
        .help = "only this part at each file's end, as `train` holds it out; 0: the whole files"},
    {.name = "json", .kind = CLI_FLAG, .help = "print one JSON object"},
    CLI_DEVICE_OPTIONS,
    CLI_WEIGHTS_OPTION,
    {0},
};

const cli_command cli_eval = {
    .name = "eval",
    .summary = "measure how well a model predicts a text",
    .synopsis = (const char *const[]){"--model MODEL --data FILE... [options]", NULL},
    .description = "Prints the mean loss (nats per token), its exponential (perplexity), and bits per byte "
                   "where the data "
                   "is text.",
    .options = options,
    .examples = (const char *const[]){"anemone eval --model runs/first --data stories.txt --validation 0.05",
        "a run on the text that it never saw",
        "anemone eval --model model.bin --data val.bin --seq 512 --json",
        "a llama2.c model on llama2.c tokens", NULL},
    .run = run,
};
