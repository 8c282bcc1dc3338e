/* bench_generate.c - `anemone bench generate`: a prompt in one go and tokens one by one, against the processor's peak and
 * the memory's speed. */
#include "cli/bench.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/profile.h"
#include "cli/spells.h"

#include "anemone/generate.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/gemv.h"
#include "base/peak.h"
#include "base/random.h"
#include "measure/stats.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench {
    ane_device *device;
    ane_weights *weights;
    ane_decoder *decoder;
    int32_t prompt, tokens, repeat;
    int32_t *ids;
    float *logits;
    double load_ms, first_ms;               /* weights; then the first call, in which things are made */
    double *prompt_ms, *token_ms;           /* [repeat], [repeat * tokens] */
    double matrix_bytes, position_bytes;    /* read for a token: weights; for every position before it */
    double prompt_flops, peak;              /* of products; measured now */
    spells spells;                          /* tokens in turns with reading */
    json_t *prompt_profile, *token_profile; /* NULL unless asked for */
} bench;

static void free_bench(bench *b) {
    ane_decoder_free(b->decoder);
    ane_weights_free(b->weights);
    ane_device_close(b->device);
    free(b->ids);
    free(b->logits);
    spells_end(&b->spells);
    free(b->prompt_ms);
    free(b->token_ms);
    json_decref(b->prompt_profile);
    json_decref(b->token_profile);
}

/* ---- what must be done ------------------------------------------------------------------------------------------- */

/* Numbers of all matrices that every token is multiplied with, the head's among them. */
static double matrix_numbers(const ane_model_config *c, bool head) {
    double wide = (double)c->n_heads * c->head_dim, narrow = (double)c->n_kv_heads * c->head_dim;
    double block = c->dim * (2 * wide + 2 * narrow) + 3.0 * c->dim * c->hidden_dim;
    return c->n_layers * block + (head ? (double)c->vocab_size * c->dim : 0);
}

static void set_work(bench *b) {
    const ane_model_config *c = &b->weights->config;
    ane_precision precision = ane_device_capabilities(b->device)->precision;
    ane_gemv_format format = precision == ANE_BF16   ? ANE_GEMV_BF16
                             : precision == ANE_INT8 ? ANE_GEMV_INT8
                                                     : ANE_GEMV_F32;
    double each = (double)ane_gemv_row_bytes(format, ANE_GEMV_GROUP) / ANE_GEMV_GROUP, n = b->prompt;
    b->matrix_bytes = matrix_numbers(c, true) * each;
    b->position_bytes = 2.0 * (format == ANE_GEMV_F32 ? 4 : 2) * c->n_layers * c->n_kv_heads *
                        c->head_dim; /* bf16, or fp32 */
    b->prompt_flops = 2 * n * matrix_numbers(c, false) + 2.0 * c->vocab_size * c->dim +
                      2.0 * c->n_layers * n * n * c->n_heads * c->head_dim; /* half of all pairs, twice */
}

static void measure_peak(bench *b) {
    const ane_capabilities *c = ane_device_capabilities(b->device);
    bool bf16 = c->precision == ANE_BF16 || c->precision == ANE_INT8;
    /* The limit of fp32 is that of vectors: tiles may be faster. */
    double peak = bf16 ? ane_peak_product_flops(true, c->threads) : ane_peak_flops(c->threads);
    if (peak > b->peak) b->peak = peak;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static bool load(const cli_args *args, bench *b, ane_error *e) {
    const char *model = cli_string(args, "model");
    double start = ane_clock_ms();
    if (ane_path_exists(model)) {
        b->weights = ane_weights_load(model, e);
    } else {
        ane_model_config c;
        if (!ane_model_preset(&c, model, e)) return ane_hint(e, "--model is a preset, or a path to weights");
        if (c.max_seq < b->prompt + b->tokens) c.max_seq = b->prompt + b->tokens; /* only the time matters */
        b->weights = ane_weights_new(&c, e);
        if (b->weights) ane_weights_init(b->weights, 0);
    }
    b->load_ms = ane_clock_ms() - start;
    return b->weights != NULL;
}

static bool open_device(const cli_args *args, bench *b, ane_error *e) {
    char spec[640];
    if (!cli_flag(args, "profile")) return (b->device = cli_open_device(args, e)) != NULL;
    if (!cli_device_spec(args, NULL, spec, sizeof spec, e) || !cli_profile_spec(spec, sizeof spec, e))
        return false;
    cli_place_threads(args);
    return (b->device = ane_device_open(spec, e)) != NULL;
}

static bool open_bench(const cli_args *args, bench *b, ane_error *e) {
    b->prompt = (int32_t)cli_int(args, "prompt");
    b->tokens = (int32_t)cli_int(args, "tokens");
    b->repeat = (int32_t)cli_int(args, "repeat");
    if (!load(args, b, e) || !open_device(args, b, e)) return false;
    int32_t vocab = b->weights->config.vocab_size;
    size_t positions = (size_t)b->prompt + (size_t)b->tokens;
    b->ids = calloc(positions, sizeof *b->ids);
    b->logits = calloc((size_t)vocab, sizeof *b->logits);
    b->prompt_ms = calloc((size_t)b->repeat, sizeof(double));
    b->token_ms = calloc((size_t)b->repeat * (size_t)b->tokens, sizeof(double));
    if (!b->ids || !b->logits || !b->prompt_ms || !b->token_ms)
        return ane_fail(e, ANE_ERROR_MEMORY, NULL, "out of memory");
    ane_rng rng = ane_rng_new(0, 0);
    for (size_t i = 0; i < positions; i++) b->ids[i] = (int32_t)ane_rng_below(&rng, (uint64_t)vocab);
    set_work(b);
    if (!spells_begin(&b->spells, ane_device_capabilities(b->device)->threads, b->matrix_bytes,
            b->repeat * ((b->tokens + SPELL_TOKENS - 1) / SPELL_TOKENS), e))
        return false;
    double start = ane_clock_ms();
    b->decoder = ane_decoder_new(b->device, b->weights, (int32_t)positions, e);
    bool ok = b->decoder && ane_decoder_feed(b->decoder, b->prompt, b->ids, b->logits, e);
    b->first_ms = ane_clock_ms() - start;
    return ok;
}

/* Prompt and tokens of one sequence; their times where they are kept, else NULL. */
static bool run_prompt(bench *b, double *ms, ane_error *e) {
    ane_decoder_reset(b->decoder);
    double start = ane_clock_ms();
    if (!ane_decoder_feed(b->decoder, b->prompt, b->ids, b->logits, e)) return false;
    if (ms) *ms = ane_clock_ms() - start;
    return true;
}

static bool run_tokens(bench *b, double *ms, ane_error *e) {
    if (ms) spells_first(&b->spells);
    for (int32_t i = 0; i < b->tokens; i++) {
        double start = ane_clock_ms();
        if (!ane_decoder_feed(b->decoder, 1, &b->ids[b->prompt + i], b->logits, e)) return false;
        if (!ms) continue;
        ms[i] = ane_clock_ms() - start;
        int32_t n = i % SPELL_TOKENS + 1;
        if (n == SPELL_TOKENS || i + 1 == b->tokens) spells_add(&b->spells, &ms[i + 1 - n], n);
    }
    return true;
}

/* What the device's plans do for a prompt, and for a token: `repeat` sequences more, the machine measured behind them. */
static bool profile_all(bench *b, ane_error *e) {
    double prompt = 0, tokens = 0, start;
    int64_t n = b->repeat;
    for (int32_t i = -1; i < b->repeat; i++) {
        double ms;
        if (i == 0) ane_device_profile_reset(b->device);
        if (!run_prompt(b, &ms, e)) return false;
        if (i >= 0) prompt += ms / (double)n;
    }
    if (!(b->prompt_profile = cli_profile(b->device, n, prompt, 0, NULL, e))) return false;
    ane_device_profile_reset(b->device);
    start = ane_clock_ms();
    if (!run_tokens(b, NULL, e)) return false;
    tokens = (ane_clock_ms() - start) / b->tokens;
    return (b->token_profile = cli_profile(b->device, b->tokens, tokens, 0, NULL, e)) != NULL;
}

static bool run_all(bench *b, ane_error *e) {
    if (!run_prompt(b, NULL, e) || !run_tokens(b, NULL, e)) return false; /* in which passes are made */
    for (int32_t i = 0; i < b->repeat; i++) {
        measure_peak(b);
        if (!run_prompt(b, &b->prompt_ms[i], e) || !run_tokens(b, &b->token_ms[(ptrdiff_t)i * b->tokens], e))
            return false;
    }
    return true;
}

/* ---- telling ----------------------------------------------------------------------------------------------------- */

static double median_of(const json_t *spread) {
    return json_real_value(json_object_get(spread, "median"));
}

static json_t *result(const cli_args *args, bench *b) {
    const ane_capabilities *c = ane_device_capabilities(b->device);
    json_t *prompt = cli_json_spread(b->prompt_ms, b->repeat),
           *token = cli_json_spread(b->token_ms, b->repeat * b->tokens);
    double read = ane_stats_of(b->spells.rates, b->spells.n).median,
           share = ane_stats_of(b->spells.shares, b->spells.n).median,
           plain_share = ane_stats_of(b->spells.plain_shares, b->spells.n).median;
    double prompt_ms = median_of(prompt), token_ms = median_of(token),
           gbs = 1e-6 * b->matrix_bytes / token_ms, cache = b->position_bytes * (b->prompt + 0.5 * b->tokens),
           gflops = 1e-6 * b->prompt_flops / prompt_ms;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:f, s:f, s:o, s:o}", "system",
        "anemone " ANEMONE_VERSION, "device", c->description, "model", cli_string(args, "model"), "precision",
        ane_precision_name(c->precision), "threads", c->threads, "prompt_tokens", b->prompt, "new_tokens",
        b->tokens, "load_ms", b->load_ms, "first_ms", b->first_ms, "prompt_ms", prompt, "token_ms", token);
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"prompt_tokens_per_second", 1e3 * b->prompt / prompt_ms}, {"prompt_gflops", gflops},
        {"peak_gflops", 1e-9 * b->peak}, {"prompt_of_peak", 1e9 * gflops / b->peak},
        {"tokens_per_second", 1e3 / token_ms}, {"weight_megabytes", 1e-6 * b->matrix_bytes},
        {"weight_gbs", gbs}, {"cache_megabytes", 1e-6 * cache}, {"read_gbs", 1e-9 * read},
        {"decode_of_bandwidth", share}, {"decode_of_plain_reading", plain_share}};
    for (size_t i = 0; o && i < sizeof numbers / sizeof *numbers; i++)
        json_object_set_new(o, numbers[i].name, json_real(numbers[i].value));
    if (b->prompt_profile)
        json_object_set_new(
            o, "profile", json_pack("{s:O, s:O}", "prompt", b->prompt_profile, "token", b->token_profile));
    return o;
}

static double number(const json_t *o, const char *name) {
    return json_real_value(json_object_get(o, name));
}

static void print_result(const json_t *o) {
    printf("%s: %s, %s, %lld threads\n", json_string_value(json_object_get(o, "system")),
        json_string_value(json_object_get(o, "model")), json_string_value(json_object_get(o, "precision")),
        json_integer_value(json_object_get(o, "threads")));
    printf("  prompt  %5lld tokens %9.2f ms %9.0f tokens/s %9.0f GFLOP/s, %.0f%% of a peak of %.0f\n",
        json_integer_value(json_object_get(o, "prompt_tokens")), median_of(json_object_get(o, "prompt_ms")),
        number(o, "prompt_tokens_per_second"), number(o, "prompt_gflops"), 1e2 * number(o, "prompt_of_peak"),
        number(o, "peak_gflops"));
    printf("  decode  %5lld tokens %9.2f ms %9.1f tokens/s %9.1f GB/s of weights, %.0f%% of %.1f GB/s read, "
           "%.0f%% of plain reading\n",
        json_integer_value(json_object_get(o, "new_tokens")), median_of(json_object_get(o, "token_ms")),
        number(o, "tokens_per_second"), number(o, "weight_gbs"), 1e2 * number(o, "decode_of_bandwidth"),
        number(o, "read_gbs"), 1e2 * number(o, "decode_of_plain_reading"));
    printf("  weights loaded or made in %.0f ms, first prompt in %.0f ms more\n", number(o, "load_ms"),
        number(o, "first_ms"));
    const json_t *profile = json_object_get(o, "profile");
    if (!profile) return;
    cli_profile_print(json_object_get(profile, "prompt"), "prompt");
    cli_profile_print(json_object_get(profile, "token"), "token");
}

static int run_one(const cli_args *args, ane_error *e) {
    bench b = {0};
    bool ok = open_bench(args, &b, e) && run_all(&b, e) && (!cli_flag(args, "profile") || profile_all(&b, e));
    if (ok) {
        json_t *o = result(args, &b);
        if (!cli_flag(args, "json"))
            print_result(o);
        else
            cli_put_json(json_incref(o));
        json_decref(o);
    }
    free_bench(&b);
    return ok ? CLI_OK : CLI_FAILED;
}

static int run(const cli_args *args, ane_error *e) {
    static const char *const own[] = {"model", "prompt", "tokens", "repeat", "profile", NULL};
    return cli_bench_one_or_run(args, "generate", own, run_one, e);
}

static const cli_option options[] = {
    {.name = "model",
        .letter = 'm',
        .kind = CLI_STRING,
        .value = "MODEL",
        .fallback = "stories15m",
        .help = "a preset with random weights (stories15m, stories110m, ...), or a path to weights"},
    {.name = "prompt",
        .letter = 'p',
        .kind = CLI_INT,
        .value = "N",
        .fallback = "256",
        CLI_BETWEEN(1, 65536),
        .help = "tokens of the prompt"},
    {.name = "tokens",
        .letter = 'n',
        .kind = CLI_INT,
        .value = "N",
        .fallback = "32",
        CLI_BETWEEN(1, 65536),
        .help = "tokens behind it, one by one"},
    {.name = "repeat",
        .letter = 'r',
        .kind = CLI_INT,
        .value = "N",
        .fallback = "3",
        CLI_BETWEEN(1, 1000),
        .help = "sequences that are timed, behind one that is not"},
    {.name = "profile",
        .kind = CLI_FLAG,
        .help = "every step of the device's plans against its own bound, sorted by time lost (CPU)"},
    CLI_BENCH_OPTIONS,
    CLI_DEVICE_OPTIONS,
    {0},
};

const cli_command cli_bench_generate = {
    .name = "bench generate",
    .summary = "time prompts and decoding: against peak and memory, or the benchmark's cases",
    .synopsis = (const char *const[]){"[options]", "--model MODEL [options]", NULL},
    .description =
        "Without options of its own, the benchmark's cases. With one of them (--model, --prompt, --tokens, "
        "--repeat, --profile), medians of one. Decoding is bound by reading every weight once for a token: "
        "GB/s are of weights alone (the key and value cache comes on top). Before and behind every 8 tokens "
        "the same threads read an array as large, plainly and in the order in which memory is fastest, of "
        "which the better one counts; percentages are medians over these spells, each against what was read "
        "around it. Operations of the prompt are 2 per multiply-add of every product, attention to what is "
        "before a token included.",
    .options = options,
    .examples = (const char *const[]){"anemone bench generate --model stories110m --precision bf16",
        "decode and prefill of 110 million weights of two bytes",
        "anemone bench generate --device ane:emulator,chip=m5", "the benchmark's cases on an emulated chip",
        NULL},
    .run = run,
};
