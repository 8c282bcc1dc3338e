/* generate.c - `anemone generate`: text from a model, token by token. */
#include "cli/commands.h"
#include "cli/common.h"

#include "anemone/generate.h"

#include <stdlib.h>
#include <string.h>

/* Everything that one call works with; freed by free_session. */
typedef struct session {
    ane_device *device;
    ane_weights *weights;
    ane_tokenizer *tokenizer; /* NULL when only ids go in and come out */
    ane_decoder *decoder;
    int32_t *prompt;
    size_t n_prompt;
    int32_t max_new;
    ane_sampling sampling;
    bool ids, stops;
    int32_t previous; /* the token before the next one, for decoding */
    bool any;         /* something was printed already */
} session;

static void free_session(session *s) {
    free(s->prompt);
    ane_decoder_free(s->decoder);
    ane_tokenizer_free(s->tokenizer);
    ane_weights_free(s->weights);
    ane_device_close(s->device);
}

static void print_token(session *s, int32_t token) {
    if (s->ids)
        printf("%s%d", s->any ? "," : "", token);
    else {
        size_t size = 0;
        const char *piece = ane_tokenizer_piece(s->tokenizer, s->previous, token, &size);
        if (piece) fwrite(piece, 1, size, stdout);
    }
    s->previous = token;
    s->any = true;
    fflush(stdout);
}

static bool on_token(void *context, int32_t token) {
    session *s = context;
    /* llama2.c's models end a story by beginning the next one. */
    bool begins = s->tokenizer && token == ane_tokenizer_bos(s->tokenizer);
    if (s->stops && begins) return false;
    print_token(s, token);
    return !ferror(stdout);
}

static int32_t stop_token(const session *s) {
    if (!s->stops) return -1;
    if (s->weights->config.eos_id >= 0) return s->weights->config.eos_id;
    return s->tokenizer ? ane_tokenizer_eos(s->tokenizer) : -1;
}

/* The prompt's ids: as given, or the text's with a begin token. */
static bool read_prompt(const cli_args *args, session *s, ane_error *e) {
    const char *ids = cli_string(args, "prompt-ids"), *text = cli_string(args, "prompt");
    if (ids) {
        if (!cli_read_ids(ids, &s->prompt, &s->n_prompt, e)) return false;
    } else if (!ane_tokenizer_encode(s->tokenizer, text, strlen(text), true, &s->prompt, &s->n_prompt, e)) {
        return false;
    }
    if (!s->n_prompt)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, "--prompt", "the prompt is empty, and this tokenizer has no begin token");
    for (size_t i = 0; i < s->n_prompt; i++)
        if (s->prompt[i] >= s->weights->config.vocab_size)
            return ane_fail(e, ANE_ERROR_ARGUMENT, "--prompt-ids", "token %d is not below the model's %d",
                s->prompt[i], s->weights->config.vocab_size);
    return true;
}

/* How many new tokens fit the model's positions; what was asked for by number must fit. */
static bool limit_tokens(const cli_args *args, session *s, ane_error *e) {
    int64_t wanted = cli_int(args, "tokens"), room = s->weights->config.max_seq - (int64_t)s->n_prompt;
    if (room < 1) {
        ane_fail(e, ANE_ERROR_ARGUMENT, "--prompt",
            "%zu tokens leave no room for new ones in the model's %d positions", s->n_prompt,
            s->weights->config.max_seq);
        return ane_hint(e, "shorten the prompt");
    }
    if (cli_given(args, "tokens") && wanted > room) {
        ane_fail(e, ANE_ERROR_ARGUMENT, "--tokens",
            "%zu tokens of prompt and %lld new ones are more than the model's %d positions", s->n_prompt,
            (long long)wanted, s->weights->config.max_seq);
        return ane_hint(e, "ask for fewer: --tokens %lld", (long long)room);
    }
    s->max_new = (int32_t)(wanted < room ? wanted : room);
    return true;
}

/* Other precisions than fp32 keep copies of their own, and read the weights once. */
static bool load(session *s, const char *model, ane_error *e) {
    bool once = ane_device_capabilities(s->device)->precision != ANE_FP32;
    s->weights = once ? ane_weights_map(model, e) : ane_weights_load(model, e);
    return s->weights != NULL;
}

static bool open_session(const cli_args *args, session *s, ane_error *e) {
    const char *model = cli_string(args, "model");
    s->ids = cli_flag(args, "print-ids");
    s->stops = !cli_flag(args, "no-stop");
    s->sampling = (ane_sampling){.temperature = cli_float(args, "temperature"),
        .top_k = (int32_t)cli_int(args, "top-k"),
        .top_p = cli_float(args, "top-p")};
    s->device = cli_open_device(args, e);
    if (!s->device || !load(s, model, e)) return false;
    bool needs_text = !cli_given(args, "prompt-ids") || !s->ids;
    if (needs_text || cli_given(args, "tokenizer")) {
        s->tokenizer =
            cli_tokenizer_for_model(cli_string(args, "tokenizer"), model, s->weights->config.vocab_size, e);
        if (!s->tokenizer) return false;
    }
    if (!read_prompt(args, s, e) || !limit_tokens(args, s, e)) return false;
    s->decoder = ane_decoder_new(s->device, s->weights, (int32_t)s->n_prompt + s->max_new, e);
    return s->decoder != NULL;
}

static bool generate_sample(session *s, ane_generate_stats *stats, ane_error *e) {
    s->previous = -1;
    s->any = false;
    ane_decoder_reset(s->decoder);
    for (size_t i = 0; i < s->n_prompt; i++) print_token(s, s->prompt[i]);
    bool ok = ane_generate(s->decoder, s->prompt, (int32_t)s->n_prompt, s->max_new, stop_token(s),
        &s->sampling, on_token, s, stats, e);
    puts("");
    fflush(stdout); /* before the line about speed */
    return ok;
}

static void report_speed(const ane_generate_stats *stats) {
    fprintf(stderr, "%d tokens, %.1f tokens/s (prompt: %d tokens, %.0f ms)\n", stats->new_tokens,
        stats->decode_ms > 0 ? 1e3 * stats->new_tokens / stats->decode_ms : 0, stats->prompt_tokens,
        stats->prompt_ms);
}

static int run(const cli_args *args, ane_error *e) {
    session s = {0};
    if (cli_missing(args, "model", e)) return CLI_USAGE;
    if (cli_given(args, "prompt") && cli_given(args, "prompt-ids"))
        return cli_usage_error(e, "generate", "--prompt and --prompt-ids: expected one of them");
    bool ok = open_session(args, &s, e);
    int64_t samples = cli_int(args, "samples");
    for (int64_t i = 0; ok && i < samples; i++) {
        ane_generate_stats stats = {0};
        if (samples > 1 && !s.ids) printf("%s---- sample %lld\n", i ? "\n" : "", (long long)i + 1);
        s.sampling.seed = (uint64_t)cli_int(args, "seed") + (uint64_t)i;
        ok = generate_sample(&s, &stats, e);
        if (ok && !cli_flag(args, "quiet")) report_speed(&stats);
    }
    free_session(&s);
    return ok ? CLI_OK : CLI_FAILED;
}

static const cli_option options[] = {
    CLI_WEIGHTS_FILE_OPTION,
    {.name = "prompt",
        .letter = 'p',
        .kind = CLI_STRING,
        .value = "TEXT",
        .fallback = "",
        .help = "how the text begins"},
    {.name = "prompt-ids",
        .kind = CLI_STRING,
        .value = "IDS",
        .help = "how it begins, as token ids: 1,2,3 (needs no tokenizer)"},
    {.name = "print-ids", .kind = CLI_FLAG, .help = "print token ids, the prompt's too, instead of text"},
    {.name = "tokens",
        .letter = 'n',
        .kind = CLI_INT,
        .value = "N",
        .fallback = "256",
        CLI_AT_LEAST(1),
        .help = "at most this many new tokens"},
    {.name = "temperature",
        .letter = 't',
        .kind = CLI_FLOAT,
        .value = "T",
        .fallback = "0.8",
        CLI_BETWEEN(0, 1000),
        .help = "0: always the most likely token; 1: as the model thinks"},
    {.name = "top-k",
        .kind = CLI_INT,
        .value = "K",
        .fallback = "0",
        CLI_AT_LEAST(0),
        .help = "only the K most likely tokens; 0: all"},
    {.name = "top-p",
        .kind = CLI_FLOAT,
        .value = "P",
        .fallback = "0.95",
        CLI_BETWEEN(0.000001, 1),
        .help = "only the most likely tokens that make up P; 1: all"},
    {.name = "seed",
        .kind = CLI_INT,
        .value = "K",
        .fallback = "0",
        CLI_ANY_SEED,
        .help = "of the first sample; the next ones count on"},
    {.name = "samples",
        .kind = CLI_INT,
        .value = "N",
        .fallback = "1",
        CLI_AT_LEAST(1),
        .help = "how many texts"},
    CLI_TOKENIZER_OPTION("the model's own, else bytes"),
    {.name = "no-stop", .kind = CLI_FLAG, .help = "go on behind the end token"},
    {.name = "quiet", .letter = 'q', .kind = CLI_FLAG, .help = "no line about speed"},
    CLI_DEVICE_OPTIONS,
    CLI_WEIGHTS_OPTION,
    {0},
};

const cli_command cli_generate = {
    .name = "generate",
    .summary = "let a model continue a text",
    .synopsis = (const char *const[]){"--model MODEL [--prompt TEXT] [options]", NULL},
    .description = "Prints the text as it grows; the speed goes to standard error.",
    .options = options,
    .examples = (const char *const[]){"anemone generate --model runs/first --prompt 'Once upon a time'",
        "from a run's newest checkpoint",
        "anemone generate --model stories15M.bin --tokenizer tokenizer.bin --temperature 0",
        "llama2.c's files, greedily",
        "anemone generate --model model.bin --prompt-ids 1 --print-ids --tokens 20", "ids in, ids out", NULL},
    .run = run,
};
